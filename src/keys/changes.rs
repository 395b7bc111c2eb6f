//! What a set of keys changes about the one before it.
#![forbid(unsafe_code)]

use super::{KeySet, KeySlot};
use hashbrown::HashMap;
use std::sync::Arc;

/// What is new in a set, what is gone from it, and what should not have happened. Slots by their index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Keys of the new set whose material the old one had not.
    pub added: Vec<u32>,
    /// Keys of the old set whose material the new one has not.
    pub removed: Vec<u32>,
    /// Keys of the new set under a `kid` that named other material of the same type in the old one.
    pub reused: Vec<u32>,
}

impl KeySlot {
    /// Whether another is the very same key, pinned alike, for the same tenants. Secrets are never known to be the same.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.public_jwk.is_some()
            && self.public_jwk == other.public_jwk
            && self.signer == other.signer
            && self.only_of == other.only_of
    }
}

impl KeySet {
    /// Whether another set says the very same: the same keys, in the same order.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let mut pairs = self.slots().iter().zip(other.slots());
        self.len() == other.len() && pairs.all(|(one, other)| one.is_same(other))
    }

    /// Takes over what is known of the use of keys that an older set had too, and tells what has changed since.
    pub fn follow(&mut self, old: &Self) -> Changes {
        let mut known: HashMap<&str, &KeySlot> = HashMap::with_capacity(old.len());
        for slot in old.slots() {
            known.extend(slot.thumbprint.as_deref().map(|print| (print, slot)));
        }
        let mut changes = Changes::default();
        for (index, slot) in (0..).zip(&mut self.slots) {
            let Some(print) = slot.thumbprint.as_deref() else {
                continue;
            };
            if let Some(same) = known.remove(print) {
                slot.usage = Arc::clone(&same.usage);
                continue;
            }
            changes.added.push(index);
            let names_another = |other: &&KeySlot| {
                other.signer.kid.is_some()
                    && other.signer.kid == slot.signer.kid
                    && other.key.scheme() == slot.key.scheme()
            };
            if old.slots().iter().any(|other| names_another(&other)) {
                changes.reused.push(index);
            }
        }
        // What nobody took is gone.
        for (index, slot) in (0..).zip(old.slots()) {
            let print = slot.thumbprint.as_deref();
            if print.is_some_and(|print| known.contains_key(print)) {
                changes.removed.push(index);
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::samples::{jwk as key, set};

    #[test]
    fn a_rotation_keeps_what_is_known_of_the_keys_that_stay() {
        let (a, b, c) = (key("a", 0), key("b", 1), key("c", 2));
        let old = set(&[&a, &b]);
        old.slots()[1].usage.note(99);
        let mut new = set(&[&b, &c]);
        let changes = new.follow(&old);
        assert_eq!(
            changes,
            Changes {
                added: vec![1],
                removed: vec![0],
                reused: vec![],
            }
        );
        assert_eq!(new.slots()[0].usage.expires_last(), Some(99));
        assert_eq!(new.slots()[1].usage.expires_last(), None);
    }

    #[test]
    fn another_key_under_the_same_kid_is_noticed() {
        let (a, other) = (key("a", 0), key("a", 1));
        let mut new = set(&[&other]);
        let changes = new.follow(&set(&[&a]));
        assert_eq!((changes.added, changes.reused), (vec![0], vec![0]));
        assert_eq!(changes.removed, [0]);
    }

    #[test]
    fn the_same_set_is_the_same_and_any_other_is_not() {
        let (a, b) = (key("a", 0), key("b", 1));
        assert!(set(&[&a, &b]).is_same(&set(&[&a, &b])));
        assert!(!set(&[&a, &b]).is_same(&set(&[&b, &a])));
        assert!(!set(&[&a, &b]).is_same(&set(&[&a])));
        let mut again = set(&[&a]);
        assert_eq!(again.follow(&set(&[&a])), Changes::default());
    }
}

//! Numbers of an issuer's keys. A key that stays in the sets that follow keeps its number, so that a rotation costs the
//! cached verdicts of the keys that go, and no others: all at once they would be verified again just when new tokens come.
#![forbid(unsafe_code)]

use crate::keys::KeySlot;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// By slot, the number of each key. Within one generation of an issuer no number is ever given to another key.
#[derive(Clone)]
pub(super) struct KeyNumbers {
    by_slot: Arc<[u16]>,
    /// The first that was never given: one count for all sets that follow, whether they follow each other or one and the
    /// same, of which but one would be published. What a hit may say does not hang on the order in which that happens.
    next: Arc<AtomicU32>,
}

impl KeyNumbers {
    /// No key has it.
    pub(super) const NOBODYS: u16 = u16::MAX;

    /// Those of the first keys of a generation.
    pub(super) fn new(keys: &[KeySlot]) -> Self {
        let next = Arc::default();
        // Of keys beyond the last number, none is remembered.
        let numbers = keys.iter().map(|_| give(&next).unwrap_or(Self::NOBODYS));
        Self {
            by_slot: numbers.collect(),
            next,
        }
    }

    /// Those of the keys that take the place of others; `None` once a generation has no more to give.
    pub(super) fn follow(&self, old: &[KeySlot], new: &[KeySlot]) -> Option<Self> {
        let number = |slot: &KeySlot| {
            let same = old.iter().position(|other| other.is_same(slot));
            let known = same.and_then(|slot| self.by_slot.get(slot));
            known.copied().or_else(|| give(&self.next))
        };
        Some(Self {
            by_slot: new.iter().map(number).collect::<Option<_>>()?,
            next: Arc::clone(&self.next),
        })
    }

    /// Of the key in this slot.
    pub(super) fn number(&self, slot: u32) -> u16 {
        let number = self.by_slot.get(slot as usize);
        number.copied().unwrap_or(Self::NOBODYS)
    }

    /// Where the key with this number is now, if it still is anywhere.
    pub(super) fn slot(&self, number: u16) -> Option<usize> {
        let slot = self.by_slot.iter().position(|known| *known == number);
        slot.filter(|_| number != Self::NOBODYS)
    }
}

fn give(next: &AtomicU32) -> Option<u16> {
    let number = u16::try_from(next.fetch_add(1, Ordering::Relaxed)).ok()?;
    (number != KeyNumbers::NOBODYS).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeySet;
    use crate::keys::samples::{jwk, set};

    fn named(letters: &str) -> KeySet {
        let key = |letter: char| match letter {
            'a' => jwk("a", 0),
            'b' => jwk("b", 1),
            _ => jwk("c", 2),
        };
        let keys: Vec<String> = letters.chars().map(key).collect();
        set(&Vec::from_iter(&keys))
    }

    fn first(keys: &KeySet) -> KeyNumbers {
        KeyNumbers::new(keys.slots())
    }

    fn follow(numbers: &KeyNumbers, old: &KeySet, new: &KeySet) -> Option<KeyNumbers> {
        numbers.follow(old.slots(), new.slots())
    }

    #[test]
    fn a_key_keeps_its_number_for_as_long_as_it_stays() {
        let mut numbers = first(&named("ab"));
        assert_eq!(*numbers.by_slot, [0, 1]);
        let mut old = "ab";
        // One is added, they change places, one goes, and comes back as if it were new.
        for (new, expected) in [
            ("abc", &[0, 1, 2][..]),
            ("cab", &[2, 0, 1]),
            ("cb", &[2, 1]),
            ("acb", &[3, 2, 1]),
            ("", &[]),
            ("b", &[4]),
        ] {
            numbers = follow(&numbers, &named(old), &named(new)).expect("there are numbers");
            assert_eq!(*numbers.by_slot, *expected, "{old} to {new}");
            old = new;
        }
        assert_eq!(numbers.slot(4), Some(0));
        for gone in [0, 1, 2, 3, 5, KeyNumbers::NOBODYS] {
            assert_eq!(numbers.slot(gone), None, "{gone}");
        }
    }

    #[test]
    fn other_material_and_a_key_for_others_are_other_keys() {
        let key = jwk("a", 0);
        let bound = key.replace(
            "\"x\"",
            "\"issuer\":\"https://login.example/one/v2.0\",\"x\"",
        );
        for other in [bound, jwk("a", 1), jwk("b", 0)] {
            let (old, new) = (set(&[&key]), set(&[&other]));
            let numbers = follow(&first(&old), &old, &new);
            let numbers = numbers.expect("there are numbers");
            assert_eq!(*numbers.by_slot, [1], "{other}");
        }
    }

    #[test]
    fn sets_that_follow_the_same_one_share_no_new_number() {
        let numbers = first(&named("a"));
        let [one, other] = ["ab", "ac"].map(|letters| {
            let followed = follow(&numbers, &named("a"), &named(letters));
            followed.expect("there are numbers").by_slot
        });
        assert_eq!((&*one, &*other), (&[0, 1][..], &[0, 2][..]));
    }

    #[test]
    fn numbers_run_out_and_are_not_given_twice() {
        let numbers = first(&named("a"));
        let last = KeyNumbers::NOBODYS - 1;
        numbers.next.store(last.into(), Ordering::Relaxed);
        let numbers = follow(&numbers, &named("a"), &named("ab"));
        let numbers = numbers.expect("one is left");
        assert_eq!(*numbers.by_slot, [0, last]);
        for _ in 0..3 {
            assert!(follow(&numbers, &named("ab"), &named("abc")).is_none());
        }
        assert!(follow(&numbers, &named("ab"), &named("b")).is_some());
    }
}

//! An issuer's place in the records, and the generation that tells it from what it was before.
#![forbid(unsafe_code)]

use super::key_numbers::KeyNumbers;
use super::quota::Quota;
use super::revoking::Revoking;
use super::tenants::Loaded;
use super::{Issuer, IssuerKeys, IssuerMatch};
use crate::keys::KeySlot;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// An issuer with what the records know of it besides.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) issuer: Issuer,
    /// Names this very policy, and with a number of `key_numbers` a key beside it; never reused in a process, so that
    /// a cached verdict can tell at a glance whether what it rests on still stands.
    pub(super) generation: u64,
    /// Which key is which.
    pub(super) key_numbers: KeyNumbers,
    /// The tenant's number.
    pub(super) share: u32,
    /// How its tokens are held against revocations, if they are.
    pub(super) revoking: Option<Revoking>,
    /// How much work its genuine tokens may make, if that is bounded.
    pub(super) quota: Option<Arc<Quota>>,
    /// What is known of it besides where a template has brought it.
    pub(super) loaded: Option<Loaded>,
    /// Of a template: whether its keys, known or awaited, are those of all its tenants.
    pub(super) shares_keys: bool,
}

impl Entry {
    pub(super) fn new(issuer: Issuer, share: u32) -> Self {
        Self {
            generation: next_generation(),
            key_numbers: KeyNumbers::new(issuer.keys.slots()),
            share,
            revoking: None,
            quota: issuer
                .policy
                .verifications_per_second_max
                .map(Quota::shared),
            loaded: None,
            shares_keys: match &issuer.iss {
                IssuerMatch::Template(template) => {
                    template.shares_keys() || matches!(issuer.keys, IssuerKeys::Known(_))
                }
                _ => false,
            },
            issuer,
        }
    }

    /// The key with this number, if it still is one of its keys.
    pub(super) fn slot_of(&self, key: u32) -> Option<&KeySlot> {
        let slot = self.key_numbers.slot(u16::try_from(key).ok()?)?;
        self.issuer.keys.slots().get(slot)
    }

    /// The same under a generation of its own.
    pub(super) fn renewed(&self) -> Self {
        Self {
            generation: next_generation(),
            ..self.clone()
        }
    }

    /// The same with other keys. What was verified with a key that stays need not be verified again.
    pub(super) fn with_keys(&self, keys: IssuerKeys) -> Self {
        let (old, new) = (self.issuer.keys.slots(), keys.slots());
        let mut entry = match self.key_numbers.follow(old, new) {
            Some(key_numbers) => Self {
                key_numbers,
                ..self.clone()
            },
            None => Self {
                key_numbers: KeyNumbers::new(new),
                ..self.renewed()
            },
        };
        let is_template = matches!(entry.issuer.iss, IssuerMatch::Template(_));
        entry.shares_keys |= is_template && matches!(keys, IssuerKeys::Known(_));
        entry.issuer.keys = keys;
        entry
    }
}

/// Starts at 1, so that a zeroed word never passes for a generation.
static GENERATION: AtomicU64 = AtomicU64::new(1);

fn next_generation() -> u64 {
    GENERATION.fetch_add(1, Ordering::Relaxed)
}

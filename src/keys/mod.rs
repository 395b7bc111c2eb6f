//! Keeps an issuer's public keys, each pinned to one algorithm. Never fetches them: that is upstream's
//! work.
#![forbid(unsafe_code)]

use crate::crypto::{Scheme, VerifyingKey};
use crate::jose::{JwkSet, Skipped};
use crate::verdict::Signer;
use std::sync::Arc;

/// One issuer's keys: an immutable snapshot.
pub struct KeySet {
    slots: Vec<KeySlot>,
}

/// A key in its place.
pub struct KeySlot {
    /// What verdicts say of it.
    pub signer: Arc<Signer>,
    /// The parsed key, and with it its scheme.
    pub key: VerifyingKey,
}

/// Whose keys these are, as verdicts will say it.
#[derive(Clone, Debug)]
pub struct Owner {
    /// The issuer's configured name.
    pub issuer: Arc<str>,
    /// Its tenant.
    pub tenant: Arc<str>,
}

impl KeySet {
    /// Pins each usable key of a set to one of `schemes`: the key's own `alg` where it names one, else the
    /// first listed that fits. What cannot be used is returned beside the set, and never spoils it.
    #[must_use]
    pub fn pin(_owner: &Owner, _jwks: &JwkSet, _schemes: &[Scheme]) -> (Self, Vec<Skipped>) {
        todo!()
    }

    /// A set with no keys: the issuer is known, its keys have not arrived.
    #[must_use]
    pub fn empty() -> Self {
        Self { slots: Vec::new() }
    }

    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The keys, in the order of the set.
    #[must_use]
    pub fn slots(&self) -> &[KeySlot] {
        &self.slots
    }
}

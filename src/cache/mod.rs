//! Remembers which tokens were verified: keyed 256-bit digests, never a token.
//!
//! An entry means "signature and static policy were fine under this generation", never "valid": whoever
//! asks compares the times and the generation on every hit. Only verified tokens are inserted.
#![forbid(unsafe_code)]

/// Names a verified token: SHA-256 under a per-process secret over version, policy and the whole token,
/// its signature included.
pub type Digest = [u8; 32];

/// What is remembered of a verified token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Generation of the issuer's keys and policy, loaded before verification began. Globally unique and
    /// never reused, so an equal generation means the very same keys and policy.
    pub generation: u64,
    /// First second at which the token passes its time checks, leeway included.
    pub valid_from: i64,
    /// First second at which it no longer does, leeway included.
    pub valid_until: i64,
    /// `exp` as in the token; `i64::MAX` where it has none.
    pub expires_at: i64,
    /// Index of the issuer in the records.
    pub issuer: u32,
    /// Index of the key slot in the issuer's key set.
    pub key_slot: u32,
}

/// How large the cache may grow and how it is shared.
#[derive(Clone, Debug)]
pub struct Options {
    /// Most entries kept.
    pub capacity: usize,
    /// Number of shards, a power of two.
    pub shards: usize,
    /// Most of the capacity that one tenant (here: one share number) may hold, in percent.
    pub share_percent_max: u8,
}

/// The sharded cache.
pub struct Cache {}

impl Cache {
    /// An empty cache.
    #[must_use]
    pub fn new(_options: &Options) -> Self {
        todo!()
    }
    /// Looks a digest up and marks it as used.
    #[must_use]
    pub fn get(&self, _digest: &Digest) -> Option<Entry> {
        todo!()
    }
    /// Remembers a verified token, evicting another if there is no room. `share` is the tenant's number.
    pub fn insert(&self, _digest: &Digest, _entry: Entry, _share: u32) {
        todo!()
    }
    /// Forgets a digest whose entry turned out stale.
    pub fn remove(&self, _digest: &Digest) {
        todo!()
    }
}

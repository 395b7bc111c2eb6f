//! Remembers which tokens were verified: keyed 256-bit digests, never a token.
//!
//! An entry means "signature and static policy were fine under this generation", never "valid": whoever
//! asks compares the times and the generation on every hit. Only verified tokens are inserted.
//!
//! Lookups take no lock. A lookup that races with a write to the same place may miss, which costs one
//! verification; it never returns another token's entry, because all 32 bytes are compared within one
//! undisturbed version of the slot. Eviction is S3-FIFO, so that a flood of tokens seen once passes
//! through without washing out those in use; and a tenant at its share evicts only its own.
//!
//! `docs/decisions/0001-cache.md` has the alternatives and the figures.
#![forbid(unsafe_code)]

mod index;
mod ledger;
mod shard;
mod slot;
#[cfg(test)]
mod tests;

use shard::Shard;

/// Names a verified token: a keyed hash, under a per-process secret, of version, policy and the whole token,
/// its signature included.
pub type Digest = [u8; 32];

/// What is remembered of a verified token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Generation of the issuer's policy and keys, loaded before verification began. Globally unique and
    /// never reused, so an equal generation means the very same policy, and that an equal `key` is the very same key.
    pub generation: u64,
    /// First second at which the token passes its time checks, leeway included.
    pub valid_from: i64,
    /// First second at which it no longer does, leeway included.
    pub valid_until: i64,
    /// `exp` as in the token; `i64::MAX` where it has none.
    pub expires_at: i64,
    /// Index of the issuer in the records.
    pub issuer: u32,
    /// Number of the key within that generation.
    pub key: u32,
    /// As of when it was not revoked, and where a change would show: only the revocation register reads it.
    pub revocation: [u64; 2],
}

/// How large the cache may grow and how it is shared.
#[derive(Clone, Debug)]
pub struct Options {
    /// Most entries kept; 0 keeps none.
    pub capacity: usize,
    /// Number of shards, a power of two. A small cache uses fewer.
    pub shards: usize,
    /// Most of the capacity that one tenant (here: one share number) may hold, in percent.
    pub share_percent_max: u8,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            capacity: CAPACITY_DEFAULT,
            shards: SHARDS_DEFAULT,
            share_percent_max: 100,
        }
    }
}

/// Default for the most entries kept: about 32 MB when full.
pub const CAPACITY_DEFAULT: usize = 262_144;

/// Default for the number of shards. Only insertions lock a shard, and they are as rare as verifications.
pub const SHARDS_DEFAULT: usize = 64;

/// Names approached at a time: more than memory can be asked for at once.
const NAMES_APPROACHED: usize = 64;

/// Fewest entries worth a shard of their own: in a smaller one the queues' proportions mean nothing.
const SHARD_ENTRIES_MIN: usize = 64;

/// The sharded cache.
pub struct Cache {
    shards: Box<[Shard]>,
}

/// A digest as the words that pick shard, place and fingerprint. It is uniform and keyed by a secret, so
/// its own bits serve where another table would hash.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Name([u64; 4]);

impl Cache {
    /// An empty cache. Memory grows with what is kept, up to at most 128 bytes an entry.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        let worthwhile = (options.capacity / SHARD_ENTRIES_MIN).max(1);
        let count = options.shards.clamp(1, worthwhile);
        let capacity = options.capacity / count;
        let percent = usize::from(options.share_percent_max.min(100));
        let share_max = (capacity * percent / 100).max(1);
        Self {
            shards: (0..count)
                .map(|_| Shard::new(capacity, share_max))
                .collect(),
        }
    }

    /// Looks a digest up and marks it as used.
    #[must_use]
    #[inline]
    pub fn get(&self, digest: &Digest) -> Option<Entry> {
        let name = Name::of(digest);
        self.shard(&name).get(&name)
    }

    /// Brings the places of these names near. Looking them up one by one would wait for memory one by one;
    /// here the waits overlap, which a busy frame's time is made of once the cache outgrows the CPU's own.
    #[inline]
    pub fn approach(&self, digests: &[Digest]) {
        for digests in digests.chunks(NAMES_APPROACHED) {
            let mut slots = [0; NAMES_APPROACHED];
            for (slot, digest) in slots.iter_mut().zip(digests) {
                let name = Name::of(digest);
                *slot = self.shard(&name).likely_slot(&name);
            }
            for (slot, digest) in slots.iter().zip(digests) {
                self.shard(&Name::of(digest)).approach(*slot);
            }
        }
    }

    /// Remembers a verified token, evicting another if there is no room. `share` is the tenant's number.
    /// Returns whether another had to go. Times beyond 60,000 years from now are not worth their bits: such a
    /// token is verified each time.
    pub fn insert(&self, digest: &Digest, entry: Entry, share: u32) -> bool {
        let name = Name::of(digest);
        self.shard(&name).insert(&name, &entry, share)
    }

    /// Notes that the entry found under a digest was looked up in the register again. Should it have changed since, or
    /// somebody be writing nearby, nothing happens: the next hit looks again.
    pub fn renew(&self, digest: &Digest, found: &Entry, revocation: [u64; 2]) {
        let name = Name::of(digest);
        self.shard(&name).renew(&name, found, revocation);
    }

    /// Forgets a digest whose entry turned out stale.
    pub fn remove(&self, digest: &Digest) {
        let name = Name::of(digest);
        self.shard(&name).remove(&name);
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(Shard::len).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of entries that one share number holds, for tests and inspection; it locks every shard.
    #[must_use]
    pub fn share_len(&self, share: u32) -> usize {
        self.shards.iter().map(|shard| shard.share_len(share)).sum()
    }

    fn shard(&self, name: &Name) -> &Shard {
        &self.shards[name.pick_shard(self.shards.len())]
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cache({} entries)", self.len())
    }
}

impl Name {
    fn of(digest: &Digest) -> Self {
        let (words, _) = digest.as_chunks::<8>();
        Self(std::array::from_fn(|i| u64::from_le_bytes(words[i])))
    }

    fn pick_shard(&self, count: usize) -> usize {
        scale(high(self.0[0]), count)
    }

    /// Where the index begins to look.
    fn home(&self, cells: usize) -> usize {
        scale(low(self.0[1]), cells)
    }

    /// Bits that tell neighbours in the index apart without a look at their slots.
    fn tag(&self) -> u32 {
        high(self.0[1])
    }

    /// Where the ghost of an evicted name would be.
    fn haunt(&self, ghosts: usize) -> usize {
        scale(low(self.0[2]), ghosts)
    }

    /// What tells ghosts apart; never 0, which marks an empty place.
    fn fingerprint(&self) -> u32 {
        high(self.0[2]) | 1
    }
}

/// Spreads 32 uniform bits evenly over `0..count` without a division.
fn scale(bits: u32, count: usize) -> usize {
    usize::try_from((u64::from(bits) * count as u64) >> 32).unwrap_or(0)
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "the low half is what is wanted"
)]
fn low(word: u64) -> u32 {
    word as u32
}

fn high(word: u64) -> u32 {
    low(word >> 32)
}

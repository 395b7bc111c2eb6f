//! BLAKE3 under a secret key, one message or many at a time: the digest that names a cached verdict.
//!
//! It is the keyed hash of the BLAKE3 paper (§2, mode `keyed_hash`), bit for bit: a pseudorandom function
//! of 256 bits. Few messages go to the `blake3` crate; many are taken side by side by this room's own lanes,
//! which the crate does not offer for messages of a token's length. `docs/decisions/0003-digest.md` has the
//! figures.

#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(not(target_arch = "x86_64"))]
#[path = "no_avx512.rs"]
mod avx512;
mod lanes;

use crate::simd::Avx512;
use zeroize::Zeroize;

/// A key, and the lanes of this CPU.
#[derive(Clone)]
pub struct KeyedBlake3 {
    secret: [u8; 32],
    lanes: Option<Avx512>,
}

impl KeyedBlake3 {
    /// Takes the secret, for the best code this CPU can run.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self::with_lanes(secret, Avx512::detect())
    }

    /// Takes the secret, and the lanes to use or none, so that tests and benches can compare them.
    #[must_use]
    pub fn with_lanes(secret: &[u8; 32], lanes: Option<Avx512>) -> Self {
        Self {
            secret: *secret,
            lanes,
        }
    }

    /// Another key, for another kind of message: the keyed hash of what names the kind.
    #[must_use]
    pub fn for_kind(&self, kind: &[u8]) -> Self {
        Self::with_lanes(&self.digest(kind), self.lanes)
    }

    /// The keyed hash of a message.
    #[must_use]
    pub fn digest(&self, message: &[u8]) -> [u8; 32] {
        ::blake3::keyed_hash(&self.secret, message).into()
    }

    /// [`Self::digest`] of each message, in lanes where the CPU has them. What `digests` held before is cleared.
    pub fn digest_many(&self, messages: &[&[u8]], digests: &mut Vec<[u8; 32]>) {
        digests.clear();
        match self.lanes {
            Some(cpu) if messages.len() >= lanes::LANES_MIN => {
                lanes::digest_side_by_side(cpu, &self.secret, messages, digests);
            }
            _ => digests.extend(messages.iter().map(|message| self.digest(message))),
        }
    }
}

impl Drop for KeyedBlake3 {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

/// Prints nothing of the secret.
impl std::fmt::Debug for KeyedBlake3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyedBlake3")
            .field("lanes", &self.lanes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

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
use ::blake3::Hasher;
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

    /// The keyed hash of `prefix || message`: a few fixed bytes say what the message is, without a copy of it.
    #[must_use]
    pub fn digest_with(&self, prefix: [u8; 8], message: &[u8]) -> [u8; 32] {
        let mut hasher = Hasher::new_keyed(&self.secret);
        hasher.update(&prefix).update(message);
        hasher.finalize().into()
    }

    /// [`Self::digest_with`] of each prefix and message, in lanes where the CPU has them. What `digests` held
    /// before is cleared.
    pub fn digest_many_with(&self, messages: &[([u8; 8], &[u8])], digests: &mut Vec<[u8; 32]>) {
        digests.clear();
        match self.lanes {
            Some(cpu) if messages.len() >= lanes::LANES_MIN => {
                lanes::digest_side_by_side(cpu, &self.secret, messages, digests);
            }
            _ => digests.extend(
                messages
                    .iter()
                    .map(|&(prefix, message)| self.digest_with(prefix, message)),
            ),
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

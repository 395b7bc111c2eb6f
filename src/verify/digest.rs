//! Names tokens for the cache.

use super::{PolicyId, Question};
use crate::cache::Digest;
use crate::crypto::blake3::KeyedBlake3;
use crate::os;
use zeroize::Zeroize;

/// What the digests mean; raised when that changes.
const VERSION: u32 = 3;

/// Computes cache digests: BLAKE3's keyed hash of the whole token, its signature included, under a key that follows
/// from a per-process secret, the version and the request policy. Whoever sees a digest learns nothing, and nobody
/// outside can predict one. In lanes BLAKE3 takes little more than half the time of SHA-256, and digests are most of
/// what a hit costs: `docs/decisions/0003-digest.md`.
///
/// Tenant, keys and the issuer's policy are not part of it: they follow from the token's own `iss` and the
/// generation that each entry is stamped with.
pub struct DigestKey {
    secret: KeyedBlake3,
    /// For questions without a policy of their own, which nearly all are.
    default: KeyedBlake3,
}

impl DigestKey {
    /// A key from fresh random bytes.
    ///
    /// # Panics
    /// Where the system has no randomness to give; nothing may be cached under a key that can be guessed.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = [0; 32];
        os::fill_random(&mut bytes);
        let secret = KeyedBlake3::new(&bytes);
        bytes.zeroize();
        Self {
            default: secret.for_kind(&kind(PolicyId::DEFAULT)),
            secret,
        }
    }

    /// The digest of one question.
    #[must_use]
    pub fn digest(&self, question: Question<'_>) -> Digest {
        self.under(question.policy, |key| key.digest(question.token))
    }

    /// Digests of tokens asked about under one policy, in order; what `digests` held before is cleared.
    pub fn digest_many(&self, policy: PolicyId, tokens: &[&[u8]], digests: &mut Vec<Digest>) {
        self.under(policy, |key| key.digest_many(tokens, digests));
    }

    fn under<T>(&self, policy: PolicyId, digest: impl FnOnce(&KeyedBlake3) -> T) -> T {
        match policy {
            PolicyId::DEFAULT => digest(&self.default),
            _ => digest(&self.secret.for_kind(&kind(policy))),
        }
    }
}

fn kind(policy: PolicyId) -> [u8; 8] {
    let mut kind = [0; 8];
    kind[..4].copy_from_slice(&VERSION.to_le_bytes());
    kind[4..].copy_from_slice(&policy.0.to_le_bytes());
    kind
}

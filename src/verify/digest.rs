//! Names tokens for the cache.

use super::Question;
use crate::cache::Digest;
use crate::crypto::sha2::KeyedSha256;
use crate::os;
use zeroize::Zeroize;

/// What the digests mean; raised when that changes.
const VERSION: u32 = 1;

/// Computes cache digests: SHA-256 under a per-process secret over version, policy and the whole token,
/// its signature included. Whoever sees a digest learns nothing, and nobody outside can predict one.
///
/// Tenant, keys and the issuer's policy are not part of it: they follow from the token's own `iss` and the
/// generation that each entry is stamped with.
pub struct DigestKey(KeyedSha256);

impl DigestKey {
    /// A key from fresh random bytes.
    ///
    /// # Panics
    /// Where the system has no randomness to give; nothing may be cached under a key that can be guessed.
    #[must_use]
    pub fn random() -> Self {
        let mut secret = [0; 64];
        os::fill_random(&mut secret);
        let key = Self(KeyedSha256::new(&secret));
        secret.zeroize();
        key
    }

    /// The digest of one question.
    #[must_use]
    pub fn digest(&self, question: Question<'_>) -> Digest {
        self.0.digest_with(domain(&question), question.token)
    }

    /// Digests of a batch of questions, in order; what `digests` held before is cleared.
    pub fn digest_many(&self, questions: &[Question<'_>], digests: &mut Vec<Digest>) {
        if let [question] = questions {
            digests.clear();
            digests.push(self.digest(*question));
            return;
        }
        let messages: Vec<([u8; 8], &[u8])> = questions
            .iter()
            .map(|question| (domain(question), question.token))
            .collect();
        self.0.digest_many_with(&messages, digests);
    }
}

fn domain(question: &Question<'_>) -> [u8; 8] {
    let mut domain = [0; 8];
    domain[..4].copy_from_slice(&VERSION.to_le_bytes());
    domain[4..].copy_from_slice(&question.policy.0.to_le_bytes());
    domain
}

//! Names tokens for the cache.

use super::Question;
use crate::cache::Digest;
use crate::crypto::sha2::KeyedSha256;

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
    #[must_use]
    pub fn random() -> Self {
        Self(KeyedSha256::random())
    }

    /// The digest of one question.
    #[must_use]
    pub fn digest(&self, question: Question<'_>) -> Digest {
        self.0.digest(domain(question), question.token)
    }

    /// Digests of a batch of questions, in order; what `digests` held before is cleared.
    pub fn digest_many<'t>(
        &self,
        questions: impl ExactSizeIterator<Item = Question<'t>>,
        digests: &mut Vec<Digest>,
    ) {
        self.0.digest_many(
            questions.map(|question| (domain(question), question.token)),
            digests,
        );
    }
}

fn domain(question: Question<'_>) -> [u8; 8] {
    let mut domain = [0; 8];
    domain[..4].copy_from_slice(&VERSION.to_le_bytes());
    domain[4..].copy_from_slice(&question.policy.0.to_le_bytes());
    domain
}

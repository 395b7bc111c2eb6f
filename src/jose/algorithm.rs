//! JWS algorithms by their registered names (RFC 7518 §3.1, RFC 8037 §3.1, RFC 8812 §3.2, RFC 9864).

use crate::crypto::Scheme;

/// A JWS `alg` that jotd verifies. `none` is not among them and cannot be represented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the registered names are the documentation")]
pub enum Algorithm {
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    Es512,
    Es256k,
    EdDsa,
    Ed25519,
}

impl Algorithm {
    /// Every algorithm, in the order of RFC 7518 §3.1.
    pub const ALL: [Self; 15] = [
        Self::Hs256,
        Self::Hs384,
        Self::Hs512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::Es256k,
        Self::EdDsa,
        Self::Ed25519,
    ];

    /// The registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::Es256k => "ES256K",
            Self::EdDsa => "EdDSA",
            Self::Ed25519 => "Ed25519",
        }
    }

    /// The algorithm with exactly this name; the comparison is case-sensitive (RFC 7515 §4.1.1).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|alg| alg.name() == name)
    }

    /// The name of a scheme where no key or token chose one; the older `EdDSA` is what issuers write.
    #[must_use]
    pub fn of_scheme(scheme: Scheme) -> Self {
        Self::ALL
            .into_iter()
            .find(|alg| alg.scheme() == scheme)
            .expect("every scheme has a name: `every_scheme_has_a_name` tries them all")
    }

    /// The signature scheme behind the name. `EdDSA` and `Ed25519` are two names of one scheme.
    #[must_use]
    pub const fn scheme(self) -> Scheme {
        match self {
            Self::Hs256 => Scheme::HmacSha256,
            Self::Hs384 => Scheme::HmacSha384,
            Self::Hs512 => Scheme::HmacSha512,
            Self::Rs256 => Scheme::RsaPkcs1Sha256,
            Self::Rs384 => Scheme::RsaPkcs1Sha384,
            Self::Rs512 => Scheme::RsaPkcs1Sha512,
            Self::Ps256 => Scheme::RsaPssSha256,
            Self::Ps384 => Scheme::RsaPssSha384,
            Self::Ps512 => Scheme::RsaPssSha512,
            Self::Es256 => Scheme::EcdsaP256Sha256,
            Self::Es384 => Scheme::EcdsaP384Sha384,
            Self::Es512 => Scheme::EcdsaP521Sha512,
            Self::Es256k => Scheme::EcdsaSecp256k1Sha256,
            Self::EdDsa | Self::Ed25519 => Scheme::Ed25519,
        }
    }
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_has_a_name() {
        for alg in Algorithm::ALL {
            assert_eq!(Algorithm::of_scheme(alg.scheme()).scheme(), alg.scheme());
        }
        assert_eq!(Algorithm::of_scheme(Scheme::Ed25519), Algorithm::EdDsa);
    }

    /// Checks V-12, V-13.
    #[test]
    fn names_are_exact_and_none_is_not_one() {
        for name in ["none", "None", "noNE", "NONE", "es256", "RS256 ", "", "HS1"] {
            assert_eq!(Algorithm::from_name(name), None, "{name}");
        }
    }
}

//! Signature checks over bytes, a batch at a time. It does not know what a token is.
//!
//! A [`VerifyingKey`] is parsed once and pinned to one [`Scheme`]. [`verify_batch`] takes any mix of
//! keys and schemes and gives one [`Outcome`] a check, in order: always one verdict a signature, never a
//! combined equation. A batch of one takes the same path as a batch of many.
//!
//! aws-lc-rs is the reference; faster kernels slot in behind `verify_batch`.

mod batch;
pub mod blake3;
mod ecdsa;
mod ed25519;
mod hmac;
mod reference;
mod rsa;
pub mod sha2;
mod weierstrass;

pub use batch::{Check, Outcome, estimated_cost_ns, verify_batch};

use reference::PublicKey;

/// A signature algorithm with all its parameters fixed: nothing is left for a message to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(
    missing_docs,
    reason = "each name spells its algorithm, curve or padding, and digest"
)]
#[repr(u8)]
pub enum Scheme {
    HmacSha256,
    HmacSha384,
    HmacSha512,
    RsaPkcs1Sha256,
    RsaPkcs1Sha384,
    RsaPkcs1Sha512,
    RsaPssSha256,
    RsaPssSha384,
    RsaPssSha512,
    EcdsaP256Sha256,
    EcdsaP384Sha384,
    EcdsaP521Sha512,
    EcdsaSecp256k1Sha256,
    Ed25519,
}

/// A public key (or HMAC secret), parsed, checked, and pinned to one scheme.
///
/// There is no constructor from untyped bytes: an RSA or EC public key can never become an HMAC secret,
/// nor the reverse (RFC 8725 §2.1).
pub struct VerifyingKey {
    scheme: Scheme,
    material: Material,
}

/// The parsed forms. Each constructor pairs a scheme with the one form that serves it.
enum Material {
    Hmac(hmac::Secret),
    Public(PublicKey),
    /// A key on a curve that has kernels of its own, which know it by its point.
    Weierstrass(PublicKey, weierstrass::Key),
    /// RSA has one too, for keys of the usual sizes with the usual exponent.
    Rsa(PublicKey, Option<Box<rsa::Constants>>),
    /// And so has Ed25519.
    Ed25519(PublicKey, ed25519::Prepared),
}

/// Why key material was refused. Names the material's fault, never its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// An HMAC secret shorter than its digest (RFC 7518 §3.2).
    #[error("the secret is shorter than the digest, {required_bytes} bytes")]
    SecretTooShort {
        /// The digest's length.
        required_bytes: usize,
    },
    /// An RSA modulus outside the accepted sizes (RFC 7518 §3.3).
    #[error("the RSA modulus has {bits} bits, outside 2048 to 8192")]
    RsaSize {
        /// The modulus' length.
        bits: usize,
    },
    /// An RSA exponent that is even, below 3 or above 2^33.
    #[error("the RSA public exponent is not acceptable")]
    RsaExponent,
    /// A point that is not on its curve, is infinity, or has coordinates of the wrong length.
    #[error("the point is not a valid point of the curve")]
    InvalidPoint,
    /// The material does not fit the scheme it was to be pinned to.
    #[error("the key is of another kind than the algorithm needs")]
    WrongKind,
    /// The material could not be read.
    #[error("the key is malformed: {0}")]
    Malformed(&'static str),
}

impl VerifyingKey {
    /// An HMAC secret (RFC 7518 §3.2).
    ///
    /// # Errors
    /// [`KeyError::SecretTooShort`], or [`KeyError::WrongKind`] for a scheme that is not HMAC.
    pub fn hmac(scheme: Scheme, secret: &[u8]) -> Result<Self, KeyError> {
        let material = Material::Hmac(hmac::Secret::new(scheme, secret)?);
        Ok(Self { scheme, material })
    }

    /// An RSA public key from its big-endian modulus and exponent (RFC 7518 §6.3.1), for PKCS#1 or PSS.
    /// Leading zero octets, which some libraries add, are ignored.
    ///
    /// # Errors
    /// [`KeyError::RsaSize`], [`KeyError::RsaExponent`], [`KeyError::WrongKind`], or
    /// [`KeyError::Malformed`] for an even modulus.
    pub fn rsa(scheme: Scheme, n: &[u8], e: &[u8]) -> Result<Self, KeyError> {
        let (parsed, constants) = rsa::parse(scheme, n, e)?;
        let material = Material::Rsa(parsed, constants);
        Ok(Self { scheme, material })
    }

    /// An elliptic-curve public key from big-endian affine coordinates of the curve's exact length
    /// (RFC 7518 §6.2.1).
    ///
    /// # Errors
    /// [`KeyError::InvalidPoint`], [`KeyError::WrongKind`].
    pub fn ec(scheme: Scheme, x: &[u8], y: &[u8]) -> Result<Self, KeyError> {
        let parsed = ecdsa::parse(scheme, x, y)?;
        let material = match weierstrass::Key::new(scheme, x, y) {
            Some(key) => Material::Weierstrass(parsed, key),
            None => Material::Public(parsed),
        };
        Ok(Self { scheme, material })
    }

    /// An Ed25519 public key in its 32-byte encoding (RFC 8032 §5.1.2). Non-canonical encodings and points
    /// outside the subgroup of prime order, small-order points among them, are refused.
    ///
    /// # Errors
    /// [`KeyError::InvalidPoint`].
    pub fn ed25519(x: &[u8]) -> Result<Self, KeyError> {
        let (parsed, prepared) = ed25519::parse(x)?;
        Ok(Self {
            scheme: Scheme::Ed25519,
            material: Material::Ed25519(parsed, prepared),
        })
    }

    /// Prepares the key for the batch kernels, where its scheme has them, and returns how many bytes of memory
    /// that takes; 0 where there is nothing to prepare. Until then the reference verifies.
    ///
    /// This takes milliseconds, so it belongs off the hot path, and it costs memory as long as the key lives, so it
    /// is for keys that are trusted and in use: a message must not be able to bring it about. A second call
    /// changes nothing.
    pub fn prepare(&self) -> usize {
        match &self.material {
            Material::Weierstrass(_, key) => key.prepare(),
            Material::Ed25519(_, key) => key.prepare(),
            _ => 0,
        }
    }

    /// The scheme this key is pinned to.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }
}

/// Prints the scheme only: a secret must not reach a log, and a public key does not help there.
impl std::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

/// The kernel that verifies batches of ES256 or ES256K under prepared keys on this CPU, by its name in figures.
#[must_use]
pub fn prepared_ecdsa_kernel() -> &'static str {
    weierstrass::batch_kernel_name()
}

/// The kernel that verifies batches under a prepared Ed25519 key on this CPU, by its name in figures.
#[must_use]
pub fn prepared_ed25519_kernel() -> &'static str {
    ed25519::batch_kernel_name()
}

/// The kernel that verifies batches under RSA keys of 2048, 3072 and 4096 bits on this CPU, by its name in figures.
#[must_use]
pub fn rsa_kernel() -> &'static str {
    rsa::batch_kernel_name()
}

impl Scheme {
    /// How many schemes there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Every scheme, in the order of their discriminants.
    pub const ALL: [Self; 14] = [
        Self::HmacSha256,
        Self::HmacSha384,
        Self::HmacSha512,
        Self::RsaPkcs1Sha256,
        Self::RsaPkcs1Sha384,
        Self::RsaPkcs1Sha512,
        Self::RsaPssSha256,
        Self::RsaPssSha384,
        Self::RsaPssSha512,
        Self::EcdsaP256Sha256,
        Self::EcdsaP384Sha384,
        Self::EcdsaP521Sha512,
        Self::EcdsaSecp256k1Sha256,
        Self::Ed25519,
    ];

    /// Whether the scheme is a MAC, whose key is a shared secret.
    #[must_use]
    pub const fn is_hmac(self) -> bool {
        matches!(self, Self::HmacSha256 | Self::HmacSha384 | Self::HmacSha512)
    }

    /// Whether the scheme is one of RSA's, of either padding.
    #[must_use]
    pub const fn is_rsa(self) -> bool {
        matches!(
            self,
            Self::RsaPkcs1Sha256
                | Self::RsaPkcs1Sha384
                | Self::RsaPkcs1Sha512
                | Self::RsaPssSha256
                | Self::RsaPssSha384
                | Self::RsaPssSha512
        )
    }
}

#[cfg(test)]
mod tests;

//! Signature checks over bytes, a batch at a time. It does not know what a token is.
//!
//! A [`VerifyingKey`] is parsed once and pinned to one [`Scheme`]. [`verify_batch`] takes any mix of
//! keys and schemes and gives one [`Outcome`] a check, in order: always one verdict a signature, never a
//! combined equation. A batch of one takes the same path as a batch of many.
//!
//! aws-lc-rs is the reference; faster kernels slot in behind `verify_batch`.
#![forbid(unsafe_code)]

pub mod sha2;

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
pub struct VerifyingKey {
    // helper: scheme + enum of aws-lc-rs parsed forms
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

/// One signature to check.
#[derive(Clone, Copy)]
pub struct Check<'a> {
    /// The key, and with it the scheme.
    pub key: &'a VerifyingKey,
    /// The signed bytes; for a JWS, the signing input.
    pub message: &'a [u8],
    /// The signature in its JOSE form: ECDSA is raw `r || s` (RFC 7518 §3.4).
    pub signature: &'a [u8],
}

/// The outcome of one check. The two values lie 64 bits apart in Hamming distance halves, so that no
/// cleared or single flipped word turns one into the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Outcome {
    /// The signature is the key's over the message.
    Genuine = 0x9e37_79b9_7f4a_7c15,
    /// It is not.
    Forged = 0x61c8_8646_80b5_83ea,
}

impl VerifyingKey {
    /// An HMAC secret (RFC 7518 §3.2).
    ///
    /// # Errors
    /// [`KeyError::SecretTooShort`], or [`KeyError::WrongKind`] for a scheme that is not HMAC.
    pub fn hmac(_scheme: Scheme, _secret: &[u8]) -> Result<Self, KeyError> {
        todo!()
    }
    /// An RSA public key from its big-endian modulus and exponent (RFC 7518 §6.3.1), for PKCS#1 or PSS.
    ///
    /// # Errors
    /// [`KeyError::RsaSize`], [`KeyError::RsaExponent`], [`KeyError::WrongKind`].
    pub fn rsa(_scheme: Scheme, _n: &[u8], _e: &[u8]) -> Result<Self, KeyError> {
        todo!()
    }
    /// An elliptic-curve public key from big-endian affine coordinates of the curve's exact length
    /// (RFC 7518 §6.2.1).
    ///
    /// # Errors
    /// [`KeyError::InvalidPoint`], [`KeyError::WrongKind`].
    pub fn ec(_scheme: Scheme, _x: &[u8], _y: &[u8]) -> Result<Self, KeyError> {
        todo!()
    }
    /// An Ed25519 public key in its 32-byte encoding (RFC 8032 §5.1.2). Small-order and non-canonical
    /// encodings are refused.
    ///
    /// # Errors
    /// [`KeyError::InvalidPoint`].
    pub fn ed25519(_x: &[u8]) -> Result<Self, KeyError> {
        todo!()
    }
    /// The scheme this key is pinned to.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        todo!()
    }
}

/// Checks every signature on its own and puts one outcome a check into `outcomes`, in order; what it held
/// before is cleared.
pub fn verify_batch(_checks: &[Check<'_>], _outcomes: &mut Vec<Outcome>) {
    todo!()
}

/// A rough cost of one check, in nanoseconds of one core, known before any key is looked up: schedulers
/// need to tell an HMAC from a P-521, not to be right. `signature_bytes` tells RSA moduli apart.
#[must_use]
pub fn estimated_cost_ns(_scheme: Scheme, _signature_bytes: usize) -> u64 {
    todo!()
}

//! Signature checks over bytes, a batch at a time. It does not know what a token is.
//!
//! A [`VerifyingKey`] is parsed once and pinned to one [`Scheme`]. [`verify_batch`] takes any mix of
//! keys and schemes and gives one [`Outcome`] a check, in order: always one verdict a signature, never a
//! combined equation. A batch of one takes the same path as a batch of many.
//!
//! aws-lc-rs is the reference; faster kernels slot in behind `verify_batch`.

mod batch;
pub mod blake3;
mod checksum;
mod ecdsa;
mod ed25519;
pub mod encryption;
mod guard;
mod hmac;
mod kernels;
mod pace;
mod reference;
mod rsa;
pub mod sha2;
mod tier;
mod weierstrass;

pub use batch::{Check, Outcome, estimated_cost_ns, verify_batch};
pub use checksum::checksum;
pub use guard::{KernelReport, kernels};
pub use tier::{CEILING_VARIABLE, Tier, ceiling, forced, set_ceiling};

use reference::PublicKey;
use std::sync::atomic::{AtomicU64, Ordering};

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
    genuine: AtomicU64,
}

/// How wide the windows of a key's table are. A wide table takes three times the memory and saves a fifth of the
/// work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableWidth {
    /// For every key in use.
    Usual,
    /// For the hottest.
    Wide,
}

impl TableWidth {
    const ALL: [Self; 2] = [Self::Usual, Self::Wide];
}

/// The parsed forms. Each constructor pairs a scheme with the one form that serves it.
enum Material {
    Hmac(Box<hmac::Secret>),
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
        let material = Material::Hmac(Box::new(hmac::Secret::new(scheme, secret)?));
        Ok(Self::of(scheme, material))
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
        Ok(Self::of(scheme, material))
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
        Ok(Self::of(scheme, material))
    }

    /// An Ed25519 public key in its 32-byte encoding (RFC 8032 §5.1.2). Non-canonical encodings and points
    /// outside the subgroup of prime order, small-order points among them, are refused.
    ///
    /// # Errors
    /// [`KeyError::InvalidPoint`].
    pub fn ed25519(x: &[u8]) -> Result<Self, KeyError> {
        let (parsed, prepared) = ed25519::parse(x)?;
        let material = Material::Ed25519(parsed, prepared);
        Ok(Self::of(Scheme::Ed25519, material))
    }

    fn of(scheme: Scheme, material: Material) -> Self {
        Self {
            scheme,
            material,
            genuine: AtomicU64::new(0),
        }
    }

    /// Prepares the key for the batch kernels, where its scheme has them, and returns how many bytes of memory
    /// that takes; 0 where there is nothing to prepare. Until then the reference verifies.
    ///
    /// This takes milliseconds, so it belongs off the hot path, and it costs memory as long as the key lives, so it
    /// is for keys that are trusted and in use: a message must not be able to bring it about. A second call
    /// changes nothing.
    pub fn prepare(&self) -> usize {
        warm_up(self.scheme);
        match self.table() {
            Some(width) => self.table_bytes(width),
            None => self.build_table(TableWidth::Usual),
        }
    }

    /// Builds the key's table, in place of the one it may have, and returns how many bytes it takes; 0 of a key
    /// that tables are no use for. What [`Self::prepare`] says of time and memory holds.
    pub fn build_table(&self, width: TableWidth) -> usize {
        match &self.material {
            Material::Weierstrass(_, key) => key.build_table(width),
            Material::Ed25519(_, key) => key.build_table(width),
            Material::Hmac(_) | Material::Public(_) | Material::Rsa(..) => {}
        }
        self.table_bytes(width)
    }

    /// Gives up the key's table. Whoever is using it may finish.
    pub fn drop_table(&self) {
        match &self.material {
            Material::Weierstrass(_, key) => key.drop_table(),
            Material::Ed25519(_, key) => key.drop_table(),
            Material::Hmac(_) | Material::Public(_) | Material::Rsa(..) => {}
        }
    }

    /// The width of the key's table, while it has one.
    #[must_use]
    pub fn table(&self) -> Option<TableWidth> {
        match &self.material {
            Material::Weierstrass(_, key) => key.table(),
            Material::Ed25519(_, key) => key.table(),
            Material::Hmac(_) | Material::Public(_) | Material::Rsa(..) => None,
        }
    }

    /// The memory that a table of this width takes, in bytes; 0 where tables are no use.
    #[must_use]
    pub fn table_bytes(&self, width: TableWidth) -> usize {
        match &self.material {
            _ if tier::ceiling() == Tier::AwsLc => 0,
            Material::Weierstrass(_, key) => key.table_bytes(width),
            Material::Ed25519(..) => ed25519::Prepared::table_bytes(width),
            Material::Hmac(_) | Material::Public(_) | Material::Rsa(..) => 0,
        }
    }

    /// Whether the memory of what was made from the key, its table above all, still holds what was written there.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        match &self.material {
            Material::Weierstrass(_, key) => key.is_intact(),
            Material::Ed25519(_, key) => key.is_intact(),
            Material::Rsa(_, constants) => {
                constants.as_deref().is_none_or(rsa::Constants::is_intact)
            }
            Material::Hmac(_) | Material::Public(_) => true,
        }
    }

    /// How many signatures have been found genuine under this key.
    #[must_use]
    pub fn genuine(&self) -> u64 {
        self.genuine.load(Ordering::Relaxed)
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

/// Makes the kernels of a scheme ready for work. Takes milliseconds, once a process; until then the reference
/// verifies.
pub fn warm_up(scheme: Scheme) {
    let has_kernel = |tier| kernels::checks_min(scheme, tier).is_some();
    if tier::ceiling() > Tier::AwsLc && Tier::ALL.into_iter().any(has_kernel) {
        guard::warm_up(scheme);
    }
}

/// The tiers with kernels for a scheme that may be used now, the lowest first; the reference alone where there are
/// none.
#[must_use]
pub fn tiers(scheme: Scheme) -> Vec<Tier> {
    let usable = |tier: &Tier| {
        *tier <= tier::ceiling()
            && (scheme.is_hmac() || kernels::checks_min(scheme, *tier).is_some())
    };
    let ours: Vec<Tier> = Tier::ALL.into_iter().skip(1).filter(usable).collect();
    if ours.is_empty() {
        vec![Tier::AwsLc]
    } else {
        ours
    }
}

/// Finds out from how many signatures on the kernels of a scheme are worth while on this machine, once they have
/// been made ready. Takes milliseconds.
pub fn calibrate(scheme: Scheme) {
    guard::calibrate(scheme);
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

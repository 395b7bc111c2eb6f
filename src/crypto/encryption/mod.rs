//! Authenticated encryption of octets under keys that are managed in one of the ways of RFC 7518 §4, with aws-lc-rs.
//!
//! A [`DecryptionKey`] is parsed once and pinned to one [`KeyManagement`]; a key that encrypts contents itself is pinned
//! to one [`ContentEncryption`] besides. It refuses RSAES-PKCS1-v1_5, whose padding has been an oracle since 1998, and
//! passwords (PBES2), whose work an attacker would choose. There is one way to fail: a wrong key, a wrong point, a
//! padding or a tag that is not right are all [`NotDecrypted`], and take the same way there.
#![forbid(unsafe_code)]

mod agreement;
mod content;
mod decryption;
mod sealing;
#[cfg(test)]
mod tests;
mod wrap;

pub use agreement::{AgreementCurve, AgreementPoint};
pub use decryption::{DecryptionKey, Sealed};
pub use sealing::{ContentKey, EncryptionKey, NotEncrypted, SealedText};

use super::KeyError;
use crate::limits::SIGNATURE_BYTES_MAX;

/// How the key that encrypts a content comes to its reader (RFC 7518 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the registered names are the documentation")]
pub enum KeyManagement {
    RsaOaep,
    RsaOaep256,
    EcdhEs,
    EcdhEsA128Kw,
    EcdhEsA192Kw,
    EcdhEsA256Kw,
    A128Kw,
    A192Kw,
    A256Kw,
    Direct,
}

/// How a content is encrypted and authenticated (RFC 7518 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the registered names are the documentation")]
pub enum ContentEncryption {
    A128CbcHs256,
    A192CbcHs384,
    A256CbcHs512,
    A128Gcm,
    A192Gcm,
    A256Gcm,
}

/// Whatever was wrong: nothing more is said, so that nobody learns from it (RFC 7516 §11.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the content could not be decrypted")]
pub struct NotDecrypted;

impl KeyManagement {
    /// Every one, in the order of RFC 7518 §4.1.
    pub const ALL: [Self; 10] = [
        Self::RsaOaep,
        Self::RsaOaep256,
        Self::EcdhEs,
        Self::EcdhEsA128Kw,
        Self::EcdhEsA192Kw,
        Self::EcdhEsA256Kw,
        Self::A128Kw,
        Self::A192Kw,
        Self::A256Kw,
        Self::Direct,
    ];

    /// The registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RsaOaep => "RSA-OAEP",
            Self::RsaOaep256 => "RSA-OAEP-256",
            Self::EcdhEs => "ECDH-ES",
            Self::EcdhEsA128Kw => "ECDH-ES+A128KW",
            Self::EcdhEsA192Kw => "ECDH-ES+A192KW",
            Self::EcdhEsA256Kw => "ECDH-ES+A256KW",
            Self::A128Kw => "A128KW",
            Self::A192Kw => "A192KW",
            Self::A256Kw => "A256KW",
            Self::Direct => "dir",
        }
    }

    /// The one with this registered name, compared exactly.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// Whether a key is agreed upon with an ephemeral one.
    #[must_use]
    pub const fn is_agreement(self) -> bool {
        matches!(
            self,
            Self::EcdhEs | Self::EcdhEsA128Kw | Self::EcdhEsA192Kw | Self::EcdhEsA256Kw
        )
    }

    /// Whether nothing is sent of the key that encrypts the content (RFC 7516 §5.2, step 10).
    #[must_use]
    pub const fn sends_no_key(self) -> bool {
        matches!(self, Self::EcdhEs | Self::Direct)
    }

    const fn is_rsa(self) -> bool {
        matches!(self, Self::RsaOaep | Self::RsaOaep256)
    }

    /// Octets of the key that wraps, where one does.
    const fn wrapping_bytes(self) -> Option<usize> {
        match self {
            Self::A128Kw | Self::EcdhEsA128Kw => Some(16),
            Self::A192Kw | Self::EcdhEsA192Kw => Some(24),
            Self::A256Kw | Self::EcdhEsA256Kw => Some(32),
            _ => None,
        }
    }

    /// A rough cost of coming to the content's key, in nanoseconds of one core. `encrypted_key_bytes` tells RSA moduli
    /// apart, `curve` curves.
    #[must_use]
    pub fn estimated_cost_ns(
        self,
        curve: Option<AgreementCurve>,
        encrypted_key_bytes: usize,
    ) -> u64 {
        // An RSA private key costs the cube of its length: about 700 µs at 2,048 bits.
        const RSA_2048_NS: u64 = 700_000;
        match self {
            Self::RsaOaep | Self::RsaOaep256 => {
                let bytes = encrypted_key_bytes.clamp(256, SIGNATURE_BYTES_MAX) as u64;
                RSA_2048_NS * bytes * bytes / (256 * 256) * bytes / 256
            }
            Self::EcdhEs | Self::EcdhEsA128Kw | Self::EcdhEsA192Kw | Self::EcdhEsA256Kw => {
                match curve {
                    Some(AgreementCurve::P384) => 350_000,
                    Some(AgreementCurve::P521) => 600_000,
                    _ => 90_000,
                }
            }
            Self::A128Kw | Self::A192Kw | Self::A256Kw | Self::Direct => 5_000,
        }
    }
}

impl std::fmt::Display for KeyManagement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::fmt::Display for ContentEncryption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

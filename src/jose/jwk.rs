//! JSON Web Keys and JWK Sets (RFC 7517, RFC 7518 §6, RFC 8037 §2), and public keys in PEM.

use super::{Algorithm, JoseError};
use crate::crypto::{KeyError, Scheme, VerifyingKey};
use std::sync::Arc;

/// What a key may be used for (`use`, RFC 7517 §4.2, and `key_ops`, §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUse {
    /// Signatures may be verified with it.
    Verify,
    /// Only other things may be done with it.
    Other,
}

/// One key of a set, its material kept as bytes and erased when dropped.
pub struct Jwk {
    /// `kid` (§4.5).
    pub kid: Option<Arc<str>>,
    /// `alg` (§4.4), when it names a JWS algorithm jotd verifies.
    pub alg: Option<Algorithm>,
    /// `use` and `key_ops` together.
    pub key_use: KeyUse,
    // helper: material (rsa/ec/okp/oct, private parts for the issuer and decryption)
}

/// A key of a set that was left out, and why. One bad key never spoils its set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its position in `keys`.
    pub index: usize,
    /// Its `kid`, when that could be read.
    pub kid: Option<String>,
    /// Why, without its material.
    pub why: String,
}

/// A JWK Set (RFC 7517 §5).
pub struct JwkSet {
    /// The keys that could be read.
    pub keys: Vec<Jwk>,
    /// Those that could not.
    pub skipped: Vec<Skipped>,
}

impl JwkSet {
    /// Parses a JWK Set document.
    ///
    /// # Errors
    /// Only where the document is no JWK Set at all: not JSON, no `keys` array, too large.
    pub fn parse(_json: &[u8]) -> Result<Self, JoseError> {
        todo!()
    }
}

impl Jwk {
    /// One JWK document.
    ///
    /// # Errors
    /// [`JoseError`] where it is no usable JWK.
    pub fn parse(_json: &[u8]) -> Result<Self, JoseError> {
        todo!()
    }
    /// A public (or private: its public half is taken) key in PEM: SPKI, PKCS#1, PKCS#8, SEC1, certificate.
    ///
    /// # Errors
    /// [`JoseError::Malformed`].
    pub fn from_pem(_pem: &str) -> Result<Self, JoseError> {
        todo!()
    }
    /// An HMAC secret given as raw bytes.
    #[must_use]
    pub fn from_secret(_secret: &[u8]) -> Self {
        todo!()
    }
    /// The schemes that this key's material could serve, before any policy.
    #[must_use]
    pub fn schemes(&self) -> &'static [Scheme] {
        todo!()
    }
    /// The key pinned to one scheme.
    ///
    /// # Errors
    /// [`KeyError`] where the material does not fit or is too weak.
    pub fn verifying_key(&self, _scheme: Scheme) -> Result<VerifyingKey, KeyError> {
        todo!()
    }
    /// The RFC 7638 SHA-256 thumbprint, base64url.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        todo!()
    }
}

//! The doors through which private keys leave, for key files that only their owner can read.
#![forbid(unsafe_code)]

use super::{SigningError, SigningKey};
use crate::jose;
use der::SecretDocument;
use der::pem::LineEnding;
use zeroize::Zeroizing;

/// The whole key as a private JWK, with `kid`, `alg` and `use`.
///
/// # Errors
/// None for a key of this room, which always has its private part.
pub fn to_private_jwk(key: &SigningKey) -> Result<Zeroizing<String>, SigningError> {
    jose::danger::to_private_json(&key.jwk).ok_or(SigningError::PublicOnly)
}

/// The private key as PKCS#8 in PEM (RFC 5958, RFC 7468 §10); `None` for an HMAC secret, for which there is
/// no such form. PEM names neither `kid` nor `alg`.
///
/// # Errors
/// [`SigningError::Library`] where the key cannot be encoded.
pub fn to_private_pem(key: &SigningKey) -> Result<Option<Zeroizing<String>>, SigningError> {
    let Some(der) = key.signer.to_pkcs8()? else {
        return Ok(None);
    };
    pem(&der).map(Some)
}

/// PKCS#8 DER in PEM.
pub(super) fn pem(pkcs8: &[u8]) -> Result<Zeroizing<String>, SigningError> {
    SecretDocument::try_from(pkcs8)
        .and_then(|document| document.to_pem("PRIVATE KEY", LineEnding::LF))
        .map_err(|_| SigningError::Library)
}

//! Which Ed25519 public keys are accepted (RFC 8032 §5.1, RFC 8037 §2).
#![forbid(unsafe_code)]

use super::KeyError;
use super::reference::PublicKey;
use aws_lc_rs::signature::{ED25519, ParsedPublicKey};

/// An Ed25519 signature is `R || S`, 32 bytes each (RFC 8032 §5.1.6).
const SIGNATURE_BYTES: usize = 64;

/// Parses a public key.
pub(super) fn parse(encoding: &[u8]) -> Result<PublicKey, KeyError> {
    let encoding: &[u8; 32] = encoding.try_into().map_err(|_| KeyError::InvalidPoint)?;
    parse_below_policy(encoding)
}

/// Parses a public key with no rule but aws-lc-rs' own, which has none beyond the length.
fn parse_below_policy(encoding: &[u8; 32]) -> Result<PublicKey, KeyError> {
    let parsed = ParsedPublicKey::new(&ED25519, encoding).map_err(|_| KeyError::InvalidPoint)?;
    Ok(PublicKey::new(parsed, SIGNATURE_BYTES))
}

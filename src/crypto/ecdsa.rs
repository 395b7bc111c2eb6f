//! Which ECDSA public keys are accepted (RFC 7518 §3.4, §6.2.1; RFC 8812 §3), on P-256, P-384, P-521 and
//! secp256k1.
//!
//! Refuses coordinates of another length than the curve's, coordinates not below the field's prime, and
//! points off the curve; infinity has no affine coordinates, so it cannot even be written. Signatures are
//! raw `r || s` of exactly twice the curve's length, DER refused, with both in [1, n - 1].
#![forbid(unsafe_code)]

use super::reference::PublicKey;
use super::{KeyError, Scheme};
use aws_lc_rs::signature::{self, EcdsaVerificationAlgorithm, ParsedPublicKey};

/// Parses a public key for one of the ECDSA schemes.
pub(super) fn parse(scheme: Scheme, x: &[u8], y: &[u8]) -> Result<PublicKey, KeyError> {
    let curve = curve(scheme).ok_or(KeyError::WrongKind)?;
    // RFC 7518 §6.2.1.2: "The length of this octet string MUST be the full size of a coordinate for the
    // curve specified in the "crv" parameter."
    if x.len() != curve.coordinate_bytes || y.len() != curve.coordinate_bytes {
        return Err(KeyError::InvalidPoint);
    }
    let mut point = Vec::with_capacity(1 + 2 * curve.coordinate_bytes);
    // SEC 1 §2.3.3, the uncompressed form.
    point.push(4);
    point.extend_from_slice(x);
    point.extend_from_slice(y);
    let parsed =
        ParsedPublicKey::new(curve.algorithm, &point).map_err(|_| KeyError::InvalidPoint)?;
    Ok(PublicKey::new(parsed, 2 * curve.coordinate_bytes))
}

struct Curve {
    algorithm: &'static EcdsaVerificationAlgorithm,
    coordinate_bytes: usize,
}

fn curve(scheme: Scheme) -> Option<Curve> {
    let (algorithm, coordinate_bytes) = match scheme {
        Scheme::EcdsaP256Sha256 => (&signature::ECDSA_P256_SHA256_FIXED, 32),
        Scheme::EcdsaP384Sha384 => (&signature::ECDSA_P384_SHA384_FIXED, 48),
        Scheme::EcdsaP521Sha512 => (&signature::ECDSA_P521_SHA512_FIXED, 66),
        Scheme::EcdsaSecp256k1Sha256 => (&signature::ECDSA_P256K1_SHA256_FIXED, 32),
        _ => return None,
    };
    Some(Curve {
        algorithm,
        coordinate_bytes,
    })
}

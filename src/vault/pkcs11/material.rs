//! What a module calls a key, as what JOSE calls it: attributes to a public JWK, algorithms to mechanisms.

use super::module::fault;
use crate::encoding::base64url;
use crate::jose::{Algorithm, Curve, Jwk};
use crate::vault::VaultError;
use aws_lc_rs::digest;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use der::Decode;
use der::asn1::{OctetString, PrintableStringRef};
use std::borrow::Cow;

/// How PKCS#11 names a curve in `CKA_EC_PARAMS`: DER, mostly of an object identifier.
pub(super) fn curve_parameters(algorithm: Algorithm) -> Option<&'static [u8]> {
    Some(match algorithm {
        Algorithm::Es256 => P256_OID,
        Algorithm::Es384 => P384_OID,
        Algorithm::Es512 => P521_OID,
        Algorithm::Es256k => SECP256K1_OID,
        Algorithm::EdDsa | Algorithm::Ed25519 => ED25519_OID,
        _ => return None,
    })
}

const P256_OID: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const P384_OID: &[u8] = b"\x06\x05\x2b\x81\x04\x00\x22";
const P521_OID: &[u8] = b"\x06\x05\x2b\x81\x04\x00\x23";
const SECP256K1_OID: &[u8] = b"\x06\x05\x2b\x81\x04\x00\x0a";
const ED25519_OID: &[u8] = b"\x06\x03\x2b\x65\x70";

/// An RSA key (RFC 7518 §6.3.1).
pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Jwk, VaultError> {
    // RFC 7518 §2: Base64urlUInt has no leading zero octets; PKCS#11 may.
    let plain = |number: &[u8]| {
        let zeros = number.iter().take_while(|octet| **octet == 0).count();
        base64url::encode_string(number.get(zeros..).unwrap_or_default())
    };
    let (n, e) = (plain(modulus), plain(exponent));
    jwk(&format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}"}}"#))
}

/// A key of an elliptic curve (RFC 7518 §6.2.1, RFC 8037 §2).
pub(super) fn elliptic(parameters: &[u8], point: &[u8]) -> Result<Jwk, VaultError> {
    // PKCS#11 2.40 wraps the point in an OCTET STRING; there are modules that do not.
    let point = match OctetString::from_der(point) {
        Ok(wrapped) => wrapped.as_bytes().to_vec(),
        Err(_) => point.to_vec(),
    };
    if is_ed25519(parameters) {
        let x = base64url::encode_string(&point);
        return jwk(&format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#));
    }
    let curve = match parameters {
        P256_OID => Curve::P256,
        P384_OID => Curve::P384,
        P521_OID => Curve::P521,
        SECP256K1_OID => Curve::Secp256k1,
        _ => return Err(fault("the key's curve is not one of JOSE")),
    };
    let coordinates = point.strip_prefix(&[4]);
    let coordinates = coordinates.filter(|both| both.len() == 2 * curve.coordinate_bytes());
    let (x, y) = coordinates
        .ok_or_else(|| fault("the key's point is not an uncompressed one of its curve"))?
        .split_at(curve.coordinate_bytes());
    let (x, y) = (base64url::encode_string(x), base64url::encode_string(y));
    let crv = curve.name();
    jwk(&format!(
        r#"{{"kty":"EC","crv":"{crv}","x":"{x}","y":"{y}"}}"#
    ))
}

fn is_ed25519(parameters: &[u8]) -> bool {
    let named = PrintableStringRef::from_der(parameters);
    parameters == ED25519_OID || named.is_ok_and(|name| name.as_str() == "edwards25519")
}

fn jwk(json: &str) -> Result<Jwk, VaultError> {
    Jwk::parse(json.as_bytes()).map_err(|error| fault(&format!("the key's public half: {error}")))
}

/// The mechanism of an algorithm, and what it is given of a message: ECDSA's raw one wants the digest.
pub(super) fn mechanism(
    algorithm: Algorithm,
    message: &[u8],
) -> Result<(Mechanism<'static>, Cow<'_, [u8]>), VaultError> {
    // RFC 7518 §3.5: the salt is as long as the hash, and MGF1 uses the same hash.
    let pss = |hash_alg, mgf, salt_bytes: u64| PkcsPssParams {
        hash_alg,
        mgf,
        s_len: salt_bytes.into(),
    };
    let whole = Cow::Borrowed(message);
    let hashed = |with| Cow::Owned(digest::digest(with, message).as_ref().to_vec());
    Ok(match algorithm {
        Algorithm::Rs256 => (Mechanism::Sha256RsaPkcs, whole),
        Algorithm::Rs384 => (Mechanism::Sha384RsaPkcs, whole),
        Algorithm::Rs512 => (Mechanism::Sha512RsaPkcs, whole),
        Algorithm::Ps256 => {
            let pss = pss(MechanismType::SHA256, PkcsMgfType::MGF1_SHA256, 32);
            (Mechanism::Sha256RsaPkcsPss(pss), whole)
        }
        Algorithm::Ps384 => {
            let pss = pss(MechanismType::SHA384, PkcsMgfType::MGF1_SHA384, 48);
            (Mechanism::Sha384RsaPkcsPss(pss), whole)
        }
        Algorithm::Ps512 => {
            let pss = pss(MechanismType::SHA512, PkcsMgfType::MGF1_SHA512, 64);
            (Mechanism::Sha512RsaPkcsPss(pss), whole)
        }
        Algorithm::Es256 | Algorithm::Es256k => (Mechanism::Ecdsa, hashed(&digest::SHA256)),
        Algorithm::Es384 => (Mechanism::Ecdsa, hashed(&digest::SHA384)),
        Algorithm::Es512 => (Mechanism::Ecdsa, hashed(&digest::SHA512)),
        Algorithm::EdDsa | Algorithm::Ed25519 => {
            let pure = EddsaParams::new(EddsaSignatureScheme::Pure);
            (Mechanism::Eddsa(pure), whole)
        }
        Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => {
            return Err(fault("secrets are not kept in modules"));
        }
    })
}

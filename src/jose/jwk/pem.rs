//! Keys in PEM (RFC 7468): SPKI, PKCS#1, PKCS#8, SEC1, and the public key of a certificate.

use super::material::{Curve, Ec, Material, Rsa, RsaPrivate};
use aws_lc_rs::agreement;
use aws_lc_rs::signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair};
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier};
use der::{Decode, Reader, SecretDocument, SliceReader};
use pkcs1::{RsaPrivateKeyRef, RsaPublicKeyRef};
use pkcs8::PrivateKeyInfoRef;
use sec1::EcPrivateKey;
use spki::SubjectPublicKeyInfoRef;
use zeroize::Zeroizing;

const NO_KEY: &str = "there is no PEM block with a key";
const BROKEN: &str = "the PEM block is broken";
const BROKEN_DER: &str = "the key's DER is broken";
const UNSUPPORTED: &str = "the key is of a kind that jotd does not verify with";
const ENCRYPTED: &str = "the private key is encrypted";

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const X25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.110");

/// The first block that holds a key.
pub(super) fn parse(pem: &str) -> Result<Material, &'static str> {
    for block in blocks(pem) {
        let label = label(block).ok_or(BROKEN)?;
        if label == "EC PARAMETERS" {
            continue;
        }
        let (_, document) = SecretDocument::from_pem(block).map_err(|_| BROKEN)?;
        let der = document.as_bytes();
        return match label {
            "PUBLIC KEY" => spki(SubjectPublicKeyInfoRef::from_der(der).map_err(broken)?),
            "RSA PUBLIC KEY" => rsa_public(der),
            "RSA PRIVATE KEY" => rsa_private(der),
            "PRIVATE KEY" => pkcs8(der),
            "EC PRIVATE KEY" => sec1(der, None),
            "CERTIFICATE" => certificate(der),
            "ENCRYPTED PRIVATE KEY" => Err(ENCRYPTED),
            _ => Err(NO_KEY),
        };
    }
    Err(NO_KEY)
}

/// The PEM blocks of a text, each from its `-----BEGIN` line to its `-----END` line.
fn blocks(pem: &str) -> impl Iterator<Item = &str> {
    const END: &str = "-----END ";
    const DASHES: &str = "-----";
    let mut rest = pem;
    std::iter::from_fn(move || {
        let block = rest.get(rest.find("-----BEGIN ")?..)?;
        let end = block.find(END)? + END.len();
        let length = end + block.get(end..)?.find(DASHES)? + DASHES.len();
        rest = block.get(length..)?;
        block.get(..length)
    })
}

fn label(block: &str) -> Option<&str> {
    let (label, _) = block.strip_prefix("-----BEGIN ")?.split_once("-----")?;
    Some(label)
}

fn spki(info: SubjectPublicKeyInfoRef<'_>) -> Result<Material, &'static str> {
    let key = info.subject_public_key.as_bytes().ok_or(BROKEN_DER)?;
    match info.algorithm.oid {
        RSA_ENCRYPTION => rsa_public(key),
        EC_PUBLIC_KEY => {
            let parameters = info.algorithm.parameters.ok_or(BROKEN_DER)?;
            let curve = curve(parameters.decode_as().map_err(broken)?)?;
            Ok(Material::Ec(ec_point(curve, key)?))
        }
        ED25519 => Ok(Material::Ed25519 {
            x: <[u8; 32]>::try_from(key).map_err(|_| BROKEN_DER)?,
            d: None,
        }),
        X25519 => Ok(Material::X25519 {
            x: <[u8; 32]>::try_from(key).map_err(|_| BROKEN_DER)?,
            d: None,
        }),
        _ => Err(UNSUPPORTED),
    }
}

fn rsa_public(der: &[u8]) -> Result<Material, &'static str> {
    let key = RsaPublicKeyRef::from_der(der).map_err(broken)?;
    Ok(Material::Rsa(Rsa {
        n: key.modulus.as_bytes().to_vec(),
        e: key.public_exponent.as_bytes().to_vec(),
        private: None,
    }))
}

fn rsa_private(der: &[u8]) -> Result<Material, &'static str> {
    let key = RsaPrivateKeyRef::from_der(der).map_err(broken)?;
    if key.other_prime_infos.is_some() {
        return Err("RSA keys of more than two primes are not supported");
    }
    let crt = [
        key.prime1,
        key.prime2,
        key.exponent1,
        key.exponent2,
        key.coefficient,
    ];
    Ok(Material::Rsa(Rsa {
        n: key.modulus.as_bytes().to_vec(),
        e: key.public_exponent.as_bytes().to_vec(),
        private: Some(RsaPrivate {
            d: Zeroizing::new(key.private_exponent.as_bytes().to_vec()),
            crt: Some(crt.map(|value| Zeroizing::new(value.as_bytes().to_vec()))),
        }),
    }))
}

fn pkcs8(der: &[u8]) -> Result<Material, &'static str> {
    let info = PrivateKeyInfoRef::from_der(der).map_err(broken)?;
    let key = info.private_key.as_bytes();
    match info.algorithm.oid {
        RSA_ENCRYPTION => rsa_private(key),
        EC_PUBLIC_KEY => {
            let parameters = info.algorithm.parameters.ok_or(BROKEN_DER)?;
            sec1(key, Some(curve(parameters.decode_as().map_err(broken)?)?))
        }
        ED25519 => {
            // RFC 8410 §7: CurvePrivateKey is an OCTET STRING within the OCTET STRING.
            let seed = <&der::asn1::OctetStringRef>::from_der(key).map_err(broken)?;
            let d = Zeroizing::new(seed.as_bytes().to_vec());
            let pair = Ed25519KeyPair::from_seed_unchecked(&d).map_err(|_| BROKEN_DER)?;
            Ok(Material::Ed25519 {
                x: <[u8; 32]>::try_from(pair.public_key().as_ref()).map_err(|_| BROKEN_DER)?,
                d: Some(d),
            })
        }
        X25519 => {
            let scalar = <&der::asn1::OctetStringRef>::from_der(key).map_err(broken)?;
            let d = Zeroizing::new(scalar.as_bytes().to_vec());
            let private = agreement::PrivateKey::from_private_key(&agreement::X25519, &d)
                .map_err(|_| BROKEN_DER)?;
            let public = private.compute_public_key().map_err(|_| BROKEN_DER)?;
            Ok(Material::X25519 {
                x: <[u8; 32]>::try_from(public.as_ref()).map_err(|_| BROKEN_DER)?,
                d: Some(d),
            })
        }
        _ => Err(UNSUPPORTED),
    }
}

/// RFC 5915. The curve comes from PKCS#8 or from the key itself; the public point is computed from the
/// private scalar, whether the key carries one or not, so that the two cannot disagree.
fn sec1(der: &[u8], outer: Option<Curve>) -> Result<Material, &'static str> {
    let key = EcPrivateKey::from_der(der).map_err(broken)?;
    let inner = match key.parameters {
        Some(parameters) => Some(curve(parameters.named_curve().ok_or(UNSUPPORTED)?)?),
        None => None,
    };
    let curve = match (outer, inner) {
        (Some(outer), Some(inner)) if outer != inner => return Err(BROKEN_DER),
        (Some(curve), _) | (None, Some(curve)) => curve,
        (None, None) => return Err("the EC key names no curve"),
    };
    let pair = EcdsaKeyPair::from_private_key_der(signing_algorithm(curve), der);
    let pair = pair.map_err(|_| "the EC private key does not fit its curve")?;
    let mut ec = ec_point(curve, pair.public_key().as_ref())?;
    ec.d = Some(Zeroizing::new(key.private_key.to_vec()));
    Ok(Material::Ec(ec))
}

/// RFC 5280 §4.1: walks to subjectPublicKeyInfo. Only the key is taken; who vouches for it is the
/// operator, who named the file.
fn certificate(der: &[u8]) -> Result<Material, &'static str> {
    let mut reader = SliceReader::new(der).map_err(broken)?;
    let info: Result<_, der::Error> = reader.sequence(|certificate| {
        let info = certificate.sequence(|tbs| {
            let version: AnyRef<'_> = tbs.decode()?;
            // The version is explicitly tagged [0]; without it this was the serial number.
            if version.value().is_empty() || !is_context_tag(&version) {
                return Err(der::ErrorKind::Failed.into());
            }
            for _serial_signature_issuer_validity_subject in 0..5 {
                tbs.tlv_bytes()?;
            }
            let info = SubjectPublicKeyInfoRef::decode(tbs)?;
            while !tbs.is_finished() {
                tbs.tlv_bytes()?;
            }
            Ok::<_, der::Error>(info)
        })?;
        let _signature_algorithm = certificate.tlv_bytes()?;
        let _signature: BitStringRef<'_> = certificate.decode()?;
        Ok(info)
    });
    spki(info.map_err(broken)?)
}

fn is_context_tag(value: &AnyRef<'_>) -> bool {
    use der::Tagged;
    value.tag().is_context_specific()
}

/// SEC 1 §2.3.3: an uncompressed point.
fn ec_point(curve: Curve, point: &[u8]) -> Result<Ec, &'static str> {
    let length = curve.coordinate_bytes();
    match point.split_first() {
        Some((4, coordinates)) if coordinates.len() == 2 * length => {
            let (x, y) = coordinates.split_at(length);
            Ok(Ec {
                curve,
                x: x.to_vec(),
                y: y.to_vec(),
                d: None,
            })
        }
        Some((2 | 3, _)) => Err("compressed EC points are not supported"),
        _ => Err("the EC point is malformed"),
    }
}

fn curve(oid: ObjectIdentifier) -> Result<Curve, &'static str> {
    const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
    const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
    const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
    const SECP256K1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.10");
    match oid {
        P256 => Ok(Curve::P256),
        P384 => Ok(Curve::P384),
        P521 => Ok(Curve::P521),
        SECP256K1 => Ok(Curve::Secp256k1),
        _ => Err("the curve is not one for signatures that jotd verifies"),
    }
}

fn signing_algorithm(curve: Curve) -> &'static EcdsaSigningAlgorithm {
    match curve {
        Curve::P256 => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        Curve::P384 => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
        Curve::P521 => &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
        Curve::Secp256k1 => &signature::ECDSA_P256K1_SHA256_FIXED_SIGNING,
    }
}

fn broken<E>(_: E) -> &'static str {
    BROKEN_DER
}

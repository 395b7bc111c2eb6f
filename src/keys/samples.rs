//! Public keys for tests.

use super::{KeySet, Owner};
use crate::crypto::Scheme;
use crate::jose::JwkSet;

/// Points of RFC 7517 §A.1, RFC 7515 §A.3 and RFC 7518 §C.
const POINTS: [(&str, &str); 3] = [
    (
        "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
    ),
    (
        "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    ),
    (
        "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
        "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps",
    ),
];

/// A P-256 key of this name, made of one of three points.
pub fn jwk(kid: &str, point: usize) -> String {
    let (x, y) = POINTS[point];
    format!(r#"{{"kty":"EC","crv":"P-256","kid":"{kid}","x":"{x}","y":"{y}"}}"#)
}

/// A set of P-256 keys, given as JWKs.
pub fn set(keys: &[&String]) -> KeySet {
    let keys: Vec<&str> = keys.iter().map(|key| key.as_str()).collect();
    let jwks = format!("{{\"keys\":[{}]}}", keys.join(","));
    let jwks = JwkSet::parse(jwks.as_bytes()).expect("a set");
    let owner = Owner {
        issuer: "acme".into(),
        tenant: "default".into(),
    };
    let (set, skipped) = KeySet::pin(&owner, &jwks, &[Scheme::EcdsaP256Sha256]);
    assert_eq!(skipped, [], "every test key is usable");
    set
}

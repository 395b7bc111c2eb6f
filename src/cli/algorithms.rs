//! Algorithm names as command-line values, with clap's suggestions for misspelt ones.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use jotd::crypto::Scheme;
use jotd::jose::{Algorithm, ContentEncryption, Jwk, KeyManagement};

/// Key management algorithms of encrypted tokens (RFC 7518 §4.1).
pub(super) const JWE_ALGORITHMS: [&str; 13] = [
    "RSA-OAEP",
    "RSA-OAEP-256",
    "ECDH-ES",
    "ECDH-ES+A128KW",
    "ECDH-ES+A192KW",
    "ECDH-ES+A256KW",
    "A128KW",
    "A192KW",
    "A256KW",
    "A128GCMKW",
    "A192GCMKW",
    "A256GCMKW",
    "dir",
];

/// Content encryption algorithms of encrypted tokens (RFC 7518 §5.1).
pub(super) const JWE_ENCODINGS: [&str; 6] = [
    "A128CBC-HS256",
    "A192CBC-HS384",
    "A256CBC-HS512",
    "A128GCM",
    "A192GCM",
    "A256GCM",
];

/// Says of an algorithm for encryption that it is not offered.
pub(super) fn not_offered(name: &str) -> String {
    format!("{name} is not offered: tokens that are encrypted by it are refused as unsupported_alg")
}

/// Parses the registered name of a way of managing keys.
pub(super) fn management_parser() -> impl TypedValueParser<Value = KeyManagement> {
    PossibleValuesParser::new(KeyManagement::ALL.map(KeyManagement::name)).map(|name| {
        KeyManagement::from_name(&name).expect("clap lets only the names above through")
    })
}

/// Parses the registered name of a content encryption.
pub(super) fn encoding_parser() -> impl TypedValueParser<Value = ContentEncryption> {
    PossibleValuesParser::new(ContentEncryption::ALL.map(ContentEncryption::name)).map(|name| {
        ContentEncryption::from_name(&name).expect("clap lets only the names above through")
    })
}

/// Parses the registered name of a signature algorithm. `none` is not among them.
pub(super) fn parser() -> impl TypedValueParser<Value = Algorithm> {
    PossibleValuesParser::new(Algorithm::ALL.map(Algorithm::name))
        .map(|name| Algorithm::from_name(&name).expect("clap lets only the names above through"))
}

/// The scheme a key is used with where nobody says otherwise: that of its `alg`, else the usual one of its
/// type. RS256 comes first among RSA's, and each curve has a single one; a symmetric key has none.
pub(super) fn usual_scheme(key: &Jwk) -> Option<Scheme> {
    key.alg.map(Algorithm::scheme).or_else(|| {
        let scheme = *key.schemes().iter().min()?;
        (!scheme.is_hmac()).then_some(scheme)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_s_own_alg_decides_and_a_nameless_symmetric_key_is_not_guessed_at() {
        let usual = |json: &str| usual_scheme(&Jwk::parse(json.as_bytes()).expect("a JWK"));
        // 341 characters of modulus, and one whose trailing bits are zero.
        let n = "z".repeat(341) + "w";
        let rsa = format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB"}}"#);
        assert_eq!(usual(&rsa), Some(Scheme::RsaPkcs1Sha256));
        let pss = format!(r#"{{"kty":"RSA","alg":"PS384","n":"{n}","e":"AQAB"}}"#);
        assert_eq!(usual(&pss), Some(Scheme::RsaPssSha384));
        let k = "A".repeat(86);
        assert_eq!(usual(&format!(r#"{{"kty":"oct","k":"{k}"}}"#)), None);
        assert_eq!(
            usual(&format!(r#"{{"kty":"oct","alg":"HS512","k":"{k}"}}"#)),
            Some(Scheme::HmacSha512)
        );
    }
}

//! Algorithm names as command-line values, with clap's suggestions for misspelt ones.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use jotd::jose::Algorithm;

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

/// Parses the registered name of a signature algorithm. `none` is not among them.
pub(super) fn parser() -> impl TypedValueParser<Value = Algorithm> {
    PossibleValuesParser::new(Algorithm::ALL.map(Algorithm::name)).map(|name| {
        Algorithm::from_name(&name).expect("clap lets only the names above through")
    })
}

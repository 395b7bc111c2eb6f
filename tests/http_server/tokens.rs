//! Tokens of the issuer that the tests' daemon trusts, and of some that it does not.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// When the tests' clock stands still.
pub(crate) const NOW: i64 = 1_800_000_000;

/// The `iss` that the daemon trusts.
pub(crate) const ISS: &str = "https://acme.example";

/// The `iss` whose keys the daemon still waits for.
pub(crate) const ISS_AWAITED: &str = "https://late.example";

/// HS256 wants 32 bytes at least (RFC 7518 §3.2).
pub(crate) const SECRET: [u8; 32] = [7; 32];

/// Claims that satisfy the issuer's policy.
pub(crate) fn claims() -> Value {
    json!({"iss": ISS, "aud": "payments", "sub": "alice", "exp": NOW + 812, "iat": NOW})
}

/// A good token.
pub(crate) fn good() -> String {
    signed(&claims())
}

/// A good token that differs from every other number's.
pub(crate) fn good_number(number: usize) -> String {
    let mut claims = claims();
    claims["jti"] = number.into();
    claims["jti"] = number.to_string().into();
    signed(&claims)
}

/// A token that expired twelve seconds before the leeway began.
pub(crate) fn expired() -> String {
    let mut claims = claims();
    claims["exp"] = (NOW - 100).into();
    signed(&claims)
}

/// A good token with the last characters of its signature changed.
pub(crate) fn forged() -> String {
    let mut token = good();
    let last = token.split_off(token.len() - 6);
    token + if last == "AAAAAA" { "BBBBBA" } else { "AAAAAA" }
}

/// A token of the issuer whose keys have not arrived.
pub(crate) fn undecidable() -> String {
    let mut claims = claims();
    claims["iss"] = ISS_AWAITED.into();
    signed(&claims)
}

/// A token with these claims, signed with [`SECRET`].
pub(crate) fn signed(claims: &Value) -> String {
    let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let input = format!(
        "{}.{}",
        encode(&json!({"alg": "HS256", "kid": "h1"})),
        encode(claims)
    );
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &SECRET);
    let tag = aws_lc_rs::hmac::sign(&key, input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
}

/// The issuer's key set: the secret, and a public key (RFC 7515 appendix A.3).
pub(crate) fn jwks() -> String {
    let ec = json!({
        "kty": "EC", "crv": "P-256", "kid": "e1", "alg": "ES256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    let oct = json!({
        "kty": "oct", "kid": "h1", "alg": "HS256", "k": URL_SAFE_NO_PAD.encode(SECRET),
    });
    json!({"keys": [oct, ec]}).to_string()
}

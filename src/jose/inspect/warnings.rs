//! What a reader of a token should be told about it.

use super::dates::Span;
use super::{Form, Inspection};
use crate::clock::Now;
use crate::crypto::Scheme;
use crate::encoding::base64url;
use crate::encoding::json::Object;
use crate::jose::header::short_media_type;
use crate::jose::{Algorithm, Claims, ContentEncryption, KeyManagement};

/// A life longer than this is worth a word: such a token outlasts most keys it could be checked with.
const LIFE_SECONDS_LONG: i64 = 7 * 86_400;

pub(super) fn of(inspection: &Inspection, segments: &[&[u8]], now: Now) -> Vec<String> {
    let mut warnings = Vec::new();
    if inspection.form == Form::Jwe {
        warnings
            .push("it is encrypted (JWE): the claims cannot be read without the key".to_owned());
    }
    if let Some(header) = inspection.header_object() {
        if inspection.form == Form::Jwe {
            of_jwe_header(&header, &mut warnings);
        } else {
            of_header(&header, &mut warnings);
        }
        of_carried_keys(&header, &mut warnings);
        if inspection.form == Form::Jws {
            of_signature(&header, segments, &mut warnings);
        }
    }
    if let Some(claims) = inspection.claims_object() {
        of_claims(&claims, now, &mut warnings);
    }
    warnings
}

fn of_header(header: &Object<'_>, warnings: &mut Vec<String>) {
    let mut warn = |text: &str| warnings.push(text.to_owned());
    let alg = header.get("alg").and_then(|value| value.as_str());
    match alg.as_deref() {
        None => warn("alg is missing: the header does not say how it is signed"),
        Some(alg) if alg.eq_ignore_ascii_case("none") => {
            warn("alg is none: it is not signed, and anyone can write such a token");
        }
        Some(alg) if header.get("enc").is_none() => match Algorithm::from_name(alg) {
            None => warn("alg is not one that jotd verifies"),
            Some(Algorithm::EdDsa) => {
                warn("alg EdDSA does not name its curve; RFC 9864 prefers Ed25519");
            }
            Some(alg) if is_symmetric(alg) => {
                warn("alg is symmetric: whoever can verify such tokens can also make them");
            }
            Some(_) => {}
        },
        Some(_) => {}
    }
    for (name, text) in [
        (
            "crit",
            "crit is present: jotd understands no extension and refuses the token",
        ),
        ("b64", "b64 is present: RFC 7797 forbids it in a JWT"),
        ("zip", "zip is present: a JWS has no compression"),
    ] {
        if header.get(name).is_some() {
            warn(text);
        }
    }
    if header.get("cty").is_some_and(|value| {
        value
            .as_str()
            .is_some_and(|cty| cty.eq_ignore_ascii_case("JWT"))
    }) {
        warn("cty is JWT: the payload is another token, which jotd does not unwrap");
    }
    if header.get("typ").is_none() {
        warn("typ is missing: nothing tells this kind of token from another (RFC 8725 §3.11)");
    }
    match header.get("kid").and_then(|value| value.as_str()) {
        None => warn("kid is missing: the key must be guessed from the algorithm"),
        Some(kid) if kid.contains("..") || kid.contains(['/', '\'', '"', ';', '\\', '<', '|']) => {
            warn(
                "kid looks like a path, an address or a query: jotd uses it to look keys up and for nothing else",
            );
        }
        Some(_) => {}
    }
}

/// A token does not get to choose what it is verified or decrypted with (RFC 8725 §3.10).
fn of_carried_keys(header: &Object<'_>, warnings: &mut Vec<String>) {
    for (name, text) in [
        (
            "jku",
            "jku is present: it would name the keys' address; jotd never follows it",
        ),
        (
            "jwk",
            "jwk is present: it would bring its own key; jotd never uses it",
        ),
        (
            "x5u",
            "x5u is present: it would name the certificate's address; jotd never follows it",
        ),
        (
            "x5c",
            "x5c is present: it would bring its own certificate; jotd never uses it",
        ),
    ] {
        if header.get(name).is_some() {
            warnings.push(text.to_owned());
        }
    }
}

/// What is unwise about the outside of an encrypted token, or will surprise.
fn of_jwe_header(header: &Object<'_>, warnings: &mut Vec<String>) {
    let mut warn = |text: &str| warnings.push(text.to_owned());
    let text = |name: &str| header.get(name).and_then(|value| value.as_str());
    match text("alg").as_deref() {
        None => warn("alg is missing: the header does not say how the content's key is encrypted"),
        Some("RSA1_5") => warn(
            "alg is RSA1_5, which jotd does not offer: its padding tells an attacker what the key says",
        ),
        Some(alg) if alg.starts_with("PBES2") => {
            warn("alg is PBES2, which jotd does not offer: a password is no key");
        }
        Some(alg) => match KeyManagement::from_name(alg) {
            None => warn("alg is not one that jotd decrypts by"),
            Some(
                KeyManagement::Direct
                | KeyManagement::A128Kw
                | KeyManagement::A192Kw
                | KeyManagement::A256Kw,
            ) => warn(
                "alg is symmetric: whoever can read such tokens can also write them; only the signature inside counts",
            ),
            Some(_) => {}
        },
    }
    match text("enc").as_deref().map(ContentEncryption::from_name) {
        None => warn("enc is missing: the header does not say how the content is encrypted"),
        Some(None) => warn("enc is not one that jotd decrypts"),
        Some(Some(_)) => {}
    }
    let cty = text("cty");
    if !cty.is_some_and(|cty| short_media_type(&cty).eq_ignore_ascii_case("JWT")) {
        warn(
            "cty is not JWT: what is inside does not say that it is signed, and jotd takes nothing else",
        );
    }
    if header.get("zip").is_some() {
        warn(
            "zip is present: the content is compressed, which jotd refuses unless it is asked for",
        );
    }
    if header.get("crit").is_some() {
        warn("crit is present: jotd understands no extension and refuses the token");
    }
    if header.get("kid").is_none() {
        warn("kid is missing: the key must be guessed from the algorithm");
    }
}

fn is_symmetric(alg: Algorithm) -> bool {
    matches!(
        alg.scheme(),
        Scheme::HmacSha256 | Scheme::HmacSha384 | Scheme::HmacSha512
    )
}

/// A signature's length is fixed by most algorithms (RFC 7518 §3.2, §3.4; RFC 8032 §5.1.6).
fn of_signature(header: &Object<'_>, segments: &[&[u8]], warnings: &mut Vec<String>) {
    let alg = header.get("alg").and_then(|value| value.as_str());
    let Some(alg) = alg.and_then(|alg| Algorithm::from_name(&alg)) else {
        return;
    };
    let signature = segments.get(2).copied().unwrap_or_default();
    let Ok(signature) = base64url::decode_vec(signature) else {
        return;
    };
    let expected = match alg {
        Algorithm::Hs256 => 32,
        Algorithm::Hs384 => 48,
        Algorithm::Es256 | Algorithm::Es256k | Algorithm::EdDsa | Algorithm::Ed25519 => 64,
        Algorithm::Hs512 => 64,
        Algorithm::Es384 => 96,
        Algorithm::Es512 => 132,
        Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 => return,
        Algorithm::Ps256 | Algorithm::Ps384 | Algorithm::Ps512 => return,
    };
    if signature.len() == expected {
        return;
    }
    let length = signature.len();
    let mut text = format!("the signature has {length} octets; {alg} signatures have {expected}");
    // An ECDSA signature in ASN.1 is a SEQUENCE of two INTEGERs.
    if signature.first() == Some(&0x30) && alg.name().starts_with("ES") {
        text.push_str("; it looks like DER, but JOSE wants r and s side by side (RFC 7518 §3.4)");
    }
    warnings.push(text);
}

fn of_claims(claims: &Object<'_>, now: Now, warnings: &mut Vec<String>) {
    let date = |name: &str| {
        let number = claims.get(name)?.as_number()?;
        number.floor_and_ceil(i64::MAX / 4)
    };
    for (name, text) in [
        ("iss", "iss is missing: nothing says who issued it"),
        ("aud", "aud is missing: nothing says whom it is meant for"),
        ("exp", "exp is missing: it never expires"),
    ] {
        if claims.get(name).is_none() {
            warnings.push(text.to_owned());
        }
    }
    if let Some(name) = Claims::parse(claims.text().as_bytes())
        .ok()
        .and_then(|claims| claims.invalid)
    {
        warnings.push(format!(
            "{name} has a wrong type or an impossible value (RFC 7519 §4.1)"
        ));
    }
    if let Some((exp, _)) = date("exp")
        && now.latest >= exp
    {
        warnings.push(format!("it expired {} ago", Span(now.latest - exp)));
    }
    if let Some((_, nbf)) = date("nbf")
        && now.earliest < nbf
    {
        warnings.push(format!(
            "it is not valid for another {}",
            Span(nbf - now.earliest)
        ));
    }
    if let Some((_, iat)) = date("iat")
        && now.earliest < iat
    {
        warnings.push(format!(
            "it was issued {} in the future",
            Span(iat - now.earliest)
        ));
    }
    if let (Some((iat, _)), Some((_, exp))) = (date("iat"), date("exp"))
        && exp - iat > LIFE_SECONDS_LONG
    {
        warnings.push(format!("it lives for {}, which is long", Span(exp - iat)));
    }
    if claims.get("cnf").is_some() {
        warnings.push(
            "cnf is present: it is bound to a key and is no plain bearer token (RFC 7800)"
                .to_owned(),
        );
    }
}

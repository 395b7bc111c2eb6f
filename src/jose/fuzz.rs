//! What must hold for any bytes whatever: bodies of the fuzz targets, as ordinary functions.

use super::{Claims, CompactJwe, CompactJws, Header, JweHeader, Jwk, JwkSet, danger, inspect};
use crate::clock::Now;
use crate::crypto::encryption::Sealed;
use crate::encoding::base64url;
use crate::limits::{HEADER_BYTES_MAX, JWKS_KEYS_MAX, SIGNATURE_BYTES_MAX, TOKEN_BYTES_MAX};

/// An accepted token is its three segments and nothing else, and each decodes to one spelling only.
pub fn token(token: &[u8]) {
    let Ok(jws) = CompactJws::parse(token, TOKEN_BYTES_MAX) else {
        return;
    };
    let segments = [
        jws.header_segment(),
        jws.payload_segment(),
        jws.signature_segment(),
    ];
    assert_eq!(segments.join(&b'.'), token);
    assert_eq!(jws.signing_input(), segments[..2].join(&b'.'));
    assert!(token.len() <= TOKEN_BYTES_MAX);
    let mut octets = Vec::new();
    if jws.decode_signature(&mut octets).is_ok() {
        assert!(!octets.is_empty() && octets.len() <= SIGNATURE_BYTES_MAX);
        assert_eq!(
            base64url::encode_string(&octets).as_bytes(),
            jws.signature_segment()
        );
    }
    octets.clear();
    if jws.decode_payload(&mut octets).is_ok() {
        assert_eq!(
            base64url::encode_string(&octets).as_bytes(),
            jws.payload_segment()
        );
        claims(&octets);
    }
    octets.clear();
    let parsed = Header::parse_segment(jws.header_segment());
    match base64url::decode(jws.header_segment(), &mut octets) {
        Ok(()) => assert_eq!(parsed, Header::parse(&octets)),
        Err(_) => assert!(parsed.is_err()),
    }
    header(&octets);
}

/// An accepted header is small, has no `crit`, and says the same in serde_json's words.
pub fn header(json: &[u8]) {
    let segment = base64url::encode_string(json);
    let Ok(header) = Header::parse_segment(segment.as_bytes()) else {
        return;
    };
    assert!(json.len() <= HEADER_BYTES_MAX);
    let Ok(oracle) = serde_json::from_slice::<serde_json::Value>(json) else {
        return; // A number beyond a double; see `encoding::fuzz::json`.
    };
    assert_eq!(oracle["alg"].as_str(), Some(header.alg.name()));
    assert_eq!(oracle["kid"].as_str(), header.kid.as_deref());
    assert_eq!(oracle["typ"].as_str(), header.typ.as_deref());
    for name in ["crit", "b64", "zip", "enc"] {
        assert!(oracle.get(name).is_none());
    }
    assert!(
        header
            .kid
            .is_none_or(|kid| !kid.chars().any(char::is_control))
    );
}

/// An accepted claims set says the same in serde_json's words, and leaves as one line of the same content.
pub fn claims(json: &[u8]) {
    let Ok(claims) = Claims::parse(json) else {
        return;
    };
    for date in [claims.exp, claims.nbf, claims.iat].into_iter().flatten() {
        assert!(date.floor <= date.ceil && date.ceil - date.floor <= 1);
        assert!(date.floor.unsigned_abs() < 1 << 53 && date.ceil.unsigned_abs() < 1 << 53);
    }
    let line = claims.to_json();
    assert!(!line.contains(&b'\n'));
    let again = Claims::parse(&line).expect("what leaves is strict JSON");
    assert_eq!(
        (&again.iss, &again.sub, &again.jti),
        (&claims.iss, &claims.sub, &claims.jti)
    );
    assert_eq!(
        (again.exp, again.nbf, again.iat),
        (claims.exp, claims.nbf, claims.iat)
    );
    assert!(again.audiences().eq(claims.audiences()));
    assert_eq!(again.invalid, claims.invalid);
    let names: Vec<_> = claims.members().map(|(name, _)| name).collect();
    let names: Vec<_> = names.iter().map(|name| &**name).collect();
    assert_eq!(claims.project(&names), line);
    if let Ok(oracle) = serde_json::from_slice::<serde_json::Value>(json) {
        assert_eq!(claims.iss.as_deref(), oracle["iss"].as_str());
        let named = match &oracle["aud"] {
            serde_json::Value::String(_) => true,
            serde_json::Value::Array(values) => values.iter().all(serde_json::Value::is_string),
            _ => false,
        };
        assert_eq!(claims.has_audience(), named);
    }
}

/// An accepted encrypted token is its five segments and nothing else, and its header says the same in serde_json's words.
pub fn jwe(token: &[u8]) {
    let Ok(jwe) = CompactJwe::parse(token, TOKEN_BYTES_MAX) else {
        return;
    };
    assert!(CompactJwe::is_one(token) && token.len() <= TOKEN_BYTES_MAX);
    // What is read as one kind is never read as the other (RFC 7516 §9).
    assert!(CompactJws::parse(token, TOKEN_BYTES_MAX).is_err());
    let header = JweHeader::parse_segment(jwe.header_segment());
    let json = base64url::decode_vec(jwe.header_segment()).unwrap_or_default();
    if let Ok(header) = &header
        && let Ok(oracle) = serde_json::from_slice::<serde_json::Value>(&json)
    {
        assert_eq!(oracle["alg"].as_str(), Some(header.alg.name()));
        assert_eq!(oracle["enc"].as_str(), Some(header.enc.name()));
        assert_eq!(oracle["kid"].as_str(), header.kid.as_deref());
        assert_eq!(oracle.get("zip").is_some(), header.zip);
        assert!(oracle.get("crit").is_none() && oracle.get("b64").is_none());
        assert_eq!(header.epk.is_some(), header.alg.is_agreement());
    }
    let Ok(parts) = jwe.decode() else {
        return;
    };
    let again = [
        &parts.encrypted_key,
        &parts.iv,
        &parts.ciphertext,
        &parts.tag,
    ];
    let again = again.map(|octets| base64url::encode_string(octets));
    let segments = [jwe.header_segment(), again.join(".").as_bytes()].join(&b'.');
    assert_eq!(segments, token);
    let (Ok(header), Ok(key)) = (header, Jwk::parse(FUZZ_KEY)) else {
        return;
    };
    // Nobody who has not the key makes anything that opens; what does not open does no harm.
    if let Ok((management, content)) = key.pin_management(&[header.alg], &[header.enc]) {
        let key = key
            .decryption_key(management, content)
            .expect("it was pinned");
        let sealed = Sealed {
            aad: jwe.header_segment(),
            encrypted_key: &parts.encrypted_key,
            iv: &parts.iv,
            ciphertext: &parts.ciphertext,
            tag: &parts.tag,
            ephemeral: header.epk.as_ref(),
            party_u: &header.apu,
            party_v: &header.apv,
        };
        let _ = key.open(header.enc, &sealed);
    }
}

/// The key of RFC 7518, appendix C: an elliptic-curve key has the most ways to be used wrongly.
const FUZZ_KEY: &[u8] = br#"{"kty":"EC","crv":"P-256","x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
    "y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck","d":"VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw"}"#;

/// A key that is read can be written and read again; its public half holds nothing private.
pub fn jwk(json: &[u8]) {
    if let Ok(key) = Jwk::parse(json) {
        assert_key(&key);
    }
}

/// Keys of a set are kept or skipped, and none is lost.
pub fn jwks(json: &[u8]) {
    let Ok(set) = JwkSet::parse(json) else {
        return;
    };
    assert!(set.keys.len() + set.skipped.len() <= JWKS_KEYS_MAX);
    if let Ok(oracle) = serde_json::from_slice::<serde_json::Value>(json) {
        let keys = oracle["keys"].as_array().map(Vec::len);
        assert_eq!(Some(set.keys.len() + set.skipped.len()), keys);
    }
    set.keys.iter().for_each(assert_key);
}

/// A PEM key is a key like any other.
pub fn pem(text: &[u8]) {
    if let Ok(key) = Jwk::from_pem(&String::from_utf8_lossy(text)) {
        assert_key(&key);
    }
}

fn assert_key(key: &Jwk) {
    assert!(!key.schemes().is_empty() || !key.managements().is_empty());
    // Material may still be too weak or off its curve, which this finds out without a panic.
    for scheme in key.schemes() {
        let _ = key.verifying_key(*scheme);
    }
    if let Some(private) = danger::to_private_json(key) {
        let again = Jwk::parse(private.as_bytes()).expect("a written key can be read");
        assert_eq!(again.thumbprint(), key.thumbprint());
        assert_eq!((&again.kid, again.alg), (&key.kid, key.alg));
    }
    if let Some(public) = key.to_public_json() {
        let public = Jwk::parse(public.as_bytes()).expect("a published key can be read");
        assert!(!public.is_private());
        assert_eq!(public.thumbprint(), key.thumbprint());
    } else {
        assert_eq!(key.kty(), "oct");
    }
}

/// Anything at all can be inspected, and what is shown cannot act on a terminal.
pub fn inspection(token: &[u8]) {
    let inspection = inspect(token, Now::at(1_700_000_000));
    let text = inspection.to_string();
    assert!(
        text.chars()
            .all(|shown| shown == '\n' || !shown.is_control())
    );
    let json = inspection.to_json();
    if let Err(error) = serde_json::from_str::<serde_json::Value>(&json) {
        assert!(error.to_string().contains("number out of range"), "{error}");
    }
    // A token that the parsers accept has no place where it breaks.
    assert!(inspection.refusal.is_some() || inspection.problems.is_empty());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::fuzz::smoke;

    #[test]
    fn token_smoke() {
        smoke::run("token", token);
    }

    #[test]
    fn header_smoke() {
        smoke::run("header", header);
    }

    #[test]
    fn claims_smoke() {
        smoke::run("claims", claims);
    }

    #[test]
    fn jwe_smoke() {
        smoke::run("jwe", jwe);
    }

    #[test]
    fn jwk_smoke() {
        smoke::run("jwk", jwk);
    }

    #[test]
    fn jwks_smoke() {
        smoke::run("jwks", jwks);
    }

    #[test]
    fn pem_smoke() {
        smoke::run("pem", pem);
    }

    #[test]
    fn inspection_smoke() {
        smoke::run("inspection", inspection);
    }
}

use super::*;
use crate::crypto::encryption::Sealed;
use crate::jose::{ContentEncryption, Jwk, KeyManagement};
use crate::limits::TOKEN_BYTES_MAX;
use serde_json::Value;

/// Opens a token with a key, whatever is in it.
fn open(key: &Jwk, token: &str) -> Vec<u8> {
    let jwe = CompactJwe::parse(token.as_bytes(), TOKEN_BYTES_MAX).expect("five segments");
    let header = JweHeader::parse_segment(jwe.header_segment()).expect("a header");
    let parts = jwe.decode().expect("base64url");
    let (management, content) = key
        .pin_management(&[header.alg], &[header.enc])
        .expect("the key fits");
    let key = key.decryption_key(management, content).expect("a key pair");
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
    let opened = key.open(header.enc, &sealed).expect("it opens");
    if header.zip {
        return miniz_oxide::inflate::decompress_to_vec(&opened).expect("DEFLATE");
    }
    opened.to_vec()
}

#[test]
fn the_examples_of_rfc_7516_and_rfc_7520_open() {
    let examples: Vec<Value> =
        serde_json::from_str(include_str!("../vectors/rfc_jwe.json")).expect("JSON");
    assert_eq!(examples.len(), 9);
    for example in &examples {
        let text = |name: &str| example[name].as_str().expect("a string");
        let key = Jwk::parse(example["key"].to_string().as_bytes()).expect("a JWK");
        let opened = open(&key, text("jwe"));
        let expected = base64url::decode_vec(text("plaintext").as_bytes()).expect("base64url");
        assert_eq!(opened, expected, "{}", text("name"));
    }
}

fn header(json: &str) -> Result<JweHeader, JoseError> {
    JweHeader::parse(json.as_bytes())
}

#[test]
fn a_header_says_what_rfc_7516_lets_it_say() {
    let plain = header(r#"{"alg":"dir","enc":"A256GCM","cty":"jwt","kid":"k","x":1}"#);
    let plain = plain.expect("a header");
    assert_eq!(
        (plain.alg, plain.enc),
        (KeyManagement::Direct, ContentEncryption::A256Gcm)
    );
    assert!(plain.content_is_jwt() && !plain.zip && plain.epk.is_none());
    assert_eq!(plain.kid.as_deref(), Some("k"));
    for (cty, is_jwt) in [
        (r#","cty":"application/JWT""#, true),
        (r#","cty":"at+jwt""#, false),
        (r#","cty":"""#, false),
        ("", false),
    ] {
        let header = header(&format!(r#"{{"alg":"dir","enc":"A256GCM"{cty}}}"#));
        assert_eq!(header.expect("a header").content_is_jwt(), is_jwt, "{cty}");
    }
}

/// Checks V-06, V-08, V-09, V-12, V-16.
#[test]
fn a_header_that_says_more_or_otherwise_is_refused() {
    use JoseError::{Malformed, UnknownCritical, UnsupportedAlg};
    const NO_EPK: &str = "the header's epk is not a public key for agreement";
    let x = "A".repeat(43);
    let epk = |members: &str| format!(r#"{{"alg":"ECDH-ES","enc":"A128GCM","epk":{{{members}}}}}"#);
    for (json, expected) in [
        (
            r#"{"enc":"A128GCM"}"#.to_owned(),
            Malformed("the header has no alg"),
        ),
        (
            r#"{"alg":"dir"}"#.to_owned(),
            Malformed("the header has no enc"),
        ),
        (
            r#"{"alg":"RSA1_5","enc":"A128GCM"}"#.to_owned(),
            UnsupportedAlg,
        ),
        (
            r#"{"alg":"PBES2-HS256+A128KW","enc":"A128GCM"}"#.to_owned(),
            UnsupportedAlg,
        ),
        (
            r#"{"alg":"A256GCMKW","enc":"A128CBC-HS256","iv":"KkYT0GX_2jHlfqN_","tag":"kfPduVQ3T3H6vnewt--ksw"}"#
                .to_owned(),
            UnsupportedAlg,
        ),
        (
            r#"{"alg":"DIR","enc":"A128GCM"}"#.to_owned(),
            UnsupportedAlg,
        ),
        (
            r#"{"alg":"dir","enc":"A128CTR"}"#.to_owned(),
            UnsupportedAlg,
        ),
        (
            r#"{"alg":"dir","enc":"A128GCM","crit":["exp"],"exp":1}"#.to_owned(),
            UnknownCritical,
        ),
        (
            r#"{"alg":"dir","enc":"A128GCM","crit":[]}"#.to_owned(),
            UnknownCritical,
        ),
        (
            r#"{"alg":"dir","enc":"A128GCM","zip":"GZ"}"#.to_owned(),
            Malformed("the header's zip is not DEF"),
        ),
        (
            r#"{"alg":"dir","enc":"A128GCM","zip":true}"#.to_owned(),
            Malformed("the header's zip is not a string"),
        ),
        (
            r#"{"alg":"dir","enc":"A128GCM","b64":false}"#.to_owned(),
            Malformed("the header has b64 (RFC 7797), which a JWT must not"),
        ),
        (
            r#"{"alg":"dir","enc":"A128GCM","jku":1}"#.to_owned(),
            Malformed("the header has a registered member of the wrong type"),
        ),
        (
            r#"{"alg":"ECDH-ES","enc":"A128GCM"}"#.to_owned(),
            Malformed("the header has no epk"),
        ),
        (
            r#"{"alg":"ECDH-ES","enc":"A128GCM","epk":"k"}"#.to_owned(),
            Malformed(NO_EPK),
        ),
        (
            epk(&format!(r#""kty":"EC","crv":"P-256","x":"{x}""#)),
            Malformed(NO_EPK),
        ),
        (
            epk(&format!(r#""kty":"OKP","crv":"P-256","x":"{x}","y":"{x}""#)),
            Malformed(NO_EPK),
        ),
        (
            epk(&format!(r#""kty":"EC","crv":"P-384","x":"{x}","y":"{x}""#)),
            Malformed(NO_EPK),
        ),
        (
            epk(&format!(r#""kty":"OKP","crv":"Ed25519","x":"{x}""#)),
            Malformed(NO_EPK),
        ),
        (
            epk(&format!(
                r#""kty":"OKP","crv":"X25519","x":"{x}","d":"{x}""#
            )),
            Malformed("the header's epk is private"),
        ),
        (
            format!(
                r#"{{"alg":"ECDH-ES","enc":"A128GCM","apu":"=","epk":{{"kty":"OKP","crv":"X25519","x":"{x}"}}}}"#
            ),
            Malformed("the header's apu or apv is not base64url"),
        ),
    ] {
        assert_eq!(header(&json), Err(expected), "{json}");
    }
    for twice in [
        r#"{"alg":"dir","alg":"dir","enc":"A128GCM"}"#,
        r#"{"alg":"dir","enc":"A128GCM","enc":"A256GCM"}"#,
        r#"{"alg":"dir","enc":"A128GCM","epk":{"a":1,"a":2}}"#,
    ] {
        assert!(matches!(header(twice), Err(Malformed(_))), "{twice}");
    }
}

#[test]
fn five_segments_of_base64url_and_nothing_else() {
    let rule = |token: &str| CompactJwe::parse(token.as_bytes(), TOKEN_BYTES_MAX).err();
    assert_eq!(rule("aGVh.YQ.YQ.YQ.YQ"), None);
    assert_eq!(rule("aGVh..YQ.YQ.YQ"), None, "no key is sent");
    for token in [
        "",
        "a",
        "aa.aa.aa",
        "aa.aa.aa.aa",
        "aa.aa.aa.aa.aa.aa",
        "aa.aa.a=.aa.aa",
        "aa.aa.a .aa.aa",
    ] {
        let malformed = JoseError::Malformed("the token is not five segments of base64url");
        assert_eq!(rule(token), Some(malformed), "{token}");
    }
    for (token, expected) in [
        (".YQ.YQ.YQ.YQ", "the header segment is empty"),
        ("YQ.YQ..YQ.YQ", "the initialization vector is empty"),
        ("YQ.YQ.YQ..YQ", "the ciphertext is empty"),
        ("YQ.YQ.YQ.YQ.", "the authentication tag is empty"),
    ] {
        assert_eq!(rule(token), Some(JoseError::Malformed(expected)), "{token}");
    }
    let jwe = CompactJwe::parse(b"YQ.YQ.YR.YQ.YQ", TOKEN_BYTES_MAX).expect("cut");
    let error = jwe.decode().expect_err("trailing bits");
    assert_eq!(
        error,
        JoseError::Malformed("the initialization vector is not base64url")
    );
}

/// Checks V-07.
#[test]
fn lengths_are_bounded_before_anything_is_decoded() {
    let long = |octets: usize| "A".repeat(octets.div_ceil(3) * 4);
    let token = |parts: [&str; 5]| parts.join(".");
    for (token, what) in [
        (
            token([&long(HEADER_BYTES_MAX + 1), "YQ", "YQ", "YQ", "YQ"]),
            "header",
        ),
        (
            token(["YQ", &long(ENCRYPTED_KEY_BYTES_MAX + 1), "YQ", "YQ", "YQ"]),
            "encrypted key",
        ),
        (
            token(["YQ", "YQ", &long(IV_BYTES_MAX + 1), "YQ", "YQ"]),
            "initialization vector",
        ),
        (
            token(["YQ", "YQ", "YQ", "YQ", &long(TAG_BYTES_MAX + 1)]),
            "authentication tag",
        ),
        (
            token(["YQ", "YQ", "YQ", &long(TOKEN_BYTES_MAX), "YQ"]),
            "token",
        ),
    ] {
        match CompactJwe::parse(token.as_bytes(), TOKEN_BYTES_MAX).err() {
            Some(JoseError::TooLarge { what: is, .. }) => assert_eq!(is, what),
            other => panic!("{what}: {other:?}"),
        }
    }
}

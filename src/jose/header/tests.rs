use super::*;

fn parse(json: &str) -> Result<Header, JoseError> {
    let segment = base64url::encode_string(json.as_bytes());
    Header::parse_segment(segment.as_bytes())
}

fn malformed(json: &str) -> bool {
    matches!(parse(json), Err(JoseError::Malformed(_)))
}

#[test]
fn a_plain_header_is_read() {
    let header = parse(r#"{"alg":"ES256","typ":"at+jwt","kid":"k\u0031","x":{"y":[1]}}"#);
    let expected = Header {
        alg: Algorithm::Es256,
        kid: Some("k1".into()),
        typ: Some("at+jwt".into()),
    };
    assert_eq!(header, Ok(expected));
    for alg in Algorithm::ALL {
        let header = parse(&format!("{{\"alg\":\"{alg}\"}}")).expect("a header of alg alone");
        assert_eq!((header.alg, header.kid, header.typ), (alg, None, None));
    }
}

/// Checks V-12, V-13.
#[test]
fn alg_is_compared_case_sensitively_and_none_is_none_of_them() {
    for alg in [
        "none",
        "None",
        "NONE",
        "noNE",
        "",
        "HS256 ",
        "hs256",
        "Es256",
        "ES256k",
        "eddsa",
        "RS1",
        "RSA-OAEP",
        "dir",
        "ES256\\u0000",
        "Ed448",
        "HS256,RS256",
    ] {
        let header = parse(&format!("{{\"alg\":\"{alg}\"}}"));
        assert_eq!(header, Err(JoseError::UnsupportedAlg), "{alg}");
    }
    for json in [
        "{}",
        r#"{"alg":null}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":256}"#,
        r#"{"ALG":"HS256"}"#,
    ] {
        assert!(malformed(json), "{json}");
    }
}

/// Checks V-05, V-06.
#[test]
fn a_header_is_one_strict_object() {
    for json in [
        "",
        "[]",
        "\"HS256\"",
        "null",
        "{\"alg\":\"HS256\"",
        "{\"alg\":\"HS256\"}{}",
        "\u{feff}{\"alg\":\"HS256\"}",
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"HS256","\u0061lg":"none"}"#,
        r#"{"alg":"HS256","x":{"y":1,"y":2}}"#,
    ] {
        assert!(malformed(json), "{json}");
    }
    let header = Header::parse(b"{\"alg\":\"HS256\",\"kid\":\"\xff\"}");
    assert_eq!(header, Err(JoseError::Malformed("JSON is not UTF-8")));
}

/// Checks V-07.
#[test]
fn a_long_header_is_refused_before_it_is_decoded() {
    let too_large = Err(JoseError::TooLarge {
        what: "header",
        limit_bytes: HEADER_BYTES_MAX,
    });
    assert_eq!(Header::parse_segment(&vec![b'!'; 1 << 20]), too_large);
    let padded = |bytes: usize| {
        let start = r#"{"alg":"HS256"}"#;
        format!("{start}{}", " ".repeat(bytes - start.len()))
    };
    assert!(parse(&padded(HEADER_BYTES_MAX)).is_ok());
    assert_eq!(parse(&padded(HEADER_BYTES_MAX + 1)), too_large);
    let nested = format!(
        "{{\"alg\":\"HS256\",\"x\":{}{}}}",
        "[".repeat(2000),
        "]".repeat(2000)
    );
    assert_eq!(
        parse(&nested),
        Err(JoseError::Malformed("JSON is nested too deeply"))
    );
}

/// Checks V-08.
#[test]
fn every_crit_is_refused() {
    for crit in [
        r#"["exp"]"#,
        r#"["b64"]"#,
        "[]",
        r#"["x","x"]"#,
        r#"["alg"]"#,
        r#"["absent"]"#,
        "null",
        r#""exp""#,
        "1",
        "{}",
        "[1]",
    ] {
        let header = parse(&format!(
            "{{\"alg\":\"ES256\",\"exp\":1,\"x\":1,\"crit\":{crit}}}"
        ));
        assert_eq!(header, Err(JoseError::UnknownCritical), "{crit}");
    }
    // The name counts, however it is spelled.
    let header = parse(r#"{"alg":"ES256","\u0063rit":["exp"],"exp":1}"#);
    assert_eq!(header, Err(JoseError::UnknownCritical));
}

/// Checks V-09.
#[test]
fn unencoded_payloads_are_refused() {
    // RFC 7797 §4.2's header, and its harmless-looking opposite.
    let rfc_7797 = r#"{"alg":"HS256","b64":false,"crit":["b64"]}"#;
    assert_eq!(
        parse(rfc_7797),
        Err(JoseError::Malformed(
            "the header has b64 (RFC 7797), which a JWT must not"
        ))
    );
    assert!(malformed(r#"{"alg":"HS256","b64":true}"#));
}

/// Checks V-10.
#[test]
fn compression_and_encryption_members_are_refused() {
    assert!(malformed(r#"{"alg":"HS256","zip":"DEF"}"#));
    assert!(malformed(r#"{"alg":"HS256","enc":"A128GCM"}"#));
}

/// Checks V-16.
#[test]
fn members_that_bring_keys_change_nothing() {
    let plain = parse(r#"{"alg":"ES256","kid":"a"}"#).expect("a header");
    for member in [
        r#""jku":"https://attacker.example/keys""#,
        r#""x5u":"file:///etc/passwd""#,
        r#""jwk":{"kty":"oct","k":"AAAA"}"#,
        r#""x5c":["MIIB"]"#,
        r#""x5t":"a","x5t#S256":"b""#,
    ] {
        let header = parse(&format!("{{\"alg\":\"ES256\",\"kid\":\"a\",{member}}}"));
        assert_eq!(header.as_ref(), Ok(&plain), "{member}");
    }
    for member in [
        r#""jku":1"#,
        r#""x5u":[]"#,
        r#""jwk":"{}""#,
        r#""x5c":"MIIB""#,
        r#""x5c":[1]"#,
        r#""x5t":{}"#,
    ] {
        assert!(
            malformed(&format!("{{\"alg\":\"ES256\",{member}}}")),
            "{member}"
        );
    }
}

/// Checks V-18.
#[test]
fn kid_is_short_and_printable() {
    let with = |kid: &str| parse(&format!("{{\"alg\":\"ES256\",\"kid\":\"{kid}\"}}"));
    assert!(with(&"k".repeat(KID_BYTES_MAX)).is_ok());
    let too_large = Err(JoseError::TooLarge {
        what: "kid",
        limit_bytes: KID_BYTES_MAX,
    });
    assert_eq!(with(&"k".repeat(KID_BYTES_MAX + 1)), too_large);
    for kid in ["a\\nb", "a\\u0000", "\\u001b[2J", "\u{7f}", "\u{9b}"] {
        assert_eq!(
            with(kid),
            Err(JoseError::Malformed("the kid has a control character")),
            "{kid}"
        );
    }
    for json in [
        r#"{"alg":"ES256","kid":1}"#,
        r#"{"alg":"ES256","kid":null}"#,
    ] {
        assert!(malformed(json));
    }
    // Paths and queries are strings like any other, because a kid is only ever compared.
    assert!(with("../../dev/null").is_ok());
    assert!(with("' OR 1=1 --").is_ok());
}

/// Checks V-32.
#[test]
fn typ_is_compared_as_a_media_type() {
    let header =
        |typ: &str| parse(&format!("{{\"alg\":\"ES256\",\"typ\":\"{typ}\"}}")).expect("a header");
    for (typ, expected) in [
        ("at+jwt", "at+jwt"),
        ("AT+JWT", "at+jwt"),
        ("application/at+jwt", "at+jwt"),
        ("at+jwt", "application/at+jwt"),
        ("Application/At+Jwt", "at+jwt"),
        ("JWT", "jwt"),
        ("text/plain", "TEXT/plain"),
    ] {
        assert!(header(typ).typ_is(expected), "{typ} is {expected}");
    }
    for (typ, expected) in [
        ("JWT", "at+jwt"),
        ("at+jwt ", "at+jwt"),
        ("text/at+jwt", "at+jwt"),
        ("application/application/at+jwt", "at+jwt"),
        ("application/x/y", "x/y"),
        ("", "at+jwt"),
    ] {
        assert!(!header(typ).typ_is(expected), "{typ} is not {expected}");
    }
    assert!(!parse(r#"{"alg":"ES256"}"#).expect("a header").typ_is(""));
    assert!(malformed(r#"{"alg":"ES256","typ":["at+jwt"]}"#));
    assert!(malformed(r#"{"alg":"ES256","cty":1}"#));
}

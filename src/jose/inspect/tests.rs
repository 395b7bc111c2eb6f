use super::*;

const A1: &str = include_str!("../vectors/rfc7515_a1.jws");

/// A token of this header and these claims, with a signature of `signature` octets.
fn token(header: &str, claims: &str, signature: usize) -> String {
    let [header, claims] = [header, claims].map(|json| base64url::encode_string(json.as_bytes()));
    let signature = base64url::encode_string(&vec![0x5a; signature]);
    format!("{header}.{claims}.{signature}")
}

fn at(token: &str, now: i64) -> Inspection {
    inspect(token.as_bytes(), Now::at(now))
}

fn warns(inspection: &Inspection, start: &str) -> bool {
    inspection
        .warnings
        .iter()
        .any(|warning| warning.starts_with(start))
}

#[test]
fn a_sound_token_is_explained() {
    // Twelve minutes after the `exp` of RFC 7519 §3.1.
    let inspection = at(A1, 1_300_819_380 + 720);
    assert_eq!(inspection.form, Form::Jws);
    assert!(inspection.problems.is_empty());
    assert_eq!(inspection.refusal, None);
    let sizes: Vec<_> = inspection
        .segments
        .iter()
        .map(|segment| (segment.name, segment.characters, segment.octets))
        .collect();
    let expected = [
        ("header", 40, Some(30)),
        ("payload", 94, Some(70)),
        ("signature", 43, Some(32)),
    ];
    assert_eq!(sizes, expected);
    let text = inspection.to_string();
    assert!(text.starts_with("NOT VERIFIED."));
    for part in [
        "\"alg\": \"HS256\"",
        "\"http://example.com/is_root\": true",
        "exp 2011-03-22T18:43:00Z (12 min ago)",
        "it expired 12 min ago",
        "alg is symmetric",
        "aud is missing",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

/// Checks V-40.
#[test]
fn the_signature_is_never_shown() {
    let signature = A1.rsplit('.').next().expect("a signature");
    let inspection = at(A1, 0);
    for shown in [
        inspection.to_string(),
        inspection.to_json(),
        format!("{inspection:?}"),
    ] {
        assert!(
            !shown.contains(signature.get(..8).expect("long")),
            "{shown}"
        );
    }
}

#[test]
fn the_json_is_for_machines() {
    let inspection = at(A1, 1_300_819_370);
    let json: serde_json::Value = serde_json::from_str(&inspection.to_json()).expect("JSON");
    assert_eq!(json["verified"], false);
    assert_eq!(json["form"], "JWS");
    assert_eq!(json["header"]["alg"], "HS256");
    assert_eq!(json["claims"]["iss"], "joe");
    assert_eq!(json["dates"][0]["claim"], "exp");
    assert_eq!(json["dates"][0]["in_seconds"], 10);
    assert_eq!(json["dates"][0]["time"], "2011-03-22T18:43:00Z");
    assert_eq!(json["segments"][2]["octets"], 32);
    assert_eq!(json["refusal"], serde_json::Value::Null);
    assert_eq!(json["problems"], serde_json::json!([]));
}

#[test]
fn each_oddity_is_pointed_out() {
    let claims = r#"{"iss":"a","aud":"b","exp":2000000000,"iat":1999990000}"#;
    for (header, start) in [
        (r#"{"alg":"none"}"#, "alg is none"),
        (r#"{"alg":"NONE"}"#, "alg is none"),
        (r#"{"alg":"XS256"}"#, "alg is not one that jotd verifies"),
        (r#"{"typ":"JWT"}"#, "alg is missing"),
        (r#"{"alg":"EdDSA"}"#, "alg EdDSA does not name its curve"),
        (r#"{"alg":"HS256"}"#, "alg is symmetric"),
        (
            r#"{"alg":"HS256"}"#,
            "the signature has 64 octets; HS256 signatures have 32",
        ),
        (
            r#"{"alg":"ES512"}"#,
            "the signature has 64 octets; ES512 signatures have 132",
        ),
        (r#"{"alg":"ES256","crit":["x"],"x":1}"#, "crit is present"),
        (r#"{"alg":"ES256","b64":false}"#, "b64 is present"),
        (r#"{"alg":"ES256","zip":"DEF"}"#, "zip is present"),
        (
            r#"{"alg":"ES256","jku":"https://a.example"}"#,
            "jku is present",
        ),
        (r#"{"alg":"ES256","jwk":{}}"#, "jwk is present"),
        (
            r#"{"alg":"ES256","x5u":"https://a.example"}"#,
            "x5u is present",
        ),
        (r#"{"alg":"ES256","x5c":[]}"#, "x5c is present"),
        (r#"{"alg":"ES256","cty":"jwt"}"#, "cty is JWT"),
        (r#"{"alg":"ES256"}"#, "typ is missing"),
        (r#"{"alg":"ES256"}"#, "kid is missing"),
        (
            r#"{"alg":"ES256","kid":"../../dev/null"}"#,
            "kid looks like a path",
        ),
    ] {
        let inspection = at(&token(header, claims, 64), 1_999_995_000);
        assert!(
            warns(&inspection, start),
            "{header}: {:?}",
            inspection.warnings
        );
    }
    let header = r#"{"alg":"ES256","typ":"at+jwt","kid":"k"}"#;
    let quiet = at(&token(header, claims, 64), 1_999_995_000);
    assert_eq!(quiet.warnings, Vec::<String>::new());
    for (claims, start) in [
        ("{}", "iss is missing"),
        ("{}", "aud is missing"),
        ("{}", "exp is missing"),
        (r#"{"exp":1000}"#, "it expired 1 h ago"),
        (r#"{"nbf":4601}"#, "it is not valid for another 1 s"),
        (r#"{"iat":4660}"#, "it was issued 1 min in the future"),
        (r#"{"iat":0,"exp":864000}"#, "it lives for 10 d"),
        (r#"{"exp":"4600"}"#, "exp has a wrong type"),
        (r#"{"aud":7}"#, "aud has a wrong type"),
        (r#"{"cnf":{"jkt":"a"}}"#, "cnf is present"),
    ] {
        let inspection = at(&token(header, claims, 64), 4_600);
        assert!(
            warns(&inspection, start),
            "{claims}: {:?}",
            inspection.warnings
        );
    }
}

#[test]
fn a_der_signature_is_recognised() {
    let [header, claims] =
        [r#"{"alg":"ES256"}"#, "{}"].map(|json| base64url::encode_string(json.as_bytes()));
    let mut der = vec![0x30, 0x44];
    der.resize(70, 0x02);
    let token = format!("{header}.{claims}.{}", base64url::encode_string(&der));
    let inspection = at(&token, 0);
    assert!(
        inspection
            .warnings
            .iter()
            .any(|warning| warning.contains("it looks like DER"))
    );
}

#[test]
fn a_jwe_is_told_apart() {
    let header = base64url::encode_string(br#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#);
    let inspection = at(&format!("{header}.AAAA.BBBB.CCCC.DDDD"), 0);
    assert_eq!(inspection.form, Form::Jwe);
    assert!(inspection.claims.is_none() && inspection.problems.is_empty());
    assert_eq!(inspection.segments.len(), 5);
    assert!(inspection.to_string().contains("\"enc\": \"A256GCM\""));
    let refusal = inspection.refusal.expect("no cty").to_string();
    assert!(refusal.contains("only a signed token"), "{refusal}");
}

#[test]
fn a_broken_token_shows_where_it_breaks() {
    let whole = token(r#"{"alg":"ES256"}"#, r#"{"iss":"a"}"#, 64);
    let claims_start = whole.find('.').expect("a dot") + 1;

    // A foreign byte in the claims: the offset is its place in the token.
    let mut broken = whole.clone();
    broken.replace_range(claims_start + 6..=claims_start + 6, "!");
    let problem = &at(&broken, 0).problems[0];
    assert_eq!(
        (problem.offset, problem.part),
        (claims_start + 6, "payload")
    );

    // A header that is no JSON: the eleventh octet stands for the fifteenth character.
    let broken = token(r#"{"alg":"x",}"#, "{}", 64);
    let problem = &at(&broken, 0).problems[0];
    assert_eq!((problem.offset, problem.part), (15, "header"));
    assert!(
        problem.rule.contains("byte 11 of the decoded header"),
        "{}",
        problem.rule
    );
    assert!(
        at(&broken, 0).to_string().contains(r#"{"alg":"x",}"#),
        "it shows the text that is there"
    );

    for (token, refusal) in [
        ("", "the token is empty"),
        ("abc", "the token has one segment, not three"),
        (
            "{\"payload\":1}",
            "the token is in JSON serialization; only the compact one is accepted",
        ),
    ] {
        let inspection = at(token, 0);
        assert_eq!(inspection.form, Form::Unknown);
        assert_eq!(
            inspection
                .refusal
                .map(|refusal| refusal.to_string())
                .as_deref(),
            Some(refusal)
        );
    }
}

#[test]
fn control_characters_never_reach_the_terminal() {
    let header = "{\"alg\":\"ES256\",\"x\":\"\u{9b}2J\u{202e}\"}";
    for token in [
        token(header, "\u{1b}[2J not JSON", 64),
        token(header, "{\"a\":\"\u{7f}\"}", 64),
    ] {
        let text = at(&token, 0).to_string();
        assert!(
            text.chars()
                .all(|shown| shown == '\n' || !shown.is_control()),
            "{text:?}"
        );
        assert!(!text.contains('\u{202e}'));
    }
}

#[test]
fn every_prefix_of_a_token_can_be_inspected() {
    for length in 0..A1.len() {
        let inspection = at(&A1[..length], 0);
        let _: serde_json::Value = serde_json::from_str(&inspection.to_json()).expect("JSON");
        assert!(inspection.to_string().starts_with("NOT VERIFIED."));
    }
}

#[test]
fn the_outside_of_an_encrypted_token_is_explained() {
    let of = |header: &str| {
        let header = base64url::encode_string(header.as_bytes());
        at(&format!("{header}.AAAA.BBBB.CCCC.DDDD"), 0)
    };
    for (header, start) in [
        (r#"{"alg":"RSA1_5","enc":"A128GCM"}"#, "alg is RSA1_5"),
        (
            r#"{"alg":"PBES2-HS256+A128KW","enc":"A128GCM"}"#,
            "alg is PBES2",
        ),
        (
            r#"{"alg":"A128GCMKW","enc":"A128GCM"}"#,
            "alg is not one that jotd decrypts by",
        ),
        (r#"{"alg":"dir","enc":"A128GCM"}"#, "alg is symmetric"),
        (r#"{"enc":"A128GCM"}"#, "alg is missing"),
        (r#"{"alg":"dir"}"#, "enc is missing"),
        (r#"{"alg":"dir","enc":"A128CTR"}"#, "enc is not one"),
        (r#"{"alg":"dir","enc":"A128GCM"}"#, "cty is not JWT"),
        (
            r#"{"alg":"dir","enc":"A128GCM","zip":"DEF"}"#,
            "zip is present",
        ),
        (
            r#"{"alg":"dir","enc":"A128GCM","crit":["a"]}"#,
            "crit is present",
        ),
        (r#"{"alg":"dir","enc":"A128GCM"}"#, "kid is missing"),
        (
            r#"{"alg":"dir","enc":"A128GCM","jwk":{}}"#,
            "jwk is present",
        ),
    ] {
        let inspection = of(header);
        assert!(
            warns(&inspection, start),
            "{header}: {:?}",
            inspection.warnings
        );
    }
    let sound = of(r#"{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWT","kid":"k"}"#);
    assert_eq!(sound.refusal, None);
    assert_eq!(
        sound.warnings.len(),
        1,
        "only that it cannot be read: {:?}",
        sound.warnings
    );
    // Nothing of what is encrypted is shown, and nothing could be.
    assert!(!sound.to_string().contains("CCCC"));
}

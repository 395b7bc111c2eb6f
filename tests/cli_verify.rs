//! `jotd verify`, asked the way people and scripts ask it.

mod cli_support;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cli_support::{AUDIENCE, Bench, ISSUER, NOW, claims, forged, good};
use jotd::issuer::{Claims, ProtectedHeader, SigningKey};
use jotd::jose::{Algorithm, Jwk};

const SECRET: &str = "correct horse battery staple, and 32 bytes";

fn secret_key(secret: &str, algorithm: Algorithm) -> SigningKey {
    SigningKey::new(algorithm, &Jwk::from_secret(secret.as_bytes()))
        .and_then(|key| key.with_kid(None))
        .expect("the secret is long enough")
}

#[test]
fn a_valid_token_is_one_line_exactly_as_the_contract_prints_it() {
    let bench = Bench::new();
    bench.write("secret", format!("{SECRET}\n"));
    let token = good(&secret_key(SECRET, Algorithm::Hs256), "alice");
    let now = NOW.to_string();
    let said = bench.run(&[
        "verify",
        "--secret-file",
        "secret",
        "--issuer",
        ISSUER,
        "--audience",
        AUDIENCE,
        "--now",
        &now,
        &token,
    ]);
    assert_eq!(
        said.stdout,
        format!(
            "{{\"valid\":true,\"issuer\":\"{ISSUER}\",\"tenant\":\"default\",\"alg\":\"HS256\",\
             \"kid\":null,\"claims\":{{\"iss\":\"{ISSUER}\",\"sub\":\"alice\",\"aud\":\"{AUDIENCE}\",\
             \"exp\":{exp},\"nbf\":{NOW},\"iat\":{NOW},\"jti\":\"id-alice\"}},\"expires_in\":300,\
             \"cached\":false,\"revocation\":{{\"state\":\"off\"}}}}\n",
            exp = NOW + 300,
        )
    );
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
}

#[test]
fn an_expired_token_says_when_it_expired() {
    let bench = Bench::new();
    let key = bench.key("keys", Algorithm::Es256);
    let token = key.mint(&claims("a"), NOW - 312).expect("minted");
    // The leeway of 30 s would let it pass; without one it has expired 12 s ago.
    let said = bench.verify(&["--leeway", "0", &token], "");
    assert_eq!(
        said.stdout,
        format!(
            "{{\"valid\":false,\"reason\":\"expired\",\"detail\":\"expired 12 s ago (exp {exp})\",\
             \"expired_at\":{exp}}}\n",
            exp = NOW - 12,
        )
    );
    assert_eq!(said.code, 1);
    assert_eq!(
        bench.verify(&[&token], "").code,
        0,
        "leeway is 30 s by default"
    );
}

#[test]
fn every_line_has_its_verdict_and_one_bad_token_makes_it_exit_1() {
    let bench = Bench::new();
    let key = bench.key("keys", Algorithm::EdDsa);
    let stranger = SigningKey::generate(Algorithm::EdDsa, None).expect("a key");
    let expired = key.mint(&claims("b"), NOW - 1000).expect("minted");
    let early = key.mint(&claims("c"), NOW + 1000).expect("minted");
    let elsewhere = Claims {
        issuer: Some("https://evil.example".to_owned()),
        ..claims("d")
    };
    let elsewhere = key.mint(&elsewhere, NOW).expect("minted");
    let others = Claims {
        audiences: vec!["shipping".to_owned()],
        ..claims("e")
    };
    let others = key.mint(&others, NOW).expect("minted");
    let logout = Claims {
        header: ProtectedHeader::typ("logout+jwt"),
        ..claims("f")
    };
    let logout = key.mint(&logout, NOW).expect("minted");
    let eternal = Claims {
        lifetime_seconds: None,
        ..claims("g")
    };
    let eternal = key.mint(&eternal, NOW).expect("minted");
    let cases = [
        (good(&key, "a"), "valid"),
        (format!("{}\r", good(&key, "a")), "valid"),
        (String::new(), "malformed"),
        (" ".to_owned(), "malformed"),
        ("not a token".to_owned(), "malformed"),
        ("\u{1f4a9}.e30.AA".to_owned(), "malformed"),
        ("eyJhbGciOiJub25lIn0.e30.".to_owned(), "unsupported_alg"),
        (forged(&good(&key, "a")), "bad_signature"),
        (good(&stranger, "a"), "unknown_kid"),
        (expired, "expired"),
        (early, "not_yet_valid"),
        (elsewhere.clone(), "wrong_issuer"),
        (forged(&elsewhere), "bad_signature"),
        (others, "wrong_audience"),
        (logout, "wrong_type"),
        (eternal, "missing_claim"),
        (good(&key, "z"), "valid"),
    ];
    let lines: Vec<&str> = cases.iter().map(|(line, _)| line.as_str()).collect();
    let expected: Vec<&str> = cases.iter().map(|(_, reason)| *reason).collect();
    // With and without a line break at the end; from '-' and from nothing at all.
    for (more, input) in [
        (&["-"][..], lines.join("\n")),
        (&[], lines.join("\n") + "\n"),
    ] {
        let said = bench.verify(more, input);
        assert_eq!(said.reasons(), expected);
        assert_eq!((said.code, said.stderr.as_str()), (1, ""));
    }
    let all_good = bench.verify(&[], good(&key, "a") + "\n" + &good(&key, "b"));
    assert_eq!((all_good.reasons().len(), all_good.code), (2, 0));
    let none = bench.verify(&[], "");
    assert_eq!((none.stdout.as_str(), none.code), ("", 0));
}

#[test]
fn a_token_given_as_argument_is_one_token_whatever_is_in_it() {
    let bench = Bench::new();
    let key = bench.key("keys", Algorithm::Es256);
    let two = format!("{0}\n{0}", good(&key, "a"));
    for hostile in ["", "\n", two.as_str()] {
        let said = bench.verify(&[hostile], "");
        assert_eq!(said.reasons(), ["malformed"], "{hostile:?}");
        assert_eq!(said.code, 1);
    }
}

#[test]
fn every_algorithm_verifies_with_the_key_it_names() {
    for algorithm in Algorithm::ALL {
        let bench = Bench::new();
        let key = bench.key("keys", algorithm);
        let said = bench.verify(&[], good(&key, "a"));
        assert_eq!(said.reasons(), ["valid"], "{algorithm}: {}", said.stderr);
    }
}

#[test]
fn a_key_that_names_no_algorithm_serves_the_usual_one_of_its_type_alone() {
    let bench = Bench::new();
    let key = SigningKey::generate(Algorithm::Rs256, None).expect("a key");
    let private = jotd::issuer::danger::to_private_pem(&key)
        .expect("it can be exported")
        .expect("RSA has a PEM form");
    let jwk = Jwk::from_pem(&private).expect("PEM");
    let sign_as = |algorithm| {
        let key = SigningKey::new(algorithm, &jwk).expect("RSA serves both");
        good(&key.with_kid(None).expect("no kid"), "a")
    };
    let tokens = format!(
        "{}\n{}",
        sign_as(Algorithm::Rs256),
        sign_as(Algorithm::Ps256)
    );
    let public = format!("{{\"keys\":[{}]}}", jwk.to_public_json().expect("RSA"));
    bench.write("keys.json", public);
    assert_eq!(
        bench.verify(&[], &tokens).reasons(),
        ["valid", "alg_not_allowed"]
    );
    let said = bench.verify(&["--algorithms", "PS256"], &tokens);
    assert_eq!(said.reasons(), ["alg_not_allowed", "valid"]);
    // A single JWK and PEM are taken as sets of one.
    bench.write("keys.json", jwk.to_public_json().expect("RSA"));
    assert_eq!(
        bench.verify(&[], &tokens).reasons(),
        ["valid", "alg_not_allowed"]
    );
    bench.write("keys.json", private.as_bytes());
    assert_eq!(
        bench.verify(&[], &tokens).reasons(),
        ["valid", "alg_not_allowed"]
    );
}

#[test]
fn a_symmetric_key_that_names_no_algorithm_is_used_only_when_told_how() {
    let bench = Bench::new();
    let token = good(&secret_key(&"A".repeat(32), Algorithm::Hs256), "a");
    // base64url of 32 letters A.
    bench.write(
        "keys.json",
        r#"{"keys":[{"kty":"oct","k":"QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE"}]}"#,
    );
    let said = bench.verify(&[], &token);
    assert_eq!(said.reasons(), ["alg_not_allowed"]);
    assert!(said.stderr.contains("--algorithms"), "{}", said.stderr);
    assert_eq!(
        bench.verify(&["--algorithms", "HS256"], &token).reasons(),
        ["valid"]
    );
}

/// Check V-11: a public key never becomes an HMAC secret.
#[test]
fn a_public_key_is_no_secret() {
    let bench = Bench::new();
    let key = bench.key("keys", Algorithm::Rs256);
    let public = key.public_jwk().expect("RSA");
    let genuine = good(&key, "a");
    let payload = genuine.split('.').nth(1).expect("a payload");
    let kid = key.kid().expect("a kid");
    let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#));
    let signed = format!("{header}.{payload}");
    // What a confused verifier would compute with the public key as it was published.
    let secret = hmac::Key::new(hmac::HMAC_SHA256, public.as_bytes());
    let tag = URL_SAFE_NO_PAD.encode(hmac::sign(&secret, signed.as_bytes()));
    let token = format!("{signed}.{tag}");
    assert_eq!(bench.verify(&[], &token).reasons(), ["alg_not_allowed"]);
    let said = bench.verify(&["--algorithms", "RS256,HS256"], &token);
    assert_eq!(said.reasons(), ["alg_not_allowed"]);
}

#[test]
fn several_secrets_serve_while_one_replaces_another() {
    let bench = Bench::new();
    bench.write("old", SECRET);
    bench.write("new", format!("{SECRET} 2"));
    let tokens = [SECRET, &format!("{SECRET} 2"), &format!("{SECRET} 3")]
        .map(|secret| good(&secret_key(secret, Algorithm::Hs256), "a"))
        .join("\n");
    let now = NOW.to_string();
    let said = bench.run_with(
        &[
            "verify",
            "--secret-file",
            "old",
            "--secret-file",
            "new",
            "--any-issuer",
            "--any-audience",
            "--now",
            &now,
        ],
        tokens,
    );
    assert_eq!(said.reasons(), ["valid", "valid", "bad_signature"]);
}

#[test]
fn unusable_keys_are_skipped_with_a_warning_and_spoil_nothing() {
    let bench = Bench::new();
    let key = bench.key("one", Algorithm::Es256);
    let public = key.public_jwk().expect("EC");
    let weak = r#"{"kty":"oct","kid":"weak","alg":"HS256","k":"c2hvcnQ"}"#;
    let alien = r#"{"kty":"XYZ","kid":"alien\u001b[31m"}"#;
    let encryption = public
        .replace("\"sig\"", "\"enc\"")
        .replace(key.kid().expect("a kid"), "enc");
    bench.write(
        "keys.json",
        format!("{{\"keys\":[17,{weak},{alien},{encryption},{public}]}}"),
    );
    let said = bench.verify(&[], good(&key, "a"));
    assert_eq!(said.reasons(), ["valid"]);
    assert_eq!(
        said.stderr.matches("is skipped").count(),
        4,
        "{}",
        said.stderr
    );
    assert!(
        !said.stderr.contains('\u{1b}'),
        "no file moves the cursor: {}",
        said.stderr
    );
    assert!(!said.stderr.contains("c2hvcnQ"), "no secret is repeated");
}

#[test]
fn what_is_no_key_file_is_a_usage_error() {
    let bench = Bench::new();
    let nested = "[".repeat(100_000);
    let cases: [(&str, &[u8]); 7] = [
        ("empty", b""),
        ("array", b"[]"),
        ("no keys", b"{}"),
        ("keys is no array", b"{\"keys\":{}}"),
        ("twice", b"{\"keys\":[],\"keys\":[]}"),
        ("not text", b"\xff\xfe"),
        ("nested", nested.as_bytes()),
    ];
    for (name, bytes) in cases {
        bench.write("keys.json", bytes);
        let said = bench.verify(&[], "");
        assert_eq!((said.code, said.stdout.as_str()), (2, ""), "{name}");
        assert!(said.stderr.contains("keys.json"), "{name}: {}", said.stderr);
    }
    bench.write("keys.json", vec![b' '; 600 * 1024]);
    assert!(bench.verify(&[], "").stderr.contains("longer than"));
    std::fs::remove_file(bench.path("keys.json")).expect("removed");
    assert_eq!(bench.verify(&[], "").code, 2);
    // An empty set is a set: nothing verifies with it, but the question makes sense.
    bench.write("keys.json", "{\"keys\":[]}");
    assert_eq!(bench.verify(&[], "x").code, 1);
}

#[test]
fn leaving_something_unchecked_must_be_written_out() {
    let bench = Bench::new();
    bench.key("keys", Algorithm::Es256);
    let asked = |more: &[&str]| {
        let mut arguments = vec!["verify", "--jwks", "keys.json"];
        arguments.extend(more);
        bench.run(&arguments)
    };
    for (more, hint) in [
        (&["--any-audience"][..], "--any-issuer"),
        (&["--any-issuer"], "--any-audience"),
        (&[], "--any-issuer"),
        (&["--issuer", "", "--any-audience"], "--issuer"),
        (
            &["--any-issuer", "--issuer", "a", "--any-audience"],
            "--issuer",
        ),
        (
            &["--any-issuer", "--any-audience", "--algorithms", "none"],
            "none",
        ),
        (
            &["--any-issuer", "--any-audience", "--algorithms", "es256"],
            "ES256",
        ),
        (
            &["--any-issuer", "--any-audience", "--leeway", "601"],
            "601",
        ),
        (&["--any-issuer", "--any-audience", "--leeway", "-1"], "-1"),
        (
            &[
                "--any-issuer",
                "--any-audience",
                "--jwe-algorithms",
                "RSA1_5",
            ],
            "RSA1_5",
        ),
        (
            &["--any-issuer", "--any-audience", "--jwe-encodings", "A128"],
            "A128",
        ),
        (&["--config", "x.toml"], "--config"),
    ] {
        let said = asked(more);
        assert_eq!(said.code, 2, "{more:?}");
        assert_eq!(said.stdout, "", "{more:?}");
        assert!(said.stderr.contains(hint), "{more:?}: {}", said.stderr);
    }
    let keyless = bench.run(&["verify", "--any-issuer", "--any-audience"]);
    assert_eq!(keyless.code, 2);
    assert!(keyless.stderr.contains("--jwks"), "{}", keyless.stderr);
    assert_eq!(asked(&["--any-issuer", "--any-audience"]).code, 0);
}

#[test]
fn any_issuer_any_audience_and_any_type_leave_only_those_unchecked() {
    let bench = Bench::new();
    let key = bench.key("keys", Algorithm::Es256);
    let anonymous = Claims {
        issuer: None,
        audiences: Vec::new(),
        header: ProtectedHeader::typ("whatever"),
        ..claims("a")
    };
    let fresh = key.mint(&anonymous, NOW).expect("minted");
    let old = key.mint(&anonymous, NOW - 1000).expect("minted");
    let now = NOW.to_string();
    let said = bench.run_with(
        &[
            "verify",
            "--jwks",
            "keys.json",
            "--any-issuer",
            "--any-audience",
            "--any-type",
            "--now",
            &now,
        ],
        [fresh.clone(), old, forged(&fresh)].join("\n"),
    );
    assert_eq!(said.reasons(), ["valid", "expired", "bad_signature"]);
}

#[test]
fn several_issuers_and_audiences_and_types_are_alternatives() {
    let bench = Bench::new();
    let key = bench.key("keys", Algorithm::Es256);
    let other = Claims {
        issuer: Some("https://second.example".to_owned()),
        audiences: vec!["x".to_owned(), "shipping".to_owned()],
        header: ProtectedHeader::typ("JWT"),
        ..claims("a")
    };
    let other = key.mint(&other, NOW).expect("minted");
    let more = [
        "--issuer",
        "https://second.example",
        "--audience",
        "shipping",
        "--types",
        "jwt,at+jwt",
    ];
    // Naming an issuer twice is naming it once.
    let more = [&more[..], &["--issuer", ISSUER]].concat();
    let said = bench.verify(&more, [good(&key, "a"), other].join("\n"));
    assert_eq!(said.reasons(), ["valid", "valid"]);
    assert_eq!(said.json_lines()[1]["issuer"], "https://second.example");
}

#[test]
fn a_configuration_answers_as_its_daemon_would() {
    let bench = Bench::new();
    let key = bench.key("keys", Algorithm::Es256);
    bench.write(
        "jotd.toml",
        format!(
            "[[issuer]]\nname = \"acme\"\nissuer = \"{ISSUER}\"\njwks_file = \"keys.json\"\n\
             audiences = [\"{AUDIENCE}\"]\nalgorithms = [\"ES256\"]\n\
             [[issuer]]\nname = \"far\"\nissuer = \"https://far.example\"\n\
             jwks_uri = \"https://far.example/jwks\"\naudiences = [\"{AUDIENCE}\"]\n\
             algorithms = [\"ES256\"]\n"
        ),
    );
    let far = Claims {
        issuer: Some("https://far.example".to_owned()),
        ..claims("a")
    };
    let far = key.mint(&far, NOW).expect("minted");
    let stranger = Claims {
        issuer: Some("https://evil.example".to_owned()),
        ..claims("a")
    };
    let stranger = key.mint(&stranger, NOW).expect("minted");
    let now = NOW.to_string();
    let said = bench.run_with(
        &["verify", "--config", "jotd.toml", "--now", &now],
        [good(&key, "a"), far, stranger].join("\n"),
    );
    assert_eq!(
        said.reasons(),
        ["valid", "unavailable", "unknown_issuer"],
        "{}",
        said.stderr
    );
    assert_eq!(said.json_lines()[0]["issuer"], "acme");
    assert!(
        said.stderr.contains("https://far.example/jwks"),
        "{}",
        said.stderr
    );
    assert_eq!(said.code, 1);

    bench.write("jotd.toml", "[[issuer]]\nname = 3\n");
    let broken = bench.run(&["verify", "--config", "jotd.toml", "x"]);
    assert_eq!(broken.code, 2);
    assert!(broken.stderr.contains("jotd.toml:2:8"), "{}", broken.stderr);
}

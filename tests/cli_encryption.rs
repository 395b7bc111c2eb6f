//! Encrypted tokens on the command line: keys made, tokens encrypted to them, and verdicts on what is inside.

mod cli_support;

use cli_support::{AUDIENCE, Bench, ISSUER, NOW, Said, mode};

/// A folder with a key to sign with, its public half in `keys.json`.
fn bench() -> Bench {
    let bench = Bench::new();
    ran(
        &bench,
        &[
            "keys",
            "generate",
            "--alg",
            "ES256",
            "--out",
            "sign.jwk",
            "--public-out",
            "keys.json",
        ],
    );
    bench
}

fn ran(bench: &Bench, arguments: &[&str]) -> Said {
    let said = bench.run(arguments);
    assert_eq!(said.code, 0, "{arguments:?}: {}", said.stderr);
    said
}

fn generate(bench: &Bench, name: &str, more: &[&str]) {
    let file = format!("{name}.jwk");
    ran(
        bench,
        &[&["keys", "generate-encryption", "--out", &file][..], more].concat(),
    );
}

fn issue(bench: &Bench, more: &[&str]) -> Said {
    let now = NOW.to_string();
    let arguments = [
        "issue",
        "--key",
        "sign.jwk",
        "--now",
        &now,
        "--issuer",
        ISSUER,
        "--audience",
        AUDIENCE,
    ];
    ran(bench, &[&arguments[..], more].concat())
}

#[test]
fn every_way_goes_from_a_generated_key_to_a_verdict() {
    let bench = bench();
    for (name, arguments, enc) in [
        ("rsa", &["--alg", "RSA-OAEP-256"][..], "A256GCM"),
        ("x25519", &["--alg", "ECDH-ES"], "A256CBC-HS512"),
        (
            "p521",
            &["--alg", "ECDH-ES+A128KW", "--curve", "P-521"],
            "A128GCM",
        ),
        ("wrap", &["--alg", "A256KW"], "A128CBC-HS256"),
        ("direct", &["--alg", "dir", "--enc", "A192GCM"], "A192GCM"),
    ] {
        generate(&bench, name, arguments);
        let file = format!("{name}.jwk");
        assert_eq!(mode(&bench.path(&file)), 0o600);
        let issued = issue(&bench, &["--encrypt", &file, "--jwe-encoding", enc]);
        assert_eq!(issued.stdout.trim().split('.').count(), 5);
        let alg = arguments[1];
        let said = bench.verify(
            &[
                "--jwks",
                &file,
                "--jwe-algorithms",
                alg,
                "--jwe-encodings",
                enc,
            ],
            &issued.stdout,
        );
        assert_eq!(
            said.reasons(),
            ["valid"],
            "{name}: {} {}",
            said.stdout,
            said.stderr
        );
        assert_eq!(
            said.json_lines()[0]["alg"],
            "ES256",
            "of the signature inside"
        );
        // Either list alone allows all of the other.
        let said = bench.verify(&["--jwks", &file, "--jwe-algorithms", alg], &issued.stdout);
        assert_eq!(said.reasons(), ["valid"], "{name}");
        let said = bench.verify(&["--jwks", &file, "--jwe-encodings", enc], &issued.stdout);
        assert_eq!(said.reasons(), ["valid"], "{name}");
    }
}

#[test]
fn encrypted_tokens_are_refused_for_what_they_are() {
    let bench = bench();
    generate(&bench, "ours", &["--alg", "A256KW"]);
    generate(&bench, "other", &["--alg", "A256KW"]);
    let issued = issue(&bench, &["--encrypt", "ours.jwk"]);
    let token = issued.stdout.trim();
    let asked = |more: &[&str], token: &str| bench.verify(more, token).reasons().remove(0);
    let ours = ["--jwks", "ours.jwk", "--jwe-algorithms", "A256KW"];
    assert_eq!(asked(&ours, token), "valid");
    assert_eq!(
        asked(&["--jwks", "ours.jwk"], token),
        "malformed",
        "nobody asked for them"
    );
    assert_eq!(
        asked(
            &["--jwks", "other.jwk", "--jwe-algorithms", "A256KW"],
            token
        ),
        "unknown_kid"
    );
    let elsewhere = [&ours[..], &["--jwe-encodings", "A128GCM"]].concat();
    assert_eq!(asked(&elsewhere, token), "alg_not_allowed");
    let (start, tag) = token.rsplit_once('.').expect("five segments");
    let other = if tag.starts_with('A') { "B" } else { "A" };
    assert_eq!(
        asked(&ours, &format!("{start}.{other}{}", &tag[1..])),
        "decrypt_failed"
    );
    // A claims set that nobody signed, and a list beside tokens of the other kind.
    let mixed = format!("{token}\n{}{token}.x\n", issue(&bench, &[]).stdout);
    assert_eq!(
        bench.verify(&ours, mixed).reasons(),
        ["valid", "valid", "malformed"]
    );
    let said = bench.verify(&["--jwe-algorithms", "A128GCMKW"], token);
    assert!(
        said.stderr.contains("A128GCMKW is not offered"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_set_of_keys_serves_each_for_its_own_use() {
    let bench = bench();
    ran(
        &bench,
        &[
            "keys",
            "generate-encryption",
            "--alg",
            "ECDH-ES+A256KW",
            "--out",
            "decrypt.jwk",
            "--public-out",
            "encrypt.json",
        ],
    );
    let public = bench.read("encrypt.json");
    assert!(
        public.contains("\"use\":\"enc\"") && !public.contains("\"d\""),
        "{public}"
    );
    let members = |name: &str| {
        let text = bench.read(name);
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        value["keys"][0].to_string()
    };
    // What a daemon publishes: keys that verify beside keys to encrypt to.
    let both = format!(
        "{{\"keys\":[{},{}]}}",
        members("keys.json"),
        members("encrypt.json")
    );
    bench.write("published.json", &both);
    let issued = issue(&bench, &["--encrypt", "published.json"]);
    let all = [
        "--jwks",
        "decrypt.jwk",
        "--jwks",
        "published.json",
        "--jwe-algorithms",
        "ECDH-ES+A256KW",
    ];
    assert_eq!(bench.verify(&all, &issued.stdout).reasons(), ["valid"]);
    let listed = ran(&bench, &["keys", "list", "published.json", "--json"]);
    let uses: Vec<_> = listed
        .json_lines()
        .iter()
        .map(|key| key["use"].clone())
        .collect();
    assert_eq!(uses, ["sig", "enc"]);
    assert!(
        listed.json_lines().iter().all(|key| key["usable"] == true),
        "{}",
        listed.stdout
    );

    for (arguments, hint) in [
        (&["--encrypt", "keys.json"][..], "no key to encrypt to"),
        (
            &["--encrypt", "published.json", "--jwe-algorithm", "dir"],
            "not among the accepted",
        ),
        (&["--jwe-encoding", "A128GCM"], "--encrypt"),
        (
            &["--encrypt", "published.json", "--jwe-algorithm", "RSA1_5"],
            "RSA1_5",
        ),
    ] {
        let said = bench.run(&[&["issue", "--key", "sign.jwk"][..], arguments].concat());
        assert_eq!(said.code, 2, "{arguments:?}: {}", said.stderr);
        assert!(said.stderr.contains(hint), "{arguments:?}: {}", said.stderr);
    }
    // A key to decrypt with signs nothing.
    let said = bench.run(&["issue", "--key", "decrypt.jwk"]);
    assert_eq!(said.code, 2, "{}", said.stderr);
}

#[test]
fn inspect_shows_the_outside_of_an_encrypted_token() {
    let bench = bench();
    generate(&bench, "ours", &["--alg", "ECDH-ES"]);
    let issued = issue(&bench, &["--encrypt", "ours.jwk"]);
    let said = bench.run(&["inspect", "--json", issued.stdout.trim()]);
    assert_eq!(said.code, 0, "its form is sound: {}", said.stdout);
    let inspection = &said.json_lines()[0];
    assert_eq!(inspection["form"], "JWE");
    assert_eq!(inspection["header"]["enc"], "A256GCM");
    assert_eq!(inspection["claims"], serde_json::Value::Null);
}

#[test]
fn a_configuration_says_what_may_be_encrypted_to_which_key() {
    let bench = bench();
    generate(&bench, "ours", &["--alg", "A128KW"]);
    bench.write(
        "jotd.toml",
        format!(
            "[[issuer]]\nname = \"acme\"\nissuer = \"{ISSUER}\"\njwks_file = \"keys.json\"\n\
             audiences = [\"{AUDIENCE}\"]\nalgorithms = [\"ES256\"]\ndecrypt_key_files = [\"ours.jwk\"]\n\
             jwe_algorithms = [\"A128KW\"]\njwe_encodings = [\"A256GCM\"]\n"
        ),
    );
    let now = NOW.to_string();
    let verify = |token: &str| {
        bench
            .run_with(&["verify", "--config", "jotd.toml", "--now", &now], token)
            .reasons()
    };
    let good = issue(&bench, &["--encrypt", "ours.jwk"]);
    assert_eq!(verify(&good.stdout), ["valid"]);
    let other = issue(
        &bench,
        &["--encrypt", "ours.jwk", "--jwe-encoding", "A128GCM"],
    );
    assert_eq!(verify(&other.stdout), ["alg_not_allowed"]);
}

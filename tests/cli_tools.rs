//! The commands around verification: keys, issue, inspect, check-config, health, bench, and the shell's
//! own: help, completions, man pages.

mod cli_support;

use cli_support::{AUDIENCE, Bench, ISSUER, NOW, forged, good, mode};
use jotd::jose::Algorithm;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

#[test]
fn help_and_version_go_to_stdout_and_mistakes_to_stderr() {
    let bench = Bench::new();
    for arguments in [
        &["--help"][..],
        &["-h"],
        &["--version"],
        &["verify", "--help"],
    ] {
        let said = bench.run(arguments);
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{arguments:?}");
        assert!(said.stdout.contains("jotd"), "{arguments:?}");
    }
    for (arguments, hint) in [
        (&[][..], "Usage"),
        (&["verfy"], "verify"),
        (&["verify", "--isuer", "x"], "--issuer"),
        (&["keys"], "generate"),
        (&["keys", "generate", "--alg", "ES255"], "ES256"),
    ] {
        let said = bench.run(arguments);
        assert_eq!((said.code, said.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(said.stderr.contains(hint), "{arguments:?}: {}", said.stderr);
    }
}

#[test]
fn a_token_in_the_wrong_place_is_not_repeated() {
    let bench = Bench::new();
    let token = good(&bench.key("keys", Algorithm::Hs256), "alice");
    for arguments in [
        &[token.as_str()][..],
        &["verify", &token, &token],
        &["inspect", "--jwks", &token],
        &["inspect", &format!("--{token}")],
        &["verify", "--now", &token],
        &["verify", "--algorithms", &token],
        &["health", "--admin", &token],
        &["keys", "list", &token],
        &["check-config", &token],
    ] {
        let said = bench.run(arguments);
        let all = said.stdout + &said.stderr;
        // Its three parts: none may appear.
        for part in token.split('.') {
            assert!(!all.contains(part), "{:?}: {all}", arguments.first());
        }
        assert_ne!(said.code, 0);
    }
}

#[test]
fn keys_are_written_for_their_owner_alone_and_never_overwritten() {
    let bench = Bench::new();
    let arguments = ["keys", "generate", "--alg", "ES256", "--kid", "k1"];
    let arguments = [
        &arguments[..],
        &["--out", "a.jwk", "--public-out", "a.json"],
    ]
    .concat();
    let first = bench.run(&arguments);
    assert_eq!(
        (first.code, first.stdout.as_str()),
        (0, ""),
        "{}",
        first.stderr
    );
    assert_eq!(mode(&bench.path("a.jwk")), 0o600);
    let private: Value = serde_json::from_str(&bench.read("a.jwk")).expect("a JWK");
    assert_eq!(
        (&private["kid"], &private["alg"]),
        (&"k1".into(), &"ES256".into())
    );
    assert!(private["d"].is_string());
    let public: Value = serde_json::from_str(&bench.read("a.json")).expect("a JWK Set");
    assert!(public["keys"][0]["d"].is_null() && public["keys"][0]["x"].is_string());

    let before = bench.read("a.jwk");
    for again in [
        &arguments[..],
        &["keys", "generate", "--alg", "HS256", "--out", "a.jwk"],
    ] {
        let said = bench.run(again);
        assert_eq!(said.code, 2);
        assert!(said.stderr.contains("exists already"), "{}", said.stderr);
        assert_eq!(bench.read("a.jwk"), before);
    }
    // The public file is in the way: then the private one, which would be useless, is not written either.
    let said = bench.run(&[
        "keys",
        "generate",
        "--alg",
        "ES256",
        "--out",
        "b.jwk",
        "--public-out",
        "a.json",
    ]);
    assert_eq!(said.code, 2);
    assert!(!bench.path("b.jwk").exists());
}

#[test]
fn every_algorithm_goes_from_a_generated_key_to_a_verified_token() {
    for algorithm in Algorithm::ALL {
        let bench = Bench::new();
        let name = algorithm.name();
        let private = bench.run(&["keys", "generate", "--alg", name]);
        assert_eq!(private.code, 0, "{name}: {}", private.stderr);
        bench.write_private("private.jwk", &private.stdout);
        let issued = bench.run(&[
            "issue",
            "--key",
            "private.jwk",
            "--issuer",
            ISSUER,
            "--audience",
            AUDIENCE,
        ]);
        assert_eq!(issued.code, 0, "{name}: {}", issued.stderr);
        // A secret has no public half; the private set is what verifies then.
        let keys = if algorithm.scheme().is_hmac() {
            "private.jwk"
        } else {
            let public = bench.run(&["keys", "public", "private.jwk"]);
            bench.write("keys.json", &public.stdout);
            "keys.json"
        };
        let arguments = [
            "verify",
            "--jwks",
            keys,
            "--issuer",
            ISSUER,
            "--audience",
            AUDIENCE,
        ];
        let said = bench.run_with(&arguments, &issued.stdout);
        assert_eq!(said.reasons(), ["valid"], "{name}: {}", said.stderr);
        assert_eq!(said.json_lines()[0]["alg"], name);
    }
}

#[test]
fn other_formats_of_private_keys_work_as_well() {
    let bench = Bench::new();
    let pem = bench.run(&[
        "keys", "generate", "--alg", "ES384", "--format", "pem", "--out", "k.pem",
    ]);
    assert_eq!(pem.code, 0, "{}", pem.stderr);
    let token = bench.run(&["issue", "--key", "k.pem"]);
    let arguments = [
        "verify",
        "--jwks",
        "k.pem",
        "--any-issuer",
        "--any-audience",
    ];
    assert_eq!(
        bench.run_with(&arguments, &token.stdout).reasons(),
        ["valid"]
    );

    let secret = [
        "keys", "generate", "--alg", "HS512", "--format", "secret", "--out", "s",
    ];
    assert_eq!(bench.run(&secret).code, 0);
    let token = bench.run(&["issue", "--secret-file", "s", "--alg", "HS512"]);
    let arguments = [
        "verify",
        "--secret-file",
        "s",
        "--any-issuer",
        "--any-audience",
    ];
    let told = [&arguments[..], &["--algorithms", "HS512"]].concat();
    assert_eq!(bench.run_with(&told, &token.stdout).reasons(), ["valid"]);
    assert_eq!(
        bench.run_with(&arguments, &token.stdout).reasons(),
        ["alg_not_allowed"]
    );

    for arguments in [
        &["keys", "generate", "--alg", "HS256", "--format", "pem"][..],
        &["keys", "generate", "--alg", "ES256", "--format", "secret"],
        &["keys", "generate", "--alg", "HS256", "--public-out", "x"],
        &["keys", "generate", "--alg", "RS256", "--bits", "1024"],
        &["keys", "generate", "--alg", "ES256", "--bits", "384"],
    ] {
        assert_eq!(bench.run(arguments).code, 2, "{arguments:?}");
    }
}

#[test]
fn keys_are_listed_with_what_is_wrong_with_them() {
    let bench = Bench::new();
    let key = bench.key("one", Algorithm::Es256);
    let public = key.public_jwk().expect("EC");
    let secret = r#"{"kty":"oct","kid":"s","k":"QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE"}"#;
    bench.write(
        "keys.json",
        format!("{{\"keys\":[{public},{secret},{{\"kty\":\"?\"}}]}}"),
    );
    let said = bench.run(&["keys", "list", "keys.json", "--json"]);
    let lines = said.json_lines();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["usable"], true);
    assert_eq!(lines[0]["thumbprint"].as_str(), key.kid());
    assert_eq!(
        (&lines[1]["usable"], &lines[1]["thumbprint"]),
        (&false.into(), &Value::Null)
    );
    assert_eq!(lines[2]["usable"], false);
    let table = bench.run(&["keys", "list", "keys.json"]);
    assert_eq!(table.stdout.lines().count(), 4, "{}", table.stdout);
    for said in [&said.stdout, &table.stdout] {
        assert!(!said.contains("QUFB"), "no secret is shown");
    }
    let public_only = bench.run(&["keys", "public", "keys.json"]);
    assert_eq!(
        public_only.json_lines()[0]["keys"].as_array().map(Vec::len),
        Some(1)
    );
    assert!(
        public_only.stderr.contains("no public half"),
        "{}",
        public_only.stderr
    );
    assert_eq!(bench.run(&["keys", "list", "absent"]).code, 2);
}

#[test]
fn issued_tokens_say_what_was_asked_and_differ_in_their_jti() {
    let bench = Bench::new();
    bench.write_private("s", "s".repeat(32));
    let now = NOW.to_string();
    let said = bench.run(&[
        "issue",
        "--secret-file",
        "s",
        "--issuer",
        ISSUER,
        "--subject",
        "alice",
        "--audience",
        "a",
        "--audience",
        "b",
        "--ttl",
        "60",
        "--not-before",
        "-5",
        "--typ",
        "at+jwt",
        "--kid",
        "k",
        "--claim",
        "scope=read write=all",
        "--claim-json",
        "roles=[\"x\",1]",
        "--count",
        "3",
        "--now",
        &now,
    ]);
    assert_eq!(
        (said.code, said.stdout.lines().count()),
        (0, 3),
        "{}",
        said.stderr
    );
    let mut ids = Vec::new();
    for token in said.stdout.lines() {
        let seen = bench.run(&["inspect", "--json", "--now", &now, token]);
        assert_eq!(seen.code, 0, "{}", seen.stdout);
        let seen = &seen.json_lines()[0];
        let (header, claims) = (&seen["header"], &seen["claims"]);
        assert_eq!(
            (&header["typ"], &header["kid"]),
            (&"at+jwt".into(), &"k".into())
        );
        assert_eq!(claims["aud"], serde_json::json!(["a", "b"]));
        assert_eq!(claims["exp"], NOW + 60);
        assert_eq!(claims["nbf"], NOW - 5);
        assert_eq!(claims["iat"], NOW);
        assert_eq!(claims["scope"], "read write=all");
        assert_eq!(claims["roles"], serde_json::json!(["x", 1]));
        ids.push(claims["jti"].as_str().expect("a jti").to_owned());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[test]
fn what_cannot_be_issued_is_refused_with_a_reason() {
    let bench = Bench::new();
    bench.write_private("s", "s".repeat(32));
    bench.write_private("short", "s".repeat(31));
    bench.write_private("empty", "\n");
    bench.key("public", Algorithm::Es256);
    bench.write_private("public.jwks", bench.read("public.json"));
    let rsa = jotd::issuer::SigningKey::generate(Algorithm::Rs256, None).expect("a key");
    let pem = jotd::issuer::danger::to_private_pem(&rsa)
        .expect("RSA")
        .expect("RSA");
    bench.write_private("rsa.pem", pem.as_bytes());
    for (arguments, hint) in [
        (&["issue"][..], "--key"),
        (&["issue", "--secret-file", "short"], "shorter"),
        (&["issue", "--secret-file", "empty"], "empty"),
        (&["issue", "--secret-file", "absent"], "absent"),
        (&["issue", "--secret-file", "s", "--alg", "ES256"], "kind"),
        (&["issue", "--key", "public.jwks"], "no private key"),
        (&["issue", "--key", "rsa.pem"], "--alg"),
        (&["issue", "--secret-file", "s", "--claim", "x"], "'='"),
        (
            &["issue", "--secret-file", "s", "--claim-json", "x={"],
            "JSON",
        ),
        (&["issue", "--secret-file", "s", "--claim", "exp=1"], "exp"),
        (
            &[
                "issue",
                "--secret-file",
                "s",
                "--claim",
                "a=1",
                "--claim",
                "a=2",
            ],
            "twice",
        ),
        (
            &["issue", "--secret-file", "s", "--jti", "a", "--count", "2"],
            "--count",
        ),
    ] {
        let said = bench.run(arguments);
        assert_eq!((said.code, said.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(said.stderr.contains(hint), "{arguments:?}: {}", said.stderr);
    }
    assert_eq!(
        bench
            .run(&["issue", "--key", "rsa.pem", "--alg", "PS256"])
            .code,
        0
    );
}

#[test]
fn a_private_key_that_others_can_read_is_not_used() {
    let bench = Bench::new();
    let path = bench.write_private("s", "s".repeat(32));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("set");
    let said = bench.run(&["issue", "--secret-file", "s"]);
    assert_eq!((said.code, said.stdout.as_str()), (2, ""));
    assert!(said.stderr.contains("chmod 600"), "{}", said.stderr);
    let told = ["issue", "--secret-file", "s", "--insecure-key-permissions"];
    assert_eq!(bench.run(&told).code, 0);
}

#[test]
fn inspect_is_loudly_unverified_and_never_prints_the_signature() {
    let bench = Bench::new();
    let token = good(&bench.key("keys", Algorithm::Es256), "alice");
    let signature = token.rsplit('.').next().expect("a signature");
    for arguments in [&["inspect", &token][..], &["inspect", "--json", &token]] {
        let said = bench.run(arguments);
        assert_eq!(said.code, 0);
        assert!(said.stdout.contains("alice"));
        assert!(!said.stdout.contains(signature));
        let loud = said.stdout.to_lowercase();
        assert!(
            loud.contains("not verified") || loud.contains("\"verified\":false"),
            "{loud}"
        );
    }
    for arguments in [&["inspect"][..], &["inspect", "-"]] {
        let said = bench.run_with(arguments, format!("  {token}\n"));
        assert_eq!(said.code, 0);
        assert!(said.stdout.contains("alice"));
    }
    let forged = forged(&token);
    assert_eq!(
        bench.run(&["inspect", &forged]).code,
        0,
        "its form is sound"
    );
    for hostile in ["", "a.b", "....", "eyJ.eyJ.eyJ", "\u{1b}[31m"] {
        let said = bench.run(&["inspect", hostile]);
        assert_eq!(said.code, 1, "{hostile:?}");
        assert!(!said.stdout.contains('\u{1b}'));
    }
    let said = bench.run_with(&["inspect"], vec![b'a'; 1024 * 1024]);
    assert_eq!(said.code, 1);
    assert!(
        said.stdout.len() < 10_000,
        "a large token is not printed back"
    );
}

#[test]
fn check_config_names_every_fault_and_says_what_would_start() {
    let bench = Bench::new();
    bench.key("keys", Algorithm::Es256);
    let issuer = "[[issuer]]\nname = \"acme\"\nissuer = \"https://idp.example\"\n\
                  jwks_file = \"keys.json\"\naudiences = [\"a\"]\nalgorithms = [\"ES256\"]\n";
    bench.write("good.toml", issuer);
    let said = bench.run(&["check-config", "good.toml"]);
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (0, ""),
        "{}",
        said.stderr
    );
    for part in [
        "/run/jotd/jotd.sock",
        "127.0.0.1:8484",
        "acme",
        "ES256",
        "keys.json",
    ] {
        assert!(said.stderr.contains(part), "{part}: {}", said.stderr);
    }
    assert!(!said.stderr.contains("warning"), "{}", said.stderr);

    bench.write(
        "bad.toml",
        "[cache]\ncapcity = 3\n[batch]\nmax_tokens = 0\n",
    );
    let said = bench.run(&["check-config", "bad.toml"]);
    assert_eq!(said.code, 1);
    for part in ["bad.toml:2:1", "capacity", "bad.toml:4:14"] {
        assert!(said.stderr.contains(part), "{part}: {}", said.stderr);
    }
    let said = bench.run(&["check-config", "--json", "bad.toml"]);
    let faults = said.json_lines();
    assert!(faults.len() >= 2);
    assert_eq!(
        (&faults[0]["line"], &faults[0]["column"]),
        (&2.into(), &1.into())
    );
    assert_eq!(bench.run(&["check-config", "absent.toml"]).code, 1);
    assert_eq!(bench.run(&["check-config"]).code, 2);

    let mut from_environment = bench.command(&["check-config", "good.toml"]);
    let output = from_environment
        .env("JOTD_CACHE__CAPACITY", "many")
        .output()
        .expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("JOTD_CACHE__CAPACITY"));

    std::fs::remove_file(bench.path("keys.json")).expect("removed");
    let said = bench.run(&["check-config", "good.toml"]);
    assert_eq!(said.code, 1, "the daemon would not start");
    assert!(said.stderr.contains("good.toml:4:"), "{}", said.stderr);
}

/// Answers one connection with `answer` and gives what it was asked.
fn answer_once(mut stream: impl Read + Write, answer: &str) -> String {
    let mut request = vec![0; 4096];
    let length = stream.read(&mut request).expect("a request");
    stream.write_all(answer.as_bytes()).expect("it listens");
    String::from_utf8_lossy(&request[..length]).into_owned()
}

#[test]
fn health_is_what_the_daemon_says_and_nothing_else() {
    let bench = Bench::new();
    for (answer, code) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0),
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", 1),
        ("SSH-2.0-OpenSSH_9.6\r\n", 1),
        ("HTTP/1.1 2", 1),
        ("", 1),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let daemon = std::thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a connection");
            answer_once(stream, answer)
        });
        let said = bench.run(&["health", "--admin", &address]);
        assert_eq!(said.code, code, "{answer:?}: {}", said.stderr);
        let request = daemon.join().expect("it answered");
        assert!(request.starts_with("GET /readyz HTTP/1.1\r\n"), "{request}");

        let path = bench.path("socket");
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).expect("a socket");
        let daemon = std::thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a connection");
            answer_once(stream, answer)
        });
        let said = bench.run(&["health", "--socket", "socket"]);
        assert_eq!(said.code, code, "{answer:?}: {}", said.stderr);
        let request = daemon.join().expect("it answered");
        assert!(
            request.starts_with("POST /v1/verify HTTP/1.1\r\n"),
            "{request}"
        );
    }
}

#[test]
fn a_daemon_that_is_not_there_or_does_not_answer_is_not_healthy() {
    let bench = Bench::new();
    assert_eq!(bench.run(&["health", "--socket", "absent"]).code, 1);
    assert_eq!(
        bench.run(&["health", "--admin", "localhost"]).code,
        2,
        "not an address"
    );
    // It takes connections, and never says a word.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let said = bench.run(&["health", "--admin", &address, "--timeout-ms", "50"]);
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("in time"), "{}", said.stderr);
    let socket = UnixListener::bind(bench.path("mute")).expect("a socket");
    let said = bench.run(&["health", "--socket", "mute", "--timeout-ms", "50"]);
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("in time"), "{}", said.stderr);
    drop((listener, socket));
}

#[test]
fn bench_prints_one_line_a_measurement_with_the_contract_s_members() {
    let bench = Bench::new();
    let arguments = [
        "bench",
        "--quick",
        "--alg",
        "HS256,EdDSA",
        "--batch",
        "1,8",
        "--keys",
        "2",
    ];
    let said = bench.run(&[&arguments[..], &["--json"]].concat());
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
    let lines = said.json_lines();
    let mut named = Vec::new();
    for line in &lines {
        let text = |name: &str| line[name].as_str().expect("a name").to_owned();
        let kernels = ["aws-lc", "portable", "ifma"];
        assert!(kernels.contains(&text("kernel").as_str()), "{line}");
        named.push((text("alg"), line["batch"].as_u64()));
        assert_eq!(line["keys"], 2);
        for figure in ["per_second", "reference_per_second", "ratio", "spread"] {
            let value = line[figure].as_f64().expect("a figure");
            assert!(value.is_finite() && value >= 0.0, "{figure}: {value}");
        }
    }
    for (alg, batch) in [("HS256", 1), ("HS256", 8), ("EdDSA", 1), ("EdDSA", 8)] {
        let measured = (alg.to_owned(), Some(batch));
        assert!(named.contains(&measured), "{measured:?} in {named:?}");
    }
    let last = said.stdout.lines().last().expect("a line");
    let (first, rest) = (
        r#"{"alg":"EdDSA","kernel":""#,
        r#","batch":8,"keys":2,"per_second":"#,
    );
    assert!(last.starts_with(first) && last.contains(rest), "{last}");

    let table = bench.run(&["bench", "--quick", "--alg", "HS256", "--end-to-end"]);
    assert!(table.stdout.contains("pipeline"), "{}", table.stdout);
    assert_eq!(bench.run(&["bench", "--batch", "0"]).code, 2);
    assert_eq!(bench.run(&["bench", "--alg", "RSA"]).code, 2);
}

#[test]
fn the_shell_gets_completions_and_man_pages() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = bench.run(&["completions", shell]);
        assert_eq!(said.code, 0);
        assert!(said.stdout.contains("check-config"), "{shell}");
    }
    let page = bench.run(&["man"]);
    assert!(page.stdout.contains(".TH jotd 1"), "{}", page.stdout);
    assert_eq!(bench.run(&["man", "--out", "pages"]).code, 0);
    for page in [
        "jotd.1",
        "jotd-verify.1",
        "jotd-keys-generate.1",
        "jotd-serve.1",
    ] {
        let text = bench.read(&format!("pages/{page}"));
        assert!(
            text.contains("EXIT") || text.contains("DESCRIPTION"),
            "{page}: {text}"
        );
    }
    assert!(
        !bench.path("pages/jotd-man.1").exists(),
        "what is hidden has no page"
    );
}

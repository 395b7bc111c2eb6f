//! Keys in a hardware module: SoftHSM, which is one in software, loaded as any other is.

mod cli_support;

use cli_support::Bench;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

/// Where distributions put it.
const LIBRARIES: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
];

/// A token of its own, named `idp`.
struct Hsm {
    bench: Bench,
    library: &'static str,
}

impl Hsm {
    fn new() -> Self {
        let library = LIBRARIES.into_iter().find(|path| Path::new(path).exists());
        let library = library.expect("SoftHSM is installed; run scripts/install-tools");
        let bench = Bench::new();
        let tokens = bench.path("tokens");
        std::fs::create_dir(&tokens).expect("writable");
        let settings = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            tokens.display()
        );
        bench.write("softhsm2.conf", settings);
        bench.write_private("pin", "4711\n");
        let hsm = Self { bench, library };
        let made = Command::new("softhsm2-util")
            .args([
                "--init-token",
                "--free",
                "--label",
                "idp",
                "--so-pin",
                "0815",
                "--pin",
                "4711",
            ])
            .env("SOFTHSM2_CONF", hsm.bench.path("softhsm2.conf"))
            .output()
            .expect("SoftHSM is installed; run scripts/install-tools");
        assert!(made.status.success(), "{made:?}");
        hsm
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.bench
            .command(arguments)
            .env("SOFTHSM2_CONF", self.bench.path("softhsm2.conf"))
            .env("PIN", "4711")
            .env("WRONG", "1174")
            .env("CREDENTIALS_DIRECTORY", self.bench.path("."))
            .output()
            .expect("the binary runs")
    }

    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {stderr}");
        String::from_utf8(output.stdout).expect("text")
    }

    fn refused(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(output.stdout.is_empty(), "no token was printed");
        let said = String::from_utf8(output.stderr).expect("text");
        assert!(!said.contains("4711") && !said.contains("1174"), "{said}");
        (output.status.code(), said)
    }

    fn uri(&self, attributes: &str, pin: &str) -> String {
        format!(
            "pkcs11:{attributes}?module-path={}&pin-source={pin}",
            self.library
        )
    }

    /// What a verifier says of a token, with nothing but the published set.
    fn verdict(&self, set: &str, token: &str, algorithm: &str) -> Value {
        self.bench.write("set.json", set);
        let arguments = [
            "verify",
            "--jwks",
            "set.json",
            "--any-issuer",
            "--any-audience",
            "--algorithms",
            algorithm,
            token.trim_end(),
        ];
        serde_json::from_str(&self.done(&arguments)).expect("JSON")
    }
}

#[test]
fn every_algorithm_signs_in_the_module_and_rotates_there() {
    let hsm = Hsm::new();
    let uri = hsm.uri("token=idp", "file:pin");
    for algorithm in [
        "ES256", "ES384", "ES512", "ES256K", "EdDSA", "RS256", "RS512", "PS256", "PS384",
    ] {
        hsm.done(&[
            "keys", "generate", "--alg", algorithm, "--keys", algorithm, "--pkcs11", &uri,
        ]);
        hsm.done(&["keys", "rotate", algorithm]);
        let token = hsm.done(&["issue", "--keys", algorithm]);
        let set = hsm.done(&["keys", "public", algorithm]);
        let verdict = hsm.verdict(&set, &token, algorithm);
        assert_eq!(
            (&verdict["valid"], &verdict["alg"]),
            (&true.into(), &algorithm.into())
        );
        let listed = hsm.done(&["keys", "list", algorithm, "--json"]);
        let keys: Vec<Value> = listed
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert_eq!(keys.len(), 2);
        assert_eq!(verdict["kid"], keys[0]["kid"], "the first still signs");
        for key in keys {
            assert_eq!(
                key["private"], "in a module",
                "the next key is made where the first is"
            );
        }
        let manifest = hsm.bench.read(&format!("{algorithm}/ring.json"));
        assert!(
            !manifest.contains("4711"),
            "the PIN is nowhere but at its source"
        );
    }
}

#[test]
fn a_key_is_named_by_its_uri_and_its_pin_comes_from_elsewhere() {
    let hsm = Hsm::new();
    for (pin, label) in [("file:pin", "a"), ("env:PIN", "b"), ("credential:pin", "c")] {
        let uri = hsm.uri(&format!("token=idp;object={label}"), pin);
        hsm.done(&[
            "keys", "generate", "--alg", "ES256", "--keys", label, "--pkcs11", &uri,
        ]);
        let token = hsm.done(&["issue", "--key", &uri]);
        let set = hsm.done(&["keys", "public", label]);
        assert_eq!(hsm.verdict(&set, &token, "ES256")["valid"], true);
        for other in ["a", "b"].into_iter().filter(|other| *other < label) {
            let set = hsm.done(&["keys", "public", other]);
            hsm.bench.write("set.json", set);
            let arguments = [
                "verify",
                "--jwks",
                "set.json",
                "--any-issuer",
                "--any-audience",
                token.trim_end(),
            ];
            let said = hsm.run(&arguments);
            assert_eq!(said.status.code(), Some(1), "the key {other} is another");
        }
    }
    for (attributes, pin, code, what) in [
        ("token=idp", "env:PIN", 1, "several keys"),
        ("token=idp;object=x", "env:PIN", 1, "no private key"),
        ("token=other;object=a", "env:PIN", 1, "no token"),
        ("token=idp;object=a", "env:WRONG", 1, "PinIncorrect"),
        ("token=idp;object=a", "env:NONE", 2, "not set"),
        ("token=idp;object=a", "|cat pin", 2, "command"),
        (
            "token=idp;object=a;pin-value=4711",
            "env:PIN",
            2,
            "not offered",
        ),
    ] {
        let (exit, said) = hsm.refused(&["issue", "--key", &hsm.uri(attributes, pin)]);
        assert!(
            exit == Some(code) && said.contains(what),
            "{attributes}: {said}"
        );
    }
    let no_pin = format!("pkcs11:token=idp;object=a?module-path={}", hsm.library);
    let (_, said) = hsm.refused(&["issue", "--key", &no_pin]);
    assert!(said.contains("pin-source"), "{said}");
    let no_module = "pkcs11:token=idp?module-path=/nothing.so";
    let (_, said) = hsm.refused(&["issue", "--key", no_module]);
    assert!(said.contains("cannot be loaded"), "{said}");
}

/// The token was exchanged or the key is gone: nothing is signed with another one instead.
#[test]
fn another_token_of_the_same_name_does_not_answer_for_a_key() {
    let hsm = Hsm::new();
    let uri = hsm.uri("token=idp", "file:pin");
    hsm.done(&[
        "keys", "generate", "--alg", "ES256", "--keys", "ring", "--pkcs11", &uri,
    ]);
    hsm.done(&["issue", "--keys", "ring"]);
    let again = Hsm::new();
    let other = again.uri("token=idp", "file:pin");
    again.done(&[
        "keys", "generate", "--alg", "ES256", "--keys", "ring", "--pkcs11", &other,
    ]);
    let manifest = hsm.bench.read("ring/ring.json");
    again.bench.write("ring/ring.json", manifest);
    let (_, said) = again.refused(&["issue", "--keys", "ring"]);
    assert!(said.contains("no private key"), "{said}");
}

/// What a module refuses to hand out cannot be had through us either.
#[test]
fn keys_that_are_made_in_the_module_stay_there() {
    let hsm = Hsm::new();
    let uri = hsm.uri("token=idp;object=k", "file:pin");
    hsm.done(&[
        "keys", "generate", "--alg", "RS256", "--bits", "2048", "--keys", "ring", "--pkcs11", &uri,
    ]);
    let entries = std::fs::read_dir(hsm.bench.path("ring")).expect("a folder");
    let mut names: Vec<_> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("text")
        })
        .collect();
    names.sort();
    assert_eq!(names, ["ring.json", "ring.lock"]);
    let (code, said) = hsm.refused(&[
        "keys", "generate", "--alg", "HS256", "--keys", "h", "--pkcs11", &uri,
    ]);
    assert!(code == Some(2) && said.contains("secret_file"), "{said}");
    let size = ["keys", "rotate", "ring", "--bits", "1024"];
    let (_, said) = hsm.refused(&size);
    assert!(said.contains("2048, 3072 or 4096"), "{said}");
}

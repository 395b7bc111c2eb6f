//! Tests of the room as a whole: what is read, what is printed about it, and that both stay true.

use super::*;
use std::fmt::Write as _;

const ISSUER: &str = r#"
    [[issuer]]
    name = "acme"
    issuer = "https://idp.example"
    jwks_uri = "https://idp.example/jwks.json"
    audiences = ["payments"]
    algorithms = ["ES256"]
"#;

fn parse_with(text: &str, environment: &[(&str, &str)]) -> Result<Config, Faults> {
    parse(
        text,
        Path::new("/etc/jotd/jotd.toml"),
        environment
            .iter()
            .map(|(name, value)| (name.into(), value.into())),
    )
}

#[test]
fn an_issuer_alone_is_a_whole_configuration() {
    let config = parse_with(ISSUER, &[]).expect("no faults");
    assert_eq!(config.engine.cache.capacity, 262_144);
    assert_eq!(config.engine.cache.share_percent_max, 100);
    assert_eq!(config.engine.batch_tokens_max, 128);
    assert_eq!(config.listen.http, "127.0.0.1:8484".parse().ok());
    assert_eq!(config.listen.admin, "127.0.0.1:8485".parse().ok());
    let socket = config.listen.socket.expect("on by default");
    assert_eq!(socket.path, Path::new("/run/jotd/jotd.sock"));
    assert_eq!(socket.mode, 0o660);
    let issuer = &config.issuers[0];
    assert_eq!(&*issuer.tenant, "default");
    assert!(issuer.policy.expiry_required);
    assert!(!issuer.policy.bound_tokens_as_bearer);
    assert_eq!(issuer.policy.leeway_seconds, 30);
    assert_eq!(
        config.limits.connections_max,
        transport::Limits::default().connections_max
    );
}

#[test]
fn the_environment_lies_over_the_file() {
    let config = parse_with(
        &format!("[cache]\ncapacity = 1000\n{ISSUER}"),
        &[
            ("JOTD_CACHE__CAPACITY", "1000000"),
            ("JOTD_ISSUER__0__AUDIENCES", "a, b"),
            ("JOTD_ISSUER__0__TENANT", "t"),
            ("PATH", "/bin"),
        ],
    )
    .expect("no faults");
    assert_eq!(config.engine.cache.capacity, 1_000_000);
    let audiences = crate::policy::Accepted::OneOf(vec!["a".into(), "b".into()]);
    assert_eq!(config.issuers[0].policy.audiences, audiences);
    assert_eq!(&*config.issuers[0].tenant, "t");
}

#[test]
fn a_variable_that_only_looks_like_a_setting_is_worth_a_warning() {
    let config = parse_with(
        ISSUER,
        &[("JOTD_CACHE_CAPACITY", "1"), ("JOTD_SERVICE_HOST", "x")],
    )
    .expect("no faults");
    assert_eq!(
        config.warnings,
        ["JOTD_CACHE_CAPACITY is not read; a setting needs two underscores: JOTD_CACHE__CAPACITY"]
    );
}

#[test]
fn several_tenants_share_the_cache() {
    let second = ISSUER
        .replace("acme", "other")
        .replace("idp.example\"", "other.example\"\n    tenant = \"other\"");
    let config = parse_with(&format!("{ISSUER}{second}"), &[]).expect("no faults");
    assert_eq!(config.engine.cache.share_percent_max, 50);
}

#[test]
fn a_file_too_large_or_not_text_is_refused_before_it_is_parsed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("jotd.toml");
    std::fs::write(&path, " ".repeat(FILE_BYTES_MAX + 1)).expect("writable");
    let faults = load_with(&path, []).expect_err("too large");
    assert!(
        faults
            .to_string()
            .ends_with("is larger than 33554432 bytes"),
        "{faults}"
    );
    std::fs::write(&path, [0xff, 0xfe]).expect("writable");
    let faults = load_with(&path, []).expect_err("not text");
    assert!(
        faults.to_string().ends_with("is not UTF-8 text"),
        "{faults}"
    );
    let faults = load_with(&folder.path().join("none"), []).expect_err("not there");
    assert!(faults.to_string().contains("cannot be read"), "{faults}");
}

/// As many as the largest deployments have, each with keys of its own: read, checked and made records of.
#[test]
fn ten_thousand_issuers_are_a_configuration() {
    const JWK: &str = r#"{"kty":"EC","crv":"P-256","kid":"k1","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    let mut text = String::new();
    for number in 0..10_000 {
        let _ = write!(
            text,
            "[[issuer]]\nname = \"i{number}\"\nissuer = \"https://idp-{number}.example\"\ntenant = \"t{number}\"\n\
             jwks = '{{\"keys\":[{JWK}]}}'\naudiences = [\"payments\"]\nalgorithms = [\"ES256\"]\n\n"
        );
    }
    let config = parse_with(&text, &[]).expect("no faults");
    assert_eq!(config.issuers.len(), 10_000);
    assert_eq!(&*config.issuers[9_999].tenant, "t9999");
    // A mistake made ten thousand times is told of often enough to be seen.
    let wrong = text.replace("algorithms", "algoritms");
    let faults = parse_with(&wrong, &[]).expect_err("misspelt");
    assert_eq!(faults.list().len(), 1_001);
    let last = faults.list().last().map(ToString::to_string);
    assert!(last.is_some_and(|last| last.ends_with("faults more")));
}

/// A configuration in a folder with files of these names, contents and modes: its faults, or nothing.
fn faults_with(text: &str, files: &[(&str, &[u8], u32)]) -> String {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, content, mode) in files {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("writable");
        let mode = std::fs::Permissions::from_mode(*mode);
        std::fs::set_permissions(&path, mode).expect("ours");
    }
    let path = folder.path().join("jotd.toml");
    let folder = format!("{}/", folder.path().display());
    match parse(text, &path, []) {
        Ok(_) => String::new(),
        Err(faults) => faults.to_string().replace(&folder, ""),
    }
}

fn issuer_with(source: &str, algorithms: &str) -> String {
    format!(
        "[[issuer]]\nname = \"a\"\nissuer = \"https://a.example\"\naudiences = [\"x\"]\n\
         {source}\nalgorithms = [\"{algorithms}\"]\n"
    )
}

/// Checks V-19.
#[test]
fn a_secret_that_everybody_has_and_more_than_can_be_tried_are_faults() {
    let text = issuer_with("secret_file = \"s\"", "HS256");
    let weak = faults_with(&text, &[("s", b"changemechangemechangemechangeme", 0o600)]);
    assert!(weak.contains("s: is no secret"), "{weak}");
    assert!(!weak.contains("changeme"), "{weak}");
    let five = issuer_with("secret_file = [\"a\", \"b\", \"c\", \"d\", \"e\"]", "HS256");
    let files = ["a", "b", "c", "d", "e"].map(|name| (name, SECRET, 0o600));
    let many = faults_with(&five, &files);
    assert!(many.contains("more than 4 secrets"), "{many}");
    let two = issuer_with("secret_file = [\"a\", \"b\"]", "HS256");
    let short = faults_with(&two, &[("a", SECRET, 0o600), ("b", b"0123456789", 0o600)]);
    assert!(
        short.contains("not every secret") && short.contains("key 1"),
        "{short}"
    );
}

#[test]
fn a_credential_is_a_file_of_the_service_manager() {
    let text = issuer_with("secret_file = \"credential:hmac\"", "HS256");
    let folder = tempfile::tempdir().expect("a folder");
    let credential = folder.path().join("hmac");
    std::fs::write(&credential, SECRET).expect("written");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o400);
    std::fs::set_permissions(&credential, private).expect("set");
    let given = ("CREDENTIALS_DIRECTORY".into(), folder.path().into());
    let config = parse(&text, Path::new("jotd.toml"), [given]).expect("good");
    let source = &config.issuers.first().expect("one").source;
    assert_eq!(
        *source,
        Source::Files(crate::upstream::Files::Secret(vec![credential]))
    );
    let faults = parse(&text, Path::new("jotd.toml"), []).expect_err("no service manager");
    assert!(
        faults.to_string().contains("$CREDENTIALS_DIRECTORY/hmac"),
        "{faults}"
    );
    let escape = issuer_with("secret_file = \"credential:../hmac\"", "HS256");
    let given = (
        "CREDENTIALS_DIRECTORY".into(),
        folder.path().join("inner").into(),
    );
    assert!(parse(&escape, Path::new("jotd.toml"), [given]).is_err());
}

#[test]
fn a_secret_may_come_from_the_environment() {
    let text = issuer_with("secret_env = [\"OLD\", \"NEW\"]", "HS256");
    let secret = std::str::from_utf8(SECRET).expect("text");
    let config = parse_with(&text, &[("OLD", secret), ("NEW", secret)]).expect("good");
    let source = &config.issuers.first().expect("one").source;
    assert_eq!(format!("{source:?}"), r#"Given(["OLD", "NEW"])"#);
    for (environment, why) in [
        (&[("OLD", secret)][..], "$NEW is not set"),
        (&[("OLD", secret), ("NEW", "")], "$NEW is empty"),
        (
            &[("OLD", secret), ("NEW", "short-one")],
            "shorter than the digest",
        ),
        (
            &[
                ("OLD", secret),
                ("NEW", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
            ],
            "$NEW is no secret",
        ),
    ] {
        let faults = parse_with(&text, environment).expect_err(why).to_string();
        assert!(faults.contains(why), "{faults}");
        assert!(
            !faults.contains("short-one") && !faults.contains("0123"),
            "{faults}"
        );
    }
    let asymmetric = issuer_with("secret_env = \"OLD\"", "ES256");
    assert!(parse_with(&asymmetric, &[("OLD", secret)]).is_err());
}

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// Checks V-40.
#[test]
fn a_secret_file_must_be_ours_alone_and_long_enough() {
    let text = issuer_with("secret_file = [\"old\", \"new\"]", "HS256");
    let files = |new: &'static [u8], mode| {
        faults_with(&text, &[("old", SECRET, 0o600), ("new", new, mode)])
    };
    assert_eq!(files(SECRET, 0o640), "");
    assert_eq!(
        files(SECRET, 0o644),
        "jotd.toml:5:15: new: holds a secret, but its mode 0644 lets others read it; run: chmod o= new"
    );
    assert_eq!(files(b"", 0o600), "jotd.toml:5:15: new: is empty");
    let short = faults_with(
        &issuer_with("secret_file = \"s\"", "HS512"),
        &[("s", SECRET, 0o600)],
    );
    assert!(short.contains("shorter than the digest"), "{short}");
    // 31 characters and a line break are not a secret of 32.
    let broken = faults_with(
        &issuer_with("secret_file = \"s\"", "HS256"),
        &[("s", b"0123456789abcdef0123456789abcde\n", 0o600)],
    );
    assert!(broken.contains("shorter than the digest"), "{broken}");
    for faults in [short, broken] {
        assert!(!faults.contains("0123"), "{faults}");
    }
}

#[test]
fn key_files_that_hold_nothing_usable_are_faults_before_they_are_outages() {
    let pem = faults_with(
        &issuer_with("pem_file = \"k\"", "ES256"),
        &[("k", b"not PEM", 0o644)],
    );
    assert!(pem.starts_with("jotd.toml:5:12: k: "), "{pem}");
    let jwks = issuer_with("jwks_file = \"k\"", "ES256");
    let faults = |content: &'static [u8]| faults_with(&jwks, &[("k", content, 0o644)]);
    for (content, why) in [
        (&b"{\"keys\":"[..], "k: "),
        (b"[]", "k: "),
        (b"{\"keys\":[]}", "k: no key can be used: the set is empty"),
        (b"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}", "k: no key can be used: key 0"),
    ] {
        let faults = faults(content);
        assert!(faults.starts_with(&format!("jotd.toml:5:13: {why}")), "{faults}");
    }
}

#[test]
fn a_certificate_and_a_key_that_do_not_belong_together_are_a_fault() {
    let made = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    let (ours, other) = (made(), made());
    let text = format!(
        "[listen.tls]\ncert_file = \"cert\"\nkey_file = \"key\"\n{}",
        issuer_with("jwks_uri = \"https://a.example/k\"", "ES256")
    );
    let faults = |key: &rcgen::KeyPair, mode| {
        let key = key.serialize_pem();
        faults_with(
            &text,
            &[
                ("cert", ours.cert.pem().as_bytes(), 0o644),
                ("key", key.as_bytes(), mode),
            ],
        )
    };
    assert_eq!(faults(&ours.signing_key, 0o600), "");
    let exposed = faults(&ours.signing_key, 0o644);
    assert!(
        exposed.starts_with("jotd.toml:3:12: key holds a secret"),
        "{exposed}"
    );
    let strange = faults(&other.signing_key, 0o600);
    assert!(
        strange.starts_with("jotd.toml:2:13: the certificate and its key"),
        "{strange}"
    );
}

#[test]
fn the_layout_of_threads_follows_the_cpus() {
    let layout = |cpus: &[usize]| {
        let Threads { io, verify } = Threads::auto(cpus);
        (io, verify)
    };
    assert_eq!(layout(&[0]), (vec![0], vec![0]));
    assert_eq!(layout(&[0, 1]), (vec![0], vec![1]));
    assert_eq!(layout(&[2, 5, 7]), (vec![2], vec![5, 7]));
    let sixteen: Vec<usize> = (0..16).collect();
    assert_eq!(layout(&sixteen), (vec![0, 1], (2..16).collect()));
}

/// The schema beside the documentation is the one that the code reads by.
#[test]
fn the_schema_is_checked_in_as_it_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/config.schema.json");
    let schema = schema();
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&path, &schema).expect("writable");
    }
    let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
    let differing = schema
        .lines()
        .zip(checked_in.lines())
        .find(|(is, was)| is != was);
    assert!(
        schema == checked_in,
        "run UPDATE_GENERATED=1 cargo test config:: to mend the schema; first difference: {differing:?}"
    );
}

/// Every default of the definition can be read by its own setting, which readers rely on.
#[test]
fn every_setting_is_documented_with_its_default() {
    let schema: serde_json::Value = serde_json::from_str(&schema()).expect("JSON");
    let guide = include_str!("../../docs/configuration.md");
    let mut missing = String::new();
    for (section, node) in properties(&schema) {
        walk(&section, node, guide, &mut missing);
    }
    assert!(
        missing.is_empty(),
        "docs/configuration.md lacks:\n{missing}"
    );
}

fn properties(schema: &serde_json::Value) -> Vec<(String, &serde_json::Value)> {
    let properties = schema.get("properties").and_then(|map| map.as_object());
    properties
        .into_iter()
        .flatten()
        .map(|(name, node)| (name.clone(), node))
        .collect()
}

fn walk(path: &str, node: &serde_json::Value, guide: &str, missing: &mut String) {
    let table = node
        .get("items")
        .filter(|items| items.get("properties").is_some());
    let inner = properties(table.unwrap_or(node));
    if !inner.is_empty() {
        let heading = match table {
            Some(_) => format!("## `[[{path}]]`"),
            None => format!("## `[{path}]`"),
        };
        if !guide.contains(&heading) {
            let _ = writeln!(missing, "heading {heading}");
        }
        for (name, node) in inner {
            walk(&format!("{path}.{name}"), node, guide, missing);
        }
        return;
    }
    let (section, name) = path.rsplit_once('.').expect("settings stand in sections");
    let default = match node.get("default") {
        Some(default) => format!("`{default}`"),
        None => "none".to_owned(),
    };
    // A row of the section's table: | `name` | type | `default` | why |
    let under = guide
        .split("\n## ")
        .find(|part| {
            part.starts_with(&format!("`[{section}]`"))
                || part.starts_with(&format!("`[[{section}]]`"))
        })
        .unwrap_or_default();
    let row = under
        .lines()
        .find(|line| line.starts_with(&format!("| `{name}` |")));
    match row.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>()) {
        None => {
            let _ = writeln!(missing, "{path}: no row");
        }
        Some(cells) => {
            let required = cells.get(3) == Some(&"required");
            if cells.get(3) != Some(&default.as_str()) && !(required && default == "none") {
                let _ = writeln!(missing, "{path}: the default is {default}");
            }
        }
    }
}

/// The fuzz body over every seed, cut at each byte and with each byte changed in turn.
#[test]
fn any_bytes_are_a_configuration_or_a_list_of_faults() {
    for seed in fuzz::SEEDS {
        let bytes = seed.as_bytes();
        for at in 0..bytes.len() {
            fuzz::run(&bytes[..at]);
            let mut mutated = bytes.to_vec();
            // Brackets, quotes and line breaks change structure; a high byte breaks UTF-8.
            for replacement in *b"[\"=\n\xff" {
                mutated[at] = replacement;
                fuzz::run(&mutated);
            }
        }
    }
    fuzz::run(&[b'['; 100_000]);
    fuzz::run(format!("a = {}", "[".repeat(100_000)).as_bytes());
    fuzz::run(b"[[issuer]]\n\0ISSUER__0__NAME__X__Y=1");
    fuzz::run(b"\0ISSUER__0=1");
    fuzz::run(b"issuer = [1]\n\0ISSUER__0__NAME=1");
    fuzz::run(b"\0__=1");
}

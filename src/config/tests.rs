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
        faults.to_string().ends_with("is larger than 1048576 bytes"),
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
    assert_eq!(
        std::fs::read_to_string(&path).unwrap_or_default(),
        schema,
        "run: UPDATE_GENERATED=1 cargo test config::"
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

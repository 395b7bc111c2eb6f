//! The plan in `lib.rs` is the law: a room imports only from floors below its own. This test reads the plan
//! and the sources, and fails on an import that climbs or crosses.

use super::rust_files;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Room by name, with its floor; ground is 0.
type Plan = BTreeMap<String, u32>;

#[test]
fn no_import_runs_upward() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let plan = read_plan(&fs::read_to_string(source.join("lib.rs")).expect("lib.rs"));
    assert!(plan.len() > 10, "the plan was read: {plan:?}");
    let mut broken = Vec::new();
    for file in rust_files(&source) {
        let Some(room) = room_of(&file, &source, &plan) else {
            continue;
        };
        let text = fs::read_to_string(&file).expect("a source file");
        for used in rooms_used(&text, &plan) {
            if used != room && plan[&used] >= plan[&room] {
                broken.push(format!(
                    "{}: `{room}` (floor {}) uses `{used}` (floor {})",
                    file.display(),
                    plan[&room],
                    plan[&used]
                ));
            }
        }
    }
    assert!(
        broken.is_empty(),
        "imports that climb:\n{}",
        broken.join("\n")
    );
}

#[test]
fn an_import_that_climbs_is_caught() {
    let plan =
        read_plan("// Floor 1: x\npub mod low;\nmod beside;\n\n// Floor 2: y\npub mod high;\n");
    let cases = [
        ("use crate::high::Thing;", vec!["high"]),
        (
            "use crate::{\n    beside,\n    high::{A, B},\n};",
            vec!["beside", "high"],
        ),
        ("let x = crate::high::f();", vec!["high"]),
        ("// use crate::high::Thing;", vec![]),
        ("/// See [`crate::high`].", vec![]),
        ("use crate::low::Thing;", vec!["low"]),
        ("use crate::highlands::Thing;", vec![]),
    ];
    for (text, expected) in cases {
        assert_eq!(rooms_used(text, &plan), expected, "{text}");
    }
}

/// Every room forbids unsafe code at its head; the few files that need it say `allow` with a reason, and
/// are listed here: unsafe has an address.
#[test]
fn unsafe_lives_where_the_plan_says() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in rust_files(&source) {
        let text = fs::read_to_string(&file).expect("a source file");
        let name = file.strip_prefix(&source).expect("below src");
        // Spelled in two parts, so that this file does not find itself.
        let marks = ["{", "fn", "impl"].map(|what| ["unsafe", what].join(" "));
        let uses_unsafe = text
            .lines()
            .map(code_of)
            .any(|line| marks.iter().any(|mark| line.contains(mark)));
        let at_home = UNSAFE_ADDRESSES.iter().any(|home| name.starts_with(home));
        assert!(
            !uses_unsafe || at_home,
            "{} has unsafe code and is not one of its addresses: {UNSAFE_ADDRESSES:?}",
            name.display()
        );
    }
}

const UNSAFE_ADDRESSES: [&str; 9] = [
    "simd",
    "sync",
    "os",
    "crypto/blake3",
    "crypto/ed25519/ifma.rs",
    "crypto/rsa/ifma.rs",
    "crypto/weierstrass/ifma.rs",
    "crypto/sha2",
    "encoding/base64url/avx512.rs",
];

fn read_plan(lib: &str) -> Plan {
    let mut floor = None;
    let mut plan = Plan::new();
    for line in lib.lines() {
        if let Some(rest) = line.strip_prefix("// Floor ") {
            floor = rest
                .split(':')
                .next()
                .and_then(|number| number.parse().ok());
        } else if let (Some(floor), Some(room)) = (floor, module_of(line)) {
            plan.insert(room.to_owned(), floor);
        } else if line.starts_with("#[cfg(test)]") {
            floor = None;
        }
    }
    plan
}

fn module_of(line: &str) -> Option<&str> {
    line.strip_prefix("pub mod ")
        .or_else(|| line.strip_prefix("mod "))?
        .strip_suffix(';')
}

/// The room a file belongs to; `None` for the street door, the command line and these tests, which stand
/// outside the floors.
fn room_of(file: &Path, source: &Path, plan: &Plan) -> Option<String> {
    let inside = file.strip_prefix(source).expect("below src");
    let first = inside.components().next()?.as_os_str().to_str()?;
    let room = first.strip_suffix(".rs").unwrap_or(first);
    plan.contains_key(room).then(|| room.to_owned())
}

/// The rooms that a text reaches by a `crate::` path, nested groups included.
fn rooms_used(text: &str, plan: &Plan) -> Vec<String> {
    let code: String = text.lines().map(code_of).collect::<Vec<_>>().join("\n");
    let mut used = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let heads = match rest.strip_prefix('{') {
            Some(group) => group_heads(group),
            None => vec![identifier(rest)],
        };
        used.extend(
            heads
                .into_iter()
                .filter(|head| plan.contains_key(*head))
                .map(str::to_owned),
        );
    }
    used
}

/// The first identifiers of each branch of a `{…}` group, whose brace has been read.
fn group_heads(group: &str) -> Vec<&str> {
    let mut heads = Vec::new();
    let mut depth = 0;
    let mut at_branch = true;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_branch = true,
            _ if character.is_whitespace() => {}
            _ if at_branch && depth == 0 => {
                heads.push(identifier(&group[at..]));
                at_branch = false;
            }
            _ => {}
        }
    }
    heads
}

fn identifier(text: &str) -> &str {
    let end = text
        .find(|character: char| !(character.is_alphanumeric() || character == '_'))
        .unwrap_or(text.len());
    &text[..end]
}

/// A line without its comment.
fn code_of(line: &str) -> &str {
    line.split("//").next().unwrap_or(line)
}

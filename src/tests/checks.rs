//! The checklist of what a verifier must do, each item traced to the tests that prove it.
//!
//! A test says what it covers in a line of its doc comment, `Checks V-04, V-06.` behind three slashes. This
//! room gathers those lines into `docs/checks.md` and fails when an item of ours has no test, when a test
//! names an item that does not exist, or when the page is not what the marks say.

use super::rust_files;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Item, what it asks, and for those out of reach today, what they wait for.
type Item = (&'static str, &'static str, Option<&'static str>);

const ITEMS: &[Item] = &[
    (
        "V-01",
        "compact serialization only; any byte outside `[A-Za-z0-9-_.]` is refused",
        None,
    ),
    (
        "V-02",
        "exactly three segments; a JWE is told apart, and refused unless it was asked for",
        None,
    ),
    ("V-03", "no mixing of serializations", None),
    (
        "V-04",
        "strict base64url: alphabet, no padding, zero trailing bits",
        None,
    ),
    (
        "V-05",
        "header and claims are UTF-8 JSON objects, without a byte order mark",
        None,
    ),
    ("V-06", "duplicate member names are refused", None),
    (
        "V-07",
        "bounds on bytes, depth, members, strings and numbers; lengths checked before decoding",
        None,
    ),
    ("V-08", "`crit` is understood or the token refused", None),
    ("V-09", "`b64: false` is refused (RFC 7797)", None),
    ("V-10", "`zip` is refused, or asked for and bounded", None),
    ("V-11", "an explicit list of algorithms an issuer", None),
    ("V-12", "`alg` is compared case-sensitively", None),
    ("V-13", "`none` is refused", None),
    ("V-14", "each key is used with exactly one algorithm", None),
    ("V-15", "a public key can never become HMAC bytes", None),
    (
        "V-16",
        "keys come from configured sources; `jwk`, `jku`, `x5u`, `x5c` are not followed",
        None,
    ),
    ("V-17", "keys are bound to `iss`", None),
    ("V-18", "`kid` is bounded, and a look-up hint only", None),
    (
        "V-19",
        "HMAC secrets are at least as long as the digest",
        None,
    ),
    (
        "V-20",
        "RSA moduli of 2048 to 8192 bits, bounded exponents",
        None,
    ),
    ("V-21", "points are validated when a key is loaded", None),
    (
        "V-22",
        "ECDSA signatures are raw `r || s` of exact length, in range",
        None,
    ),
    (
        "V-23",
        "Ed25519: S < L, cofactorless, small-order and non-canonical keys refused",
        None,
    ),
    (
        "V-24",
        "PKCS#1: the whole encoding is compared; PSS: salt length is the digest's",
        None,
    ),
    (
        "V-25",
        "of nested tokens both layers are checked, and a second layer is refused",
        None,
    ),
    ("V-26", "MACs are compared in constant time", None),
    (
        "V-27",
        "`exp`, `nbf`, exact NumericDate rules, bounded leeway",
        None,
    ),
    (
        "V-28",
        "`exp` is required; life and age can be capped",
        None,
    ),
    ("V-29", "`iss` matches exactly", None),
    (
        "V-30",
        "`aud` names an expected audience; missing is refused",
        None,
    ),
    ("V-31", "the user is the pair of `iss` and `sub`", None),
    ("V-32", "`typ` is checked as a media type", None),
    (
        "V-33",
        "tokens of different kinds exclude one another",
        None,
    ),
    (
        "V-34",
        "an `at+jwt` policy requires the claims of RFC 9068",
        None,
    ),
    (
        "V-35",
        "what a request demands is judged on every request, hits too",
        None,
    ),
    (
        "V-36",
        "`acr`, `amr`, `auth_time` where a policy demands them",
        Some("authorization, a later issue"),
    ),
    (
        "V-37",
        "a token bound by `cnf` does not pass as a bearer token",
        None,
    ),
    (
        "V-38",
        "nothing is looked up for a token that is expired or not genuine",
        None,
    ),
    ("V-39", "Token Status List rules", None),
    (
        "V-40",
        "tokens are secrets: none in logs, metrics, errors",
        None,
    ),
    (
        "V-41",
        "a peer's identity comes from the socket, never from a header",
        None,
    ),
    (
        "V-42",
        "\"could not check\" is neither valid nor invalid",
        None,
    ),
    (
        "V-43",
        "key sets by https only; limits on size, time, redirects, address",
        None,
    ),
    (
        "V-44",
        "a key removed upstream stops verifying, cached verdicts included",
        None,
    ),
    (
        "I-21",
        "a token that an order names is refused from the order's acknowledgement on, cached or not",
        None,
    ),
    (
        "I-22",
        "what others say is revoked counts by their signature, for our audience, about whom they may speak of, and is \
         acknowledged only once it stands",
        None,
    ),
    (
        "I-23",
        "a single-use token passes once: in a batch, on all threads, from the cache, on all hosts that share uses",
        None,
    ),
    (
        "K-01",
        "kernels: bounds of numbers in their types, asserted in debug builds",
        None,
    ),
    (
        "K-02",
        "kernels: formulas exhausted over small primes",
        None,
    ),
    (
        "K-03",
        "kernels: field operations against big integers",
        None,
    ),
    ("K-04", "kernels: signatures against the reference", None),
    (
        "K-05",
        "kernels: Wycheproof and speccheck, in every lane",
        None,
    ),
    (
        "K-06",
        "kernels: known answers before work, shown able to fail",
        None,
    ),
    ("K-07", "kernels: known answers among the checks", None),
    (
        "K-08",
        "kernels: a sample of what was accepted is verified again",
        None,
    ),
    (
        "K-09",
        "kernels: what is refused is confirmed within a budget",
        None,
    ),
    ("K-10", "kernels: off at the first disagreement", None),
    ("F-01", "the daemon is killed", None),
    ("F-16", "Redis is killed", None),
    ("F-17", "Redis comes back empty", None),
    ("F-18", "FLUSHALL", None),
    ("F-19", "a partition of 0.1 to 60 s", None),
    (
        "F-20",
        "failover to a replica that lacks the last writes",
        None,
    ),
    ("F-21", "failover to a server with another clock", None),
    (
        "F-22",
        "an old primary that is cut off goes on answering",
        None,
    ),
    ("F-23", "the log is trimmed past the cursor", None),
    ("F-24", "Redis hangs, or is slow", None),
    ("F-25", "garbage and truncated answers", None),
    ("F-26", "rights revoked", None),
    (
        "F-27",
        "Redis refuses writes: out of memory, disk full",
        None,
    ),
    ("F-28", "LOADING, READONLY", None),
    ("F-29", "one of several logs is lost for good", None),
    ("F-30", "an issuer is down", None),
    ("F-31", "an issuer answers a byte at a time", None),
    (
        "F-32",
        "an issuer answers without end, or too much, or compressed",
        None,
    ),
    (
        "F-33",
        "an issuer answers with garbage, a page, or no keys",
        None,
    ),
    (
        "F-34",
        "an issuer redirects inwards, or its name leads there",
        None,
    ),
    (
        "F-35",
        "a rotation while tokens are verified; a `kid` that names another key",
        None,
    ),
    ("F-36", "a key is removed", None),
    (
        "F-37",
        "an issuer is killed between its rotation and its answer",
        None,
    ),
    ("F-38", "several ask for a look at once", None),
    ("F-39", "the disk behind the audit lines is full", None),
    (
        "F-40",
        "the disk of `state_dir` is full, read-only, or held a torn file",
        None,
    ),
    ("F-41", "the wall clock steps", None),
];

#[test]
fn every_item_has_a_test_and_the_page_says_which() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for folder in ["src", "tests", "loadtest/src", "loadtest/tests"] {
        for file in rust_files(&root.join(folder)) {
            let text = fs::read_to_string(&file).expect("a source file");
            let name = file
                .strip_prefix(root)
                .expect("below the root")
                .display()
                .to_string();
            for (item, test) in marks(&text) {
                tests
                    .entry(item)
                    .or_default()
                    .push(format!("`{test}` in {name}"));
            }
        }
    }
    for item in tests.keys() {
        assert!(
            ITEMS.iter().any(|(id, ..)| id == item) || item.starts_with("I-"),
            "{item} is no item"
        );
    }
    let uncovered: Vec<_> = ITEMS
        .iter()
        .filter(|(id, _, waits)| waits.is_none() && !tests.contains_key(*id))
        .map(|(id, what, _)| format!("{id} {what}"))
        .collect();
    assert!(
        uncovered.is_empty(),
        "items without a test:\n{}",
        uncovered.join("\n")
    );

    let page = page(&tests);
    let path = root.join("docs/checks.md");
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(&path, &page).expect("docs/ can be written");
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == page,
        "docs/checks.md is stale; `UPDATE_GENERATED=1 cargo test --lib checks` rewrites it"
    );
}

#[test]
fn marks_are_read_with_the_test_they_stand_above() {
    let text = "    /// Checks V-01, V-02.\n    /// More.\n    #[test]\n    fn one() {}\n\n    /// Says V-03.\n    fn two() {}\n/// Checks V-04.\n#[tokio::test]\nasync fn three() {}\n";
    let expected = [("V-01", "one"), ("V-02", "one"), ("V-04", "three")];
    assert_eq!(
        marks(text),
        expected.map(|(item, test)| (item.to_owned(), test.to_owned()))
    );
}

/// The items a text's tests cover, each with its test.
fn marks(text: &str) -> Vec<(String, String)> {
    let mut pending: Vec<String> = Vec::new();
    let mut found = Vec::new();
    for line in text.lines().map(str::trim_start) {
        if let Some(list) = line.strip_prefix("/// Checks ") {
            let items = list
                .split([',', '.', ':', ' '])
                .filter(|word| is_item(word));
            pending.extend(items.map(str::to_owned));
        } else if let Some(rest) = line.split("fn ").nth(1).filter(|_| !line.starts_with("//")) {
            let name: String = rest
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            found.extend(pending.drain(..).map(|item| (item, name.clone())));
        }
    }
    found
}

fn is_item(word: &str) -> bool {
    let number = ["V-", "I-", "K-", "F-"]
        .iter()
        .find_map(|kind| word.strip_prefix(kind));
    number
        .is_some_and(|number| number.len() == 2 && number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn page(tests: &BTreeMap<String, Vec<String>>) -> String {
    let mut page = String::from(
        "# What a verifier must do, and the tests that prove it\n\n\
         Made from the marks above the tests; `src/tests/checks.rs` has the list and keeps this page true. The\n\
         items V come from RFC 8725 and its revision, RFC 9068, RFC 9700, OWASP ASVS 5.0 and the failures of others\n\
         (`docs/threats.md`), the items I concern who issues and revokes, the items K come from what a kernel must show before it is trusted (`docs/SOUNDNESS.md`), the items F are faults that are injected.\n\n| item | asks | shown by |\n|---|---|---|\n",
    );
    for (id, what, waits) in ITEMS {
        let shown = match (tests.get(*id), waits) {
            (Some(tests), _) => tests.join("<br>"),
            (None, Some(waits)) => format!("waits for {waits}"),
            (None, None) => String::new(),
        };
        writeln!(page, "| {id} | {what} | {shown} |").expect("writing to a String cannot fail");
    }
    page
}

//! What must hold for any bytes whatever: bodies of the fuzz targets, as ordinary functions.
//!
//! `fuzz/` calls them from cargo-fuzz; the tests below replay the checked-in seeds and thousands of
//! mutations of them, so that every `cargo test` is a smoke run.
#![forbid(unsafe_code)]

use super::base64url;
use super::json::{Kind, Object, Value};

/// Accepted base64url has one spelling, and a refusal names a byte of the text.
pub fn base64url(text: &[u8]) {
    match base64url::decode_vec(text) {
        Ok(octets) => {
            assert_eq!(base64url::encode_string(&octets).as_bytes(), text);
            assert_eq!(base64url::decoded_len(text.len()), octets.len());
            assert!(base64url::is_alphabet(text));
        }
        Err(error) => assert!(error.offset < text.len()),
    }
    let alphabet = base64url::alphabet_len(text);
    assert!(
        text.get(alphabet)
            .is_none_or(|byte| !base64url::is_alphabet(&[*byte]))
    );
}

/// Accepted JSON is what serde_json reads in it; what serde_json refuses is refused.
///
/// The two differ, knowingly: serde_json takes the last of duplicate members, has a limit on depth only, and
/// refuses numbers beyond the range of a double, which jotd reads exactly or not at all.
pub fn json(text: &[u8]) {
    let oracle = serde_json::from_slice::<serde_json::Value>(text);
    let object = match Object::parse(text) {
        Ok(object) => object,
        Err(error) => {
            assert!(error.offset <= text.len());
            let ours_alone = ["two members", "too many", "too deeply", "too long"];
            assert!(
                !matches!(oracle, Ok(serde_json::Value::Object(_)))
                    || ours_alone.iter().any(|rule| error.rule.contains(rule)),
                "serde_json accepts what was refused: {error}"
            );
            return;
        }
    };
    match &oracle {
        Ok(oracle) => assert_object(&object, oracle),
        Err(error) => assert!(
            error.to_string().contains("number out of range"),
            "serde_json refuses what was accepted: {error}"
        ),
    }
    let mut line = Vec::new();
    object.write_minified(&mut line);
    assert!(!line.contains(&b'\n') && line.len() <= text.len());
    let again = Object::parse(&line).expect("a minified text is as strict as it was");
    assert_eq!(again.len(), object.len());
}

fn assert_object(object: &Object<'_>, oracle: &serde_json::Value) {
    assert_eq!(
        Some(object.len()),
        oracle.as_object().map(serde_json::Map::len)
    );
    for (name, value) in object.members() {
        assert!(
            object
                .get(&name)
                .is_some_and(|found| found.text() == value.text())
        );
        assert_value(value, &oracle[&*name]);
    }
}

fn assert_value(value: Value<'_>, oracle: &serde_json::Value) {
    match value.kind() {
        Kind::Null => assert!(oracle.is_null()),
        Kind::Bool => assert_eq!(value.as_bool(), oracle.as_bool()),
        Kind::String => assert_eq!(value.as_str().as_deref(), oracle.as_str()),
        Kind::Number => {
            let number = value.as_number().expect("a number");
            // Where serde_json keeps an integer it is exact; `-0` it keeps as a double.
            if let Some(whole) = oracle.as_i64() {
                assert_eq!(number.as_i64(), Some(whole));
            }
            assert!(number.floor_and_ceil(1 << 53).is_none_or(|(floor, ceil)| {
                ceil - floor <= 1
                    && oracle
                        .as_f64()
                        .is_none_or(|near| floor as f64 <= near && near <= ceil as f64)
            }));
        }
        Kind::Array => {
            let elements: Vec<_> = value.as_array().expect("an array").collect();
            let oracle = oracle.as_array().expect("an array here too");
            assert_eq!(elements.len(), oracle.len());
            let strings = oracle.iter().all(serde_json::Value::is_string);
            assert_eq!(value.is_strings(), strings);
            for (element, oracle) in elements.into_iter().zip(oracle) {
                assert_value(element, oracle);
            }
        }
        Kind::Object => assert_object(&value.as_object().expect("an object"), oracle),
    }
}

/// Replays a target's seeds and mutations of them.
#[cfg(test)]
pub(crate) mod smoke {
    use std::fs;
    use std::panic::{self, AssertUnwindSafe};
    use std::path::Path;

    /// Mutations tried a target. Enough to reach every rule from the seeds, in seconds unoptimised.
    const CASES: u64 = 20_000;

    /// The same cases every time, so that a failure replays.
    const SEED: u64 = 0x6a6f_7464;

    /// Runs `body` over `fuzz/seeds/<target>/` and over mutations of those files.
    pub(crate) fn run(target: &str, body: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/seeds")
            .join(target);
        let mut files: Vec<_> = fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|entry| entry.expect("an entry").path())
            .collect();
        files.sort();
        let seeds: Vec<_> = files
            .iter()
            .map(|file| fs::read(file).expect("a seed"))
            .collect();
        assert!(!seeds.is_empty(), "{target} has no seeds");
        for (file, seed) in files.iter().zip(&seeds) {
            attempt(body, seed, || format!("seed {}", file.display()));
        }
        let mut random = Random(SEED);
        for case in 0..CASES {
            let mutant = mutate(&seeds, &mut random);
            attempt(body, &mutant, || {
                format!("{target}, case {case} of seed {SEED:#x}")
            });
        }
    }

    fn attempt(body: fn(&[u8]), input: &[u8], describe: impl Fn() -> String) {
        if panic::catch_unwind(AssertUnwindSafe(|| body(input))).is_err() {
            panic!("{}: {}", describe(), input.escape_ascii());
        }
    }

    /// One seed with one to four changes.
    fn mutate(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
        let mut bytes = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len() + 1);
            let end = (at + random.below(9)).min(bytes.len());
            match random.below(8) {
                0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
                1 if at < bytes.len() => bytes[at] = random.next().to_le_bytes()[0],
                2 => bytes.insert(at, random.next().to_le_bytes()[0]),
                3 => drop(bytes.drain(at..end)),
                4 => bytes.truncate(at),
                5 => {
                    let copy = bytes[at..end].to_vec();
                    bytes.splice(at..at, copy);
                }
                6 => {
                    let words = WORDS[random.below(WORDS.len())];
                    bytes.splice(at..end, words.bytes());
                }
                _ => {
                    let other = &seeds[random.below(seeds.len())];
                    let from = random.below(other.len() + 1);
                    bytes.splice(at.., other[from..].iter().copied());
                }
            }
        }
        bytes
    }

    /// What grammars turn on.
    const WORDS: [&str; 32] = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\\u0061",
        "\\ud83d\\ude00",
        "\\ud800",
        "null",
        "true",
        "-",
        "0",
        "1e5",
        "1.5",
        "9007199254740993",
        ".",
        "=",
        "_",
        "A",
        " ",
        "\n",
        "\u{feff}",
        "é",
        "\"a\":1,",
        "alg",
        "crit",
        "-----BEGIN ",
        "-----END ",
        "\0",
    ];

    /// SplitMix64.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = self.0;
            word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^ word >> 31
        }

        fn below(&mut self, bound: usize) -> usize {
            (self.next() % bound as u64) as usize
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_smoke() {
        smoke::run("base64url", base64url);
    }

    #[test]
    fn json_smoke() {
        smoke::run("json", json);
    }
}

//! What a setting may be: each type reads itself from a value, says what it wanted, and names itself in
//! the JSON Schema.
#![forbid(unsafe_code)]

use super::document::{Node, Table, Value};
use super::fault::{Found, did_you_mean, shown};
use super::section::{At, Setting};
use crate::jose::Algorithm;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Says what was wanted and what was found. The value itself is not shown: it may be a misplaced secret.
fn wanted(node: &Node, what: &str, found: &mut Found) {
    let is = match &node.value {
        Value::Text(_) => "something else",
        _ => node.kind(),
    };
    found.push(&node.place, format!("wants {what}, but this is {is}"));
}

/// The string behind a node, whichever way it was written.
fn string(node: &Node) -> Option<&str> {
    match &node.value {
        Value::String(text) | Value::Text(text) => Some(text),
        _ => None,
    }
}

/// Implements [`JsonSchema`] by one literal; such schemas stand in place, not among definitions.
macro_rules! schema {
    ([$($generic:tt)*] $type:ty, $generator:ident => $schema:expr) => {
        impl<$($generic)*> JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

impl Setting for bool {
    fn read(node: &Node, found: &mut Found) -> Option<Self> {
        match &node.value {
            Value::Boolean(boolean) => Some(*boolean),
            Value::Text(text) if text == "true" => Some(true),
            Value::Text(text) if text == "false" => Some(false),
            _ => {
                wanted(node, "true or false", found);
                None
            }
        }
    }
}

/// A whole number within bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count<const MIN: i64, const MAX: i64>(pub(super) i64);

impl<const MIN: i64, const MAX: i64> Count<MIN, MAX> {
    pub(super) fn usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }

    pub(super) fn u64(self) -> u64 {
        u64::try_from(self.0).unwrap_or(0)
    }
}

impl<const MIN: i64, const MAX: i64> Setting for Count<MIN, MAX> {
    fn read(node: &Node, found: &mut Found) -> Option<Self> {
        let number = match &node.value {
            Value::Integer(integer) => Some(*integer),
            Value::Text(text) => text.replace('_', "").parse().ok(),
            _ => None,
        };
        let Some(number) = number else {
            wanted(node, &format!("a whole number from {MIN} to {MAX}"), found);
            return None;
        };
        if (MIN..=MAX).contains(&number) {
            return Some(Self(number));
        }
        found.push(&node.place, format!("{number} is outside {MIN} to {MAX}"));
        None
    }
}

schema!([const MIN: i64, const MAX: i64] Count<MIN, MAX>, _generator => json_schema!({
    "type": "integer", "minimum": MIN, "maximum": MAX,
}));

/// Longest string that any setting takes, in bytes.
const TEXT_BYTES_MAX: usize = 2048;

/// A string of one line, not empty.
#[derive(Clone, Debug)]
pub(super) struct Text(pub(super) Box<str>);

impl Setting for Text {
    fn read(node: &Node, found: &mut Found) -> Option<Self> {
        let Some(text) = string(node) else {
            wanted(node, "a string", found);
            return None;
        };
        let fault = if text.is_empty() {
            "must not be empty"
        } else if text.len() > TEXT_BYTES_MAX {
            "is longer than 2048 bytes"
        } else if text.chars().any(char::is_control) {
            "holds a control character or a line break"
        } else if text.trim() != text {
            "begins or ends with a space, which would be compared too"
        } else {
            return Some(Self(text.into()));
        };
        found.push(&node.place, fault);
        None
    }
}

schema!([] Text, _generator => json_schema!({
    "type": "string", "minLength": 1, "maxLength": TEXT_BYTES_MAX,
}));

/// A name that goes into metrics, logs and verdicts.
#[derive(Clone, Debug)]
pub(super) struct Name(pub(super) Box<str>);

impl Setting for Name {
    fn read(node: &Node, found: &mut Found) -> Option<Self> {
        let Text(text) = Text::read(node, found)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "._:/@-".contains(c);
        if text.len() <= 128 && text.chars().all(plain) {
            return Some(Self(text));
        }
        found.push(
            &node.place,
            "is no name: up to 128 letters, digits and . _ : / @ - are",
        );
        None
    }
}

schema!([] Name, _generator => json_schema!({
    "type": "string", "pattern": "^[A-Za-z0-9._:/@-]{1,128}$",
}));

/// A path; a relative one starts at the configuration file's folder.
#[derive(Clone, Debug)]
pub(super) struct FilePath(pub(super) PathBuf);

impl Setting for FilePath {
    fn read(node: &Node, found: &mut Found) -> Option<Self> {
        let Text(text) = Text::read(node, found)?;
        Some(Self(PathBuf::from(&*text)))
    }
}

schema!([] FilePath, _generator => json_schema!({ "type": "string", "minLength": 1 }));

/// A list of at least one. From the environment: separated by commas.
#[derive(Clone, Debug)]
pub(super) struct List<T>(pub(super) Vec<At<T>>);

/// Most elements of any list.
const LIST_ELEMENTS_MAX: usize = 1024;

impl<T: Setting> Setting for List<T> {
    fn read(node: &Node, found: &mut Found) -> Option<Self> {
        let split: Vec<Node>;
        let items = match &node.value {
            Value::Array(items) => items,
            Value::Text(text) => {
                split = text
                    .split(',')
                    .map(|item| Node {
                        place: node.place.clone(),
                        value: Value::Text(item.trim().to_owned()),
                    })
                    .collect();
                &split
            }
            _ => {
                wanted(node, "a list, like [\"one\", \"two\"]", found);
                return None;
            }
        };
        if items.is_empty() {
            found.push(
                &node.place,
                "is empty, which would accept nothing; name at least one",
            );
            return None;
        }
        if items.len() > LIST_ELEMENTS_MAX {
            found.push(
                &node.place,
                format!(
                    "has {} elements; at most {LIST_ELEMENTS_MAX} are taken",
                    items.len()
                ),
            );
            return None;
        }
        let mut list = Vec::with_capacity(items.len());
        for item in items {
            if let Some(value) = T::read(item, found) {
                list.push(At {
                    value,
                    place: item.place.clone(),
                });
            }
        }
        (list.len() == items.len()).then_some(Self(list))
    }
}

schema!([T: Setting] List<T>, generator => {
    let items = generator.subschema_for::<T>();
    json_schema!({ "type": "array", "items": items, "minItems": 1, "maxItems": LIST_ELEMENTS_MAX })
});

/// One, or a list of them.
#[derive(Clone, Debug)]
pub(super) struct OneOrMany<T>(pub(super) Vec<At<T>>);

impl<T: Setting> Setting for OneOrMany<T> {
    fn read(node: &Node, found: &mut Found) -> Option<Self> {
        if matches!(node.value, Value::String(_)) {
            let value = T::read(node, found)?;
            let place = node.place.clone();
            return Some(Self(vec![At { value, place }]));
        }
        List::read(node, found).map(|List(items)| Self(items))
    }
}

schema!([T: Setting] OneOrMany<T>, generator => {
    let one = generator.subschema_for::<T>();
    let many = generator.subschema_for::<List<T>>();
    json_schema!({ "anyOf": [one, many] })
});

/// The word `"any"`, or something to hold tokens against. That anything goes must be written out.
#[derive(Clone, Debug)]
pub(super) enum AnyOr<T> {
    Any,
    These(T),
}

impl<T: Setting> Setting for AnyOr<T> {
    fn read(node: &Node, found: &mut Found) -> Option<Self> {
        if string(node) == Some("any") {
            return Some(Self::Any);
        }
        T::read(node, found).map(Self::These)
    }
}

schema!([T: Setting] AnyOr<T>, generator => {
    let these = generator.subschema_for::<T>();
    json_schema!({ "anyOf": [{ "const": "any" }, these] })
});

/// Accepted values of `typ`: `"access_token"`, a list, or `"any"`.
#[derive(Clone, Debug)]
pub(super) enum Types {
    Any,
    AccessToken,
    These(List<Text>),
}

impl Setting for Types {
    fn read(node: &Node, found: &mut Found) -> Option<Self> {
        match string(node) {
            Some("any") => Some(Self::Any),
            Some("access_token") => Some(Self::AccessToken),
            _ => List::read(node, found).map(Self::These),
        }
    }
}

schema!([] Types, generator => {
    let these = generator.subschema_for::<List<Text>>();
    json_schema!({ "anyOf": [{ "enum": ["access_token", "any"] }, these] })
});

/// CPUs to use: `"auto"`, or a list in the kernel's own notation.
#[derive(Clone, Debug)]
pub(super) enum CpuList {
    Auto,
    These(Vec<usize>),
}

/// Highest CPU number taken, which bounds what `"0-99999999"` may cost.
const CPU_MAX: usize = 1023;

impl CpuList {
    fn parse(text: &str) -> Result<Vec<usize>, String> {
        let number = |text: &str| {
            text.trim()
                .parse::<usize>()
                .ok()
                .filter(|cpu| *cpu <= CPU_MAX)
                .ok_or_else(|| {
                    format!(
                        "is no list of CPUs: write \"auto\" or numbers up to {CPU_MAX} and ranges, \
                         like \"1-3,8\""
                    )
                })
        };
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(part)?, number(part)?),
            };
            if first > last {
                return Err(format!("the range {first}-{last} runs backwards"));
            }
            for cpu in first..=last {
                if cpus.contains(&cpu) {
                    return Err(format!("names CPU {cpu} twice"));
                }
                cpus.push(cpu);
            }
        }
        Ok(cpus)
    }
}

impl Setting for CpuList {
    fn read(node: &Node, found: &mut Found) -> Option<Self> {
        let Some(text) = string(node) else {
            wanted(node, "\"auto\" or a list of CPUs, like \"1-3,8\"", found);
            return None;
        };
        if text == "auto" {
            return Some(Self::Auto);
        }
        Self::parse(text)
            .map(Self::These)
            .map_err(|fault| found.push(&node.place, fault))
            .ok()
    }
}

schema!([] CpuList, _generator => json_schema!({
    "type": "string", "pattern": "^(auto|[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*)$",
}));

/// Where to listen on TCP, or that we do not.
#[derive(Clone, Copy, Debug)]
pub(super) enum Address {
    Off,
    At(SocketAddr),
}

impl Setting for Address {
    fn read(node: &Node, found: &mut Found) -> Option<Self> {
        match string(node) {
            Some("off") => Some(Self::Off),
            Some(text) => {
                let address = text.parse().ok();
                if address.is_none() {
                    found.push(
                        &node.place,
                        format!(
                            "{} is no address: write an IP address and a port, like \
                             \"127.0.0.1:8484\" or \"[::1]:8484\", or \"off\"",
                            shown(text)
                        ),
                    );
                }
                address.map(Self::At)
            }
            None => {
                wanted(
                    node,
                    "an address like \"127.0.0.1:8484\", or \"off\"",
                    found,
                );
                None
            }
        }
    }
}

schema!([] Address, _generator => json_schema!({
    "type": "string", "minLength": 1,
}));

/// Permission bits, in octal as `chmod` takes them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mode(pub(super) u32);

impl Setting for Mode {
    fn read(node: &Node, found: &mut Found) -> Option<Self> {
        let bits = string(node)
            .and_then(|text| u32::from_str_radix(text, 8).ok())
            .filter(|bits| *bits <= 0o777);
        if bits.is_none() {
            wanted(node, "permission bits in octal, like \"0660\"", found);
        }
        bits.map(Self)
    }
}

schema!([] Mode, _generator => json_schema!({ "type": "string", "pattern": "^0?[0-7]{3}$" }));

impl Setting for Algorithm {
    fn read(node: &Node, found: &mut Found) -> Option<Self> {
        let Some(name) = string(node) else {
            wanted(node, "the name of an algorithm, like \"ES256\"", found);
            return None;
        };
        if name.eq_ignore_ascii_case("none") {
            found.push(
                &node.place,
                "`none` is refused: it would accept tokens that nobody signed (RFC 8725 §3.2)",
            );
            return None;
        }
        let algorithm = Self::from_name(name);
        if algorithm.is_none() {
            let guess = did_you_mean(name, Self::ALL.iter().map(|known| known.name()));
            found.push(
                &node.place,
                format!("{} is no algorithm that jotd verifies{guess}", shown(name)),
            );
        }
        algorithm
    }
}

impl JsonSchema for Algorithm {
    fn schema_name() -> Cow<'static, str> {
        "Algorithm".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = Self::ALL.iter().map(|known| known.name()).collect();
        json_schema!({ "type": "string", "enum": names })
    }
}

/// Implements a closed set of words.
macro_rules! words {
    ($(#[$attribute:meta])* $type:ident { $($(#[$variant_attribute:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $type { $($(#[$variant_attribute])* $variant),* }

        impl Setting for $type {
            fn read(node: &Node, found: &mut Found) -> Option<Self> {
                const WORDS: &[&str] = &[$($word),*];
                match string(node) {
                    $(Some($word) => return Some(Self::$variant),)*
                    Some(other) => {
                        let guess = did_you_mean(other, WORDS.iter().copied());
                        found.push(&node.place, format!(
                            "{} is none of {}{guess}", shown(other), WORDS.join(", ")
                        ));
                    }
                    None => wanted(node, &format!("one of {}", WORDS.join(", ")), found),
                }
                None
            }
        }

        schema!([] $type, _generator => json_schema!({ "type": "string", "enum": [$($word),*] }));
    };
}

words! {
    /// How much is logged.
    LogLevel {
        /// Only what needs an operator now.
        Error = "error",
        /// Also what will need one.
        Warn = "warn",
        /// Also what happens once: start, reload, keys that changed.
        Info = "info",
        /// Also what happens per connection.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

words! {
    /// How log lines look.
    LogFormat {
        /// For people.
        Human = "human",
        /// One JSON object a line.
        Json = "json",
    }
}

/// A JWK Set written into the configuration: a string of JSON, or a table of the same members.
#[derive(Clone, Debug)]
pub(super) struct InlineJwks(pub(super) String);

impl Setting for InlineJwks {
    fn read(node: &Node, found: &mut Found) -> Option<Self> {
        match &node.value {
            Value::String(text) | Value::Text(text) => Some(Self(text.clone())),
            Value::Table(table) => Some(Self(json_object(table).to_string())),
            _ => {
                wanted(node, "a JWK Set: a string of JSON or a table", found);
                None
            }
        }
    }
}

schema!([] InlineJwks, _generator => json_schema!({ "type": ["string", "object"] }));

fn json_object(table: &Table) -> serde_json::Value {
    table
        .0
        .iter()
        .map(|entry| (entry.name.clone(), json(&entry.node)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Boolean(boolean) => (*boolean).into(),
        Value::Integer(integer) => (*integer).into(),
        Value::String(text) | Value::Text(text) => text.as_str().into(),
        Value::Array(items) => items.iter().map(json).collect(),
        Value::Table(table) => json_object(table),
        Value::Other(_) => serde_json::Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists_read_as_the_kernel_writes_them() {
        assert_eq!(CpuList::parse("0"), Ok(vec![0]));
        assert_eq!(CpuList::parse("1-3,8"), Ok(vec![1, 2, 3, 8]));
        for wrong in ["", "a", "1-", "-1", "3-1", "1,1", "0-2,1", "0-1024", "1,,2"] {
            assert!(CpuList::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_message_about_a_wrong_type_never_shows_the_value() {
        let mut found = Found::default();
        let node = Node::nowhere("s3cr3t".into());
        assert!(Count::<0, 9>::read(&node, &mut found).is_none());
        assert!(bool::read(&node, &mut found).is_none());
        assert!(!format!("{found:?}").contains("s3cr3t"));
    }
}

//! Settings with words of their own: `"any"`, `"auto"`, `"off"`, the names of algorithms.
#![forbid(unsafe_code)]

use super::document::{Node, Table, Value};
use super::fault::{Found, did_you_mean, shown};
use super::section::Setting;
use super::setting::{List, Text, schema, string, wanted};
use crate::crypto::Tier;
use crate::jose::Algorithm;
use crate::revocation::Staleness;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

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

/// Implements [`JsonSchema`] for registered names, as a definition of its own.
macro_rules! registered_names {
    ($type:ident) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
                let names: Vec<&str> = Self::ALL.iter().map(|known| known.name()).collect();
                json_schema!({ "type": "string", "enum": names })
            }
        }
    };
}

pub(super) use registered_names;

registered_names!(Algorithm);

/// Implements a closed set of words.
macro_rules! words {
    ($(#[$attribute:meta])* $visibility:vis $type:ident { $($(#[$variant_attribute:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $visibility enum $type { $($(#[$variant_attribute])* $variant),* }

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
    pub LogLevel {
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
    /// The fastest kernels that may be used.
    pub Ceiling {
        /// Whatever this CPU can run.
        Auto = "auto",
        /// The reference alone.
        AwsLc = "aws-lc",
        /// No more than plain Rust.
        Portable = "portable",
        /// Lanes of AVX-512 IFMA, where this CPU has them.
        Ifma = "ifma",
    }
}

words! {
    /// Whether a token may pass more than once.
    pub(super) ReplayWord {
        /// As often as it is presented.
        Allowed = "allowed",
        /// Once.
        SingleUse = "single-use",
    }
}

words! {
    /// What a feed brings.
    pub(super) FeedWord {
        /// Logout tokens (OpenID Connect Back-Channel Logout 1.0).
        Logout = "logout",
        /// Security events (RFC 8417) of OpenID CAEP 1.0.
        Events = "events",
    }
}

impl From<Ceiling> for Tier {
    fn from(ceiling: Ceiling) -> Self {
        match ceiling {
            Ceiling::AwsLc => Self::AwsLc,
            Ceiling::Portable => Self::Portable,
            Ceiling::Auto | Ceiling::Ifma => Self::Ifma,
        }
    }
}

words! {
    /// How log lines look.
    pub LogFormat {
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

/// What to say of tokens when revocations may have been missed: `"strict"`, `"open"`, or `{ bounded = "30s" }`.
#[derive(Clone, Copy, Debug)]
pub(super) struct StalenessWord(pub(super) Staleness);

impl Setting for StalenessWord {
    fn read(node: &Node, found: &mut Found) -> Option<Self> {
        let bound = match (&node.value, string(node)) {
            (_, Some("strict")) => return Some(Self(Staleness::Strict)),
            (_, Some("open")) => return Some(Self(Staleness::Open)),
            // From the environment, where there are no tables.
            (Value::Text(text), _) => text.strip_prefix("bounded="),
            (Value::Table(Table(entries)), _) => match &entries[..] {
                [entry] if entry.name == "bounded" => string(&entry.node),
                _ => None,
            },
            _ => None,
        };
        let bound = bound.and_then(duration);
        if bound.is_none() {
            let what =
                "\"strict\", \"open\", or { bounded = \"30s\" } with ms, s, m or h, up to 24h";
            wanted(node, what, found);
        }
        bound.map(|bound| Self(Staleness::Bounded(bound)))
    }
}

schema!([] StalenessWord, _generator => json_schema!({ "anyOf": [
    { "enum": ["strict", "open"] },
    {
        "type": "object",
        "properties": { "bounded": { "type": "string", "pattern": "^[1-9][0-9]{0,8}(ms|s|m|h)$" } },
        "required": ["bounded"],
        "additionalProperties": false,
    },
] }));

/// A whole number and a unit.
fn duration(text: &str) -> Option<Duration> {
    const MAX: Duration = Duration::from_secs(86_400);
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
    let bound = Duration::from_millis(number.checked_mul(unit_ms)?);
    (bound <= MAX).then_some(bound)
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
    fn bounds_have_a_unit_and_an_end() {
        assert_eq!(duration("30s"), Some(Duration::from_secs(30)));
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("24h"), Some(Duration::from_secs(86_400)));
        for wrong in [
            "",
            "30",
            "s",
            "0s",
            "-1s",
            "1.5s",
            "25h",
            "1d",
            "99999999999999999999s",
        ] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }
}

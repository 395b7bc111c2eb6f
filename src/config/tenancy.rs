//! Settings that have to do with tenants and with what their tokens say: names with a hole in them, and claims with
//! the values they may have.
#![forbid(unsafe_code)]

use super::document::{Node, Table, Value};
use super::fault::Found;
use super::section::Setting;
use super::setting::{List, Name, Text, schema, string, wanted};
use crate::policy::ClaimRule;
use crate::verify::{HOLE, fill};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

/// A tenant's name; of a template, with the hole in it.
#[derive(Clone, Debug)]
pub(super) struct TenantName(pub(super) Box<str>);

impl Setting for TenantName {
    fn read(node: &Node, found: &mut Found) -> Option<Self> {
        let Some(text) = string(node) else {
            return Name::read(node, found).map(|Name(name)| Self(name));
        };
        if text.matches(HOLE).count() > 1 {
            found.push(&node.place, format!("has {HOLE} in it more than once"));
            return None;
        }
        // What remains must be a name whatever fills the hole.
        let filled = Node {
            place: node.place.clone(),
            value: Value::String(fill(text, "x")),
        };
        Name::read(&filled, found).map(|_| Self(text.into()))
    }
}

schema!([] TenantName, _generator => json_schema!({
    "type": "string", "pattern": "^[A-Za-z0-9._:/@-]{0,128}(\\{tenant\\})?[A-Za-z0-9._:/@-]{0,128}$", "minLength": 1,
}));

/// Claims, and for each the values that it may have.
#[derive(Clone, Debug)]
pub(super) struct ClaimValues(pub(super) Vec<ClaimRule>);

/// Most claims that have rules.
const CLAIMS_MAX: usize = 32;

/// Claims that have settings of their own, and what those are called.
const ELSEWHERE: [(&str, &str); 5] = [
    ("iss", "issuer"),
    ("aud", "audiences"),
    ("exp", "require_expiry"),
    ("nbf", "leeway_seconds"),
    ("iat", "age_seconds_max"),
];

impl Setting for ClaimValues {
    fn read(node: &Node, found: &mut Found) -> Option<Self> {
        let Value::Table(Table(entries)) = &node.value else {
            wanted(
                node,
                "a table of claims, like { client_id = \"app\" }",
                found,
            );
            return None;
        };
        if entries.len() > CLAIMS_MAX {
            found.push(
                &node.place,
                format!("has rules for more than {CLAIMS_MAX} claims"),
            );
            return None;
        }
        let mut rules = Vec::with_capacity(entries.len());
        for entry in entries {
            if let Some((claim, setting)) = ELSEWHERE.iter().find(|(claim, _)| *claim == entry.name)
            {
                let message = format!("`{claim}` has a setting of its own: `{setting}`");
                found.push(&entry.place, message);
                continue;
            }
            let accepted = match &entry.node.value {
                Value::String(_) | Value::Text(_) => {
                    Text::read(&entry.node, found).map(|Text(text)| vec![text])
                }
                _ => List::<Text>::read(&entry.node, found)
                    .map(|list| list.0.into_iter().map(|at| at.value.0).collect()),
            };
            let Some(accepted) = accepted else { continue };
            if accepted.iter().any(|one| &**one == "*") {
                let message = "\"*\" accepts everything; to ask that the claim be there, list it in required_claims";
                found.push(&entry.place, message);
            }
            rules.push(ClaimRule {
                name: entry.name.as_str().into(),
                accepted,
            });
        }
        Some(Self(rules))
    }
}

schema!([] ClaimValues, generator => {
    let text = generator.subschema_for::<Text>();
    let list = generator.subschema_for::<List<Text>>();
    json_schema!({
        "type": "object",
        "additionalProperties": { "anyOf": [text, list] },
        "maxProperties": CLAIMS_MAX,
    })
});

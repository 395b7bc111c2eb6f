//! Presets: what is the same for every issuer of a well-known kind, written as the settings that it stands for.
//!
//! A preset has no powers of its own. It is laid under what the operator wrote before anything is read, setting by
//! setting, and whatever is written counts; so `docs/issuers.md` can show all that a preset does, and does.
#![forbid(unsafe_code)]

mod kinds;

use super::document::{self, Entry, Node, Table, Value};
use super::fault::{Found, Place, did_you_mean, shown};
use super::section::Setting;
use super::setting::{schema, string, wanted};
use kinds::{KINDS, Kind};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

/// A kind of issuer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Preset(pub(super) &'static Kind);

impl Preset {
    fn named(name: &str) -> Option<Self> {
        KINDS.iter().find(|kind| kind.name == name).map(Self)
    }
}

impl Setting for Preset {
    fn read(node: &Node, found: &mut Found) -> Option<Self> {
        let Some(name) = string(node) else {
            wanted(node, "the name of a preset, like \"auth0\"", found);
            return None;
        };
        let preset = Self::named(name);
        if preset.is_none() {
            let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
            let guess = did_you_mean(name, known.iter().copied());
            let message = format!("{} is none of {}{guess}", shown(name), known.join(", "));
            found.push(&node.place, message);
        }
        preset
    }
}

schema!([] Preset, _generator => {
    let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    json_schema!({ "type": "string", "enum": names })
});

/// Settings that say where keys come from; whoever writes one wants none of the preset's.
const SOURCES: [&str; 6] = [
    "jwks_uri",
    "discovery",
    "jwks_file",
    "jwks",
    "pem_file",
    "secret_file",
];

/// Settings that say how they are fetched, which go with the source.
const FETCHING: [&str; 2] = ["ca_file", "allow_private_address"];

/// Lays the presets that issuers name under what is written there.
pub(super) fn apply(document: &mut Table) {
    let Some(issuers) = document.0.iter_mut().find(|entry| entry.name == "issuer") else {
        return;
    };
    let Value::Array(issuers) = &mut issuers.node.value else {
        return;
    };
    for issuer in issuers {
        let Value::Table(issuer) = &mut issuer.value else {
            continue;
        };
        let named = issuer.0.iter().find(|entry| entry.name == "preset");
        let preset = named
            .and_then(|entry| Some((Preset::named(string(&entry.node)?)?, entry.place.clone())));
        if let Some((Preset(kind), place)) = preset {
            let mut settings = document::parse(kind.settings, &mut Found::default());
            if has_one_of(issuer, &SOURCES) {
                settings.0.retain(|entry| {
                    let name = entry.name.as_str();
                    !SOURCES.contains(&name) && !FETCHING.contains(&name)
                });
            }
            lay_under(issuer, settings, &place);
        }
    }
}

fn has_one_of(table: &Table, names: &[&str]) -> bool {
    table
        .0
        .iter()
        .any(|entry| names.contains(&entry.name.as_str()))
}

/// Adds what is not written yet. Faults of what is added are told where the preset is named.
fn lay_under(table: &mut Table, settings: Table, place: &Place) {
    for Entry { name, node, .. } in settings.0 {
        let written = table.0.iter_mut().find(|entry| entry.name == name);
        match (written, node.value) {
            (None, value) => table.0.push(Entry {
                name,
                place: place.clone(),
                node: placed(value, place),
            }),
            (Some(written), Value::Table(inner)) => {
                if let Value::Table(written) = &mut written.node.value {
                    lay_under(written, inner, place);
                }
            }
            (Some(_), _) => {}
        }
    }
}

fn placed(value: Value, place: &Place) -> Node {
    let value = match value {
        Value::Array(items) => {
            let items = items.into_iter().map(|item| placed(item.value, place));
            Value::Array(items.collect())
        }
        Value::Table(Table(entries)) => {
            let entries = entries.into_iter().map(|entry| Entry {
                place: place.clone(),
                node: placed(entry.node.value, place),
                name: entry.name,
            });
            Value::Table(Table(entries.collect()))
        }
        plain => plain,
    };
    Node {
        place: place.clone(),
        value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page shows all that a preset does, and nothing else.
    #[test]
    fn every_preset_is_documented_as_the_settings_that_it_stands_for() {
        let page = include_str!("../../../docs/issuers.md");
        for kind in KINDS {
            let heading = format!("\n## `{}`", kind.name);
            let (_, part) = page.split_once(&heading).expect(kind.name);
            let part = part.split("\n## ").next().unwrap_or_default();
            let settings = format!("```toml\n# preset = \"{}\"{}```", kind.name, kind.settings);
            assert!(part.contains(&settings), "{} lacks\n{settings}", kind.name);
        }
    }

    #[test]
    fn what_is_written_counts_and_tables_are_laid_together() {
        let text = "[[issuer]]\npreset = \"kubernetes\"\njwks_file = \"x\"\nalgorithms = [\"PS256\"]\nclaims = { a = \"b\" }\n";
        let mut found = Found::default();
        let mut document = document::parse(text, &mut found);
        apply(&mut document);
        let Value::Array(issuers) = &document.0[0].node.value else {
            panic!("an array");
        };
        let Value::Table(issuer) = &issuers[0].value else {
            panic!("a table");
        };
        let names: Vec<&str> = issuer.0.iter().map(|entry| entry.name.as_str()).collect();
        let wanted = [
            "preset",
            "jwks_file",
            "algorithms",
            "claims",
            "issuer",
            "required_claims",
        ];
        assert_eq!(
            names, wanted,
            "keys come from a file, so nothing says how to fetch them"
        );
        let Value::Table(claims) = &issuer.0[3].node.value else {
            panic!("a table");
        };
        let claims: Vec<&str> = claims.0.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(claims, ["a", "sub"]);
    }
}

//! The first half of reading: a file's TOML and the environment's `JOTD_` variables, made one tree in
//! which every value knows where it was written.
#![forbid(unsafe_code)]

use super::fault::{Found, Place};
use crate::crypto::CEILING_VARIABLE;
use std::ffi::OsString;
use toml::de::{DeTable, DeValue};

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// What a setting may be written as.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Boolean(bool),
    Integer(i64),
    String(String),
    /// From the environment, where everything is text: each setting reads it as what it needs.
    Text(String),
    Array(Vec<Node>),
    Table(Table),
    /// A float, a date or an integer beyond 64 bits, which no setting takes.
    Other(&'static str),
}

/// A table, in the order of the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Table(pub(super) Vec<Entry>);

/// A name in a table, and what it names.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) node: Node,
}

impl Node {
    /// A value that was written nowhere: a default.
    pub(super) fn nowhere(value: Value) -> Self {
        Self {
            place: Place::Nowhere,
            value,
        }
    }

    /// What the value is, for a message that must not show it.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Boolean(_) => "a boolean",
            Value::Integer(_) => "an integer",
            Value::String(_) | Value::Text(_) => "a string",
            Value::Array(_) => "an array",
            Value::Table(_) => "a table",
            Value::Other(kind) => kind,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl<const N: usize> From<[&str; N]> for Value {
    fn from(value: [&str; N]) -> Self {
        Self::Array(value.map(|item| Node::nowhere(item.into())).into())
    }
}

/// Parses a whole TOML document, with every syntax error at once.
pub(super) fn parse(text: &str, found: &mut Found) -> Table {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let offset = error.span().map_or(0, |span| span.start);
        let message = error.message().trim().replace('\n', ", ");
        found.push(&Place::File(offset), format!("not TOML: {message}"));
    }
    table(document.get_ref())
}

fn table(source: &DeTable<'_>) -> Table {
    let mut entries: Vec<Entry> = source
        .iter()
        .map(|(key, value)| Entry {
            name: key.get_ref().clone().into_owned(),
            place: Place::File(key.span().start),
            node: Node {
                place: Place::File(value.span().start),
                value: convert(value.get_ref()),
            },
        })
        .collect();
    entries.sort_by(|a, b| a.place.cmp(&b.place));
    Table(entries)
}

/// The recursion is bounded: the TOML parser refuses nesting beyond 80 levels.
fn convert(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::Boolean(boolean) => Value::Boolean(*boolean),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map_or(Value::Other("an integer beyond 64 bits"), Value::Integer),
        DeValue::String(string) => Value::String(string.clone().into_owned()),
        DeValue::Float(_) => Value::Other("a float"),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(array) => Value::Array(
            array
                .iter()
                .map(|item| Node {
                    place: Place::File(item.span().start),
                    value: convert(item.get_ref()),
                })
                .collect(),
        ),
        DeValue::Table(inner) => Value::Table(table(inner)),
    }
}

/// Lays the `JOTD_` variables with a `__` over the file's tree: `JOTD_CACHE__CAPACITY` is `capacity` of
/// `[cache]`, and `JOTD_ISSUER__0__JWKS_URI` is `jwks_uri` of the first `[[issuer]]`.
///
/// A variable without `__` is left alone: Kubernetes sets `JOTD_SERVICE_HOST` and the like in every pod
/// beside a service of our name, and the command line has variables of its own. One that looks like a
/// setting with a single underscore is worth a warning, which is returned.
pub(super) fn overlay(
    document: &mut Table,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    sections: &[&str],
    found: &mut Found,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut variables: Vec<(String, OsString)> = environment
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with("JOTD_"))
        .collect();
    // In order, so that of `JOTD_ISSUER__0__…` and `JOTD_ISSUER__1__…` the first comes first.
    variables.sort();
    for (name, value) in variables {
        let path = match name.as_str() {
            // Short, because people type it in front of commands.
            CEILING_VARIABLE => "kernels__ceiling".to_owned(),
            _ => name.trim_start_matches("JOTD_").to_lowercase(),
        };
        if !path.contains("__") {
            if let Some((section, setting)) = path.split_once('_')
                && sections.contains(&section)
            {
                warnings.push(format!(
                    "{name} is not read; a setting needs two underscores: JOTD_{}__{}",
                    section.to_uppercase(),
                    setting.to_uppercase()
                ));
            }
            continue;
        }
        let place = Place::Variable(name);
        match value.into_string() {
            Ok(value) => {
                let steps: Vec<&str> = path.split("__").collect();
                set(document, &steps, value, &place, found);
            }
            Err(_) => found.push(&place, "is not UTF-8"),
        }
    }
    warnings
}

fn set(table: &mut Table, steps: &[&str], text: String, place: &Place, found: &mut Found) {
    let Some((step, rest)) = steps.split_first() else {
        return;
    };
    let position = table.0.iter().position(|entry| entry.name == *step);
    let position = position.unwrap_or_else(|| {
        table.0.push(Entry {
            name: (*step).to_owned(),
            place: place.clone(),
            node: Node {
                place: place.clone(),
                value: Value::Table(Table::default()),
            },
        });
        table.0.len() - 1
    });
    let entry = &mut table.0[position];
    if rest.is_empty() {
        entry.place = place.clone();
        entry.node = Node {
            place: place.clone(),
            value: Value::Text(text),
        };
        return;
    }
    // The first element of an array that the file does not have makes the array.
    if rest
        .first()
        .is_some_and(|step| step.parse::<usize>().is_ok())
        && matches!(&entry.node.value, Value::Table(inner) if inner.0.is_empty())
    {
        entry.node.value = Value::Array(Vec::new());
    }
    match (&mut entry.node.value, rest) {
        (Value::Table(inner), rest) => set(inner, rest, text, place, found),
        (Value::Array(items), [index, rest @ ..]) => {
            let index = index
                .parse::<usize>()
                .ok()
                .filter(|index| *index <= items.len());
            let Some(index) = index else {
                found.push(
                    place,
                    format!("`{step}` has no such element: count from 0, one after another"),
                );
                return;
            };
            if index == items.len() {
                items.push(Node {
                    place: place.clone(),
                    value: Value::Table(Table::default()),
                });
            }
            match &mut items[index].value {
                Value::Table(inner) if !rest.is_empty() => set(inner, rest, text, place, found),
                _ => found.push(place, format!("`{step}` has no settings of that depth")),
            }
        }
        _ => found.push(place, format!("`{step}` is a setting, not a section")),
    }
}

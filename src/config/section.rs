//! The second half of reading: sections, each defined once. A section's definition gives its Rust type,
//! its reader with every fault at once, and its JSON Schema, so that the three cannot drift apart.
#![forbid(unsafe_code)]

use super::document::{Node, Table, Value};
use super::fault::{Found, Place, did_you_mean};
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// A value with the place it was written at, for faults found later.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// A setting's type: read from one value, faults pushed, never shown a secret.
pub(super) trait Setting: Sized + JsonSchema {
    fn read(node: &Node, found: &mut Found) -> Option<Self>;
}

/// A table of settings.
pub(super) trait Section: Sized + JsonSchema {
    /// Names of its settings.
    const NAMES: &'static [&'static str];
    /// Reads the table, which stands at `place`.
    fn read(table: &Table, place: &Place, found: &mut Found) -> Self;
}

/// Reads one setting, if it is there.
pub(super) fn setting<T: Setting>(table: &Table, name: &str, found: &mut Found) -> Option<At<T>> {
    let entry = table.0.iter().find(|entry| entry.name == name)?;
    Some(At {
        value: T::read(&entry.node, found)?,
        place: entry.node.place.clone(),
    })
}

/// Reads a setting that has a default.
pub(super) fn setting_or<T: Setting>(
    table: &Table,
    name: &str,
    default: impl Into<Value>,
    found: &mut Found,
) -> At<T> {
    setting(table, name, found).unwrap_or_else(|| {
        let default = Node::nowhere(default.into());
        At {
            value: T::read(&default, &mut Found::default())
                .expect("each default is tested to be readable"),
            place: Place::Nowhere,
        }
    })
}

/// Reads a setting that has no default and may not be left out.
pub(super) fn setting_required<T: Setting>(
    table: &Table,
    name: &str,
    section_place: &Place,
    way_out: &str,
    found: &mut Found,
) -> Option<At<T>> {
    if table.0.iter().all(|entry| entry.name != name) {
        found.push(section_place, format!("`{name}` is missing: {way_out}"));
    }
    setting(table, name, found)
}

/// Reads a table within a table; its absence is an empty one.
pub(super) fn subsection<S: Section>(
    table: &Table,
    name: &str,
    place: &Place,
    found: &mut Found,
) -> S {
    let entry = table.0.iter().find(|entry| entry.name == name);
    match entry.map(|entry| (&entry.node.value, &entry.place)) {
        None => S::read(&Table::default(), place, found),
        Some((Value::Table(inner), place)) => S::read(inner, place, found),
        Some((_, place)) => {
            found.push(place, format!("`{name}` is a section: write [{name}]"));
            S::read(&Table::default(), place, &mut Found::default())
        }
    }
}

/// Reads an array of tables.
pub(super) fn subsections<S: Section>(table: &Table, name: &str, found: &mut Found) -> Vec<At<S>> {
    let Some(entry) = table.0.iter().find(|entry| entry.name == name) else {
        return Vec::new();
    };
    let Value::Array(items) = &entry.node.value else {
        found.push(
            &entry.place,
            format!("`{name}` may stand several times: write [[{name}]] in double brackets"),
        );
        return Vec::new();
    };
    let mut list = Vec::with_capacity(items.len());
    for item in items {
        if let Value::Table(inner) = &item.value {
            list.push(At {
                value: S::read(inner, &item.place, found),
                place: item.place.clone(),
            });
        } else {
            found.push(
                &item.place,
                format!("`{name}` is a list of tables: write [[{name}]]"),
            );
        }
    }
    list
}

/// Points out every name that the section does not know.
pub(super) fn refuse_unknown<S: Section>(table: &Table, found: &mut Found) {
    const SECRETS: [&str; 8] = [
        "secret",
        "secrets",
        "secret_key",
        "client_secret",
        "hmac_secret",
        "password",
        "private_key",
        "pem",
    ];
    for entry in &table.0 {
        let name = entry.name.as_str();
        if S::NAMES.contains(&name) {
            continue;
        }
        if SECRETS.contains(&name) {
            found.push(
                &entry.place,
                format!(
                    "`{name}`: keys and secrets never stand in the configuration; put it into a file \
                     that only jotd can read and name the file: secret_file = \"/etc/jotd/acme.secret\" \
                     (or pem_file for a public key)"
                ),
            );
            continue;
        }
        let guess = did_you_mean(name, S::NAMES.iter().copied());
        let known = if guess.is_empty() {
            format!("; known are {}", S::NAMES.join(", "))
        } else {
            guess
        };
        let name: String = name.chars().take(60).collect();
        found.push(
            &entry.place,
            format!("unknown setting `{}`{known}", name.escape_debug()),
        );
    }
}

/// Adds a property's description and default to its schema.
pub(super) fn describe(mut schema: Schema, doc: &[&str], default: Option<Value>) -> Schema {
    let text: Vec<&str> = doc.iter().map(|line| line.trim()).collect();
    schema.insert("description".into(), text.join(" ").trim().into());
    if let Some(default) = default {
        schema.insert("default".into(), json(&default));
    }
    schema
}

/// The schema of a table with these properties.
pub(super) fn object(doc: &[&str], properties: Vec<(&str, Schema)>, required: Vec<&str>) -> Schema {
    let properties: serde_json::Map<String, serde_json::Value> = properties
        .into_iter()
        .map(|(name, schema)| (name.to_owned(), schema.to_value()))
        .collect();
    let mut schema = schemars::json_schema!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema.insert("required".into(), required.into());
    }
    describe(schema, doc, None)
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Boolean(boolean) => (*boolean).into(),
        Value::Integer(integer) => (*integer).into(),
        Value::String(string) | Value::Text(string) => string.as_str().into(),
        Value::Array(items) => items.iter().map(|item| json(&item.value)).collect(),
        Value::Table(_) | Value::Other(_) => serde_json::Value::Null,
    }
}

/// Schema of an array of a section.
pub(super) fn array_of<S: Section>(generator: &mut SchemaGenerator) -> Schema {
    let items = generator.subschema_for::<S>();
    schemars::json_schema!({ "type": "array", "items": items })
}

/// Defines a section. Each setting is one of:
///
/// - `required name: Type = "how to write it";`
/// - `optional name: Type;`
/// - `default name: Type = value;`
/// - `section name: Type;` for a table, `sections name: Type;` for an array of tables.
macro_rules! section {
    (
        $(#[doc = $doc:literal])*
        struct $name:ident {
            $( $(#[doc = $field_doc:literal])* $kind:ident $field:ident : $type:ty $(= $extra:expr)? ; )*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug)]
        pub(super) struct $name {
            $( $(#[doc = $field_doc])* pub(super) $field: section!(@type $kind $type), )*
        }

        impl $crate::config::section::Section for $name {
            const NAMES: &'static [&'static str] = &[$(stringify!($field)),*];

            fn read(
                table: &$crate::config::document::Table,
                place: &$crate::config::fault::Place,
                found: &mut $crate::config::fault::Found,
            ) -> Self {
                let section = Self {
                    $( $field: section!(@read $kind $field, table, place, found $(, $extra)?), )*
                };
                $crate::config::section::refuse_unknown::<Self>(table, found);
                let _ = place;
                section
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                use $crate::config::section::{describe, object};
                let properties = vec![$((
                    stringify!($field),
                    describe(
                        section!(@schema $kind $type, generator),
                        &[$($field_doc),*],
                        section!(@default $kind $($extra)?),
                    ),
                )),*];
                let required = [$( section!(@required $kind $field) ),*];
                object(&[$($doc),*], properties, required.into_iter().flatten().collect())
            }
        }
    };

    (@type required $type:ty) => { Option<$crate::config::section::At<$type>> };
    (@type optional $type:ty) => { Option<$crate::config::section::At<$type>> };
    (@type default $type:ty) => { $crate::config::section::At<$type> };
    (@type section $type:ty) => { $type };
    (@type sections $type:ty) => { Vec<$crate::config::section::At<$type>> };

    (@read required $field:ident, $table:ident, $place:ident, $found:ident, $extra:expr) => {
        $crate::config::section::setting_required($table, stringify!($field), $place, $extra, $found)
    };
    (@read optional $field:ident, $table:ident, $place:ident, $found:ident) => {
        $crate::config::section::setting($table, stringify!($field), $found)
    };
    (@read default $field:ident, $table:ident, $place:ident, $found:ident, $extra:expr) => {
        $crate::config::section::setting_or($table, stringify!($field), $extra, $found)
    };
    (@read section $field:ident, $table:ident, $place:ident, $found:ident) => {
        $crate::config::section::subsection($table, stringify!($field), $place, $found)
    };
    (@read sections $field:ident, $table:ident, $place:ident, $found:ident) => {
        $crate::config::section::subsections($table, stringify!($field), $found)
    };

    (@schema sections $type:ty, $generator:ident) => {
        $crate::config::section::array_of::<$type>($generator)
    };
    (@schema $kind:ident $type:ty, $generator:ident) => { $generator.subschema_for::<$type>() };

    (@default default $extra:expr) => { Some($crate::config::document::Value::from($extra)) };
    (@default $kind:ident $($extra:expr)?) => { None };

    (@required required $field:ident) => { Some(stringify!($field)) };
    (@required $kind:ident $field:ident) => { None::<&str> };
}
pub(super) use section;

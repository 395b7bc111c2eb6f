//! The JSON Schema of the configuration, made from the very definitions that read it.
#![forbid(unsafe_code)]

use super::raw::Document;

/// The JSON Schema, as `docs/config.schema.json` holds it.
///
/// # Panics
/// Never: a schema of plain values always prints.
#[must_use]
pub fn schema() -> String {
    let mut schema = schemars::schema_for!(Document);
    schema.insert("title".to_owned(), "jotd configuration".into());
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is plain JSON");
    text.push('\n');
    text
}

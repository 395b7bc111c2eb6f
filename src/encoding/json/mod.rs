//! Strict, bounded JSON (RFC 8259).
//!
//! [`Object::parse`] reads a text once: it checks every byte of it, nested values included, and keeps a
//! tape of the top-level members as spans of the text. Nothing is built for what nobody asks for.
//!
//! Beyond the grammar it refuses what different readers read differently: invalid UTF-8, a byte order
//! mark, duplicate member names at any level (compared after unescaping), lone surrogates; and what costs
//! too much: more than the depth, members, elements and lengths in [`limits`](crate::limits).
#![forbid(unsafe_code)]

mod number;
mod pretty;
mod rule;
mod scan;
mod tape;
mod text;

#[cfg(test)]
mod tests;

pub use number::Number;
pub use pretty::{write_pretty, write_visible};
pub use text::{minify, write_string};

use rule::Rule;
use scan::Scanner;
use std::borrow::Cow;
use tape::Member;

/// Why a text is not strict JSON, and where. Never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule} (byte {offset})")]
pub struct JsonError {
    /// The rule that was broken.
    pub rule: &'static str,
    /// Where it was seen to be broken.
    pub offset: usize,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// A checked JSON object: a text and the spans of its top-level members.
pub struct Object<'j> {
    text: &'j str,
    members: Vec<Member>,
    spaced: bool,
}

/// A checked JSON value: a span of a checked text.
#[derive(Clone, Copy)]
pub struct Value<'j> {
    text: &'j str,
    kind: Kind,
    /// For a string, whether it holds an escape; for an array, whether it holds nothing but strings.
    flag: bool,
}

impl<'j> Object<'j> {
    /// Reads a text that is one JSON object, with nothing but whitespace around it.
    ///
    /// # Errors
    /// [`JsonError`] naming the broken rule.
    pub fn parse(text: &'j [u8]) -> Result<Self, JsonError> {
        // RFC 8259 §8.1: MUST be encoded using UTF-8.
        let text = std::str::from_utf8(text).map_err(|error| JsonError {
            rule: Rule::NotUtf8.text(),
            offset: error.valid_up_to(),
        })?;
        Self::parse_str(text)
    }

    /// [`Self::parse`] of a text known to be UTF-8.
    ///
    /// # Errors
    /// [`JsonError`] naming the broken rule.
    pub fn parse_str(text: &'j str) -> Result<Self, JsonError> {
        let mut scanner = Scanner::new(text);
        scanner.whole_object()?;
        Ok(Self {
            text,
            spaced: scanner.spaced(),
            members: scanner.into_members(),
        })
    }

    /// The member of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Value<'j>> {
        let prefix = tape::prefix(name.as_bytes(), 0, name.len());
        self.members
            .iter()
            .find(|member| member.is_named(self.text, name, prefix))
            .map(|member| member.value(self.text))
    }

    /// The members of these names, each `None` where it is absent: one walk for all of them.
    #[must_use]
    #[inline]
    pub fn get_all<const N: usize>(&self, names: [&str; N]) -> [Option<Value<'j>>; N] {
        let prefixes = names.map(|name| tape::prefix(name.as_bytes(), 0, name.len()));
        let mut found = [None; N];
        for member in &self.members {
            let index = names
                .iter()
                .zip(prefixes)
                .position(|(name, prefix)| member.is_named(self.text, name, prefix));
            if let Some(slot) = index.and_then(|index| found.get_mut(index)) {
                *slot = Some(member.value(self.text));
            }
        }
        found
    }

    /// The members in the order of the text, names unescaped.
    pub fn members(&self) -> impl Iterator<Item = (Cow<'j, str>, Value<'j>)> {
        let text = self.text;
        self.members
            .iter()
            .map(move |member| (member.name(text), member.value(text)))
    }

    /// The members in the order of the text, each name as it stands there: escaped and in quotes.
    pub fn members_as_written(&self) -> impl Iterator<Item = (&'j str, Value<'j>)> {
        let text = self.text;
        self.members
            .iter()
            .map(move |member| (member.name_as_written(text), member.value(text)))
    }

    /// Number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether it has no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The text it was read from, whitespace around it included.
    #[must_use]
    pub fn text(&self) -> &'j str {
        self.text
    }

    /// Appends the object without insignificant whitespace, which is one line.
    pub fn write_minified(&self, out: &mut Vec<u8>) {
        if self.spaced {
            minify(self.text, out);
        } else {
            out.extend_from_slice(self.text.as_bytes());
        }
    }
}

impl<'j> Value<'j> {
    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its text, from first to last byte.
    #[must_use]
    pub fn text(&self) -> &'j str {
        self.text
    }

    /// The string it is, unescaped.
    #[must_use]
    pub fn as_str(&self) -> Option<Cow<'j, str>> {
        if self.kind != Kind::String {
            return None;
        }
        let inner = self.text.get(1..self.text.len().saturating_sub(1))?;
        Some(text::unescape(inner, self.flag))
    }

    /// The number it is.
    #[must_use]
    pub fn as_number(&self) -> Option<Number<'j>> {
        (self.kind == Kind::Number).then_some(Number(self.text))
    }

    /// The truth value it is.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        (self.kind == Kind::Bool).then_some(self.text == "true")
    }

    /// The object it is, scanned again for its members.
    #[must_use]
    pub fn as_object(&self) -> Option<Object<'j>> {
        if self.kind != Kind::Object {
            return None;
        }
        Object::parse_str(self.text).ok()
    }

    /// The elements of the array it is.
    #[must_use]
    pub fn as_array(&self) -> Option<Elements<'j>> {
        if self.kind != Kind::Array {
            return None;
        }
        Some(Elements {
            scanner: Scanner::new(self.text),
            text: self.text,
        })
    }

    /// Whether it is an array of nothing but strings, an empty one included.
    #[must_use]
    pub fn is_strings(&self) -> bool {
        self.kind == Kind::Array && self.flag
    }

    /// The strings it holds, where it is an array of nothing but strings.
    #[must_use]
    pub fn as_strings(&self) -> Option<Vec<Cow<'j, str>>> {
        if !self.is_strings() {
            return None;
        }
        self.as_array()?.map(|element| element.as_str()).collect()
    }
}

/// The elements of a checked array.
pub struct Elements<'j> {
    scanner: Scanner<'j>,
    text: &'j str,
}

impl<'j> Iterator for Elements<'j> {
    type Item = Value<'j>;

    fn next(&mut self) -> Option<Value<'j>> {
        let span = self.scanner.next_element()?;
        Some(span.value(self.text))
    }
}

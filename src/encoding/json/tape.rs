//! What the scanner notes: members and values as spans of the text, and whether two names are one.

use super::{Kind, Value, text};
use std::borrow::Cow;
use std::collections::HashSet;

/// A member as spans of the text.
#[derive(Clone, Copy)]
pub(super) struct Member {
    /// The name's first eight bytes as written, to tell most names apart by one comparison.
    pub(super) prefix: u64,
    pub(super) name_start: u32,
    pub(super) name_end: u32,
    pub(super) name_escaped: bool,
    pub(super) value: Span,
}

/// A value as a span of the text.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) kind: Kind,
    /// For a string, whether it holds an escape; for an array, whether it holds nothing but strings.
    pub(super) flag: bool,
}

/// Up to this many names are compared pair by pair; a hash set costs more than these few words.
const PAIRWISE_NAMES_MAX: usize = 16;

/// The later of two members of one name.
///
/// RFC 7515 §4 and RFC 7519 §4 leave a choice between refusing duplicates and taking the last; two readers
/// that choose differently disagree about the token, so they are refused everywhere.
#[inline]
pub(super) fn duplicate(members: &[Member], text: &str) -> Option<Member> {
    if members.len() > PAIRWISE_NAMES_MAX || members.iter().any(|member| member.name_escaped) {
        return duplicate_by_set(members, text);
    }
    for (index, later) in members.iter().enumerate() {
        let earlier = members.get(..index).unwrap_or_default();
        // No early exit: comparing a few words more is cheaper than branching on each.
        let alike = earlier.iter().fold(false, |alike, member| {
            alike | (member.prefix == later.prefix)
        });
        if alike
            && earlier
                .iter()
                .any(|member| member.name_as_written(text) == later.name_as_written(text))
        {
            return Some(*later);
        }
    }
    None
}

/// The standard set is keyed at random per process, so names cannot be chosen to collide in it.
#[cold]
fn duplicate_by_set(members: &[Member], text: &str) -> Option<Member> {
    let mut seen = HashSet::with_capacity(members.len());
    members
        .iter()
        .find(|member| !seen.insert(member.name(text)))
        .copied()
}

impl Member {
    /// The name, unescaped.
    pub(super) fn name<'j>(&self, text: &'j str) -> Cow<'j, str> {
        let written = span(text, self.name_start, self.name_end);
        text::unescape(written, self.name_escaped)
    }

    /// The name as it stands in the text, in its quotes.
    pub(super) fn name_as_written<'j>(&self, text: &'j str) -> &'j str {
        span(text, self.name_start - 1, self.name_end + 1)
    }

    /// Whether the member has this name, whose [`prefix`] is given.
    #[inline]
    pub(super) fn is_named(&self, text: &str, name: &str, name_prefix: u64) -> bool {
        if self.name_escaped {
            // An escaped name begins with other bytes than the name it stands for.
            return self.name(text) == name;
        }
        // Prefix and length are all there is to a short name, and tell most long ones apart.
        self.prefix == name_prefix
            && (self.name_end - self.name_start) as usize == name.len()
            && (name.len() <= size_of::<u64>()
                || span(text, self.name_start, self.name_end) == name)
    }

    pub(super) fn value<'j>(&self, text: &'j str) -> Value<'j> {
        self.value.value(text)
    }
}

impl Span {
    pub(super) fn value<'j>(&self, text: &'j str) -> Value<'j> {
        Value {
            text: span(text, self.start, self.end),
            kind: self.kind,
            flag: self.flag,
        }
    }
}

#[inline]
fn span(text: &str, start: u32, end: u32) -> &str {
    text.get(start as usize..end as usize)
        .expect("tokens begin and end at ASCII bytes of the text they were found in")
}

/// The first eight bytes of a name, those beyond its end zero.
#[inline]
pub(super) fn prefix(bytes: &[u8], start: usize, end: usize) -> u64 {
    let length = end - start;
    match bytes.get(start..).and_then(|rest| rest.first_chunk::<8>()) {
        Some(chunk) if length >= 8 => u64::from_le_bytes(*chunk),
        Some(chunk) => u64::from_le_bytes(*chunk) & ((1 << (8 * length)) - 1),
        // So close to the end of the text there are fewer than eight bytes left.
        None => {
            let name = bytes.get(start..end).unwrap_or_default();
            name.iter()
                .rev()
                .fold(0, |word, &byte| word << 8 | u64::from(byte))
        }
    }
}

//! The scanner: one pass over a text, every byte checked, members noted as spans.

use super::{JsonError, Kind, Value, text};
use crate::limits::{
    JSON_DEPTH_MAX, JSON_ELEMENTS_MAX, JSON_MEMBERS_MAX, JSON_NAME_BYTES_MAX, JSON_NUMBER_BYTES_MAX,
};
use std::borrow::Cow;
use std::collections::HashSet;

pub(super) const NOT_UTF8: &str = "JSON is not UTF-8";
const BYTE_ORDER_MARK: &str = "JSON begins with a byte order mark";
const TOO_LONG: &str = "JSON is longer than 4 GiB";
const NOT_AN_OBJECT: &str = "JSON is not an object";
const ENDS_EARLY: &str = "JSON ends early";
const TRAILING: &str = "JSON is followed by more";
const NOT_A_VALUE: &str = "JSON has something that is no value";
const NAME_EXPECTED: &str = "JSON lacks a member name in quotes";
const COLON_EXPECTED: &str = "JSON lacks a colon after a member name";
const MEMBER_END_EXPECTED: &str = "JSON lacks a comma or closing brace after a member";
const ELEMENT_END_EXPECTED: &str = "JSON lacks a comma or closing bracket after an element";
const CONTROL_IN_STRING: &str = "JSON has a control character in a string";
const BAD_ESCAPE: &str = "JSON has an unknown escape in a string";
const LONE_SURROGATE: &str = "JSON has a lone surrogate in a string";
const BAD_NUMBER: &str = "JSON has a malformed number";
const DUPLICATE_NAME: &str = "JSON has two members of one name";
const TOO_DEEP: &str = "JSON is nested too deeply";
const TOO_MANY_MEMBERS: &str = "JSON has an object of too many members";
const TOO_MANY_ELEMENTS: &str = "JSON has an array of too many elements";
const NAME_TOO_LONG: &str = "JSON has a member name that is too long";
const NUMBER_TOO_LONG: &str = "JSON has a number that is too long";

/// Up to this many names are compared pair by pair; a hash set costs more than these few words.
const PAIRWISE_NAMES_MAX: usize = 16;

/// Members of the usual claims set: one allocation holds them.
const USUAL_MEMBERS: usize = 12;

type Result<T> = std::result::Result<T, JsonError>;

/// A member as spans of the text.
#[derive(Clone, Copy)]
pub(super) struct Member {
    /// The name's first eight bytes, to tell most names apart by one comparison.
    prefix: u64,
    name_start: u32,
    name_end: u32,
    name_escaped: bool,
    value: Span,
}

/// A value as a span of the text.
#[derive(Clone, Copy)]
pub(super) struct Span {
    start: u32,
    end: u32,
    kind: Kind,
    escaped: bool,
}

pub(super) struct Scanner<'j> {
    text: &'j str,
    bytes: &'j [u8],
    at: usize,
    depth: usize,
    spaced: bool,
    /// Members of all objects that are open, outermost first. A nested object takes its own off again
    /// when it closes, so what is left at the end are the top-level ones.
    members: Vec<Member>,
    /// Elements delivered so far by [`Scanner::next_element`].
    delivered: usize,
}

impl<'j> Scanner<'j> {
    pub(super) fn new(text: &'j str) -> Result<Self> {
        if u32::try_from(text.len()).is_err() {
            return Err(JsonError {
                rule: TOO_LONG,
                offset: 0,
            });
        }
        Ok(Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            depth: 0,
            spaced: false,
            members: Vec::new(),
            delivered: 0,
        })
    }

    /// Scans one object with nothing but whitespace around it; its members are then in the tape.
    pub(super) fn whole_object(&mut self) -> Result<()> {
        self.members.reserve(USUAL_MEMBERS);
        self.skip_whitespace();
        if self.peek() != Some(b'{') {
            let rule = match self.bytes.get(self.at..) {
                Some([0xef, 0xbb, 0xbf, ..]) => BYTE_ORDER_MARK,
                Some([]) => ENDS_EARLY,
                _ => NOT_AN_OBJECT,
            };
            return Err(self.broken(rule));
        }
        self.object()?;
        self.skip_whitespace();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.broken(TRAILING)),
        }
    }

    /// The next element of an array that fills the whole text; `None` after the last.
    pub(super) fn next_element(&mut self) -> Result<Option<Span>> {
        // Steps over `[` before the first element and over `,` before the others.
        self.at += 1;
        self.skip_whitespace();
        if self.at >= self.bytes.len() || (self.delivered == 0 && self.peek() == Some(b']')) {
            return Ok(None);
        }
        self.delivered += 1;
        let span = self.value()?;
        self.skip_whitespace();
        Ok(Some(span))
    }

    /// Whether there was whitespace between tokens.
    pub(super) fn spaced(&self) -> bool {
        self.spaced
    }

    pub(super) fn into_members(self) -> Vec<Member> {
        self.members
    }

    fn value(&mut self) -> Result<Span> {
        let start = self.at;
        let mut escaped = false;
        let kind = match self.peek() {
            Some(b'"') => {
                escaped = self.string()?;
                Kind::String
            }
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                Kind::Number
            }
            Some(b'{') => {
                let outer = self.members.len();
                self.object()?;
                self.members.truncate(outer);
                Kind::Object
            }
            Some(b'[') => {
                self.array()?;
                Kind::Array
            }
            Some(b't') => self.literal(b"true", Kind::Bool)?,
            Some(b'f') => self.literal(b"false", Kind::Bool)?,
            Some(b'n') => self.literal(b"null", Kind::Null)?,
            Some(_) => return Err(self.broken(NOT_A_VALUE)),
            None => return Err(self.broken(ENDS_EARLY)),
        };
        Ok(Span {
            start: offset(start),
            end: offset(self.at),
            kind,
            escaped,
        })
    }

    /// Scans an object and leaves its members at the end of the tape.
    fn object(&mut self) -> Result<()> {
        self.descend()?;
        let first = self.members.len();
        self.skip_whitespace();
        if self.peek() == Some(b'}') {
            self.ascend();
            return Ok(());
        }
        loop {
            if self.members.len() - first == JSON_MEMBERS_MAX {
                return Err(self.broken(TOO_MANY_MEMBERS));
            }
            let member = self.member()?;
            self.members.push(member);
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                Some(_) => return Err(self.broken(MEMBER_END_EXPECTED)),
                None => return Err(self.broken(ENDS_EARLY)),
            }
            self.skip_whitespace();
        }
        self.ascend();
        self.refuse_duplicates(first)
    }

    fn member(&mut self) -> Result<Member> {
        match self.peek() {
            Some(b'"') => {}
            Some(_) => return Err(self.broken(NAME_EXPECTED)),
            None => return Err(self.broken(ENDS_EARLY)),
        }
        let name_start = self.at + 1;
        let name_escaped = self.string()?;
        let name_end = self.at - 1;
        if name_end - name_start > JSON_NAME_BYTES_MAX {
            return Err(JsonError {
                rule: NAME_TOO_LONG,
                offset: name_start,
            });
        }
        self.skip_whitespace();
        match self.peek() {
            Some(b':') => self.at += 1,
            Some(_) => return Err(self.broken(COLON_EXPECTED)),
            None => return Err(self.broken(ENDS_EARLY)),
        }
        self.skip_whitespace();
        // The tape holds the names of open objects only; a nested object takes its own off again.
        let value = self.value()?;
        self.skip_whitespace();
        Ok(Member {
            prefix: prefix(self.bytes, name_start, name_end),
            name_start: offset(name_start),
            name_end: offset(name_end),
            name_escaped,
            value,
        })
    }

    fn array(&mut self) -> Result<()> {
        self.descend()?;
        self.skip_whitespace();
        if self.peek() == Some(b']') {
            self.ascend();
            return Ok(());
        }
        let mut elements = 0;
        loop {
            if elements == JSON_ELEMENTS_MAX {
                return Err(self.broken(TOO_MANY_ELEMENTS));
            }
            elements += 1;
            self.value()?;
            self.skip_whitespace();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                Some(_) => return Err(self.broken(ELEMENT_END_EXPECTED)),
                None => return Err(self.broken(ENDS_EARLY)),
            }
            self.skip_whitespace();
        }
        self.ascend();
        Ok(())
    }

    /// Steps over an opening bracket. This bound is also the bound of the recursion.
    fn descend(&mut self) -> Result<()> {
        if self.depth == JSON_DEPTH_MAX {
            return Err(self.broken(TOO_DEEP));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// Steps over a closing bracket.
    fn ascend(&mut self) {
        self.depth -= 1;
        self.at += 1;
    }

    /// Scans a string from its opening to its closing quote; true when it holds an escape.
    #[inline]
    fn string(&mut self) -> Result<bool> {
        self.at += 1;
        let mut escaped = false;
        loop {
            self.at = text::plain_end(self.bytes, self.at);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.broken(CONTROL_IN_STRING)),
                None => return Err(self.broken(ENDS_EARLY)),
            }
        }
    }

    fn escape(&mut self) -> Result<()> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => match text::escaped_unit(self.bytes, self.at) {
                None => Err(self.broken(BAD_ESCAPE)),
                // RFC 8259 §8.2: behaviour on unpaired surrogates is unpredictable, so they are refused.
                Some(0xd800..=0xdbff) => match text::escaped_unit(self.bytes, self.at + 6) {
                    Some(0xdc00..=0xdfff) => {
                        self.at += 12;
                        Ok(())
                    }
                    _ => Err(self.broken(LONE_SURROGATE)),
                },
                Some(0xdc00..=0xdfff) => Err(self.broken(LONE_SURROGATE)),
                Some(_) => {
                    self.at += 6;
                    Ok(())
                }
            },
            Some(_) => Err(self.broken(BAD_ESCAPE)),
            None => Err(self.broken(ENDS_EARLY)),
        }
    }

    /// RFC 8259 §6: `[ minus ] int [ frac ] [ exp ]`.
    #[inline]
    fn number(&mut self) -> Result<()> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        if self.at - start > JSON_NUMBER_BYTES_MAX {
            return Err(JsonError {
                rule: NUMBER_TOO_LONG,
                offset: start,
            });
        }
        match self.peek() {
            // `01` and `1x` are no two tokens.
            Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'.' | b'+' | b'-') => {
                Err(self.broken(BAD_NUMBER))
            }
            _ => Ok(()),
        }
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.broken(BAD_NUMBER));
        }
        Ok(())
    }

    fn literal(&mut self, word: &[u8], kind: Kind) -> Result<Kind> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.starts_with(word) {
            self.at += word.len();
            Ok(kind)
        } else {
            Err(self.broken(NOT_A_VALUE))
        }
    }

    #[inline]
    fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.spaced = true;
            self.at += 1;
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[cold]
    fn broken(&self, rule: &'static str) -> JsonError {
        JsonError {
            rule,
            offset: self.at,
        }
    }

    /// RFC 7515 §4 and RFC 7519 §4 leave a choice between refusing duplicates and taking the last; two
    /// readers that choose differently disagree about the token, so they are refused everywhere.
    fn refuse_duplicates(&self, first: usize) -> Result<()> {
        let members = self.members.get(first..).unwrap_or_default();
        let plain = members.iter().all(|member| !member.name_escaped);
        let duplicate = if plain && members.len() <= PAIRWISE_NAMES_MAX {
            self.duplicate_by_pairs(members)
        } else {
            self.duplicate_by_set(members)
        };
        match duplicate {
            None => Ok(()),
            Some(member) => Err(JsonError {
                rule: DUPLICATE_NAME,
                offset: member.name_start as usize,
            }),
        }
    }

    fn duplicate_by_pairs(&self, members: &[Member]) -> Option<Member> {
        members.iter().enumerate().find_map(|(index, later)| {
            members
                .iter()
                .take(index)
                .any(|earlier| {
                    earlier.prefix == later.prefix
                        && earlier.name_as_written(self.text) == later.name_as_written(self.text)
                })
                .then_some(*later)
        })
    }

    /// The standard set is keyed at random per process, so names cannot be chosen to collide in it.
    #[cold]
    fn duplicate_by_set(&self, members: &[Member]) -> Option<Member> {
        let mut seen = HashSet::with_capacity(members.len());
        members
            .iter()
            .find(|member| !seen.insert(member.name(self.text)))
            .copied()
    }
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

    pub(super) fn is_named(&self, text: &str, name: &str) -> bool {
        if self.name_escaped {
            self.name(text) == name
        } else {
            span(text, self.name_start, self.name_end) == name
        }
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
            escaped: self.escaped,
        }
    }
}

fn span(text: &str, start: u32, end: u32) -> &str {
    text.get(start as usize..end as usize)
        .expect("tokens begin and end at ASCII bytes of the text they were found in")
}

/// Offsets fit because the text's length does.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// The first eight bytes from `start`, those beyond `end` zero.
#[inline]
fn prefix(bytes: &[u8], start: usize, end: usize) -> u64 {
    let mut word = [0; 8];
    if let Some(name) = bytes.get(start..end) {
        let length = name.len().min(8);
        if let (Some(to), Some(from)) = (word.get_mut(..length), name.get(..length)) {
            to.copy_from_slice(from);
        }
    }
    u64::from_le_bytes(word)
}

//! The scanner: one pass over a text, every byte checked, members noted as spans.

use super::rule::Rule;
use super::tape::{Member, Span, duplicate, prefix};
use super::{JsonError, Kind, text};
use crate::limits::{
    JSON_DEPTH_MAX, JSON_ELEMENTS_MAX, JSON_MEMBERS_MAX, JSON_NAME_BYTES_MAX, JSON_NUMBER_BYTES_MAX,
};

/// Members of the usual claims set: one allocation holds them.
const USUAL_MEMBERS: usize = 16;

/// An error's place is where the scanner stands when it returns one.
type Result<T> = std::result::Result<T, Rule>;

pub(super) struct Scanner<'j> {
    text: &'j str,
    bytes: &'j [u8],
    at: usize,
    depth: usize,
    spaced: bool,
    /// Members of all objects that are open, outermost first. A nested object takes its own off again
    /// when it closes, so what is left at the end are the top-level ones.
    members: Vec<Member>,
    /// Whether [`Scanner::next_element`] has delivered one yet.
    delivered: bool,
}

impl<'j> Scanner<'j> {
    pub(super) fn new(text: &'j str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            depth: 0,
            spaced: false,
            members: Vec::new(),
            delivered: false,
        }
    }

    /// Scans one object with nothing but whitespace around it; its members are then in the tape.
    pub(super) fn whole_object(&mut self) -> std::result::Result<(), JsonError> {
        self.try_whole_object().map_err(|rule| JsonError {
            rule: rule.text(),
            offset: self.at,
        })
    }

    fn try_whole_object(&mut self) -> Result<()> {
        // Spans are kept in 32 bits.
        if u32::try_from(self.bytes.len()).is_err() {
            return Err(Rule::TooLong);
        }
        self.members.reserve_exact(USUAL_MEMBERS);
        self.skip_whitespace();
        if self.peek() != Some(b'{') {
            return Err(match self.bytes.get(self.at..) {
                Some([0xef, 0xbb, 0xbf, ..]) => Rule::ByteOrderMark,
                Some([]) | None => Rule::EndsEarly,
                _ => Rule::NotAnObject,
            });
        }
        self.object()?;
        self.skip_whitespace();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(Rule::Trailing),
        }
    }

    /// The next element of a checked array that fills the whole text; `None` after the last.
    pub(super) fn next_element(&mut self) -> Option<Span> {
        // Steps over `[` before the first element and over `,` or `]` after each.
        self.at += 1;
        self.skip_whitespace();
        if self.at >= self.bytes.len() || (!self.delivered && self.peek() == Some(b']')) {
            return None;
        }
        self.delivered = true;
        let span = self.span().ok()?;
        self.skip_whitespace();
        Some(span)
    }

    /// Whether there was whitespace between tokens.
    pub(super) fn spaced(&self) -> bool {
        self.spaced
    }

    pub(super) fn into_members(self) -> Vec<Member> {
        self.members
    }

    /// Scans a value and says where it was.
    #[inline(always)]
    fn span(&mut self) -> Result<Span> {
        let start = self.at;
        let (kind, flag) = self.value()?;
        Ok(Span {
            start: offset(start),
            end: offset(self.at),
            kind,
            flag,
        })
    }

    /// Scans a value: its kind, and its flag as [`Span`] explains it. So small an answer comes back in a
    /// register, where a whole span would go through memory.
    fn value(&mut self) -> Result<(Kind, bool)> {
        let kind = match self.peek() {
            Some(b'"') => return Ok((Kind::String, self.string()?)),
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
            Some(b'[') => return Ok((Kind::Array, self.array()?)),
            Some(b't') => self.literal(b"true", Kind::Bool)?,
            Some(b'f') => self.literal(b"false", Kind::Bool)?,
            Some(b'n') => self.literal(b"null", Kind::Null)?,
            other => return Err(self.unexpected(other, Rule::NotAValue)),
        };
        Ok((kind, false))
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
                return Err(Rule::TooManyMembers);
            }
            let member = self.member()?;
            self.members.push(member);
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                other => return Err(self.unexpected(other, Rule::MemberEndExpected)),
            }
            self.skip_whitespace();
        }
        self.ascend();
        let members = self.members.get(first..).unwrap_or_default();
        match duplicate(members, self.text) {
            None => Ok(()),
            Some(member) => self.broken_at(member.name_start as usize, Rule::DuplicateName),
        }
    }

    #[inline]
    fn member(&mut self) -> Result<Member> {
        let opening = self.peek();
        if opening != Some(b'"') {
            return Err(self.unexpected(opening, Rule::NameExpected));
        }
        let name_start = self.at + 1;
        let name_escaped = self.string()?;
        let name_end = self.at - 1;
        if name_end - name_start > JSON_NAME_BYTES_MAX {
            return self.broken_at(name_start, Rule::NameTooLong);
        }
        self.skip_whitespace();
        match self.peek() {
            Some(b':') => self.at += 1,
            other => return Err(self.unexpected(other, Rule::ColonExpected)),
        }
        self.skip_whitespace();
        let value = self.span()?;
        self.skip_whitespace();
        Ok(Member {
            prefix: prefix(self.bytes, name_start, name_end),
            name_start: offset(name_start),
            name_end: offset(name_end),
            name_escaped,
            value,
        })
    }

    /// Scans an array; true when it holds nothing but strings.
    fn array(&mut self) -> Result<bool> {
        self.descend()?;
        self.skip_whitespace();
        if self.peek() == Some(b']') {
            self.ascend();
            return Ok(true);
        }
        let mut strings = true;
        let mut elements = 0;
        loop {
            if elements == JSON_ELEMENTS_MAX {
                return Err(Rule::TooManyElements);
            }
            elements += 1;
            strings &= self.value()?.0 == Kind::String;
            self.skip_whitespace();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                other => return Err(self.unexpected(other, Rule::ElementEndExpected)),
            }
            self.skip_whitespace();
        }
        self.ascend();
        Ok(strings)
    }

    /// Steps over an opening bracket. This bound is also the bound of the recursion.
    fn descend(&mut self) -> Result<()> {
        if self.depth == JSON_DEPTH_MAX {
            return Err(Rule::TooDeep);
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
        self.at = text::plain_end(self.bytes, self.at + 1);
        if self.peek() == Some(b'"') {
            self.at += 1;
            return Ok(false);
        }
        self.rest_of_string()
    }

    #[cold]
    fn rest_of_string(&mut self) -> Result<bool> {
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(true);
                }
                Some(b'\\') => self.escape()?,
                other => return Err(self.unexpected(other, Rule::ControlInString)),
            }
            self.at = text::plain_end(self.bytes, self.at);
        }
    }

    fn escape(&mut self) -> Result<()> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => match text::escaped_unit(self.bytes, self.at) {
                None => return Err(Rule::BadEscape),
                // RFC 8259 §8.2: behaviour on unpaired surrogates is unpredictable, so they are refused.
                Some(0xd800..=0xdbff) => match text::escaped_unit(self.bytes, self.at + 6) {
                    Some(0xdc00..=0xdfff) => self.at += 12,
                    _ => return Err(Rule::LoneSurrogate),
                },
                Some(0xdc00..=0xdfff) => return Err(Rule::LoneSurrogate),
                Some(_) => self.at += 6,
            },
            Some(_) => return Err(Rule::BadEscape),
            None => return Err(Rule::EndsEarly),
        }
        Ok(())
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
            return self.broken_at(start, Rule::NumberTooLong);
        }
        match self.peek() {
            // `01` and `1x` are no two tokens.
            Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'.' | b'+' | b'-') => {
                Err(Rule::BadNumber)
            }
            _ => Ok(()),
        }
    }

    /// One digit or more.
    #[inline]
    fn digits(&mut self) -> Result<()> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        if digits == 0 {
            Err(Rule::BadNumber)
        } else {
            Ok(())
        }
    }

    fn literal(&mut self, word: &[u8], kind: Kind) -> Result<Kind> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.starts_with(word) {
            self.at += word.len();
            Ok(kind)
        } else {
            Err(Rule::NotAValue)
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

    /// The rule broken by a byte, or by there being no more.
    #[cold]
    fn unexpected(&self, byte: Option<u8>, rule: Rule) -> Rule {
        if byte.is_none() {
            Rule::EndsEarly
        } else {
            rule
        }
    }

    #[cold]
    fn broken_at<T>(&mut self, at: usize, rule: Rule) -> Result<T> {
        self.at = at;
        Err(rule)
    }
}

/// Offsets fit because the text's length does.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "a longer text was refused at its beginning"
)]
const fn offset(at: usize) -> u32 {
    at as u32
}

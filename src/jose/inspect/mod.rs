//! Takes a token apart for a human, without trusting a word of it.
//!
//! It shows as much as a broken token still shows and says at which byte it breaks. It verifies nothing,
//! and never prints a signature, only its length: what it prints may be pasted into a ticket.

mod dates;
mod render;
mod warnings;

#[cfg(test)]
mod tests;

use super::{Claims, CompactJwe, CompactJws, Header, JoseError, JweHeader};
use crate::clock::Now;
use crate::encoding::base64url;
use crate::encoding::json::Object;
use crate::limits::TOKEN_BYTES_MAX;
use dates::Date;

/// What a token looks like from outside. `Display` explains it; [`Inspection::to_json`] lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// `JWS`, `JWE`, or that it is neither.
    pub form: Form,
    /// The text between the dots, part by part.
    pub segments: Vec<Segment>,
    /// The header, as far as it can be read.
    pub header: Option<Part>,
    /// The claims, as far as they can be read; a JWE's are encrypted.
    pub claims: Option<Part>,
    dates: Vec<Date>,
    /// Where it breaks.
    pub problems: Vec<Problem>,
    /// What is readable but unwise, or will surprise.
    pub warnings: Vec<String>,
    /// Why jotd would refuse it whatever the key, if it would.
    pub refusal: Option<JoseError>,
}

/// Which serialization a token seems to be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Three segments (RFC 7515 §7.1).
    Jws,
    /// Five segments (RFC 7516 §7.1).
    Jwe,
    /// Neither.
    Unknown,
}

/// One segment's name and size; never its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// `header`, `payload`, `signature`, or the parts of a JWE.
    pub name: &'static str,
    /// Characters of base64url.
    pub characters: usize,
    /// Octets after decoding, where it decodes.
    pub octets: Option<usize>,
}

/// A decoded part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A strict JSON object, on one line.
    Json(String),
    /// Text that is no strict JSON object.
    Text(String),
    /// Octets that are no text.
    Octets(usize),
}

/// A place where the token breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The byte of the token, counted from 0.
    pub offset: usize,
    /// Which part of the token.
    pub part: &'static str,
    /// The rule.
    pub rule: String,
}

const JWS_PARTS: [&str; 3] = ["header", "payload", "signature"];
const JWE_PARTS: [&str; 5] = ["header", "encrypted key", "iv", "ciphertext", "tag"];

/// Decodes a token without trusting it; dates are explained relative to `now`.
#[must_use]
pub fn inspect(token: &[u8], now: Now) -> Inspection {
    let mut inspection = Inspection {
        form: Form::Unknown,
        segments: Vec::new(),
        header: None,
        claims: None,
        dates: Vec::new(),
        problems: Vec::new(),
        warnings: Vec::new(),
        refusal: refusal(token),
    };
    if token.len() > TOKEN_BYTES_MAX {
        inspection.problem(TOKEN_BYTES_MAX, "token", "the token is longer than 64 KiB");
        return inspection;
    }
    let segments: Vec<&[u8]> = token.split(|&byte| byte == b'.').collect();
    let names: &[&'static str] = match segments.len() {
        3 => &JWS_PARTS,
        5 => &JWE_PARTS,
        count => {
            let rule = format!("the token has {count} dot-separated segments, not three");
            inspection.problem(token.len(), "token", rule);
            &JWS_PARTS
        }
    };
    inspection.form = match segments.len() {
        3 => Form::Jws,
        5 => Form::Jwe,
        _ => Form::Unknown,
    };
    let mut start = 0;
    for (name, segment) in names.iter().zip(&segments) {
        inspection.segment(name, segment, start);
        start += segment.len() + 1;
    }
    if inspection.claims.is_some() {
        inspection.dates = dates::of_claims(inspection.claims_object().as_ref(), now);
    }
    inspection.warnings = warnings::of(&inspection, &segments, now);
    inspection
}

/// The first rule of ours that the token breaks, found by the parsers that verification uses.
fn refusal(token: &[u8]) -> Option<JoseError> {
    let parse = || {
        if CompactJwe::is_one(token) {
            return refusal_of_jwe(token);
        }
        let jws = CompactJws::parse(token, TOKEN_BYTES_MAX)?;
        Header::parse_segment(jws.header_segment())?;
        jws.decode_signature(&mut Vec::new())?;
        let mut payload = Vec::new();
        jws.decode_payload(&mut payload)?;
        Claims::parse(&payload).map(drop)
    };
    parse().err()
}

fn refusal_of_jwe(token: &[u8]) -> Result<(), JoseError> {
    let jwe = CompactJwe::parse(token, TOKEN_BYTES_MAX)?;
    let header = JweHeader::parse_segment(jwe.header_segment())?;
    jwe.decode()?;
    if !header.content_is_jwt() {
        return Err(JoseError::Malformed(
            "the header's cty is not JWT: only a signed token may be encrypted",
        ));
    }
    Ok(())
}

impl Inspection {
    fn segment(&mut self, name: &'static str, text: &[u8], start: usize) {
        let decoded = base64url::decode_vec(text);
        self.segments.push(Segment {
            name,
            characters: text.len(),
            octets: decoded.as_ref().ok().map(Vec::len),
        });
        let octets = match decoded {
            Ok(octets) => octets,
            Err(error) => {
                self.problem(start + error.offset, name, error.rule);
                // What comes before the broken byte may still tell something.
                let whole = error.offset / 4 * 4;
                base64url::decode_vec(text.get(..whole).unwrap_or_default()).unwrap_or_default()
            }
        };
        match name {
            "header" => self.header = self.part(name, &octets, start),
            "payload" => self.claims = self.part(name, &octets, start),
            _ => {}
        }
    }

    fn part(&mut self, name: &'static str, octets: &[u8], start: usize) -> Option<Part> {
        if octets.is_empty() {
            return None;
        }
        match Object::parse(octets) {
            Ok(object) => {
                let mut line = Vec::with_capacity(octets.len());
                object.write_minified(&mut line);
                String::from_utf8(line).ok().map(Part::Json)
            }
            Err(error) => {
                // Four characters stand for three octets.
                let offset = start + base64url::encoded_len(error.offset + 1).saturating_sub(1);
                let rule = format!(
                    "{} (byte {} of the decoded {name})",
                    error.rule, error.offset
                );
                self.problem(offset, name, rule);
                Some(match std::str::from_utf8(octets) {
                    Ok(text) => Part::Text(text.to_owned()),
                    Err(_) => Part::Octets(octets.len()),
                })
            }
        }
    }

    fn problem(&mut self, offset: usize, part: &'static str, rule: impl Into<String>) {
        self.problems.push(Problem {
            offset,
            part,
            rule: rule.into(),
        });
    }

    fn header_object(&self) -> Option<Object<'_>> {
        object_of(self.header.as_ref())
    }

    fn claims_object(&self) -> Option<Object<'_>> {
        object_of(self.claims.as_ref())
    }
}

fn object_of(part: Option<&Part>) -> Option<Object<'_>> {
    match part? {
        Part::Json(json) => Object::parse_str(json).ok(),
        Part::Text(_) | Part::Octets(_) => None,
    }
}

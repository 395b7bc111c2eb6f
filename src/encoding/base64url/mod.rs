//! base64url without padding (RFC 7515 §2), strictly.
//!
//! It refuses what RFC 4648 leaves to the decoder's mercy: a byte outside the alphabet, `=`, line breaks,
//! a length no encoder produces, and trailing bits that are not zero (§3.5). Each octet string therefore
//! has exactly one accepted encoding, so a token cannot be respelled into a second one.

#[cfg_attr(not(target_arch = "x86_64"), path = "no_avx512.rs")]
mod avx512;
mod portable;

use crate::simd::Avx512Vbmi;

/// Why a text is not strict base64url, and where. Never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule} (byte {offset})")]
pub struct Base64Error {
    /// The rule that was broken.
    pub rule: &'static str,
    /// The first byte that breaks it.
    pub offset: usize,
}

/// Rule: only the 64 characters of RFC 4648 §5.
pub const OUTSIDE_ALPHABET: &str = "base64url holds a byte outside its alphabet";
/// Rule: no `=` (RFC 7515 §2).
pub const PADDED: &str = "base64url is padded with '='";
/// Rule: no length of the form 4n + 1, which encodes no whole number of octets.
pub const IMPOSSIBLE_LENGTH: &str = "base64url has an impossible length";
/// Rule: the bits beyond the last octet are zero (RFC 4648 §3.5).
pub const TRAILING_BITS: &str = "base64url has trailing bits that are not zero";

/// Appends the octets that `text` encodes to `out`; on an error `out` is as it was.
///
/// # Errors
/// [`Base64Error`] naming the broken rule.
#[inline]
pub fn decode(text: &[u8], out: &mut Vec<u8>) -> Result<(), Base64Error> {
    let before = out.len();
    let decoded = match Avx512Vbmi::detect() {
        Some(cpu) => avx512::decode_appending(cpu, text, out),
        None => portable::decode_appending(text, out),
    };
    decoded.map_err(|Broken| {
        out.truncate(before);
        // The hot loop only learns that something is wrong; a second look finds out what.
        explain(text)
    })
}

/// The octets that `text` encodes.
///
/// # Errors
/// [`Base64Error`] naming the broken rule.
pub fn decode_vec(text: &[u8]) -> Result<Vec<u8>, Base64Error> {
    let mut out = Vec::new();
    decode(text, &mut out)?;
    Ok(out)
}

/// Appends the encoding of `octets` to `out`.
pub fn encode(octets: &[u8], out: &mut Vec<u8>) {
    let before = out.len();
    out.resize(before + encoded_len(octets.len()), 0);
    let places = out.get_mut(before..).unwrap_or_default();
    let (triples, rest) = octets.as_chunks::<3>();
    let (quads, tail) = places.as_chunks_mut::<4>();
    for (&[a, b, c], quad) in triples.iter().zip(quads) {
        *quad = characters([a, b, c]);
    }
    let padded = match *rest {
        [a] => characters([a, 0, 0]),
        [a, b] => characters([a, b, 0]),
        _ => return,
    };
    for (place, character) in tail.iter_mut().zip(padded) {
        *place = character;
    }
}

/// The encoding of `octets` as a string.
#[must_use]
pub fn encode_string(octets: &[u8]) -> String {
    let mut out = Vec::with_capacity(encoded_len(octets.len()));
    encode(octets, &mut out);
    String::from_utf8(out).expect("the alphabet is ASCII")
}

/// Octets that a text of this length encodes; its length may still be impossible.
#[must_use]
pub const fn decoded_len(text_len: usize) -> usize {
    text_len / 4 * 3 + (text_len % 4) * 3 / 4
}

/// Characters that encode this many octets.
#[must_use]
pub const fn encoded_len(octets: usize) -> usize {
    octets / 3 * 4 + (octets % 3 * 4).div_ceil(3)
}

/// Whether every byte is of the alphabet.
#[must_use]
pub fn is_alphabet(text: &[u8]) -> bool {
    alphabet_len(text) == text.len()
}

/// Bytes of the alphabet that `text` begins with.
#[must_use]
#[inline]
pub fn alphabet_len(text: &[u8]) -> usize {
    match Avx512Vbmi::detect() {
        Some(cpu) => avx512::alphabet_len(cpu, text),
        None => portable::alphabet_len(text),
    }
}

/// Some rule is broken; which one, only the caller's second look finds out.
struct Broken;

/// Finds the first broken rule of a text known to break one.
#[cold]
fn explain(text: &[u8]) -> Base64Error {
    if let Some(offset) = text.iter().position(|&byte| !in_alphabet(byte)) {
        let padded = text
            .get(offset..)
            .is_some_and(|rest| rest.iter().all(|&b| b == b'='));
        let rule = if padded { PADDED } else { OUTSIDE_ALPHABET };
        return Base64Error { rule, offset };
    }
    let offset = text.len().saturating_sub(1);
    if text.len() % 4 == 1 {
        Base64Error {
            rule: IMPOSSIBLE_LENGTH,
            offset,
        }
    } else {
        Base64Error {
            rule: TRAILING_BITS,
            offset,
        }
    }
}

#[inline]
const fn in_alphabet(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() | (byte == b'-') | (byte == b'_')
}

/// RFC 4648 §5, table 2.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The four characters of three octets.
#[inline]
fn characters([a, b, c]: [u8; 3]) -> [u8; 4] {
    let bits = u32::from_be_bytes([0, a, b, c]);
    [18, 12, 6, 0].map(|shift| ALPHABET[(bits >> shift & 0x3f) as usize])
}

#[cfg(test)]
mod tests;

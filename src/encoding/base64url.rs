//! base64url without padding (RFC 7515 §2), strictly.
//!
//! It refuses what RFC 4648 leaves to the decoder's mercy: a byte outside the alphabet, `=`, line breaks,
//! a length no encoder produces, and trailing bits that are not zero (§3.5). Each octet string therefore
//! has exactly one accepted encoding, so a token cannot be respelled into a second one.
#![forbid(unsafe_code)]

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
    decode_appending(text, out).map_err(|_| {
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
    let mut out = Vec::with_capacity(decoded_len(text.len()) + SLACK);
    decode(text, &mut out)?;
    Ok(out)
}

/// Appends the encoding of `octets` to `out`.
pub fn encode(octets: &[u8], out: &mut Vec<u8>) {
    out.reserve(encoded_len(octets.len()));
    let mut triples = octets.chunks_exact(3);
    for triple in &mut triples {
        let bits = triple
            .iter()
            .fold(0, |bits, &octet| bits << 8 | u32::from(octet));
        out.extend_from_slice(&[18, 12, 6, 0].map(|shift| character(bits >> shift)));
    }
    match *triples.remainder() {
        [a] => {
            let bits = u32::from(a) << 16;
            out.extend_from_slice(&[18, 12].map(|shift| character(bits >> shift)));
        }
        [a, b] => {
            let bits = u32::from(a) << 16 | u32::from(b) << 8;
            out.extend_from_slice(&[18, 12, 6].map(|shift| character(bits >> shift)));
        }
        _ => {}
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
#[inline]
pub fn is_alphabet(text: &[u8]) -> bool {
    let mut blocks = text.chunks_exact(BLOCK);
    let mut good = true;
    for block in &mut blocks {
        // No early exit within a block: that lets the compiler use vector compares.
        good &= block
            .iter()
            .fold(true, |good, &byte| good & in_alphabet(byte));
        if !good {
            return false;
        }
    }
    blocks.remainder().iter().all(|&byte| in_alphabet(byte))
}

/// Bytes looked at together; a multiple of every vector width and of 8.
const BLOCK: usize = 32;

/// Eight octets are stored where six are meant, so the buffer is longer by two while decoding.
const SLACK: usize = 2;

/// Marks a byte outside the alphabet among the sextets.
const INVALID: u8 = 0x80;

struct Broken;

fn decode_appending(text: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
    if text.len() % 4 == 1 {
        return Err(Broken);
    }
    let before = out.len();
    let octets = decoded_len(text.len());
    out.resize(before + octets + SLACK, 0);
    let mut place = out.get_mut(before..).ok_or(Broken)?;

    let mut groups = text.chunks_exact(8);
    let mut seen = 0;
    for group in &mut groups {
        let sextets = load_sextets(group);
        seen |= sextets;
        let (slot, rest) = place.split_first_chunk_mut::<8>().ok_or(Broken)?;
        // The two octets too many are overwritten by the next group, or cut off as slack.
        *slot = (pack(sextets) << 16).to_be_bytes();
        let _ = rest;
        place = place.get_mut(6..).ok_or(Broken)?;
    }

    let tail = groups.remainder();
    let mut padded = [b'A'; 8];
    padded
        .get_mut(..tail.len())
        .ok_or(Broken)?
        .copy_from_slice(tail);
    let sextets = load_sextets(&padded);
    seen |= sextets;
    let bytes = (pack(sextets) << 16).to_be_bytes();
    let tail_octets = decoded_len(tail.len());
    let (kept, spare) = bytes.split_at(tail_octets);
    place
        .get_mut(..tail_octets)
        .ok_or(Broken)?
        .copy_from_slice(kept);

    // What lies beyond the last octet came from `A`s, which are zero, or from trailing bits.
    let trailing_bits = spare.iter().any(|&bits| bits != 0);
    if seen & u64::from_be_bytes([INVALID; 8]) != 0 || trailing_bits {
        return Err(Broken);
    }
    out.truncate(before + octets);
    Ok(())
}

/// Eight characters as eight sextets, first character in the highest byte.
#[inline]
fn load_sextets(group: &[u8]) -> u64 {
    group.iter().fold(0, |word, &byte| {
        word << 8 | u64::from(SEXTETS[usize::from(byte)])
    })
}

/// Eight sextets in eight bytes to the 48 bits they stand for.
#[inline]
const fn pack(sextets: u64) -> u64 {
    let pairs = (sextets & 0x3f00_3f00_3f00_3f00) >> 2 | sextets & 0x003f_003f_003f_003f;
    let quads = (pairs & 0x0fff_0000_0fff_0000) >> 4 | pairs & 0x0000_0fff_0000_0fff;
    quads >> 32 << 24 | quads & 0x00ff_ffff
}

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

static SEXTETS: [u8; 256] = {
    let mut table = [INVALID; 256];
    let mut sextet = 0;
    while sextet < 64 {
        table[ALPHABET[sextet] as usize] = sextet as u8;
        sextet += 1;
    }
    table
};

#[inline]
const fn character(bits: u32) -> u8 {
    ALPHABET[(bits & 0x3f) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    fn rule(text: &str) -> &'static str {
        match decode_vec(text.as_bytes()) {
            Ok(_) => "accepted",
            Err(error) => error.rule,
        }
    }

    #[test]
    fn the_vectors_of_rfc_4648_and_rfc_7515_hold() {
        // RFC 4648 §10 without padding, and RFC 7515 appendix C.
        for (octets, text) in [
            (&b""[..], ""),
            (b"f", "Zg"),
            (b"fo", "Zm8"),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg"),
            (b"fooba", "Zm9vYmE"),
            (b"foobar", "Zm9vYmFy"),
            (&[3, 236, 255, 224, 193], "A-z_4ME"),
        ] {
            assert_eq!(encode_string(octets), text);
            assert_eq!(decode_vec(text.as_bytes()).as_deref(), Ok(octets));
        }
    }

    /// Checks V-04.
    #[test]
    fn every_other_spelling_is_refused() {
        for (text, expected) in [
            ("Zg==", PADDED),
            ("Zm9vYg=", PADDED),
            ("Zg=a", OUTSIDE_ALPHABET),
            ("Zm9+", OUTSIDE_ALPHABET),
            ("Zm9/", OUTSIDE_ALPHABET),
            ("Zm 9v", OUTSIDE_ALPHABET),
            ("Zm9v\n", OUTSIDE_ALPHABET),
            ("\u{ff}Zm9", OUTSIDE_ALPHABET),
            ("Z", IMPOSSIBLE_LENGTH),
            ("Zm9vY", IMPOSSIBLE_LENGTH),
            ("Zm9vZm9vZm9vZ", IMPOSSIBLE_LENGTH),
            ("Zh", TRAILING_BITS),
            ("Zm9", TRAILING_BITS),
            ("Zm9vZm9vYh", TRAILING_BITS),
        ] {
            assert_eq!(rule(text), expected, "{text}");
        }
    }

    /// Checks V-04.
    #[test]
    fn of_all_last_characters_only_those_with_zero_bits_pass() {
        for (prefix, unused_bits) in [("", 4), ("A", 4), ("AA", 2), ("AAA", 0)] {
            for (sextet, &last) in ALPHABET.iter().enumerate() {
                let text = format!("AAAAAAAA{prefix}{}", char::from(last));
                let fits = prefix.len() != 0 && sextet % (1 << unused_bits) == 0;
                assert_eq!(rule(&text) == "accepted", fits, "{text}");
            }
        }
    }

    #[test]
    fn the_offset_is_that_of_the_first_broken_byte() {
        // Longer than a block, so that the place is found after vector code has only seen that it exists.
        for place in 0..70 {
            let mut text = vec![b'A'; 70];
            text[place] = b'!';
            let error = decode_vec(&text).expect_err("not of the alphabet");
            assert_eq!((error.rule, error.offset), (OUTSIDE_ALPHABET, place));
            assert!(!is_alphabet(&text));
            text[place] = b'A';
            assert!(is_alphabet(&text));
        }
    }

    #[test]
    fn a_refusal_leaves_the_buffer_as_it_was() {
        let mut out = b"before".to_vec();
        assert!(decode(b"Zm9vZm9vZm9vZm9v=", &mut out).is_err());
        assert_eq!(out, b"before");
        decode(b"Zm9v", &mut out).expect("strict");
        assert_eq!(out, b"beforefoo");
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_base64_crate(text in "[-_A-Za-z0-9]{0,80}") {
            // The crate too refuses trailing bits, padding and impossible lengths in this configuration.
            prop_assert_eq!(decode_vec(text.as_bytes()).ok(), URL_SAFE_NO_PAD.decode(&text).ok());
        }

        #[test]
        fn it_agrees_on_arbitrary_bytes(text in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(decode_vec(&text).ok(), URL_SAFE_NO_PAD.decode(&text).ok());
            prop_assert_eq!(is_alphabet(&text), text.iter().all(|byte| ALPHABET.contains(byte)));
        }

        #[test]
        fn octets_survive_the_round_trip(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let text = encode_string(&octets);
            prop_assert_eq!(&text, &URL_SAFE_NO_PAD.encode(&octets));
            prop_assert_eq!(encoded_len(octets.len()), text.len());
            prop_assert_eq!(decoded_len(text.len()), octets.len());
            prop_assert_eq!(decode_vec(text.as_bytes()), Ok(octets));
        }
    }
}

//! JWS Compact Serialization (RFC 7515 §7.1): three base64url segments, and nothing else.
//!
//! The JSON serializations (§7.2) are refused by their first byte, and JWE (RFC 7516) by its five
//! segments, so no token is ever read under two sets of rules.

use super::JoseError;
use crate::encoding::base64url;
use crate::limits::{HEADER_BYTES_MAX, SIGNATURE_BYTES_MAX};

/// A token cut into its three segments, checked for alphabet, count and length; nothing is decoded yet.
#[derive(Clone, Copy)]
pub struct CompactJws<'t> {
    token: &'t [u8],
    header_end: usize,
    payload_end: usize,
}

impl<'t> CompactJws<'t> {
    /// Cuts a token into segments. A five-segment JWE is told apart and refused by name.
    ///
    /// All lengths are held against their limits here, before anything is decoded, so that decoding never
    /// takes more memory than the limits allow. The signature segment may still be empty, because that is
    /// what `alg: none` looks like and its refusal should say so; [`Self::decode_signature`] refuses it.
    ///
    /// # Errors
    /// [`JoseError::Malformed`] or [`JoseError::TooLarge`] (`token_bytes_max` is the caller's limit).
    #[inline]
    pub fn parse(token: &'t [u8], token_bytes_max: usize) -> Result<Self, JoseError> {
        if token.len() > token_bytes_max {
            return Err(JoseError::TooLarge {
                what: "token",
                limit_bytes: token_bytes_max,
            });
        }
        let jws = Self::cut(token)?;
        within(jws.header_segment(), HEADER_BYTES_MAX, "header")?;
        within(jws.signature_segment(), SIGNATURE_BYTES_MAX, "signature")?;
        Ok(jws)
    }

    /// One look at each byte finds the dots and everything that is neither dot nor base64url.
    fn cut(token: &'t [u8]) -> Result<Self, JoseError> {
        let segment_end = |start: usize| {
            let rest = token.get(start..).unwrap_or_default();
            start + base64url::alphabet_len(rest)
        };
        let is_dot = |at: usize| token.get(at) == Some(&b'.');
        let header_end = segment_end(0);
        let payload_end = segment_end(header_end + 1);
        let signature_end = segment_end(payload_end + 1);
        if !is_dot(header_end) || !is_dot(payload_end) || signature_end != token.len() {
            return Err(JoseError::Malformed(why_not_three(token)));
        }
        if header_end == 0 {
            return Err(JoseError::Malformed("the header segment is empty"));
        }
        if payload_end == header_end + 1 {
            return Err(JoseError::Malformed("the payload segment is empty"));
        }
        Ok(Self {
            token,
            header_end,
            payload_end,
        })
    }

    /// The protected header's base64url text. Tokens of one key share it byte for byte, so it is a good
    /// memo key.
    #[must_use]
    pub fn header_segment(&self) -> &'t [u8] {
        self.token.get(..self.header_end).unwrap_or_default()
    }

    /// The payload's base64url text.
    #[must_use]
    pub fn payload_segment(&self) -> &'t [u8] {
        self.token
            .get(self.header_end + 1..self.payload_end)
            .unwrap_or_default()
    }

    /// The signature's base64url text.
    #[must_use]
    pub fn signature_segment(&self) -> &'t [u8] {
        self.token.get(self.payload_end + 1..).unwrap_or_default()
    }

    /// `ASCII(BASE64URL(header) || '.' || BASE64URL(payload))`: the bytes that were signed (RFC 7515 §5.1).
    #[must_use]
    pub fn signing_input(&self) -> &'t [u8] {
        self.token.get(..self.payload_end).unwrap_or_default()
    }

    /// Appends the decoded signature to `out`.
    ///
    /// # Errors
    /// [`JoseError::Malformed`] where the base64url is not canonical or the signature is empty.
    pub fn decode_signature(&self, out: &mut Vec<u8>) -> Result<(), JoseError> {
        if self.signature_segment().is_empty() {
            return Err(JoseError::Malformed("the signature segment is empty"));
        }
        base64url::decode(self.signature_segment(), out)
            .map_err(|error| JoseError::Malformed(in_signature(error.rule)))
    }

    /// Appends the decoded payload to `out`.
    ///
    /// # Errors
    /// [`JoseError::Malformed`] where the base64url is not canonical.
    pub fn decode_payload(&self, out: &mut Vec<u8>) -> Result<(), JoseError> {
        base64url::decode(self.payload_segment(), out)
            .map_err(|error| JoseError::Malformed(in_payload(error.rule)))
    }
}

fn within(segment: &[u8], limit_bytes: usize, what: &'static str) -> Result<(), JoseError> {
    if base64url::decoded_len(segment.len()) > limit_bytes {
        return Err(JoseError::TooLarge { what, limit_bytes });
    }
    Ok(())
}

/// The precise rule broken by a token that is no three segments of base64url.
#[cold]
fn why_not_three(token: &[u8]) -> &'static str {
    let foreign = |byte: &u8| *byte != b'.' && !base64url::is_alphabet(&[*byte]);
    let dots = token.iter().filter(|&&byte| byte == b'.').count();
    match (token.first(), token.iter().find(|byte| foreign(byte))) {
        (None, _) => "the token is empty",
        // RFC 7515 §7.2: a JSON serialization is a JSON object.
        (Some(b'{'), _) => "the token is in JSON serialization; only the compact one is accepted",
        (_, Some(b' ' | b'\t' | b'\r' | b'\n')) => "the token holds whitespace",
        (_, Some(b'=')) => "the token is padded with '='",
        (_, Some(b'+' | b'/')) => "the token is in base64, not base64url",
        (_, Some(_)) => "the token holds a byte outside base64url and '.'",
        (_, None) => match dots {
            0 => "the token has one segment, not three",
            1 => "the token has two segments, not three",
            // RFC 7516 §9: five segments are a JWE.
            4 => "this is an encrypted token (JWE), not a signed one (JWS)",
            _ => "the token does not have exactly three segments",
        },
    }
}

fn in_signature(rule: &'static str) -> &'static str {
    match rule {
        base64url::IMPOSSIBLE_LENGTH => "the signature has an impossible base64url length",
        base64url::TRAILING_BITS => "the signature has base64url trailing bits that are not zero",
        _ => "the signature is not base64url",
    }
}

fn in_payload(rule: &'static str) -> &'static str {
    match rule {
        base64url::IMPOSSIBLE_LENGTH => "the payload has an impossible base64url length",
        base64url::TRAILING_BITS => "the payload has base64url trailing bits that are not zero",
        _ => "the payload is not base64url",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::TOKEN_BYTES_MAX;

    fn parse(token: &str) -> Result<CompactJws<'_>, JoseError> {
        CompactJws::parse(token.as_bytes(), TOKEN_BYTES_MAX)
    }

    fn rule(token: &str) -> &'static str {
        match parse(token) {
            Ok(_) => "accepted",
            Err(JoseError::Malformed(rule)) => rule,
            Err(_) => "another error",
        }
    }

    #[test]
    fn the_segments_are_the_text_between_the_dots() {
        let jws = parse("aGVhZA.cGF5bG9hZA.c2ln").expect("three segments");
        assert_eq!(jws.header_segment(), b"aGVhZA");
        assert_eq!(jws.payload_segment(), b"cGF5bG9hZA");
        assert_eq!(jws.signature_segment(), b"c2ln");
        assert_eq!(jws.signing_input(), b"aGVhZA.cGF5bG9hZA");
        let mut out = b"!".to_vec();
        jws.decode_payload(&mut out).expect("strict");
        jws.decode_signature(&mut out).expect("strict");
        assert_eq!(out, b"!payloadsig");
    }

    /// Checks V-01.
    #[test]
    fn any_byte_outside_the_alphabet_is_refused_wherever_it_stands() {
        let token = "aGVhZGVyIGlzIGxvbmdlcg.cGF5bG9hZCBpcyBsb25nZXI.c2lnbmF0dXJlIGlzIGxvbmdlcg";
        for byte in 0..=u8::MAX {
            for place in 0..token.len() {
                let mut changed = token.as_bytes().to_vec();
                changed[place] = byte;
                let well_formed = changed.iter().filter(|&&byte| byte == b'.').count() == 2
                    && changed
                        .iter()
                        .all(|byte| *byte == b'.' || base64url::is_alphabet(&[*byte]))
                    && changed.first() != Some(&b'.');
                let parsed = CompactJws::parse(&changed, TOKEN_BYTES_MAX);
                assert_eq!(parsed.is_ok(), well_formed, "{byte:#x} at {place}");
            }
        }
        for (token, expected) in [
            ("", "the token is empty"),
            ("a.b.c\n", "the token holds whitespace"),
            (" a.b.c", "the token holds whitespace"),
            ("a.b.c=", "the token is padded with '='"),
            ("a.b.c+", "the token is in base64, not base64url"),
            ("Bearer a.b.c", "the token holds whitespace"),
            (
                "a.b.\"c\"",
                "the token holds a byte outside base64url and '.'",
            ),
            ("a.b.é", "the token holds a byte outside base64url and '.'"),
        ] {
            assert_eq!(rule(token), expected, "{token}");
        }
    }

    /// Checks V-02.
    #[test]
    fn a_jws_has_three_segments_and_a_jwe_is_told_apart() {
        for (token, expected) in [
            ("a", "the token has one segment, not three"),
            ("a.b", "the token has two segments, not three"),
            ("a.b.c.d", "the token does not have exactly three segments"),
            (
                "a.b.c.d.e",
                "this is an encrypted token (JWE), not a signed one (JWS)",
            ),
            // RFC 7516: direct encryption leaves the key segment empty.
            (
                "a..c.d.e",
                "this is an encrypted token (JWE), not a signed one (JWS)",
            ),
            (
                "a.b.c.d.e.f",
                "the token does not have exactly three segments",
            ),
            ("..", "the header segment is empty"),
            (".b.c", "the header segment is empty"),
            ("a..c", "the payload segment is empty"),
        ] {
            assert_eq!(rule(token), expected, "{token}");
        }
        // RFC 7518 §3.6: `none` has an empty signature, so only decoding it is refused.
        let unsigned = parse("a.b.").expect("the form of alg none");
        let refusal = unsigned.decode_signature(&mut Vec::new());
        assert_eq!(
            refusal,
            Err(JoseError::Malformed("the signature segment is empty"))
        );
    }

    /// Checks V-03.
    #[test]
    fn json_serializations_are_refused() {
        for token in [
            r#"{"protected":"a","payload":"b","signature":"c"}"#,
            r#"{"payload":"a.b.c","signatures":[]}"#,
            r#"{"protected":"a.b.c"}"#,
        ] {
            let expected = "the token is in JSON serialization; only the compact one is accepted";
            assert_eq!(rule(token), expected);
        }
    }

    /// Checks V-04.
    #[test]
    fn only_the_canonical_spelling_decodes() {
        for (segment, rule) in [
            (
                "c2l",
                "the signature has base64url trailing bits that are not zero",
            ),
            ("c2lnc", "the signature has an impossible base64url length"),
        ] {
            let token = format!("a.{segment}.{segment}");
            let jws = parse(&token).expect("three segments");
            let mut out = Vec::new();
            assert_eq!(
                jws.decode_signature(&mut out),
                Err(JoseError::Malformed(rule))
            );
            assert!(jws.decode_payload(&mut out).is_err());
            assert!(out.is_empty());
        }
    }

    /// Checks V-07.
    #[test]
    fn lengths_are_checked_before_anything_is_decoded() {
        let long = |what: &str, limit_bytes| match what {
            "token" => JoseError::TooLarge {
                what: "token",
                limit_bytes,
            },
            "header" => JoseError::TooLarge {
                what: "header",
                limit_bytes,
            },
            _ => JoseError::TooLarge {
                what: "signature",
                limit_bytes,
            },
        };
        let error = |token: &str| parse(token).err();
        let token_of = |bytes: usize| format!("a.{}.c", "b".repeat(bytes - 4));
        assert_eq!(error(&token_of(TOKEN_BYTES_MAX)), None);
        assert_eq!(
            error(&token_of(TOKEN_BYTES_MAX + 1)),
            Some(long("token", TOKEN_BYTES_MAX))
        );

        let header = base64url::encoded_len(HEADER_BYTES_MAX);
        assert_eq!(error(&format!("{}.b.c", "a".repeat(header))), None);
        // One character more may be an impossible length, which decoding finds; two are an octet more.
        let too_long = format!("{}.b.c", "a".repeat(header + 2));
        assert_eq!(error(&too_long), Some(long("header", HEADER_BYTES_MAX)));

        let signature = base64url::encoded_len(SIGNATURE_BYTES_MAX);
        assert_eq!(error(&format!("a.b.{}", "c".repeat(signature))), None);
        let too_long = format!("a.b.{}", "c".repeat(signature + 2));
        assert_eq!(
            error(&too_long),
            Some(long("signature", SIGNATURE_BYTES_MAX))
        );

        // A mebibyte of header is refused for its length alone.
        let huge = format!("{}.b.c", "a".repeat(1 << 20));
        assert_eq!(error(&huge), Some(long("token", TOKEN_BYTES_MAX)));
        let huge_header = CompactJws::parse(huge.as_bytes(), usize::MAX).err();
        assert_eq!(huge_header, Some(long("header", HEADER_BYTES_MAX)));
    }
}

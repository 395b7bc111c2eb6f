//! The JOSE header (RFC 7515 §4): what names the key and how the token must be read.
//!
//! It refuses to be told where keys are: `jwk`, `jku`, `x5u` and `x5c` are checked for their type and
//! then dropped, because a token does not get to choose what it is verified with (RFC 8725 §3.10).

use super::{Algorithm, JoseError};
use crate::encoding::base64url;
use crate::encoding::json::{Kind, Object, Value};
use crate::limits::{HEADER_BYTES_MAX, KID_BYTES_MAX};
use std::sync::Arc;

/// A parsed protected header. Key-carrying members (`jwk`, `jku`, `x5u`, `x5c`) are never followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// `alg`: supported, which says nothing about allowed.
    pub alg: Algorithm,
    /// `kid`, bounded in length and free of control characters.
    pub kid: Option<Arc<str>>,
    /// `typ` as written; compare with [`Header::typ_is`].
    pub typ: Option<Arc<str>>,
}

impl Header {
    /// Decodes and parses a header segment.
    ///
    /// # Errors
    /// [`JoseError`] for anything RFC 7515 §4 or RFC 8725 forbids: duplicate members, unknown `crit`,
    /// `b64: false`, `zip`, wrong member types.
    pub fn parse_segment(segment: &[u8]) -> Result<Self, JoseError> {
        if base64url::decoded_len(segment.len()) > HEADER_BYTES_MAX {
            return Err(JoseError::TooLarge {
                what: "header",
                limit_bytes: HEADER_BYTES_MAX,
            });
        }
        let json = base64url::decode_vec(segment)
            .map_err(|error| JoseError::Malformed(in_header(error.rule)))?;
        Self::parse(&json)
    }

    /// Parses a decoded header.
    ///
    /// # Errors
    /// As [`Self::parse_segment`].
    pub fn parse(json: &[u8]) -> Result<Self, JoseError> {
        let object = Object::parse(json).map_err(|error| JoseError::Malformed(error.rule))?;
        let mut alg = None;
        let mut kid = None;
        let mut typ = None;
        let mut crit = None;
        for (name, value) in object.members() {
            match &*name {
                "alg" => alg = Some(string(value, "the header's alg is not a string")?),
                "kid" => kid = Some(key_id(value)?),
                "typ" => typ = Some(string(value, "the header's typ is not a string")?),
                "crit" => crit = Some(value),
                "cty" => drop(string(value, "the header's cty is not a string")?),
                other => refuse_or_ignore(other, value)?,
            }
        }
        if let Some(crit) = crit {
            refuse_critical(crit)?;
        }
        let alg = alg.ok_or(JoseError::Malformed("the header has no alg"))?;
        Ok(Self {
            // RFC 8725 §3.2 and §2.11: `none` in any case is no algorithm of ours.
            alg: Algorithm::from_name(&alg).ok_or(JoseError::UnsupportedAlg)?,
            kid,
            typ: typ.map(Arc::from),
        })
    }

    /// Compares `typ` as a media type: case-insensitively, `application/` implied where there is no `/`
    /// (RFC 7515 §4.1.9).
    #[must_use]
    pub fn typ_is(&self, expected: &str) -> bool {
        self.typ.as_deref().is_some_and(|typ| {
            short_media_type(typ).eq_ignore_ascii_case(short_media_type(expected))
        })
    }
}

/// Members that change how a token must be read are refused; those that would name a key are checked for
/// their type and dropped; unknown ones are ignored (RFC 7515 §4).
fn refuse_or_ignore(name: &str, value: Value<'_>) -> Result<(), JoseError> {
    let fits = match name {
        // RFC 7797 §7: JWTs MUST NOT use b64.
        "b64" => {
            return Err(JoseError::Malformed(
                "the header has b64 (RFC 7797), which a JWT must not",
            ));
        }
        // RFC 7516 §4.1.3 defines zip for JWE only, and inflating is an attacker's amplifier.
        "zip" => {
            return Err(JoseError::Malformed(
                "the header has zip, which a JWS does not have",
            ));
        }
        // RFC 7516 §9: only a JWE has enc.
        "enc" => {
            return Err(JoseError::Malformed(
                "the header has enc, which a JWS does not have",
            ));
        }
        "jku" | "x5u" | "x5t" | "x5t#S256" => value.kind() == Kind::String,
        "jwk" => value.kind() == Kind::Object,
        "x5c" => value.is_strings(),
        _ => true,
    };
    if fits {
        Ok(())
    } else {
        Err(JoseError::Malformed(
            "the header has a registered member of the wrong type",
        ))
    }
}

/// RFC 7515 §4.1.11: if any of the listed extension header parameters are not understood and supported by
/// the recipient, then the JWS is invalid. We understand none, and an empty or malformed list is itself
/// forbidden, so there is no `crit` that could pass.
fn refuse_critical(_crit: Value<'_>) -> Result<(), JoseError> {
    Err(JoseError::UnknownCritical)
}

fn string<'j>(
    value: Value<'j>,
    rule: &'static str,
) -> Result<std::borrow::Cow<'j, str>, JoseError> {
    value.as_str().ok_or(JoseError::Malformed(rule))
}

/// RFC 8725 §3.10: `kid` is untrusted. Here it can be a key for a look-up and nothing else, but it ends
/// up in answers and logs, so it is kept short and printable.
pub(super) fn key_id(value: Value<'_>) -> Result<Arc<str>, JoseError> {
    let kid = string(value, "the kid is not a string")?;
    if kid.len() > KID_BYTES_MAX {
        return Err(JoseError::TooLarge {
            what: "kid",
            limit_bytes: KID_BYTES_MAX,
        });
    }
    if kid.chars().any(char::is_control) {
        return Err(JoseError::Malformed("the kid has a control character"));
    }
    Ok(Arc::from(kid))
}

/// A media type without the prefix `application/` that RFC 7515 §4.1.9 lets `typ` omit. It may be omitted
/// only where no other `/` remains.
fn short_media_type(media_type: &str) -> &str {
    const PREFIX: &str = "application/";
    match media_type.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) && !rest.contains('/') => rest,
        _ => media_type,
    }
}

fn in_header(rule: &'static str) -> &'static str {
    match rule {
        base64url::IMPOSSIBLE_LENGTH => "the header has an impossible base64url length",
        base64url::TRAILING_BITS => "the header has base64url trailing bits that are not zero",
        _ => "the header is not base64url",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Header, JoseError> {
        let segment = base64url::encode_string(json.as_bytes());
        Header::parse_segment(segment.as_bytes())
    }

    fn malformed(json: &str) -> bool {
        matches!(parse(json), Err(JoseError::Malformed(_)))
    }

    #[test]
    fn a_plain_header_is_read() {
        let header = parse(r#"{"alg":"ES256","typ":"at+jwt","kid":"k\u0031","x":{"y":[1]}}"#);
        let expected = Header {
            alg: Algorithm::Es256,
            kid: Some("k1".into()),
            typ: Some("at+jwt".into()),
        };
        assert_eq!(header, Ok(expected));
        for alg in Algorithm::ALL {
            let header = parse(&format!("{{\"alg\":\"{alg}\"}}")).expect("a header of alg alone");
            assert_eq!((header.alg, header.kid, header.typ), (alg, None, None));
        }
    }

    /// Checks V-12, V-13.
    #[test]
    fn alg_is_compared_case_sensitively_and_none_is_none_of_them() {
        for alg in [
            "none",
            "None",
            "NONE",
            "noNE",
            "",
            "HS256 ",
            "hs256",
            "Es256",
            "ES256k",
            "eddsa",
            "RS1",
            "RSA-OAEP",
            "dir",
            "ES256\\u0000",
            "Ed448",
            "HS256,RS256",
        ] {
            let header = parse(&format!("{{\"alg\":\"{alg}\"}}"));
            assert_eq!(header, Err(JoseError::UnsupportedAlg), "{alg}");
        }
        for json in [
            "{}",
            r#"{"alg":null}"#,
            r#"{"alg":["HS256"]}"#,
            r#"{"alg":256}"#,
            r#"{"ALG":"HS256"}"#,
        ] {
            assert!(malformed(json), "{json}");
        }
    }

    /// Checks V-05, V-06.
    #[test]
    fn a_header_is_one_strict_object() {
        for json in [
            "",
            "[]",
            "\"HS256\"",
            "null",
            "{\"alg\":\"HS256\"",
            "{\"alg\":\"HS256\"}{}",
            "\u{feff}{\"alg\":\"HS256\"}",
            r#"{"alg":"HS256","alg":"HS256"}"#,
            r#"{"alg":"HS256","\u0061lg":"none"}"#,
            r#"{"alg":"HS256","x":{"y":1,"y":2}}"#,
        ] {
            assert!(malformed(json), "{json}");
        }
        let header = Header::parse(b"{\"alg\":\"HS256\",\"kid\":\"\xff\"}");
        assert_eq!(header, Err(JoseError::Malformed("JSON is not UTF-8")));
    }

    /// Checks V-07.
    #[test]
    fn a_long_header_is_refused_before_it_is_decoded() {
        let too_large = Err(JoseError::TooLarge {
            what: "header",
            limit_bytes: HEADER_BYTES_MAX,
        });
        assert_eq!(Header::parse_segment(&vec![b'!'; 1 << 20]), too_large);
        let padded = |bytes: usize| {
            let start = r#"{"alg":"HS256"}"#;
            format!("{start}{}", " ".repeat(bytes - start.len()))
        };
        assert!(parse(&padded(HEADER_BYTES_MAX)).is_ok());
        assert_eq!(parse(&padded(HEADER_BYTES_MAX + 1)), too_large);
        let nested = format!(
            "{{\"alg\":\"HS256\",\"x\":{}{}}}",
            "[".repeat(2000),
            "]".repeat(2000)
        );
        assert_eq!(
            parse(&nested),
            Err(JoseError::Malformed("JSON is nested too deeply"))
        );
    }

    /// Checks V-08.
    #[test]
    fn every_crit_is_refused() {
        for crit in [
            r#"["exp"]"#,
            r#"["b64"]"#,
            "[]",
            r#"["x","x"]"#,
            r#"["alg"]"#,
            r#"["absent"]"#,
            "null",
            r#""exp""#,
            "1",
            "{}",
            "[1]",
        ] {
            let header = parse(&format!(
                "{{\"alg\":\"ES256\",\"exp\":1,\"x\":1,\"crit\":{crit}}}"
            ));
            assert_eq!(header, Err(JoseError::UnknownCritical), "{crit}");
        }
        // The name counts, however it is spelled.
        let header = parse(r#"{"alg":"ES256","\u0063rit":["exp"],"exp":1}"#);
        assert_eq!(header, Err(JoseError::UnknownCritical));
    }

    /// Checks V-09.
    #[test]
    fn unencoded_payloads_are_refused() {
        // RFC 7797 §4.2's header, and its harmless-looking opposite.
        let rfc_7797 = r#"{"alg":"HS256","b64":false,"crit":["b64"]}"#;
        assert_eq!(
            parse(rfc_7797),
            Err(JoseError::Malformed(
                "the header has b64 (RFC 7797), which a JWT must not"
            ))
        );
        assert!(malformed(r#"{"alg":"HS256","b64":true}"#));
    }

    /// Checks V-10.
    #[test]
    fn compression_and_encryption_members_are_refused() {
        assert!(malformed(r#"{"alg":"HS256","zip":"DEF"}"#));
        assert!(malformed(r#"{"alg":"HS256","enc":"A128GCM"}"#));
    }

    /// Checks V-16.
    #[test]
    fn members_that_bring_keys_change_nothing() {
        let plain = parse(r#"{"alg":"ES256","kid":"a"}"#).expect("a header");
        for member in [
            r#""jku":"https://attacker.example/keys""#,
            r#""x5u":"file:///etc/passwd""#,
            r#""jwk":{"kty":"oct","k":"AAAA"}"#,
            r#""x5c":["MIIB"]"#,
            r#""x5t":"a","x5t#S256":"b""#,
        ] {
            let header = parse(&format!("{{\"alg\":\"ES256\",\"kid\":\"a\",{member}}}"));
            assert_eq!(header.as_ref(), Ok(&plain), "{member}");
        }
        for member in [
            r#""jku":1"#,
            r#""x5u":[]"#,
            r#""jwk":"{}""#,
            r#""x5c":"MIIB""#,
            r#""x5c":[1]"#,
            r#""x5t":{}"#,
        ] {
            assert!(
                malformed(&format!("{{\"alg\":\"ES256\",{member}}}")),
                "{member}"
            );
        }
    }

    /// Checks V-18.
    #[test]
    fn kid_is_short_and_printable() {
        let with = |kid: &str| parse(&format!("{{\"alg\":\"ES256\",\"kid\":\"{kid}\"}}"));
        assert!(with(&"k".repeat(KID_BYTES_MAX)).is_ok());
        let too_large = Err(JoseError::TooLarge {
            what: "kid",
            limit_bytes: KID_BYTES_MAX,
        });
        assert_eq!(with(&"k".repeat(KID_BYTES_MAX + 1)), too_large);
        for kid in ["a\\nb", "a\\u0000", "\\u001b[2J", "\u{7f}", "\u{9b}"] {
            assert_eq!(
                with(kid),
                Err(JoseError::Malformed("the kid has a control character")),
                "{kid}"
            );
        }
        for json in [
            r#"{"alg":"ES256","kid":1}"#,
            r#"{"alg":"ES256","kid":null}"#,
        ] {
            assert!(malformed(json));
        }
        // Paths and queries are strings like any other, because a kid is only ever compared.
        assert!(with("../../dev/null").is_ok());
        assert!(with("' OR 1=1 --").is_ok());
    }

    /// Checks V-32.
    #[test]
    fn typ_is_compared_as_a_media_type() {
        let header = |typ: &str| {
            parse(&format!("{{\"alg\":\"ES256\",\"typ\":\"{typ}\"}}")).expect("a header")
        };
        for (typ, expected) in [
            ("at+jwt", "at+jwt"),
            ("AT+JWT", "at+jwt"),
            ("application/at+jwt", "at+jwt"),
            ("at+jwt", "application/at+jwt"),
            ("Application/At+Jwt", "at+jwt"),
            ("JWT", "jwt"),
            ("text/plain", "TEXT/plain"),
        ] {
            assert!(header(typ).typ_is(expected), "{typ} is {expected}");
        }
        for (typ, expected) in [
            ("JWT", "at+jwt"),
            ("at+jwt ", "at+jwt"),
            ("text/at+jwt", "at+jwt"),
            ("application/application/at+jwt", "at+jwt"),
            ("application/x/y", "x/y"),
            ("", "at+jwt"),
        ] {
            assert!(!header(typ).typ_is(expected), "{typ} is not {expected}");
        }
        assert!(!parse(r#"{"alg":"ES256"}"#).expect("a header").typ_is(""));
        assert!(malformed(r#"{"alg":"ES256","typ":["at+jwt"]}"#));
        assert!(malformed(r#"{"alg":"ES256","cty":1}"#));
    }
}

//! The JOSE header (RFC 7515 §4): what names the key and how the token must be read.
//!
//! It refuses to be told where keys are: `jwk`, `jku`, `x5u` and `x5c` are checked for their type and
//! then dropped, because a token does not get to choose what it is verified with (RFC 8725 §3.10).

use super::{Algorithm, JoseError};
use crate::encoding::base64url;
use crate::encoding::json::{Kind, Object, Value};
use crate::limits::{HEADER_BYTES_MAX, KID_BYTES_MAX};
use std::sync::Arc;

#[cfg(test)]
mod tests;

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

pub(super) fn string<'j>(
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
pub(super) fn short_media_type(media_type: &str) -> &str {
    const PREFIX: &str = "application/";
    match media_type.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) && !rest.contains('/') => rest,
        _ => media_type,
    }
}

pub(super) fn in_header(rule: &'static str) -> &'static str {
    match rule {
        base64url::IMPOSSIBLE_LENGTH => "the header has an impossible base64url length",
        base64url::TRAILING_BITS => "the header has base64url trailing bits that are not zero",
        _ => "the header is not base64url",
    }
}

//! The JOSE header of a JWE (RFC 7516 §4): how the content's key comes to us, and how the content is encrypted.
//!
//! What it refuses to be told is the same as in a JWS: no member brings or names a key. Claims that are repeated in the
//! header (RFC 7519 §5.3) are not looked at; what counts is signed.

use crate::crypto::encryption::{AgreementCurve, AgreementPoint};
use crate::encoding::base64url;
use crate::encoding::json::{Kind, Object, Value};
use crate::jose::header::{in_header, key_id, short_media_type, string};
use crate::jose::{ContentEncryption, JoseError, KeyManagement};
use crate::limits::HEADER_BYTES_MAX;
use std::sync::Arc;

/// A parsed protected header of a JWE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JweHeader {
    /// `alg`: offered, which says nothing about allowed.
    pub alg: KeyManagement,
    /// `enc`: the same.
    pub enc: ContentEncryption,
    /// `kid` of the key that it is encrypted to, bounded in length and free of control characters.
    pub kid: Option<Arc<str>>,
    /// `zip`: whether the plaintext is compressed (RFC 7516 §4.1.3), by DEFLATE, for there is nothing else.
    pub zip: bool,
    /// `epk`: the ephemeral public key (RFC 7518 §4.6.1.1), there where `alg` needs one.
    pub epk: Option<AgreementPoint>,
    /// `apu`, decoded; empty where it is absent.
    pub apu: Vec<u8>,
    /// `apv`, decoded; empty where it is absent.
    pub apv: Vec<u8>,
    cty: Option<Box<str>>,
}

impl JweHeader {
    /// Decodes and parses a header segment.
    ///
    /// # Errors
    /// [`JoseError`] for anything RFC 7516 §4 or RFC 8725 forbids: duplicate members, unknown `crit`, wrong member
    /// types; [`JoseError::UnsupportedAlg`] for an `alg` or `enc` that is not offered.
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
        let (mut alg, mut enc, mut kid, mut cty) = (None, None, None, None);
        let (mut zip, mut epk, mut critical) = (false, None, false);
        let (mut apu, mut apv) = (Vec::new(), Vec::new());
        for (name, value) in object.members() {
            match &*name {
                "alg" => alg = Some(string(value, "the header's alg is not a string")?),
                "enc" => enc = Some(string(value, "the header's enc is not a string")?),
                "kid" => kid = Some(key_id(value)?),
                "cty" => cty = Some(string(value, "the header's cty is not a string")?),
                "typ" => drop(string(value, "the header's typ is not a string")?),
                "zip" => {
                    // RFC 7516 §4.1.3: "DEF", and no other value is registered.
                    if string(value, "the header's zip is not a string")? != "DEF" {
                        return Err(JoseError::Malformed("the header's zip is not DEF"));
                    }
                    zip = true;
                }
                "epk" => epk = Some(value),
                "apu" => apu = party(value)?,
                "apv" => apv = party(value)?,
                // RFC 7516 §4.1.13: no extension is understood, and an empty or malformed list is forbidden.
                "crit" => critical = true,
                other => refuse_or_ignore(other, value)?,
            }
        }
        if critical {
            return Err(JoseError::UnknownCritical);
        }
        let alg = alg.ok_or(JoseError::Malformed("the header has no alg"))?;
        let enc = enc.ok_or(JoseError::Malformed("the header has no enc"))?;
        let alg = KeyManagement::from_name(&alg).ok_or(JoseError::UnsupportedAlg)?;
        let enc = ContentEncryption::from_name(&enc).ok_or(JoseError::UnsupportedAlg)?;
        let epk = match (alg.is_agreement(), epk) {
            (false, _) => None,
            (true, Some(value)) => Some(ephemeral(value)?),
            (true, None) => return Err(JoseError::Malformed("the header has no epk")),
        };
        Ok(Self {
            alg,
            enc,
            kid,
            zip,
            epk,
            apu,
            apv,
            cty: cty.map(Into::into),
        })
    }

    /// Whether the content is a token of its own.
    ///
    /// RFC 7519 §5.2: "In the case that nested signing or encryption is employed, this Header Parameter MUST be present;
    /// in this case, the value of this parameter MUST be "JWT"". Compared as a media type.
    #[must_use]
    pub fn content_is_jwt(&self) -> bool {
        self.cty
            .as_deref()
            .is_some_and(|cty| short_media_type(cty).eq_ignore_ascii_case("JWT"))
    }
}

/// As in a JWS, but for the members that only a JWE has.
fn refuse_or_ignore(name: &str, value: Value<'_>) -> Result<(), JoseError> {
    let fits = match name {
        // RFC 7797 §7: JWTs MUST NOT use b64.
        "b64" => {
            return Err(JoseError::Malformed(
                "the header has b64 (RFC 7797), which a JWT must not",
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

fn party(value: Value<'_>) -> Result<Vec<u8>, JoseError> {
    const RULE: JoseError = JoseError::Malformed("the header's apu or apv is not base64url");
    let text = value.as_str().ok_or(RULE)?;
    base64url::decode_vec(text.as_bytes()).map_err(|_| RULE)
}

/// RFC 7518 §4.6.1.1: a JWK that has only public members. Whether the point is on its curve is found out where it is
/// used; points of other curves than the key's fail there too.
fn ephemeral(value: Value<'_>) -> Result<AgreementPoint, JoseError> {
    const RULE: JoseError =
        JoseError::Malformed("the header's epk is not a public key for agreement");
    let jwk = value.as_object().ok_or(RULE)?;
    let [kty, crv, x, y, d] = jwk.get_all(["kty", "crv", "x", "y", "d"]);
    if d.is_some() {
        return Err(JoseError::Malformed("the header's epk is private"));
    }
    let text =
        |value: Option<Value<'_>>| value.and_then(|value| Some(value.as_str()?.into_owned()));
    let (kty, crv) = (text(kty).ok_or(RULE)?, text(crv).ok_or(RULE)?);
    let curve = AgreementCurve::ALL
        .into_iter()
        .find(|curve| curve.name() == crv && curve.kty() == kty)
        .ok_or(RULE)?;
    let coordinate = |value: Option<Value<'_>>| {
        let text = text(value)?;
        base64url::decode_vec(text.as_bytes()).ok()
    };
    let x = coordinate(x).ok_or(RULE)?;
    let y = match curve {
        AgreementCurve::X25519 => None,
        _ => Some(coordinate(y).ok_or(RULE)?),
    };
    AgreementPoint::new(curve, &x, y.as_deref()).map_err(|_| RULE)
}

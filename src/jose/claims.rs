//! The JWT Claims Set (RFC 7519 §4), parsed strictly once and read in place.

use super::JoseError;
use std::borrow::Cow;

/// Seconds since the epoch (RFC 7519 §2). Fractions are accepted as the RFC allows and rounded towards
/// the safe side by whoever compares; here they are kept as floor and ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumericDate {
    /// The greatest whole second not after the date.
    pub floor: i64,
    /// The least whole second not before the date.
    pub ceil: i64,
}

/// A claims set over the payload bytes it was parsed from.
pub struct Claims<'b> {
    /// `iss` (RFC 7519 §4.1.1).
    pub iss: Option<Cow<'b, str>>,
    /// `sub` (§4.1.2).
    pub sub: Option<Cow<'b, str>>,
    /// `exp` (§4.1.4).
    pub exp: Option<NumericDate>,
    /// `nbf` (§4.1.5).
    pub nbf: Option<NumericDate>,
    /// `iat` (§4.1.6).
    pub iat: Option<NumericDate>,
    /// `jti` (§4.1.7).
    pub jti: Option<Cow<'b, str>>,
    // helper: aud, the tape of all members, the payload
}

impl<'b> Claims<'b> {
    /// Parses a decoded payload: one JSON object, strictly, every registered claim of its right type.
    ///
    /// # Errors
    /// [`JoseError::Malformed`] for JSON that is not a strict object, [`JoseError::InvalidClaim`] for a
    /// registered claim of the wrong type.
    pub fn parse(_payload: &'b [u8]) -> Result<Self, JoseError> {
        todo!()
    }
    /// The audiences of `aud`, string or array alike (§4.1.3); empty when absent.
    pub fn audiences(&self) -> impl Iterator<Item = Cow<'b, str>> {
        std::iter::empty()
    }
    /// Whether `aud` is present.
    #[must_use]
    pub fn has_audience(&self) -> bool {
        todo!()
    }
    /// The raw JSON text of a top-level member.
    #[must_use]
    pub fn member(&self, _name: &str) -> Option<&'b [u8]> {
        todo!()
    }
    /// The whole claims set as one line of JSON text, as the issuer wrote it but for line breaks between
    /// tokens.
    #[must_use]
    pub fn to_json(&self) -> Box<[u8]> {
        todo!()
    }
    /// Only the named members, in the order they stand in the token, as one JSON object.
    #[must_use]
    pub fn project(&self, _names: &[&str]) -> Box<[u8]> {
        todo!()
    }
}

//! The JOSE header (RFC 7515 §4): what names the key and how the token must be read.

use super::{Algorithm, JoseError};
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
    pub fn parse_segment(_segment: &[u8]) -> Result<Self, JoseError> {
        todo!()
    }
    /// Compares `typ` as a media type: case-insensitively, `application/` implied where there is no `/`
    /// (RFC 7515 §4.1.9).
    #[must_use]
    pub fn typ_is(&self, _expected: &str) -> bool {
        todo!()
    }
}

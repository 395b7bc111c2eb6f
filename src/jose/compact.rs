//! JWS Compact Serialization (RFC 7515 §7.1): three base64url segments, and nothing else.

use super::JoseError;

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
    /// # Errors
    /// [`JoseError::Malformed`] or [`JoseError::TooLarge`] (`token_bytes_max` is the caller's limit).
    pub fn parse(_token: &'t [u8], _token_bytes_max: usize) -> Result<Self, JoseError> {
        todo!()
    }
    /// The protected header's base64url text. Tokens of one key share it byte for byte, so it is a good
    /// memo key.
    #[must_use]
    pub fn header_segment(&self) -> &'t [u8] {
        &self.token[..self.header_end]
    }
    /// The payload's base64url text.
    #[must_use]
    pub fn payload_segment(&self) -> &'t [u8] {
        &self.token[self.header_end + 1..self.payload_end]
    }
    /// The signature's base64url text.
    #[must_use]
    pub fn signature_segment(&self) -> &'t [u8] {
        &self.token[self.payload_end + 1..]
    }
    /// `ASCII(BASE64URL(header) || '.' || BASE64URL(payload))`: the bytes that were signed (RFC 7515 §5.1).
    #[must_use]
    pub fn signing_input(&self) -> &'t [u8] {
        &self.token[..self.payload_end]
    }
    /// Appends the decoded signature to `out`.
    ///
    /// # Errors
    /// [`JoseError::Malformed`] where the base64url is not canonical.
    pub fn decode_signature(&self, _out: &mut Vec<u8>) -> Result<(), JoseError> {
        todo!()
    }
    /// Appends the decoded payload to `out`.
    ///
    /// # Errors
    /// [`JoseError::Malformed`] where the base64url is not canonical.
    pub fn decode_payload(&self, _out: &mut Vec<u8>) -> Result<(), JoseError> {
        todo!()
    }
}

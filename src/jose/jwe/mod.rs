//! JWE Compact Serialization (RFC 7516 §7.1): five base64url segments, and nothing else.
//!
//! The JSON serializations (§7.2) are refused by their first byte. Every length is held against its limit before
//! anything is decoded.

mod header;
#[cfg(test)]
mod tests;

pub use header::JweHeader;

use super::JoseError;
use crate::encoding::base64url;
use crate::limits::{ENCRYPTED_KEY_BYTES_MAX, HEADER_BYTES_MAX, IV_BYTES_MAX, TAG_BYTES_MAX};
use std::ops::Range;

/// A token cut into its five segments, checked for alphabet, count and length; nothing is decoded yet.
#[derive(Clone)]
pub struct CompactJwe<'t> {
    token: &'t [u8],
    segments: [Range<usize>; 5],
}

/// What a token holds besides its header, decoded.
#[derive(Debug)]
pub struct JweParts {
    /// JWE Encrypted Key.
    pub encrypted_key: Vec<u8>,
    /// JWE Initialization Vector.
    pub iv: Vec<u8>,
    /// JWE Ciphertext.
    pub ciphertext: Vec<u8>,
    /// JWE Authentication Tag.
    pub tag: Vec<u8>,
}

impl<'t> CompactJwe<'t> {
    /// Whether a token has the five segments by which RFC 7516 §9 tells a JWE from a JWS, whatever is in them.
    #[must_use]
    pub fn is_one(token: &[u8]) -> bool {
        token.iter().filter(|&&byte| byte == b'.').count() == 4
    }

    /// Cuts a token into segments.
    ///
    /// # Errors
    /// [`JoseError::Malformed`] or [`JoseError::TooLarge`] (`token_bytes_max` is the caller's limit).
    pub fn parse(token: &'t [u8], token_bytes_max: usize) -> Result<Self, JoseError> {
        if token.len() > token_bytes_max {
            return Err(JoseError::TooLarge {
                what: "token",
                limit_bytes: token_bytes_max,
            });
        }
        let mut segments = [const { 0..0 }; 5];
        let mut start = 0;
        for (index, segment) in segments.iter_mut().enumerate() {
            let rest = token.get(start..).unwrap_or_default();
            let end = start + base64url::alphabet_len(rest);
            let ends_right = match index {
                4 => end == token.len(),
                _ => token.get(end) == Some(&b'.'),
            };
            if !ends_right {
                return Err(JoseError::Malformed(
                    "the token is not five segments of base64url",
                ));
            }
            *segment = start..end;
            start = end + 1;
        }
        let jwe = Self { token, segments };
        let limits = [
            ("header", HEADER_BYTES_MAX),
            ("encrypted key", ENCRYPTED_KEY_BYTES_MAX),
            ("initialization vector", IV_BYTES_MAX),
            ("ciphertext", token_bytes_max),
            ("authentication tag", TAG_BYTES_MAX),
        ];
        for (index, (what, limit_bytes)) in limits.into_iter().enumerate() {
            if base64url::decoded_len(jwe.segment(index).len()) > limit_bytes {
                return Err(JoseError::TooLarge { what, limit_bytes });
            }
        }
        for (index, rule) in [
            (0, "the header segment is empty"),
            (2, "the initialization vector is empty"),
            (3, "the ciphertext is empty"),
            (4, "the authentication tag is empty"),
        ] {
            if jwe.segment(index).is_empty() {
                return Err(JoseError::Malformed(rule));
            }
        }
        Ok(jwe)
    }

    /// `ASCII(BASE64URL(UTF8(JWE Protected Header)))`: the header's text, which is also what is authenticated beside
    /// the content (RFC 7516 §5.1, step 14).
    #[must_use]
    pub fn header_segment(&self) -> &'t [u8] {
        self.segment(0)
    }

    /// Length of the encrypted key, in bytes.
    #[must_use]
    pub fn encrypted_key_bytes(&self) -> usize {
        base64url::decoded_len(self.segment(1).len())
    }

    /// Decodes all but the header.
    ///
    /// # Errors
    /// [`JoseError::Malformed`] where the base64url is not canonical.
    pub fn decode(&self) -> Result<JweParts, JoseError> {
        let decode = |index, rule| {
            base64url::decode_vec(self.segment(index)).map_err(|_| JoseError::Malformed(rule))
        };
        Ok(JweParts {
            encrypted_key: decode(1, "the encrypted key is not base64url")?,
            iv: decode(2, "the initialization vector is not base64url")?,
            ciphertext: decode(3, "the ciphertext is not base64url")?,
            tag: decode(4, "the authentication tag is not base64url")?,
        })
    }

    fn segment(&self, index: usize) -> &'t [u8] {
        let range = self.segments.get(index).cloned().unwrap_or_default();
        self.token.get(range).unwrap_or_default()
    }
}

//! JWK Sets (RFC 7517 §5): one bad key never spoils its set.

use super::{JoseError, Jwk};
use crate::encoding::json::{Object, Value};
use crate::limits::{JWKS_BYTES_MAX, JWKS_KEYS_MAX};

/// A key of a set that was left out, and why. One bad key never spoils its set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its position in `keys`.
    pub index: usize,
    /// Its `kid`, when that could be read.
    pub kid: Option<String>,
    /// Why, without its material.
    pub why: String,
}

/// A JWK Set (RFC 7517 §5). Keys of one `kid` are all kept: which of them fits a token is not decided
/// here.
#[derive(Debug)]
pub struct JwkSet {
    /// The keys that could be read.
    pub keys: Vec<Jwk>,
    /// Those that could not.
    pub skipped: Vec<Skipped>,
}

impl JwkSet {
    /// Parses a JWK Set document.
    ///
    /// # Errors
    /// Only where the document is no JWK Set at all: not JSON, no `keys` array, too large.
    pub fn parse(json: &[u8]) -> Result<Self, JoseError> {
        if json.len() > JWKS_BYTES_MAX {
            return Err(JoseError::TooLarge {
                what: "JWK Set",
                limit_bytes: JWKS_BYTES_MAX,
            });
        }
        let object = Object::parse(json).map_err(|error| JoseError::Malformed(error.rule))?;
        let keys = object
            .get("keys")
            .ok_or(JoseError::Malformed("the JWK Set has no member keys"))?
            .as_array()
            .ok_or(JoseError::Malformed("the JWK Set's keys is not an array"))?;
        let mut set = Self {
            keys: Vec::new(),
            skipped: Vec::new(),
        };
        for (index, value) in keys.enumerate() {
            if index >= JWKS_KEYS_MAX {
                return Err(JoseError::Malformed("the JWK Set has too many keys"));
            }
            set.add(index, value);
        }
        Ok(set)
    }

    fn add(&mut self, index: usize, value: Value<'_>) {
        let object = value.as_object();
        let key = match &object {
            Some(object) => Jwk::from_object(object),
            None => Err("it is not a JSON object"),
        };
        match key {
            Ok(key) => self.keys.push(key),
            Err(why) => self.skipped.push(Skipped {
                index,
                kid: object.as_ref().and_then(readable_kid),
                why: why.to_owned(),
            }),
        }
    }
}

/// A `kid` fit for a message, even where the rest of the key is not.
fn readable_kid(object: &Object<'_>) -> Option<String> {
    let kid = super::key_id(object.get("kid")?).ok()?;
    Some(kid.to_string())
}

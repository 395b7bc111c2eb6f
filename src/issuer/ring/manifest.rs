//! A ring's manifest: one JSON document, which holds nothing secret. Whoever verifies reads this file and no
//! other, so that a verifier needs no access to private keys.

use super::key::{PrivatePart, Retiring, RingKey, algorithm_of};
use super::{RING_SECONDS_MAX, Ring, RingError, Sealed, ShortLives, Terms};
use crate::jose::Jwk;
use crate::limits::JWKS_BYTES_MAX;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The only version there is.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    version: u32,
    publish_seconds: i64,
    lifetime_seconds_max: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<Sealed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    short_lifetimes: Option<Short>,
    keys: Vec<Key>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Short {
    seconds: i64,
    until: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    published_at: i64,
    signs_from: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    signs_until: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<i64>,
    private: Private,
    public: Value,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Private {
    File(Box<str>),
    Pkcs11(Box<str>),
    Erased,
}

impl Ring {
    /// Reads a manifest.
    ///
    /// # Errors
    /// [`RingError::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, RingError> {
        let malformed = |why: &str| RingError::Malformed(why.to_owned());
        if bytes.len() > JWKS_BYTES_MAX {
            return Err(malformed("it is too large"));
        }
        let manifest: Manifest = serde_json::from_slice(bytes)
            .map_err(|error| RingError::Malformed(error.to_string()))?;
        if manifest.version != VERSION {
            return Err(malformed("its version is another than 1"));
        }
        let terms = Terms {
            publish_seconds: manifest.publish_seconds,
            lifetime_seconds_max: manifest.lifetime_seconds_max,
        };
        terms.check().map_err(malformed)?;
        let mut ring = Self::new(terms, manifest.sealed);
        ring.short_lives = manifest.short_lifetimes.map(|short| ShortLives {
            seconds: short.seconds,
            until: short.until,
        });
        for (index, key) in manifest.keys.into_iter().enumerate() {
            let key = key
                .check()
                .map_err(|why| RingError::Malformed(format!("key {index}: {why}")))?;
            if ring.key(&key.kid).is_ok() {
                return Err(RingError::Malformed(format!(
                    "key {index}: its kid is another's as well"
                )));
            }
            ring.keys.push(key);
        }
        Ok(ring)
    }

    /// The manifest, for people too.
    #[must_use]
    pub fn to_json(&self) -> String {
        let manifest = Manifest {
            version: VERSION,
            publish_seconds: self.terms.publish_seconds,
            lifetime_seconds_max: self.terms.lifetime_seconds_max,
            sealed: self.sealed,
            short_lifetimes: self.short_lives.map(|short| Short {
                seconds: short.seconds,
                until: short.until,
            }),
            keys: self.keys.iter().map(Key::of).collect(),
        };
        let mut json =
            serde_json::to_string_pretty(&manifest).expect("strings and numbers have a JSON form");
        json.push('\n');
        json
    }
}

impl Terms {
    /// Both within reason.
    ///
    /// # Errors
    /// Which is not.
    pub fn check(&self) -> Result<(), &'static str> {
        if !(0..=RING_SECONDS_MAX).contains(&self.publish_seconds) {
            return Err("publish_seconds is no time up to a year");
        }
        if !(1..=RING_SECONDS_MAX).contains(&self.lifetime_seconds_max) {
            return Err("lifetime_seconds_max is no time up to a year");
        }
        Ok(())
    }
}

impl Key {
    fn of(key: &RingKey) -> Self {
        Self {
            published_at: key.published_at,
            signs_from: key.signs_from,
            signs_until: key.retires.map(|end| end.signs_until),
            removed_at: key.retires.map(|end| end.removed_at),
            revoked_at: key.revoked_at,
            private: match &key.private {
                PrivatePart::File(name) => Private::File(name.clone()),
                PrivatePart::Pkcs11(uri) => Private::Pkcs11(uri.clone()),
                PrivatePart::Erased => Private::Erased,
            },
            public: serde_json::from_str(&key.public_jwk).expect("it was read as a JWK"),
        }
    }

    fn check(self) -> Result<RingKey, String> {
        let public_jwk = self.public.to_string();
        let jwk = Jwk::parse(public_jwk.as_bytes()).map_err(|error| error.to_string())?;
        let retires = match (self.signs_until, self.removed_at) {
            (None, None) => None,
            (Some(signs_until), Some(removed_at)) if signs_until <= removed_at => Some(Retiring {
                signs_until,
                removed_at,
            }),
            _ => return Err("signs_until and removed_at do not fit together".to_owned()),
        };
        if self.published_at > self.signs_from {
            return Err("it would sign before it is published".to_owned());
        }
        let private = match self.private {
            // It is joined to the folder's path, and must not lead elsewhere.
            Private::File(name) if !is_plain(&name) => {
                return Err("its file is not one of the ring's folder".to_owned());
            }
            Private::File(name) => PrivatePart::File(name),
            Private::Pkcs11(uri) => PrivatePart::Pkcs11(uri),
            Private::Erased => PrivatePart::Erased,
        };
        Ok(RingKey {
            kid: jwk.kid.as_deref().unwrap_or_default().into(),
            algorithm: algorithm_of(&jwk)?,
            public_jwk: public_jwk.into(),
            private,
            published_at: self.published_at,
            signs_from: self.signs_from,
            retires,
            revoked_at: self.revoked_at,
        })
    }
}

/// A name of one part: letters, digits, dashes, underscores and inner dots.
fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty() && name.len() <= 128 && !name.starts_with('.') && name.bytes().all(plain)
}

//! An issuer's keys out of a key ring on this host. Only the manifest is read, which holds public halves and
//! times; private keys are no business of whoever verifies.
#![forbid(unsafe_code)]

use super::source::{FileFault, FileKeys};
use crate::clock::Clock;
use crate::issuer::ring::Ring;
use crate::jose::JwkSet;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// One for the process, anchored when it began: a wall clock that is set forward by mistake must not take keys out
/// before their time.
static CLOCK: LazyLock<Clock> = LazyLock::new(Clock::system);

/// The keys that a ring publishes at this moment. They change with time as well as with the file, so what tells
/// them apart is the set itself.
pub(super) fn published(manifest: &[u8]) -> Result<FileKeys, FileFault> {
    published_at(manifest, CLOCK.now().earliest)
}

fn published_at(manifest: &[u8], now: i64) -> Result<FileKeys, FileFault> {
    let malformed = |why: String| FileFault::Malformed(why);
    let ring = Ring::parse(manifest).map_err(|error| malformed(error.to_string()))?;
    let set = ring.public_jwks(now);
    let jwks = JwkSet::parse(set.as_bytes()).map_err(|error| malformed(error.to_string()))?;
    Ok(FileKeys {
        jwks,
        fingerprint: Sha256::digest(&set).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::SigningKey;
    use crate::issuer::ring::{NewKey, PrivatePart, Terms};
    use crate::jose::Algorithm;

    #[test]
    fn a_key_leaves_the_set_when_its_time_is_over_though_the_file_stays() {
        let mut ring = Ring::new(
            Terms {
                publish_seconds: 60,
                lifetime_seconds_max: 60,
            },
            None,
        );
        for kid in ["a", "b"] {
            let key = SigningKey::generate(Algorithm::EdDsa, None)
                .and_then(|key| key.with_kid(Some(kid)));
            let new = NewKey {
                public_jwk: key.expect("a key").public_jwk().expect("a pair"),
                private: PrivatePart::Erased,
            };
            ring.rotate(new, 1000).expect("rotated");
        }
        let manifest = ring.to_json();
        let at = |now| published_at(manifest.as_bytes(), now).expect("a ring");
        let over = ring.keys()[0].removed_at().expect("it retires");
        assert_eq!(at(1000).jwks.keys.len(), 2);
        assert_eq!(at(1000).fingerprint, at(over - 1).fingerprint);
        assert_eq!(at(over).jwks.keys.len(), 1);
        assert_ne!(at(1000).fingerprint, at(over).fingerprint);
        assert!(published_at(&manifest.as_bytes()[1..], 1000).is_err());
    }
}

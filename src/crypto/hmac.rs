//! HMAC with SHA-2 (RFC 2104, RFC 7518 §3.2).
//!
//! Refuses secrets shorter than the digest. Compares tags in constant time.
#![forbid(unsafe_code)]

use super::batch::{Check, Outcome, Run};
use super::{KeyError, Scheme};
use aws_lc_rs::hmac;

/// A secret with its padded forms already absorbed.
pub(super) struct Secret(Box<hmac::Key>);

impl Secret {
    /// Absorbs a secret for one of the HMAC schemes.
    pub(super) fn new(scheme: Scheme, secret: &[u8]) -> Result<Self, KeyError> {
        let algorithm = match scheme {
            Scheme::HmacSha256 => hmac::HMAC_SHA256,
            Scheme::HmacSha384 => hmac::HMAC_SHA384,
            Scheme::HmacSha512 => hmac::HMAC_SHA512,
            _ => return Err(KeyError::WrongKind),
        };
        let required_bytes = algorithm.tag_len();
        // RFC 7518 §3.2: "A key of the same size as the hash output (for instance, 256 bits for "HS256")
        // or larger MUST be used with this algorithm."
        if secret.len() < required_bytes {
            return Err(KeyError::SecretTooShort { required_bytes });
        }
        Ok(Self(Box::new(hmac::Key::new(algorithm, secret))))
    }

    fn verify(&self, message: &[u8], tag: &[u8]) -> Outcome {
        match hmac::verify(&self.0, message, tag) {
            Ok(()) => Outcome::Genuine,
            Err(_) => Outcome::Forged,
        }
    }
}

/// Checks a run of one HMAC scheme.
pub(super) fn verify_run(run: Run<'_, '_>) {
    run.each(|check: &Check<'_>| {
        check.secret().map_or(Outcome::Forged, |secret| {
            secret.verify(check.message, check.signature)
        })
    });
}

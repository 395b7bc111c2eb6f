//! Ed25519 (RFC 8032 §5.1, RFC 8037 §2): which public keys are accepted, and kernels for those that are used again
//! and again.
//!
//! Refuses encodings that are not canonical, that name no point, and points outside the subgroup of prime
//! order. Implementations disagree about signatures under such keys (ePrint 2020/1244), and no honest
//! generator makes them: refused here, no signature is left to disagree about.
//!
//! Signatures are checked without the cofactor: S below the group's order, and the encoding of
//! `[S]B - [k]A` equal to R byte for byte. A key is prepared once: a table of its multiples, which takes 384 KiB
//! and about two milliseconds, and is built only when its owner asks for it, never by a message. Its signatures
//! are then sums of table points, over eight vector lanes or over words of 64 bits.
//!
//! A kernel is not trusted to refuse: what it does not find genuine is asked of the reference again. And it
//! combines nothing: a finding stands for its signature alone.

mod edwards;
mod field;
#[cfg(target_arch = "x86_64")]
mod ifma;
#[cfg(not(target_arch = "x86_64"))]
#[path = "no_ifma.rs"]
mod ifma;
mod invert;
mod kernel;
mod lanes;
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "elsewhere only tests have lanes for it")
)]
mod limbs;
mod point;
mod recode;
mod run;
mod scalar;
mod table;
mod verify;

use super::KeyError;
use super::reference::PublicKey;
use aws_lc_rs::signature::{ED25519, ParsedPublicKey};
use point::Point;
pub(super) use run::{Prepared, find};

/// An Ed25519 signature is `R || S`, 32 bytes each (RFC 8032 §5.1.6).
const SIGNATURE_BYTES: usize = 64;

/// Parses a public key, for the reference and for the kernels.
pub(super) fn parse(encoding: &[u8]) -> Result<(PublicKey, Prepared), KeyError> {
    let encoding: &[u8; 32] = encoding.try_into().map_err(|_| KeyError::InvalidPoint)?;
    let point = Point::decode(encoding).ok_or(KeyError::InvalidPoint)?;
    if !point.is_of_prime_order() {
        return Err(KeyError::InvalidPoint);
    }
    let parsed = parse_below_policy(encoding)?;
    Ok((parsed, Prepared::new(*encoding, point)))
}

/// Parses a public key under no rule but aws-lc-rs' own, which looks at the length only.
fn parse_below_policy(encoding: &[u8; 32]) -> Result<PublicKey, KeyError> {
    let parsed = ParsedPublicKey::new(&ED25519, encoding).map_err(|_| KeyError::InvalidPoint)?;
    Ok(PublicKey::new(parsed, SIGNATURE_BYTES))
}

#[cfg(test)]
mod tests;

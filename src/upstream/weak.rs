//! Secrets that somebody else has as well: published ones, and ones that were never drawn at random.
//!
//! Whoever guesses an HMAC secret mints tokens (RFC 8725 §3.5). That a secret is long says nothing of how many could
//! have been drawn; what is refused here is what no generator of random secrets gives, not even once in a lifetime.
#![forbid(unsafe_code)]

use crate::encoding::hex;
use sha2::{Digest, Sha256};

/// Fewest different bytes: 32 random hexadecimal digits have fewer once in twenty million times, and 32 random bytes
/// never.
const DIFFERENT_MIN: usize = 8;

/// Secrets that stand in documents, by their SHA-256, so that they are not found here either: RFC 7515 §A.1 and
/// RFC 7520 §3.5, as octets and as the base64url that stands there, and the one that jwt.io fills in.
const PUBLISHED: [&str; 5] = [
    "c8ecc9361a05e285f04c26f9572131a6deab07e9e2b865053c6f75a4d8bd2b32",
    "8b1b17a9740c068accab5c3d0d652c8e3cc13206e70bb73b42ea41d4c2de3c12",
    "73ec74458059c70cae3f0ade8663fe0da1dc4b114ed8cdac75364140b4458a4c",
    "0330b11998cbc9abd5a585e755cb5df2f73f1a5632fdcc2abb19e05e3eceddb9",
    "465d9ad5d5528ebe287b5dce4fb51620833d09b290e49ddcc70ca6c4a0aea01b",
];

/// Why a secret is not one; `None` where nothing speaks against it.
pub(super) fn weakness(secret: &[u8]) -> Option<&'static str> {
    let mut seen = [false; 256];
    secret
        .iter()
        .for_each(|byte| seen[usize::from(*byte)] = true);
    if seen.iter().filter(|seen| **seen).count() < DIFFERENT_MIN {
        return Some("is no secret: it has fewer than 8 different bytes");
    }
    let repeats = |period: usize| {
        secret
            .iter()
            .zip(secret.get(period..).unwrap_or_default())
            .all(|(byte, later)| byte == later)
    };
    // Four times the same is somebody's way to make a short one long enough.
    if (1..=secret.len() / 4).any(repeats) {
        return Some("is no secret: it is something short, repeated");
    }
    PUBLISHED
        .contains(&hex(&Sha256::digest(secret)).as_str())
        .then_some("is no secret: it stands in a document that everybody reads")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::base64url;

    /// Checks V-19.
    #[test]
    fn what_is_published_repeated_or_uniform_is_no_secret() {
        let rfc7515 = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let rfc7520 = "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg";
        let octets = |text: &str| base64url::decode_vec(text.as_bytes()).expect("base64url");
        for published in [
            octets(rfc7515),
            rfc7515.into(),
            octets(rfc7520),
            rfc7520.into(),
            b"a-string-secret-at-least-256-bits-long".to_vec(),
        ] {
            let why = weakness(&published).expect("everybody has it");
            assert!(why.contains("document"), "{why}");
        }
        for weak in [
            &[0; 32][..],
            &[b'a'; 64],
            b"changemechangemechangemechangeme",
            b"passwordpasswordpasswordpasswordpassword",
            b"01234567abcdef!?01234567abcdef!?01234567abcdef!?01234567abcdef!?",
        ] {
            assert!(weakness(weak).is_some(), "{}", weak.escape_ascii());
        }
    }

    #[test]
    fn what_a_generator_gives_is_taken() {
        for _ in 0..2000 {
            let mut octets = [0; 32];
            aws_lc_rs::rand::fill(&mut octets).expect("randomness");
            let text = base64url::encode_string(&octets);
            let digits: String = octets.iter().map(|byte| format!("{byte:02x}")).collect();
            for secret in [&octets[..], text.as_bytes(), digits.as_bytes()] {
                assert_eq!(weakness(secret), None);
            }
        }
    }
}

//! A key set as it lies in Redis: sealed by those who share a secret, so that nobody else's set is ever one of theirs,
//! whatever they can write there. What can still be done is to bring back an older one of the same issuer: sets are
//! numbered, and no host goes back.
#![forbid(unsafe_code)]

use crate::encoding::hex;
use crate::limits::JWKS_BYTES_MAX;
use crate::upstream::kept::line;
use crate::upstream::weak;
use aws_lc_rs::hmac;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What says that something else was meant by this secret.
const PURPOSE: &[u8] = b"jotd shared key set 1\n";

/// Fewest bytes of a secret: as many as the seal has (RFC 2104 §3).
const SECRET_BYTES_MIN: usize = 32;

/// Bytes of a mark: a seal in hexadecimal, with which a sealed set begins.
pub(in crate::upstream) const MARK_BYTES: usize = 64;

/// Room for what is said of the largest set.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The secrets of those who share. The first seals, and each opens, so that one can be exchanged for another.
pub struct Seal(Vec<hmac::Key>);

/// Secrets that are none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealFault {
    /// There is nothing there.
    #[error("holds no secret: one a line is read, of at least {SECRET_BYTES_MIN} bytes")]
    Empty,
    /// One could be guessed.
    #[error("line {0} has fewer than {SECRET_BYTES_MIN} bytes; run: openssl rand -hex 32")]
    Short(usize),
    /// One has been seen, or was never drawn at random.
    #[error("line {0} {1}")]
    Weak(usize, &'static str),
}

/// What is said of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::upstream) struct Head {
    /// Where it came from: the issuer's endpoint, as it is configured.
    pub(in crate::upstream) source: String,
    /// When the issuer was asked, in milliseconds since the epoch, or one more than the last set's: the larger of these.
    /// A set with a smaller one is older.
    pub(in crate::upstream) stamp: u64,
    /// When the issuer was asked by the clock of Redis, in milliseconds: the one clock that all hosts can read.
    pub(in crate::upstream) asked_at: u64,
    /// How long the issuer says the set stays good, in milliseconds.
    pub(in crate::upstream) fresh_ms: Option<u64>,
    /// The set's address and entity tag, for whoever asks next.
    pub(in crate::upstream) tag: Option<(String, String)>,
}

/// A set that one of those who share has sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::upstream) struct SharedSet {
    pub(in crate::upstream) head: Head,
    /// The set, byte for byte as the issuer sent it.
    pub(in crate::upstream) body: Bytes,
}

impl Seal {
    /// Reads secrets, one a line.
    ///
    /// # Errors
    /// Which line holds none, never what it holds.
    pub fn parse(text: &[u8]) -> Result<Self, SealFault> {
        let mut keys = Vec::new();
        for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let secret = line.trim_ascii();
            if secret.is_empty() {
                continue;
            }
            if secret.len() < SECRET_BYTES_MIN {
                return Err(SealFault::Short(number + 1));
            }
            if let Some(why) = weak::weakness(secret) {
                return Err(SealFault::Weak(number + 1, why));
            }
            keys.push(hmac::Key::new(hmac::HMAC_SHA256, secret));
        }
        if keys.is_empty() {
            return Err(SealFault::Empty);
        }
        Ok(Self(keys))
    }

    /// A set with its head, sealed.
    pub(in crate::upstream) fn close(&self, set: &SharedSet) -> Vec<u8> {
        let head = serde_json::to_vec(&set.head).expect("strings and numbers are always JSON");
        let sealed = [&head, &b"\n"[..], &set.body].concat();
        let first = self.0.first().expect("there is one, or this was not made");
        let mut text = hex(hmac::sign(first, &said(&sealed)).as_ref());
        text.push('\n');
        [text.as_bytes(), &sealed].concat()
    }

    /// Opens what lies under a source's name. `None` for what none of those who share has sealed, or not for this.
    pub(in crate::upstream) fn open(&self, bytes: &[u8], source: &str) -> Option<SharedSet> {
        if bytes.len() > MARK_BYTES + HEAD_BYTES_MAX + JWKS_BYTES_MAX {
            return None;
        }
        let (mark, sealed) = line(bytes)?;
        let tag = unmark(mark)?;
        let said = said(sealed);
        let is_ours = |key: &hmac::Key| hmac::verify(key, &said, &tag).is_ok();
        if !self.0.iter().any(is_ours) {
            return None;
        }
        let (head, body) = line(sealed)?;
        let head: Head = serde_json::from_slice(head).ok()?;
        (head.source == source).then(|| SharedSet {
            head,
            body: Bytes::copy_from_slice(body),
        })
    }
}

/// Says how many secrets there are, never what they are.
impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seal({})", self.0.len())
    }
}

fn said(sealed: &[u8]) -> Vec<u8> {
    [PURPOSE, sealed].concat()
}

fn unmark(mark: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(mark).ok()?;
    if text.len() != MARK_BYTES || !text.is_ascii() {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..MARK_BYTES).step_by(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "jwks https://idp.example/jwks.json";
    const OLD: &[u8] = b"9f1c3a7e5b2d4068cafe1234abcd5678";
    const NEW: &[u8] = b"0d1e2f3a4b5c6d7e8f90a1b2c3d4e5f6";

    fn seal(secrets: &[&[u8]]) -> Seal {
        Seal::parse(&secrets.join(&b'\n')).expect("secrets")
    }

    fn set() -> SharedSet {
        SharedSet {
            head: Head {
                source: SOURCE.to_owned(),
                stamp: 1_700_000_000_000,
                asked_at: 1_700_000_000_003,
                fresh_ms: Some(60_000),
                tag: None,
            },
            body: Bytes::from_static(b"{\n\"keys\":[]}"),
        }
    }

    #[test]
    fn what_was_sealed_is_opened_by_all_who_have_the_secret_and_nobody_else() {
        let sealed = seal(&[OLD]).close(&set());
        for opens in [seal(&[OLD]), seal(&[NEW, OLD])] {
            assert_eq!(opens.open(&sealed, SOURCE), Some(set()));
        }
        assert_eq!(seal(&[NEW]).open(&sealed, SOURCE), None);
        assert_eq!(
            seal(&[OLD]).open(&sealed, "jwks https://idp.example/other"),
            None,
            "another issuer's"
        );
    }

    #[test]
    fn no_byte_of_what_was_sealed_can_be_another() {
        let seal = seal(&[OLD]);
        let sealed = seal.close(&set());
        for at in 0..sealed.len() {
            for change in [1, 0x20, 0x80] {
                let mut other = sealed.clone();
                other[at] ^= change;
                let opened = seal.open(&other, SOURCE);
                // Hexadecimal is the same in either case.
                assert!(opened.is_none() || opened == Some(set()) && at < MARK_BYTES);
            }
            assert_eq!(seal.open(&sealed[..at], SOURCE), None);
        }
        assert_eq!(seal.open(&[&sealed[..], b" "].concat(), SOURCE), None);
    }

    #[test]
    fn what_is_no_secret_is_told_by_its_line() {
        assert_eq!(Seal::parse(b" \n\n").expect_err("empty"), SealFault::Empty);
        let short = [OLD, b"short"].join(&b'\n');
        assert_eq!(Seal::parse(&short).expect_err("short"), SealFault::Short(2));
        let weak = Seal::parse(&[b'x'; 40]).expect_err("weak").to_string();
        assert!(weak.contains("line 1 is no secret"), "{weak}");
        assert_eq!(format!("{:?}", seal(&[OLD, NEW])), "Seal(2)");
    }
}

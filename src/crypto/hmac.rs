//! HMAC with SHA-2 (RFC 2104, RFC 7518 §3.2): `H(K ^ opad || H(K ^ ipad || message))`.
//!
//! Refuses secrets shorter than the digest and tags of any other length than the digest's. Compares in
//! constant time. The two blocks that depend on the secret alone are absorbed once, and SHA-256 of many
//! messages runs in lanes, so that a check costs the message's own blocks and one more.
#![forbid(unsafe_code)]

use super::batch::{Check, Outcome, Run};
use super::sha2::{self, Kernel, Midstate};
use super::{KeyError, Scheme};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac};
use zeroize::Zeroizing;

/// A secret, absorbed.
pub(super) enum Secret {
    Sha256(Sha256Secret),
    /// SHA-384 and SHA-512, by aws-lc-rs.
    Other(Box<hmac::Key>),
}

/// SHA-256 states after `K ^ ipad` and `K ^ opad`.
pub(super) struct Sha256Secret {
    inner: Midstate,
    outer: Midstate,
}

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
        Ok(match scheme {
            Scheme::HmacSha256 => Self::Sha256(Sha256Secret::new(secret)),
            _ => Self::Other(Box::new(hmac::Key::new(algorithm, secret))),
        })
    }
}

impl Sha256Secret {
    fn new(secret: &[u8]) -> Self {
        const BLOCK_BYTES: usize = 64;
        let mut key = Zeroizing::new([0; BLOCK_BYTES]);
        // RFC 2104 §2: a key longer than a block is hashed first, a shorter one is filled up with zeros.
        if secret.len() > BLOCK_BYTES {
            let digest = digest::digest(&digest::SHA256, secret);
            key[..digest.as_ref().len()].copy_from_slice(digest.as_ref());
        } else {
            key[..secret.len()].copy_from_slice(secret);
        }
        let after_pad = |pad: u8| Midstate::after(&Zeroizing::new(key.map(|byte| byte ^ pad)));
        Self {
            inner: after_pad(0x36),
            outer: after_pad(0x5c),
        }
    }
}

/// Checks a run of one HMAC scheme.
pub(super) fn verify_run(scheme: Scheme, run: Run<'_, '_>) {
    match scheme {
        Scheme::HmacSha256 => verify_sha256(Kernel::best(), run),
        _ => run.each(|check| match check.key.secret() {
            Some(Secret::Other(key)) => {
                outcome(hmac::verify(key, check.message, check.signature).is_ok())
            }
            _ => Outcome::Forged,
        }),
    }
}

/// Checks a run of HMAC-SHA-256, in lanes where it fills them.
fn verify_sha256(kernel: Kernel, run: Run<'_, '_>) {
    for picks in run.picks.chunks(sha2::WINDOW) {
        if kernel.fills_lanes(picks.len()) {
            verify_side_by_side(kernel, run.checks, picks, run.outcomes);
        } else {
            let run = Run {
                picks,
                outcomes: &mut *run.outcomes,
                ..run
            };
            run.each(|check| match Job::new(check) {
                Some(job) => job.verify(),
                None => Outcome::Forged,
            });
        }
    }
}

/// Checks up to [`sha2::WINDOW`] picks: all inner digests, then all outer ones.
fn verify_side_by_side(
    kernel: Kernel,
    checks: &[Check<'_>],
    picks: &[u8],
    outcomes: &mut [Outcome],
) {
    let mut jobs = [None; sha2::WINDOW];
    let mut count = 0;
    for &pick in picks {
        let position = usize::from(pick);
        // A check that is no job keeps the refusal its outcome began with.
        if let Some(job) = checks.get(position).and_then(Job::new) {
            jobs[count] = Some((position, job));
            count += 1;
        }
    }
    let job = |index: usize| jobs[index].expect("jobs are filled up to the count");
    let mut inner = [[0; DIGEST_BYTES]; sha2::WINDOW];
    let mut tags = [[0; DIGEST_BYTES]; sha2::WINDOW];
    let each = |index| (&job(index).1.secret.inner, &[], job(index).1.message);
    sha2::digest_window(kernel, each, &mut inner[..count]);
    let each = |index| (&job(index).1.secret.outer, &inner[index], &[][..]);
    sha2::digest_window(kernel, each, &mut tags[..count]);
    for (index, tag) in tags[..count].iter().enumerate() {
        let (position, job) = job(index);
        outcomes[position] = outcome(verify_slices_are_equal(tag, job.tag).is_ok());
    }
}

/// A check of HMAC-SHA-256 whose tag has the right length.
#[derive(Clone, Copy)]
struct Job<'c> {
    secret: &'c Sha256Secret,
    message: &'c [u8],
    tag: &'c [u8; DIGEST_BYTES],
}

const DIGEST_BYTES: usize = 32;

impl<'c> Job<'c> {
    fn new(check: &Check<'c>) -> Option<Self> {
        match check.key.secret()? {
            Secret::Sha256(secret) => Some(Self {
                secret,
                message: check.message,
                tag: check.signature.try_into().ok()?,
            }),
            Secret::Other(_) => None,
        }
    }

    fn verify(self) -> Outcome {
        let inner = self.secret.inner.digest_after(&[], self.message);
        let tag = self.secret.outer.digest_after(&inner, &[]);
        outcome(verify_slices_are_equal(&tag, self.tag).is_ok())
    }
}

fn outcome(genuine: bool) -> Outcome {
    if genuine {
        Outcome::Genuine
    } else {
        Outcome::Forged
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::VerifyingKey;

    fn bytes(length: usize, salt: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 13 + salt * 29) as u8).collect()
    }

    /// Every kernel gives aws-lc-rs' verdict on tags of aws-lc-rs, and on those with a bit flipped. Secrets
    /// shorter than a block, a block long, and longer, which are hashed first (RFC 2104 §2).
    #[test]
    fn every_kernel_agrees_with_the_reference() {
        let secrets: Vec<Vec<u8>> = [32, 33, 63, 64, 65, 200].map(|n| bytes(n, n)).into();
        for kernel in Kernel::available() {
            // 1 to 70 checks: alone, partial groups of 16 lanes, and beyond a window of 64.
            for size in 1..=70 {
                let cases: Vec<(VerifyingKey, Vec<u8>, Vec<u8>)> = (0..size)
                    .map(|at| {
                        let secret = &secrets[at % secrets.len()];
                        let message = bytes((at * 37 + size) % 400, at);
                        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                        let mut tag = hmac::sign(&key, &message).as_ref().to_vec();
                        if at % 3 == 1 {
                            tag[at % 32] ^= 1 << (at % 8);
                        }
                        if at % 17 == 2 {
                            tag.pop();
                        }
                        let key = VerifyingKey::hmac(Scheme::HmacSha256, secret).unwrap();
                        (key, message, tag)
                    })
                    .collect();
                let checks: Vec<Check<'_>> = cases
                    .iter()
                    .map(|(key, message, signature)| Check {
                        key,
                        message,
                        signature,
                    })
                    .collect();
                let picks: Vec<u8> = (0..size as u8).collect();
                let mut outcomes = vec![Outcome::Forged; size];
                let run = Run {
                    checks: &checks,
                    picks: &picks,
                    outcomes: &mut outcomes,
                };
                verify_sha256(kernel, run);
                for (at, outcome) in outcomes.into_iter().enumerate() {
                    let genuine = at % 3 != 1 && at % 17 != 2;
                    assert_eq!(
                        outcome == Outcome::Genuine,
                        genuine,
                        "{kernel:?} {at} of {size}"
                    );
                }
            }
        }
    }
}

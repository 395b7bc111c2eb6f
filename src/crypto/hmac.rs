//! HMAC with SHA-2 (RFC 2104, RFC 7518 §3.2): `H(K ^ opad || H(K ^ ipad || message))`.
//!
//! Refuses secrets shorter than the digest and tags of any other length than the digest's. Compares in
//! constant time. The two blocks that depend on the secret alone are absorbed once, and many messages run side by
//! side, so that a check costs the message's own blocks and one more.
#![forbid(unsafe_code)]

use super::batch::{Check, Outcome, Run};
use super::sha2::{
    self, Kernel, Midstate, SHA256_INITIAL, SHA384_INITIAL, SHA512_INITIAL, Sha256State,
    Sha512State, State,
};
use super::tier::{self, Tier};
use super::{KeyError, Scheme};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac};
use zeroize::{Zeroize, Zeroizing};

/// A secret, absorbed for its one digest.
pub(super) struct Secret {
    absorbed: Absorbed,
    reference: hmac::Key,
}

enum Absorbed {
    Sha256(Pads<Sha256State>),
    Sha384(Pads<Sha512State>),
    Sha512(Pads<Sha512State>),
}

/// The states after `K ^ ipad` and `K ^ opad`.
pub(super) struct Pads<S: Zeroize> {
    inner: Midstate<S>,
    outer: Midstate<S>,
}

impl Secret {
    /// Absorbs a secret for one of the HMAC schemes.
    pub(super) fn new(scheme: Scheme, secret: &[u8]) -> Result<Self, KeyError> {
        let keyed = match scheme {
            Scheme::HmacSha256 => hmac::HMAC_SHA256,
            Scheme::HmacSha384 => hmac::HMAC_SHA384,
            Scheme::HmacSha512 => hmac::HMAC_SHA512,
            _ => return Err(KeyError::WrongKind),
        };
        let algorithm = keyed.digest_algorithm();
        let required_bytes = algorithm.output_len();
        // RFC 7518 §3.2: "A key of the same size as the hash output (for instance, 256 bits for "HS256")
        // or larger MUST be used with this algorithm."
        if secret.len() < required_bytes {
            return Err(KeyError::SecretTooShort { required_bytes });
        }
        let absorbed = match scheme {
            Scheme::HmacSha256 => Absorbed::Sha256(Pads::new(SHA256_INITIAL, algorithm, secret)),
            Scheme::HmacSha384 => Absorbed::Sha384(Pads::new(SHA384_INITIAL, algorithm, secret)),
            _ => Absorbed::Sha512(Pads::new(SHA512_INITIAL, algorithm, secret)),
        };
        Ok(Self {
            absorbed,
            reference: hmac::Key::new(keyed, secret),
        })
    }

    /// The reference's word.
    fn by_reference(&self, check: &Check<'_>) -> Outcome {
        match hmac::verify(&self.reference, check.message, check.signature) {
            Ok(()) => Outcome::Genuine,
            Err(_) => Outcome::Forged,
        }
    }

    fn sha256(&self) -> Option<&Pads<Sha256State>> {
        match &self.absorbed {
            Absorbed::Sha256(pads) => Some(pads),
            _ => None,
        }
    }

    fn sha384(&self) -> Option<&Pads<Sha512State>> {
        match &self.absorbed {
            Absorbed::Sha384(pads) => Some(pads),
            _ => None,
        }
    }

    fn sha512(&self) -> Option<&Pads<Sha512State>> {
        match &self.absorbed {
            Absorbed::Sha512(pads) => Some(pads),
            _ => None,
        }
    }
}

impl<S: Zeroize> Pads<S> {
    fn new<const BLOCK_BYTES: usize, const LANES: usize>(
        initial: S,
        algorithm: &'static digest::Algorithm,
        secret: &[u8],
    ) -> Self
    where
        S: State<BLOCK_BYTES, LANES>,
    {
        let mut key = Zeroizing::new([0; BLOCK_BYTES]);
        // RFC 2104 §2: a key longer than a block is hashed first, a shorter one is filled up with zeros.
        if secret.len() > BLOCK_BYTES {
            let digest = digest::digest(algorithm, secret);
            key[..digest.as_ref().len()].copy_from_slice(digest.as_ref());
        } else {
            key[..secret.len()].copy_from_slice(secret);
        }
        let after = |pad: u8| Midstate::new(initial, &Zeroizing::new(key.map(|byte| byte ^ pad)));
        Self {
            inner: after(0x36),
            outer: after(0x5c),
        }
    }
}

/// Checks a run of one HMAC scheme. What our own code does not find genuine is asked of the reference, which costs
/// little more than it does; at the lowest ceiling, that is everything.
pub(super) fn verify_run(scheme: Scheme, run: Run<'_, '_>) {
    let Run {
        checks,
        picks,
        outcomes,
    } = run;
    let kernel = Kernel::best();
    // One after the other, SHA-512 is the reference's strength.
    let is_worth = match scheme {
        Scheme::HmacSha256 => true,
        _ => kernel.fills_lanes::<Sha512State, 128, 8>(picks.len()),
    };
    if is_worth && tier::ceiling() > Tier::AwsLc {
        let run = Run {
            checks,
            picks,
            outcomes: &mut *outcomes,
        };
        verify_run_by(kernel, scheme, run);
    }
    for &pick in picks {
        let pick = usize::from(pick);
        if let (Some(check), Some(outcome)) = (checks.get(pick), outcomes.get_mut(pick))
            && *outcome != Outcome::Genuine
            && let Some(secret) = check.key.secret()
        {
            *outcome = secret.by_reference(check);
        }
    }
}

fn verify_run_by(kernel: Kernel, scheme: Scheme, run: Run<'_, '_>) {
    match scheme {
        Scheme::HmacSha256 => verify::<_, 64, 16, 32>(kernel, Secret::sha256, run),
        Scheme::HmacSha384 => verify::<_, 128, 8, 48>(kernel, Secret::sha384, run),
        Scheme::HmacSha512 => verify::<_, 128, 8, 64>(kernel, Secret::sha512, run),
        // Not reached; its outcomes stay refusals.
        _ => {}
    }
}

/// Checks a run, in lanes where it fills them.
fn verify<S, const BLOCK_BYTES: usize, const LANES: usize, const TAG_BYTES: usize>(
    kernel: Kernel,
    pads: fn(&Secret) -> Option<&Pads<S>>,
    run: Run<'_, '_>,
) where
    S: State<BLOCK_BYTES, LANES>,
{
    for picks in run.picks.chunks(sha2::WINDOW) {
        let jobs = picks.iter().filter_map(|&pick| {
            let position = usize::from(pick);
            // A check that is no job keeps the refusal its outcome began with.
            Job::<S, TAG_BYTES>::new(position, run.checks.get(position)?, pads)
        });
        if kernel.fills_lanes::<S, BLOCK_BYTES, LANES>(picks.len()) {
            verify_side_by_side(kernel, jobs, run.outcomes);
        } else {
            for job in jobs {
                let inner = job.pads.inner.digest(&[], job.message);
                let tag = job.pads.outer.digest(tag_of::<TAG_BYTES>(&inner), &[]);
                run.outcomes[job.position] = job.outcome(&tag);
            }
        }
    }
}

/// Checks up to [`sha2::WINDOW`] jobs: all inner digests, then all outer ones.
fn verify_side_by_side<
    'c,
    S: State<BLOCK_BYTES, LANES> + 'c,
    const BLOCK_BYTES: usize,
    const LANES: usize,
    const TAG_BYTES: usize,
>(
    kernel: Kernel,
    jobs: impl Iterator<Item = Job<'c, S, TAG_BYTES>>,
    outcomes: &mut [Outcome],
) {
    let mut slots = [const { None }; sha2::WINDOW];
    let mut count = 0;
    for (slot, job) in slots.iter_mut().zip(jobs) {
        *slot = Some(job);
        count += 1;
    }
    let job = |index: usize| {
        slots[index]
            .as_ref()
            .expect("slots are filled up to the count")
    };
    let mut inner = [S::NO_DIGEST; sha2::WINDOW];
    let each = |index| (&job(index).pads.inner, &[], job(index).message);
    sha2::digest_window(kernel, each, &mut inner[..count]);
    let mut outer = [S::NO_DIGEST; sha2::WINDOW];
    let each = |index| {
        let inner: &[u8; TAG_BYTES] = tag_of(&inner[index]);
        (&job(index).pads.outer, inner, &[][..])
    };
    sha2::digest_window(kernel, each, &mut outer[..count]);
    for (index, tag) in outer[..count].iter().enumerate() {
        outcomes[job(index).position] = job(index).outcome(tag);
    }
}

/// A check whose secret fits and whose tag has the right length.
struct Job<'c, S: Zeroize, const TAG_BYTES: usize> {
    /// Where its outcome belongs.
    position: usize,
    pads: &'c Pads<S>,
    message: &'c [u8],
    tag: &'c [u8; TAG_BYTES],
}

impl<'c, S: Zeroize, const TAG_BYTES: usize> Job<'c, S, TAG_BYTES> {
    fn new(
        position: usize,
        check: &Check<'c>,
        pads: fn(&Secret) -> Option<&Pads<S>>,
    ) -> Option<Self> {
        Some(Self {
            position,
            pads: pads(check.key.secret()?)?,
            message: check.message,
            tag: check.signature.try_into().ok()?,
        })
    }

    /// RFC 7515 §A.1.2 and RFC 7518 §3.2 ask for a comparison whose time tells nothing of the tag.
    fn outcome(&self, digest: &impl AsRef<[u8]>) -> Outcome {
        let tag: &[u8; TAG_BYTES] = tag_of(digest);
        match verify_slices_are_equal(tag, self.tag) {
            Ok(()) => Outcome::Genuine,
            Err(_) => Outcome::Forged,
        }
    }
}

/// The octets of a digest that count: all, but for SHA-384, which is cut from eight words (FIPS 180-4 §6.5).
fn tag_of<const TAG_BYTES: usize>(digest: &impl AsRef<[u8]>) -> &[u8; TAG_BYTES] {
    digest
        .as_ref()
        .first_chunk()
        .expect("a tag is no longer than its digest")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::VerifyingKey;
    use aws_lc_rs::hmac;

    fn bytes(length: usize, salt: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 13 + salt * 29) as u8).collect()
    }

    const SCHEMES: [(Scheme, hmac::Algorithm); 3] = [
        (Scheme::HmacSha256, hmac::HMAC_SHA256),
        (Scheme::HmacSha384, hmac::HMAC_SHA384),
        (Scheme::HmacSha512, hmac::HMAC_SHA512),
    ];

    /// Every kernel gives aws-lc-rs' verdict on tags of aws-lc-rs, and on those with a bit flipped. Secrets
    /// shorter than a block, a block long, and longer, which are hashed first (RFC 2104 §2).
    #[test]
    fn every_kernel_agrees_with_the_reference() {
        let secrets = [64, 65, 127, 128, 129, 300].map(|length| bytes(length, length));
        for (scheme, algorithm) in SCHEMES {
            let signers = secrets.each_ref().map(|secret| {
                let key = VerifyingKey::hmac(scheme, secret).unwrap();
                (key, hmac::Key::new(algorithm, secret))
            });
            // Alone, partial groups of 8 and of 16 lanes, and to beyond a window of 64.
            for size in (1..=20).chain([31, 32, 33, 63, 64, 65, 70]) {
                let signed: Vec<(Vec<u8>, Vec<u8>)> = (0..size)
                    .map(|at| {
                        let message = bytes((at * 37 + size) % 400, at);
                        let (_, signer) = &signers[at % signers.len()];
                        let mut tag = hmac::sign(signer, &message).as_ref().to_vec();
                        if at % 3 == 1 {
                            let length = tag.len();
                            tag[at % length] ^= 1 << (at % 8);
                        }
                        if at % 17 == 2 {
                            tag.pop();
                        }
                        (message, tag)
                    })
                    .collect();
                let checks: Vec<Check<'_>> = (0..)
                    .zip(&signed)
                    .map(|(at, (message, signature))| Check {
                        key: &signers[at % signers.len()].0,
                        message,
                        signature,
                    })
                    .collect();
                for kernel in Kernel::available() {
                    let outcomes = run(kernel, scheme, &checks);
                    for (at, outcome) in outcomes.into_iter().enumerate() {
                        let genuine = at % 3 != 1 && at % 17 != 2;
                        let expected = match genuine {
                            true => Outcome::Genuine,
                            false => Outcome::Forged,
                        };
                        assert_eq!(outcome, expected, "{scheme:?} {kernel:?} {at} of {size}");
                    }
                }
            }
        }
    }

    /// Every length to beyond four blocks, so that padding falls in every place, in full lanes and alone.
    #[test]
    fn every_length_of_a_message() {
        for (scheme, algorithm) in SCHEMES {
            let secret = bytes(64, 1);
            let key = VerifyingKey::hmac(scheme, &secret).unwrap();
            let signer = hmac::Key::new(algorithm, &secret);
            let signed: Vec<(Vec<u8>, hmac::Tag)> = (0..530)
                .map(|length| bytes(length, length))
                .map(|message| (message.clone(), hmac::sign(&signer, &message)))
                .collect();
            let checks: Vec<Check<'_>> = signed
                .iter()
                .map(|(message, tag)| Check {
                    key: &key,
                    message,
                    signature: tag.as_ref(),
                })
                .collect();
            for kernel in Kernel::available() {
                for checks in checks.chunks(16) {
                    let outcomes = run(kernel, scheme, checks);
                    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Genuine));
                }
            }
        }
    }

    /// Checks V-26. A tag that differs in any one bit is refused, the first like the last.
    #[test]
    fn every_bit_of_a_tag_counts() {
        for (scheme, algorithm) in SCHEMES {
            let secret = bytes(64, 2);
            let key = VerifyingKey::hmac(scheme, &secret).unwrap();
            let tag = hmac::sign(&hmac::Key::new(algorithm, &secret), b"message");
            let tags: Vec<Vec<u8>> = (0..tag.as_ref().len() * 8)
                .map(|bit| {
                    let mut tag = tag.as_ref().to_vec();
                    tag[bit / 8] ^= 1 << (bit % 8);
                    tag
                })
                .collect();
            let checks: Vec<Check<'_>> = tags
                .iter()
                .map(|signature| Check {
                    key: &key,
                    message: b"message",
                    signature,
                })
                .collect();
            for kernel in Kernel::available() {
                for checks in checks.chunks(100) {
                    let outcomes = run(kernel, scheme, checks);
                    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Forged));
                }
            }
        }
    }

    fn run(kernel: Kernel, scheme: Scheme, checks: &[Check<'_>]) -> Vec<Outcome> {
        let picks: Vec<u8> = (0..checks.len() as u8).collect();
        let mut outcomes = vec![Outcome::Forged; checks.len()];
        let run = Run {
            checks,
            picks: &picks,
            outcomes: &mut outcomes,
        };
        verify_run_by(kernel, scheme, run);
        outcomes
    }
}

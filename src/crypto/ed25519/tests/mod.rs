//! The room's tests: keys, arithmetic against a slow oracle, signatures against aws-lc-rs, and what attackers can
//! write into them.

mod arithmetic;
pub(super) mod chains;
mod hostile;
mod keys;
mod runs;
mod signatures;
mod toy;
mod wycheproof;

use super::lanes::Words;
use super::point::{BASE, Point};

/// 2^255 - 19.
const P: Words = [u64::MAX - 18, u64::MAX, u64::MAX, u64::MAX >> 1];

/// Repeatable numbers, biased to the edges where carries and borrows go wrong.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

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

    /// Half of the words at random, half all zeros or all ones, or one off.
    fn number<const WORDS: usize>(&mut self) -> [u64; WORDS] {
        std::array::from_fn(|_| match self.below(10) {
            0 | 1 => 0,
            2 | 3 => u64::MAX,
            4 => 1,
            5 => u64::MAX << (self.word() % 64),
            _ => self.word(),
        })
    }

    /// A residue, often one within a few units of 0, of the modulus, or of a power of two.
    fn residue(&mut self, modulus: Words) -> Words {
        let small = [self.word() % 4, 0, 0, 0];
        let number = match self.below(8) {
            0 => small,
            1 => subtract_modulo(modulus, [0; 4], small),
            2 => {
                let bit = self.below(252);
                let mut power = [0; 4];
                power[bit / 64] = 1 << (bit % 64);
                subtract_modulo(modulus, power, small)
            }
            3 | 4 => self.number(),
            _ => std::array::from_fn(|_| self.word()),
        };
        reduce(modulus, &number)
    }
}

/// A little-endian number modulo one below 2^255, bit by bit: slow, and nothing of the code under test.
fn reduce(modulus: Words, number: &[u64]) -> Words {
    let mut rest = [0; 4];
    for word in number.iter().rev() {
        for bit in (0..64).rev() {
            rest = add_modulo(modulus, rest, rest);
            rest = add_modulo(modulus, rest, [word >> bit & 1, 0, 0, 0]);
        }
    }
    rest
}

/// The sum of residues.
fn add_modulo(modulus: Words, a: Words, b: Words) -> Words {
    let mut carry = 0;
    let sum = std::array::from_fn(|at| {
        let sum = u128::from(a[at]) + u128::from(b[at]) + carry;
        carry = sum >> 64;
        sum as u64
    });
    if is_below(sum, modulus) {
        sum
    } else {
        subtract(sum, modulus)
    }
}

/// The difference of residues.
fn subtract_modulo(modulus: Words, a: Words, b: Words) -> Words {
    match b {
        [0, 0, 0, 0] => a,
        _ => add_modulo(modulus, a, subtract(modulus, b)),
    }
}

fn multiply_modulo(modulus: Words, a: Words, b: Words) -> Words {
    let mut product = [0; 4];
    for bit in (0..256).rev() {
        product = add_modulo(modulus, product, product);
        if b[bit / 64] >> (bit % 64) & 1 == 1 {
            product = add_modulo(modulus, product, a);
        }
    }
    product
}

/// `a - b` of an `a` that is not less.
fn subtract(a: Words, b: Words) -> Words {
    let mut borrow = 0;
    std::array::from_fn(|at| {
        let difference = i128::from(a[at]) - i128::from(b[at]) + borrow;
        borrow = difference >> 64;
        difference as u64
    })
}

fn is_below(a: Words, b: Words) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

/// A little-endian number's bytes.
fn bytes(words: Words) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
    bytes
}

fn base() -> Point {
    Point::decode(&BASE).unwrap()
}

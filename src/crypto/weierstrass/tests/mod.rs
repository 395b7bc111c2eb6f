//! The room's tests: arithmetic against a slow oracle, signatures against aws-lc-rs, and what attackers can
//! write into them.

mod arithmetic;
mod exceptional;
mod runs;
mod signatures;
mod wycheproof;

use super::modulus::{Modulus, Words, is_below, power_of_two, subtract};

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
    pub(super) fn number(&mut self) -> Words {
        std::array::from_fn(|_| match self.below(10) {
            0 | 1 => 0,
            2 | 3 => u64::MAX,
            4 => 1,
            5 => u64::MAX << (self.word() % 64),
            _ => self.word(),
        })
    }

    /// A residue, often one within a few units of 0 or of the modulus, or of a power of two.
    pub(super) fn residue<M: Modulus>(&mut self) -> Words {
        let small = [self.word() % 4, 0, 0, 0];
        let number = match self.below(8) {
            0 => small,
            1 => subtract(M::WORDS, small).0,
            2 => subtract(power_of_two(self.below(256) as u32, M::WORDS), small).0,
            3 | 4 => self.number(),
            _ => std::array::from_fn(|_| self.word()),
        };
        reduce::<M>(number)
    }
}

/// A number modulo the modulus, which is above 2^255.
pub(super) fn reduce<M: Modulus>(number: Words) -> Words {
    match is_below(number, M::WORDS) {
        true => number,
        false => subtract(number, M::WORDS).0,
    }
}

/// The sum of residues, by words.
pub(super) fn add_modulo<M: Modulus>(a: Words, b: Words) -> Words {
    // a + b = a - (m - b).
    let (difference, negative) = subtract(a, subtract(M::WORDS, b).0);
    match negative {
        false => reduce::<M>(difference),
        // The difference is 2^256 too large, and so is it with m added: the wrap takes both away.
        true => subtract(difference, subtract([0; 4], M::WORDS).0).0,
    }
}

/// The product of residues, bit by bit: slow, and nothing of the code under test.
pub(super) fn multiply_modulo<M: Modulus>(a: Words, b: Words) -> Words {
    let mut product = [0; 4];
    for bit in (0..256).rev() {
        product = add_modulo::<M>(product, product);
        if b[bit / 64] >> (bit % 64) & 1 == 1 {
            product = add_modulo::<M>(product, a);
        }
    }
    product
}

/// A big-endian number's bytes.
pub(super) fn bytes(words: Words) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(words.iter().rev()) {
        *bytes = word.to_be_bytes();
    }
    bytes
}

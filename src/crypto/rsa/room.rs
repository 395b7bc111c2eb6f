//! Where a group of lanes works: its moduli, the numbers at hand, and the steps of a verification over them.
#![forbid(unsafe_code)]

use super::block::Block;
use super::constants::Constants;
use super::kernel::Kernel;
use super::lanes::{LANES_MAX, Row};
use super::montgomery::{Modulus, Scratch};
use super::number::{self, Number, lane, read_lane, set_lane, set_lanes};

/// Numbers in lanes, for moduli of one size.
pub(super) struct Room {
    blocks: usize,
    modulus: Number,
    negated_inverse: Row,
    /// What is being raised to a power.
    number: Number,
    /// Another factor.
    factor: Number,
    product: Number,
    /// What a number is held against.
    expected: Number,
    scratch: Scratch,
}

impl Room {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self {
            blocks: 0,
            modulus: number::ZERO,
            negated_inverse: Row::ZERO,
            number: number::ZERO,
            factor: number::ZERO,
            product: number::ZERO,
            expected: number::ZERO,
            scratch: Scratch::NEW,
        })
    }

    /// A key for each lane, all of one size; the last one for the lanes left over.
    pub(super) fn load_moduli(&mut self, keys: &[&Constants]) {
        self.blocks = keys.first().map_or(0, |key| key.blocks());
        load(&mut self.modulus[..self.blocks], keys, |key| &key.limbs);
        for (lane, word) in self.negated_inverse.0.iter_mut().enumerate() {
            *word = last_for_the_rest(keys, lane).map_or(0, |key| key.negated_inverse);
        }
    }

    /// The number to be raised, in one lane, from big-endian bytes.
    pub(super) fn read(&mut self, lane: usize, bytes: &[u8]) {
        read_lane(&mut self.number[..self.blocks], lane, bytes);
    }

    /// The number to be raised, in the first lane.
    pub(super) fn load_first(&mut self, limbs: &[u64]) {
        set_lane(&mut self.number[..self.blocks], 0, limbs);
    }

    /// The other factor is the number as it is now.
    pub(super) fn remember(&mut self) {
        self.factor[..self.blocks].copy_from_slice(&self.number[..self.blocks]);
    }

    /// The other factor is a number of each lane's key.
    pub(super) fn load_factor_from_keys(
        &mut self,
        keys: &[&Constants],
        of: fn(&Constants) -> &[u64],
    ) {
        load(&mut self.factor[..self.blocks], keys, of);
    }

    /// `number^(2^times) R^(1 - 2^times)`.
    pub(super) fn square_times(&mut self, kernel: Kernel, times: usize) {
        let blocks = self.blocks;
        kernel.square_times(
            modulus(&self.modulus[..blocks], &self.negated_inverse),
            times,
            &mut self.number[..blocks],
            &mut self.scratch,
        );
    }

    /// `number factor / R`, in the number's place.
    pub(super) fn multiply(&mut self, kernel: Kernel) {
        let blocks = self.blocks;
        kernel.multiply(
            modulus(&self.modulus[..blocks], &self.negated_inverse),
            &self.number[..blocks],
            &self.factor[..blocks],
            &mut self.scratch,
            &mut self.product[..blocks],
        );
        self.number[..blocks].copy_from_slice(&self.product[..blocks]);
    }

    /// The first lane's number times another, reduced.
    pub(super) fn times(&mut self, kernel: Kernel, limbs: &[u64]) -> Vec<u64> {
        set_lane(&mut self.factor[..self.blocks], 0, limbs);
        self.multiply(kernel);
        lane(self.reduced(kernel), 0)
    }

    /// What the digests are expected to be when they are encoded and multiplied by `R^-65536`.
    pub(super) fn expect(&mut self, kernel: Kernel, keys: &[&Constants], digests: &Block) {
        let blocks = self.blocks;
        load(&mut self.factor[..blocks], keys, |key| &key.scale);
        let around_digest = &mut self.product[..blocks];
        load(around_digest, keys, |key| &key.around_digest);
        kernel.multiply_short(
            modulus(&self.modulus[..blocks], &self.negated_inverse),
            digests,
            &self.factor[..blocks],
            around_digest,
            &mut self.expected[..blocks],
        );
    }

    /// The lanes whose number is the expected one, modulo n.
    pub(super) fn as_expected(&mut self, kernel: Kernel) -> u8 {
        let blocks = self.blocks;
        let modulus = modulus(&self.modulus[..blocks], &self.negated_inverse);
        let scratch = &mut self.scratch;
        // The one is below 2n, the other below 3n.
        kernel.subtract_modulus(modulus, &mut self.number[..blocks], scratch);
        kernel.subtract_modulus(modulus, &mut self.expected[..blocks], scratch);
        kernel.subtract_modulus(modulus, &mut self.expected[..blocks], scratch);
        let mut differences = [0; LANES_MAX];
        let numbers = self.number[..blocks].as_flattened();
        let expected = self.expected[..blocks].as_flattened();
        for (number, expected) in numbers.iter().zip(expected) {
            for (difference, (a, b)) in differences.iter_mut().zip(number.0.iter().zip(expected.0))
            {
                *difference |= a ^ b;
            }
        }
        let mut mask = 0;
        for (lane, difference) in differences.into_iter().enumerate() {
            mask |= u8::from(difference == 0) << lane;
        }
        mask
    }

    /// The number, below its modulus.
    pub(super) fn reduced(&mut self, kernel: Kernel) -> &[Block] {
        let blocks = self.blocks;
        let number = &mut self.number[..blocks];
        kernel.subtract_modulus(
            modulus(&self.modulus[..blocks], &self.negated_inverse),
            number,
            &mut self.scratch,
        );
        number
    }
}

fn modulus<'n>(limbs: &'n [Block], negated_inverse: &'n Row) -> Modulus<'n> {
    Modulus {
        limbs,
        negated_inverse,
    }
}

/// A number of each lane's key. One key for all lanes, the usual case, is not looked up eight times.
fn load(number: &mut [Block], keys: &[&Constants], of: fn(&Constants) -> &[u64]) {
    if let [first, rest @ ..] = keys
        && rest.iter().all(|key| std::ptr::eq(*key, *first))
    {
        set_lanes(number, of(first));
        return;
    }
    for lane in 0..LANES_MAX {
        if let Some(key) = last_for_the_rest(keys, lane) {
            set_lane(number, lane, of(key));
        }
    }
}

fn last_for_the_rest<'k>(keys: &[&'k Constants], lane: usize) -> Option<&'k Constants> {
    keys.get(lane).or(keys.last()).copied()
}

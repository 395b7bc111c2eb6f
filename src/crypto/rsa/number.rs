//! How numbers come into lanes and out again.
#![forbid(unsafe_code)]

use super::block::{BLOCK_BITS, BLOCK_LIMBS, Block};
use super::lanes::{LANES_MAX, LIMB_BITS, LIMB_MASK, Row};

/// A number of up to 80 limbs in every lane; those of a narrower modulus use the first blocks.
pub(super) type Number = [Block; BLOCKS_MAX];

pub(super) const ZERO: Number = [[Row::ZERO; BLOCK_LIMBS]; BLOCKS_MAX];

/// Blocks of a modulus of 4096 bits.
pub(super) const BLOCKS_MAX: usize = 8;

/// How many blocks a modulus of so many bits takes, if the kernel takes it at all. R exceeds it by 32 bits at
/// 2048, 48 at 3072 and 64 at 4096.
pub(super) const fn blocks(modulus_bits: usize) -> Option<usize> {
    match modulus_bits {
        2048 | 3072 | 4096 => Some(modulus_bits.div_ceil(BLOCK_BITS)),
        _ => None,
    }
}

/// Two limbs are thirteen bytes.
const PAIR_BYTES: usize = 13;

/// Puts a big-endian number into a lane, and zeros above it.
pub(super) fn read_lane(number: &mut [Block], lane: usize, bytes: &[u8]) {
    let (highest, pairs) = bytes.as_rchunks::<PAIR_BYTES>();
    let (rows, _) = number.as_flattened_mut().as_chunks_mut::<2>();
    let (low, above) = rows.split_at_mut(pairs.len());
    for (rows, pair) in low.iter_mut().zip(pairs.iter().rev()) {
        set_pair(rows, lane, pair);
    }
    let mut pair = [0; PAIR_BYTES];
    pair[PAIR_BYTES - highest.len()..].copy_from_slice(highest);
    for rows in above {
        set_pair(rows, lane, &pair);
        pair = [0; PAIR_BYTES];
    }
}

fn set_pair([low, high]: &mut [Row; 2], lane: usize, pair: &[u8; PAIR_BYTES]) {
    let mut bytes = [0; size_of::<u128>()];
    bytes[size_of::<u128>() - PAIR_BYTES..].copy_from_slice(pair);
    let pair = u128::from_be_bytes(bytes);
    low.0[lane] = pair as u64 & LIMB_MASK;
    high.0[lane] = (pair >> LIMB_BITS) as u64;
}

/// Writes a lane as a big-endian number into bytes that have room for it.
pub(super) fn write_lane(number: &[Block], lane: usize, bytes: &mut [u8]) {
    let (rows, _) = number.as_flattened().as_chunks::<2>();
    let mut pairs = rows.iter().map(|[low, high]| {
        let pair = u128::from(high.0[lane]) << LIMB_BITS | u128::from(low.0[lane]);
        pair.to_be_bytes()
    });
    let (highest, chunks) = bytes.as_rchunks_mut::<PAIR_BYTES>();
    for (bytes, pair) in chunks.iter_mut().rev().zip(&mut pairs) {
        bytes.copy_from_slice(&pair[size_of::<u128>() - PAIR_BYTES..]);
    }
    if let Some(pair) = pairs.next() {
        highest.copy_from_slice(&pair[size_of::<u128>() - highest.len()..]);
    }
}

/// Puts limbs into a lane.
pub(super) fn set_lane(number: &mut [Block], lane: usize, limbs: &[u64]) {
    for (row, &limb) in number.as_flattened_mut().iter_mut().zip(limbs) {
        row.0[lane] = limb;
    }
}

/// Puts limbs into every lane, as many as the number has.
pub(super) fn set_lanes(number: &mut [Block], limbs: &[u64]) {
    for (row, &limb) in number.as_flattened_mut().iter_mut().zip(limbs) {
        *row = Row([limb; LANES_MAX]);
    }
}

/// The limbs of a lane.
pub(super) fn lane(number: &[Block], lane: usize) -> Vec<u64> {
    number
        .as_flattened()
        .iter()
        .map(|row| row.0[lane])
        .collect()
}

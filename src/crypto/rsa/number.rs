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

/// The limbs of a big-endian number, lowest first, an even count.
pub(super) fn limbs(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let (highest, pairs) = bytes.as_rchunks::<PAIR_BYTES>();
    let highest = (!highest.is_empty()).then(|| {
        let mut pair = [0; PAIR_BYTES];
        pair[PAIR_BYTES - highest.len()..].copy_from_slice(highest);
        pair
    });
    pairs.iter().rev().copied().chain(highest).flat_map(|pair| {
        let mut bytes = [0; size_of::<u128>()];
        bytes[size_of::<u128>() - PAIR_BYTES..].copy_from_slice(&pair);
        let pair = u128::from_be_bytes(bytes);
        [pair as u64 & LIMB_MASK, (pair >> LIMB_BITS) as u64]
    })
}

/// Puts limbs into a lane, and zeros above them.
pub(super) fn set_lane(
    number: &mut [Block],
    lane: usize,
    limbs: impl IntoIterator<Item = u64>,
) {
    let mut limbs = limbs.into_iter();
    for row in number.as_flattened_mut() {
        row.0[lane] = limbs.next().unwrap_or(0);
    }
}

/// Puts limbs into every lane, as many as the number has.
pub(super) fn set_lanes(number: &mut [Block], limbs: &[u64]) {
    for (row, &limb) in number.as_flattened_mut().iter_mut().zip(limbs) {
        *row = Row([limb; LANES_MAX]);
    }
}

/// The limbs of a lane.
pub(super) fn lane(number: &[Block], lane: usize) -> impl Iterator<Item = u64> {
    number.as_flattened().iter().map(move |row| row.0[lane])
}

/// Writes a lane as a big-endian number into bytes that have room for it.
pub(super) fn write_lane(number: &[Block], lane: usize, bytes: &mut [u8]) {
    let (pairs, _) = number.as_flattened().as_chunks::<2>();
    for ([low, high], bytes) in pairs.iter().zip(bytes.rchunks_mut(PAIR_BYTES)) {
        let pair = u128::from(high.0[lane]) << LIMB_BITS | u128::from(low.0[lane]);
        let pair = pair.to_be_bytes();
        bytes.copy_from_slice(&pair[pair.len() - bytes.len()..]);
    }
}

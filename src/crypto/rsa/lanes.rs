//! What the kernel asks of a machine: a few operations on words of 64 bits, in every lane alike.
//!
//! The plain model is one lane of `u64`. Everything above is written once for any lanes, so that what is shown
//! of the model holds for the vectors, as long as these few operations agree.
#![forbid(unsafe_code)]

/// Bits of a limb, as the multiply-add reads it.
pub(super) const LIMB_BITS: u32 = 52;

/// The low bits of a word that are a limb.
pub(super) const LIMB_MASK: u64 = (1 << LIMB_BITS) - 1;

/// Words of 64 bits side by side.
///
/// A mask has a bit for each lane, lane 0 lowest.
pub(super) trait Lanes: Copy {
    /// The mask of all lanes.
    const ALL: u8;

    /// The same word in every lane.
    fn splat(word: u64) -> Self;

    /// Modulo 2^64.
    fn plus(self, other: Self) -> Self;

    /// Modulo 2^64.
    fn minus(self, other: Self) -> Self;

    fn and(self, other: Self) -> Self;

    /// Filled up with zeros.
    fn shifted_right<const BITS: u32>(self) -> Self;

    /// Filled up with the sign.
    fn shifted_right_signed<const BITS: u32>(self) -> Self;

    /// Adds the low 52 bits of the product of the *low 52 bits* of `a` and `b`.
    fn plus_low_product(self, a: Self, b: Self) -> Self;

    /// Adds the bits from 52 on of the product of the *low 52 bits* of `a` and `b`.
    fn plus_high_product(self, a: Self, b: Self) -> Self;

    /// The lanes that are equal.
    fn equals(self, other: Self) -> u8;

    /// `self` in the lanes of the mask, `other` elsewhere.
    fn or_else(self, mask: u8, other: Self) -> Self;

    fn load(row: &Row) -> Self;

    /// The words of lanes that there are not stay as they are.
    fn store(self, row: &mut Row);
}

/// Most lanes that a machine has.
pub(super) const LANES_MAX: usize = 8;

/// A word for each lane, as it lies in memory: a cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(64))]
pub(super) struct Row(pub(super) [u64; LANES_MAX]);

impl Row {
    pub(super) const ZERO: Self = Self([0; LANES_MAX]);
}

impl Lanes for u64 {
    const ALL: u8 = 1;

    #[inline(always)]
    fn splat(word: u64) -> Self {
        word
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        self & other
    }

    #[inline(always)]
    fn shifted_right<const BITS: u32>(self) -> Self {
        self >> BITS
    }

    #[inline(always)]
    fn shifted_right_signed<const BITS: u32>(self) -> Self {
        (self as i64 >> BITS) as u64
    }

    #[inline(always)]
    fn plus_low_product(self, a: Self, b: Self) -> Self {
        self.wrapping_add(product(a, b) as u64 & LIMB_MASK)
    }

    #[inline(always)]
    fn plus_high_product(self, a: Self, b: Self) -> Self {
        self.wrapping_add((product(a, b) >> LIMB_BITS) as u64)
    }

    #[inline(always)]
    fn equals(self, other: Self) -> u8 {
        u8::from(self == other)
    }

    #[inline(always)]
    fn or_else(self, mask: u8, other: Self) -> Self {
        if mask & 1 == 1 { self } else { other }
    }

    #[inline(always)]
    fn load(row: &Row) -> Self {
        row.0[0]
    }

    #[inline(always)]
    fn store(self, row: &mut Row) {
        row.0[0] = self;
    }
}

/// The product of the low 52 bits, as the vector instruction takes them.
#[inline(always)]
fn product(a: u64, b: u64) -> u128 {
    u128::from(a & LIMB_MASK) * u128::from(b & LIMB_MASK)
}

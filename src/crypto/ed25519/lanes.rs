//! What the 52-bit kernel asks of a machine: a few operations on words of 64 bits, in every lane alike.
//!
//! The plain model is one lane of `u64`. Everything above is written once for any lanes, so that what is shown
//! of the model holds for the vectors, as long as these few operations agree.
#![forbid(unsafe_code)]

/// A number of 256 bits, words of 64 bits, the lowest first.
pub(super) type Words = [u64; 4];

pub(super) const LIMB_BITS: u32 = 52;
pub(super) const LIMB_MASK: u64 = (1 << LIMB_BITS) - 1;

/// Most lanes a kernel has.
pub(super) const LANES_MAX: usize = 8;

/// Words of 64 bits side by side.
///
/// A mask has a bit for each lane, lane 0 lowest.
pub(super) trait Lanes: Copy {
    /// How many: 1 to 8, a power of two.
    const COUNT: usize;

    /// The same word in every lane.
    fn splat(word: u64) -> Self;

    /// Modulo 2^64.
    fn plus(self, other: Self) -> Self;

    /// Modulo 2^64.
    fn minus(self, other: Self) -> Self;

    fn and(self, other: Self) -> Self;

    fn or(self, other: Self) -> Self;

    fn shifted_left<const BITS: u32>(self) -> Self;

    /// Filled up with zeros.
    fn shifted_right<const BITS: u32>(self) -> Self;

    /// By less than 64 bits, filled up with zeros.
    fn shifted_right_by(self, bits: u32) -> Self;

    /// By less than 64 bits.
    fn shifted_left_by(self, bits: u32) -> Self;

    /// Adds the low 52 bits of the product of the *low 52 bits* of `a` and `b`.
    fn plus_low_product(self, a: Self, b: Self) -> Self;

    /// Adds the bits from 52 on of the product of the *low 52 bits* of `a` and `b`.
    fn plus_high_product(self, a: Self, b: Self) -> Self;

    /// The lanes that are equal.
    fn equals(self, other: Self) -> u8;

    /// `self` in the lanes of the mask, `other` elsewhere.
    fn or_else(self, mask: u8, other: Self) -> Self;

    /// Its negative modulo 2^64 in the lanes of the mask.
    fn negated(self, mask: u8) -> Self;

    /// Each lane gets that of its number `xor distance`.
    fn swapped(self, distance: usize) -> Self;

    /// Word `i` of each lane's number, as the `i`th result.
    fn gather(numbers: [&Words; LANES_MAX]) -> [Self; 4];

    /// The word of each lane; lanes that there are not stay zero.
    fn to_array(self) -> [u64; LANES_MAX];
}

impl Lanes for u64 {
    const COUNT: usize = 1;

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
    fn or(self, other: Self) -> Self {
        self | other
    }

    #[inline(always)]
    fn shifted_left<const BITS: u32>(self) -> Self {
        self << BITS
    }

    #[inline(always)]
    fn shifted_right<const BITS: u32>(self) -> Self {
        self >> BITS
    }

    #[inline(always)]
    fn shifted_right_by(self, bits: u32) -> Self {
        self >> bits
    }

    #[inline(always)]
    fn shifted_left_by(self, bits: u32) -> Self {
        self << bits
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
    fn negated(self, mask: u8) -> Self {
        if mask & 1 == 1 {
            self.wrapping_neg()
        } else {
            self
        }
    }

    #[inline(always)]
    fn swapped(self, _: usize) -> Self {
        self
    }

    #[inline(always)]
    fn gather(numbers: [&Words; LANES_MAX]) -> [Self; 4] {
        *numbers[0]
    }

    #[inline(always)]
    fn to_array(self) -> [u64; LANES_MAX] {
        [self, 0, 0, 0, 0, 0, 0, 0]
    }
}

/// The product of the low 52 bits, as the vector instruction takes them.
#[inline(always)]
fn product(a: u64, b: u64) -> u128 {
    u128::from(a & LIMB_MASK) * u128::from(b & LIMB_MASK)
}

//! Odd prime moduli, and what follows from them at compile time: no constant is written that can be derived.
#![forbid(unsafe_code)]

use super::lanes::Lanes;

pub(super) const LIMB_BITS: u32 = 52;
pub(super) const LIMB_MASK: u64 = (1 << LIMB_BITS) - 1;

/// The most words that a number has, on the largest curve.
pub(super) const WORDS_MAX: usize = 6;

/// The most limbs that a number has.
pub(super) const LIMBS_MAX: usize = 8;

/// The columns of a product, lowest first; those that a curve does not need stay unused.
pub(super) type Columns<L> = [L; 2 * LIMBS_MAX];

/// An odd prime of `W` words of 64 bits, the lowest first, whose top bit is set; and how a Montgomery step is done
/// modulo it, by 52 bits and by 64. A prime with few bits set, or a few short of a power of two, has shorter steps
/// than these.
pub(super) trait Modulus<const W: usize>: Copy + 'static {
    const WORDS: [u64; W];

    /// `-1 / m` modulo 2^64; its low bits are the same modulo 2^52.
    const NEGATED_INVERSE: u64 = negated_inverse(Self::WORDS[0]);

    /// Adds the multiple of the modulus, less than 2^52 times it, that clears the low 52 bits of `t[at]`, and
    /// carries what that column has above them. Each column grows or shrinks by less than 3 * 2^52.
    #[inline(always)]
    fn clear_limb<L: Lanes, const N: usize>(t: &mut Columns<L>, at: usize) {
        let limbs = const { to_limbs::<W, N>(Self::WORDS) };
        let inverse = L::splat(Self::NEGATED_INVERSE & LIMB_MASK);
        let m = L::splat(0).plus_low_product(t[at], inverse);
        let cleared = t[at].plus_low_product(m, L::splat(limbs[0]));
        t[at + 1] = t[at + 1].plus(cleared.shifted_right::<LIMB_BITS>());
        for (offset, limb) in limbs.into_iter().enumerate() {
            let limb = L::splat(limb);
            if offset > 0 {
                t[at + offset] = t[at + offset].plus_low_product(m, limb);
            }
            t[at + offset + 1] = t[at + offset + 1].plus_high_product(m, limb);
        }
    }

    /// Adds the multiple of the modulus that clears `t[0]`, and drops that word: a value up to `(2^64 + 1) m` comes
    /// out below `2m`. `top` is what stands above the words of `t`, before and after.
    #[inline(always)]
    fn clear_word(t: [u64; W], top: u128) -> ([u64; W], u64) {
        let m = t[0].wrapping_mul(Self::NEGATED_INVERSE);
        let (_, mut carry) = multiply_add(t[0], m, Self::WORDS[0], 0);
        let mut cleared = [0; W];
        for at in 1..W {
            (cleared[at - 1], carry) = multiply_add(t[at], m, Self::WORDS[at], carry);
        }
        let top = top + u128::from(carry);
        cleared[W - 1] = top as u64;
        (cleared, (top >> 64) as u64)
    }
}

/// The prime of a curve's field.
pub(super) trait Prime<const W: usize>: Modulus<W> {
    /// Coordinates are kept times two to this power: the R of the field in limbs.
    const COORDINATE_BITS: u32;

    /// Subtracts `q` times the prime from loose limbs. `q` is within ±2^11, and no limb changes by more than 2^60.
    fn subtract_multiple<L: Lanes>(limbs: &mut [L], q: L);

    /// Twice a residue, so many times over, for the portable field. See
    /// [`Coordinate::stretched`](super::field::Coordinate::stretched).
    #[inline(always)]
    fn doubled_times(residue: [u64; W], times: u32) -> [u64; W] {
        let mut doubled = residue;
        for _ in 0..times {
            doubled = double(doubled, Self::WORDS);
        }
        doubled
    }
}

/// `a + b + carry`, the low word and what carries.
#[inline(always)]
pub(super) const fn add(a: u64, b: u64, carry: u64) -> (u64, u64) {
    let sum = a as u128 + b as u128 + carry as u128;
    (sum as u64, (sum >> 64) as u64)
}

/// `t + a b + carry`, the low word and what carries; it cannot overflow.
#[inline(always)]
pub(super) const fn multiply_add(t: u64, a: u64, b: u64, carry: u64) -> (u64, u64) {
    let sum = t as u128 + a as u128 * b as u128 + carry as u128;
    (sum as u64, (sum >> 64) as u64)
}

/// `a - b - borrow`, and whether that is negative.
#[inline(always)]
pub(super) const fn subtract_word(a: u64, b: u64, borrow: bool) -> (u64, bool) {
    let (difference, first) = a.overflowing_sub(b);
    let (difference, second) = difference.overflowing_sub(borrow as u64);
    (difference, first | second)
}

/// `a - b`, and whether that is negative.
#[inline(always)]
pub(super) const fn subtract<const W: usize>(a: [u64; W], b: [u64; W]) -> ([u64; W], bool) {
    let mut difference = [0; W];
    let mut borrow = false;
    let mut at = 0;
    while at < W {
        (difference[at], borrow) = subtract_word(a[at], b[at], borrow);
        at += 1;
    }
    (difference, borrow)
}

/// Whether `a` is less than `b`.
#[inline(always)]
pub(super) const fn is_below<const W: usize>(a: [u64; W], b: [u64; W]) -> bool {
    subtract(a, b).1
}

/// 2^exponent modulo an odd number whose top bit is set.
pub(super) const fn power_of_two<const W: usize>(exponent: u32, modulus: [u64; W]) -> [u64; W] {
    let mut power = [0; W];
    power[0] = 1;
    let mut done = 0;
    while done < exponent {
        power = double(power, modulus);
        done += 1;
    }
    power
}

/// The words cut into limbs.
pub(super) const fn to_limbs<const W: usize, const N: usize>(words: [u64; W]) -> [u64; N] {
    let mut limbs = [0; N];
    let mut at = 0;
    while at < N {
        let (word, shift) = word_of_limb(at);
        limbs[at] = words[word] >> shift;
        if shift > 64 - LIMB_BITS && word + 1 < W {
            limbs[at] |= words[word + 1] << (64 - shift);
        }
        limbs[at] &= LIMB_MASK;
        at += 1;
    }
    limbs
}

/// In which word a limb begins, and at which bit of it.
#[inline(always)]
pub(super) const fn word_of_limb(limb: usize) -> (usize, u32) {
    let bit = limb * LIMB_BITS as usize;
    (bit / 64, (bit % 64) as u32)
}

/// Twice a number below the modulus, modulo it.
#[inline(always)]
pub(super) const fn double<const W: usize>(a: [u64; W], modulus: [u64; W]) -> [u64; W] {
    let mut doubled = [0; W];
    let mut carry = 0;
    let mut at = 0;
    while at < W {
        doubled[at] = a[at] << 1 | carry;
        carry = a[at] >> 63;
        at += 1;
    }
    let (less, negative) = subtract(doubled, modulus);
    // A bit that was shifted out is worth 2^(64 W), which is more than the modulus.
    if carry == 1 || !negative {
        less
    } else {
        doubled
    }
}

/// By Newton's iteration, which doubles the right bits; an odd number is its own inverse in three.
const fn negated_inverse(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut right_bits = 3;
    while right_bits < 64 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse)));
        right_bits *= 2;
    }
    inverse.wrapping_neg()
}

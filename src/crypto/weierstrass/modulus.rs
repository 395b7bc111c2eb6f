//! The two primes of P-256 (FIPS 186-5, SP 800-186 §3.2.1.3) and what follows from them at compile time: no
//! constant is written that can be derived.
#![forbid(unsafe_code)]

use super::lanes::Lanes;

/// A number of 256 bits, words of 64 bits, the lowest first.
pub(super) type Words = [u64; 4];

/// A number in limbs of 52 bits, the lowest first.
pub(super) type Limbs = [u64; 5];

pub(super) const LIMB_BITS: u32 = 52;
pub(super) const LIMB_MASK: u64 = (1 << LIMB_BITS) - 1;

/// An odd prime between 2^255 and 2^256, and how a Montgomery step by 52 bits is done modulo it.
pub(super) trait Modulus: Copy {
    const WORDS: Words;
    const LIMBS: Limbs = to_limbs(Self::WORDS);
    /// `-1 / m` modulo 2^64; its low bits are the same modulo 2^52.
    const NEGATED_INVERSE: u64 = negated_inverse(Self::WORDS[0]);

    /// Adds the multiple of the modulus that clears the low 52 bits of `t[at]`, and carries what that limb has
    /// above them. Each limb grows by less than 3 * 2^52.
    fn clear_limb<L: Lanes>(t: &mut [L; 10], at: usize);

    /// Adds the multiple of the modulus that clears `t[0]`, and drops that word. `t` is below 2^320 before,
    /// and below twice the modulus after.
    fn clear_word(t: [u64; 5]) -> [u64; 5];
}

/// The field's prime, `2^256 - 2^224 + 2^192 + 2^96 - 1`.
#[derive(Clone, Copy)]
pub(super) struct FieldPrime;

impl Modulus for FieldPrime {
    const WORDS: Words = [
        0xffff_ffff_ffff_ffff,
        0x0000_0000_ffff_ffff,
        0x0000_0000_0000_0000,
        0xffff_ffff_0000_0001,
    ];

    // p = -1 modulo 2^96, so the multiple is the low limb m itself, and
    // t + m p = (t - m) + m 2^96 + m 2^192 + m (2^48 - 2^16) 2^208
    // whose powers stand 44, 36 and 0 bits into the limbs 1, 3 and 4.
    #[inline(always)]
    fn clear_limb<L: Lanes>(t: &mut [L; 10], at: usize) {
        let m = t[at];
        let (low, high) = (L::splat(1 << 44), L::splat(1 << 36));
        let top = L::splat(Self::LIMBS[4]);
        t[at + 1] = t[at + 1].plus(m.shifted_right::<LIMB_BITS>());
        t[at + 1] = t[at + 1].plus_low_product(m, low);
        t[at + 2] = t[at + 2].plus_high_product(m, low);
        t[at + 3] = t[at + 3].plus_low_product(m, high);
        t[at + 4] = t[at + 4].plus_high_product(m, high);
        t[at + 4] = t[at + 4].plus_low_product(m, top);
        t[at + 5] = t[at + 5].plus_high_product(m, top);
    }

    // As above: t + m p = (t - m) + m 2^96 + m (2^64 - 2^32 + 1) 2^192.
    #[inline(always)]
    fn clear_word([m, t1, t2, t3, t4]: [u64; 5]) -> [u64; 5] {
        let (t1, carry) = add(t1, m << 32, 0);
        let (t2, carry) = add(t2, m >> 32, carry);
        let (t3, carry) = multiply_add(t3, m, Self::WORDS[3], carry);
        let (t4, carry) = add(t4, carry, 0);
        [t1, t2, t3, t4, carry]
    }
}

/// The order of the group.
#[derive(Clone, Copy)]
pub(super) struct GroupOrder;

impl Modulus for GroupOrder {
    const WORDS: Words = [
        0xf3b9_cac2_fc63_2551,
        0xbce6_faad_a717_9e84,
        0xffff_ffff_ffff_ffff,
        0xffff_ffff_0000_0000,
    ];

    #[inline(always)]
    fn clear_limb<L: Lanes>(t: &mut [L; 10], at: usize) {
        let inverse = L::splat(Self::NEGATED_INVERSE & LIMB_MASK);
        let m = L::splat(0).plus_low_product(t[at], inverse);
        let cleared = t[at].plus_low_product(m, L::splat(Self::LIMBS[0]));
        t[at + 1] = t[at + 1].plus(cleared.shifted_right::<LIMB_BITS>());
        for (offset, limb) in Self::LIMBS.into_iter().enumerate() {
            let limb = L::splat(limb);
            if offset > 0 {
                t[at + offset] = t[at + offset].plus_low_product(m, limb);
            }
            t[at + offset + 1] = t[at + offset + 1].plus_high_product(m, limb);
        }
    }

    #[inline(always)]
    fn clear_word([t0, t1, t2, t3, t4]: [u64; 5]) -> [u64; 5] {
        let m = t0.wrapping_mul(Self::NEGATED_INVERSE);
        let (_, carry) = multiply_add(t0, m, Self::WORDS[0], 0);
        let (t1, carry) = multiply_add(t1, m, Self::WORDS[1], carry);
        let (t2, carry) = multiply_add(t2, m, Self::WORDS[2], carry);
        let (t3, carry) = multiply_add(t3, m, Self::WORDS[3], carry);
        let (t4, carry) = add(t4, carry, 0);
        [t1, t2, t3, t4, carry]
    }
}

/// `p - n`, below 2^127: an x-coordinate that `r` was reduced from can be `r + n` only for `r` below it.
pub(super) const PRIME_MINUS_ORDER: Words = subtract(FieldPrime::WORDS, GroupOrder::WORDS).0;

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

/// `a - b`, and whether that is negative.
#[inline(always)]
pub(super) const fn subtract(a: Words, b: Words) -> (Words, bool) {
    let (d0, borrow) = a[0].overflowing_sub(b[0]);
    let (d1, borrow) = borrow_sub(a[1], b[1], borrow);
    let (d2, borrow) = borrow_sub(a[2], b[2], borrow);
    let (d3, borrow) = borrow_sub(a[3], b[3], borrow);
    ([d0, d1, d2, d3], borrow)
}

/// Whether `a` is less than `b`.
#[inline(always)]
pub(super) const fn is_below(a: Words, b: Words) -> bool {
    subtract(a, b).1
}

/// 2^exponent modulo an odd number of 256 bits.
pub(super) const fn power_of_two(exponent: u32, modulus: Words) -> Words {
    let mut power = [1, 0, 0, 0];
    let mut done = 0;
    while done < exponent {
        power = double(power, modulus);
        done += 1;
    }
    power
}

/// The words cut into limbs.
pub(super) const fn to_limbs(words: Words) -> Limbs {
    let [w0, w1, w2, w3] = words;
    [
        w0 & LIMB_MASK,
        (w0 >> 52 | w1 << 12) & LIMB_MASK,
        (w1 >> 40 | w2 << 24) & LIMB_MASK,
        (w2 >> 28 | w3 << 36) & LIMB_MASK,
        w3 >> 16,
    ]
}

/// Twice a number below the modulus, modulo it.
const fn double(a: Words, modulus: Words) -> Words {
    let doubled = [
        a[0] << 1,
        a[1] << 1 | a[0] >> 63,
        a[2] << 1 | a[1] >> 63,
        a[3] << 1 | a[2] >> 63,
    ];
    let (less, negative) = subtract(doubled, modulus);
    // A bit that was shifted out is worth 2^256, which is more than the modulus.
    if a[3] >> 63 == 1 || !negative {
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

/// `a - b - borrow`, and whether that is negative.
#[inline(always)]
const fn borrow_sub(a: u64, b: u64, borrow: bool) -> (u64, bool) {
    let (difference, first) = a.overflowing_sub(b);
    let (difference, second) = difference.overflowing_sub(borrow as u64);
    (difference, first | second)
}

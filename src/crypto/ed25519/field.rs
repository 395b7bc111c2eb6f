//! Arithmetic modulo p = 2^255 - 19 in words of 64 bits, one element at a time, for every CPU.
//!
//! Public values only: nothing here runs in constant time.
#![forbid(unsafe_code)]

use super::edwards::{Field, Multiple};
use super::invert::invert;
use super::lanes::{LANES_MAX, Words};
use super::table::Entry;
use std::hint::select_unpredictable;

/// An element modulo p: four words, the lowest first. Every number below 2^256 stands for its residue, so that a
/// carry out of the top is all that is ever brought back; [`Element::to_words`] reduces.
#[derive(Clone, Copy)]
pub(super) struct Element(Words);

/// p.
const P: Words = [u64::MAX - 18, u64::MAX, u64::MAX, u64::MAX >> 1];

/// 2^256 modulo p.
const FOLD: u64 = 38;

impl Element {
    pub(super) const ZERO: Self = Self([0; 4]);
    pub(super) const ONE: Self = Self([1, 0, 0, 0]);

    /// The little-endian number without its top bit, taken modulo p.
    pub(super) fn from_bytes(bytes: &[u8; 32]) -> Self {
        let [w0, w1, w2, w3] = words(bytes);
        Self([w0, w1, w2, w3 & u64::MAX >> 1])
    }

    /// The number, taken modulo p.
    #[inline(always)]
    pub(super) const fn from_words(words: Words) -> Self {
        Self(words)
    }

    /// The one encoding below p, little-endian.
    pub(super) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(self.to_words()) {
            *bytes = word.to_le_bytes();
        }
        bytes
    }

    /// The one number below p.
    pub(super) fn to_words(self) -> Words {
        // 2^256 is 2p + 38.
        let mut words = self.0;
        for _ in 0..2 {
            let (less, negative) = subtract(words, P);
            words = if negative { words } else { less };
        }
        words
    }

    pub(super) fn is_zero(self) -> bool {
        self.to_words() == [0; 4]
    }

    /// "Negative" as RFC 8032 §5.1.2 encodes it: the least significant bit.
    pub(super) fn is_odd(self) -> bool {
        self.to_words()[0] & 1 == 1
    }

    #[inline(always)]
    pub(super) fn add(self, other: Self) -> Self {
        let (sum, carry) = add(self.0, other.0);
        folded(sum, carry)
    }

    #[inline(always)]
    pub(super) fn sub(self, other: Self) -> Self {
        let (difference, negative) = subtract(self.0, other.0);
        // A borrow from above is worth 2^256, which is 38. Taking that away can borrow again, and leaves the words
        // nearly full, so that 38 more never borrow.
        let (difference, negative) = subtract(difference, [FOLD * u64::from(negative), 0, 0, 0]);
        let [d0, d1, d2, d3] = difference;
        Self([d0.wrapping_sub(FOLD * u64::from(negative)), d1, d2, d3])
    }

    pub(super) fn negate(self) -> Self {
        Self::ZERO.sub(self)
    }

    #[inline(always)]
    pub(super) fn mul(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        let mut t = [0; 8];
        for i in 0..4 {
            let mut carry = 0;
            for j in 0..4 {
                (t[i + j], carry) = multiply_add(t[i + j], a[i], b[j], carry);
            }
            t[i + 4] = carry;
        }
        let mut low = [0; 4];
        let mut carry = 0;
        for i in 0..4 {
            (low[i], carry) = multiply_add(t[i], t[i + 4], FOLD, carry);
        }
        folded(low, carry)
    }

    #[inline(always)]
    pub(super) fn square(self) -> Self {
        self.mul(self)
    }

    /// `self^(2^252 - 3)`, that is (p - 5) / 8: the step of a square root (RFC 8032 §5.1.3).
    pub(super) fn pow_p58(self) -> Self {
        // 2^252 - 3 is 250 ones, a zero and a one.
        let mut power = self;
        for _ in 0..249 {
            power = power.square().mul(self);
        }
        power.square().square().mul(self)
    }

    /// `1 / self`, or `None` of zero.
    pub(super) fn inverse(self) -> Option<Self> {
        let words = self.to_words();
        (words != [0; 4]).then(|| Self::from_words(invert(words)))
    }
}

/// `low + carry 2^256`, where the carry is up to 38.
#[inline(always)]
fn folded(low: Words, carry: u64) -> Element {
    let (low, over) = add(low, [FOLD * carry, 0, 0, 0]);
    // What a carry leaves is below 2^11, so that 38 more never carry.
    let [w0, w1, w2, w3] = low;
    Element([w0.wrapping_add(FOLD * over), w1, w2, w3])
}

/// `a + b`, and what carries.
#[inline(always)]
const fn add(a: Words, b: Words) -> (Words, u64) {
    let (s0, carry) = add_word(a[0], b[0], false);
    let (s1, carry) = add_word(a[1], b[1], carry);
    let (s2, carry) = add_word(a[2], b[2], carry);
    let (s3, carry) = add_word(a[3], b[3], carry);
    ([s0, s1, s2, s3], carry as u64)
}

/// `a - b`, and whether that is negative.
#[inline(always)]
const fn subtract(a: Words, b: Words) -> (Words, bool) {
    let (d0, borrow) = subtract_word(a[0], b[0], false);
    let (d1, borrow) = subtract_word(a[1], b[1], borrow);
    let (d2, borrow) = subtract_word(a[2], b[2], borrow);
    let (d3, borrow) = subtract_word(a[3], b[3], borrow);
    ([d0, d1, d2, d3], borrow)
}

#[inline(always)]
const fn add_word(a: u64, b: u64, carry: bool) -> (u64, bool) {
    let (sum, first) = a.overflowing_add(b);
    let (sum, second) = sum.overflowing_add(carry as u64);
    (sum, first | second)
}

#[inline(always)]
const fn subtract_word(a: u64, b: u64, borrow: bool) -> (u64, bool) {
    let (difference, first) = a.overflowing_sub(b);
    let (difference, second) = difference.overflowing_sub(borrow as u64);
    (difference, first | second)
}

/// `t + a b + carry`, the low word and what carries; it cannot overflow.
#[inline(always)]
const fn multiply_add(t: u64, a: u64, b: u64, carry: u64) -> (u64, u64) {
    let sum = t as u128 + a as u128 * b as u128 + carry as u128;
    (sum as u64, (sum >> 64) as u64)
}

/// A little-endian number.
pub(super) fn words(bytes: &[u8; 32]) -> Words {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        self.to_words() == other.to_words()
    }
}

impl Field for Element {
    type Word = u64;
    type Factor = Self;
    type Raised = Self;

    #[inline(always)]
    fn splat(words: Words) -> Self {
        Self::from_words(words)
    }

    #[inline(always)]
    fn words(factor: Self) -> Words {
        factor.to_words()
    }

    #[inline(always)]
    fn product(a: Self, b: Self) -> Self {
        a.mul(b)
    }

    #[inline(always)]
    fn raised_product(a: Self, b: Self) -> Self {
        a.mul(b)
    }

    #[inline(always)]
    fn multiply(a: Self, b: Self) -> Self {
        a.mul(b)
    }

    #[inline(always)]
    fn sum(a: Self, b: Self) -> Self {
        a.add(b)
    }

    #[inline(always)]
    fn difference(a: Self, b: Self) -> Self {
        a.sub(b)
    }

    #[inline(always)]
    fn carried(self) -> Self {
        self
    }

    #[inline(always)]
    fn carried_raised(raised: Self) -> Self {
        raised
    }

    #[inline(always)]
    fn negated(self, mask: u8) -> Self {
        let negative = Self::ZERO.sub(self);
        let mut words = self.0;
        for (word, negative) in words.iter_mut().zip(negative.0) {
            *word = select_unpredictable(mask & 1 == 1, negative, *word);
        }
        Self(words)
    }

    #[inline(always)]
    fn swapped(factor: Self, _: usize) -> Self {
        factor
    }

    #[inline(always)]
    fn inverse(factor: Self) -> Option<Self> {
        Element::inverse(factor)
    }

    #[inline(always)]
    fn load([entry, ..]: [&Entry; LANES_MAX], negative: u8) -> Multiple<Self> {
        // The opposite of (x, y) is (-x, y).
        let (difference, sum) = select_unpredictable(
            negative & 1 == 1,
            (&entry.sum, &entry.difference),
            (&entry.difference, &entry.sum),
        );
        Multiple {
            difference: Self::from_words(*difference),
            sum: Self::from_words(*sum),
            product: Self::from_words(entry.product),
            product_negative: negative,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// p - 1, as far from zero as an element gets.
    fn minus_one() -> Element {
        Element::ONE.negate()
    }

    #[test]
    fn encodings_are_reduced() {
        let mut p = [0xff; 32];
        p[0] = 0xed;
        p[31] = 0x7f;
        assert!(Element::from_bytes(&p).is_zero());
        for above in 0..19u8 {
            p[0] = 0xed + above;
            let mut expected = [0; 32];
            expected[0] = above;
            assert_eq!(Element::from_bytes(&p).to_bytes(), expected);
        }
        p[0] = 0xec;
        assert_eq!(minus_one().to_bytes(), p);
    }

    #[test]
    fn the_ring_laws_hold_at_the_edges() {
        let mut samples = vec![Element::ZERO, Element::ONE, minus_one()];
        // Every word full, and values that walk through the field.
        samples.push(Element([u64::MAX; 4]));
        let mut walk = Element([0x7_1234_5678_9abc, 3, u64::MAX, 77]);
        for _ in 0..20 {
            walk = walk.square().add(minus_one());
            samples.push(walk);
        }
        for &a in &samples {
            assert!(a.sub(a).is_zero());
            assert!(a.add(a.negate()).is_zero());
            assert!(a.mul(Element::ONE) == a);
            assert!(a.mul(minus_one()) == a.negate());
            for &b in &samples {
                assert!(a.mul(b) == b.mul(a));
                assert!(a.add(b).sub(b) == a);
                assert!(
                    a.add(b).square() == a.square().add(b.square()).add(a.mul(b)).add(b.mul(a))
                );
            }
        }
    }

    #[test]
    fn the_power_is_p_minus_five_over_eight() {
        // By Fermat, x^(8 (p - 5) / 8) = x^(p - 5), so its product with x^4 is one.
        let x = Element([5, 6, 7, 8]);
        let eighth = x.pow_p58();
        let power = eighth.square().square().square();
        assert!(power.mul(x.square().square()) == Element::ONE);
    }
}

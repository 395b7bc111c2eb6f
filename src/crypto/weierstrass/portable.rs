//! The field in words of 64 bits, one element at a time, for every CPU.
//!
//! Montgomery form with R = 2^256; every value is fully reduced.
#![forbid(unsafe_code)]

use super::field::{COORDINATE_BITS, Coordinate, Field, Point};
use super::modulus::{FieldPrime, Modulus, Words, add, multiply_add, subtract};
use super::table::Line;
use std::hint::select_unpredictable;
use std::marker::PhantomData;

/// A residue below the modulus.
#[derive(Clone, Copy)]
pub(super) struct Element<M>(Words, PhantomData<M>);

impl<M: Modulus> Element<M> {
    #[inline(always)]
    pub(super) const fn of(words: Words) -> Self {
        Self(words, PhantomData)
    }

    #[inline(always)]
    pub(super) const fn to_words(self) -> Words {
        self.0
    }

    /// From below twice the modulus; the fifth word is 0 or 1.
    #[inline(always)]
    fn subtracted_once([t0, t1, t2, t3, t4]: [u64; 5]) -> Self {
        let words = [t0, t1, t2, t3];
        let (less, negative) = subtract(words, M::WORDS);
        Self::of(pick(negative && t4 == 0, words, less))
    }

    /// Twice a value.
    #[inline(always)]
    pub(super) fn doubled(self) -> Self {
        self.plus(self)
    }
}

/// One of two, without a branch: which one is as good as random here.
#[inline(always)]
fn pick(first: bool, a: Words, b: Words) -> Words {
    [
        select_unpredictable(first, a[0], b[0]),
        select_unpredictable(first, a[1], b[1]),
        select_unpredictable(first, a[2], b[2]),
        select_unpredictable(first, a[3], b[3]),
    ]
}

impl<M: Modulus> Field for Element<M> {
    type Factor = Self;
    type Modulus = M;

    type Word = u64;

    const RADIX_BITS: u32 = 256;

    #[inline(always)]
    fn splat(words: Words) -> Self {
        Self::gather(&[words])
    }

    #[inline(always)]
    fn gather(numbers: &[Words]) -> Self {
        let [w0, w1, w2, w3] = numbers[0];
        Self::subtracted_once([w0, w1, w2, w3, 0])
    }

    #[inline(always)]
    fn words(factor: Self) -> Words {
        factor.0
    }

    #[inline(always)]
    fn product(a: Self, b: Self) -> Self {
        let mut t = [0; 5];
        for word in a.0 {
            // t is below 2m here, so t + word b is below 2^320 and fits.
            let (t0, carry) = multiply_add(t[0], word, b.0[0], 0);
            let (t1, carry) = multiply_add(t[1], word, b.0[1], carry);
            let (t2, carry) = multiply_add(t[2], word, b.0[2], carry);
            let (t3, carry) = multiply_add(t[3], word, b.0[3], carry);
            t = M::clear_word([t0, t1, t2, t3, t[4] + carry]);
        }
        Self::subtracted_once(t)
    }

    #[inline(always)]
    fn square(a: Self) -> Self {
        Self::product(a, a)
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        let (s0, carry) = add(self.0[0], other.0[0], 0);
        let (s1, carry) = add(self.0[1], other.0[1], carry);
        let (s2, carry) = add(self.0[2], other.0[2], carry);
        let (s3, carry) = add(self.0[3], other.0[3], carry);
        Self::subtracted_once([s0, s1, s2, s3, carry])
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        let (difference, negative) = subtract(self.0, other.0);
        let modulus = pick(negative, M::WORDS, [0; 4]);
        let (d0, carry) = add(difference[0], modulus[0], 0);
        let (d1, carry) = add(difference[1], modulus[1], carry);
        let (d2, carry) = add(difference[2], modulus[2], carry);
        let (d3, _) = add(difference[3], modulus[3], carry);
        Self::of([d0, d1, d2, d3])
    }

    #[inline(always)]
    fn carried(self) -> Self {
        self
    }

    #[cfg(test)]
    fn loose(factor: Self) -> Self {
        factor
    }

    #[inline(always)]
    fn zeros(factor: Self) -> u8 {
        u8::from(factor.0 == [0; 4])
    }

    #[inline(always)]
    fn select(mask: u8, a: Self, b: Self) -> Self {
        if mask & 1 == 1 { a } else { b }
    }

    #[inline(always)]
    fn swapped(factor: Self, _: usize) -> Self {
        factor
    }
}

impl Coordinate for Element<FieldPrime> {
    #[inline(always)]
    fn reduced(self) -> Self {
        self
    }

    #[inline(always)]
    fn carried_any(self) -> Self {
        self
    }

    #[inline(always)]
    fn carried_difference(self) -> Self {
        self
    }

    #[inline(always)]
    fn stretched(factor: Self) -> Self {
        const { assert!(COORDINATE_BITS - Self::RADIX_BITS == 4, "k^2 = 16") };
        factor.doubled().doubled()
    }

    #[inline(always)]
    fn load(lines: [&Line; 8], negative: u8) -> Point<Self> {
        let [x0, x1, x2, x3, y0, y1, y2, y3] = lines[0].0;
        let y = Self::of([y0, y1, y2, y3]);
        // y is never 0: no point has order two.
        let (negated, _) = subtract(FieldPrime::WORDS, y.0);
        Point {
            x: Self::of([x0, x1, x2, x3]),
            y: Self::of(pick(negative & 1 == 1, negated, y.0)),
        }
    }
}

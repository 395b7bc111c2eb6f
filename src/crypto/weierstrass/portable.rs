//! The field in words of 64 bits, one element at a time, for every CPU.
//!
//! Montgomery form with R = 2^(64 W) for W words; every value is fully reduced.
#![forbid(unsafe_code)]

use super::field::{Coordinate, Field, Residues};
use super::invert::invert;
use super::modulus::{Modulus, Prime, add, multiply_add, subtract};
use std::hint::select_unpredictable;
use std::marker::PhantomData;

/// A residue below the modulus.
#[derive(Clone, Copy)]
pub(super) struct Element<M, const W: usize>([u64; W], PhantomData<M>);

impl<M: Modulus<W>, const W: usize> Element<M, W> {
    #[inline(always)]
    pub(super) const fn of(words: [u64; W]) -> Self {
        Self(words, PhantomData)
    }

    #[inline(always)]
    pub(super) const fn to_words(self) -> [u64; W] {
        self.0
    }

    /// From below twice the modulus; the top, above the words, is 0 or 1.
    #[inline(always)]
    fn subtracted_once(words: [u64; W], top: u64) -> Self {
        let (less, negative) = subtract(words, M::WORDS);
        Self::of(pick(negative && top == 0, words, less))
    }

    /// Twice a value.
    #[inline(always)]
    pub(super) fn doubled(self) -> Self {
        self.plus(self)
    }
}

/// One of two, without a branch: which one is as good as random here.
#[inline(always)]
fn pick<const W: usize>(first: bool, a: [u64; W], b: [u64; W]) -> [u64; W] {
    let mut picked = b;
    for (picked, a) in picked.iter_mut().zip(a) {
        *picked = select_unpredictable(first, a, *picked);
    }
    picked
}

/// The sum by words, and what carries.
#[inline(always)]
fn add_words<const W: usize>(a: [u64; W], b: [u64; W]) -> ([u64; W], u64) {
    let mut sum = [0; W];
    let mut carry = 0;
    for at in 0..W {
        (sum[at], carry) = add(a[at], b[at], carry);
    }
    (sum, carry)
}

impl<M: Modulus<W>, const W: usize> Field for Element<M, W> {
    type Factor = Self;

    type Word = u64;

    #[inline(always)]
    fn product(a: Self, b: Self) -> Self {
        let (mut t, mut top) = ([0; W], 0);
        for word in a.0 {
            // t is below 2m here, so t + word b is below (2^64 + 1) m.
            let mut carry = 0;
            for (t, other) in t.iter_mut().zip(b.0) {
                (*t, carry) = multiply_add(*t, word, other, carry);
            }
            (t, top) = M::clear_word(t, u128::from(top) + u128::from(carry));
        }
        Self::subtracted_once(t, top)
    }

    #[inline(always)]
    fn square(a: Self) -> Self {
        Self::product(a, a)
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        let (sum, carry) = add_words(self.0, other.0);
        Self::subtracted_once(sum, carry)
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        let (difference, negative) = subtract(self.0, other.0);
        let modulus = pick(negative, M::WORDS, [0; W]);
        Self::of(add_words(difference, modulus).0)
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
        u8::from(factor.0 == [0; W])
    }

    #[inline(always)]
    fn select(mask: u8, a: Self, b: Self) -> Self {
        if mask & 1 == 1 { a } else { b }
    }

    #[inline(always)]
    fn swapped(factor: Self, _: usize) -> Self {
        factor
    }

    #[inline(always)]
    fn one() -> Self {
        Self::of(Self::RADIX)
    }

    #[inline(always)]
    fn inverse(a: Self) -> Option<Self> {
        if a.0 == [0; W] {
            return None;
        }
        let inverse = Self::of(invert::<M, W>(a.0));
        Some(Self::product(inverse, Self::of(Self::RADIX_CUBED)))
    }
}

impl<M: Modulus<W>, const W: usize> Residues<W> for Element<M, W> {
    type Modulus = M;

    const RADIX_BITS: u32 = 64 * W as u32;

    #[inline(always)]
    fn splat(words: [u64; W]) -> Self {
        Self::gather(&[words])
    }

    #[inline(always)]
    fn gather(numbers: &[[u64; W]]) -> Self {
        Self::subtracted_once(numbers[0], 0)
    }

    #[inline(always)]
    fn from_words(words: [u64; W]) -> Self {
        Self::of(words)
    }

    #[inline(always)]
    fn words(factor: Self) -> [u64; W] {
        factor.0
    }
}

impl<M: Prime<W>, const W: usize> Coordinate for Element<M, W> {
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
        // k^2 is two to the difference.
        let difference = const { M::COORDINATE_BITS - Self::RADIX_BITS };
        Self::of(M::doubled_times(factor.0, difference / 2))
    }

    #[inline(always)]
    fn negated(self, mask: u8) -> Self {
        let (negated, _) = subtract(M::WORDS, self.0);
        Self::of(pick(mask & 1 == 1, negated, self.0))
    }
}

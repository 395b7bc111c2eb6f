//! Eight lanes of AVX-512 with its multiply-add of 52 bits.
#![allow(unsafe_code, reason = "intrinsics and #[target_feature] entries")]

use super::block::Block;
use super::lanes::{Lanes, Row};
use super::montgomery::{self, Modulus, Scratch};
use crate::simd::Avx512Ifma;
use std::arch::x86_64::*;

/// Eight words. Values are made only below an entry of this file, which holds the witness of the instructions.
#[derive(Clone, Copy)]
pub(super) struct Zmm(__m512i);

/// Squares a number so many times; see [`montgomery::square`].
pub(super) fn square_times(
    _: Avx512Ifma,
    modulus: Modulus<'_>,
    times: usize,
    number: &mut [Block],
    scratch: &mut Scratch,
) {
    // SAFETY: the witness says that the instructions exist.
    unsafe { square_times_entry(modulus, times, number, scratch) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,bmi2")]
fn square_times_entry(
    modulus: Modulus<'_>,
    times: usize,
    number: &mut [Block],
    scratch: &mut Scratch,
) {
    montgomery::square_times::<Zmm>(modulus, times, number, scratch);
}

/// See [`montgomery::multiply`].
pub(super) fn multiply(
    _: Avx512Ifma,
    modulus: Modulus<'_>,
    a: &[Block],
    b: &[Block],
    scratch: &mut Scratch,
    product: &mut [Block],
) {
    // SAFETY: the witness says that the instructions exist.
    unsafe { multiply_entry(modulus, a, b, scratch, product) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,bmi2")]
fn multiply_entry(
    modulus: Modulus<'_>,
    a: &[Block],
    b: &[Block],
    scratch: &mut Scratch,
    product: &mut [Block],
) {
    montgomery::multiply::<Zmm>(modulus, a, b, scratch, product);
}

/// See [`montgomery::multiply_short`].
pub(super) fn multiply_short(
    _: Avx512Ifma,
    modulus: Modulus<'_>,
    a: &Block,
    b: &[Block],
    c: &[Block],
    sum: &mut [Block],
) {
    // SAFETY: the witness says that the instructions exist.
    unsafe { multiply_short_entry(modulus, a, b, c, sum) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,bmi2")]
fn multiply_short_entry(
    modulus: Modulus<'_>,
    a: &Block,
    b: &[Block],
    c: &[Block],
    sum: &mut [Block],
) {
    montgomery::multiply_short::<Zmm>(modulus, a, b, c, sum);
}

/// See [`montgomery::subtract_modulus`].
pub(super) fn subtract_modulus(
    _: Avx512Ifma,
    modulus: Modulus<'_>,
    number: &mut [Block],
    scratch: &mut Scratch,
) {
    // SAFETY: the witness says that the instructions exist.
    unsafe { subtract_modulus_entry(modulus, number, scratch) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,bmi2")]
fn subtract_modulus_entry(modulus: Modulus<'_>, number: &mut [Block], scratch: &mut Scratch) {
    montgomery::subtract_modulus::<Zmm>(modulus, number, scratch);
}

/// An intrinsic, under the witness of the entry.
macro_rules! vector {
    ($call:expr) => {
        // SAFETY: a `Zmm` exists only below an entry of this file, whose witness says that the instructions
        // exist; none of these touches memory.
        unsafe { $call }
    };
}

impl Lanes for Zmm {
    const ALL: u8 = 0xff;

    #[inline(always)]
    fn splat(word: u64) -> Self {
        Self(vector!(_mm512_set1_epi64(word as i64)))
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Self(vector!(_mm512_add_epi64(self.0, other.0)))
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        Self(vector!(_mm512_sub_epi64(self.0, other.0)))
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        Self(vector!(_mm512_and_si512(self.0, other.0)))
    }

    #[inline(always)]
    fn shifted_right<const BITS: u32>(self) -> Self {
        Self(vector!(_mm512_srli_epi64::<BITS>(self.0)))
    }

    #[inline(always)]
    fn shifted_right_signed<const BITS: u32>(self) -> Self {
        Self(vector!(_mm512_srai_epi64::<BITS>(self.0)))
    }

    #[inline(always)]
    fn plus_low_product(self, a: Self, b: Self) -> Self {
        Self(vector!(_mm512_madd52lo_epu64(self.0, a.0, b.0)))
    }

    #[inline(always)]
    fn plus_high_product(self, a: Self, b: Self) -> Self {
        Self(vector!(_mm512_madd52hi_epu64(self.0, a.0, b.0)))
    }

    #[inline(always)]
    fn equals(self, other: Self) -> u8 {
        vector!(_mm512_cmpeq_epi64_mask(self.0, other.0))
    }

    #[inline(always)]
    fn or_else(self, mask: u8, other: Self) -> Self {
        Self(vector!(_mm512_mask_blend_epi64(mask, other.0, self.0)))
    }

    #[inline(always)]
    fn load(row: &Row) -> Self {
        // SAFETY: a row is eight aligned words; otherwise as in `vector!`.
        Self(unsafe { _mm512_load_si512(row.0.as_ptr().cast()) })
    }

    #[inline(always)]
    fn store(self, row: &mut Row) {
        // SAFETY: a row has room for eight words and is aligned; otherwise as in `vector!`.
        unsafe { _mm512_store_si512(row.0.as_mut_ptr().cast(), self.0) };
    }
}

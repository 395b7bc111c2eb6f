//! Eight lanes of AVX-512 with its multiply-add of 52 bits.
#![allow(unsafe_code, reason = "intrinsics and #[target_feature] entries")]

use super::lanes::{LANES_MAX, Lanes, Words};
use super::limbs::Product;
use super::table::Table;
use super::verify::{Claim, Finding, Workspace};
use crate::simd::Avx512Ifma;
use std::arch::x86_64::*;
use std::cell::RefCell;

/// Eight words. Values are made only below an entry of this file, which holds the witness of the instructions.
#[derive(Clone, Copy)]
pub(super) struct Zmm(__m512i);

/// Finds out about each claim.
pub(super) fn verify(_: Avx512Ifma, base: &Table, claims: &[Claim<'_>], findings: &mut [Finding]) {
    // SAFETY: the witness says that the instructions exist.
    ROOM.with_borrow_mut(|room| unsafe { verify_entry(room, base, claims, findings) });
}

thread_local! {
    static ROOM: RefCell<Workspace<Product<Zmm>>> = const { RefCell::new(Workspace::new()) };
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,bmi2")]
fn verify_entry(
    room: &mut Workspace<Product<Zmm>>,
    base: &Table,
    claims: &[Claim<'_>],
    findings: &mut [Finding],
) {
    room.verify(base, claims, findings);
}

/// The ends of chains of field operations.
#[cfg(test)]
pub(super) fn chain(_: Avx512Ifma, x: &[Words; 8], y: &[Words; 8]) -> [Words; 8] {
    // SAFETY: the witness says that the instructions exist.
    unsafe { chain_entry(x, y) }
}

#[cfg(test)]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,bmi2")]
fn chain_entry(x: &[Words; 8], y: &[Words; 8]) -> [Words; 8] {
    super::tests::chains::chain::<Product<Zmm>>(x, y)
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
    const COUNT: usize = 8;

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
    fn or(self, other: Self) -> Self {
        Self(vector!(_mm512_or_si512(self.0, other.0)))
    }

    #[inline(always)]
    fn shifted_left<const BITS: u32>(self) -> Self {
        Self(vector!(_mm512_slli_epi64::<BITS>(self.0)))
    }

    #[inline(always)]
    fn shifted_right<const BITS: u32>(self) -> Self {
        Self(vector!(_mm512_srli_epi64::<BITS>(self.0)))
    }

    #[inline(always)]
    fn shifted_right_by(self, bits: u32) -> Self {
        Self(vector!(_mm512_srl_epi64(
            self.0,
            _mm_cvtsi32_si128(bits as i32)
        )))
    }

    #[inline(always)]
    fn shifted_left_by(self, bits: u32) -> Self {
        Self(vector!(_mm512_sll_epi64(
            self.0,
            _mm_cvtsi32_si128(bits as i32)
        )))
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
    fn negated(self, mask: u8) -> Self {
        Self(vector!(_mm512_mask_sub_epi64(
            self.0,
            mask,
            _mm512_setzero_si512(),
            self.0
        )))
    }

    #[inline(always)]
    fn swapped(self, distance: usize) -> Self {
        Self(match distance {
            1 => vector!(_mm512_permutex_epi64::<0b10_11_00_01>(self.0)),
            2 => vector!(_mm512_permutex_epi64::<0b01_00_11_10>(self.0)),
            _ => vector!(_mm512_shuffle_i64x2::<0b01_00_11_10>(self.0, self.0)),
        })
    }

    #[inline(always)]
    fn gather(numbers: [&Words; LANES_MAX]) -> [Self; 4] {
        let [a, b, c, d, e, f, g, h] = numbers;
        // Word `i` of row `j` becomes word `j` of row `i`: first within pairs, [a0 b0 a2 b2 c0 d0 c2 d2] and
        // [a1 b1 a3 b3 c1 d1 c3 d3], then their quarters.
        let (ac, bd, eg, fh) = (load(a, c), load(b, d), load(e, g), load(f, h));
        let (abcd02, abcd13) = (ac.low_words(bd), ac.high_words(bd));
        let (efgh02, efgh13) = (eg.low_words(fh), eg.high_words(fh));
        [
            abcd02.even_quarters(efgh02),
            abcd13.even_quarters(efgh13),
            abcd02.odd_quarters(efgh02),
            abcd13.odd_quarters(efgh13),
        ]
    }

    #[inline(always)]
    fn to_array(self) -> [u64; LANES_MAX] {
        let mut words = [0u64; LANES_MAX];
        // SAFETY: the array has room for eight words, and needs no alignment; otherwise as in `vector!`.
        unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), self.0) };
        words
    }
}

/// Four words, and four more.
#[inline(always)]
fn load(low: &Words, high: &Words) -> Zmm {
    // SAFETY: four words can be read from each array, which needs no alignment; otherwise as in `vector!`.
    unsafe {
        let low = _mm256_loadu_si256(low.as_ptr().cast());
        let high = _mm256_loadu_si256(high.as_ptr().cast());
        Zmm(_mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high))
    }
}

impl Zmm {
    /// The even words of both, in turns.
    #[inline(always)]
    fn low_words(self, other: Self) -> Self {
        Self(vector!(_mm512_unpacklo_epi64(self.0, other.0)))
    }

    /// The odd words of both, in turns.
    #[inline(always)]
    fn high_words(self, other: Self) -> Self {
        Self(vector!(_mm512_unpackhi_epi64(self.0, other.0)))
    }

    /// The quarters 0 and 2 of one, then those of the other.
    #[inline(always)]
    fn even_quarters(self, other: Self) -> Self {
        Self(vector!(_mm512_shuffle_i64x2::<0b10_00_10_00>(
            self.0, other.0
        )))
    }

    /// The quarters 1 and 3 of one, then those of the other.
    #[inline(always)]
    fn odd_quarters(self, other: Self) -> Self {
        Self(vector!(_mm512_shuffle_i64x2::<0b11_01_11_01>(
            self.0, other.0
        )))
    }
}

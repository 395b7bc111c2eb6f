//! Eight lanes of AVX-512 with its multiply-add of 52 bits.
#![allow(unsafe_code, reason = "intrinsics and #[target_feature] entries")]

use super::curve::Curve;
use super::lanes::Lanes;
use super::modulus::WORDS_MAX;
use super::scratch;
use super::table::{Line, Table};
use super::verify::{Claim, Finding, Order, Workspace};
use crate::simd::Avx512Ifma;
use std::arch::x86_64::*;

/// Eight words. Values are made only below an entry of this file, which holds the witness of the instructions.
#[derive(Clone, Copy)]
pub(super) struct Zmm(__m512i);

type Room<C, const W: usize> =
    Workspace<<C as Curve<W>>::Scalars<Zmm>, <C as Curve<W>>::Coordinates<Zmm>, W>;

/// Finds out about each claim.
pub(super) fn verify<C: Curve<W>, const W: usize>(
    _: Avx512Ifma,
    generator: &Table<W>,
    claims: &[Claim<'_, W>],
    order: Order,
    findings: &mut [Finding],
) {
    scratch::with::<Option<Room<C, W>>>(|room| {
        // SAFETY: the witness says that the instructions exist.
        unsafe { verify_entry::<C, W>(room, generator, claims, order, findings) };
    });
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,bmi2")]
fn verify_entry<C: Curve<W>, const W: usize>(
    room: &mut Option<Room<C, W>>,
    generator: &Table<W>,
    claims: &[Claim<'_, W>],
    order: Order,
    findings: &mut [Finding],
) {
    room.get_or_insert_with(Room::<C, W>::new)
        .verify(generator, claims, order, findings);
}

/// The ends of chains of field operations, of coordinates or of scalars.
#[cfg(test)]
pub(super) fn chain<C: Curve<W>, const W: usize>(
    _: Avx512Ifma,
    x: &[[u64; W]; 8],
    y: &[[u64; W]; 8],
    of_order: bool,
) -> [[u64; W]; 8] {
    // SAFETY: the witness says that the instructions exist.
    unsafe { chain_entry::<C, W>(x, y, of_order) }
}

#[cfg(test)]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,bmi2")]
fn chain_entry<C: Curve<W>, const W: usize>(
    x: &[[u64; W]; 8],
    y: &[[u64; W]; 8],
    of_order: bool,
) -> [[u64; W]; 8] {
    use super::tests::chains::{chain, sums};
    if of_order {
        sums::<C::Scalars<Zmm>, W>(x, y)
    } else {
        chain::<C::Coordinates<Zmm>, W>(x, y)
    }
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
    fn shifted_right_signed<const BITS: u32>(self) -> Self {
        Self(vector!(_mm512_srai_epi64::<BITS>(self.0)))
    }

    #[inline(always)]
    fn shifted_right_by(self, bits: u32) -> Self {
        Self(vector!(_mm512_srl_epi64(
            self.0,
            _mm_cvtsi32_si128(bits as i32)
        )))
    }

    #[inline(always)]
    fn shifted_right_signed_by(self, bits: u32) -> Self {
        Self(vector!(_mm512_sra_epi64(
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
    fn swapped(self, distance: usize) -> Self {
        Self(match distance {
            1 => vector!(_mm512_permutex_epi64::<0b10_11_00_01>(self.0)),
            2 => vector!(_mm512_permutex_epi64::<0b01_00_11_10>(self.0)),
            _ => vector!(_mm512_shuffle_i64x2::<0b01_00_11_10>(self.0, self.0)),
        })
    }

    #[inline(always)]
    fn gather<const W: usize>(numbers: &[[u64; W]]) -> [Self; W] {
        let mut words = [[0u64; 8]; W];
        for (lane, number) in numbers.iter().enumerate().take(8) {
            for (words, &word) in words.iter_mut().zip(number) {
                words[lane] = word;
            }
        }
        let mut gathered = [Self::splat(0); W];
        for (gathered, words) in gathered.iter_mut().zip(&words) {
            *gathered = load(words);
        }
        gathered
    }

    #[inline(always)]
    fn scatter<const W: usize>(words: [Self; W], numbers: &mut [[u64; W]]) {
        for (at, word) in words.into_iter().enumerate() {
            for (number, word) in numbers.iter_mut().zip(word.to_array()) {
                number[at] = word;
            }
        }
    }

    #[inline(always)]
    fn to_array(self) -> [u64; 8] {
        let mut words = [0u64; 8];
        // SAFETY: the array has room for eight words, and needs no alignment; otherwise as in `vector!`.
        unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), self.0) };
        words
    }

    #[inline(always)]
    fn gather_lines<const W: usize>(lines: [&Line<W>; 8]) -> [[Self; W]; 2] {
        const {
            assert!(
                W <= WORDS_MAX && W.is_multiple_of(2),
                "eights, and perhaps a four"
            )
        };
        let mut rows: [&[u64]; 8] = [&[]; 8];
        for (row, line) in rows.iter_mut().zip(lines) {
            *row = line.as_flattened();
        }
        let mut words = [Self::splat(0); 2 * WORDS_MAX];
        let mut at = 0;
        while at + 8 <= 2 * W {
            words[at..at + 8].copy_from_slice(&gather_eight(rows, at));
            at += 8;
        }
        if at < 2 * W {
            words[at..at + 4].copy_from_slice(&gather_four(rows, at));
        }
        let mut coordinates = [[words[0]; W]; 2];
        coordinates[0].copy_from_slice(&words[..W]);
        coordinates[1].copy_from_slice(&words[W..2 * W]);
        coordinates
    }
}

/// Eight words of each row, from a place in it.
#[inline(always)]
fn gather_eight(rows: [&[u64]; 8], at: usize) -> [Zmm; 8] {
    let mut columns = [Zmm::splat(0); 8];
    for (column, row) in columns.iter_mut().zip(rows) {
        if let Some(words) = row[at..].first_chunk() {
            *column = load(words);
        }
    }
    transposed(columns)
}

/// The last four words of each row, from a place in it.
#[inline(always)]
fn gather_four(rows: [&[u64]; 8], at: usize) -> [Zmm; 4] {
    // Rows go together so that their quarters come out in order.
    let [ac, bd, eg, fh] = [
        load_halves(rows[0], rows[2], at),
        load_halves(rows[1], rows[3], at),
        load_halves(rows[4], rows[6], at),
        load_halves(rows[5], rows[7], at),
    ];
    // [a0 b0 a2 b2 c0 d0 c2 d2], [a1 b1 a3 b3 …].
    let (abcd02, abcd13) = (ac.low_words(bd), ac.high_words(bd));
    let (efgh02, efgh13) = (eg.low_words(fh), eg.high_words(fh));
    [
        abcd02.even_quarters(efgh02),
        abcd13.even_quarters(efgh13),
        abcd02.odd_quarters(efgh02),
        abcd13.odd_quarters(efgh13),
    ]
}

/// Four words of one row, then four of another.
#[inline(always)]
fn load_halves(low: &[u64], high: &[u64], at: usize) -> Zmm {
    let mut words = [0; 8];
    words[..4].copy_from_slice(&low[at..at + 4]);
    words[4..].copy_from_slice(&high[at..at + 4]);
    load(&words)
}

#[inline(always)]
fn load(words: &[u64; 8]) -> Zmm {
    // SAFETY: eight words can be read from the array, which needs no alignment; otherwise as in `vector!`.
    Zmm(unsafe { _mm512_loadu_si512(words.as_ptr().cast()) })
}

/// Word `i` of row `j` becomes word `j` of row `i`: in pairs, then in pairs of pairs.
#[inline(always)]
fn transposed(rows: [Zmm; 8]) -> [Zmm; 8] {
    let [a, b, c, d, e, f, g, h] = rows;
    // Even and odd words of neighbouring rows: [a0 b0 a2 b2 a4 b4 a6 b6], [a1 b1 a3 b3 …].
    let (ab0, ab1) = (a.low_words(b), a.high_words(b));
    let (cd0, cd1) = (c.low_words(d), c.high_words(d));
    let (ef0, ef1) = (e.low_words(f), e.high_words(f));
    let (gh0, gh1) = (g.low_words(h), g.high_words(h));
    let (abcd04, abcd26) = (ab0.even_quarters(cd0), ab0.odd_quarters(cd0));
    let (abcd15, abcd37) = (ab1.even_quarters(cd1), ab1.odd_quarters(cd1));
    let (efgh04, efgh26) = (ef0.even_quarters(gh0), ef0.odd_quarters(gh0));
    let (efgh15, efgh37) = (ef1.even_quarters(gh1), ef1.odd_quarters(gh1));
    [
        abcd04.even_quarters(efgh04),
        abcd15.even_quarters(efgh15),
        abcd26.even_quarters(efgh26),
        abcd37.even_quarters(efgh37),
        abcd04.odd_quarters(efgh04),
        abcd15.odd_quarters(efgh15),
        abcd26.odd_quarters(efgh26),
        abcd37.odd_quarters(efgh37),
    ]
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

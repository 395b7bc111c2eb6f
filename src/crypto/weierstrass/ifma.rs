//! Eight lanes of AVX-512 with its multiply-add of 52 bits.
#![allow(unsafe_code, reason = "intrinsics and #[target_feature] entries")]

use super::field::Loose;
use super::lanes::Lanes;
use super::modulus::{FieldPrime, GroupOrder, Words};
use super::table::{Line, Table};
use super::verify::{Claim, Finding, Order, Workspace};
use crate::simd::Avx512Ifma;
use std::arch::x86_64::*;
use std::cell::RefCell;

/// Eight words. Values are made only below an entry of this file, which holds the witness of the instructions.
#[derive(Clone, Copy)]
pub(super) struct Zmm(__m512i);

type Room = Workspace<Loose<Zmm, GroupOrder>, Loose<Zmm, FieldPrime>>;

/// Finds out about each claim.
pub(super) fn verify(
    _: Avx512Ifma,
    generator: &Table,
    claims: &[Claim<'_>],
    order: Order,
    findings: &mut [Finding],
) {
    // SAFETY: the witness says that the instructions exist.
    ROOM.with_borrow_mut(|room| unsafe {
        verify_entry(room, generator, claims, order, findings);
    });
}

thread_local! {
    static ROOM: RefCell<Option<Room>> = const { RefCell::new(None) };
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,bmi2")]
fn verify_entry(
    room: &mut Option<Room>,
    generator: &Table,
    claims: &[Claim<'_>],
    order: Order,
    findings: &mut [Finding],
) {
    room.get_or_insert_with(Room::new)
        .verify(generator, claims, order, findings);
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
    fn gather(numbers: &[Words]) -> [Self; 4] {
        let mut words = [[0u64; 8]; 4];
        for (lane, number) in numbers.iter().enumerate().take(8) {
            for (words, &word) in words.iter_mut().zip(number) {
                words[lane] = word;
            }
        }
        [
            load(&words[0]),
            load(&words[1]),
            load(&words[2]),
            load(&words[3]),
        ]
    }

    #[inline(always)]
    fn scatter(words: [Self; 4], numbers: &mut [Words]) {
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
    fn gather_lines(lines: [&Line; 8]) -> [Self; 8] {
        let [a, b, c, d, e, f, g, h] = lines;
        transposed([
            load(&a.0),
            load(&b.0),
            load(&c.0),
            load(&d.0),
            load(&e.0),
            load(&f.0),
            load(&g.0),
            load(&h.0),
        ])
    }
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

//! Turns what sixteen lanes loaded into registers that each hold one word of every lane.
#![forbid(unsafe_code)]

use std::arch::x86_64::*;

/// Turns sixteen rows of 32-bit words, one a lane, into sixteen columns, one a word.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn transpose(rows: [__m512i; 16]) -> [__m512i; 16] {
    // Within each 128 bits: pairs of rows, then fours. After this, register 4g + c of each four rows g has
    // the words c, c + 4, c + 8 and c + 12 of its rows, one of them in each 128 bits.
    let mut fours = rows;
    for g in 0..4 {
        let [r0, r1, r2, r3] = [4 * g, 4 * g + 1, 4 * g + 2, 4 * g + 3].map(|at| rows[at]);
        let low01 = _mm512_unpacklo_epi32(r0, r1);
        let high01 = _mm512_unpackhi_epi32(r0, r1);
        let low23 = _mm512_unpacklo_epi32(r2, r3);
        let high23 = _mm512_unpackhi_epi32(r2, r3);
        fours[4 * g] = _mm512_unpacklo_epi64(low01, low23);
        fours[4 * g + 1] = _mm512_unpackhi_epi64(low01, low23);
        fours[4 * g + 2] = _mm512_unpacklo_epi64(high01, high23);
        fours[4 * g + 3] = _mm512_unpackhi_epi64(high01, high23);
    }
    let mut columns = rows;
    for c in 0..4 {
        let words = quarters([fours[c], fours[4 + c], fours[8 + c], fours[12 + c]]);
        for (q, word) in words.into_iter().enumerate() {
            columns[4 * q + c] = word;
        }
    }
    columns
}

/// Of four registers, seen as four quarters of 128 bits each: all first quarters, all second ones, and so on.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn quarters([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    const EVEN: i32 = 0x88;
    const ODD: i32 = 0xdd;
    let even_ab = _mm512_shuffle_i32x4::<EVEN>(a, b);
    let odd_ab = _mm512_shuffle_i32x4::<ODD>(a, b);
    let even_cd = _mm512_shuffle_i32x4::<EVEN>(c, d);
    let odd_cd = _mm512_shuffle_i32x4::<ODD>(c, d);
    [
        _mm512_shuffle_i32x4::<EVEN>(even_ab, even_cd),
        _mm512_shuffle_i32x4::<EVEN>(odd_ab, odd_cd),
        _mm512_shuffle_i32x4::<ODD>(even_ab, even_cd),
        _mm512_shuffle_i32x4::<ODD>(odd_ab, odd_cd),
    ]
}

//! The SHA-512 compression function on eight messages at once.
#![allow(unsafe_code, reason = "vector loads and stores")]

use super::{CHOOSE, MAJORITY, PARITY};
use crate::crypto::sha2::Sha512State;
use crate::crypto::sha2::lanes::Lane;
use crate::simd::quarters;
use std::arch::x86_64::*;

/// Messages side by side.
const LANES: usize = 8;

type Lanes<'a> = [Lane<'a, Sha512State, 128>; LANES];

/// Compresses the first `blocks` blocks of each lane's message into its state; a lane with fewer takes all of
/// its own.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn compress(lanes: &mut Lanes<'_>, blocks: usize) {
    let mut state = load_states(lanes);
    for index in 0..blocks {
        let mut working: __mmask8 = 0;
        let mut halves = [[_mm512_setzero_si512(); 8]; 2];
        for (at, lane) in lanes.iter().enumerate() {
            if let Some(block) = lane.message.block(index) {
                let (first, second) = load_block(block);
                halves[0][at] = first;
                halves[1][at] = second;
                working |= 1 << at;
            }
        }
        let next = rounds(&state, transpose(halves));
        for (word, next) in state.iter_mut().zip(next) {
            *word = _mm512_mask_add_epi64(*word, working, *word, next);
        }
    }
    store_states(lanes, &state);
}

/// One block in every lane: the 80 rounds of FIPS 180-4 §6.4.2, without the final addition.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn rounds(state: &[__m512i; 8], mut w: [__m512i; 16]) -> [__m512i; 8] {
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    macro_rules! round {
        ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $k:expr, $i:literal) => {
            let key = _mm512_add_epi64(w[$i], _mm512_set1_epi64($k[$i] as i64));
            let choice = _mm512_ternarylogic_epi64::<CHOOSE>($e, $f, $g);
            let t1 = _mm512_add_epi64(
                _mm512_add_epi64($h, key),
                _mm512_add_epi64(big_sigma_1($e), choice),
            );
            let majority = _mm512_ternarylogic_epi64::<MAJORITY>($a, $b, $c);
            $d = _mm512_add_epi64($d, t1);
            $h = _mm512_add_epi64(t1, _mm512_add_epi64(big_sigma_0($a), majority));
        };
    }
    macro_rules! extend {
        ($($i:literal)*) => {$(
            w[$i] = _mm512_add_epi64(
                _mm512_add_epi64(w[$i], small_sigma_0(w[($i + 1) % 16])),
                _mm512_add_epi64(w[($i + 9) % 16], small_sigma_1(w[($i + 14) % 16])),
            );
        )*};
    }
    for (group, k) in ROUND_CONSTANTS.as_chunks::<16>().0.iter().enumerate() {
        if group > 0 {
            extend!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        }
        round!(a b c d e f g h, k, 0);
        round!(h a b c d e f g, k, 1);
        round!(g h a b c d e f, k, 2);
        round!(f g h a b c d e, k, 3);
        round!(e f g h a b c d, k, 4);
        round!(d e f g h a b c, k, 5);
        round!(c d e f g h a b, k, 6);
        round!(b c d e f g h a, k, 7);
        round!(a b c d e f g h, k, 8);
        round!(h a b c d e f g, k, 9);
        round!(g h a b c d e f, k, 10);
        round!(f g h a b c d e, k, 11);
        round!(e f g h a b c d, k, 12);
        round!(d e f g h a b c, k, 13);
        round!(c d e f g h a b, k, 14);
        round!(b c d e f g h a, k, 15);
    }
    [a, b, c, d, e, f, g, h]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn big_sigma_0(x: __m512i) -> __m512i {
    _mm512_ternarylogic_epi64::<PARITY>(
        _mm512_ror_epi64::<28>(x),
        _mm512_ror_epi64::<34>(x),
        _mm512_ror_epi64::<39>(x),
    )
}

#[inline]
#[target_feature(enable = "avx512f")]
fn big_sigma_1(x: __m512i) -> __m512i {
    _mm512_ternarylogic_epi64::<PARITY>(
        _mm512_ror_epi64::<14>(x),
        _mm512_ror_epi64::<18>(x),
        _mm512_ror_epi64::<41>(x),
    )
}

#[inline]
#[target_feature(enable = "avx512f")]
fn small_sigma_0(x: __m512i) -> __m512i {
    _mm512_ternarylogic_epi64::<PARITY>(
        _mm512_ror_epi64::<1>(x),
        _mm512_ror_epi64::<8>(x),
        _mm512_srli_epi64::<7>(x),
    )
}

#[inline]
#[target_feature(enable = "avx512f")]
fn small_sigma_1(x: __m512i) -> __m512i {
    _mm512_ternarylogic_epi64::<PARITY>(
        _mm512_ror_epi64::<19>(x),
        _mm512_ror_epi64::<61>(x),
        _mm512_srli_epi64::<6>(x),
    )
}

/// A block's sixteen words in the CPU's byte order, eight and eight.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn load_block(block: &[u8; 128]) -> (__m512i, __m512i) {
    let big_endian = _mm512_set4_epi32(0x0809_0a0b, 0x0c0d_0e0f, 0x0001_0203, 0x0405_0607);
    let (first, second) = block.split_at(64);
    // SAFETY: each slice is 64 readable bytes, and the load needs no alignment.
    let (first, second) = unsafe {
        (
            _mm512_loadu_si512(first.as_ptr().cast()),
            _mm512_loadu_si512(second.as_ptr().cast()),
        )
    };
    (
        _mm512_shuffle_epi8(first, big_endian),
        _mm512_shuffle_epi8(second, big_endian),
    )
}

/// Turns eight rows of two halves, one row a lane, into sixteen columns, one a word.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(halves: [[__m512i; 8]; 2]) -> [__m512i; 16] {
    let mut columns = [_mm512_setzero_si512(); 16];
    for (half, rows) in halves.into_iter().enumerate() {
        // Within each 128 bits: pairs of rows. Then the words q of the even ones, and of the odd ones.
        let [r0, r1, r2, r3, r4, r5, r6, r7] = rows;
        let even = quarters([
            _mm512_unpacklo_epi64(r0, r1),
            _mm512_unpacklo_epi64(r2, r3),
            _mm512_unpacklo_epi64(r4, r5),
            _mm512_unpacklo_epi64(r6, r7),
        ]);
        let odd = quarters([
            _mm512_unpackhi_epi64(r0, r1),
            _mm512_unpackhi_epi64(r2, r3),
            _mm512_unpackhi_epi64(r4, r5),
            _mm512_unpackhi_epi64(r6, r7),
        ]);
        for q in 0..4 {
            columns[8 * half + 2 * q] = even[q];
            columns[8 * half + 2 * q + 1] = odd[q];
        }
    }
    columns
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_states(lanes: &Lanes<'_>) -> [__m512i; 8] {
    std::array::from_fn(|word| {
        let column: [u64; LANES] = std::array::from_fn(|lane| lanes[lane].state[word]);
        // SAFETY: the array is 64 readable bytes, and the load needs no alignment.
        unsafe { _mm512_loadu_si512(column.as_ptr().cast()) }
    })
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_states(lanes: &mut Lanes<'_>, state: &[__m512i; 8]) {
    for (word, &register) in state.iter().enumerate() {
        let mut column = [0u64; LANES];
        // SAFETY: the array is 64 writable bytes, and the store needs no alignment.
        unsafe { _mm512_storeu_si512(column.as_mut_ptr().cast(), register) };
        for (lane, value) in lanes.iter_mut().zip(column) {
            lane.state[word] = value;
        }
    }
}

/// The first 64 bits of the fractional parts of the cube roots of the first 80 primes (FIPS 180-4 §4.2.3).
const ROUND_CONSTANTS: [u64; 80] = [
    0x428a_2f98_d728_ae22,
    0x7137_4491_23ef_65cd,
    0xb5c0_fbcf_ec4d_3b2f,
    0xe9b5_dba5_8189_dbbc,
    0x3956_c25b_f348_b538,
    0x59f1_11f1_b605_d019,
    0x923f_82a4_af19_4f9b,
    0xab1c_5ed5_da6d_8118,
    0xd807_aa98_a303_0242,
    0x1283_5b01_4570_6fbe,
    0x2431_85be_4ee4_b28c,
    0x550c_7dc3_d5ff_b4e2,
    0x72be_5d74_f27b_896f,
    0x80de_b1fe_3b16_96b1,
    0x9bdc_06a7_25c7_1235,
    0xc19b_f174_cf69_2694,
    0xe49b_69c1_9ef1_4ad2,
    0xefbe_4786_384f_25e3,
    0x0fc1_9dc6_8b8c_d5b5,
    0x240c_a1cc_77ac_9c65,
    0x2de9_2c6f_592b_0275,
    0x4a74_84aa_6ea6_e483,
    0x5cb0_a9dc_bd41_fbd4,
    0x76f9_88da_8311_53b5,
    0x983e_5152_ee66_dfab,
    0xa831_c66d_2db4_3210,
    0xb003_27c8_98fb_213f,
    0xbf59_7fc7_beef_0ee4,
    0xc6e0_0bf3_3da8_8fc2,
    0xd5a7_9147_930a_a725,
    0x06ca_6351_e003_826f,
    0x1429_2967_0a0e_6e70,
    0x27b7_0a85_46d2_2ffc,
    0x2e1b_2138_5c26_c926,
    0x4d2c_6dfc_5ac4_2aed,
    0x5338_0d13_9d95_b3df,
    0x650a_7354_8baf_63de,
    0x766a_0abb_3c77_b2a8,
    0x81c2_c92e_47ed_aee6,
    0x9272_2c85_1482_353b,
    0xa2bf_e8a1_4cf1_0364,
    0xa81a_664b_bc42_3001,
    0xc24b_8b70_d0f8_9791,
    0xc76c_51a3_0654_be30,
    0xd192_e819_d6ef_5218,
    0xd699_0624_5565_a910,
    0xf40e_3585_5771_202a,
    0x106a_a070_32bb_d1b8,
    0x19a4_c116_b8d2_d0c8,
    0x1e37_6c08_5141_ab53,
    0x2748_774c_df8e_eb99,
    0x34b0_bcb5_e19b_48a8,
    0x391c_0cb3_c5c9_5a63,
    0x4ed8_aa4a_e341_8acb,
    0x5b9c_ca4f_7763_e373,
    0x682e_6ff3_d6b2_b8a3,
    0x748f_82ee_5def_b2fc,
    0x78a5_636f_4317_2f60,
    0x84c8_7814_a1f0_ab72,
    0x8cc7_0208_1a64_39ec,
    0x90be_fffa_2363_1e28,
    0xa450_6ceb_de82_bde9,
    0xbef9_a3f7_b2c6_7915,
    0xc671_78f2_e372_532b,
    0xca27_3ece_ea26_619c,
    0xd186_b8c7_21c0_c207,
    0xeada_7dd6_cde0_eb1e,
    0xf57d_4f7f_ee6e_d178,
    0x06f0_67aa_7217_6fba,
    0x0a63_7dc5_a2c8_98a6,
    0x113f_9804_bef9_0dae,
    0x1b71_0b35_131c_471b,
    0x28db_77f5_2304_7d84,
    0x32ca_ab7b_40c7_2493,
    0x3c9e_be0a_15c9_bebc,
    0x431d_67c4_9c10_0d4c,
    0x4cc5_d4be_cb3e_42b6,
    0x597f_299c_fc65_7e2a,
    0x5fcb_6fab_3ad6_faec,
    0x6c44_198c_4a47_5817,
];

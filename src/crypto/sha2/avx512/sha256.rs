//! The SHA-256 compression function on sixteen messages at once.
#![allow(unsafe_code, reason = "vector loads and stores")]

use super::{CHOOSE, MAJORITY, PARITY};
use crate::crypto::sha2::Sha256State;
use crate::crypto::sha2::lanes::Lane;
use crate::simd::transpose;
use std::arch::x86_64::*;

/// Messages side by side.
const LANES: usize = 16;

type Lanes<'a> = [Lane<'a, Sha256State, 64>; LANES];

/// Compresses the first `blocks` blocks of each lane's message into its state; a lane with fewer takes all of
/// its own.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn compress(lanes: &mut Lanes<'_>, blocks: usize) {
    let mut state = load_states(lanes);
    for index in 0..blocks {
        let mut working: __mmask16 = 0;
        let mut words = [_mm512_setzero_si512(); 16];
        for (at, lane) in lanes.iter().enumerate() {
            if let Some(block) = lane.message.block(index) {
                words[at] = load_block(block);
                working |= 1 << at;
            }
        }
        let next = rounds(&state, transpose(words));
        for (word, next) in state.iter_mut().zip(next) {
            *word = _mm512_mask_add_epi32(*word, working, *word, next);
        }
    }
    store_states(lanes, &state);
}

/// One block in every lane: the 64 rounds of FIPS 180-4 §6.2.2, without the final addition.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn rounds(state: &[__m512i; 8], mut w: [__m512i; 16]) -> [__m512i; 8] {
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    macro_rules! round {
        ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $k:expr, $i:literal) => {
            let key = _mm512_add_epi32(w[$i], _mm512_set1_epi32($k[$i] as i32));
            let choice = _mm512_ternarylogic_epi32::<CHOOSE>($e, $f, $g);
            let t1 = _mm512_add_epi32(
                _mm512_add_epi32($h, key),
                _mm512_add_epi32(big_sigma_1($e), choice),
            );
            let majority = _mm512_ternarylogic_epi32::<MAJORITY>($a, $b, $c);
            $d = _mm512_add_epi32($d, t1);
            $h = _mm512_add_epi32(t1, _mm512_add_epi32(big_sigma_0($a), majority));
        };
    }
    macro_rules! extend {
        ($($i:literal)*) => {$(
            w[$i] = _mm512_add_epi32(
                _mm512_add_epi32(w[$i], small_sigma_0(w[($i + 1) % 16])),
                _mm512_add_epi32(w[($i + 9) % 16], small_sigma_1(w[($i + 14) % 16])),
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
    _mm512_ternarylogic_epi32::<PARITY>(
        _mm512_ror_epi32::<2>(x),
        _mm512_ror_epi32::<13>(x),
        _mm512_ror_epi32::<22>(x),
    )
}

#[inline]
#[target_feature(enable = "avx512f")]
fn big_sigma_1(x: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<PARITY>(
        _mm512_ror_epi32::<6>(x),
        _mm512_ror_epi32::<11>(x),
        _mm512_ror_epi32::<25>(x),
    )
}

#[inline]
#[target_feature(enable = "avx512f")]
fn small_sigma_0(x: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<PARITY>(
        _mm512_ror_epi32::<7>(x),
        _mm512_ror_epi32::<18>(x),
        _mm512_srli_epi32::<3>(x),
    )
}

#[inline]
#[target_feature(enable = "avx512f")]
fn small_sigma_1(x: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<PARITY>(
        _mm512_ror_epi32::<17>(x),
        _mm512_ror_epi32::<19>(x),
        _mm512_srli_epi32::<10>(x),
    )
}

/// A block's sixteen words in the CPU's byte order.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn load_block(block: &[u8; 64]) -> __m512i {
    // SAFETY: the reference is to 64 readable bytes, and the load needs no alignment.
    let bytes = unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
    let big_endian = _mm512_set4_epi32(0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203);
    _mm512_shuffle_epi8(bytes, big_endian)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_states(lanes: &Lanes<'_>) -> [__m512i; 8] {
    std::array::from_fn(|word| {
        let column: [u32; LANES] = std::array::from_fn(|lane| lanes[lane].state[word]);
        // SAFETY: the array is 64 readable bytes, and the load needs no alignment.
        unsafe { _mm512_loadu_si512(column.as_ptr().cast()) }
    })
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_states(lanes: &mut Lanes<'_>, state: &[__m512i; 8]) {
    for (word, &register) in state.iter().enumerate() {
        let mut column = [0u32; LANES];
        // SAFETY: the array is 64 writable bytes, and the store needs no alignment.
        unsafe { _mm512_storeu_si512(column.as_mut_ptr().cast(), register) };
        for (lane, value) in lanes.iter_mut().zip(column) {
            lane.state[word] = value;
        }
    }
}

/// The first 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4 §4.2.2).
const ROUND_CONSTANTS: [u32; 64] = [
    0x428a_2f98,
    0x7137_4491,
    0xb5c0_fbcf,
    0xe9b5_dba5,
    0x3956_c25b,
    0x59f1_11f1,
    0x923f_82a4,
    0xab1c_5ed5,
    0xd807_aa98,
    0x1283_5b01,
    0x2431_85be,
    0x550c_7dc3,
    0x72be_5d74,
    0x80de_b1fe,
    0x9bdc_06a7,
    0xc19b_f174,
    0xe49b_69c1,
    0xefbe_4786,
    0x0fc1_9dc6,
    0x240c_a1cc,
    0x2de9_2c6f,
    0x4a74_84aa,
    0x5cb0_a9dc,
    0x76f9_88da,
    0x983e_5152,
    0xa831_c66d,
    0xb003_27c8,
    0xbf59_7fc7,
    0xc6e0_0bf3,
    0xd5a7_9147,
    0x06ca_6351,
    0x1429_2967,
    0x27b7_0a85,
    0x2e1b_2138,
    0x4d2c_6dfc,
    0x5338_0d13,
    0x650a_7354,
    0x766a_0abb,
    0x81c2_c92e,
    0x9272_2c85,
    0xa2bf_e8a1,
    0xa81a_664b,
    0xc24b_8b70,
    0xc76c_51a3,
    0xd192_e819,
    0xd699_0624,
    0xf40e_3585,
    0x106a_a070,
    0x19a4_c116,
    0x1e37_6c08,
    0x2748_774c,
    0x34b0_bcb5,
    0x391c_0cb3,
    0x4ed8_aa4a,
    0x5b9c_ca4f,
    0x682e_6ff3,
    0x748f_82ee,
    0x78a5_636f,
    0x84c8_7814,
    0x8cc7_0208,
    0x90be_fffa,
    0xa450_6ceb,
    0xbef9_a3f7,
    0xc671_78f2,
];

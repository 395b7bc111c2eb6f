//! Sixty-four characters at once (W. Muła and D. Lemire, "Base64 encoding and decoding at almost the speed of
//! a memory copy", 2019): one permutation looks all of them up, two multiply-adds join their sextets, and
//! another permutation puts the octets in order.
#![allow(
    unsafe_code,
    reason = "the entry into code compiled for AVX-512; masked loads and stores into spare capacity"
)]

use super::{ALPHABET, Broken, decoded_len};
use crate::simd::Avx512Vbmi;
use std::arch::x86_64::*;

/// Characters looked at together.
const BLOCK: usize = 64;

/// Octets that a block encodes.
const BLOCK_OCTETS: usize = 48;

/// Bytes of the alphabet that `text` begins with.
#[inline]
pub(super) fn alphabet_len(_cpu: Avx512Vbmi, text: &[u8]) -> usize {
    // SAFETY: the function asks for what `_cpu` proves.
    unsafe { alphabet_len_in_lanes(text) }
}

/// Appends the octets that `text` encodes; where it is broken, `out` is as it was.
#[inline]
pub(super) fn decode_appending(
    _cpu: Avx512Vbmi,
    text: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Broken> {
    // SAFETY: the function asks for what `_cpu` proves.
    unsafe { decode_in_lanes(text, out) }
}

/// The sextet of each character below 128; those outside the alphabet have the top bit.
static SEXTETS: [u8; 128] = {
    let mut table = [OUTSIDE; 128];
    let mut sextet = 0;
    while sextet < 64 {
        table[ALPHABET[sextet] as usize] = sextet as u8;
        sextet += 1;
    }
    table
};

const OUTSIDE: u8 = 0x80;

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn alphabet_len_in_lanes(text: &[u8]) -> usize {
    let mut at = 0;
    while at < text.len() {
        let block = &text[at..];
        // What lies beyond the end reads as zeros, which are not of the alphabet.
        let (_, foreign) = look_up(load(block, _mm512_setzero_si512()));
        if foreign != 0 {
            return at + (foreign.trailing_zeros() as usize).min(block.len());
        }
        at += BLOCK;
    }
    text.len()
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn decode_in_lanes(text: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
    if text.len() % 4 == 1 {
        return Err(Broken);
    }
    let before = out.len();
    let octets = decoded_len(text.len());
    // Whole registers are stored, also for the last block.
    out.reserve(octets + BLOCK);
    let zeros = _mm512_set1_epi8(b'A' as i8);
    let mut foreign = 0;
    // Octets beyond the last: they came from `A`s, which are zero, or from trailing bits.
    let mut spare = 0;
    let mut stored = 0;
    for block in text.chunks(BLOCK) {
        let (sextets, outside) = look_up(load(block, zeros));
        foreign |= outside;
        let block_octets = join(sextets);
        spare = _mm512_test_epi8_mask(block_octets, block_octets) >> decoded_len(block.len());
        // SAFETY: `stored` is at most `octets`, and a register's length more than that was reserved.
        unsafe {
            let place = out.as_mut_ptr().add(before + stored);
            _mm512_storeu_si512(place.cast(), block_octets);
        }
        stored += BLOCK_OCTETS.min(decoded_len(block.len()));
    }
    if foreign != 0 || spare != 0 {
        return Err(Broken);
    }
    debug_assert_eq!(stored, octets);
    // SAFETY: the blocks have stored this many octets from `before` on, within the capacity reserved.
    unsafe { out.set_len(before + stored) };
    Ok(())
}

/// The first characters of `text`, as many as there are of a block's; `filling` in place of the others.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn load(text: &[u8], filling: __m512i) -> __m512i {
    let present = match text.len() {
        0..BLOCK => (1 << text.len()) - 1,
        _ => u64::MAX,
    };
    // SAFETY: only bytes of the mask are read, and those are the text's.
    unsafe { _mm512_mask_loadu_epi8(filling, present, text.as_ptr().cast()) }
}

/// The sextet of each character, and which are none.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn look_up(characters: __m512i) -> (__m512i, u64) {
    let (low, high) = SEXTETS.split_at(BLOCK);
    let nothing = _mm512_setzero_si512();
    let sextets = _mm512_permutex2var_epi8(load(low, nothing), characters, load(high, nothing));
    // The look-up ignores the top bit of a character, so a character that has it is foreign by itself.
    let foreign = _mm512_movepi8_mask(_mm512_or_si512(sextets, characters));
    (sextets, foreign)
}

/// The 48 octets of 64 sextets, and sixteen zeros.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn join(sextets: __m512i) -> __m512i {
    // a * 64 + b of each pair, then (a, b) * 4096 + (c, d) of each group of four.
    let pairs = _mm512_maddubs_epi16(sextets, _mm512_set1_epi32(0x0140_0140));
    let groups = _mm512_madd_epi16(pairs, _mm512_set1_epi32(0x0001_1000));
    let order = load(&ORDER, _mm512_setzero_si512());
    _mm512_maskz_permutexvar_epi8((1 << BLOCK_OCTETS) - 1, order, groups)
}

/// Where each octet of a block stands among the groups: the low three bytes of each, the highest first.
static ORDER: [u8; BLOCK_OCTETS] = {
    let mut order = [0; BLOCK_OCTETS];
    let mut octet = 0;
    while octet < BLOCK_OCTETS {
        order[octet] = (octet / 3 * 4 + 2 - octet % 3) as u8;
        octet += 1;
    }
    order
};

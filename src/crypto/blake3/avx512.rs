//! BLAKE3's compression function on sixteen chunks at once: word `i` of every chunk in one register.
//!
//! Each lane is a chunk of its own, and no instruction mixes lanes but those that turn blocks into columns of
//! words and back. A lane whose chunk has ended keeps its value.
#![allow(
    unsafe_code,
    reason = "the entry into code compiled for AVX-512; loads and stores"
)]

use super::lanes::{BLOCK_BYTES, Chunk, LANES};
use crate::simd::{Avx512, transpose};
use std::arch::x86_64::*;

/// The chaining value of each chunk, or the digest where the chunk is the whole message.
pub(super) fn chunk_values(
    _cpu: Avx512,
    secret: &[u8; 32],
    chunks: &[Chunk<'_>; LANES],
) -> [[u8; 32]; LANES] {
    // SAFETY: `compress` asks for AVX-512 F and BW, which `_cpu` proves.
    unsafe { compress(secret, chunks) }
}

/// The flags of the BLAKE3 paper (§2).
const CHUNK_START: i32 = 1;
const CHUNK_END: i32 = 1 << 1;
const ROOT: i32 = 1 << 3;
const KEYED_HASH: i32 = 1 << 4;

/// The first four words of the state's lower half (BLAKE3 paper §2): those of SHA-256.
const IV: [u32; 4] = [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a];

#[target_feature(enable = "avx512f,avx512bw")]
fn compress(secret: &[u8; 32], chunks: &[Chunk<'_>; LANES]) -> [[u8; 32]; LANES] {
    let (key, _) = secret.as_chunks();
    let mut value: [__m512i; 8] =
        std::array::from_fn(|word| _mm512_set1_epi32(i32::from_le_bytes(key[word])));
    let counters = column(|lane| chunks[lane].counter as i32);
    let bytes = column(|lane| chunks[lane].body.len() as i32);
    let end_flags = column(|lane| match chunks[lane].is_root {
        true => CHUNK_END | ROOT,
        false => CHUNK_END,
    });
    let longest = chunks
        .iter()
        .map(|chunk| chunk.body.len())
        .max()
        .unwrap_or(0);
    // An empty chunk too has a block.
    for index in 0..longest.div_ceil(BLOCK_BYTES).max(1) {
        let mut rows = [_mm512_setzero_si512(); LANES];
        for (row, chunk) in rows.iter_mut().zip(chunks) {
            *row = load(chunk.body, index * BLOCK_BYTES);
        }
        let before = _mm512_set1_epi32((index * BLOCK_BYTES) as i32);
        let block = _mm512_set1_epi32(BLOCK_BYTES as i32);
        let left = _mm512_sub_epi32(bytes, before);
        let working = match index {
            0 => __mmask16::MAX,
            _ => _mm512_cmpgt_epi32_mask(left, _mm512_setzero_si512()),
        };
        let ending = _mm512_cmple_epi32_mask(left, block);
        let flags = _mm512_set1_epi32(match index {
            0 => KEYED_HASH | CHUNK_START,
            _ => KEYED_HASH,
        });
        let state = rounds(
            [
                value[0],
                value[1],
                value[2],
                value[3],
                value[4],
                value[5],
                value[6],
                value[7],
                _mm512_set1_epi32(IV[0] as i32),
                _mm512_set1_epi32(IV[1] as i32),
                _mm512_set1_epi32(IV[2] as i32),
                _mm512_set1_epi32(IV[3] as i32),
                counters,
                // The counter's upper half.
                _mm512_setzero_si512(),
                _mm512_min_epi32(left, block),
                _mm512_mask_or_epi32(flags, ending, flags, end_flags),
            ],
            &transpose(rows),
        );
        for (word, value) in value.iter_mut().enumerate() {
            *value = _mm512_mask_xor_epi32(*value, working, state[word], state[word + 8]);
        }
    }
    store_values(value)
}

/// The seven rounds on a state (BLAKE3 paper §2), the message words of each in the order that the permutation,
/// repeated, gives.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn rounds(mut v: [__m512i; 16], m: &[__m512i; 16]) -> [__m512i; 16] {
    macro_rules! mix {
        ($a:literal $b:literal $c:literal $d:literal, $x:literal $y:literal) => {
            v[$a] = _mm512_add_epi32(_mm512_add_epi32(v[$a], m[$x]), v[$b]);
            v[$d] = _mm512_ror_epi32::<16>(_mm512_xor_si512(v[$d], v[$a]));
            v[$c] = _mm512_add_epi32(v[$c], v[$d]);
            v[$b] = _mm512_ror_epi32::<12>(_mm512_xor_si512(v[$b], v[$c]));
            v[$a] = _mm512_add_epi32(_mm512_add_epi32(v[$a], m[$y]), v[$b]);
            v[$d] = _mm512_ror_epi32::<8>(_mm512_xor_si512(v[$d], v[$a]));
            v[$c] = _mm512_add_epi32(v[$c], v[$d]);
            v[$b] = _mm512_ror_epi32::<7>(_mm512_xor_si512(v[$b], v[$c]));
        };
    }
    macro_rules! round {
        ($m0:literal $m1:literal $m2:literal $m3:literal $m4:literal $m5:literal $m6:literal $m7:literal
         $m8:literal $m9:literal $m10:literal $m11:literal $m12:literal $m13:literal $m14:literal $m15:literal) => {
            mix!(0 4 8 12, $m0 $m1);
            mix!(1 5 9 13, $m2 $m3);
            mix!(2 6 10 14, $m4 $m5);
            mix!(3 7 11 15, $m6 $m7);
            mix!(0 5 10 15, $m8 $m9);
            mix!(1 6 11 12, $m10 $m11);
            mix!(2 7 8 13, $m12 $m13);
            mix!(3 4 9 14, $m14 $m15);
        };
    }
    round!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    round!(2 6 3 10 7 0 4 13 1 11 12 5 9 14 15 8);
    round!(3 4 10 12 13 2 7 14 6 5 9 0 11 15 8 1);
    round!(10 7 12 9 14 3 13 15 4 0 11 2 5 8 1 6);
    round!(12 13 9 11 15 10 14 8 7 2 5 3 0 1 6 4);
    round!(9 14 11 5 8 12 15 1 13 3 0 10 2 6 4 7);
    round!(11 15 5 0 1 9 8 6 14 10 2 12 3 4 7 13);
    v
}

/// Up to 64 bytes from `start`, filled up with zeros.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn load(bytes: &[u8], start: usize) -> __m512i {
    // An empty mask would do, but the CPU is slow about masked bytes of a page that does not exist.
    let Some(bytes) = bytes.get(start..).filter(|bytes| !bytes.is_empty()) else {
        return _mm512_setzero_si512();
    };
    match bytes.first_chunk::<BLOCK_BYTES>() {
        // SAFETY: the reference is to 64 readable bytes, and the load needs no alignment.
        Some(block) => unsafe { _mm512_loadu_si512(block.as_ptr().cast()) },
        None => {
            let present: __mmask64 = (1 << bytes.len()) - 1;
            // SAFETY: the mask admits the slice's own bytes only, and the load touches no others.
            unsafe { _mm512_maskz_loadu_epi8(present, bytes.as_ptr().cast()) }
        }
    }
}

/// A word of every lane.
#[inline]
#[target_feature(enable = "avx512f")]
fn column(word: impl Fn(usize) -> i32) -> __m512i {
    let column: [i32; LANES] = std::array::from_fn(word);
    // SAFETY: the array is 64 readable bytes, and the load needs no alignment.
    unsafe { _mm512_loadu_si512(column.as_ptr().cast()) }
}

/// Turns eight columns of words into a value for each lane.
#[inline]
#[target_feature(enable = "avx512f")]
fn store_values(columns: [__m512i; 8]) -> [[u8; 32]; LANES] {
    let mut rows = [_mm512_setzero_si512(); 16];
    rows[..8].copy_from_slice(&columns);
    let mut values = [[0; 32]; LANES];
    for (value, row) in values.iter_mut().zip(transpose(rows)) {
        // SAFETY: the array is 32 writable bytes, and the store needs no alignment.
        unsafe { _mm256_storeu_si256(value.as_mut_ptr().cast(), _mm512_castsi512_si256(row)) };
    }
    values
}

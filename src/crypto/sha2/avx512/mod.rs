//! SHA-2 on several messages at once: word `i` of every message in one register.
//!
//! Each lane is a message of its own, and no instruction mixes lanes but those that turn blocks into columns
//! of words. A lane whose message has ended keeps its state.
#![allow(unsafe_code, reason = "the entry into code compiled for AVX-512")]

mod sha256;
mod sha512;

use super::lanes::Lane;
use super::{Sha256State, Sha512State};
use crate::simd::Avx512;

/// SHA-256 of sixteen messages.
pub(super) fn sha256(_cpu: Avx512, lanes: &mut [Lane<'_, Sha256State, 64>; 16], blocks: usize) {
    // SAFETY: `compress` asks for AVX-512 F and BW, which `_cpu` proves.
    unsafe { sha256::compress(lanes, blocks) }
}

/// SHA-512 of eight messages.
pub(super) fn sha512(_cpu: Avx512, lanes: &mut [Lane<'_, Sha512State, 128>; 8], blocks: usize) {
    // SAFETY: `compress` asks for AVX-512 F and BW, which `_cpu` proves.
    unsafe { sha512::compress(lanes, blocks) }
}

/// Truth tables of three inputs for `vpternlog`: bit `4x + 2y + z` is the function's value.
const CHOOSE: i32 = 0xca;
const MAJORITY: i32 = 0xe8;
const PARITY: i32 = 0x96;

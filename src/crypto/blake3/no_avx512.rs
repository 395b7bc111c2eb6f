//! Stands in for [`avx512`](super::avx512) on other architectures: it cannot be called, for want of a witness.
#![forbid(unsafe_code)]

use super::lanes::{Chunk, LANES};
use crate::simd::Avx512;

pub(super) fn chunk_values(cpu: Avx512, _: &[u8; 32], _: &[Chunk<'_>; LANES]) -> [[u8; 32]; LANES] {
    cpu.impossible()
}

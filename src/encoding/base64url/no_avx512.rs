//! Stands in for [`avx512`](super::avx512) on other architectures: it cannot be called, for want of a witness.

use super::Broken;
use crate::simd::Avx512Vbmi;

pub(super) fn alphabet_len(cpu: Avx512Vbmi, _: &[u8]) -> usize {
    cpu.impossible()
}

pub(super) fn decode_appending(cpu: Avx512Vbmi, _: &[u8], _: &mut Vec<u8>) -> Result<(), Broken> {
    cpu.impossible()
}

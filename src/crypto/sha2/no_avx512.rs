//! Stands in for [`avx512`](super::avx512) on other architectures: it cannot be called, for want of a witness.
#![forbid(unsafe_code)]

use super::lanes::Lane;
use super::{Sha256State, Sha512State};
use crate::simd::Avx512;

pub(super) fn sha256(cpu: Avx512, _: &mut [Lane<'_, Sha256State, 64>; 16], _: usize) {
    cpu.impossible()
}

pub(super) fn sha512(cpu: Avx512, _: &mut [Lane<'_, Sha512State, 128>; 8], _: usize) {
    cpu.impossible()
}

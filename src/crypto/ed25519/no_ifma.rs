//! Stands in for [`ifma`](super::ifma) on other architectures: it cannot be called, for want of a witness.
#![forbid(unsafe_code)]

use super::table::Table;
use super::verify::{Claim, Finding};
use crate::simd::Avx512Ifma;

pub(super) fn verify(cpu: Avx512Ifma, _: &Table, _: &[Claim<'_>], _: &mut [Finding]) {
    cpu.impossible()
}

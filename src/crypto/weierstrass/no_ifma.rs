//! Stands in for [`ifma`](super::ifma) on other architectures: it cannot be called, for want of a witness.
#![forbid(unsafe_code)]

use super::curve::Curve;
use super::table::Table;
use super::verify::{Claim, Finding, Order};
use crate::simd::Avx512Ifma;

pub(super) fn verify<C: Curve<W>, const W: usize>(
    cpu: Avx512Ifma,
    _: &Table<W>,
    _: &[Claim<'_, W>],
    _: Order,
    _: &mut [Finding],
) {
    cpu.impossible()
}

//! Stands in for [`ifma`](super::ifma) on other architectures: it cannot be called, for want of a witness.
#![forbid(unsafe_code)]

use super::block::Block;
use super::montgomery::{Modulus, Scratch};
use crate::simd::Avx512Ifma;

pub(super) fn square_times(
    cpu: Avx512Ifma,
    _: Modulus<'_>,
    _: usize,
    _: &mut [Block],
    _: &mut Scratch,
) {
    cpu.impossible()
}

pub(super) fn multiply(
    cpu: Avx512Ifma,
    _: Modulus<'_>,
    _: &[Block],
    _: &[Block],
    _: &mut Scratch,
    _: &mut [Block],
) {
    cpu.impossible()
}

pub(super) fn multiply_short(
    cpu: Avx512Ifma,
    _: Modulus<'_>,
    _: &Block,
    _: &[Block],
    _: &[Block],
    _: &mut [Block],
) {
    cpu.impossible()
}

pub(super) fn subtract_modulus(cpu: Avx512Ifma, _: Modulus<'_>, _: &mut [Block], _: &mut Scratch) {
    cpu.impossible()
}

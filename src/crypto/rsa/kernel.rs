//! Which lanes compute, as a value: each operation of [`montgomery`](super::montgomery), over the lanes chosen.
#![forbid(unsafe_code)]

use super::block::Block;
use super::ifma;
use super::lanes::LANES_MAX;
#[cfg(test)]
use super::montgomery;
use super::montgomery::{Modulus, Scratch};
use crate::simd::Avx512Ifma;

/// A way to verify. Holding a value means that this CPU can do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::crypto) enum Kernel {
    /// Eight lanes.
    Ifma(Avx512Ifma),
    /// The first lane alone: the plain model of [`Self::Ifma`].
    #[cfg(test)]
    Model,
}

impl Kernel {
    /// The kernel of this CPU; without one, the reference verifies.
    pub(in crate::crypto) fn detect() -> Option<Self> {
        Avx512Ifma::detect().map(Self::Ifma)
    }

    /// How many signatures it takes at a time.
    pub(super) const fn lanes(self) -> usize {
        match self {
            Self::Ifma(_) => LANES_MAX,
            #[cfg(test)]
            Self::Model => 1,
        }
    }

    /// Every kernel this CPU can run.
    #[cfg(test)]
    pub(in crate::crypto) fn available() -> Vec<Self> {
        let mut kernels = vec![Self::Model];
        kernels.extend(Self::detect());
        kernels
    }
    /// Squares a number so many times, each time divided by R.
    pub(super) fn square_times(
        self,
        modulus: Modulus<'_>,
        times: usize,
        number: &mut [Block],
        scratch: &mut Scratch,
    ) {
        match self {
            Self::Ifma(cpu) => ifma::square_times(cpu, modulus, times, number, scratch),
            #[cfg(test)]
            Self::Model => {
                montgomery::square_times::<u64>(modulus, times, number, scratch);
            }
        }
    }

    /// `product = a b / R`.
    pub(super) fn multiply(
        self,
        modulus: Modulus<'_>,
        a: &[Block],
        b: &[Block],
        scratch: &mut Scratch,
        product: &mut [Block],
    ) {
        match self {
            Self::Ifma(cpu) => ifma::multiply(cpu, modulus, a, b, scratch, product),
            #[cfg(test)]
            Self::Model => montgomery::multiply::<u64>(modulus, a, b, scratch, product),
        }
    }

    /// `sum = a b / 2^520 + c`.
    pub(super) fn multiply_short(
        self,
        modulus: Modulus<'_>,
        a: &Block,
        b: &[Block],
        c: &[Block],
        sum: &mut [Block],
    ) {
        match self {
            Self::Ifma(cpu) => ifma::multiply_short(cpu, modulus, a, b, c, sum),
            #[cfg(test)]
            Self::Model => montgomery::multiply_short::<u64>(modulus, a, b, c, sum),
        }
    }

    /// Subtracts n from the numbers that are not below it, once.
    pub(super) fn subtract_modulus(
        self,
        modulus: Modulus<'_>,
        number: &mut [Block],
        scratch: &mut Scratch,
    ) {
        match self {
            Self::Ifma(cpu) => ifma::subtract_modulus(cpu, modulus, number, scratch),
            #[cfg(test)]
            Self::Model => montgomery::subtract_modulus::<u64>(modulus, number, scratch),
        }
    }
}

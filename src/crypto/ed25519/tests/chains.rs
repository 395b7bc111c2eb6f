//! Long chains of field operations in words and in limbs, held against each other: the two have nothing in common but
//! the modulus, and what goes wrong in one step stays wrong to the end.

use super::arithmetic::{gathered, scattered};
use super::{Dice, P};
use crate::crypto::ed25519::edwards::Field;
use crate::crypto::ed25519::field::Element;
use crate::crypto::ed25519::lanes::Words;
use crate::crypto::tests::soak;

/// Steps of a chain: so few that numbers at the edges, which begin each, are met often.
const STEPS: usize = 64;

/// What a step of [`chain`] does, in lanes alike: two products, a sum and a difference.
const OPERATIONS: usize = 4;

/// How many operations are held against each other.
const CHAIN_OPERATIONS: usize = 24_000_000;

/// From `x` and `y`, again and again: `x y - x^2` and `x y + x^2`.
#[inline(always)]
pub(in crate::crypto::ed25519) fn chain<F: Field>(x: &[Words; 8], y: &[Words; 8]) -> [Words; 8] {
    let (mut x, mut y) = (gathered::<F>(x), gathered::<F>(y));
    for _ in 0..STEPS {
        let product = F::raised_product(x, y);
        let square = F::product(x, x);
        x = F::difference(product, square);
        y = F::sum(product, square);
    }
    scattered::<F>(x)
}

/// Checks K-03.
#[test]
fn long_chains_end_alike() {
    let mut dice = Dice::new(soak::seed(13));
    for _ in 0..soak::cases(CHAIN_OPERATIONS / (8 * STEPS * OPERATIONS)) {
        let [x, y]: [[Words; 8]; 2] =
            std::array::from_fn(|_| std::array::from_fn(|_| dice.residue(P)));
        let words = one_by_one::<Element>(&x, &y);
        assert_eq!(in_limbs(&x, &y), words, "{x:x?} {y:x?}");
    }
}

/// By the vectors, or by their model where this CPU has none.
fn in_limbs(x: &[Words; 8], y: &[Words; 8]) -> [Words; 8] {
    #[cfg(target_arch = "x86_64")]
    if let Some(cpu) = crate::simd::Avx512Ifma::detect() {
        return crate::crypto::ed25519::ifma::chain(cpu, x, y);
    }
    one_by_one::<crate::crypto::ed25519::limbs::Product<u64>>(x, y)
}

/// For fields of one lane.
fn one_by_one<F: Field>(x: &[Words; 8], y: &[Words; 8]) -> [Words; 8] {
    std::array::from_fn(|lane| {
        let [end, ..] = chain::<F>(&[x[lane]; 8], &[y[lane]; 8]);
        end
    })
}

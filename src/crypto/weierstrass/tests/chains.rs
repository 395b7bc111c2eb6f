//! Long chains of field operations in words and in limbs, held against each other: the two have nothing in common but
//! the modulus, and what goes wrong in one step stays wrong to the end.

use super::{Dice, Tested};
use crate::crypto::tests::soak;
use crate::crypto::weierstrass::field::{Coordinate, Residues};
use crate::crypto::weierstrass::portable::Element;

on_every_curve! {
    long_chains_end_alike
}

/// Eight numbers side by side, whatever the lanes.
pub(in crate::crypto::weierstrass) type Eight<const W: usize> = [[u64; W]; 8];

/// Steps of a chain: so few that numbers at the edges, which begin each, are met often.
const STEPS: usize = 64;

/// What a step of [`chain`] does, in lanes alike: two products, each brought back to plain form by another, a sum and
/// a difference.
const OPERATIONS: usize = 6;

/// What a step of [`sums`] does: as above without the difference.
const OPERATIONS_OF_SUMS: usize = 5;

/// From `x` and `y`, again and again: `x y - x^2` and `x y + x^2`.
#[inline(always)]
pub(in crate::crypto::weierstrass) fn chain<F: Coordinate + Residues<W>, const W: usize>(
    x: &Eight<W>,
    y: &Eight<W>,
) -> Eight<W> {
    // A Montgomery product is a plain one by R, which another with R^2 brings back: so fields of any R agree.
    let plain = F::splat(F::RADIX_SQUARED);
    let (mut x, mut y) = (F::gather(x), F::gather(y));
    for _ in 0..STEPS {
        let product = F::product(F::multiply(x, y), plain);
        let square = F::product(F::square(x).carried(), plain);
        x = product.minus(square).carried_any();
        y = product.plus(square).carried();
    }
    let mut ends = [[0; W]; 8];
    F::scatter(x, &mut ends);
    ends
}

/// From `x` and `y`, again and again: `x y + x^2` and `x y`. For the scalars, which are never subtracted.
#[inline(always)]
pub(in crate::crypto::weierstrass) fn sums<F: Residues<W>, const W: usize>(
    x: &Eight<W>,
    y: &Eight<W>,
) -> Eight<W> {
    let plain = F::splat(F::RADIX_SQUARED);
    let (mut x, mut y) = (F::gather(x), F::gather(y));
    for _ in 0..STEPS {
        let product = F::product(F::multiply(x, y), plain);
        let square = F::product(F::square(x).carried(), plain);
        x = product.plus(square).carried();
        y = product.carried();
    }
    let mut ends = [[0; W]; 8];
    F::scatter(x, &mut ends);
    ends
}

/// Checks K-03.
fn long_chains_end_alike<C: Tested<W>, const W: usize>() {
    let mut dice = Dice::new(soak::seed(13));
    for _ in 0..soak::cases(C::CHAIN_OPERATIONS / (8 * STEPS * OPERATIONS)) {
        let [x, y]: [Eight<W>; 2] =
            std::array::from_fn(|_| std::array::from_fn(|_| dice.residue::<C::Prime, W>()));
        let words = one_by_one(&x, &y, chain::<Element<C::Prime, W>, W>);
        assert_eq!(in_limbs::<C, W>(&x, &y, false), words, "{x:x?} {y:x?}");
    }
    for _ in 0..soak::cases(C::CHAIN_OPERATIONS / (8 * STEPS * OPERATIONS_OF_SUMS)) {
        let [x, y]: [Eight<W>; 2] =
            std::array::from_fn(|_| std::array::from_fn(|_| dice.residue::<C::Order, W>()));
        let words = one_by_one(&x, &y, sums::<Element<C::Order, W>, W>);
        assert_eq!(in_limbs::<C, W>(&x, &y, true), words, "{x:x?} {y:x?}");
    }
}

/// By the vectors, or by their model where this CPU has none.
fn in_limbs<C: Tested<W>, const W: usize>(x: &Eight<W>, y: &Eight<W>, of_order: bool) -> Eight<W> {
    #[cfg(target_arch = "x86_64")]
    if let Some(cpu) = crate::simd::Avx512Ifma::detect() {
        return crate::crypto::weierstrass::ifma::chain::<C, W>(cpu, x, y, of_order);
    }
    if of_order {
        one_by_one(x, y, sums::<C::Scalars<u64>, W>)
    } else {
        one_by_one(x, y, chain::<C::Coordinates<u64>, W>)
    }
}

/// For fields of one lane.
fn one_by_one<const W: usize>(
    x: &Eight<W>,
    y: &Eight<W>,
    chain: impl Fn(&Eight<W>, &Eight<W>) -> Eight<W>,
) -> Eight<W> {
    std::array::from_fn(|lane| {
        let [end, ..] = chain(&[x[lane]; 8], &[y[lane]; 8]);
        end
    })
}

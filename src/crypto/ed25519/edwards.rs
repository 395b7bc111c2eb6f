//! Sums of table points on edwards25519, in lanes.
//!
//! The curve has a = -1, which is a square, and a d that is not: its addition law (RFC 8032 §5.1.4) has no
//! exceptions. Whatever two points a signature brings together, equal, opposite or neutral, their sum comes out
//! right, so there is nothing to mask and nothing to retry.
#![forbid(unsafe_code)]

use super::lanes::{LANES_MAX, Lanes, Words};
use super::table::Entry;

/// Elements modulo p = 2^255 - 19, in lanes: a product, not yet in the form of a factor.
///
/// Each type says what it may be used for, so that its bounds hold by construction.
pub(super) trait Field: Copy {
    /// The words that its numbers are made of.
    type Word: Lanes;

    /// What may be multiplied.
    type Factor: Copy;

    /// A product that another can be taken from: raised by a multiple of p, if need be.
    type Raised: Copy;

    const LANES: usize = Self::Word::COUNT;

    /// The same number below p in every lane.
    fn splat(words: Words) -> Self::Factor;

    /// Each lane's residue below p.
    fn words(factor: Self::Factor) -> [Self::Word; 4];

    fn product(a: Self::Factor, b: Self::Factor) -> Self;

    fn raised_product(a: Self::Factor, b: Self::Factor) -> Self::Raised;

    /// The product as a factor.
    fn multiply(a: Self::Factor, b: Self::Factor) -> Self::Factor;

    /// `a + b`.
    fn sum(a: Self::Raised, b: Self) -> Self::Factor;

    /// `a - b`.
    fn difference(a: Self::Raised, b: Self) -> Self::Factor;

    fn carried(self) -> Self::Factor;

    fn carried_raised(raised: Self::Raised) -> Self::Factor;

    /// Its negative in the lanes of the mask.
    fn negated(self, mask: u8) -> Self;

    /// Each lane gets that of its number `xor distance`.
    fn swapped(factor: Self::Factor, distance: usize) -> Self::Factor;

    /// The inverse of the number in lane 0, in every lane; `None` of zero.
    fn inverse(factor: Self::Factor) -> Option<Self::Factor>;

    /// The points of an entry for each lane, negated in the lanes of the mask.
    fn load(entries: [&Entry; LANES_MAX], negative: u8) -> Multiple<Self>;
}

/// A table's point `(x, y)`.
///
/// Everything is halved once against the usual formulas, which scales the sum's coordinates alike and saves a
/// doubling.
#[derive(Clone, Copy)]
pub(super) struct Multiple<F: Field> {
    /// `(y - x) / 2`
    pub(super) difference: F::Factor,
    /// `(y + x) / 2`
    pub(super) sum: F::Factor,
    /// `d x y`, or its negative in the lanes named.
    pub(super) product: F::Factor,
    pub(super) product_negative: u8,
}

/// A sum of points in extended coordinates (RFC 8032 §5.1.4): x = X/Z, y = Y/Z, xy = T/Z.
#[derive(Clone, Copy)]
pub(super) struct Sum<F: Field> {
    x: F,
    y: F::Raised,
    z: F::Raised,
    t: F::Factor,
}

impl<F: Field> Sum<F> {
    /// The neutral element, (0, 1).
    #[inline(always)]
    pub(super) fn neutral() -> Self {
        let (zero, one) = (F::splat([0; 4]), F::splat([1, 0, 0, 0]));
        Self {
            x: F::product(zero, zero),
            y: F::raised_product(one, one),
            z: F::raised_product(one, one),
            t: zero,
        }
    }

    /// The sum with a table's point: seven products.
    #[inline(always)]
    pub(super) fn plus(self, point: Multiple<F>) -> Self {
        let a = F::product(F::difference(self.y, self.x), point.difference);
        let b = F::raised_product(F::sum(self.y, self.x), point.sum);
        let c = F::product(self.t, point.product).negated(point.product_negative);
        let (e, h) = (F::difference(b, a), F::sum(b, a));
        let (f, g) = (F::difference(self.z, c), F::sum(self.z, c));
        Self {
            x: F::product(e, f),
            y: F::raised_product(g, h),
            z: F::raised_product(f, g),
            t: F::multiply(e, h),
        }
    }

    /// X, Y and Z.
    #[inline(always)]
    pub(super) fn projective(self) -> [F::Factor; 3] {
        [
            self.x.carried(),
            F::carried_raised(self.y),
            F::carried_raised(self.z),
        ]
    }
}

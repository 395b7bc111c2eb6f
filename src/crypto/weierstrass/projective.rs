//! Sums without divisions, for the last few points of a small batch: an inversion that only one or two share costs more
//! than the products it saves.
//!
//! In Jacobian coordinates, x is `X / Z^2` and y is `Y / Z^3`. If a point is added to itself, to its opposite or to
//! infinity, Z becomes 0 and stays 0: so that is seen once, at the end.
#![forbid(unsafe_code)]

use super::field::{Coordinate, Point};

/// An x-coordinate that is not divided out.
pub(super) struct Quotient<F: Coordinate> {
    /// Within ±10p.
    pub(super) numerator: F,
    /// Zero if there is no such point, or it takes a doubling to find it.
    pub(super) denominator: F::Factor,
}

impl<F: Coordinate> Quotient<F> {
    /// The x of the sum of two points: `((y2 - y1)^2 - (x1 + x2) (x2 - x1)^2) / (x2 - x1)^2`.
    #[inline(always)]
    pub(super) fn of_two(a: Point<F>, b: Point<F>) -> Self {
        let dx = b.x.minus(a.x).carried_difference();
        let dy = F::stretched(b.y.minus(a.y).carried_any());
        let denominator = F::square(dx).carried();
        let both = F::product(a.x.plus(b.x).carried_any(), denominator);
        Self {
            numerator: F::square(dy).minus(both),
            denominator,
        }
    }
}

/// A sum of points.
#[derive(Clone, Copy)]
pub(super) struct Sum<F: Coordinate> {
    x: F,
    y: F,
    z: F::Factor,
}

impl<F: Coordinate> Sum<F> {
    #[inline(always)]
    pub(super) fn of(point: Point<F>) -> Self {
        Self {
            x: point.x,
            y: point.y,
            z: F::one(),
        }
    }

    /// "madd" of the Explicit-Formulas Database. x stays near [0, p], y within ±2p.
    #[inline(always)]
    pub(super) fn plus(self, point: Point<F>) -> Self {
        let z_squared = F::square(self.z).carried();
        let z_cubed = F::multiply(self.z, z_squared);
        let h = F::product(point.x.carried_any(), z_squared);
        let h = h.minus(self.x).carried_any();
        let r = F::product(point.y.carried_any(), z_cubed);
        let r = r.minus(self.y).carried_any();
        let h_squared = F::square(h).carried();
        let h_cubed = F::product(h_squared, h);
        let v = F::product(self.x.carried_any(), h_squared);
        let x = F::square(F::stretched(r)).minus(h_cubed).minus(v.plus(v));
        let x = x.reduced();
        let y = F::product(r, v.minus(x).carried_any());
        let y = y.minus(F::product(self.y.carried_any(), h_cubed.carried()));
        Self {
            x,
            y,
            z: F::multiply(self.z, h),
        }
    }

    #[inline(always)]
    pub(super) fn quotient(self) -> Quotient<F> {
        Quotient {
            numerator: self.x,
            denominator: F::square(self.z).carried(),
        }
    }
}

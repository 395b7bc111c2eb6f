//! The addition law over small primes, with every input there is (K2): all pairs of points of small curves, in
//! every projective form.

use crate::crypto::ed25519::edwards::{Field, Multiple, Sum};
use crate::crypto::ed25519::lanes::{LANES_MAX, Words};
use crate::crypto::ed25519::table::Entry;
use crate::crypto::tests::toy::Toy;

impl<const P: u64> Field for Toy<P> {
    type Word = u64;
    type Factor = Self;
    type Raised = Self;

    fn splat([word, ..]: Words) -> Self {
        Self::new(word)
    }

    fn words(factor: Self) -> [u64; 4] {
        [factor.number(), 0, 0, 0]
    }

    fn product(a: Self, b: Self) -> Self {
        a.times(b)
    }

    fn raised_product(a: Self, b: Self) -> Self {
        a.times(b)
    }

    fn multiply(a: Self, b: Self) -> Self {
        a.times(b)
    }

    fn sum(a: Self, b: Self) -> Self {
        a.plus(b)
    }

    fn difference(a: Self, b: Self) -> Self {
        a.minus(b)
    }

    fn carried(self) -> Self {
        self
    }

    fn carried_raised(raised: Self) -> Self {
        raised
    }

    fn negated(self, mask: u8) -> Self {
        if mask & 1 == 1 {
            Self::new(0).minus(self)
        } else {
            self
        }
    }

    fn swapped(factor: Self, _distance: usize) -> Self {
        factor
    }

    fn inverse(factor: Self) -> Option<Self> {
        factor.inverse()
    }

    fn load([entry, ..]: [&Entry; LANES_MAX], negative: u8) -> Multiple<Self> {
        let (difference, sum) = match negative & 1 {
            0 => (entry.difference, entry.sum),
            _ => (entry.sum, entry.difference),
        };
        Multiple {
            difference: Self::splat(difference),
            sum: Self::splat(sum),
            product: Self::splat(entry.product),
            product_negative: negative,
        }
    }
}

/// `-x^2 + y^2 = 1 + d x^2 y^2`, with a d that is not a square.
#[derive(Clone, Copy)]
struct Small<const P: u64> {
    d: Toy<P>,
}

impl<const P: u64> Small<P> {
    /// The curves with the three smallest such d.
    fn some() -> impl Iterator<Item = Self> {
        let is_square = |d: Toy<P>| Toy::all().any(|root: Toy<P>| root.times(root) == d);
        assert!(is_square(Toy::new(P - 1)), "as for the real prime");
        let d = Toy::all().filter(move |&d| !is_square(d));
        d.take(3).map(|d| Self { d })
    }

    fn points(self) -> Vec<(Toy<P>, Toy<P>)> {
        let one = Toy::new(1);
        let on_curve = |x: Toy<P>, y: Toy<P>| {
            let (x2, y2) = (x.times(x), y.times(y));
            y2.minus(x2) == one.plus(self.d.times(x2).times(y2))
        };
        Toy::all()
            .flat_map(|x| Toy::all().map(move |y| (x, y)))
            .filter(|&(x, y)| on_curve(x, y))
            .collect()
    }

    /// The affine law of the curve (RFC 8032 §5.1.4, with Z = 1).
    fn add(self, (x1, y1): (Toy<P>, Toy<P>), (x2, y2): (Toy<P>, Toy<P>)) -> (Toy<P>, Toy<P>) {
        let one = Toy::new(1);
        let product = self.d.times(x1).times(x2).times(y1).times(y2);
        let divide = |numerator: Toy<P>, denominator: Toy<P>| {
            numerator.times(denominator.inverse().expect("the law is complete"))
        };
        (
            divide(x1.times(y2).plus(x2.times(y1)), one.plus(product)),
            divide(y1.times(y2).plus(x1.times(x2)), one.minus(product)),
        )
    }

    fn entry(self, (x, y): (Toy<P>, Toy<P>)) -> Entry {
        let half = Toy::<P>::new(2).inverse().expect("P is odd");
        let words = |number: Toy<P>| [number.number(), 0, 0, 0];
        Entry {
            difference: words(y.minus(x).times(half)),
            sum: words(y.plus(x).times(half)),
            product: words(self.d.times(x).times(y)),
        }
    }
}

/// Sums of three: the second addition meets the first's sum in a projective form other than Z = 1. Each third is added
/// and taken away.
///
/// Checks K-02.
#[test]
fn every_sum_of_three_is_right_without_exception() {
    const P: u64 = 29;
    for curve in Small::<P>::some() {
        let points = curve.points();
        let entries: Vec<_> = points.iter().map(|&point| curve.entry(point)).collect();
        let load = |at: usize, negative| Toy::<P>::load([&entries[at]; LANES_MAX], negative);
        for first in 0..points.len() {
            for second in 0..points.len() {
                let both = curve.add(points[first], points[second]);
                let sum = Sum::neutral().plus(load(first, 0)).plus(load(second, 0));
                assert_is(sum, both);
                for (third, &(x, y)) in points.iter().enumerate() {
                    assert_is(sum.plus(load(third, 0)), curve.add(both, (x, y)));
                    let opposite = (Toy::new(0).minus(x), y);
                    assert_is(sum.plus(load(third, 1)), curve.add(both, opposite));
                }
            }
        }
    }
}

fn assert_is<const P: u64>(sum: Sum<Toy<P>>, (x, y): (Toy<P>, Toy<P>)) {
    let [sum_x, sum_y, sum_z] = sum.projective();
    assert_ne!(sum_z.number(), 0);
    assert_eq!((sum_x, sum_y), (x.times(sum_z), y.times(sum_z)));
}

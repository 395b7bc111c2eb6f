//! The formulas over small primes, with every input there is (K2): all pairs and triples of points of small curves,
//! and all small divisions.

use crate::crypto::tests::toy::Toy;
use crate::crypto::weierstrass::field::{Coordinate, Field, Point};
use crate::crypto::weierstrass::projective::{Quotient, Sum};
use crate::crypto::weierstrass::tree::{Division, Room};

impl<const P: u64> Field for Toy<P> {
    type Factor = Self;
    type Word = u64;

    fn product(a: Self, b: Self) -> Self {
        a.times(b)
    }

    fn square(a: Self) -> Self {
        a.times(a)
    }

    fn plus(self, other: Self) -> Self {
        self.plus(other)
    }

    fn minus(self, other: Self) -> Self {
        self.minus(other)
    }

    fn carried(self) -> Self {
        self
    }

    fn loose(factor: Self) -> Self {
        factor
    }

    fn zeros(factor: Self) -> u8 {
        u8::from(factor.number() == 0)
    }

    fn select(mask: u8, a: Self, b: Self) -> Self {
        if mask & 1 == 1 { a } else { b }
    }

    fn swapped(factor: Self, _distance: usize) -> Self {
        factor
    }

    fn one() -> Self {
        Self::new(1)
    }

    fn inverse(a: Self) -> Option<Self> {
        a.inverse()
    }
}

impl<const P: u64> Coordinate for Toy<P> {
    fn reduced(self) -> Self {
        self
    }

    fn carried_any(self) -> Self {
        self
    }

    fn carried_difference(self) -> Self {
        self
    }

    fn stretched(factor: Self) -> Self {
        factor
    }

    fn negated(self, mask: u8) -> Self {
        <Self as Field>::select(mask, Self::new(0).minus(self), self)
    }
}

/// A point; `None` is infinity.
type Affine<const P: u64> = Option<(Toy<P>, Toy<P>)>;

/// `y^2 = x^3 + a x + b`.
#[derive(Clone, Copy)]
struct Small<const P: u64> {
    a: Toy<P>,
    b: Toy<P>,
}

impl<const P: u64> Small<P> {
    /// A curve for each `a` that the real ones have.
    fn all() -> [Self; 2] {
        [P - 3, 0].map(|a| Self {
            a: Toy::new(a),
            b: Toy::new(7),
        })
    }

    /// All its points but infinity.
    fn points(self) -> Vec<(Toy<P>, Toy<P>)> {
        let on_curve = |x: Toy<P>, y: Toy<P>| {
            let cubic = x.times(x).plus(self.a).times(x).plus(self.b);
            y.times(y) == cubic
        };
        let points: Vec<_> = Toy::all()
            .flat_map(|x| Toy::all().map(move |y| (x, y)))
            .filter(|&(x, y)| on_curve(x, y))
            .collect();
        assert!(points.len() as u64 > P / 2, "a curve with points to try");
        points
    }

    /// The group law as textbooks have it, case by case.
    fn add(self, a: Affine<P>, b: Affine<P>) -> Affine<P> {
        let (Some((ax, ay)), Some((bx, by))) = (a, b) else {
            return a.or(b);
        };
        let slope = if ax != bx {
            by.minus(ay).times(bx.minus(ax).inverse()?)
        } else if ay == by {
            let tangent = Toy::new(3).times(ax).times(ax).plus(self.a);
            // Of a point of order two there is none: its double is infinity.
            tangent.times(ay.plus(ay).inverse()?)
        } else {
            return None;
        };
        let x = slope.times(slope).minus(ax).minus(bx);
        Some((x, slope.times(ax.minus(x)).minus(ay)))
    }
}

fn point<const P: u64>((x, y): (Toy<P>, Toy<P>)) -> Point<Toy<P>> {
    Point { x, y }
}

/// One level of the tree over all pairs at once, so that each neighbours exceptions; and over those alone that meet
/// none, which takes the other path through the division.
///
/// Checks K-02.
#[test]
fn every_pair_of_points_adds_up_or_is_exceptional() {
    for curve in Small::<251>::all() {
        let points = curve.points();
        let pairs: Vec<_> = points
            .iter()
            .flat_map(|&a| points.iter().map(move |&b| (a, b)))
            .collect();
        let plain: Vec<_> = pairs.iter().copied().filter(|(a, b)| a.0 != b.0).collect();
        for pairs in [pairs, plain] {
            let mut summed: Vec<_> = pairs
                .iter()
                .flat_map(|&(a, b)| [a, b, b, a].map(point))
                .collect();
            let mut exceptional = vec![0; pairs.len()];
            let stride = Room::new().sum(&mut summed, [2, 2], &mut exceptional);
            assert_eq!(stride, 2);
            for ((&(a, b), sums), &exceptional) in
                pairs.iter().zip(summed.chunks(4)).zip(&exceptional)
            {
                assert_eq!(exceptional, u8::from(a.0 == b.0));
                if exceptional == 0 {
                    let expected = curve.add(Some(a), Some(b));
                    for sum in [sums[0], sums[2]] {
                        assert_eq!(Some((sum.x, sum.y)), expected);
                    }
                }
            }
        }
    }
}

/// Checks K-02.
#[test]
fn the_last_addition_of_every_pair_is_a_quotient_for_its_x() {
    for curve in Small::<251>::all() {
        let points = curve.points();
        for &a in &points {
            for &b in &points {
                let quotient = Quotient::of_two(point(a), point(b));
                assert_stands_for(quotient, a.0 == b.0, curve.add(Some(a), Some(b)));
            }
        }
    }
}

/// Checks K-02.
#[test]
fn every_sum_of_three_without_divisions_is_a_quotient_for_its_x() {
    for curve in Small::<61>::all() {
        let points = curve.points();
        for &a in &points {
            for &b in &points {
                let both = curve.add(Some(a), Some(b));
                let sum = Sum::of(point(a)).plus(point(b));
                for &c in &points {
                    let quotient = sum.plus(point(c)).quotient();
                    let exceptional = a.0 == b.0 || both.is_none_or(|both| both.0 == c.0);
                    assert_stands_for(quotient, exceptional, curve.add(both, Some(c)));
                }
            }
        }
    }
}

/// A quotient equals the x that it stands for and no other, or says by its denominator that there is none.
fn assert_stands_for<const P: u64>(
    quotient: Quotient<Toy<P>>,
    exceptional: bool,
    expected: Affine<P>,
) {
    assert_eq!(quotient.denominator.number() == 0, exceptional);
    if !exceptional {
        let (expected, _) = expected.expect("points with different x do not cancel");
        let equal = Toy::all().filter(|r| r.times(quotient.denominator) == quotient.numerator);
        assert!(equal.eq([expected]));
    }
}

/// Checks K-02.
#[test]
fn every_division_of_five_gives_each_inverse_or_meets_a_zero() {
    const P: u64 = 7;
    for number in 0..P.pow(5) {
        let factors: [Toy<P>; 5] = std::array::from_fn(|at| Toy::new(number / P.pow(at as u32)));
        let mut division = Division::<Toy<P>>::new();
        division.begin(factors.len());
        for factor in factors {
            division.multiply(factor);
        }
        let quotients = division.invert();
        assert_eq!(quotients.is_none(), factors.contains(&Toy::new(0)));
        if let Some(mut quotients) = quotients {
            for factor in factors.into_iter().rev() {
                assert_eq!(Some(quotients.next(factor)), factor.inverse());
            }
        }
    }
}

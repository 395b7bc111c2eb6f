//! A point's multiples, so that multiplying it needs no doubling: for each window of a scalar, the point times
//! each odd digit times the window's power of two.
//!
//! A table costs memory and time. Who builds one must have a reason: a key that is trusted and in use.
#![forbid(unsafe_code)]

use super::field::{COORDINATE_BITS, Field, Point};
use super::modulus::{FieldPrime, Words, power_of_two};
use super::portable::Element;
use super::tree::{Division, add};

/// One point: x and y, times 2^260 modulo p and reduced, four words each. One cache line.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [u64; 8]);

/// The odd multiples of a point in every window.
pub(super) struct Table {
    width: u32,
    /// Window after window; in each the multiples 1, 3, 5, … of `2^(width window)` times the point.
    lines: Box<[Line]>,
}

/// Bits of a scalar.
const SCALAR_BITS: u32 = 256;

impl Table {
    /// The table of a point, given by its affine coordinates. The point is on the curve; that was checked
    /// when its key was parsed.
    ///
    /// `width`, from 2 to 16, is how many bits a window has: with 8, the table takes 256 KiB.
    pub(super) fn new(x: Words, y: Words, width: u32) -> Self {
        let point = Point {
            x: into_montgomery(x),
            y: into_montgomery(y),
        };
        let powers = powers_of_two(point, width * windows(width));
        let entries = 1 << (width - 1);
        let mut points: Vec<Point<F>> = powers
            .iter()
            .step_by(width as usize)
            .flat_map(|&base| std::iter::repeat_n(base, entries))
            .collect();
        // The first half of a window's multiples, and a power of two more, are its other half: 1 + 2 = 3, then
        // {1, 3} + 4 = {5, 7}, and so on. No two points of a sum have the same x: they are multiples of the
        // point that differ and do not add up to zero, by less than its prime order.
        let mut division = Division::<F>::new();
        for power in 0..width - 1 {
            let half = 1 << power;
            let sums: Vec<(usize, Point<F>)> = (0..windows(width) as usize)
                .flat_map(|window| {
                    let more = powers[window * width as usize + power as usize + 1];
                    (0..half).map(move |entry| (window * entries + entry, more))
                })
                .collect();
            division.begin(sums.len());
            for sum in &sums {
                division.multiply(difference(&points, sum));
            }
            let mut quotients = division.invert().expect("no difference is zero");
            for sum in sums.iter().rev() {
                let inverse = quotients.next(difference(&points, sum));
                points[sum.0 + half] = add(points[sum.0], sum.1, inverse);
            }
        }
        Self {
            width,
            lines: points.into_iter().map(line).collect(),
        }
    }

    /// Bits of a window.
    pub(super) fn width(&self) -> u32 {
        self.width
    }

    /// How many windows a scalar has.
    pub(super) fn windows(&self) -> usize {
        windows(self.width) as usize
    }

    /// The multiple `2 index + 1` of a window is the line `window 2^(width - 1) + index`.
    #[inline(always)]
    pub(super) fn line(&self, at: u64) -> &Line {
        &self.lines[at as usize]
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.lines)
    }
}

type F = Element<FieldPrime>;

const fn windows(width: u32) -> u32 {
    SCALAR_BITS.div_ceil(width)
}

fn difference(points: &[Point<F>], &(first, more): &(usize, Point<F>)) -> F {
    more.x.minus(points[first].x)
}

fn line(point: Point<F>) -> Line {
    let [x0, x1, x2, x3] = point.x.to_words();
    let [y0, y1, y2, y3] = point.y.to_words();
    Line([x0, x1, x2, x3, y0, y1, y2, y3])
}

fn into_montgomery(words: Words) -> F {
    F::product(F::splat(words), F::splat(const { power_of_two(512, P) }))
}

/// A point's multiples by the powers of two below `2^count`, in the form of coordinates.
fn powers_of_two(point: Point<F>, count: u32) -> Vec<Point<F>> {
    let mut power = Jacobian {
        x: point.x,
        y: point.y,
        z: F::one(),
    };
    let mut powers = Vec::with_capacity(count as usize);
    for _ in 0..count {
        powers.push(power);
        power = power.doubled();
    }
    let mut division = Division::<F>::new();
    division.begin(powers.len());
    for power in &powers {
        division.multiply(power.z);
    }
    let mut quotients = division.invert().expect("no multiple is infinity");
    let mut points: Vec<Point<F>> = powers
        .iter()
        .rev()
        .map(|power| power.affine(quotients.next(power.z)))
        .collect();
    points.reverse();
    points
}

const P: Words = <FieldPrime as super::modulus::Modulus>::WORDS;

/// A point `(x / z^2, y / z^3)`.
#[derive(Clone, Copy)]
struct Jacobian {
    x: F,
    y: F,
    z: F,
}

impl Jacobian {
    /// "dbl-2001-b" of the Explicit-Formulas Database, for curves with a = -3.
    fn doubled(self) -> Self {
        let delta = F::square(self.z);
        let gamma = F::square(self.y);
        let beta = F::product(self.x, gamma);
        let alpha = F::product(self.x.minus(delta), self.x.plus(delta));
        let alpha = alpha.plus(alpha.doubled());
        let four_beta = beta.doubled().doubled();
        let x = F::square(alpha).minus(four_beta.doubled());
        let z = F::square(self.y.plus(self.z)).minus(gamma).minus(delta);
        let eight_gamma_squared = F::square(gamma).doubled().doubled().doubled();
        let y = F::product(alpha, four_beta.minus(x)).minus(eight_gamma_squared);
        Self { x, y, z }
    }

    /// In the form of coordinates, given the inverse of z.
    fn affine(self, z_inverse: F) -> Point<F> {
        let into_form = F::splat(const { power_of_two(COORDINATE_BITS, P) });
        let square = F::square(z_inverse);
        let cube = F::product(square, z_inverse);
        Point {
            x: F::product(F::product(self.x, square), into_form),
            y: F::product(F::product(self.y, cube), into_form),
        }
    }
}

/// Whether the line's point satisfies `y^2 = x^3 - 3x + b`, for tests.
#[cfg(test)]
pub(super) fn coordinates(line: &Line) -> (Words, Words) {
    use super::field::Coordinate;
    let point = F::load([line; 8], 0);
    let back = F::splat(power_of_two(COORDINATE_BITS, P));
    let inverse = F::inverse(back).expect("not zero");
    // inverse = 2^512 / 2^260; a product with x 2^260 gives x 2^256, and one with 1 gives x.
    let plain = |f: F| F::product(F::product(f, inverse), F::splat([1, 0, 0, 0])).to_words();
    (plain(point.x), plain(point.y))
}

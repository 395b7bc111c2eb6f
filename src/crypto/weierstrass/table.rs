//! A point's multiples, so that multiplying it needs no doubling: for each window of a scalar, the point times
//! each odd digit times the window's power of two.
//!
//! A table costs memory and time. Who builds one must have a reason: a key that is trusted and in use.
#![forbid(unsafe_code)]

use super::curve::{CoefficientA, Curve};
use super::field::{Field, Point, Residues};
use super::modulus::{Modulus, Prime, power_of_two};
use super::portable::Element;
use super::tree::{Division, add};
use crate::crypto::checksum::checksum;

/// One point: x and y, times two to [`Prime::COORDINATE_BITS`], reduced.
pub(super) type Line<const W: usize> = [[u64; W]; 2];

/// The odd multiples of a point in every window.
pub(super) struct Table<const W: usize> {
    width: u32,
    /// Lines, window after window, from `start` on; in each window the multiples 1, 3, 5, … of
    /// `2^(width window)` times the point.
    words: Box<[u64]>,
    /// The first word that begins a cache line. So a line of four words a coordinate is one cache line, and one of
    /// six words never touches more than two.
    start: usize,
    /// How many lines.
    count: usize,
    /// Of all words, as they were built.
    checksum: u64,
}

const CACHE_LINE_BYTES: usize = 64;

impl<const W: usize> Table<W> {
    /// The table of a point, given by its affine coordinates. The point is on the curve; that was checked
    /// when its key was parsed.
    ///
    /// `width`, from 2 to 16, is how many bits a window has: with 8, a table of a curve of 256 bits takes 256 KiB.
    pub(super) fn new<C: Curve<W>>(x: [u64; W], y: [u64; W], width: u32) -> Self {
        let point = Point {
            x: into_montgomery::<C, W>(x),
            y: into_montgomery::<C, W>(y),
        };
        Self::from_points(width, &multiples::<C, W>(point, width))
    }

    fn from_points<M: Modulus<W>>(width: u32, points: &[Point<Element<M, W>>]) -> Self {
        const SLACK: usize = CACHE_LINE_BYTES / size_of::<u64>();
        let mut words = vec![0; points.len() * 2 * W + SLACK].into_boxed_slice();
        // An address that cannot be aligned is none of this world; slower lines are still right.
        let start = words.as_ptr().align_offset(CACHE_LINE_BYTES).min(SLACK);
        let coordinates = points.iter().flat_map(|point| [point.x, point.y]);
        for (words, coordinate) in words[start..].chunks_exact_mut(W).zip(coordinates) {
            words.copy_from_slice(&coordinate.to_words());
        }
        Self {
            width,
            checksum: checksum(&words),
            words,
            start,
            count: points.len(),
        }
    }

    /// Whether the table is as it was built.
    pub(super) fn is_intact(&self) -> bool {
        checksum(&self.words) == self.checksum
    }

    /// Bits of a window.
    pub(super) fn width(&self) -> u32 {
        self.width
    }

    /// How many windows a scalar has.
    pub(super) fn windows(&self) -> usize {
        windows::<W>(self.width) as usize
    }

    /// All lines: the multiple `2 index + 1` of a window is the line `window 2^(width - 1) + index`.
    #[inline(always)]
    pub(super) fn lines(&self) -> &[Line<W>] {
        let coordinates = self.words[self.start..].as_chunks().0;
        &coordinates.as_chunks().0[..self.count]
    }

    /// Bytes of memory that a table of this width takes.
    pub(super) fn bytes_of(width: u32) -> usize {
        (windows::<W>(width) as usize * size_of::<Line<W>>()) << (width - 1)
    }
}

type F<C, const W: usize> = Element<<C as Curve<W>>::Prime, W>;

const fn windows<const W: usize>(width: u32) -> u32 {
    (64 * W as u32).div_ceil(width)
}

/// All points of a table.
fn multiples<C: Curve<W>, const W: usize>(
    point: Point<F<C, W>>,
    width: u32,
) -> Vec<Point<F<C, W>>> {
    let powers = powers_of_two::<C, W>(point, width * windows::<W>(width));
    let entries = 1 << (width - 1);
    let mut points: Vec<_> = powers
        .iter()
        .step_by(width as usize)
        .flat_map(|&base| std::iter::repeat_n(base, entries))
        .collect();
    // The first half of a window's multiples, and a power of two more, are its other half: 1 + 2 = 3, then
    // {1, 3} + 4 = {5, 7}, and so on. No two points of a sum have the same x: they are multiples of the
    // point that differ and do not add up to zero, by less than its prime order.
    let mut division = Division::<F<C, W>>::new();
    for power in 0..width - 1 {
        let half = 1 << power;
        let sums: Vec<(usize, Point<F<C, W>>)> = (0..windows::<W>(width) as usize)
            .flat_map(|window| {
                let more = powers[window * width as usize + power as usize + 1];
                (0..half).map(move |entry| (window * entries + entry, more))
            })
            .collect();
        let difference = |points: &[Point<F<C, W>>], &(first, more): &(usize, Point<F<C, W>>)| {
            more.x.minus(points[first].x)
        };
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
    points
}

fn into_montgomery<C: Curve<W>, const W: usize>(words: [u64; W]) -> F<C, W> {
    F::<C, W>::product(Element::of(words), Element::of(F::<C, W>::RADIX_SQUARED))
}

/// A point's multiples by the powers of two below `2^count`, in the form of coordinates.
fn powers_of_two<C: Curve<W>, const W: usize>(
    point: Point<F<C, W>>,
    count: u32,
) -> Vec<Point<F<C, W>>> {
    let mut power = Jacobian {
        x: point.x,
        y: point.y,
        z: F::<C, W>::one(),
    };
    let mut powers = Vec::with_capacity(count as usize);
    for _ in 0..count {
        powers.push(power);
        power = power.doubled(C::A);
    }
    let mut division = Division::<F<C, W>>::new();
    division.begin(powers.len());
    for power in &powers {
        division.multiply(power.z);
    }
    let mut quotients = division.invert().expect("no multiple is infinity");
    let mut points: Vec<_> = powers
        .iter()
        .rev()
        .map(|power| power.affine(quotients.next(power.z)))
        .collect();
    points.reverse();
    points
}

/// A point `(x / z^2, y / z^3)`.
#[derive(Clone, Copy)]
struct Jacobian<F> {
    x: F,
    y: F,
    z: F,
}

impl<M: Prime<W>, const W: usize> Jacobian<Element<M, W>> {
    /// "dbl-2001-b" of the Explicit-Formulas Database, and what it becomes with a = 0.
    fn doubled(self, a: CoefficientA) -> Self {
        type F<M, const W: usize> = Element<M, W>;
        let delta = F::<M, W>::square(self.z);
        let gamma = F::<M, W>::square(self.y);
        let beta = F::product(self.x, gamma);
        // alpha is 3 x^2 + a z^4.
        let alpha = match a {
            CoefficientA::Zero => F::square(self.x),
            CoefficientA::MinusThree => F::product(self.x.minus(delta), self.x.plus(delta)),
        };
        let alpha = alpha.plus(alpha.doubled());
        let four_beta = beta.doubled().doubled();
        let x = F::square(alpha).minus(four_beta.doubled());
        let z = F::square(self.y.plus(self.z)).minus(gamma).minus(delta);
        let eight_gamma_squared = F::square(gamma).doubled().doubled().doubled();
        let y = F::product(alpha, four_beta.minus(x)).minus(eight_gamma_squared);
        Self { x, y, z }
    }

    /// In the form of coordinates, given the inverse of z.
    fn affine(self, z_inverse: Element<M, W>) -> Point<Element<M, W>> {
        let into_form = Element::of(const { power_of_two(M::COORDINATE_BITS, M::WORDS) });
        let square = Element::square(z_inverse);
        let cube = Element::product(square, z_inverse);
        Point {
            x: Element::product(Element::product(self.x, square), into_form),
            y: Element::product(Element::product(self.y, cube), into_form),
        }
    }
}

/// The plain coordinates of a line, for tests.
#[cfg(test)]
pub(super) fn coordinates<C: Curve<W>, const W: usize>(line: &Line<W>) -> Line<W> {
    let bits = C::Prime::COORDINATE_BITS;
    let back = Element::of(power_of_two(bits, C::Prime::WORDS));
    let inverse = F::<C, W>::inverse(back).expect("not zero");
    // inverse = R^2 / 2^bits; a product with x 2^bits gives x R, and one with 1 gives x.
    let mut one = [0; W];
    one[0] = 1;
    line.map(|words| {
        let product = F::<C, W>::product(Element::of(words), inverse);
        Element::product(product, Element::of(one)).to_words()
    })
}

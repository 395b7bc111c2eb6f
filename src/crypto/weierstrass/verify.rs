//! ECDSA verification (FIPS 186-5 §6.4.2) of many signatures, each on its own: no combined equation.
//!
//! `X = (z / s) G + (r / s) Q`, and the signature is genuine if X is not infinity and its x modulo n is r. With
//! tables for G and Q, each product is a sum of points, and a tree of affine additions sums each. X itself is not
//! computed: its x is left a quotient, and r or r + n is multiplied by what it would be divided by.
#![forbid(unsafe_code)]

use super::field::{Coordinate, Field, Point, Residues};
use super::lanes::Lanes;
use super::modulus::{Modulus, Prime, is_below, power_of_two, subtract};
use super::projective::{Quotient, Sum};
use super::recode::Digits;
use super::table::{Line, Table};
use super::tree::{Division, Room};

pub(super) use crate::crypto::guard::Finding;

/// A signature to check, its numbers in range: `r` and `s` in [1, n - 1], `z` any `W` words.
#[derive(Clone, Copy)]
pub(super) struct Claim<'t, const W: usize> {
    /// Where its finding belongs.
    pub(super) place: usize,
    pub(super) table: &'t Table<W>,
    pub(super) r: [u64; W],
    pub(super) s: [u64; W],
    /// The message's digest.
    pub(super) z: [u64; W],
}

/// The order in which the windows of a scalar enter its tree.
///
/// Only for a few scalars does a tree meet an exceptional addition, but those can be written into a signature by
/// anybody: the one with `u1 = n - 2 (n mod 2^128)` makes the two halves of G's tree equal. Another order has
/// other scalars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Natural,
    Shuffled,
}

impl Order {
    /// The window that enters at a place.
    #[inline(always)]
    fn window(self, place: usize, windows: usize) -> usize {
        match self {
            Self::Natural => place,
            // A permutation: no count of windows that a table can have is a multiple of 63.
            Self::Shuffled if windows.is_multiple_of(7) => (9 * place + 3) % windows,
            Self::Shuffled => (7 * place + 3) % windows,
        }
    }
}

/// Room for a batch, kept between batches.
pub(super) struct Workspace<N: Field, P: Field, const W: usize> {
    points: Vec<Point<P>>,
    room: Room<P>,
    division: Division<N>,
    inverted: Vec<N::Factor>,
    /// `z / s` and `r / s` of each group.
    scalars: Vec<[[N::Word; W]; 2]>,
    exceptional: Vec<u8>,
}

/// Most lanes a kernel has.
const LANES_MAX: usize = 8;

impl<N, P, const W: usize> Workspace<N, P, W>
where
    N: Residues<W>,
    P: Coordinate<Word = N::Word> + Residues<W, Modulus: Prime<W>>,
{
    /// What to multiply a plain number with, to bring it into the form of coordinates.
    const INTO_COORDINATE: [u64; W] = power_of_two(
        <P::Modulus as Prime<W>>::COORDINATE_BITS + P::RADIX_BITS,
        P::Modulus::WORDS,
    );

    /// `p - n`: an x-coordinate that `r` was reduced from can be `r + n` only for `r` below it.
    const PRIME_MINUS_ORDER: [u64; W] = subtract(P::Modulus::WORDS, N::Modulus::WORDS).0;

    pub(super) fn new() -> Self {
        Self {
            points: Vec::new(),
            room: Room::new(),
            division: Division::new(),
            inverted: Vec::new(),
            scalars: Vec::new(),
            exceptional: Vec::new(),
        }
    }

    /// Finds out about each claim. All keys' tables have one width.
    #[inline(always)]
    pub(super) fn verify(
        &mut self,
        generator: &Table<W>,
        claims: &[Claim<'_, W>],
        order: Order,
        findings: &mut [Finding],
    ) {
        let Some(first) = claims.first() else {
            return;
        };
        let trees = [generator.windows(), first.table.windows()];
        let one_width = claims
            .iter()
            .all(|claim| claim.table.width() == first.table.width());
        if !one_width {
            findings.fill(Finding::Undecided);
            return;
        }
        self.divide_scalars(claims);
        self.load_points(generator, claims, order);
        self.exceptional.clear();
        self.exceptional.resize(claims.len().div_ceil(P::LANES), 0);
        let stride = self
            .room
            .sum(&mut self.points, trees, &mut self.exceptional);
        self.conclude(claims, trees, stride, findings);
    }

    /// `u1 = z / s` and `u2 = r / s` modulo n.
    #[inline(always)]
    fn divide_scalars(&mut self, claims: &[Claim<'_, W>]) {
        let groups = claims.len().div_ceil(N::LANES);
        let into_montgomery = N::splat(N::RADIX_SQUARED);
        self.inverted.clear();
        self.division.begin(groups);
        for group in 0..groups {
            let s = N::gather(&numbers::<N, W>(claims, group, |claim| claim.s));
            let s = N::multiply(s, into_montgomery);
            self.inverted.push(s);
            self.division.multiply(s);
        }
        self.scalars.clear();
        self.scalars.resize(groups, [[N::Word::splat(0); W]; 2]);
        // No s is zero, by the claims' range. Were one, all scalars would be, and no claim genuine: the sums of
        // the digits of zero are infinity.
        let Some(mut quotients) = self.division.invert() else {
            return;
        };
        for group in (0..groups).rev() {
            let inverse = quotients.next(self.inverted[group]);
            let z = N::gather(&numbers::<N, W>(claims, group, |claim| claim.z));
            let r = N::gather(&numbers::<N, W>(claims, group, |claim| claim.r));
            self.scalars[group] = [
                N::words(N::multiply(z, inverse)),
                N::words(N::multiply(r, inverse)),
            ];
        }
    }

    /// The table points of each scalar's digits.
    #[inline(always)]
    fn load_points(&mut self, generator: &Table<W>, claims: &[Claim<'_, W>], order: Order) {
        self.points.clear();
        for (group, &[u1, u2]) in self.scalars.iter().enumerate() {
            let mut tables = [generator; LANES_MAX];
            Self::push_points(tables, u1, order, &mut self.points);
            for (lane, table) in tables.iter_mut().enumerate() {
                *table = claim_of::<P, W>(claims, group, lane).table;
            }
            Self::push_points(tables, u2, order, &mut self.points);
        }
    }

    /// Puts the points of a scalar's digits in the order of their places. Each lane has its table; all have one
    /// width.
    ///
    /// A loop, and not an iterator's closure: only what is inlined below a kernel's entry has its instructions.
    #[inline(always)]
    fn push_points(
        tables: [&Table<W>; LANES_MAX],
        scalar: [N::Word; W],
        order: Order,
        points: &mut Vec<Point<P>>,
    ) {
        let (width, windows) = (tables[0].width(), tables[0].windows());
        let digits = Digits::new::<N::Modulus, W>(scalar, width, windows);
        let mut lines: [&[Line<W>]; LANES_MAX] = [&[]; LANES_MAX];
        for (lines, table) in lines.iter_mut().zip(tables) {
            *lines = table.lines();
        }
        points.reserve(windows);
        for place in 0..windows {
            let window = order.window(place, windows);
            let (index, negative) = digits.digit(window);
            let at = index.plus(N::Word::splat((window as u64) << (width - 1)));
            let at = at.to_array();
            let mut picked = [&lines[0][at[0] as usize]; LANES_MAX];
            for lane in 1..N::LANES {
                picked[lane] = &lines[lane][at[lane] as usize];
            }
            let [x, y] = N::Word::gather_lines(picked);
            points.push(Point {
                x: P::from_words(x),
                // y is never 0, for no point has order two.
                y: P::from_words(y).negated(negative),
            });
        }
    }

    /// Compares each claim's r with the x of its sums' sum.
    #[inline(always)]
    fn conclude(
        &self,
        claims: &[Claim<'_, W>],
        trees: [usize; 2],
        stride: usize,
        findings: &mut [Finding],
    ) {
        let into_form = P::splat(Self::INTO_COORDINATE);
        let order = P::multiply(P::splat(N::Modulus::WORDS), into_form);
        for (group, findings) in findings.chunks_mut(P::LANES).enumerate() {
            let start = group * (trees[0] + trees[1]);
            let points = &self.points[start..start + trees[0] + trees[1]];
            let x = last_sum(points, trees, stride);
            let r_numbers = numbers::<P, W>(claims, group, |claim| claim.r);
            let r = P::multiply(P::gather(&r_numbers), into_form);
            let rest = x.numerator.minus(P::product(r, x.denominator));
            let is_r = P::zeros(rest.carried_any());
            // The x modulo n is r also if x is r + n, which then is below p.
            let rest = rest.minus(P::product(order, x.denominator));
            let is_r_plus_order = P::zeros(rest.carried_any());
            let exceptional = self.exceptional[group] | P::zeros(x.denominator);
            for (lane, finding) in findings.iter_mut().enumerate() {
                let is_small = is_below(r_numbers[lane], Self::PRIME_MINUS_ORDER);
                let here = |mask: u8| mask >> lane & 1 == 1;
                *finding = if here(exceptional) {
                    Finding::Undecided
                } else if here(is_r) || is_small && here(is_r_plus_order) {
                    Finding::Genuine
                } else {
                    Finding::Forged
                };
            }
        }
    }
}

/// The x of the sum of a group's sums, which stand `stride` apart in each tree.
#[inline(always)]
fn last_sum<P: Coordinate>(points: &[Point<P>], trees: [usize; 2], stride: usize) -> Quotient<P> {
    let (first, second) = points.split_at(trees[0]);
    if stride >= trees[0].max(trees[1]) {
        return Quotient::of_two(first[0], second[0]);
    }
    let mut sum = Sum::of(first[0]);
    for point in first.iter().step_by(stride).skip(1) {
        sum = sum.plus(*point);
    }
    for point in second.iter().step_by(stride) {
        sum = sum.plus(*point);
    }
    sum.quotient()
}

/// The claim of a lane; lanes past the last repeat it, and nobody looks at them.
#[inline(always)]
fn claim_of<'c, 't, F: Field, const W: usize>(
    claims: &'c [Claim<'t, W>],
    group: usize,
    lane: usize,
) -> &'c Claim<'t, W> {
    &claims[(group * F::LANES + lane).min(claims.len() - 1)]
}

/// A number of each lane's claim.
#[inline(always)]
fn numbers<F: Field, const W: usize>(
    claims: &[Claim<'_, W>],
    group: usize,
    number: impl Fn(&Claim<'_, W>) -> [u64; W],
) -> [[u64; W]; LANES_MAX] {
    std::array::from_fn(|lane| number(claim_of::<F, W>(claims, group, lane)))
}

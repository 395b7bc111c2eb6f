//! Sums of many points each, as trees of affine additions whose divisions are shared.
//!
//! `(x1, y1) + (x2, y2)` with slope `l = (y2 - y1) / (x2 - x1)` is `x3 = l^2 - x1 - x2`,
//! `y3 = l (x1 - x3) - y1`: two products and a square, and three products more for its part in a division that
//! all additions of a level have in common (Montgomery's trick). A Jacobian addition takes eleven.
//!
//! Where both points have the same x the slope does not exist, and its zero would spoil every lane's division.
//! Such a lane is masked and named *exceptional*; what then stands in it means nothing, and is decided elsewhere.
#![forbid(unsafe_code)]

use super::field::{Coordinate, Field, Point};

/// The lanes of each group that met an exceptional addition.
pub(super) type Exceptional = [u8];

/// Room for the additions of one level, kept between levels and batches.
pub(super) struct Room<F: Field> {
    /// Which points are added, by their indices, and in which group.
    pairs: Vec<Pair>,
    division: Division<F>,
}

/// So few groups do not share an inversion among enough for the last levels.
const FEW_GROUPS: usize = 2;

/// With so few sums left, adding them one by one without divisions costs less than two levels do.
const SUMS_OF_FEW: usize = 8;

#[derive(Clone, Copy)]
struct Pair {
    first: usize,
    second: usize,
    group: usize,
}

impl<F: Coordinate> Room<F> {
    pub(super) fn new() -> Self {
        Self {
            pairs: Vec::new(),
            division: Division::new(),
        }
    }

    /// Sums each tree into its first point. `points` holds a run of `trees.iter().sum()` points for each group
    /// of lanes, tree after tree.
    ///
    /// Few groups keep a few sums each instead, which stand as far apart as the result says: 1 and 2 to a power.
    #[inline(always)]
    pub(super) fn sum(
        &mut self,
        points: &mut [Point<F>],
        trees: [usize; 2],
        exceptional: &mut Exceptional,
    ) -> usize {
        let sums = |stride| trees[0].div_ceil(stride) + trees[1].div_ceil(stride);
        let enough = if exceptional.len() <= FEW_GROUPS {
            SUMS_OF_FEW
        } else {
            2
        };
        let mut stride = 1;
        while sums(stride) > enough {
            self.pair(trees, stride, exceptional.len());
            self.add_pairs(points, exceptional);
            stride *= 2;
        }
        stride
    }

    /// The pairs of a level: sums so far stand `stride` apart, and one without a partner waits.
    fn pair(&mut self, trees: [usize; 2], stride: usize, groups: usize) {
        self.pairs.clear();
        for group in 0..groups {
            let mut start = group * (trees[0] + trees[1]);
            for points in trees {
                for first in (0..points.saturating_sub(stride)).step_by(2 * stride) {
                    self.pairs.push(Pair {
                        first: start + first,
                        second: start + first + stride,
                        group,
                    });
                }
                start += points;
            }
        }
    }

    /// Adds the second of each pair to its first.
    #[inline(always)]
    fn add_pairs(&mut self, points: &mut [Point<F>], exceptional: &mut Exceptional) {
        self.division.begin(self.pairs.len());
        for pair in &self.pairs {
            self.division.multiply(difference(points, pair));
        }
        let mut masked = false;
        let mut quotients = self.division.invert();
        if quotients.is_none() {
            // Some difference is zero, in some lane. The level is multiplied again with ones in its place.
            masked = true;
            self.division.begin(self.pairs.len());
            for pair in &self.pairs {
                let difference = difference(points, pair);
                let zeros = F::zeros(difference);
                exceptional[pair.group] |= zeros;
                self.division
                    .multiply(F::select(zeros, F::one(), difference));
            }
            quotients = self.division.invert();
        }
        // No factor is zero now, and a field has no other divisors of zero.
        let Some(mut quotients) = quotients else {
            exceptional.fill(u8::MAX);
            return;
        };
        for pair in self.pairs.iter().rev() {
            let mut difference = difference(points, pair);
            if masked {
                difference = F::select(F::zeros(difference), F::one(), difference);
            }
            let inverse = quotients.next(difference);
            let sum = add(points[pair.first], points[pair.second], inverse);
            points[pair.first] = sum;
        }
    }
}

/// `x2 - x1`. Coordinates x are near [0, p], see [`add`].
#[inline(always)]
fn difference<F: Coordinate>(points: &[Point<F>], pair: &Pair) -> F::Factor {
    points[pair.second]
        .x
        .minus(points[pair.first].x)
        .carried_difference()
}

/// The sum, given the inverse of `x2 - x1`.
///
/// The sum's x is brought back near [0, p]. Its y grows by p at each end with every level, and there are less
/// than ten.
#[inline(always)]
pub(super) fn add<F: Coordinate>(a: Point<F>, b: Point<F>, inverse: F::Factor) -> Point<F> {
    let slope = F::multiply(b.y.minus(a.y).carried_any(), inverse);
    let x = F::square(F::stretched(slope))
        .minus(a.x.plus(b.x))
        .reduced();
    let y = F::product(slope, a.x.minus(x).carried_difference()).minus(a.y);
    Point { x, y }
}

/// A division by many factors at once.
///
/// Each factor is multiplied onto one of a few independent chains, for the multiplier takes several at a time;
/// in the end the chains, and then the lanes, are multiplied with each other. One inverse of that product
/// gives all others, going back.
pub(super) struct Division<F: Field> {
    /// What the chain was before each factor.
    before: Vec<F::Factor>,
    chains: [F::Factor; CHAINS],
}

const CHAINS: usize = 4;

impl<F: Field> Division<F> {
    pub(super) fn new() -> Self {
        Self {
            before: Vec::new(),
            chains: [F::one(); CHAINS],
        }
    }

    /// Forgets all factors and makes room for so many.
    #[inline(always)]
    pub(super) fn begin(&mut self, factors: usize) {
        self.before.clear();
        self.before.reserve(factors);
        self.chains = [F::one(); CHAINS];
    }

    /// Takes the next factor.
    #[inline(always)]
    pub(super) fn multiply(&mut self, factor: F::Factor) {
        let chain = &mut self.chains[self.before.len() % CHAINS];
        self.before.push(*chain);
        *chain = F::multiply(*chain, factor);
    }

    /// The inverses of all factors, or `None` if one of them is zero in one lane.
    #[inline(always)]
    pub(super) fn invert(&self) -> Option<Quotients<'_, F>> {
        let [a, b, c, d] = self.chains;
        let (ab, cd) = (F::multiply(a, b), F::multiply(c, d));
        let inverse = invert_lanes::<F>(F::multiply(ab, cd))?;
        let (of_ab, of_cd) = (F::multiply(inverse, cd), F::multiply(inverse, ab));
        Some(Quotients {
            before: &self.before,
            chains: [
                F::multiply(of_ab, b),
                F::multiply(of_ab, a),
                F::multiply(of_cd, d),
                F::multiply(of_cd, c),
            ],
        })
    }
}

/// The inverses of a division's factors, from the last to the first.
pub(super) struct Quotients<'d, F: Field> {
    before: &'d [F::Factor],
    /// The inverse of each chain as it was after the factors left.
    chains: [F::Factor; CHAINS],
}

impl<F: Field> Quotients<'_, F> {
    /// The inverse of the last factor left, which is given again.
    #[inline(always)]
    pub(super) fn next(&mut self, factor: F::Factor) -> F::Factor {
        let Some((&before, rest)) = self.before.split_last() else {
            return factor;
        };
        self.before = rest;
        let chain = &mut self.chains[rest.len() % CHAINS];
        let inverse = F::multiply(*chain, before);
        *chain = F::multiply(*chain, factor);
        inverse
    }
}

/// The inverse in each lane, by one inversion of the product of all.
#[inline(always)]
fn invert_lanes<F: Field>(factor: F::Factor) -> Option<F::Factor> {
    // After each step, every lane has the product of its neighbourhood of 2, 4, 8 lanes, and that of all the
    // others in it.
    let mut all = factor;
    let mut others = F::one();
    let mut distance = 1;
    while distance < F::LANES {
        let beyond = F::swapped(all, distance);
        others = F::multiply(others, beyond);
        all = F::multiply(all, beyond);
        distance *= 2;
    }
    Some(F::multiply(F::inverse(all)?, others))
}

//! Ed25519 verification (RFC 8032 §5.1.7) of many signatures, each on its own: no combined equation.
//!
//! A signature is genuine if `[S]B - [k]A` encodes as R, byte for byte and without the cofactor. With tables for
//! B and for -A, the left side is a sum of table points. Only the inverse of its Z is shared with others.
#![forbid(unsafe_code)]

use super::edwards::{Field, Sum};
use super::lanes::{LANES_MAX, Lanes, Words};
use super::recode::Digits;
use super::table::{Table, WINDOWS_MAX};
use crate::simd::prefetch;

pub(super) use crate::crypto::guard::Finding;

/// A signature to check. Its scalars are odd, and stand for their residues modulo L.
#[derive(Clone, Copy)]
pub(super) struct Claim<'t> {
    /// Where its finding belongs.
    pub(super) place: usize,
    /// The multiples of -A.
    pub(super) table: &'t Table,
    /// R as it is encoded.
    pub(super) r: Words,
    /// Below L before it was made odd.
    pub(super) s: Words,
    /// SHA-512 of R, A and the message.
    pub(super) k: Words,
}

/// Room for a batch, kept between batches.
pub(super) struct Workspace<F: Field> {
    /// X, Y and Z of each group's sums.
    sums: Vec<[F::Factor; 3]>,
    /// The product of all Z before each group.
    before: Vec<F::Factor>,
}

impl<F: Field> Workspace<F> {
    pub(super) const fn new() -> Self {
        Self {
            sums: Vec::new(),
            before: Vec::new(),
        }
    }

    /// Finds out about each claim. All keys' tables have one width.
    #[inline(always)]
    pub(super) fn verify(&mut self, base: &Table, claims: &[Claim<'_>], findings: &mut [Finding]) {
        findings.fill(Finding::Forged);
        if claims.is_empty() {
            return;
        }
        self.sums.clear();
        self.before.clear();
        let mut product = F::splat([1, 0, 0, 0]);
        for group in 0..claims.len().div_ceil(F::LANES) {
            let claims = lanes::<F>(claims, group);
            let sum = add_multiples(
                Sum::<F>::neutral(),
                [base; LANES_MAX],
                F::Word::gather(claims.map(|claim| &claim.s)),
            );
            let sum = add_multiples(
                sum,
                claims.map(|claim| claim.table),
                F::Word::gather(claims.map(|claim| &claim.k)),
            );
            let projective = sum.projective();
            self.sums.push(projective);
            self.before.push(product);
            product = F::multiply(product, projective[2]);
        }
        // No sum's Z is zero, for the addition law is complete. Should the hardware err, nothing is decided.
        let Some(mut inverse) = invert_lanes::<F>(product) else {
            findings.fill(Finding::Undecided);
            return;
        };
        for group in (0..self.sums.len()).rev() {
            let [x, y, z] = self.sums[group];
            let z_inverse = F::multiply(inverse, self.before[group]);
            inverse = F::multiply(inverse, z);
            let matches = encoding_matches::<F>(
                F::multiply(x, z_inverse),
                F::multiply(y, z_inverse),
                F::Word::gather(lanes::<F>(claims, group).map(|claim| &claim.r)),
            );
            let findings = findings[group * F::LANES..].iter_mut().take(F::LANES);
            for (lane, finding) in findings.enumerate() {
                if matches >> lane & 1 == 1 {
                    *finding = Finding::Genuine;
                }
            }
        }
    }
}

/// The lanes whose point encodes as R: "the sign bit of x" above y, both reduced (RFC 8032 §5.1.2). An R that is
/// not canonical equals no encoding.
#[inline(always)]
fn encoding_matches<F: Field>(x: F::Factor, y: F::Factor, r: [F::Word; 4]) -> u8 {
    let [x0, ..] = F::words(x);
    let [y0, y1, y2, y3] = F::words(y);
    let y3 = y3.or(x0.shifted_left::<63>());
    y0.equals(r[0]) & y1.equals(r[1]) & y2.equals(r[2]) & y3.equals(r[3])
}

/// Adds each lane's multiple of its table's point. All tables have one width.
#[inline(always)]
fn add_multiples<F: Field>(
    mut sum: Sum<F>,
    tables: [&Table; LANES_MAX],
    scalars: [F::Word; 4],
) -> Sum<F> {
    let (width, windows) = (tables[0].width(), tables[0].windows());
    let digits = Digits::new(scalars, width, windows);
    // Every lane's places come first, by way of memory: that is the shortest way from a lane to an address, and
    // the entries can be asked for ahead of time.
    let mut places = [[0; LANES_MAX]; WINDOWS_MAX];
    let mut negatives = [0; WINDOWS_MAX];
    for window in 0..windows {
        let (index, negative) = digits.digit(window);
        let place = index.plus(F::Word::splat((window as u64) << (width - 1)));
        places[window] = place.to_array();
        negatives[window] = negative;
    }
    for window in 0..windows {
        if let Some(ahead) = places[..windows].get(window + 1) {
            for lane in 0..F::LANES {
                prefetch(tables[lane].entry(ahead[lane]));
            }
        }
        let (at, negative) = (places[window], negatives[window]);
        let mut entries = [tables[0].entry(at[0]); LANES_MAX];
        for lane in 1..F::LANES {
            entries[lane] = tables[lane].entry(at[lane]);
        }
        sum = sum.plus(F::load(entries, negative));
    }
    sum
}

/// The inverse in each lane, by one inversion of the product of all.
#[inline(always)]
fn invert_lanes<F: Field>(factor: F::Factor) -> Option<F::Factor> {
    // After each step, every lane has the product of its neighbourhood of 2, 4, 8 lanes, and that of all the
    // others in it.
    let mut all = factor;
    let mut others = F::splat([1, 0, 0, 0]);
    let mut distance = 1;
    while distance < F::LANES {
        let beyond = F::swapped(all, distance);
        others = F::multiply(others, beyond);
        all = F::multiply(all, beyond);
        distance *= 2;
    }
    Some(F::multiply(F::inverse(all)?, others))
}

/// The claims of a group's lanes; lanes past the last claim repeat it, and nobody looks at them.
#[inline(always)]
fn lanes<'c, 't, F: Field>(claims: &'c [Claim<'t>], group: usize) -> [&'c Claim<'t>; LANES_MAX] {
    let at = |lane: usize| &claims[(group * F::LANES + lane).min(claims.len() - 1)];
    [at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7)]
}

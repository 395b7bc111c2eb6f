//! A point's multiples, so that multiplying it needs no doubling: for each window of a scalar, the point times
//! each odd digit times the window's power of two.
//!
//! A table costs memory and time. Who builds one must have a reason: a key that is trusted and in use.
#![forbid(unsafe_code)]

use super::field::Element;
use super::lanes::Words;
use super::point::Point;
use crate::crypto::checksum::checksum;

/// One point `(x, y)` as an addition needs it, each number below p.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C, align(32))]
pub(super) struct Entry {
    /// `(y - x) / 2`
    pub(super) difference: Words,
    /// `(y + x) / 2`
    pub(super) sum: Words,
    /// `d x y`
    pub(super) product: Words,
}

/// The odd multiples of a point in every window.
pub(super) struct Table {
    width: u32,
    /// Window after window; in each the multiples 1, 3, 5, … of `2^(width window)` times the point.
    entries: Box<[Entry]>,
    /// Of all entries, as they were built.
    checksum: u64,
}

/// Bits of a scalar, which need not be reduced.
const SCALAR_BITS: u32 = 256;

/// The narrowest windows, and most of them.
const WIDTH_MIN: u32 = 4;
pub(super) const WINDOWS_MAX: usize = SCALAR_BITS.div_ceil(WIDTH_MIN) as usize;

impl Table {
    /// The table of a point.
    ///
    /// `width`, from [`WIDTH_MIN`] to 16, is how many bits a window has: with 8, the table takes 384 KiB.
    pub(super) fn new(point: Point, width: u32) -> Self {
        assert!((WIDTH_MIN..=16).contains(&width), "a table of this width");
        let windows = SCALAR_BITS.div_ceil(width);
        let multiples = 1 << (width - 1);
        let mut entries = Vec::with_capacity(windows as usize * multiples);
        let mut base = point;
        for _ in 0..windows {
            let twice = base.add(base);
            let mut points = Vec::with_capacity(multiples);
            let mut multiple = base;
            for _ in 0..multiples {
                points.push(multiple);
                multiple = multiple.add(twice);
            }
            push_entries(&points, &mut entries);
            for _ in 0..width {
                base = base.add(base);
            }
        }
        Self {
            width,
            checksum: checksum_of(&entries),
            entries: entries.into_boxed_slice(),
        }
    }

    /// Whether the table is as it was built.
    pub(super) fn is_intact(&self) -> bool {
        checksum_of(&self.entries) == self.checksum
    }

    /// Bits of a window.
    pub(super) fn width(&self) -> u32 {
        self.width
    }

    /// How many windows a scalar has.
    pub(super) fn windows(&self) -> usize {
        SCALAR_BITS.div_ceil(self.width) as usize
    }

    /// The multiple `2 index + 1` of a window is the entry `window 2^(width - 1) + index`.
    #[inline(always)]
    pub(super) fn entry(&self, at: u64) -> &Entry {
        &self.entries[at as usize]
    }

    /// Bytes of memory that a table of this width takes.
    pub(super) const fn bytes_of(width: u32) -> usize {
        (SCALAR_BITS.div_ceil(width) as usize * size_of::<Entry>()) << (width - 1)
    }
}

fn checksum_of(entries: &[Entry]) -> u64 {
    let parts = |entry: &Entry| [entry.difference, entry.sum, entry.product];
    let sums = entries
        .iter()
        .map(|entry| checksum(parts(entry).as_flattened()));
    sums.fold(0, |sum, next| checksum([sum, next]))
}

/// The points as entries. All divisions share one inversion (Montgomery's trick).
fn push_entries(points: &[Point], entries: &mut Vec<Entry>) {
    let mut before = Vec::with_capacity(points.len());
    let mut product = Element::ONE;
    for point in points {
        before.push(product);
        product = product.mul(point.z());
    }
    let mut inverse = product.inverse().expect("no Z of a point is zero");
    let start = entries.len();
    for (point, before) in points.iter().zip(before).rev() {
        entries.push(entry(*point, inverse.mul(before)));
        inverse = inverse.mul(point.z());
    }
    entries[start..].reverse();
}

/// A point's entry, given the inverse of its Z.
fn entry(point: Point, z_inverse: Element) -> Entry {
    let (x, y) = point.affine(z_inverse);
    Entry {
        difference: y.sub(x).mul(HALF).to_words(),
        sum: y.add(x).mul(HALF).to_words(),
        product: x.mul(y).mul(super::point::D).to_words(),
    }
}

/// 1/2 modulo p, which is (p + 1) / 2 = 2^254 - 9.
const HALF: Element = Element::from_words([u64::MAX - 8, u64::MAX, u64::MAX, u64::MAX >> 2]);

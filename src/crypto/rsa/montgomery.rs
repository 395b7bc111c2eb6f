//! Products modulo n of numbers of many blocks, a block of columns at a time: first the products of the factors,
//! then the multiple of n that makes the column vanish (Montgomery).
//!
//! With `R = 2^(520 blocks)`, a product of a and b is `(a b + q n) / R` for some `q < R`, so it is below
//! `a b / R + n`. R exceeds n by 32 bits or more: factors below 4n have a product that is below `n + n / 2^27`,
//! and it is left there. Only [`subtract_modulus`] makes it canonical, once at the end.
#![forbid(unsafe_code)]

use super::block::{BLOCK_LIMBS, Block, Columns, NO_LIMBS};
use super::lanes::{LIMB_BITS, LIMB_MASK, Lanes, Row};
use super::number::{self, BLOCKS_MAX, Number};

/// An odd modulus in every lane, and what goes with it.
#[derive(Clone, Copy)]
pub(super) struct Modulus<'n> {
    pub(super) limbs: &'n [Block],
    /// `-1 / n` modulo 2^52.
    pub(super) negated_inverse: &'n Row,
}

/// Room for what is under way.
pub(super) struct Scratch {
    /// The multiple of n.
    multiple: Number,
    /// Twice as many columns as limbs, not carried.
    wide: [Block; 2 * BLOCKS_MAX],
    /// Another number.
    other: Number,
}

impl Scratch {
    pub(super) const NEW: Self = Self {
        multiple: number::ZERO,
        wide: [NO_LIMBS; 2 * BLOCKS_MAX],
        other: number::ZERO,
    };
}

/// `product = a b / R`. All have as many blocks as the modulus.
#[inline(always)]
pub(super) fn multiply<V: Lanes>(
    modulus: Modulus<'_>,
    a: &[Block],
    b: &[Block],
    scratch: &mut Scratch,
    product: &mut [Block],
) {
    let blocks = modulus.limbs.len();
    let mut carried = NO_LIMBS;
    for k in 0..2 * blocks {
        let mut columns = Columns::<V>::zero();
        for i in (k + 1).saturating_sub(blocks)..blocks.min(k + 1) {
            columns.add_product(&a[i], &b[k - i]);
        }
        reduce(
            modulus,
            k,
            columns,
            &mut carried,
            &mut scratch.multiple,
            product,
        );
    }
    debug_assert_empty::<V>(&carried);
}

/// Squares a number so many times, each time divided by R.
#[inline(always)]
pub(super) fn square_times<V: Lanes>(
    modulus: Modulus<'_>,
    times: usize,
    number: &mut [Block],
    scratch: &mut Scratch,
) {
    let blocks = modulus.limbs.len();
    let Scratch {
        multiple,
        wide,
        other,
    } = scratch;
    let (mut from, mut to) = (&mut *number, &mut other[..blocks]);
    for _ in 0..times {
        square::<V>(modulus, from, multiple, wide, to);
        (from, to) = (to, from);
    }
    if times % 2 == 1 {
        number.copy_from_slice(&other[..blocks]);
    }
}

/// `square = a^2 / R`: the products of different limbs are summed up once and doubled.
#[inline(always)]
fn square<V: Lanes>(
    modulus: Modulus<'_>,
    a: &[Block],
    multiple: &mut [Block],
    wide: &mut [Block],
    square: &mut [Block],
) {
    let blocks = modulus.limbs.len();
    let mut halves = Columns::<V>::zero();
    for k in 0..2 * blocks {
        for i in (k + 1).saturating_sub(blocks)..k.div_ceil(2) {
            halves.add_product(&a[i], &a[k - i]);
        }
        if k % 2 == 0 {
            halves.add_triangle(&a[k / 2]);
        }
        // The squares of ten limbs make twenty columns.
        let squared = a[k / 2].as_chunks().0;
        halves.store_doubled_with_squares(&squared[k % 2], &mut wide[k]);
        halves = halves.next();
    }
    let mut carried = NO_LIMBS;
    for (k, wide) in wide[..2 * blocks].iter().enumerate() {
        let columns = Columns::<V>::load(wide);
        reduce(modulus, k, columns, &mut carried, multiple, square);
    }
    debug_assert_empty::<V>(&carried);
}

/// Adds to block `k` of the columns its share of the multiple of n. The lower half of all blocks vanishes, the
/// upper is the result.
///
/// What was carried comes last, so that the products do not wait for the block before.
#[inline(always)]
fn reduce<V: Lanes>(
    modulus: Modulus<'_>,
    k: usize,
    mut columns: Columns<V>,
    carried: &mut Block,
    multiple: &mut [Block],
    result: &mut [Block],
) {
    let blocks = modulus.limbs.len();
    let first = (k + 1).saturating_sub(blocks);
    for (i, multiple) in (first..).zip(&multiple[first..k.min(blocks)]) {
        columns.add_product(&modulus.limbs[k - i], multiple);
    }
    columns.add(carried);
    if k < blocks {
        let negated_inverse = V::load(modulus.negated_inverse);
        columns.eliminate(&modulus.limbs[0], negated_inverse, &mut multiple[k]);
    } else {
        columns.settle(&mut result[k - blocks]);
    }
    columns.store_upper(carried);
}

/// `sum = a b / 2^520 + c` for an `a` of one block: below `a b / 2^520 + n + c`.
#[inline(always)]
pub(super) fn multiply_short<V: Lanes>(
    modulus: Modulus<'_>,
    a: &Block,
    b: &[Block],
    c: &[Block],
    sum: &mut [Block],
) {
    let mut multiple = NO_LIMBS;
    let mut columns = Columns::<V>::zero();
    columns.add_product(a, &b[0]);
    let negated_inverse = V::load(modulus.negated_inverse);
    columns.eliminate(&modulus.limbs[0], negated_inverse, &mut multiple);
    columns = columns.next();
    let mut above = b[1..].iter().zip(&modulus.limbs[1..]);
    for (c, sum) in c.iter().zip(sum) {
        columns.add(c);
        if let Some((b, n)) = above.next() {
            columns.add_product(a, b);
            columns.add_product(&multiple, n);
        }
        columns.settle(sum);
        columns = columns.next();
    }
    columns.store_upper(&mut multiple);
    debug_assert_empty::<V>(&multiple);
}

/// Subtracts n from the numbers that are not below it, once.
#[inline(always)]
pub(super) fn subtract_modulus<V: Lanes>(
    modulus: Modulus<'_>,
    number: &mut [Block],
    scratch: &mut Scratch,
) {
    let difference = &mut scratch.other[..number.len()];
    let mask = V::splat(LIMB_MASK);
    let mut borrow = V::splat(0);
    for ((number, n), difference) in number.iter().zip(modulus.limbs).zip(&mut *difference) {
        for i in 0..BLOCK_LIMBS {
            let column = V::load(&number[i]).minus(V::load(&n[i])).plus(borrow);
            borrow = column.shifted_right_signed::<LIMB_BITS>();
            column.and(mask).store(&mut difference[i]);
        }
    }
    let not_below = borrow.equals(V::splat(0));
    for (number, difference) in number.iter_mut().zip(difference) {
        for i in 0..BLOCK_LIMBS {
            let chosen = V::load(&difference[i]).or_else(not_below, V::load(&number[i]));
            chosen.store(&mut number[i]);
        }
    }
}

/// Asserts that a number ends where it should: the bounds of all values keep it below R.
#[inline(always)]
fn debug_assert_empty<V: Lanes>(above: &Block) {
    debug_assert!(
        above
            .iter()
            .all(|row| V::load(row).equals(V::splat(0)) == V::ALL),
        "nothing is left above the highest block"
    );
}

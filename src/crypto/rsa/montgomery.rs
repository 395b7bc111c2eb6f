//! Products modulo n of numbers of many blocks, a block of columns at a time: first the products of the factors,
//! then the multiple of n that makes the column vanish (Montgomery).
//!
//! With `R = 2^(520 blocks)`, a product of a and b is `(a b + q n) / R` for some `q < R`, so it is below
//! `a b / R + n`. R exceeds n by 32 bits or more: factors below 4n have a product that is below `n + n / 2^27`,
//! and it is left there. Only [`subtract_modulus`] makes it canonical, once at the end.
#![forbid(unsafe_code)]

use super::block::{BLOCK_LIMBS, Block, Columns};
use super::lanes::{LIMB_MASK, Lanes, Row};

/// An odd modulus in every lane, and what goes with it.
#[derive(Clone, Copy)]
pub(super) struct Modulus<'n> {
    pub(super) limbs: &'n [Block],
    /// `-1 / n` modulo 2^52.
    pub(super) negated_inverse: &'n Row,
}

/// `product = a b / R`. All have as many blocks as the modulus; `multiple` is room.
#[inline(always)]
pub(super) fn multiply<V: Lanes>(
    modulus: Modulus<'_>,
    a: &[Block],
    b: &[Block],
    multiple: &mut [Block],
    product: &mut [Block],
) {
    let blocks = modulus.limbs.len();
    let mut columns = Columns::<V>::zero();
    for k in 0..2 * blocks {
        for i in (k + 1).saturating_sub(blocks)..blocks.min(k + 1) {
            columns.add_product(&a[i], &b[k - i]);
        }
        columns = reduce(modulus, k, columns, multiple, product);
    }
    columns.debug_assert_empty();
}

/// Squares a number so many times, each time divided by R. `other` is room.
#[inline(always)]
pub(super) fn square_times<V: Lanes>(
    modulus: Modulus<'_>,
    times: usize,
    number: &mut [Block],
    multiple: &mut [Block],
    other: &mut [Block],
) {
    let (mut from, mut to) = (&mut *number, &mut *other);
    for _ in 0..times {
        square::<V>(modulus, from, multiple, to);
        (from, to) = (to, from);
    }
    if times % 2 == 1 {
        number.copy_from_slice(other);
    }
}

/// `square = a^2 / R`, in the same manner. The products of different limbs are summed up once and doubled.
#[inline(always)]
fn square<V: Lanes>(
    modulus: Modulus<'_>,
    a: &[Block],
    multiple: &mut [Block],
    square: &mut [Block],
) {
    let blocks = modulus.limbs.len();
    let mut columns = Columns::<V>::zero();
    let mut halves = Columns::<V>::zero();
    for k in 0..2 * blocks {
        for i in (k + 1).saturating_sub(blocks)..k.div_ceil(2) {
            halves.add_product(&a[i], &a[k - i]);
        }
        if k % 2 == 0 {
            halves.add_triangle(&a[k / 2]);
        }
        columns.add_doubled_lower(&halves);
        halves = halves.next();
        if k % 2 == 0 {
            columns.add_squares(&a[k / 2]);
        }
        columns = reduce(modulus, k, columns, multiple, square);
    }
    columns.debug_assert_empty();
}

/// Adds to block `k` of the columns its share of the multiple of n. The lower half of all blocks vanishes, the
/// upper is the result.
#[inline(always)]
fn reduce<V: Lanes>(
    modulus: Modulus<'_>,
    k: usize,
    mut columns: Columns<V>,
    multiple: &mut [Block],
    result: &mut [Block],
) -> Columns<V> {
    let blocks = modulus.limbs.len();
    for i in (k + 1).saturating_sub(blocks)..k.min(blocks) {
        columns.add_product(&modulus.limbs[k - i], &multiple[i]);
    }
    if k < blocks {
        let negated_inverse = V::load(modulus.negated_inverse);
        columns.eliminate(&modulus.limbs[0], negated_inverse, &mut multiple[k]);
    } else {
        columns.settle(&mut result[k - blocks]);
    }
    columns.next()
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
    let mut multiple = [Row::ZERO; BLOCK_LIMBS];
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
    columns.debug_assert_empty();
}

/// Subtracts n from the numbers that are not below it, once. `difference` is room.
#[inline(always)]
pub(super) fn subtract_modulus<V: Lanes>(
    modulus: Modulus<'_>,
    number: &mut [Block],
    difference: &mut [Block],
) {
    let mask = V::splat(LIMB_MASK);
    let mut borrow = V::splat(0);
    for ((number, n), difference) in number.iter().zip(modulus.limbs).zip(&mut *difference) {
        for i in 0..BLOCK_LIMBS {
            let column = V::load(&number[i]).minus(V::load(&n[i])).plus(borrow);
            borrow = column.above_limb_signed();
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

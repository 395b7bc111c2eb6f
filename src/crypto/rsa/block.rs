//! Blocks of ten limbs, and products of two of them. All columns of such a product stay in registers: twenty
//! columns, the ten limbs of one factor, and the limb of the other that is at work are 31 of the 32 that there
//! are.
//!
//! A [`Block`] holds limbs below 2^52, for the multiply-add reads no more of them; [`Columns`] hold sums of
//! products, which must not overflow 64 bits. The one comes of the other by [`Columns::settle`] only, and by
//! [`Columns::eliminate`].
#![forbid(unsafe_code)]
#![allow(
    clippy::needless_range_loop,
    reason = "columns and limbs are numbered, and stand at different places in their formulas"
)]

use super::lanes::{LIMB_BITS, LIMB_MASK, Lanes, Row};

/// Limbs of a block.
pub(super) const BLOCK_LIMBS: usize = 10;

/// Bits of a block: what the columns above it count in.
pub(super) const BLOCK_BITS: usize = BLOCK_LIMBS * LIMB_BITS as usize;

/// Ten limbs of a number in every lane, lowest first, each below 2^52.
pub(super) type Block = [Row; BLOCK_LIMBS];

pub(super) const NO_LIMBS: Block = [Row::ZERO; BLOCK_LIMBS];

/// Twenty column sums: ten, and what their products put into the ten above.
#[derive(Clone, Copy)]
pub(super) struct Columns<V>([V; 2 * BLOCK_LIMBS]);

/// Nothing that is summed up in a column comes near 2^64: of numbers of 80 limbs, 320 halves of products of limbs,
/// and a carry.
const COLUMN_BITS: u32 = LIMB_BITS + 9;

/// The code for each index of a block, one after the other: the compiler does not unroll nested loops by itself,
/// and only unrolled do the columns stay in registers.
macro_rules! unrolled {
    ($index:ident, $code:block) => {
        unrolled!($index, $code, 0 1 2 3 4 5 6 7 8 9)
    };
    ($index:ident, $code:block, $($at:literal)*) => {
        $({
            let $index: usize = $at;
            $code
        })*
    };
}

impl<V: Lanes> Columns<V> {
    #[inline(always)]
    pub(super) fn zero() -> Self {
        Self([V::splat(0); 2 * BLOCK_LIMBS])
    }

    /// The columns of the next block: they begin with what this one put above its own.
    #[inline(always)]
    pub(super) fn next(&self) -> Self {
        let mut columns = Self::zero();
        for i in 0..BLOCK_LIMBS {
            columns.0[i] = self.0[BLOCK_LIMBS + i];
        }
        columns
    }

    /// Columns that begin with sums of before.
    #[inline(always)]
    pub(super) fn load(sums: &Block) -> Self {
        let mut columns = Self::zero();
        columns.add(sums);
        columns
    }

    /// Leaves what is above the lower ten.
    #[inline(always)]
    pub(super) fn store_upper(&self, sums: &mut Block) {
        for i in 0..BLOCK_LIMBS {
            self.0[BLOCK_LIMBS + i].store(&mut sums[i]);
        }
    }

    /// Leaves twice the lower ten and the squares of five limbs.
    #[inline(always)]
    pub(super) fn store_doubled_with_squares(
        &self,
        limbs: &[Row; BLOCK_LIMBS / 2],
        sums: &mut Block,
    ) {
        for i in 0..BLOCK_LIMBS / 2 {
            let limb = V::load(&limbs[i]);
            let (low, high) = (self.0[2 * i], self.0[2 * i + 1]);
            let low = low.plus(low).plus_low_product(limb, limb);
            let high = high.plus(high).plus_high_product(limb, limb);
            low.store(&mut sums[2 * i]);
            high.store(&mut sums[2 * i + 1]);
        }
    }

    /// Adds a block to the lower ten.
    #[inline(always)]
    pub(super) fn add(&mut self, block: &Block) {
        for i in 0..BLOCK_LIMBS {
            self.0[i] = self.0[i].plus(V::load(&block[i]));
        }
    }

    /// Adds the product of two blocks.
    #[inline(always)]
    pub(super) fn add_product(&mut self, a: &Block, b: &Block) {
        let a = loaded(a);
        unrolled!(j, {
            self.add_row(j, &a, V::load(&b[j]));
        });
    }

    /// Adds the product of a block and the limb at an index of another.
    #[inline(always)]
    fn add_row(&mut self, j: usize, a: &[V; BLOCK_LIMBS], b: V) {
        for i in 0..BLOCK_LIMBS {
            self.0[i + j] = self.0[i + j].plus_low_product(a[i], b);
        }
        for i in 0..BLOCK_LIMBS {
            self.0[i + j + 1] = self.0[i + j + 1].plus_high_product(a[i], b);
        }
    }

    /// Adds the products of any two different limbs of a block, each once.
    #[inline(always)]
    pub(super) fn add_triangle(&mut self, a: &Block) {
        let a: [V; BLOCK_LIMBS] = loaded(a);
        unrolled!(j, {
            for i in 0..j {
                self.0[i + j] = self.0[i + j].plus_low_product(a[i], a[j]);
            }
            for i in 0..j {
                self.0[i + j + 1] = self.0[i + j + 1].plus_high_product(a[i], a[j]);
            }
        });
    }

    /// Adds the multiple of the modulus that makes the lower ten vanish, carries what is left of them, and gives
    /// back the multiple. `modulus` is the lowest block, `negated_inverse` is `-1 / modulus` modulo 2^52.
    #[inline(always)]
    pub(super) fn eliminate(&mut self, modulus: &Block, negated_inverse: V, multiple: &mut Block) {
        let modulus = loaded(modulus);
        unrolled!(j, {
            // Of both factors the low bits are read, and of the product they are kept: a limb.
            let q = V::splat(0).plus_low_product(self.0[j], negated_inverse);
            self.add_row(j, &modulus, q);
            self.debug_assert_column(j);
            self.0[j + 1] = self.0[j + 1].plus(self.0[j].shifted_right::<LIMB_BITS>());
            q.store(&mut multiple[j]);
        });
    }

    /// Carries the lower ten, the last of them into the upper ones, and gives back what stays.
    #[inline(always)]
    pub(super) fn settle(&mut self, limbs: &mut Block) {
        let mask = V::splat(LIMB_MASK);
        for i in 0..BLOCK_LIMBS {
            self.debug_assert_column(i);
            self.0[i + 1] = self.0[i + 1].plus(self.0[i].shifted_right::<LIMB_BITS>());
            self.0[i].and(mask).store(&mut limbs[i]);
        }
    }

    #[inline(always)]
    fn debug_assert_column(&self, at: usize) {
        debug_assert!(
            self.0[at]
                .shifted_right::<COLUMN_BITS>()
                .equals(V::splat(0))
                == V::ALL,
            "column sums stay far below 64 bits"
        );
    }
}

#[inline(always)]
fn loaded<V: Lanes>(block: &Block) -> [V; BLOCK_LIMBS] {
    let mut limbs = [V::splat(0); BLOCK_LIMBS];
    for i in 0..BLOCK_LIMBS {
        limbs[i] = V::load(&block[i]);
    }
    limbs
}

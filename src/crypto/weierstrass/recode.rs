//! A scalar as odd signed digits: none is zero, so that every window adds a point, and the sum needs no masks.
//!
//! An odd `k` below `2^L` is `s_0 + 2 s_1 + … + 2^(L-1) s_(L-1)` with every `s` either 1 or -1: writing
//! `s_j = 2 t_j - 1`, the sum is `2 t - (2^L - 1)`, so `t = (k + 2^L - 1) / 2`. The bits `t_j` of a window of
//! width w make up `T`, and its digit is `2 T - (2^w - 1)`, odd and below `2^w`. An even scalar is negated, which
//! makes it odd since the order n is, and so are its digits.
#![forbid(unsafe_code)]

use super::lanes::Lanes;
use super::modulus::{Modulus, WORDS_MAX};

/// The digits of a scalar in each lane.
pub(super) struct Digits<L> {
    /// `t`, and words of zeros above.
    bits: [L; WORDS_MAX + 1],
    width: u32,
    negated: u8,
}

impl<L: Lanes> Digits<L> {
    /// The digits of scalars below the order n. Zero has those of n, which is as much.
    #[inline(always)]
    pub(super) fn new<M: Modulus<W>, const W: usize>(
        scalar: [L; W],
        width: u32,
        windows: usize,
    ) -> Self {
        let zero = L::splat(0);
        let negated = scalar[0].and(L::splat(1)).equals(zero);
        let k = subtracted_from::<L, W>(M::WORDS, scalar, negated);
        let mut bits = [zero; _];
        for at in 0..W {
            bits[at] = k[at].shifted_right::<1>();
            if at + 1 < W {
                bits[at] = bits[at].or(k[at + 1].shifted_left::<63>());
            }
        }
        // (k + 2^L - 1) / 2 of an odd k. L is at least 64 W, so this bit is not set yet.
        let top = width as usize * windows - 1;
        bits[top / 64] = bits[top / 64].or(L::splat(1 << (top % 64)));
        Self {
            bits,
            width,
            negated,
        }
    }

    /// Half of the digit's absolute value, rounded down, and the lanes where it is negative.
    #[inline(always)]
    pub(super) fn digit(&self, window: usize) -> (L, u8) {
        let at = window as u32 * self.width;
        let (word, shift) = ((at / 64) as usize, at % 64);
        let low = self.bits[word].shifted_right_by(shift);
        // In two steps, for a shift by 64 bits is none.
        let high = self.bits[word + 1]
            .shifted_left::<1>()
            .shifted_left_by(63 - shift);
        let bits = low.or(high);
        let half = 1 << (self.width - 1);
        // 2 T - (2^w - 1) is 2 (T - 2^(w-1)) + 1 of a T in the upper half, and of one in the lower half it
        // is minus that of its complement.
        let lower = bits.and(L::splat(half)).equals(L::splat(0));
        let index = L::splat(u64::MAX).minus(bits).or_else(lower, bits);
        (index.and(L::splat(half - 1)), lower ^ self.negated)
    }
}

/// The order less the scalar in the lanes of the mask.
#[inline(always)]
fn subtracted_from<L: Lanes, const W: usize>(order: [u64; W], scalar: [L; W], mask: u8) -> [L; W] {
    let mut borrow = L::splat(0);
    let mut words = scalar;
    for (word, order) in words.iter_mut().zip(order) {
        let order = L::splat(order);
        let difference = order.minus(*word).minus(borrow);
        // The borrow out of a - b - c is the top bit of (!a & b) | ((!a | b) & (a - b - c)).
        let not_order = L::splat(u64::MAX).minus(order);
        borrow = not_order
            .and(*word)
            .or(not_order.or(*word).and(difference))
            .shifted_right::<63>();
        *word = difference.or_else(mask, *word);
    }
    words
}

//! A scalar as odd signed digits, so that every window adds a table point or its opposite.
//!
//! An odd `k` below `2^L` is `s_0 + 2 s_1 + … + 2^(L-1) s_(L-1)` with every `s` either 1 or -1: writing
//! `s_j = 2 t_j - 1`, the sum is `2 t - (2^L - 1)`, so `t = (k + 2^L - 1) / 2`. The bits `t_j` of a window of
//! width w make up `T`, and its digit is `2 T - (2^w - 1)`, odd and below `2^w`. An even scalar has the order
//! added, which is odd.
#![forbid(unsafe_code)]

use super::lanes::Lanes;

/// The digits of a scalar in each lane.
pub(super) struct Digits<L> {
    /// `t`, and words of zeros above.
    bits: [L; 6],
    width: u32,
}

impl<L: Lanes> Digits<L> {
    /// The digits of odd scalars.
    #[inline(always)]
    pub(super) fn new([k0, k1, k2, k3]: [L; 4], width: u32, windows: usize) -> Self {
        let zero = L::splat(0);
        let mut bits = [
            k0.shifted_right::<1>().or(k1.shifted_left::<63>()),
            k1.shifted_right::<1>().or(k2.shifted_left::<63>()),
            k2.shifted_right::<1>().or(k3.shifted_left::<63>()),
            k3.shifted_right::<1>(),
            zero,
            zero,
        ];
        // (k + 2^L - 1) / 2 of an odd k. L is from 256 to 271, so this bit is not set yet.
        let top = width as usize * windows - 1;
        bits[top / 64] = bits[top / 64].or(L::splat(1 << (top % 64)));
        Self { bits, width }
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
        (index.and(L::splat(half - 1)), lower)
    }
}

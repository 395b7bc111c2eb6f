//! What the tree of additions asks of a prime field, and the field in limbs of 52 bits for any lanes.
//!
//! Montgomery form with R = 2^(52 N) for N limbs: a product of two factors is `a b / R`. Sums and differences are left
//! loose and carried only where they are multiplied; each type says what it may hold.
#![forbid(unsafe_code)]

use super::invert::invert;
use super::lanes::Lanes;
use super::modulus::{
    Columns, LIMB_BITS, LIMB_MASK, LIMBS_MAX, Modulus, Prime, power_of_two, to_limbs, word_of_limb,
};
use std::marker::PhantomData;

/// Elements of a prime field with modulus m, in lanes. A value stands for a residue; it may lie outside
/// [0, m) as far as each operation says.
pub(super) trait Field: Copy + 'static {
    /// An element that may be multiplied: from 0 up to less than 4m.
    type Factor: Copy;

    /// The words that its numbers are made of.
    type Word: Lanes;

    const LANES: usize = Self::Word::COUNT;

    /// `a b / R`, below 2m and not negative.
    fn product(a: Self::Factor, b: Self::Factor) -> Self;

    /// `a a / R`, below 2m and not negative.
    fn square(a: Self::Factor) -> Self;

    fn plus(self, other: Self) -> Self;

    fn minus(self, other: Self) -> Self;

    /// Of a value from 0 up to less than 4m.
    fn carried(self) -> Self::Factor;

    #[cfg(test)]
    fn loose(factor: Self::Factor) -> Self;

    /// The lanes whose residue is zero.
    fn zeros(factor: Self::Factor) -> u8;

    /// `a` in the lanes of the mask, `b` elsewhere.
    fn select(mask: u8, a: Self::Factor, b: Self::Factor) -> Self::Factor;

    /// Each lane gets that of its number `xor distance`.
    fn swapped(factor: Self::Factor, distance: usize) -> Self::Factor;

    /// The factor that `product` leaves others alone with: R itself.
    fn one() -> Self::Factor;

    /// `R^2 / a`, which undoes a product with `a`, of the number in lane 0 for every lane; `None` of zero.
    fn inverse(a: Self::Factor) -> Option<Self::Factor>;

    /// `a b / R`, as a factor.
    #[inline(always)]
    fn multiply(a: Self::Factor, b: Self::Factor) -> Self::Factor {
        Self::product(a, b).carried()
    }
}

/// A field whose elements have `W` words: the way in and out.
pub(super) trait Residues<const W: usize>: Field {
    type Modulus: Modulus<W>;

    /// The Montgomery form's R is two to this power.
    const RADIX_BITS: u32;

    /// The same number in every lane, as it is written.
    fn splat(words: [u64; W]) -> Self::Factor;

    /// A number for each lane, as it is written.
    fn gather(numbers: &[[u64; W]]) -> Self::Factor;

    /// A residue for each lane, as it is written, from its words.
    fn from_words(words: [Self::Word; W]) -> Self;

    /// Each lane's residue below m, as it is written.
    fn words(factor: Self::Factor) -> [Self::Word; W];

    /// [`Self::words`], number by number.
    #[inline(always)]
    fn scatter(factor: Self::Factor, numbers: &mut [[u64; W]]) {
        Self::Word::scatter(Self::words(factor), numbers);
    }

    /// R modulo m.
    const RADIX: [u64; W] = power_of_two(Self::RADIX_BITS, Self::Modulus::WORDS);

    /// R^2 modulo m.
    const RADIX_SQUARED: [u64; W] = power_of_two(2 * Self::RADIX_BITS, Self::Modulus::WORDS);

    /// R^3 modulo m.
    const RADIX_CUBED: [u64; W] = power_of_two(3 * Self::RADIX_BITS, Self::Modulus::WORDS);
}

/// A field that holds coordinates of points.
///
/// Tables hold coordinates times a power of two, [`Prime::COORDINATE_BITS`]. Where R is another power, the kernel
/// sees the coordinates times the quotient of the two, call it `k^2`, and slopes unchanged; [`Self::stretched`]
/// makes up for that.
pub(super) trait Coordinate: Field {
    /// Reduces a value within ±2^10 p to between -p/100 and 1.01p.
    fn reduced(self) -> Self;

    /// Of a value within ±2^10 p.
    fn carried_any(self) -> Self::Factor;

    /// Of a value within ±2p.
    fn carried_difference(self) -> Self::Factor;

    /// k times a factor.
    fn stretched(factor: Self::Factor) -> Self::Factor;

    /// The prime less the value, in the lanes of the mask. The value is in (0, p).
    fn negated(self, mask: u8) -> Self;
}

/// A point in affine coordinates, never infinity.
#[derive(Clone, Copy)]
pub(super) struct Point<F> {
    pub(super) x: F,
    pub(super) y: F,
}

/// Limbs of 52 bits, which may be negative or as large as 2^60, of a value that may be negative too.
#[derive(Clone, Copy)]
pub(super) struct Loose<L, M, const W: usize, const N: usize>([L; N], PhantomData<M>);

/// Limbs of 52 bits, none negative and none larger: what the multiplier reads. The value is less than 4m,
/// so that a product of two is less than `16 m^2 / R + m`, not above 2m: R is at least 16 times m.
#[derive(Clone, Copy)]
pub(super) struct Carried<L, M, const W: usize, const N: usize>([L; N], PhantomData<M>);

/// A loop over limbs, written out. Columns stay in registers only if every index is known, and the compiler does
/// not unroll a loop as long as that of eight limbs. A debug build keeps the loop: it has no registers to gain, and
/// would give each copy its own room on the stack.
macro_rules! unrolled {
    (for $at:ident in 0..$end:ident $body:block) => {
        if cfg!(debug_assertions) {
            for $at in 0..$end $body
        } else {
            unrolled!(@ $at, $end, $body, 0 1 2 3 4 5 6 7)
        }
    };
    (@ $at:ident, $end:ident, $body:block, $($index:literal)+) => {{
        const { assert!($end <= LIMBS_MAX) };
        $(
            if $index < $end {
                let $at = $index;
                $body
            }
        )+
    }};
}

/// Bits that the top limb has of a number of `W` words.
const fn top_bits<const W: usize, const N: usize>() -> u32 {
    64 * W as u32 - (N as u32 - 1) * LIMB_BITS
}

impl<L: Lanes, M: Modulus<W>, const W: usize, const N: usize> Loose<L, M, W, N> {
    /// The modulus.
    const LIMBS: [u64; N] = {
        assert!(
            N <= LIMBS_MAX && top_bits::<W, N>() <= LIMB_BITS - 4,
            "R is at least 16 times m"
        );
        to_limbs(M::WORDS)
    };

    const fn of(limbs: [L; N]) -> Self {
        Self(limbs, PhantomData)
    }

    /// Adds a small multiple of the modulus and carries.
    #[inline(always)]
    fn carried_above(self, multiple: u64) -> Carried<L, M, W, N> {
        let mut limbs = self.0;
        if multiple != 0 {
            for (limb, modulus) in limbs.iter_mut().zip(Self::LIMBS) {
                *limb = limb.plus(L::splat(modulus * multiple));
            }
        }
        carry(&mut limbs);
        // 4m has two bits more than m.
        debug_assert_eq!(
            limbs[N - 1]
                .shifted_right_by(top_bits::<W, N>() + 2)
                .equals(L::splat(0)),
            every_lane::<L>(),
            "a factor is not negative, and below 4m"
        );
        Carried(limbs, PhantomData)
    }

    /// What the columns of a product hold above those that are cleared.
    #[inline(always)]
    fn from_columns(t: &Columns<L>) -> Self {
        let mut limbs = [t[N]; N];
        limbs.copy_from_slice(&t[N..2 * N]);
        Self::of(limbs)
    }
}

/// Brings each limb but the top one into [0, 2^52).
#[inline(always)]
fn carry<L: Lanes, const N: usize>(limbs: &mut [L; N]) {
    for at in 0..N - 1 {
        limbs[at + 1] = limbs[at + 1].plus(limbs[at].shifted_right_signed::<LIMB_BITS>());
        limbs[at] = limbs[at].and(L::splat(LIMB_MASK));
    }
}

impl<L: Lanes, M: Modulus<W>, const W: usize, const N: usize> Carried<L, M, W, N> {
    /// Less the modulus where that is not negative.
    #[inline(always)]
    fn subtracted_once(self) -> Self {
        let mut limbs = self.0;
        for (limb, modulus) in limbs.iter_mut().zip(Loose::<L, M, W, N>::LIMBS) {
            *limb = limb.minus(L::splat(modulus));
        }
        carry(&mut limbs);
        let not_negative = limbs[N - 1].shifted_right::<63>().equals(L::splat(0));
        for (limb, old) in limbs.iter_mut().zip(self.0) {
            *limb = limb.or_else(not_negative, old);
        }
        Self(limbs, PhantomData)
    }

    /// The lanes that hold so many times the modulus.
    #[inline(always)]
    fn is_multiple(self, times: u64) -> u8 {
        let mut limbs = Loose::<L, M, W, N>::LIMBS;
        for limb in &mut limbs {
            *limb *= times;
        }
        for at in 0..N - 1 {
            limbs[at + 1] += limbs[at] >> LIMB_BITS;
            limbs[at] &= LIMB_MASK;
        }
        let mut mask = u8::MAX;
        for (limb, other) in self.0.into_iter().zip(limbs) {
            mask &= limb.equals(L::splat(other));
        }
        mask
    }
}

/// A bit for each lane.
const fn every_lane<L: Lanes>() -> u8 {
    u8::MAX >> (8 - L::COUNT)
}

impl<L: Lanes, M: Modulus<W>, const W: usize, const N: usize> Field for Loose<L, M, W, N> {
    type Factor = Carried<L, M, W, N>;

    type Word = L;

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn product(a: Self::Factor, b: Self::Factor) -> Self {
        // A column takes at most N low and N high products, and as many again while it is cleared, each below
        // 2^52: it stays below 2^57.
        let mut t = [L::splat(0); _];
        unrolled!(for i in 0..N {
            for j in 0..N {
                t[i + j] = t[i + j].plus_low_product(a.0[i], b.0[j]);
            }
            for j in 0..N {
                t[i + j + 1] = t[i + j + 1].plus_high_product(a.0[i], b.0[j]);
            }
            M::clear_limb::<L, N>(&mut t, i);
        });
        Self::from_columns(&t)
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn square(a: Self::Factor) -> Self {
        let mut t: Columns<L> = [L::splat(0); _];
        unrolled!(for i in 0..N {
            for j in i + 1..N {
                t[i + j] = t[i + j].plus_low_product(a.0[i], a.0[j]);
                t[i + j + 1] = t[i + j + 1].plus_high_product(a.0[i], a.0[j]);
            }
        });
        for column in &mut t {
            *column = column.plus(*column);
        }
        for i in 0..N {
            t[2 * i] = t[2 * i].plus_low_product(a.0[i], a.0[i]);
            t[2 * i + 1] = t[2 * i + 1].plus_high_product(a.0[i], a.0[i]);
        }
        unrolled!(for i in 0..N {
            M::clear_limb::<L, N>(&mut t, i);
        });
        Self::from_columns(&t)
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        let mut limbs = self.0;
        for (limb, other) in limbs.iter_mut().zip(other.0) {
            *limb = limb.plus(other);
        }
        Self::of(limbs)
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        let mut limbs = self.0;
        for (limb, other) in limbs.iter_mut().zip(other.0) {
            *limb = limb.minus(other);
        }
        Self::of(limbs)
    }

    #[inline(always)]
    fn carried(self) -> Self::Factor {
        self.carried_above(0)
    }

    #[cfg(test)]
    fn loose(factor: Self::Factor) -> Self {
        Self::of(factor.0)
    }

    #[inline(always)]
    fn zeros(factor: Self::Factor) -> u8 {
        let mut mask = 0;
        for times in 0..4 {
            mask |= factor.is_multiple(times);
        }
        mask
    }

    #[inline(always)]
    fn select(mask: u8, a: Self::Factor, b: Self::Factor) -> Self::Factor {
        let mut limbs = a.0;
        for (limb, other) in limbs.iter_mut().zip(b.0) {
            *limb = limb.or_else(mask, other);
        }
        Carried(limbs, PhantomData)
    }

    #[inline(always)]
    fn swapped(factor: Self::Factor, distance: usize) -> Self::Factor {
        let mut limbs = factor.0;
        for limb in &mut limbs {
            *limb = limb.swapped(distance);
        }
        Carried(limbs, PhantomData)
    }

    #[inline(always)]
    fn one() -> Self::Factor {
        Self::splat(Self::RADIX)
    }

    #[inline(always)]
    fn inverse(a: Self::Factor) -> Option<Self::Factor> {
        let mut numbers = [[0; W]; 8];
        Self::scatter(a, &mut numbers);
        if numbers[0] == [0; W] {
            return None;
        }
        let inverse = Self::splat(invert::<M, W>(numbers[0]));
        Some(Self::multiply(inverse, Self::splat(Self::RADIX_CUBED)))
    }
}

impl<L: Lanes, M: Modulus<W>, const W: usize, const N: usize> Residues<W> for Loose<L, M, W, N> {
    type Modulus = M;

    const RADIX_BITS: u32 = N as u32 * LIMB_BITS;

    #[inline(always)]
    fn splat(words: [u64; W]) -> Self::Factor {
        let mut limbs = [L::splat(0); N];
        for (limb, word) in limbs.iter_mut().zip(to_limbs::<W, N>(words)) {
            *limb = L::splat(word);
        }
        Carried(limbs, PhantomData)
    }

    #[inline(always)]
    fn gather(numbers: &[[u64; W]]) -> Self::Factor {
        Carried(limbs_of(L::gather(numbers)), PhantomData)
    }

    #[inline(always)]
    fn from_words(words: [L; W]) -> Self {
        Self::of(limbs_of(words))
    }

    #[inline(always)]
    fn words(factor: Self::Factor) -> [L; W] {
        let factor = factor.subtracted_once().subtracted_once();
        words_of(factor.subtracted_once().0)
    }
}

impl<L: Lanes, M: Prime<W>, const W: usize, const N: usize> Loose<L, M, W, N> {
    /// Less `q + bias` times p, where q is what the value's top bits say of its quotient by 2^(64 W): what is left
    /// lies within a thousandth of p of [-bias p, (1 - bias) p].
    #[inline(always)]
    fn without_top(self, bias: u64) -> Self {
        let mut limbs = self.0;
        let q = limbs[N - 1].shifted_right_signed_by(const { top_bits::<W, N>() });
        M::subtract_multiple(&mut limbs, q.plus(L::splat(bias)));
        Self::of(limbs)
    }
}

impl<L: Lanes, M: Prime<W>, const W: usize, const N: usize> Coordinate for Loose<L, M, W, N> {
    #[inline(always)]
    fn reduced(self) -> Self {
        self.without_top(0)
    }

    #[inline(always)]
    fn carried_any(self) -> Self::Factor {
        self.without_top(1u64.wrapping_neg()).carried()
    }

    #[inline(always)]
    fn carried_difference(self) -> Self::Factor {
        self.carried_above(2)
    }

    #[inline(always)]
    fn stretched(factor: Self::Factor) -> Self::Factor {
        const { assert!(M::COORDINATE_BITS == Self::RADIX_BITS, "k = 1") };
        factor
    }

    #[inline(always)]
    fn negated(self, mask: u8) -> Self {
        let mut limbs = self.0;
        for (limb, modulus) in limbs.iter_mut().zip(Self::LIMBS) {
            *limb = L::splat(modulus).minus(*limb).or_else(mask, *limb);
        }
        Self::of(limbs)
    }
}

/// Words cut into limbs, as [`to_limbs`] does.
#[inline(always)]
fn limbs_of<L: Lanes, const W: usize, const N: usize>(words: [L; W]) -> [L; N] {
    let mut limbs = [L::splat(0); N];
    for (at, limb) in limbs.iter_mut().enumerate() {
        let (word, shift) = word_of_limb(at);
        *limb = words[word].shifted_right_by(shift);
        if shift > 64 - LIMB_BITS && word + 1 < W {
            *limb = limb.or(words[word + 1].shifted_left_by(64 - shift));
        }
        *limb = limb.and(L::splat(LIMB_MASK));
    }
    limbs
}

/// The reverse of [`limbs_of`]: limbs that are carried, of a number that fits into the words.
#[inline(always)]
fn words_of<L: Lanes, const W: usize, const N: usize>(limbs: [L; N]) -> [L; W] {
    let mut words = [L::splat(0); W];
    for (at, limb) in limbs.into_iter().enumerate() {
        let (word, shift) = word_of_limb(at);
        words[word] = words[word].or(limb.shifted_left_by(shift));
        if shift > 64 - LIMB_BITS && word + 1 < W {
            words[word + 1] = words[word + 1].or(limb.shifted_right_by(64 - shift));
        }
    }
    words
}

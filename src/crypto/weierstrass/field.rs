//! What the tree of additions asks of a prime field, and the field in limbs of 52 bits for any lanes.
//!
//! Montgomery form with R = 2^260: a product of two factors is `a b / R`. Sums and differences are left loose
//! and carried only where they are multiplied; each type says what it may hold.
#![forbid(unsafe_code)]

use super::invert::invert;
use super::lanes::Lanes;
use super::modulus::{
    FieldPrime, GroupOrder, LIMB_BITS, LIMB_MASK, Modulus, Words, power_of_two, to_limbs,
};
use super::table::Line;
use std::marker::PhantomData;

/// Elements of a prime field with modulus m, in lanes. A value stands for a residue; it may lie outside
/// [0, m) as far as each operation says.
pub(super) trait Field: Copy {
    /// An element that may be multiplied: from 0 up to less than 4m.
    type Factor: Copy;
    type Modulus: Modulus;

    /// The words that its numbers are made of.
    type Word: Lanes;

    const LANES: usize = Self::Word::COUNT;

    /// The Montgomery form's R is two to this power.
    const RADIX_BITS: u32;

    /// The same number in every lane, as it is written.
    fn splat(words: Words) -> Self::Factor;

    /// A number for each lane, as it is written.
    fn gather(numbers: &[Words]) -> Self::Factor;

    /// Each lane's residue below m, as it is written.
    fn words(factor: Self::Factor) -> [Self::Word; 4];

    /// [`Self::words`], number by number.
    #[inline(always)]
    fn scatter(factor: Self::Factor, numbers: &mut [Words]) {
        Self::Word::scatter(Self::words(factor), numbers);
    }

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

    /// `a b / R`, as a factor.
    #[inline(always)]
    fn multiply(a: Self::Factor, b: Self::Factor) -> Self::Factor {
        Self::product(a, b).carried()
    }

    /// The factor that `product` leaves others alone with: R itself.
    #[inline(always)]
    fn one() -> Self::Factor {
        Self::splat(Self::RADIX)
    }

    /// `R^2 / a`, which undoes a product with `a`, of the number in lane 0 for every lane; `None` of zero.
    #[inline(always)]
    fn inverse(a: Self::Factor) -> Option<Self::Factor> {
        let mut numbers = [[0; 4]; 8];
        Self::scatter(a, &mut numbers);
        if numbers[0] == [0; 4] {
            return None;
        }
        let inverse = Self::splat(invert::<Self::Modulus>(numbers[0]));
        Some(Self::multiply(inverse, Self::splat(Self::RADIX_CUBED)))
    }

    /// R modulo m.
    const RADIX: Words = power_of_two(Self::RADIX_BITS, Self::Modulus::WORDS);

    /// R^2 modulo m.
    const RADIX_SQUARED: Words = power_of_two(2 * Self::RADIX_BITS, Self::Modulus::WORDS);

    /// R^3 modulo m.
    const RADIX_CUBED: Words = power_of_two(3 * Self::RADIX_BITS, Self::Modulus::WORDS);
}

/// A field that holds coordinates of points.
///
/// Tables hold `x 2^260` and `y 2^260`. Where R is another power, the kernel sees the coordinates times
/// `2^260 / R`, call it `k^2`, and slopes unchanged; [`Self::stretched`] makes up for that.
pub(super) trait Coordinate: Field<Modulus = FieldPrime> {
    /// Reduces a value within ±2^10 p to between -p/100 and 1.01p.
    fn reduced(self) -> Self;

    /// Of a value within ±2^10 p.
    fn carried_any(self) -> Self::Factor;

    /// Of a value within ±2p.
    fn carried_difference(self) -> Self::Factor;

    /// k times a factor.
    fn stretched(factor: Self::Factor) -> Self::Factor;

    /// The points of a line for each lane, negated in the lanes of the mask; coordinates from 0 to p.
    fn load(lines: [&Line; 8], negative: u8) -> Point<Self>;

    /// Two to this power brings a plain number into the form of coordinates by a product.
    const INTO_COORDINATE: Words =
        power_of_two(COORDINATE_BITS + Self::RADIX_BITS, FieldPrime::WORDS);

    /// The order of the group, in the form of coordinates.
    #[inline(always)]
    fn order() -> Self {
        Self::product(
            Self::splat(GroupOrder::WORDS),
            Self::splat(Self::INTO_COORDINATE),
        )
    }
}

/// Coordinates are kept times two to this power.
pub(super) const COORDINATE_BITS: u32 = 260;

/// A point in affine coordinates, never infinity.
#[derive(Clone, Copy)]
pub(super) struct Point<F> {
    pub(super) x: F,
    pub(super) y: F,
}

/// Limbs of 52 bits, which may be negative or as large as 2^60, of a value that may be negative too.
#[derive(Clone, Copy)]
pub(super) struct Loose<L, M>([L; 5], PhantomData<M>);

/// Limbs of 52 bits, none negative and none larger: what the multiplier reads. The value is less than 4m,
/// so that a product of two is less than `16 m^2 / 2^260 + m`, not above 2m.
#[derive(Clone, Copy)]
pub(super) struct Carried<L, M>([L; 5], PhantomData<M>);

impl<L: Lanes, M: Modulus> Loose<L, M> {
    const fn of(limbs: [L; 5]) -> Self {
        Self(limbs, PhantomData)
    }

    /// Adds a small multiple of the modulus and carries.
    #[inline(always)]
    fn carried_above(self, multiple: u64) -> Carried<L, M> {
        let mut limbs = self.0;
        if multiple != 0 {
            for (limb, modulus) in limbs.iter_mut().zip(M::LIMBS) {
                *limb = limb.plus(L::splat(modulus * multiple));
            }
        }
        for at in 0..4 {
            limbs[at + 1] = limbs[at + 1].plus(limbs[at].shifted_right_signed::<LIMB_BITS>());
            limbs[at] = limbs[at].and(L::splat(LIMB_MASK));
        }
        // 4m is less than 2^258: two bits more than 48 in the top limb.
        debug_assert_eq!(
            limbs[4].shifted_right::<50>().equals(L::splat(0)),
            every_lane::<L>(),
            "a factor is not negative, and below 4m"
        );
        Carried(limbs, PhantomData)
    }

    /// The columns of a product, cleared from below and carried down.
    #[inline(always)]
    fn from_columns(mut t: [L; 10], cleared: usize) -> Self {
        for at in cleared..5 {
            M::clear_limb(&mut t, at);
        }
        let [_, _, _, _, _, l0, l1, l2, l3, l4] = t;
        Self::of([l0, l1, l2, l3, l4])
    }
}

impl<L: Lanes, M: Modulus> Carried<L, M> {
    /// Less the modulus where that is not negative.
    #[inline(always)]
    fn subtracted_once(self) -> Self {
        let mut limbs = self.0;
        for (limb, modulus) in limbs.iter_mut().zip(M::LIMBS) {
            *limb = limb.minus(L::splat(modulus));
        }
        for at in 0..4 {
            limbs[at + 1] = limbs[at + 1].plus(limbs[at].shifted_right_signed::<LIMB_BITS>());
            limbs[at] = limbs[at].and(L::splat(LIMB_MASK));
        }
        let not_negative = limbs[4].shifted_right::<63>().equals(L::splat(0));
        for (limb, old) in limbs.iter_mut().zip(self.0) {
            *limb = limb.or_else(not_negative, old);
        }
        Self(limbs, PhantomData)
    }

    #[inline(always)]
    fn equals(self, words: Words, times: u64) -> u8 {
        let mut limbs = to_limbs(words).map(|limb| limb * times);
        for at in 0..4 {
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

impl<L: Lanes, M: Modulus> Field for Loose<L, M> {
    type Factor = Carried<L, M>;
    type Modulus = M;

    type Word = L;

    const RADIX_BITS: u32 = 5 * LIMB_BITS;

    #[inline(always)]
    fn splat(words: Words) -> Self::Factor {
        let [l0, l1, l2, l3, l4] = to_limbs(words);
        let limbs = [
            L::splat(l0),
            L::splat(l1),
            L::splat(l2),
            L::splat(l3),
            L::splat(l4),
        ];
        Carried(limbs, PhantomData)
    }

    #[inline(always)]
    fn gather(numbers: &[Words]) -> Self::Factor {
        Carried(limbs_of(L::gather(numbers)), PhantomData)
    }

    #[inline(always)]
    fn words(factor: Self::Factor) -> [L; 4] {
        let [l0, l1, l2, l3, l4] = factor
            .subtracted_once()
            .subtracted_once()
            .subtracted_once()
            .0;
        [
            l0.or(l1.shifted_left::<52>()),
            l1.shifted_right::<12>().or(l2.shifted_left::<40>()),
            l2.shifted_right::<24>().or(l3.shifted_left::<28>()),
            l3.shifted_right::<36>().or(l4.shifted_left::<16>()),
        ]
    }

    #[inline(always)]
    fn product(a: Self::Factor, b: Self::Factor) -> Self {
        // A column takes at most five low and five high products, and as many again while it is cleared, each
        // below 2^52: it stays below 2^57.
        let mut t = [L::splat(0); 10];
        for i in 0..5 {
            for j in 0..5 {
                t[i + j] = t[i + j].plus_low_product(a.0[i], b.0[j]);
            }
            for j in 0..5 {
                t[i + j + 1] = t[i + j + 1].plus_high_product(a.0[i], b.0[j]);
            }
            M::clear_limb(&mut t, i);
        }
        Self::from_columns(t, 5)
    }

    #[inline(always)]
    fn square(a: Self::Factor) -> Self {
        let mut t = [L::splat(0); 10];
        for i in 0..5 {
            for j in i + 1..5 {
                t[i + j] = t[i + j].plus_low_product(a.0[i], a.0[j]);
                t[i + j + 1] = t[i + j + 1].plus_high_product(a.0[i], a.0[j]);
            }
        }
        for column in &mut t {
            *column = column.plus(*column);
        }
        for i in 0..5 {
            t[2 * i] = t[2 * i].plus_low_product(a.0[i], a.0[i]);
            t[2 * i + 1] = t[2 * i + 1].plus_high_product(a.0[i], a.0[i]);
        }
        Self::from_columns(t, 0)
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
            mask |= factor.equals(M::WORDS, times);
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
}

impl<L: Lanes> Loose<L, FieldPrime> {
    /// Less `q + bias` times p, where q is what the value's top bits say of its quotient by 2^256: what is left
    /// lies within 2^240 of [-bias p, (1 - bias) p].
    #[inline(always)]
    fn without_top(self, bias: u64) -> Self {
        let [l0, l1, l2, l3, l4] = self.0;
        let q = l4.shifted_right_signed::<48>().plus(L::splat(bias));
        // q p = q 2^256 - q 2^224 + q 2^192 + q 2^96 - q, by limbs.
        Self::of([
            l0.plus(q),
            l1.minus(q.shifted_left::<44>()),
            l2,
            l3.minus(q.shifted_left::<36>()),
            l4.minus(q.shifted_left::<48>())
                .plus(q.shifted_left::<16>()),
        ])
    }
}

impl<L: Lanes> Coordinate for Loose<L, FieldPrime> {
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
        factor
    }

    #[inline(always)]
    fn load(lines: [&Line; 8], negative: u8) -> Point<Self> {
        let [x0, x1, x2, x3, y0, y1, y2, y3] = L::gather_lines(lines);
        let mut y = limbs_of([y0, y1, y2, y3]);
        for (limb, modulus) in y.iter_mut().zip(FieldPrime::LIMBS) {
            *limb = L::splat(modulus).minus(*limb).or_else(negative, *limb);
        }
        Point {
            x: Self::of(limbs_of([x0, x1, x2, x3])),
            y: Self::of(y),
        }
    }
}

/// Words cut into limbs, as [`to_limbs`] does.
#[inline(always)]
fn limbs_of<L: Lanes>([w0, w1, w2, w3]: [L; 4]) -> [L; 5] {
    let mask = L::splat(LIMB_MASK);
    [
        w0.and(mask),
        w0.shifted_right::<52>()
            .or(w1.shifted_left::<12>())
            .and(mask),
        w1.shifted_right::<40>()
            .or(w2.shifted_left::<24>())
            .and(mask),
        w2.shifted_right::<28>()
            .or(w3.shifted_left::<36>())
            .and(mask),
        w3.shifted_right::<16>(),
    ]
}

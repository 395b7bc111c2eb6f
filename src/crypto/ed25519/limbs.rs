//! The field in limbs of 52 bits, for any lanes.
//!
//! 2^260 is 608 modulo p, so the upper half of a product comes back 608-fold; nothing is in Montgomery form.
//! Carries wait until a value is multiplied again, and each type says what it may hold until then.
#![forbid(unsafe_code)]

use super::edwards::{Field, Multiple};
use super::field::Element;
use super::lanes::{LANES_MAX, LIMB_BITS, LIMB_MASK, Lanes, Words};
use super::table::Entry;

/// What the multiplier reads: only the low 52 bits of a limb count, what stands above them has been carried on.
/// The value is below 2^255 + 2^217.
#[derive(Clone, Copy)]
pub(super) struct Carried<L>([L; 5]);

/// A product, whose limbs are from 0 to 2^56, or its negative.
#[derive(Clone, Copy)]
pub(super) struct Product<L>([L; 5]);

/// A product and [`RAISE`]: a [`Product`] less than it in every limb can be taken from it.
#[derive(Clone, Copy)]
pub(super) struct Raised<L>([L; 5]);

/// A multiple of p whose limbs are all a little below 2^57.
const RAISE: [u64; 5] = [
    (1 << 57) - 19 * (1 << 10),
    (1 << 57) - (1 << 5),
    (1 << 57) - (1 << 5),
    (1 << 57) - (1 << 5),
    (1 << 57) - (1 << 5),
];

/// 2^260 modulo p.
const FOLD: u64 = 608;

/// The bits of the top limb below 2^255.
const TOP_BITS: u32 = 255 - 4 * LIMB_BITS;
const TOP_MASK: u64 = (1 << TOP_BITS) - 1;

/// The columns of a product over a start, folded once.
///
/// A column takes at most five low and five high products below 2^52, and two more when the upper half comes
/// back: it stays below 2^56.
#[inline(always)]
fn columns<L: Lanes>(a: [L; 5], b: [L; 5], start: [L; 5]) -> [L; 5] {
    let zero = L::splat(0);
    let [s0, s1, s2, s3, s4] = start;
    let mut t = [s0, s1, s2, s3, s4, zero, zero, zero, zero, zero];
    for i in 0..5 {
        for j in 0..5 {
            t[i + j] = t[i + j].plus_low_product(a[i], b[j]);
        }
        for j in 0..5 {
            t[i + j + 1] = t[i + j + 1].plus_high_product(a[i], b[j]);
        }
    }
    for at in 5..9 {
        t[at + 1] = t[at + 1].plus(t[at].shifted_right::<LIMB_BITS>());
    }
    // Both factors' top limbs are below 2^47 + 2^9, so t[9] is below 2^42 + 2^12, and its 608-fold has no bits
    // from 52 on.
    let fold = L::splat(FOLD);
    for at in 0..5 {
        t[at] = t[at].plus_low_product(t[at + 5], fold);
        if at < 4 {
            t[at + 1] = t[at + 1].plus_high_product(t[at + 5], fold);
        }
    }
    [t[0], t[1], t[2], t[3], t[4]]
}

/// Carries limbs from 0 to 2^58, after bringing what lies from 2^255 on back to the bottom.
#[inline(always)]
fn carry<L: Lanes>(mut limbs: [L; 5]) -> Carried<L> {
    let above = limbs[4].shifted_right::<TOP_BITS>();
    limbs[4] = limbs[4].and(L::splat(TOP_MASK));
    limbs[0] = limbs[0].plus_low_product(above, L::splat(19));
    for at in 0..4 {
        limbs[at + 1] = limbs[at + 1].plus(limbs[at].shifted_right::<LIMB_BITS>());
    }
    debug_assert_eq!(
        limbs[4]
            .plus(L::splat((1 << 48) - (1 << 47) - (1 << 9)))
            .shifted_right::<48>()
            .equals(L::splat(0)),
        every_lane::<L>(),
        "a factor is not negative, and its top limb below 2^47 + 2^9"
    );
    Carried(limbs)
}

/// A bit for each lane.
const fn every_lane<L: Lanes>() -> u8 {
    u8::MAX >> (LANES_MAX - L::COUNT)
}

#[inline(always)]
fn splat<L: Lanes>(limbs: [u64; 5]) -> [L; 5] {
    let [l0, l1, l2, l3, l4] = limbs;
    [
        L::splat(l0),
        L::splat(l1),
        L::splat(l2),
        L::splat(l3),
        L::splat(l4),
    ]
}

/// Words of a number below 2^255 cut into limbs; their upper bits are left as they are.
#[inline(always)]
fn limbs_of<L: Lanes>([w0, w1, w2, w3]: [L; 4]) -> Carried<L> {
    Carried([
        w0,
        w0.shifted_right::<52>().or(w1.shifted_left::<12>()),
        w1.shifted_right::<40>().or(w2.shifted_left::<24>()),
        w2.shifted_right::<28>().or(w3.shifted_left::<36>()),
        w3.shifted_right::<16>(),
    ])
}

impl<L: Lanes> Field for Product<L> {
    type Word = L;
    type Factor = Carried<L>;
    type Raised = Raised<L>;

    #[inline(always)]
    fn splat([w0, w1, w2, w3]: Words) -> Carried<L> {
        limbs_of([L::splat(w0), L::splat(w1), L::splat(w2), L::splat(w3)])
    }

    #[inline(always)]
    fn words(factor: Carried<L>) -> [L; 4] {
        let mask = L::splat(LIMB_MASK);
        let mut limbs = factor.0;
        // The value is below 2p. Adding 19 reaches bit 255 exactly when it is at least p, and what is left
        // below that bit is then the value minus p.
        let mut over = L::splat(19);
        for limb in &mut limbs {
            *limb = limb.and(mask);
        }
        for limb in limbs.iter().take(4) {
            over = limb.plus(over).shifted_right::<LIMB_BITS>();
        }
        over = limbs[4].plus(over).shifted_right::<TOP_BITS>();
        limbs[0] = limbs[0].plus_low_product(over, L::splat(19));
        for at in 0..4 {
            limbs[at + 1] = limbs[at + 1].plus(limbs[at].shifted_right::<LIMB_BITS>());
            limbs[at] = limbs[at].and(mask);
        }
        let [l0, l1, l2, l3, l4] = limbs;
        let l4 = l4.and(L::splat(TOP_MASK));
        [
            l0.or(l1.shifted_left::<52>()),
            l1.shifted_right::<12>().or(l2.shifted_left::<40>()),
            l2.shifted_right::<24>().or(l3.shifted_left::<28>()),
            l3.shifted_right::<36>().or(l4.shifted_left::<16>()),
        ]
    }

    #[inline(always)]
    fn product(a: Carried<L>, b: Carried<L>) -> Self {
        Self(columns(a.0, b.0, splat([0; 5])))
    }

    #[inline(always)]
    fn raised_product(a: Carried<L>, b: Carried<L>) -> Raised<L> {
        Raised(columns(a.0, b.0, splat(RAISE)))
    }

    #[inline(always)]
    fn multiply(a: Carried<L>, b: Carried<L>) -> Carried<L> {
        Self::product(a, b).carried()
    }

    #[inline(always)]
    fn sum(a: Raised<L>, b: Self) -> Carried<L> {
        let mut limbs = a.0;
        for (limb, other) in limbs.iter_mut().zip(b.0) {
            *limb = limb.plus(other);
        }
        carry(limbs)
    }

    #[inline(always)]
    fn difference(a: Raised<L>, b: Self) -> Carried<L> {
        let mut limbs = a.0;
        for (limb, other) in limbs.iter_mut().zip(b.0) {
            *limb = limb.minus(other);
        }
        carry(limbs)
    }

    #[inline(always)]
    fn carried(self) -> Carried<L> {
        carry(self.0)
    }

    #[inline(always)]
    fn carried_raised(raised: Raised<L>) -> Carried<L> {
        carry(raised.0)
    }

    #[inline(always)]
    fn negated(self, mask: u8) -> Self {
        let mut limbs = self.0;
        for limb in &mut limbs {
            *limb = limb.negated(mask);
        }
        Self(limbs)
    }

    #[inline(always)]
    fn swapped(factor: Carried<L>, distance: usize) -> Carried<L> {
        let mut limbs = factor.0;
        for limb in &mut limbs {
            *limb = limb.swapped(distance);
        }
        Carried(limbs)
    }

    #[inline(always)]
    fn inverse(factor: Carried<L>) -> Option<Carried<L>> {
        let [w0, w1, w2, w3] = Self::words(factor);
        let words = [
            w0.to_array()[0],
            w1.to_array()[0],
            w2.to_array()[0],
            w3.to_array()[0],
        ];
        let inverse = Element::from_words(words).inverse()?;
        Some(Self::splat(inverse.to_words()))
    }

    #[inline(always)]
    fn load(entries: [&Entry; LANES_MAX], negative: u8) -> Multiple<Self> {
        let difference = L::gather(entries.map(|entry| &entry.difference));
        let sum = L::gather(entries.map(|entry| &entry.sum));
        let product = L::gather(entries.map(|entry| &entry.product));
        // The opposite of (x, y) is (-x, y).
        let (mut first, mut second) = (difference, sum);
        for at in 0..4 {
            first[at] = sum[at].or_else(negative, difference[at]);
            second[at] = difference[at].or_else(negative, sum[at]);
        }
        Multiple {
            difference: limbs_of(first),
            sum: limbs_of(second),
            product: limbs_of(product),
            product_negative: negative,
        }
    }
}

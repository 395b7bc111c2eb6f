//! Arithmetic modulo p = 2^255 - 19, just fast enough to check a public key when it is loaded.
//!
//! Public values only: nothing here runs in constant time.
#![forbid(unsafe_code)]

/// An element modulo p: five limbs of 51 bits, little-endian. Each limb stays below 2^52, so it need not be
/// fully reduced; [`Element::to_bytes`] reduces.
#[derive(Clone, Copy)]
pub(super) struct Element([u64; 5]);

const LIMB_BITS: u32 = 51;
const LIMB_MASK: u64 = (1 << LIMB_BITS) - 1;

/// 4p by limbs: more than any limb below 2^52, so that a difference stays positive.
const FOUR_P: [u64; 5] = [
    4 * (LIMB_MASK - 18),
    4 * LIMB_MASK,
    4 * LIMB_MASK,
    4 * LIMB_MASK,
    4 * LIMB_MASK,
];

impl Element {
    pub(super) const ZERO: Self = Self([0; 5]);
    pub(super) const ONE: Self = Self([1, 0, 0, 0, 0]);

    /// The little-endian number without its top bit, taken modulo p.
    pub(super) fn from_bytes(bytes: &[u8; 32]) -> Self {
        let word = |index: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[8 * index..8 * index + 8]);
            u64::from_le_bytes(word)
        };
        let (w0, w1, w2, w3) = (word(0), word(1), word(2), word(3));
        Self([
            w0 & LIMB_MASK,
            (w0 >> 51 | w1 << 13) & LIMB_MASK,
            (w1 >> 38 | w2 << 26) & LIMB_MASK,
            (w2 >> 25 | w3 << 39) & LIMB_MASK,
            w3 >> 12 & LIMB_MASK,
        ])
    }

    /// The one encoding below p, little-endian.
    pub(super) fn to_bytes(self) -> [u8; 32] {
        let mut limbs = carry(self.0.map(u128::from));
        // The value is below 2p now: adding 19 carries out of bit 255 exactly when it is at least p, and
        // what remains below that bit is then the value minus p.
        let mut over = 19;
        for limb in limbs {
            over = (limb + over) >> LIMB_BITS;
        }
        limbs[0] += 19 * over;
        let mut carried = 0;
        for limb in &mut limbs {
            *limb += carried;
            carried = *limb >> LIMB_BITS;
            *limb &= LIMB_MASK;
        }
        let words = [
            limbs[0] | limbs[1] << 51,
            limbs[1] >> 13 | limbs[2] << 38,
            limbs[2] >> 26 | limbs[3] << 25,
            limbs[3] >> 39 | limbs[4] << 12,
        ];
        let mut bytes = [0; 32];
        for (bytes, word) in bytes.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    pub(super) fn is_zero(self) -> bool {
        self.to_bytes() == [0; 32]
    }

    /// "Negative" as RFC 8032 §5.1.2 encodes it: the least significant bit.
    pub(super) fn is_odd(self) -> bool {
        self.to_bytes()[0] & 1 == 1
    }

    pub(super) fn add(self, other: Self) -> Self {
        Self(carry(std::array::from_fn(|i| {
            u128::from(self.0[i]) + u128::from(other.0[i])
        })))
    }

    pub(super) fn sub(self, other: Self) -> Self {
        Self(carry(std::array::from_fn(|i| {
            u128::from(self.0[i] + FOUR_P[i] - other.0[i])
        })))
    }

    pub(super) fn negate(self) -> Self {
        Self::ZERO.sub(self)
    }

    pub(super) fn mul(self, other: Self) -> Self {
        let mut product = [0u128; 5];
        for (i, &a) in self.0.iter().enumerate() {
            for (j, &b) in other.0.iter().enumerate() {
                // 2^255 = 19 modulo p, so what overflows five limbs comes back nineteenfold.
                let wrap = if i + j < 5 { 1 } else { 19 };
                product[(i + j) % 5] += u128::from(a) * u128::from(b * wrap);
            }
        }
        Self(carry(product))
    }

    pub(super) fn square(self) -> Self {
        self.mul(self)
    }

    /// `self^(2^252 - 3)`, that is (p - 5) / 8: the step of a square root (RFC 8032 §5.1.3).
    pub(super) fn pow_p58(self) -> Self {
        // 2^252 - 3 is 250 ones, a zero and a one.
        let mut power = self;
        for _ in 0..249 {
            power = power.square().mul(self);
        }
        power.square().square().mul(self)
    }
}

impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        self.to_bytes() == other.to_bytes()
    }
}

/// Brings sums below 2^120 a limb to limbs below 2^51 plus a little, twice around so that the fold from the
/// top settles.
fn carry(mut sums: [u128; 5]) -> [u64; 5] {
    for _ in 0..2 {
        let mut carried = 0;
        for sum in &mut sums {
            *sum += carried;
            carried = *sum >> LIMB_BITS;
            *sum &= u128::from(LIMB_MASK);
        }
        sums[0] += 19 * carried;
    }
    // The second fold added at most 19 * 2^19 or so to the lowest limb: below 2^52.
    sums.map(|sum| sum as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// p - 1, as far from zero as an element gets.
    fn minus_one() -> Element {
        Element::ONE.negate()
    }

    #[test]
    fn encodings_are_reduced() {
        let mut p = [0xff; 32];
        p[0] = 0xed;
        p[31] = 0x7f;
        assert!(Element::from_bytes(&p).is_zero());
        for above in 0..19u8 {
            p[0] = 0xed + above;
            let mut expected = [0; 32];
            expected[0] = above;
            assert_eq!(Element::from_bytes(&p).to_bytes(), expected);
        }
        p[0] = 0xec;
        assert_eq!(minus_one().to_bytes(), p);
    }

    #[test]
    fn the_ring_laws_hold_at_the_edges() {
        let mut samples = vec![Element::ZERO, Element::ONE, minus_one()];
        // Every limb full, and values that walk through the field.
        samples.push(Element([(1 << 52) - 1; 5]));
        let mut walk = Element([0x7_1234_5678_9abc, 3, LIMB_MASK, 0, 77]);
        for _ in 0..20 {
            walk = walk.square().add(minus_one());
            samples.push(walk);
        }
        for &a in &samples {
            assert!(a.sub(a).is_zero());
            assert!(a.add(a.negate()).is_zero());
            assert!(a.mul(Element::ONE) == a);
            assert!(a.mul(minus_one()) == a.negate());
            for &b in &samples {
                assert!(a.mul(b) == b.mul(a));
                assert!(a.add(b).sub(b) == a);
                assert!(
                    a.add(b).square() == a.square().add(b.square()).add(a.mul(b)).add(b.mul(a))
                );
            }
        }
    }

    #[test]
    fn the_power_is_p_minus_five_over_eight() {
        // By Fermat, x^(8 (p - 5) / 8) = x^(p - 5), so its product with x^4 is one.
        let x = Element([5, 6, 7, 8, 9]);
        let eighth = x.pow_p58();
        let power = eighth.square().square().square();
        assert!(power.mul(x.square().square()) == Element::ONE);
    }
}

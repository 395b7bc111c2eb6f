//! Points of edwards25519, decoded and tested for their order when a key is loaded.
//!
//! Public values only: nothing here runs in constant time, and nothing here checks a signature.
#![forbid(unsafe_code)]

use super::field::Element;
use super::lanes::Words;
use super::scalar::ORDER;

/// A point in extended coordinates (RFC 8032 §5.1.4): x = X/Z, y = Y/Z, xy = T/Z.
#[derive(Clone, Copy)]
pub(super) struct Point {
    x: Element,
    y: Element,
    z: Element,
    t: Element,
}

/// The base point's encoding: y = 4/5 with an even x (RFC 8032 §5.1).
pub(super) const BASE: [u8; 32] = {
    let mut encoding = [0x66; 32];
    encoding[0] = 0x58;
    encoding
};

/// The curve's d = -121665/121666 modulo p (RFC 8032 §5.1).
pub(super) const D: Element = Element::from_words([
    0x75eb_4dca_1359_78a3,
    0x0070_0a4d_4141_d8ab,
    0x8cc7_4079_7779_e898,
    0x5203_6cee_2b6f_fe73,
]);

/// 2d.
const D2: Element = Element::from_words([
    0xebd6_9b94_26b2_f159,
    0x00e0_149a_8283_b156,
    0x198e_80f2_eef3_d130,
    0x2406_d9dc_56df_fce7,
]);

/// A square root of -1 modulo p.
const SQRT_MINUS_ONE: Element = Element::from_words([
    0xc4ee_1b27_4a0e_a0b0,
    0x2f43_1806_ad2f_e478,
    0x2b4d_0099_3dfb_d7a7,
    0x2b83_2480_4fc1_df0b,
]);

impl Point {
    const IDENTITY: Self = Self {
        x: Element::ZERO,
        y: Element::ONE,
        z: Element::ONE,
        t: Element::ZERO,
    };

    /// Decodes a point as RFC 8032 §5.1.3 says, strictly.
    pub(super) fn decode(encoding: &[u8; 32]) -> Option<Self> {
        let x_is_odd = encoding[31] >> 7 == 1;
        let y = Element::from_bytes(encoding);
        let mut canonical = y.to_bytes();
        canonical[31] |= encoding[31] & 0x80;
        // "If the resulting value is >= p, decoding fails."
        if canonical != *encoding {
            return None;
        }
        // "x^2 = (y^2 - 1) / (d y^2 + 1) (mod p)"
        let y2 = y.square();
        let u = y2.sub(Element::ONE);
        let v = D.mul(y2).add(Element::ONE);
        let mut x = square_root_of_ratio(u, v)?;
        // "If x = 0, and x_0 = 1, decoding fails."
        if x.is_zero() && x_is_odd {
            return None;
        }
        if x.is_odd() != x_is_odd {
            x = x.negate();
        }
        Some(Self {
            x,
            y,
            z: Element::ONE,
            t: x.mul(y),
        })
    }

    /// Whether the point lies in the subgroup of prime order and is not its identity. Points of small order
    /// and points with a component of small order fail.
    pub(super) fn is_of_prime_order(self) -> bool {
        !self.is_identity() && self.times(ORDER).is_identity()
    }

    /// `-P`, that is `(-x, y)`.
    pub(super) fn negate(self) -> Self {
        Self {
            x: self.x.negate(),
            t: self.t.negate(),
            ..self
        }
    }

    /// x and y, given the inverse of Z.
    pub(super) fn affine(self, z_inverse: Element) -> (Element, Element) {
        (self.x.mul(z_inverse), self.y.mul(z_inverse))
    }

    pub(super) fn z(self) -> Element {
        self.z
    }

    /// The point's encoding (RFC 8032 §5.1.2).
    #[cfg(test)]
    pub(super) fn encode(self) -> [u8; 32] {
        let z_inverse = self.z.inverse().expect("no Z of a point is zero");
        let (x, y) = self.affine(z_inverse);
        let mut encoding = y.to_bytes();
        encoding[31] |= u8::from(x.is_odd()) << 7;
        encoding
    }

    fn is_identity(self) -> bool {
        self.x.is_zero() && self.y == self.z
    }

    /// The multiple, by doubling and adding.
    pub(super) fn times(self, scalar: Words) -> Self {
        let mut product = Self::IDENTITY;
        for word in scalar.into_iter().rev() {
            for bit in (0..64).rev() {
                product = product.add(product);
                if word >> bit & 1 == 1 {
                    product = product.add(self);
                }
            }
        }
        product
    }

    /// The sum by RFC 8032 §5.1.4, whose formulas are complete: they hold for every pair of points, equal
    /// ones and the identity included.
    pub(super) fn add(self, other: Self) -> Self {
        let a = self.y.sub(self.x).mul(other.y.sub(other.x));
        let b = self.y.add(self.x).mul(other.y.add(other.x));
        let c = self.t.mul(D2).mul(other.t);
        let d = self.z.add(self.z).mul(other.z);
        let e = b.sub(a);
        let f = d.sub(c);
        let g = d.add(c);
        let h = b.add(a);
        Self {
            x: e.mul(f),
            y: g.mul(h),
            z: f.mul(g),
            t: e.mul(h),
        }
    }
}

/// A square root of u/v, if it has one (RFC 8032 §5.1.3, steps 2 and 3).
fn square_root_of_ratio(u: Element, v: Element) -> Option<Element> {
    let v3 = v.square().mul(v);
    let v7 = v3.square().mul(v);
    let x = u.mul(v3).mul(u.mul(v7).pow_p58());
    let vx2 = v.mul(x.square());
    if vx2 == u {
        return Some(x);
    }
    (vx2 == u.negate()).then(|| x.mul(SQRT_MINUS_ONE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Point {
        Point::decode(&BASE).unwrap()
    }

    #[test]
    fn the_constants_are_those_of_the_curve() {
        let small = |n: u32| {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&n.to_le_bytes());
            Element::from_bytes(&bytes)
        };
        assert!(D.mul(small(121_666)) == small(121_665).negate());
        assert!(D2 == D.add(D));
        assert!(SQRT_MINUS_ONE.square() == Element::ONE.negate());
    }

    #[test]
    fn the_base_point_has_the_order() {
        let base = base();
        assert!(base.is_of_prime_order());
        let mut one_less = ORDER;
        one_less[0] -= 1;
        let opposite = base.times(one_less);
        assert!(!opposite.is_identity());
        assert!(opposite.add(base).is_identity());
    }

    #[test]
    fn a_point_of_order_eight_shifts_any_point_out_of_the_subgroup() {
        let torsion = small_order_point();
        assert!(!torsion.is_of_prime_order());
        let mut shifted = base();
        for multiple in 1..8 {
            shifted = shifted.add(torsion);
            assert!(!shifted.is_of_prime_order(), "shifted by {multiple}");
        }
        assert!(shifted.add(torsion).is_of_prime_order());
    }

    /// A point of order eight.
    fn small_order_point() -> Point {
        let encoding = [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef,
            0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88,
            0x6d, 0x53, 0xfc, 0x05,
        ];
        Point::decode(&encoding).unwrap()
    }
}

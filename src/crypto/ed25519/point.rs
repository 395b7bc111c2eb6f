//! Points of edwards25519, decoded and tested for their order when a key is loaded.
//!
//! Public values only: nothing here runs in constant time, and nothing here checks a signature.
#![forbid(unsafe_code)]

use super::field::Element;

/// A point in extended coordinates (RFC 8032 §5.1.4): x = X/Z, y = Y/Z, xy = T/Z.
#[derive(Clone, Copy)]
pub(super) struct Point {
    x: Element,
    y: Element,
    z: Element,
    t: Element,
}

/// The order of the base point, 2^252 + 27742317777372353535851937790883648493, little-endian.
pub(super) const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// The curve's d = -121665/121666 modulo p (RFC 8032 §5.1), little-endian.
const D: [u8; 32] = [
    0xa3, 0x78, 0x59, 0x13, 0xca, 0x4d, 0xeb, 0x75, 0xab, 0xd8, 0x41, 0x41, 0x4d, 0x0a, 0x70, 0x00,
    0x98, 0xe8, 0x79, 0x77, 0x79, 0x40, 0xc7, 0x8c, 0x73, 0xfe, 0x6f, 0x2b, 0xee, 0x6c, 0x03, 0x52,
];

/// A square root of -1 modulo p, little-endian.
const SQRT_MINUS_ONE: [u8; 32] = [
    0xb0, 0xa0, 0x0e, 0x4a, 0x27, 0x1b, 0xee, 0xc4, 0x78, 0xe4, 0x2f, 0xad, 0x06, 0x18, 0x43, 0x2f,
    0xa7, 0xd7, 0xfb, 0x3d, 0x99, 0x00, 0x4d, 0x2b, 0x0b, 0xdf, 0xc1, 0x4f, 0x80, 0x24, 0x83, 0x2b,
];

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
        let v = Element::from_bytes(&D).mul(y2).add(Element::ONE);
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
        !self.is_identity() && self.times(&ORDER).is_identity()
    }

    fn is_identity(self) -> bool {
        self.x.is_zero() && self.y == self.z
    }

    /// The little-endian multiple, by doubling and adding.
    fn times(self, scalar: &[u8; 32]) -> Self {
        let mut product = Self::IDENTITY;
        for byte in scalar.iter().rev() {
            for bit in (0..8).rev() {
                product = product.add(product);
                if byte >> bit & 1 == 1 {
                    product = product.add(self);
                }
            }
        }
        product
    }

    /// The sum by RFC 8032 §5.1.4, whose formulas are complete: they hold for every pair of points, equal
    /// ones and the identity included.
    fn add(self, other: Self) -> Self {
        let a = self.y.sub(self.x).mul(other.y.sub(other.x));
        let b = self.y.add(self.x).mul(other.y.add(other.x));
        let d2 = Element::from_bytes(&D).add(Element::from_bytes(&D));
        let c = self.t.mul(d2).mul(other.t);
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
    (vx2 == u.negate()).then(|| x.mul(Element::from_bytes(&SQRT_MINUS_ONE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The base point: y = 4/5 with an even x (RFC 8032 §5.1).
    fn base() -> Point {
        let mut encoding = [0x66; 32];
        encoding[0] = 0x58;
        Point::decode(&encoding).unwrap()
    }

    #[test]
    fn the_constants_are_those_of_the_curve() {
        let small = |n: u32| {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&n.to_le_bytes());
            Element::from_bytes(&bytes)
        };
        let d = Element::from_bytes(&D);
        assert!(d.mul(small(121_666)) == small(121_665).negate());
        let i = Element::from_bytes(&SQRT_MINUS_ONE);
        assert!(i.square() == Element::ONE.negate());
    }

    #[test]
    fn the_base_point_has_the_order() {
        let base = base();
        assert!(base.is_of_prime_order());
        let mut one_less = ORDER;
        one_less[0] -= 1;
        let opposite = base.times(&one_less);
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

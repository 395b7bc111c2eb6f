//! P-256 (SP 800-186 §3.2.1.3), for ES256.
#![forbid(unsafe_code)]

use super::curve::{CoefficientA, Curve};
use super::field::Loose;
use super::kernel::words;
use super::lanes::Lanes;
use super::modulus::{Columns, LIMB_BITS, Modulus, Prime, add, multiply_add, to_limbs};
use super::run::{Key, Point};
use super::table::Table;
use crate::crypto::sha2;
use std::sync::OnceLock;

#[derive(Clone, Copy)]
pub(super) struct P256;

impl Curve<4> for P256 {
    type Prime = FieldPrime;
    type Order = GroupOrder;
    type Coordinates<L: Lanes> = Loose<L, FieldPrime, 4, 5>;
    type Scalars<L: Lanes> = Loose<L, GroupOrder, 4, 5>;

    const A: CoefficientA = CoefficientA::MinusThree;

    #[cfg(test)]
    const B: [u64; 4] = [
        0x3bce_3c3e_27d2_604b,
        0x651d_06b0_cc53_b0f6,
        0xb3eb_bd55_7698_86bc,
        0x5ac6_35d8_aa3a_93e7,
    ];

    const GENERATOR: [[u64; 4]; 2] = [
        [
            0xf4a1_3945_d898_c296,
            0x7703_7d81_2deb_33a0,
            0xf8bc_e6e5_63a4_40f2,
            0x6b17_d1f2_e12c_4247,
        ],
        [
            0xcbb6_4068_37bf_51f5,
            0x2bce_3357_6b31_5ece,
            0x8ee7_eb4a_7c0f_9e16,
            0x4fe3_42e2_fe1a_7f9b,
        ],
    ];

    /// 832 KiB.
    const GENERATOR_WIDTH: u32 = 10;

    /// 256 KiB.
    const KEY_WIDTH: u32 = 8;

    fn generator_table() -> &'static OnceLock<Table<4>> {
        static TABLE: OnceLock<Table<4>> = OnceLock::new();
        &TABLE
    }

    fn point(key: &Key) -> Option<&Point<4>> {
        match key {
            Key::P256(point) => Some(point),
            _ => None,
        }
    }

    fn digest_many<'a>(message: impl Fn(usize) -> &'a [u8], digests: &mut [[u64; 4]]) {
        sha256_many(message, digests);
    }
}

/// The field's prime, `2^256 - 2^224 + 2^192 + 2^96 - 1`.
#[derive(Clone, Copy)]
pub(super) struct FieldPrime;

impl Modulus<4> for FieldPrime {
    const WORDS: [u64; 4] = [
        0xffff_ffff_ffff_ffff,
        0x0000_0000_ffff_ffff,
        0x0000_0000_0000_0000,
        0xffff_ffff_0000_0001,
    ];

    // p = -1 modulo 2^96, so the multiple is the low limb m itself, and
    // t + m p = (t - m) + m 2^96 + m 2^192 + m (2^48 - 2^16) 2^208
    // whose powers stand 44, 36 and 0 bits into the limbs 1, 3 and 4.
    #[inline(always)]
    fn clear_limb<L: Lanes, const N: usize>(t: &mut Columns<L>, at: usize) {
        let m = t[at];
        let (low, high) = (L::splat(1 << 44), L::splat(1 << 36));
        let top = L::splat(const { to_limbs::<4, N>(Self::WORDS)[4] });
        t[at + 1] = t[at + 1].plus(m.shifted_right::<LIMB_BITS>());
        t[at + 1] = t[at + 1].plus_low_product(m, low);
        t[at + 2] = t[at + 2].plus_high_product(m, low);
        t[at + 3] = t[at + 3].plus_low_product(m, high);
        t[at + 4] = t[at + 4].plus_high_product(m, high);
        t[at + 4] = t[at + 4].plus_low_product(m, top);
        t[at + 5] = t[at + 5].plus_high_product(m, top);
    }

    // As above: t + m p = (t - m) + m 2^96 + m (2^64 - 2^32 + 1) 2^192. As p is below 2^256 - 2^192, the value
    // is below 2^320, and its top a word.
    #[inline(always)]
    fn clear_word([m, t1, t2, t3]: [u64; 4], top: u128) -> ([u64; 4], u64) {
        let (t1, carry) = add(t1, m << 32, 0);
        let (t2, carry) = add(t2, m >> 32, carry);
        let (t3, carry) = multiply_add(t3, m, Self::WORDS[3], carry);
        let (t4, carry) = add(top as u64, carry, 0);
        ([t1, t2, t3, t4], carry)
    }
}

impl Prime<4> for FieldPrime {
    const COORDINATE_BITS: u32 = 260;

    // q p = q 2^256 - q 2^224 + q 2^192 + q 2^96 - q.
    #[inline(always)]
    fn subtract_multiple<L: Lanes>(limbs: &mut [L], q: L) {
        limbs[0] = limbs[0].plus(q);
        limbs[1] = limbs[1].minus(q.shifted_left::<44>());
        limbs[3] = limbs[3].minus(q.shifted_left::<36>());
        limbs[4] = limbs[4]
            .minus(q.shifted_left::<48>())
            .plus(q.shifted_left::<16>());
    }
}

/// The order of the group.
#[derive(Clone, Copy)]
pub(super) struct GroupOrder;

impl Modulus<4> for GroupOrder {
    const WORDS: [u64; 4] = [
        0xf3b9_cac2_fc63_2551,
        0xbce6_faad_a717_9e84,
        0xffff_ffff_ffff_ffff,
        0xffff_ffff_0000_0000,
    ];
}

/// SHA-256 of each message, as big-endian numbers.
pub(super) fn sha256_many<'a>(message: impl Fn(usize) -> &'a [u8], digests: &mut [[u64; 4]]) {
    let mut bytes = [[0; 32]; super::kernel::WINDOW];
    let bytes = &mut bytes[..digests.len()];
    sha2::sha256_many(message, bytes);
    for (digest, bytes) in digests.iter_mut().zip(bytes) {
        *digest = words(bytes);
    }
}

//! secp256k1 (SEC 2 §2.4.1), for ES256K (RFC 8812 §3.2).
#![forbid(unsafe_code)]

use super::curve::{CoefficientA, Curve};
use super::field::Loose;
use super::lanes::Lanes;
use super::modulus::{Columns, LIMB_BITS, LIMB_MASK, Modulus, Prime, multiply_add, subtract_word};
use super::p256::sha256_many;
use super::run::{Key, Point};
use super::table::Table;
use std::sync::OnceLock;

#[derive(Clone, Copy)]
pub(super) struct Secp256k1;

impl Curve<4> for Secp256k1 {
    type Prime = FieldPrime;
    type Order = GroupOrder;
    type Coordinates<L: Lanes> = Loose<L, FieldPrime, 4, 5>;
    type Scalars<L: Lanes> = Loose<L, GroupOrder, 4, 5>;

    const A: CoefficientA = CoefficientA::Zero;

    #[cfg(test)]
    const B: [u64; 4] = [7, 0, 0, 0];

    const GENERATOR: [[u64; 4]; 2] = [
        [
            0x59f2_815b_16f8_1798,
            0x029b_fcdb_2dce_28d9,
            0x55a0_6295_ce87_0b07,
            0x79be_667e_f9dc_bbac,
        ],
        [
            0x9c47_d08f_fb10_d4b8,
            0xfd17_b448_a685_5419,
            0x5da4_fbfc_0e11_08a8,
            0x483a_da77_26a3_c465,
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
            Key::Secp256k1(point) => Some(point),
            _ => None,
        }
    }

    fn digest_many<'a>(message: impl Fn(usize) -> &'a [u8], digests: &mut [[u64; 4]]) {
        sha256_many(message, digests);
    }
}

/// The field's prime, `2^256 - c`.
#[derive(Clone, Copy)]
pub(super) struct FieldPrime;

/// What the prime lacks to 2^256: `2^32 + 977`.
const C: u64 = (1 << 32) + 977;

impl Modulus<4> for FieldPrime {
    const WORDS: [u64; 4] = [C.wrapping_neg(), u64::MAX, u64::MAX, u64::MAX];

    // t + m p = (t - m c) + m 2^256: with m = t / c the low limb vanishes, and of m c only the high part is left
    // to subtract, which is below 2^33. The power stands 48 bits into limb 4.
    #[inline(always)]
    fn clear_limb<L: Lanes, const N: usize>(t: &mut Columns<L>, at: usize) {
        let inverse = L::splat(Self::NEGATED_INVERSE & LIMB_MASK);
        let (c, power) = (L::splat(C), L::splat(1 << 48));
        let m = L::splat(0).plus_low_product(t[at], inverse);
        let high = L::splat(0).plus_high_product(m, c);
        t[at + 1] = t[at + 1]
            .plus(t[at].shifted_right_signed::<LIMB_BITS>())
            .minus(high);
        t[at + 4] = t[at + 4].plus_low_product(m, power);
        t[at + 5] = t[at + 5].plus_high_product(m, power);
    }

    #[inline(always)]
    fn clear_word([t0, t1, t2, t3]: [u64; 4], top: u128) -> ([u64; 4], u64) {
        let m = t0.wrapping_mul(Self::NEGATED_INVERSE);
        let (_, high) = multiply_add(0, m, C, 0);
        let (t1, borrow) = subtract_word(t1, high, false);
        let (t2, borrow) = subtract_word(t2, 0, borrow);
        let (t3, borrow) = subtract_word(t3, 0, borrow);
        // What is borrowed was there: adding m p leaves nothing negative.
        let top = top + u128::from(m) - u128::from(borrow);
        ([t1, t2, t3, top as u64], (top >> 64) as u64)
    }
}

impl Prime<4> for FieldPrime {
    const COORDINATE_BITS: u32 = 260;

    // q p = q 2^256 - q c. The multiplier takes no negative factor, so q is raised by 2^12 first.
    #[inline(always)]
    fn subtract_multiple<L: Lanes>(limbs: &mut [L], q: L) {
        const RAISE: u64 = 1 << 12;
        limbs[0] = limbs[0]
            .minus(L::splat(RAISE * C))
            .plus_low_product(q.plus(L::splat(RAISE)), L::splat(C));
        limbs[4] = limbs[4].minus(q.shifted_left::<48>());
    }
}

/// The order of the group.
#[derive(Clone, Copy)]
pub(super) struct GroupOrder;

impl Modulus<4> for GroupOrder {
    const WORDS: [u64; 4] = [
        0xbfd2_5e8c_d036_4141,
        0xbaae_dce6_af48_a03b,
        0xffff_ffff_ffff_fffe,
        0xffff_ffff_ffff_ffff,
    ];
}

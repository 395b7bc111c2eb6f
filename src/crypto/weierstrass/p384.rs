//! P-384 (SP 800-186 §3.2.1.4), for ES384.
#![forbid(unsafe_code)]

use super::curve::{CoefficientA, Curve};
use super::field::Loose;
use super::kernel::{WINDOW, words};
use super::lanes::Lanes;
use super::modulus::{
    Columns, LIMB_BITS, Modulus, Prime, add, multiply_add, subtract, subtract_word,
};
use super::run::{Key, Point};
use super::table::Table;
use crate::crypto::sha2;
use std::sync::OnceLock;

#[derive(Clone, Copy)]
pub(super) struct P384;

impl Curve<6> for P384 {
    type Prime = FieldPrime;
    type Order = GroupOrder;
    type Coordinates<L: Lanes> = Loose<L, FieldPrime, 6, 8>;
    type Scalars<L: Lanes> = Loose<L, GroupOrder, 6, 8>;

    const A: CoefficientA = CoefficientA::MinusThree;

    #[cfg(test)]
    const B: [u64; 6] = [
        0x2a85_c8ed_d3ec_2aef,
        0xc656_398d_8a2e_d19d,
        0x0314_088f_5013_875a,
        0x181d_9c6e_fe81_4112,
        0x988e_056b_e3f8_2d19,
        0xb331_2fa7_e23e_e7e4,
    ];

    const GENERATOR: [[u64; 6]; 2] = [
        [
            0x3a54_5e38_7276_0ab7,
            0x5502_f25d_bf55_296c,
            0x59f7_41e0_8254_2a38,
            0x6e1d_3b62_8ba7_9b98,
            0x8eb1_c71e_f320_ad74,
            0xaa87_ca22_be8b_0537,
        ],
        [
            0x7a43_1d7c_90ea_0e5f,
            0x0a60_b1ce_1d7e_819d,
            0xe9da_3113_b5f0_b8c0,
            0xf8f4_1dbd_289a_147c,
            0x5d9e_98bf_9292_dc29,
            0x3617_de4a_9626_2c6f,
        ],
    ];

    /// 1.8 MiB.
    const GENERATOR_WIDTH: u32 = 10;

    /// 576 KiB.
    const KEY_WIDTH: u32 = 8;

    fn generator_table() -> &'static OnceLock<Table<6>> {
        static TABLE: OnceLock<Table<6>> = OnceLock::new();
        &TABLE
    }

    fn point(key: &Key) -> Option<&Point<6>> {
        match key {
            Key::P384(point) => Some(point),
            _ => None,
        }
    }

    fn digest_many<'a>(message: impl Fn(usize) -> &'a [u8], digests: &mut [[u64; 6]]) {
        let mut bytes = [[0; 48]; WINDOW];
        let bytes = &mut bytes[..digests.len()];
        sha2::sha384_many(message, bytes);
        for (digest, bytes) in digests.iter_mut().zip(bytes) {
            *digest = words(bytes);
        }
    }
}

/// The field's prime, `2^384 - 2^128 - 2^96 + 2^32 - 1`.
#[derive(Clone, Copy)]
pub(super) struct FieldPrime;

/// What the prime lacks to 2^384, as words: `2^128 + 2^96 - 2^32 + 1`.
const LACK: [u64; 3] = [0xffff_ffff_0000_0001, 0x0000_0000_ffff_ffff, 1];

impl Modulus<6> for FieldPrime {
    const WORDS: [u64; 6] = [
        0x0000_0000_ffff_ffff,
        0xffff_ffff_0000_0000,
        0xffff_ffff_ffff_fffe,
        0xffff_ffff_ffff_ffff,
        0xffff_ffff_ffff_ffff,
        0xffff_ffff_ffff_ffff,
    ];

    // p = 2^32 - 1 modulo 2^96, so the multiple is m = t (2^32 + 1). With it
    // t + m p = (t - m + m 2^32) - m 2^96 - m 2^128 + m 2^384
    // whose powers stand 44, 24 and 20 bits into the limbs 1, 2 and 7.
    #[inline(always)]
    fn clear_limb<L: Lanes, const N: usize>(t: &mut Columns<L>, at: usize) {
        let zero = L::splat(0);
        let low = L::splat((1 << 32) - 1);
        let (first, second, top) = (L::splat(1 << 44), L::splat(1 << 24), L::splat(1 << 20));
        // The multiplier reads the low 52 bits only: m needs no mask.
        let m = t[at].plus(t[at].shifted_left::<32>());
        let cleared = t[at].plus_low_product(m, low);
        t[at + 1] = t[at + 1]
            .plus(cleared.shifted_right_signed::<LIMB_BITS>())
            .plus_high_product(m, low)
            .minus(zero.plus_low_product(m, first));
        let middle = zero.plus_high_product(m, first);
        t[at + 2] = t[at + 2].minus(middle.plus_low_product(m, second));
        t[at + 3] = t[at + 3].minus(zero.plus_high_product(m, second));
        t[at + 7] = t[at + 7].plus_low_product(m, top);
        t[at + 8] = t[at + 8].plus_high_product(m, top);
    }

    // t + m p = (t - m LACK) + m 2^384, where the lowest words cancel.
    #[inline(always)]
    fn clear_word([t0, t1, t2, t3, t4, t5]: [u64; 6], top: u128) -> ([u64; 6], u64) {
        let m = t0.wrapping_add(t0 << 32);
        let (_, carry) = multiply_add(0, m, LACK[0], 0);
        let (first, carry) = multiply_add(0, m, LACK[1], carry);
        let (second, carry) = add(m, carry, 0);
        let (t1, borrow) = subtract_word(t1, first, false);
        let (t2, borrow) = subtract_word(t2, second, borrow);
        let (t3, borrow) = subtract_word(t3, carry, borrow);
        let (t4, borrow) = subtract_word(t4, 0, borrow);
        let (t5, borrow) = subtract_word(t5, 0, borrow);
        // What is borrowed was there: adding m p leaves nothing negative.
        let top = top + u128::from(m) - u128::from(borrow);
        ([t1, t2, t3, t4, t5, top as u64], (top >> 64) as u64)
    }
}

impl Prime<6> for FieldPrime {
    const COORDINATE_BITS: u32 = 416;

    // q p = q 2^384 - q 2^128 - q 2^96 + q 2^32 - q.
    #[inline(always)]
    fn subtract_multiple<L: Lanes>(limbs: &mut [L], q: L) {
        limbs[0] = limbs[0].plus(q).minus(q.shifted_left::<32>());
        limbs[1] = limbs[1].plus(q.shifted_left::<44>());
        limbs[2] = limbs[2].plus(q.shifted_left::<24>());
        limbs[7] = limbs[7].minus(q.shifted_left::<20>());
    }

    // One shift, and what it shifts out times what the prime lacks.
    #[inline(always)]
    fn doubled_times([w0, w1, w2, w3, w4, w5]: [u64; 6], times: u32) -> [u64; 6] {
        let out = w5 >> (64 - times);
        let shifted = |low: u64, high: u64| high << times | low >> (64 - times);
        let (t0, carry) = multiply_add(w0 << times, out, LACK[0], 0);
        let (t1, carry) = multiply_add(shifted(w0, w1), out, LACK[1], carry);
        let (t2, carry) = multiply_add(shifted(w1, w2), out, LACK[2], carry);
        let (t3, carry) = add(shifted(w2, w3), carry, 0);
        let (t4, carry) = add(shifted(w3, w4), carry, 0);
        let (t5, carry) = add(shifted(w4, w5), carry, 0);
        // A carry leaves next to nothing below it, so one subtraction is enough in either case.
        let words = [t0, t1, t2, t3, t4, t5];
        let (less, negative) = subtract(words, Self::WORDS);
        if negative && carry == 0 { words } else { less }
    }
}

/// The order of the group.
#[derive(Clone, Copy)]
pub(super) struct GroupOrder;

impl Modulus<6> for GroupOrder {
    const WORDS: [u64; 6] = [
        0xecec_196a_ccc5_2973,
        0x581a_0db2_48b0_a77a,
        0xc763_4d81_f437_2ddf,
        0xffff_ffff_ffff_ffff,
        0xffff_ffff_ffff_ffff,
        0xffff_ffff_ffff_ffff,
    ];
}

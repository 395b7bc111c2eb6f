//! Signatures written so that two points of a tree have the same x: anybody can, for `u1 = z / s` and
//! `u2 = r / s` follow from numbers in the token.

use super::signatures::{Case, Key, assert_agreement, ours};
use super::{Dice, Tested, bytes, multiply_modulo, small};
use crate::crypto::weierstrass::invert::invert;
use crate::crypto::weierstrass::kernel::claim;
use crate::crypto::weierstrass::modulus::{Modulus, subtract};
use crate::crypto::weierstrass::verify::{Finding, Order};

on_every_curve! {
    a_forged_s_is_found_in_the_other_order,
    a_forged_s_alone_is_found_in_the_other_order
}

/// `n - 2 (n mod 2^bits)`: the windows above `bits` add up to `n + L`, those below to `L`. That is so where the bit
/// above is set in n; where it is not, no scalar below n makes the halves equal or opposite, and there is none.
fn exceptional_scalar<M: Modulus<W>, const W: usize>(bits: usize) -> Option<[u64; W]> {
    let n = M::WORDS;
    if n[bits / 64] >> (bits % 64) & 1 == 0 {
        return None;
    }
    let mut low = [0; W];
    for (at, word) in low.iter_mut().enumerate() {
        let kept = bits.saturating_sub(64 * at).min(64);
        *word = if kept == 64 {
            n[at]
        } else {
            n[at] & ((1 << kept) - 1)
        };
    }
    Some(subtract(subtract(n, low).0, low).0)
}

/// How many bits the windows in the first half of a tree have.
fn half_bits<const W: usize>(width: u32) -> usize {
    let windows = (64 * W).div_ceil(width as usize);
    windows.next_power_of_two() / 2 * width as usize
}

/// A signature with which `z / s` or `r / s` is the scalar.
fn forge<C: Tested<W>, const W: usize>(
    key: &Key<W>,
    number: u64,
    scalar: [u64; W],
    of_generator: bool,
) -> Case<'_, W> {
    let message = number.to_le_bytes().to_vec();
    let mut dice = Dice::new(number);
    let r = dice.residue::<C::Order, W>();
    let r = if r == [0; W] { small(1) } else { r };
    let mut case = Case::new::<C>(key, message, Vec::new());
    let over = if of_generator { case.digest } else { r };
    let s = multiply_modulo::<C::Order, W>(over, invert::<C::Order, W>(scalar));
    case.signature = [bytes(r), bytes(s)].concat();
    case
}

/// One order of windows meets the exception, the other decides, and neighbours are not touched. Both the
/// scalar and its negative are tried, of the generator and of the key.
fn a_forged_s_is_found_in_the_other_order<C: Tested<W>, const W: usize>() {
    let key = Key::new::<C>(C::KEY_WIDTH);
    let mut cases = Vec::new();
    // More than the kernels take as few.
    for number in 0..10 {
        for (width, of_generator) in [(C::GENERATOR_WIDTH, true), (C::KEY_WIDTH, false)] {
            let Some(scalar) = exceptional_scalar::<C::Order, W>(half_bits::<W>(width)) else {
                continue;
            };
            let negative = subtract(C::Order::WORDS, scalar).0;
            cases.push(forge::<C, W>(&key, number, scalar, of_generator));
            cases.push(forge::<C, W>(&key, number, negative, of_generator));
        }
    }
    assert!(
        !cases.is_empty(),
        "another width of windows has such scalars"
    );
    let signed: Vec<_> = cases.iter().map(Case::signed).collect();
    let claims: Vec<_> = signed
        .iter()
        .map(|signed| claim::<C, W>((0, signed)).unwrap())
        .collect();
    for kernel in ours() {
        let mut findings = vec![Finding::Genuine; claims.len()];
        kernel.verify_claims::<C, W>(&claims, Order::Natural, &mut findings);
        assert_eq!(
            findings,
            vec![Finding::Undecided; claims.len()],
            "{kernel:?}"
        );
        kernel.verify_claims::<C, W>(&claims, Order::Shuffled, &mut findings);
        assert_eq!(findings, vec![Finding::Forged; claims.len()], "{kernel:?}");
    }
    let expected: Vec<_> = cases.iter().map(Case::expected).collect();
    assert_eq!(expected, vec![Finding::Forged; cases.len()]);
    assert_agreement::<C, W>(&cases, &expected);
}

/// The same for few signatures, whose last sums are added one by one: there the windows of G above a bound make up the
/// last of its sums, and those below what it is added to.
fn a_forged_s_alone_is_found_in_the_other_order<C: Tested<W>, const W: usize>() {
    let key = Key::new::<C>(C::KEY_WIDTH);
    let windows = (64 * W).div_ceil(C::GENERATOR_WIDTH as usize);
    let key_windows = (64 * W).div_ceil(C::KEY_WIDTH as usize);
    // With so few sums left, each holds eight windows, or sixteen on the longer curve.
    for stride in [8, 16] {
        let last = (windows - 1) / stride * stride;
        let bits = last * C::GENERATOR_WIDTH as usize;
        let Some(scalar) = exceptional_scalar::<C::Order, W>(bits) else {
            continue;
        };
        let case = forge::<C, W>(&key, 1, scalar, true);
        assert_eq!(case.expected(), Finding::Forged);
        assert_agreement::<C, W>(std::slice::from_ref(&case), &[Finding::Forged]);
        if windows.div_ceil(stride) + key_windows.div_ceil(stride) <= 8 {
            let signed = case.signed();
            let claims = [claim::<C, W>((0, &signed)).unwrap()];
            for kernel in ours() {
                let mut findings = [Finding::Genuine];
                kernel.verify_claims::<C, W>(&claims, Order::Natural, &mut findings);
                assert_eq!(findings, [Finding::Undecided], "{kernel:?}");
            }
            return;
        }
    }
    panic!("no stride leaves few enough sums");
}

//! Signatures written so that two points of a tree have the same x: anybody can, for `u1 = z / s` and
//! `u2 = r / s` follow from numbers in the token.

use super::signatures::{Case, Key, assert_agreement, ours};
use super::{Dice, bytes, multiply_modulo};
use crate::crypto::weierstrass::invert::invert;
use crate::crypto::weierstrass::kernel::{GENERATOR_WIDTH, claim, words};
use crate::crypto::weierstrass::modulus::{GroupOrder, Modulus, Words, subtract};
use crate::crypto::weierstrass::verify::{Finding, Order};

const KEY_WIDTH: u32 = 8;

/// `n - 2 (n mod 2^bits)`: the windows above `bits` add up to `n + L`, those below to `L`.
fn exceptional_scalar(bits: usize) -> Words {
    let n = GroupOrder::WORDS;
    let mut low = [0; 4];
    for (at, word) in low.iter_mut().enumerate() {
        let kept = bits.saturating_sub(64 * at).min(64);
        *word = if kept == 64 {
            n[at]
        } else {
            n[at] & ((1 << kept) - 1)
        };
    }
    subtract(subtract(n, low).0, low).0
}

/// How many bits the windows in the first half of a tree have.
fn half_bits(width: u32) -> usize {
    let windows = 256usize.div_ceil(width as usize);
    windows.next_power_of_two() / 2 * width as usize
}

/// A signature with which `z / s` or `r / s` is the scalar.
fn forge<'k>(key: &'k Key, number: u64, scalar: Words, of_generator: bool) -> Case<'k> {
    let times = multiply_modulo::<GroupOrder>;
    let message = number.to_le_bytes().to_vec();
    let mut dice = Dice::new(number);
    let r = dice.residue::<GroupOrder>();
    let r = if r == [0; 4] { [1, 0, 0, 0] } else { r };
    let mut case = Case::new(key, message, Vec::new());
    let over = if of_generator { words(&case.digest) } else { r };
    let s = times(over, invert::<GroupOrder>(scalar));
    case.signature = [bytes(r), bytes(s)].concat();
    case
}

/// One order of windows meets the exception, the other decides, and neighbours are not touched. Both the
/// scalar and its negative are tried, of the generator and of the key.
#[test]
fn a_forged_s_is_found_in_the_other_order() {
    let key = Key::new(KEY_WIDTH);
    let mut cases = Vec::new();
    for number in 0..4 {
        for (width, of_generator) in [(GENERATOR_WIDTH, true), (KEY_WIDTH, false)] {
            let scalar = exceptional_scalar(half_bits(width));
            let negative = subtract(GroupOrder::WORDS, scalar).0;
            cases.push(forge(&key, number, scalar, of_generator));
            cases.push(forge(&key, number, negative, of_generator));
        }
    }
    let claims: Vec<_> = cases
        .iter()
        .map(|case| claim((0, &case.signed())).unwrap())
        .collect();
    for kernel in ours() {
        let mut findings = vec![Finding::Genuine; claims.len()];
        kernel.verify_claims(&claims, Order::Natural, &mut findings);
        assert_eq!(
            findings,
            vec![Finding::Undecided; claims.len()],
            "{kernel:?}"
        );
        kernel.verify_claims(&claims, Order::Shuffled, &mut findings);
        assert_eq!(findings, vec![Finding::Forged; claims.len()], "{kernel:?}");
    }
    let expected: Vec<_> = cases.iter().map(Case::expected).collect();
    assert_eq!(expected, vec![Finding::Forged; cases.len()]);
    assert_agreement(&cases, &expected);
}

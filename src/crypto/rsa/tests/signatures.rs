//! Many signatures against aws-lc-rs, half of them mutated, and every kind beside every other.

use super::{Case, Dice, Finding, Key, SCHEMES, assert_agreement, modulus, pairs, sign};
use crate::crypto::Scheme;
use crate::crypto::rsa::kernel::Kernel;
use crate::crypto::tests::soak;
use num_bigint::BigUint;

/// Keys for a scheme: of all three sizes, two of the smallest.
fn keys(kernel: Kernel, scheme: Scheme) -> Vec<Key> {
    let pairs = pairs().iter();
    pairs
        .map(|pair| Key::of_pair(kernel, scheme, pair))
        .collect()
}

/// A signature of one of the keys, by its number; every other one is mutated, in a place and a way of its own.
fn case<'k>(dice: &mut Dice, keys: &'k [Key], at: usize) -> Case<'k> {
    let number = dice.below(keys.len());
    let (key, pair) = (&keys[number], &pairs()[number]);
    let message = dice.bytes(1 + at % 300);
    let mut signature = sign(key.scheme, pair, &message);
    let length = signature.len();
    if at.is_multiple_of(2) {
        return Case::new(format!("{at}, as it is"), key, &message, signature);
    }
    let kind = dice.below(8);
    match kind {
        0 => signature[dice.below(length)] ^= 1 << dice.below(8),
        1 => signature.truncate(dice.below(length)),
        2 => signature.push(0),
        3 => signature.insert(0, 0),
        4 => signature = dice.bytes(length),
        5 => signature.swap(0, length - 1),
        6 => return Case::new(format!("{at}, another message"), key, b"other", signature),
        _ => {
            let other = &keys[(number + 1) % keys.len()];
            return Case::new(format!("{at}, another key"), other, &message, signature);
        }
    }
    Case::new(format!("{at}, mutated by {kind}"), key, &message, signature)
}

/// Checks K-04.
#[test]
fn every_kernel_agrees_with_the_reference() {
    let count = soak::cases(300);
    for kernel in Kernel::available() {
        let mut dice = Dice(soak::seed(10));
        for scheme in SCHEMES {
            let keys = keys(kernel, scheme);
            let cases: Vec<_> = (0..count).map(|at| case(&mut dice, &keys, at)).collect();
            let genuine = cases.iter().filter(|it| it.expected == Finding::Genuine);
            assert!((count / 2..count * 3 / 5).contains(&genuine.count()));
            // The model is slow, and all of it is in the first few.
            let cases = match kernel.lanes() {
                1 => &cases[..24],
                _ => &cases,
            };
            assert_agreement(kernel, cases);
        }
    }
}

/// Numbers at the edges of the range.
#[test]
fn edges_are_judged_as_the_reference_does() {
    for kernel in Kernel::available() {
        for scheme in [Scheme::RsaPkcs1Sha256, Scheme::RsaPssSha256] {
            for (key, pair) in keys(kernel, scheme).iter().zip(pairs()) {
                let n = BigUint::from_bytes_be(&modulus(pair));
                let bytes = n.to_bytes_be().len();
                let genuine = sign(scheme, pair, b"edge");
                let s = BigUint::from_bytes_be(&genuine);
                let all_ones = (BigUint::from(1u8) << (8 * bytes)) - 1u8;
                let mut numbers = vec![
                    ("s", s.clone()),
                    ("0", BigUint::ZERO),
                    ("1", 1u8.into()),
                    ("2", 2u8.into()),
                    ("n - 1", &n - 1u8),
                    ("n", n.clone()),
                    ("n + 1", &n + 1u8),
                    ("n - s", &n - &s),
                    ("all ones", all_ones.clone()),
                ];
                // Where it fits, the same residue, out of range.
                if &s + &n <= all_ones {
                    numbers.push(("s + n", &s + &n));
                }
                let cases: Vec<_> = numbers
                    .into_iter()
                    .map(|(name, number)| {
                        let mut signature = vec![0; bytes];
                        let number = number.to_bytes_be();
                        signature[bytes - number.len()..].copy_from_slice(&number);
                        Case::new(name.to_owned(), key, b"edge", signature)
                    })
                    .collect();
                let genuine = cases.iter().filter(|it| it.expected == Finding::Genuine);
                assert_eq!(genuine.count(), 1);
                assert_agreement(kernel, &cases);
            }
        }
    }
}

/// Checks V-24. A signature with `s + n` below `2^2048` is out of range, and is refused although its power is right.
#[test]
fn a_representative_that_is_not_reduced_is_refused() {
    for kernel in Kernel::available() {
        for scheme in [Scheme::RsaPkcs1Sha256, Scheme::RsaPssSha256] {
            let pair = &pairs()[0];
            let key = Key::of_pair(kernel, scheme, pair);
            let n = BigUint::from_bytes_be(&modulus(pair));
            let limit = BigUint::from(1u8) << 2048;
            let (message, sum) = (0u32..)
                .map(|number| {
                    let message = number.to_be_bytes();
                    let s = BigUint::from_bytes_be(&sign(scheme, pair, &message));
                    (message, s + &n)
                })
                .find(|(_, sum)| *sum < limit)
                .unwrap();
            let case = Case::new("s + n".to_owned(), &key, &message, sum.to_bytes_be());
            assert_eq!(case.expected, Finding::Forged);
            assert_agreement(kernel, [&case]);
        }
    }
}

/// Every lane of every batch size holds good, bad and garbage, of keys of all sizes, beside every kind of
/// neighbour.
///
/// Checks K-04.
#[test]
fn neighbours_do_not_matter() {
    for kernel in Kernel::available() {
        // The model has one lane; its neighbours come before and after.
        let sizes: Vec<_> = match kernel.lanes() {
            1 => vec![7],
            _ => (1..=17).chain([63, 64, 65, 128]).collect(),
        };
        for scheme in [Scheme::RsaPkcs1Sha256, Scheme::RsaPssSha512] {
            let keys = keys(kernel, scheme);
            // Mostly of the two keys of one size, so that they share their groups.
            let cases: Vec<_> = [0, 1, 0, 0, 1, 0, 1, 2, 3]
                .into_iter()
                .enumerate()
                .map(|(at, number)| {
                    let message = vec![at as u8; 1 + at];
                    let mut signature = sign(scheme, &pairs()[number], &message);
                    match at {
                        1 => signature[100] ^= 4,
                        3 => signature.fill(0),
                        4 => signature.fill(0xff),
                        5 => signature.truncate(100),
                        _ => {}
                    }
                    Case::new(format!("case {at}"), &keys[number], &message, signature)
                })
                .collect();
            for &size in &sizes {
                // Nine shifts bring every case into every lane; large batches hold them all anyway.
                for shift in 0..if size < 20 { cases.len() } else { 2 } {
                    let batch = cases.iter().cycle().skip(shift).take(size);
                    assert_agreement(kernel, batch);
                }
            }
        }
    }
}

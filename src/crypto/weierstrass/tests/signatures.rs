//! Signatures against aws-lc-rs: genuine, mutated, at the edges, in every lane.

use super::{Dice, Tested, bytes, digest_of, reduce, small};
use crate::crypto::tests::soak;
use crate::crypto::weierstrass::kernel::{Kernel, Signed, words};
use crate::crypto::weierstrass::modulus::{Modulus, subtract};
use crate::crypto::weierstrass::table::Table;
use crate::crypto::weierstrass::verify::Finding;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{EcdsaKeyPair, KeyPair as _, ParsedPublicKey};

on_every_curve! {
    every_kernel_agrees_with_the_reference,
    twins_are_judged_as_the_reference_does,
    edges_are_judged_as_the_reference_does,
    neighbours_do_not_matter,
    tables_of_other_widths_find_the_same
}

/// A key pair with its table, and with the reference's form of it.
pub(super) struct Key<const W: usize> {
    pair: EcdsaKeyPair,
    pub(super) parsed: ParsedPublicKey,
    pub(super) table: Table<W>,
}

impl<const W: usize> Key<W> {
    pub(super) fn new<C: Tested<W>>(width: u32) -> Self {
        let pair = EcdsaKeyPair::generate(C::SIGNING).unwrap();
        let point = pair.public_key().as_ref();
        let parsed = ParsedPublicKey::new(C::VERIFYING, point).unwrap();
        let (x, y) = point[1..].split_at(8 * W);
        let table = Table::new::<C>(words(x), words(y), width);
        Self {
            pair,
            parsed,
            table,
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature = self.pair.sign(&SystemRandom::new(), message).unwrap();
        signature.as_ref().to_vec()
    }
}

/// A message and what is claimed to be its signature.
pub(super) struct Case<'k, const W: usize> {
    pub(super) key: &'k Key<W>,
    pub(super) message: Vec<u8>,
    pub(super) digest: [u64; W],
    pub(super) signature: Vec<u8>,
}

impl<'k, const W: usize> Case<'k, W> {
    pub(super) fn new<C: Tested<W>>(key: &'k Key<W>, message: Vec<u8>, signature: Vec<u8>) -> Self {
        Self {
            key,
            digest: digest_of::<C, W>(&message),
            message,
            signature,
        }
    }

    pub(super) fn signed(&self) -> Signed<'_, W> {
        Signed {
            table: &self.key.table,
            digest: self.digest,
            signature: &self.signature,
        }
    }

    /// What aws-lc-rs finds.
    pub(super) fn expected(&self) -> Finding {
        match self.key.parsed.verify_sig(&self.message, &self.signature) {
            Ok(()) => Finding::Genuine,
            Err(_) => Finding::Forged,
        }
    }
}

/// Every kernel but the reference.
pub(super) fn ours() -> Vec<Kernel> {
    let mut kernels = Kernel::available();
    kernels.retain(|&kernel| kernel != Kernel::AwsLc);
    kernels
}

/// Holds every kernel against the reference.
pub(super) fn assert_agreement<C: Tested<W>, const W: usize>(
    cases: &[Case<'_, W>],
    expected: &[Finding],
) {
    let signed: Vec<_> = cases.iter().map(Case::signed).collect();
    for kernel in ours() {
        let mut findings = vec![Finding::Undecided; cases.len()];
        kernel.verify::<C, W>(&signed, &mut findings);
        for (at, (found, expected)) in findings.iter().zip(expected).enumerate() {
            assert_eq!(found, expected, "{kernel:?}, case {at} of {}", cases.len());
        }
    }
}

/// Checks K-04.
///
/// Half of these are mutated, each in a place and a way of its own.
fn every_kernel_agrees_with_the_reference<C: Tested<W>, const W: usize>() {
    let keys = [8, 8, 8].map(Key::new::<C>);
    let mut dice = Dice::new(soak::seed(20));
    let mut genuine = 0;
    let count = soak::cases(C::CASES);
    let mut left = count;
    while left > 0 {
        // Batches of all sizes, most of them not a multiple of the lanes, and many of the few that end without
        // divisions.
        let most = [2, 17, 150, 150][dice.below(4)];
        let size = (1 + dice.below(most)).min(left);
        left -= size;
        let cases: Vec<_> = (0..size)
            .map(|_| random_case::<C, W>(&mut dice, &keys))
            .collect();
        let expected: Vec<_> = cases.iter().map(Case::expected).collect();
        genuine += expected
            .iter()
            .filter(|&&it| it == Finding::Genuine)
            .count();
        assert_agreement::<C, W>(&cases, &expected);
    }
    assert!(
        genuine > count * 2 / 5 && genuine < count * 3 / 5,
        "{genuine}"
    );
}

fn random_case<'k, C: Tested<W>, const W: usize>(
    dice: &mut Dice,
    keys: &'k [Key<W>],
) -> Case<'k, W> {
    let bytes_each = 8 * W;
    let key = &keys[dice.below(keys.len())];
    let mut message = dice.word().to_le_bytes().to_vec();
    let mut signature = key.sign(&message);
    if dice.below(2) == 0 {
        let (r, s) = signature.split_at_mut(bytes_each);
        match dice.below(8) {
            0 => signature[dice.below(2 * bytes_each)] ^= 1 << dice.below(8),
            1 => r.copy_from_slice(&bytes(dice.number::<W>())),
            2 => s.copy_from_slice(&bytes(dice.residue::<C::Order, W>())),
            3 => message[0] ^= 1,
            4 => r[dice.below(bytes_each)..][..1]
                .swap_with_slice(&mut s[dice.below(bytes_each)..][..1]),
            5 => signature.rotate_left(bytes_each),
            6 => signature.truncate(dice.below(2 * bytes_each)),
            _ => return Case::new::<C>(&keys[dice.below(keys.len())], message, signature),
        }
    }
    Case::new::<C>(key, message, signature)
}

/// The malleable twin `(r, n - s)` is as genuine to ECDSA; `r + n` and `s + n` are out of range.
fn twins_are_judged_as_the_reference_does<C: Tested<W>, const W: usize>() {
    let key = Key::new::<C>(8);
    let message = b"header.payload".to_vec();
    let signature = key.sign(&message);
    let (r, s) = signature.split_at(8 * W);
    let (r, s) = (words(r), words(s));
    let case = |r, s| Case::new::<C>(&key, message.clone(), [bytes(r), bytes(s)].concat());
    let minus = |a| subtract(C::Order::WORDS, a).0;
    let cases = [
        case(r, s),
        case(r, minus(s)),
        case(minus(r), s),
        case(minus(r), minus(s)),
    ];
    let expected: Vec<_> = cases.iter().map(Case::expected).collect();
    assert_eq!(expected[..2], [Finding::Genuine; 2]);
    assert_agreement::<C, W>(&cases, &expected);
}

/// Numbers at the edges of every range, in both places.
fn edges_are_judged_as_the_reference_does<C: Tested<W>, const W: usize>() {
    let key = Key::new::<C>(8);
    let (n, p) = (C::Order::WORDS, C::Prime::WORDS);
    let p_minus_n = subtract(p, n).0;
    let mut edges = vec![[0; W], [u64::MAX; W], [1 << 63; W], n, p, p_minus_n];
    for few in 1..4 {
        let few = small(few);
        let minus_few = subtract([0; W], few).0;
        for edge in [n, p, p_minus_n] {
            edges.push(subtract(edge, few).0);
            edges.push(subtract(edge, minus_few).0);
        }
        edges.push(few);
    }
    let genuine = key.sign(b"edge");
    let (r, s) = genuine.split_at(8 * W);
    let (r, s) = (words(r), words(s));
    edges.extend([r, s]);
    let cases: Vec<_> = edges
        .iter()
        .flat_map(|&r| edges.iter().map(move |&s| [bytes(r), bytes(s)].concat()))
        .map(|signature| Case::new::<C>(&key, b"edge".to_vec(), signature))
        .collect();
    let expected: Vec<_> = cases.iter().map(Case::expected).collect();
    let count = expected
        .iter()
        .filter(|&&it| it == Finding::Genuine)
        .count();
    assert_eq!(count, 1, "the genuine one among {}", cases.len());
    assert_agreement::<C, W>(&cases, &expected);
}

/// Checks K-04.
///
/// Every lane of every batch size holds good, bad and garbage, beside every kind of neighbour.
fn neighbours_do_not_matter<C: Tested<W>, const W: usize>() {
    let keys = [8, 8].map(Key::new::<C>);
    let mut dice = Dice::new(21);
    let cases: Vec<_> = (0..7)
        .map(|at| {
            let key = &keys[at % 2];
            let message = vec![at as u8; 1 + at];
            let mut signature = key.sign(&message);
            match at {
                1 => signature[5] ^= 4,
                3 => signature.fill(0),
                4 => signature = vec![0xff; 16 * W - 1],
                6 => {
                    let s = reduce::<C::Order, W>(dice.number());
                    signature[8 * W..].copy_from_slice(&bytes(s));
                }
                _ => {}
            }
            Case::new::<C>(key, message, signature)
        })
        .collect();
    let expected: Vec<_> = cases.iter().map(Case::expected).collect();
    // 1 to 24 pass every partial group of lanes; the others surround the window.
    for size in (1..=24).chain([63, 64, 65, 127, 128, 129]) {
        // A step through all shifts brings every case into every lane.
        for shift in 0..cases.len() {
            let pick = |at: usize| (at + shift) % cases.len();
            let signed: Vec<_> = (0..size).map(|at| cases[pick(at)].signed()).collect();
            let expected: Vec<_> = (0..size).map(|at| expected[pick(at)]).collect();
            for kernel in ours() {
                let mut findings = vec![Finding::Undecided; size];
                kernel.verify::<C, W>(&signed, &mut findings);
                assert_eq!(findings, expected, "{kernel:?}, {size} shifted by {shift}");
            }
        }
    }
}

/// Wide and narrow tables alike, and tables of two widths in one batch.
fn tables_of_other_widths_find_the_same<C: Tested<W>, const W: usize>() {
    let keys = [7, 8, 9].map(Key::new::<C>);
    let mut dice = Dice::new(22);
    let cases: Vec<_> = (0..100)
        .map(|_| random_case::<C, W>(&mut dice, &keys))
        .collect();
    let expected: Vec<_> = cases.iter().map(Case::expected).collect();
    assert_agreement::<C, W>(&cases, &expected);
}

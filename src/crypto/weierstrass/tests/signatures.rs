//! Signatures against aws-lc-rs: genuine, mutated, at the edges, in every lane.

use super::{Dice, bytes, reduce};
use crate::crypto::weierstrass::kernel::{Kernel, Signed, words};
use crate::crypto::weierstrass::modulus::{FieldPrime, GroupOrder, Modulus, Words, subtract};
use crate::crypto::weierstrass::table::Table;
use crate::crypto::weierstrass::verify::Finding;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    ParsedPublicKey,
};

/// A key pair with its table, and with the reference's form of it.
pub(super) struct Key {
    pair: EcdsaKeyPair,
    pub(super) parsed: ParsedPublicKey,
    pub(super) table: Table,
}

impl Key {
    pub(super) fn new(width: u32) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref();
        let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).unwrap();
        let coordinates: &[[u8; 32]] = point[1..].as_chunks().0;
        let table = Table::new(words(&coordinates[0]), words(&coordinates[1]), width);
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
pub(super) struct Case<'k> {
    pub(super) key: &'k Key,
    pub(super) message: Vec<u8>,
    pub(super) digest: [u8; 32],
    pub(super) signature: Vec<u8>,
}

impl<'k> Case<'k> {
    pub(super) fn new(key: &'k Key, message: Vec<u8>, signature: Vec<u8>) -> Self {
        let digest = digest(&SHA256, &message).as_ref().try_into().unwrap();
        Self {
            key,
            message,
            digest,
            signature,
        }
    }

    pub(super) fn signed(&self) -> Signed<'_> {
        Signed {
            table: &self.key.table,
            digest: &self.digest,
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

/// Holds every kernel against the reference, and gives back how many were genuine.
pub(super) fn assert_agreement(cases: &[Case<'_>], expected: &[Finding]) {
    let signed: Vec<_> = cases.iter().map(Case::signed).collect();
    for kernel in ours() {
        let mut findings = vec![Finding::Undecided; cases.len()];
        kernel.verify(&signed, &mut findings);
        for (at, (found, expected)) in findings.iter().zip(expected).enumerate() {
            assert_eq!(found, expected, "{kernel:?}, case {at} of {}", cases.len());
        }
    }
}

/// Half of these are mutated, each in a place and a way of its own.
#[test]
fn every_kernel_agrees_with_the_reference() {
    const CASES: usize = 20_000;
    let keys = [8, 8, 8].map(Key::new);
    let mut dice = Dice::new(20);
    let mut genuine = 0;
    let mut left = CASES;
    while left > 0 {
        // Batches of all sizes, most of them not a multiple of the lanes.
        let size = (1 + dice.below(150)).min(left);
        left -= size;
        let cases: Vec<_> = (0..size).map(|_| random_case(&mut dice, &keys)).collect();
        let expected: Vec<_> = cases.iter().map(Case::expected).collect();
        genuine += expected
            .iter()
            .filter(|&&it| it == Finding::Genuine)
            .count();
        assert_agreement(&cases, &expected);
    }
    assert!(
        genuine > CASES * 2 / 5 && genuine < CASES * 3 / 5,
        "{genuine}"
    );
}

fn random_case<'k>(dice: &mut Dice, keys: &'k [Key]) -> Case<'k> {
    let key = &keys[dice.below(keys.len())];
    let mut message = dice.word().to_le_bytes().to_vec();
    let mut signature = key.sign(&message);
    if dice.below(2) == 0 {
        match dice.below(8) {
            0 => signature[dice.below(64)] ^= 1 << dice.below(8),
            1 => signature[..32].copy_from_slice(&bytes(dice.number())),
            2 => signature[32..].copy_from_slice(&bytes(dice.residue::<GroupOrder>())),
            3 => message[0] ^= 1,
            4 => signature.swap(dice.below(32), 32 + dice.below(32)),
            5 => signature.rotate_left(32),
            6 => signature.truncate(dice.below(64)),
            _ => return Case::new(&keys[dice.below(keys.len())], message, signature),
        }
    }
    Case::new(key, message, signature)
}

/// The malleable twin `(r, n - s)` is as genuine to ECDSA; `r + n` and `s + n` are out of range.
#[test]
fn twins_are_judged_as_the_reference_does() {
    let key = Key::new(8);
    let message = b"header.payload".to_vec();
    let signature = key.sign(&message);
    let halves: &[[u8; 32]] = signature.as_chunks().0;
    let (r, s) = (words(&halves[0]), words(&halves[1]));
    let case = |r: Words, s: Words| Case::new(&key, message.clone(), [bytes(r), bytes(s)].concat());
    let minus = |a: Words| subtract(GroupOrder::WORDS, a).0;
    let cases = [
        case(r, s),
        case(r, minus(s)),
        case(minus(r), s),
        case(minus(r), minus(s)),
    ];
    let expected: Vec<_> = cases.iter().map(Case::expected).collect();
    assert_eq!(expected[..2], [Finding::Genuine; 2]);
    assert_agreement(&cases, &expected);
}

/// Numbers at the edges of every range, in both places.
#[test]
fn edges_are_judged_as_the_reference_does() {
    let key = Key::new(8);
    let (n, p) = (GroupOrder::WORDS, FieldPrime::WORDS);
    let p_minus_n = subtract(p, n).0;
    let mut edges = vec![[0; 4], [u64::MAX; 4], [0, 0, 0, 1 << 63], n, p, p_minus_n];
    for small in 1..4 {
        for edge in [n, p, p_minus_n] {
            edges.push(subtract(edge, [small, 0, 0, 0]).0);
            edges.push(subtract(edge, [small.wrapping_neg(), u64::MAX, u64::MAX, u64::MAX]).0);
        }
        edges.push([small, 0, 0, 0]);
    }
    let genuine = key.sign(b"edge");
    let halves: &[[u8; 32]] = genuine.as_chunks().0;
    let (r, s) = (words(&halves[0]), words(&halves[1]));
    edges.extend([r, s]);
    let cases: Vec<_> = edges
        .iter()
        .flat_map(|&r| edges.iter().map(move |&s| [bytes(r), bytes(s)].concat()))
        .map(|signature| Case::new(&key, b"edge".to_vec(), signature))
        .collect();
    let expected: Vec<_> = cases.iter().map(Case::expected).collect();
    let count = expected
        .iter()
        .filter(|&&it| it == Finding::Genuine)
        .count();
    assert_eq!(count, 1, "the genuine one among {}", cases.len());
    assert_agreement(&cases, &expected);
}

/// Every lane of every batch size holds good, bad and garbage, beside every kind of neighbour.
#[test]
fn neighbours_do_not_matter() {
    let keys = [8, 8].map(Key::new);
    let mut dice = Dice::new(21);
    let cases: Vec<_> = (0..7)
        .map(|at| {
            let key = &keys[at % 2];
            let message = vec![at as u8; 1 + at];
            let mut signature = key.sign(&message);
            match at {
                1 => signature[5] ^= 4,
                3 => signature = vec![0; 64],
                4 => signature = vec![0xff; 63],
                6 => signature[32..].copy_from_slice(&bytes(reduce::<GroupOrder>(dice.number()))),
                _ => {}
            }
            Case::new(key, message, signature)
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
                kernel.verify(&signed, &mut findings);
                assert_eq!(findings, expected, "{kernel:?}, {size} shifted by {shift}");
            }
        }
    }
}

/// Wide and narrow tables alike, and tables of two widths in one batch.
#[test]
fn tables_of_other_widths_find_the_same() {
    let keys = [7, 8, 9].map(Key::new);
    let mut dice = Dice::new(22);
    let cases: Vec<_> = (0..100).map(|_| random_case(&mut dice, &keys)).collect();
    let expected: Vec<_> = cases.iter().map(Case::expected).collect();
    assert_agreement(&cases, &expected);
}

//! Signatures against aws-lc-rs: genuine, mutated, at the edges, in every lane.

use super::{Dice, P, add_modulo, bytes, reduce, subtract_modulo};
use crate::crypto::ed25519::field::words;
use crate::crypto::ed25519::kernel::{Kernel, Signed};
use crate::crypto::ed25519::lanes::Words;
use crate::crypto::ed25519::point::Point;
use crate::crypto::ed25519::scalar::ORDER;
use crate::crypto::ed25519::table::Table;
use crate::crypto::ed25519::verify::Finding;
use crate::crypto::tests::soak;
use aws_lc_rs::digest::{SHA512, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, ParsedPublicKey};

/// A key pair with its table, and with the reference's form of it.
pub(super) struct Key {
    pair: Ed25519KeyPair,
    pub(super) encoding: [u8; 32],
    parsed: ParsedPublicKey,
    table: Table,
}

impl Key {
    pub(super) fn new(width: u32) -> Self {
        Self::of(Ed25519KeyPair::generate().unwrap(), width)
    }

    pub(super) fn of(pair: Ed25519KeyPair, width: u32) -> Self {
        let encoding = pair.public_key().as_ref().try_into().unwrap();
        Self {
            parsed: ParsedPublicKey::new(&ED25519, encoding).unwrap(),
            table: table(&encoding, width),
            encoding,
            pair,
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

/// The table that belongs to a public key.
pub(super) fn table(encoding: &[u8; 32], width: u32) -> Table {
    Table::new(Point::decode(encoding).unwrap().negate(), width)
}

/// SHA-512 of R, the key and the message; whatever of a signature too short to have an R.
pub(super) fn hash(signature: &[u8], key: &[u8; 32], message: &[u8]) -> [u8; 64] {
    let r = signature.get(..32).unwrap_or(signature);
    let hash = digest(&SHA512, &[r, key, message].concat());
    hash.as_ref().try_into().unwrap()
}

/// A message and what is claimed to be its signature.
pub(super) struct Case<'k> {
    key: &'k Key,
    message: Vec<u8>,
    hash: [u8; 64],
    signature: Vec<u8>,
}

impl<'k> Case<'k> {
    pub(super) fn new(key: &'k Key, message: Vec<u8>, signature: Vec<u8>) -> Self {
        Self {
            hash: hash(&signature, &key.encoding, &message),
            key,
            message,
            signature,
        }
    }

    pub(super) fn signed(&self) -> Signed<'_> {
        Signed {
            table: &self.key.table,
            hash: &self.hash,
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

/// Holds every kernel against what is expected.
pub(super) fn assert_findings(signed: &[Signed<'_>], expected: &[Finding]) {
    for kernel in ours() {
        let mut findings = vec![Finding::Forged; signed.len()];
        kernel.verify(signed, &mut findings);
        for (at, (found, expected)) in findings.iter().zip(expected).enumerate() {
            assert_eq!(found, expected, "{kernel:?}, case {at} of {}", signed.len());
        }
    }
}

fn assert_agreement(cases: &[Case<'_>], expected: &[Finding]) {
    let signed: Vec<_> = cases.iter().map(Case::signed).collect();
    assert_findings(&signed, expected);
}

fn genuine(findings: &[Finding]) -> usize {
    let genuine = findings.iter().filter(|&&it| it == Finding::Genuine);
    genuine.count()
}

/// Half of these are mutated, each in a place and a way of its own.
///
/// Checks K-04.
#[test]
fn every_kernel_agrees_with_the_reference() {
    let cases = soak::cases(30_000);
    let keys = [8, 8, 8].map(Key::new);
    let mut dice = Dice::new(soak::seed(20));
    let mut count = 0;
    let mut left = cases;
    while left > 0 {
        // Batches of all sizes, most of them not a multiple of the lanes.
        let size = (1 + dice.below(150)).min(left);
        left -= size;
        let batch: Vec<_> = (0..size).map(|_| random_case(&mut dice, &keys)).collect();
        let expected: Vec<_> = batch.iter().map(Case::expected).collect();
        count += genuine(&expected);
        assert_agreement(&batch, &expected);
    }
    assert!(count > cases * 2 / 5 && count < cases * 3 / 5, "{count}");
}

fn random_case<'k>(dice: &mut Dice, keys: &'k [Key]) -> Case<'k> {
    let key = &keys[dice.below(keys.len())];
    let mut message = dice.word().to_le_bytes().to_vec();
    let mut signature = key.sign(&message);
    if dice.below(2) == 0 {
        match dice.below(9) {
            0 => signature[dice.below(64)] ^= 1 << dice.below(8),
            1 => signature[..32].copy_from_slice(&bytes(dice.number())),
            2 => signature[32..].copy_from_slice(&bytes(dice.residue(ORDER))),
            3 => message[0] ^= 1,
            4 => signature.swap(dice.below(32), 32 + dice.below(32)),
            5 => signature.rotate_left(32),
            6 => signature.truncate(dice.below(64)),
            // The sign of R's x.
            7 => signature[31] ^= 0x80,
            _ => return Case::new(&keys[dice.below(keys.len())], message, signature),
        }
    }
    Case::new(key, message, signature)
}

/// `S + L` is the same scalar, and out of range; `L - S` and the opposite of R are other numbers.
#[test]
fn twins_are_judged_as_the_reference_does() {
    let key = Key::new(8);
    let message = b"header.payload".to_vec();
    let signature = key.sign(&message);
    let halves: &[[u8; 32]] = signature.as_chunks().0;
    let (r, s) = (words(&halves[0]), words(&halves[1]));
    let case = |r: Words, s: Words| Case::new(&key, message.clone(), [bytes(r), bytes(s)].concat());
    // Two scalars below L, as sums below a modulus that none of them reaches.
    let plus = |a, b| add_modulo([u64::MAX; 4], a, b);
    let opposite = [r[0], r[1], r[2], r[3] ^ 1 << 63];
    let minus = subtract_modulo(ORDER, [0; 4], s);
    let twice_more = plus(s, plus(ORDER, ORDER));
    let cases = [
        case(r, s),
        case(r, plus(s, ORDER)),
        case(r, twice_more),
        case(r, minus),
        case(opposite, s),
        case(opposite, minus),
    ];
    let expected: Vec<_> = cases.iter().map(Case::expected).collect();
    assert_eq!(expected[0], Finding::Genuine);
    assert_eq!(genuine(&expected), 1);
    assert_agreement(&cases, &expected);
}

/// Numbers at the edges of every range, in both places.
#[test]
fn edges_are_judged_as_the_reference_does() {
    let key = Key::new(8);
    let mut edges = vec![
        [0; 4],
        [u64::MAX; 4],
        [0, 0, 0, 1 << 60],
        [0, 0, 0, 1 << 63],
        ORDER,
        P,
    ];
    for small in 1..4 {
        for mut edge in [ORDER, P] {
            edge[0] -= small;
            edges.push(edge);
            edge[0] += 2 * small;
            edges.push(edge);
        }
        edges.push([small, 0, 0, 0]);
    }
    let signature = key.sign(b"edge");
    let halves: &[[u8; 32]] = signature.as_chunks().0;
    edges.extend([words(&halves[0]), words(&halves[1])]);
    let cases: Vec<_> = edges
        .iter()
        .flat_map(|&r| edges.iter().map(move |&s| [bytes(r), bytes(s)].concat()))
        .map(|signature| Case::new(&key, b"edge".to_vec(), signature))
        .collect();
    let expected: Vec<_> = cases.iter().map(Case::expected).collect();
    assert_eq!(genuine(&expected), 1, "among {}", cases.len());
    assert_agreement(&cases, &expected);
}

/// Every lane of every batch size holds good, bad and garbage, beside every kind of neighbour.
///
/// Checks K-04.
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
                6 => signature[32..].copy_from_slice(&bytes(reduce(ORDER, &dice.number::<4>()))),
                _ => {}
            }
            Case::new(key, message, signature)
        })
        .collect();
    let expected: Vec<_> = cases.iter().map(Case::expected).collect();
    assert_eq!(genuine(&expected), 3);
    // 1 to 17 pass every partial group of lanes; the others surround the window.
    for size in (1..=17).chain([63, 64, 65, 127, 128, 129]) {
        // A step through all shifts brings every case into every lane.
        for shift in 0..cases.len() {
            let pick = |at: usize| (at + shift) % cases.len();
            let signed: Vec<_> = (0..size).map(|at| cases[pick(at)].signed()).collect();
            let expected: Vec<_> = (0..size).map(|at| expected[pick(at)]).collect();
            assert_findings(&signed, &expected);
        }
    }
}

/// Wide and narrow tables alike, and tables of several widths in one batch.
#[test]
fn tables_of_other_widths_find_the_same() {
    let keys = [4, 7, 8, 9].map(Key::new);
    let mut dice = Dice::new(22);
    let cases: Vec<_> = (0..100).map(|_| random_case(&mut dice, &keys)).collect();
    let expected: Vec<_> = cases.iter().map(Case::expected).collect();
    assert_agreement(&cases, &expected);
}

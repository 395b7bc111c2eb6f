//! Prepared keys behind `verify_batch`.

use super::signatures::ours;
use super::{Dice, Tested};
use crate::crypto::batch::verify_batch;
use crate::crypto::guard::Finding;
use crate::crypto::weierstrass::run::{Key, find_by};
use crate::crypto::{Check, Material, Outcome, Scheme, TableWidth, VerifyingKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{EcdsaKeyPair, KeyPair as _};

on_every_curve! {
    preparing_a_key_changes_no_outcome,
    kernels_go_by_the_table
}

struct Signer {
    pair: EcdsaKeyPair,
    key: VerifyingKey,
}

impl Signer {
    fn new<C: Tested<W>, const W: usize>() -> Self {
        let pair = EcdsaKeyPair::generate(C::SIGNING).unwrap();
        let (x, y) = coordinates(&pair);
        let key = VerifyingKey::ec(C::SCHEME, x, y).unwrap();
        Self { pair, key }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature = self.pair.sign(&SystemRandom::new(), message).unwrap();
        signature.as_ref().to_vec()
    }
}

fn coordinates(pair: &EcdsaKeyPair) -> (&[u8], &[u8]) {
    let point = &pair.public_key().as_ref()[1..];
    point.split_at(point.len() / 2)
}

/// Good and bad signatures under prepared and unprepared keys, in one batch, by every kernel.
fn preparing_a_key_changes_no_outcome<C: Tested<W>, const W: usize>() {
    let signers: [Signer; 4] = std::array::from_fn(|_| Signer::new::<C, W>());
    let mut dice = Dice::new(30);
    let signed: Vec<_> = (0..128)
        .map(|at| {
            let signer = &signers[dice.below(4)];
            // Messages of no to several blocks.
            let message = vec![at as u8; dice.below(400)];
            let mut signature = signer.sign(&message);
            match dice.below(4) {
                0 => signature[dice.below(16 * W)] ^= 0x20,
                1 => signature.truncate(dice.below(16 * W)),
                _ => {}
            }
            (signer, message, signature)
        })
        .collect();
    let checks: Vec<_> = signed
        .iter()
        .map(|(signer, message, signature)| Check {
            key: &signer.key,
            message,
            signature,
        })
        .collect();
    let mut expected = Vec::new();
    verify_batch(&checks, &mut expected);
    assert!(expected.contains(&Outcome::Genuine) && expected.contains(&Outcome::Forged));
    let windows = (64 * W).div_ceil(C::KEY_WIDTH as usize);
    let bytes = (windows << (C::KEY_WIDTH - 1)) * 16 * W;
    for signer in &signers[1..] {
        assert_eq!(signer.key.prepare(), bytes);
        assert_eq!(signer.key.prepare(), bytes, "a second time");
    }
    let mut outcomes = Vec::new();
    for size in [1, 2, 7, 8, 9, 64, 128] {
        verify_batch(&checks[..size], &mut outcomes);
        assert_eq!(outcomes, expected[..size], "{size}");
    }
    let subjects: Vec<_> = checks.iter().collect();
    for kernel in ours() {
        let mut findings = vec![Finding::Undecided; checks.len()];
        find_by(kernel, C::SCHEME, &subjects, &mut findings);
        for ((check, finding), expected) in checks.iter().zip(&findings).zip(&expected) {
            match finding {
                Finding::Genuine => assert_eq!(*expected, Outcome::Genuine, "{kernel:?}"),
                Finding::Forged => assert_eq!(*expected, Outcome::Forged, "{kernel:?}"),
                // Keys without a table, and signatures too short to be looked at.
                Finding::Undecided => assert!(
                    check.key.table().is_none() || check.signature.len() < 32,
                    "{kernel:?}"
                ),
            }
        }
        assert!(findings.contains(&Finding::Genuine));
    }
}

/// A key whose table is that of another: what the other signed is found genuine, so it is the table that was
/// asked.
fn kernels_go_by_the_table<C: Tested<W>, const W: usize>() {
    let (signer, other) = (Signer::new::<C, W>(), Signer::new::<C, W>());
    let (x, y) = coordinates(&other.pair);
    let of_other = Key::new(C::SCHEME, x, y).unwrap();
    of_other.build_table(TableWidth::Usual);
    let Material::Weierstrass(parsed, _) = signer.key.material else {
        panic!("a curve with kernels");
    };
    let key = VerifyingKey::of(C::SCHEME, Material::Weierstrass(parsed, of_other));
    let signatures = [
        signer.pair.sign(&SystemRandom::new(), b"one").unwrap(),
        other.pair.sign(&SystemRandom::new(), b"one").unwrap(),
        other.pair.sign(&SystemRandom::new(), b"two").unwrap(),
    ];
    let checks = signatures.each_ref().map(|signature| Check {
        key: &key,
        message: b"one",
        signature: signature.as_ref(),
    });
    use Finding::{Forged, Genuine, Undecided};
    for kernel in ours() {
        let mut findings = [Undecided; 3];
        find_by(kernel, C::SCHEME, &checks.each_ref(), &mut findings);
        assert_eq!(findings, [Forged, Genuine, Forged], "{kernel:?}");
    }
}

/// Other schemes have no tables.
#[test]
fn other_keys_have_nothing_to_prepare() {
    let secret = VerifyingKey::hmac(Scheme::HmacSha256, &[7; 32]).unwrap();
    assert_eq!(secret.prepare(), 0);
}

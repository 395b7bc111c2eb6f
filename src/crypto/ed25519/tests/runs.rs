//! Prepared keys behind `verify_batch`.

use super::Dice;
use super::signatures::ours;
use crate::crypto::batch::verify_batch;
use crate::crypto::ed25519::run::find_by;
use crate::crypto::guard::Finding;
use crate::crypto::{Check, Material, Outcome, Scheme, VerifyingKey};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

struct Signer {
    pair: Ed25519KeyPair,
    key: VerifyingKey,
}

impl Signer {
    fn new() -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let key = VerifyingKey::ed25519(pair.public_key().as_ref()).unwrap();
        Self { pair, key }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

/// Good and bad signatures under prepared and unprepared keys, in one batch, by every kernel.
#[test]
fn preparing_a_key_changes_no_outcome() {
    let signers: [Signer; 4] = std::array::from_fn(|_| Signer::new());
    let mut dice = Dice::new(30);
    let signed: Vec<_> = (0..128)
        .map(|at| {
            let signer = &signers[dice.below(4)];
            // Messages of no to several blocks.
            let message = vec![at as u8; dice.below(600)];
            let mut signature = signer.sign(&message);
            match dice.below(5) {
                0 => signature[dice.below(64)] ^= 0x20,
                1 => signature.truncate(dice.below(64)),
                2 => signature.push(0),
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
    for signer in &signers[1..] {
        assert_eq!(signer.key.prepare(), 384 * 1024);
        assert_eq!(signer.key.prepare(), 384 * 1024, "a second time");
    }
    let mut outcomes = Vec::new();
    for size in [1, 2, 7, 8, 9, 64, 128] {
        verify_batch(&checks[..size], &mut outcomes);
        assert_eq!(outcomes, expected[..size], "{size}");
    }
    let subjects: Vec<_> = checks.iter().collect();
    for kernel in ours() {
        let mut findings = vec![Finding::Undecided; checks.len()];
        find_by(kernel, &subjects, &mut findings);
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
#[test]
fn kernels_go_by_the_table() {
    let (signer, other) = (Signer::new(), Signer::new());
    other.key.prepare();
    let (Material::Ed25519(parsed, _), Material::Ed25519(_, prepared)) =
        (signer.key.material, other.key.material)
    else {
        panic!("two Ed25519 keys");
    };
    let key = VerifyingKey::of(Scheme::Ed25519, Material::Ed25519(parsed, prepared));
    let signatures = [
        signer.pair.sign(b"one"),
        other.pair.sign(b"one"),
        other.pair.sign(b"two"),
    ];
    let checks = signatures.each_ref().map(|signature| Check {
        key: &key,
        message: b"one",
        signature: signature.as_ref(),
    });
    use Finding::{Forged, Genuine, Undecided};
    for kernel in ours() {
        let mut findings = [Undecided; 3];
        find_by(kernel, &checks.each_ref(), &mut findings);
        assert_eq!(findings, [Forged, Genuine, Forged], "{kernel:?}");
    }
}

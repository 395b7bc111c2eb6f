//! Prepared keys behind `verify_batch`.

use super::Dice;
use super::signatures::ours;
use crate::crypto::batch::{Run, verify_batch};
use crate::crypto::ed25519::kernel::Kernel;
use crate::crypto::ed25519::run::verify_run_by;
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
    let picks: Vec<u8> = (0..128).collect();
    for kernel in Kernel::available() {
        let mut outcomes = vec![Outcome::Forged; checks.len()];
        let run = Run {
            checks: &checks,
            picks: &picks,
            outcomes: &mut outcomes,
        };
        verify_run_by(kernel, run);
        assert_eq!(outcomes, expected, "{kernel:?}");
    }
}

/// A key whose table is that of another: what the other signed is found genuine by the table, so a kernel was
/// asked; and what the key itself signed is genuine still, so the kernel's refusal was confirmed.
#[test]
fn kernels_accept_and_the_reference_refuses() {
    let (signer, other) = (Signer::new(), Signer::new());
    other.key.prepare();
    let (Material::Ed25519(parsed, _), Material::Ed25519(_, prepared)) =
        (signer.key.material, other.key.material)
    else {
        panic!("two Ed25519 keys");
    };
    let key = VerifyingKey {
        scheme: Scheme::Ed25519,
        material: Material::Ed25519(parsed, prepared),
    };
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
    use Outcome::{Forged, Genuine};
    for kernel in ours() {
        let mut outcomes = [Forged; 3];
        let run = Run {
            checks: &checks,
            picks: &[0, 1, 2],
            outcomes: &mut outcomes,
        };
        verify_run_by(kernel, run);
        assert_eq!(outcomes, [Genuine, Genuine, Forged], "{kernel:?}");
    }
}

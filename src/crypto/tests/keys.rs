//! Which keys are accepted, and for which scheme.

use super::{alone, hex};
use crate::crypto::{KeyError, Outcome, Scheme, VerifyingKey};
use aws_lc_rs::{hmac, signature as sig, signature::KeyPair as _};

/// An RSA modulus of some length: odd, its top bit set. Its factors do not matter to the rules.
fn modulus(bits: usize) -> Vec<u8> {
    let mut n = vec![0xa5; bits.div_ceil(8)];
    n[0] = 1 << ((bits - 1) % 8);
    if let Some(last) = n.last_mut() {
        *last |= 1;
    }
    n
}

const E: &[u8] = &[1, 0, 1];

const RSA: [Scheme; 6] = [
    Scheme::RsaPkcs1Sha256,
    Scheme::RsaPkcs1Sha384,
    Scheme::RsaPkcs1Sha512,
    Scheme::RsaPssSha256,
    Scheme::RsaPssSha384,
    Scheme::RsaPssSha512,
];

/// Checks V-19.
#[test]
fn a_secret_is_at_least_as_long_as_the_digest() {
    for (scheme, required_bytes) in [
        (Scheme::HmacSha256, 32),
        (Scheme::HmacSha384, 48),
        (Scheme::HmacSha512, 64),
    ] {
        for length in 0..required_bytes {
            assert_eq!(
                VerifyingKey::hmac(scheme, &vec![1; length]).err(),
                Some(KeyError::SecretTooShort { required_bytes })
            );
        }
        assert!(VerifyingKey::hmac(scheme, &vec![1; required_bytes]).is_ok());
        assert!(VerifyingKey::hmac(scheme, &[1; 1000]).is_ok());
    }
}

/// Checks V-20.
#[test]
fn an_rsa_modulus_has_2048_to_8192_bits() {
    for scheme in RSA {
        for bits in [8, 512, 1024, 2040, 2047, 8193, 8200, 16_384] {
            let error = VerifyingKey::rsa(scheme, &modulus(bits), E).err();
            assert_eq!(error, Some(KeyError::RsaSize { bits }));
        }
        for bits in [2048, 2049, 3072, 4096, 8191, 8192] {
            assert!(
                VerifyingKey::rsa(scheme, &modulus(bits), E).is_ok(),
                "{bits}"
            );
        }
        let empty = VerifyingKey::rsa(scheme, &[], E).err();
        assert_eq!(empty, Some(KeyError::RsaSize { bits: 0 }));
        let mut even = modulus(2048);
        even[255] &= 0xfe;
        let error = VerifyingKey::rsa(scheme, &even, E).err();
        assert!(matches!(error, Some(KeyError::Malformed(_))));
    }
}

/// Checks V-20.
#[test]
fn an_rsa_modulus_may_carry_leading_zeros_but_is_measured_without() {
    let padded = [&[0, 0][..], &modulus(2048)].concat();
    assert!(VerifyingKey::rsa(Scheme::RsaPkcs1Sha256, &padded, E).is_ok());
    let short = [&[0; 200][..], &modulus(1024)].concat();
    let error = VerifyingKey::rsa(Scheme::RsaPkcs1Sha256, &short, E).err();
    assert_eq!(error, Some(KeyError::RsaSize { bits: 1024 }));
}

/// Checks V-20.
#[test]
fn an_rsa_exponent_is_odd_and_between_3_and_2_to_the_33() {
    let n = modulus(2048);
    let parse = |e: &[u8]| VerifyingKey::rsa(Scheme::RsaPssSha256, &n, e).err();
    for good in [3u64, 5, 17, 65_537, (1 << 32) + 1, (1 << 33) - 1] {
        assert_eq!(parse(&good.to_be_bytes()), None, "{good}");
    }
    for bad in [0u64, 1, 2, 4, 65_536, 1 << 33, (1 << 33) + 1, u64::MAX] {
        assert_eq!(
            parse(&bad.to_be_bytes()),
            Some(KeyError::RsaExponent),
            "{bad}"
        );
    }
    assert_eq!(parse(&[]), Some(KeyError::RsaExponent));
    assert_eq!(parse(&[0; 4]), Some(KeyError::RsaExponent));
    assert_eq!(parse(&[1; 9]), Some(KeyError::RsaExponent));
    assert_eq!(parse(&n), Some(KeyError::RsaExponent));
}

/// A point of each curve, its coordinates and its scheme.
fn points() -> Vec<(Scheme, Vec<u8>, Vec<u8>)> {
    [
        (
            Scheme::EcdsaP256Sha256,
            &sig::ECDSA_P256_SHA256_FIXED_SIGNING,
        ),
        (
            Scheme::EcdsaP384Sha384,
            &sig::ECDSA_P384_SHA384_FIXED_SIGNING,
        ),
        (
            Scheme::EcdsaP521Sha512,
            &sig::ECDSA_P521_SHA512_FIXED_SIGNING,
        ),
        (
            Scheme::EcdsaSecp256k1Sha256,
            &sig::ECDSA_P256K1_SHA256_FIXED_SIGNING,
        ),
    ]
    .into_iter()
    .map(|(scheme, algorithm)| {
        let pair = sig::EcdsaKeyPair::generate(algorithm).unwrap();
        let point = pair.public_key().as_ref();
        let (x, y) = point[1..].split_at(point.len() / 2);
        (scheme, x.to_vec(), y.to_vec())
    })
    .collect()
}

/// Checks V-21.
#[test]
fn a_point_is_on_its_curve() {
    for (scheme, x, y) in points() {
        assert!(VerifyingKey::ec(scheme, &x, &y).is_ok());
        for at in 0..x.len() {
            let mut off = x.clone();
            off[at] ^= 1;
            let error = VerifyingKey::ec(scheme, &off, &y).err();
            assert_eq!(error, Some(KeyError::InvalidPoint), "{scheme:?} {at}");
        }
        // (0, 0) is how some write infinity.
        let zero = vec![0; x.len()];
        let error = VerifyingKey::ec(scheme, &zero, &zero).err();
        assert_eq!(error, Some(KeyError::InvalidPoint));
        let error = VerifyingKey::ec(scheme, &y, &x).err();
        assert_eq!(error, Some(KeyError::InvalidPoint));
    }
}

/// Checks V-21.
#[test]
fn coordinates_have_the_length_of_the_curve_and_are_reduced() {
    for (scheme, x, y) in points() {
        let longer = [&[0][..], &x].concat();
        for (x, y) in [
            (&x[1..], &y[..]),
            (&x[..], &y[1..]),
            (&longer, &y),
            (&[], &[]),
            (&x, &[]),
        ] {
            let error = VerifyingKey::ec(scheme, x, y).err();
            assert_eq!(error, Some(KeyError::InvalidPoint));
        }
        let above = vec![0xff; x.len()];
        assert_eq!(
            VerifyingKey::ec(scheme, &above, &y).err(),
            Some(KeyError::InvalidPoint)
        );
        assert_eq!(
            VerifyingKey::ec(scheme, &x, &above).err(),
            Some(KeyError::InvalidPoint)
        );
    }
    // x and x + p name the same point of P-256; the second spelling is refused. There is such a point for
    // x = 5, and 5 + p is below 2^256.
    let y = hex("459243b9aa581806fe913bce99817ade11ca503c64d9a3c533415c083248fbcc");
    let mut x = vec![0; 32];
    x[31] = 5;
    assert!(VerifyingKey::ec(Scheme::EcdsaP256Sha256, &x, &y).is_ok());
    let x = hex("ffffffff00000001000000000000000000000001000000000000000000000004");
    assert_eq!(
        VerifyingKey::ec(Scheme::EcdsaP256Sha256, &x, &y).err(),
        Some(KeyError::InvalidPoint)
    );
}

/// Checks V-14. A key is pinned to one scheme, of its own kind.
#[test]
fn material_fits_the_schemes_of_its_kind_only() {
    let n = modulus(2048);
    let points = points();
    for scheme in Scheme::ALL {
        let secret = VerifyingKey::hmac(scheme, &[1; 64]);
        assert_eq!(secret.is_ok(), scheme.is_hmac());
        assert_eq!(
            VerifyingKey::rsa(scheme, &n, E).is_ok(),
            RSA.contains(&scheme)
        );
        for (curve, x, y) in &points {
            match VerifyingKey::ec(scheme, x, y) {
                Ok(key) => assert_eq!((key.scheme(), scheme), (*curve, *curve)),
                Err(error) => {
                    assert_ne!(scheme, *curve);
                    assert!(matches!(
                        error,
                        KeyError::WrongKind | KeyError::InvalidPoint
                    ));
                }
            }
        }
    }
    let error = VerifyingKey::rsa(Scheme::HmacSha256, &n, E).err();
    assert_eq!(error, Some(KeyError::WrongKind));
}

/// Checks V-14, V-15. The classic confusion. An attacker signs with HMAC under the public key's bytes, in
/// every form those are published in; the key stays what it is, whatever the signature looks like.
#[test]
fn a_public_key_never_serves_as_a_secret() {
    use aws_lc_rs::encoding::AsDer as _;
    let pair = sig::RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let components = sig::RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
    let spki = pair.public_key().as_der().unwrap();
    let message = b"eyJhbGciOiJIUzI1NiJ9.e30";
    let forms = [
        pair.public_key().as_ref().to_vec(),
        spki.as_ref().to_vec(),
        components.n.clone(),
        [components.n.as_slice(), components.e.as_slice()].concat(),
    ];
    for scheme in RSA {
        let key = VerifyingKey::rsa(scheme, &components.n, &components.e).unwrap();
        for form in &forms {
            for algorithm in [hmac::HMAC_SHA256, hmac::HMAC_SHA384, hmac::HMAC_SHA512] {
                let tag = hmac::sign(&hmac::Key::new(algorithm, form), message);
                assert_eq!(alone(&key, message, tag.as_ref()), Outcome::Forged);
                // As long as a signature of the key, so that the length does not decide.
                let mut padded = vec![0; components.n.len()];
                padded[..tag.as_ref().len()].copy_from_slice(tag.as_ref());
                assert_eq!(alone(&key, message, &padded), Outcome::Forged);
            }
        }
    }
}

#[test]
fn nothing_of_a_key_is_printed() {
    let secret = VerifyingKey::hmac(Scheme::HmacSha256, &[b'k'; 32]).unwrap();
    assert_eq!(
        format!("{secret:?}"),
        "VerifyingKey { scheme: HmacSha256, .. }"
    );
    let public = VerifyingKey::rsa(Scheme::RsaPssSha384, &modulus(2048), E).unwrap();
    assert_eq!(
        format!("{public:?}"),
        "VerifyingKey { scheme: RsaPssSha384, .. }"
    );
}

#[test]
fn keys_are_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<VerifyingKey>();
}

//! Every check of a batch gets its own outcome, whatever stands beside it.

use super::{alone, hex};
use crate::crypto::{Check, Outcome, Scheme, VerifyingKey, verify_batch};
use aws_lc_rs::{hmac, rand::SystemRandom, signature as sig, signature::KeyPair as _};

/// A key of some scheme, and a message it signed.
pub(super) struct Signed {
    pub(super) key: VerifyingKey,
    pub(super) message: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

impl Signed {
    pub(super) fn check(&self) -> Check<'_> {
        Check {
            key: &self.key,
            message: &self.message,
            signature: &self.signature,
        }
    }

    /// A key of the scheme, and its signature over the message.
    pub(super) fn new(scheme: Scheme, message: &[u8]) -> Self {
        Self::with_key(scheme, 0, message)
    }

    /// A key of the scheme that differs from those of other numbers, and its signature over the message.
    fn with_key(scheme: Scheme, number: usize, message: &[u8]) -> Self {
        let (key, signature) = match scheme {
            Scheme::HmacSha256 => hmac(scheme, hmac::HMAC_SHA256, message),
            Scheme::HmacSha384 => hmac(scheme, hmac::HMAC_SHA384, message),
            Scheme::HmacSha512 => hmac(scheme, hmac::HMAC_SHA512, message),
            Scheme::RsaPkcs1Sha256 => rsa(scheme, number, &sig::RSA_PKCS1_SHA256, message),
            Scheme::RsaPkcs1Sha384 => rsa(scheme, number, &sig::RSA_PKCS1_SHA384, message),
            Scheme::RsaPkcs1Sha512 => rsa(scheme, number, &sig::RSA_PKCS1_SHA512, message),
            Scheme::RsaPssSha256 => rsa(scheme, number, &sig::RSA_PSS_SHA256, message),
            Scheme::RsaPssSha384 => rsa(scheme, number, &sig::RSA_PSS_SHA384, message),
            Scheme::RsaPssSha512 => rsa(scheme, number, &sig::RSA_PSS_SHA512, message),
            Scheme::EcdsaP256Sha256 => ec(scheme, &sig::ECDSA_P256_SHA256_FIXED_SIGNING, message),
            Scheme::EcdsaP384Sha384 => ec(scheme, &sig::ECDSA_P384_SHA384_FIXED_SIGNING, message),
            Scheme::EcdsaP521Sha512 => ec(scheme, &sig::ECDSA_P521_SHA512_FIXED_SIGNING, message),
            Scheme::EcdsaSecp256k1Sha256 => {
                ec(scheme, &sig::ECDSA_P256K1_SHA256_FIXED_SIGNING, message)
            }
            Scheme::Ed25519 => {
                let pair = sig::Ed25519KeyPair::generate().unwrap();
                let key = VerifyingKey::ed25519(pair.public_key().as_ref()).unwrap();
                (key, pair.sign(message).as_ref().to_vec())
            }
        };
        Self {
            key,
            message: message.to_vec(),
            signature,
        }
    }
}

fn hmac(scheme: Scheme, algorithm: hmac::Algorithm, message: &[u8]) -> (VerifyingKey, Vec<u8>) {
    let secret: [u8; 64] = aws_lc_rs::rand::generate(&SystemRandom::new())
        .unwrap()
        .expose();
    let tag = hmac::sign(&hmac::Key::new(algorithm, &secret), message);
    let key = VerifyingKey::hmac(scheme, &secret).unwrap();
    (key, tag.as_ref().to_vec())
}

fn rsa(
    scheme: Scheme,
    number: usize,
    encoding: &'static sig::RsaSignatureEncoding,
    message: &[u8],
) -> (VerifyingKey, Vec<u8>) {
    let pair = &rsa_pairs()[number];
    let components = sig::RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), message, &mut signature)
        .unwrap();
    let key = VerifyingKey::rsa(scheme, &components.n, &components.e).unwrap();
    (key, signature)
}

/// RSA keys are slow to find, and serve all six schemes.
fn rsa_pairs() -> &'static [sig::RsaKeyPair; 3] {
    static PAIRS: std::sync::OnceLock<[sig::RsaKeyPair; 3]> = std::sync::OnceLock::new();
    PAIRS.get_or_init(|| {
        std::array::from_fn(|_| {
            sig::RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap()
        })
    })
}

fn ec(
    scheme: Scheme,
    algorithm: &'static sig::EcdsaSigningAlgorithm,
    message: &[u8],
) -> (VerifyingKey, Vec<u8>) {
    let pair = sig::EcdsaKeyPair::generate(algorithm).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(pair.public_key().as_ref().len() / 2);
    let key = VerifyingKey::ec(scheme, x, y).unwrap();
    let signature = pair.sign(&SystemRandom::new(), message).unwrap();
    (key, signature.as_ref().to_vec())
}

/// Signed samples of a scheme: three keys, each with a message.
fn samples(scheme: Scheme) -> Vec<Signed> {
    [&b"header.payload"[..], b"", &[0x5a; 700]]
        .into_iter()
        .enumerate()
        .map(|(number, message)| Signed::with_key(scheme, number, message))
        .collect()
}

/// A check spoilt in one of a few ways, or not at all.
struct Case<'a> {
    key: &'a VerifyingKey,
    message: &'a [u8],
    signature: Vec<u8>,
    expected: Outcome,
}

impl Case<'_> {
    fn check(&self) -> Check<'_> {
        Check {
            key: self.key,
            message: self.message,
            signature: &self.signature,
        }
    }
}

/// Good, forged and garbage cases of the samples, interleaved; each proven alone.
fn cases(samples: &[Signed]) -> Vec<Case<'_>> {
    let mut cases = Vec::new();
    for (index, signed) in samples.iter().enumerate() {
        let other = &samples[(index + 1) % samples.len()];
        let mut mutated = signed.signature.clone();
        let middle = mutated.len() / 2;
        mutated[middle] ^= 0x10;
        let length = signed.signature.len();
        let whole = &signed.signature;
        for (key, message, signature, genuine) in [
            (&signed.key, &signed.message, whole.clone(), true),
            (&signed.key, &signed.message, mutated, false),
            (&signed.key, &signed.message, vec![0; length], false),
            (&signed.key, &signed.message, whole.clone(), true),
            (&signed.key, &signed.message, vec![0xff; length], false),
            (&signed.key, &signed.message, Vec::new(), false),
            (&signed.key, &other.message, whole.clone(), false),
            (&signed.key, &signed.message, other.signature.clone(), false),
            (&other.key, &signed.message, whole.clone(), false),
            (&signed.key, &signed.message, whole.repeat(2), false),
        ] {
            cases.push(Case {
                key,
                message,
                signature,
                expected: if genuine {
                    Outcome::Genuine
                } else {
                    Outcome::Forged
                },
            });
        }
    }
    let mut outcomes = Vec::new();
    for case in &cases {
        verify_batch(&[case.check()], &mut outcomes);
        assert_eq!(outcomes, [case.expected], "{:?} alone", case.key);
    }
    cases
}

/// One outcome a check, whatever stands beside it. Sizes 1 to 70 pass every partial group of 16
/// lanes four times over; those around 128 and 256 cross the windows a batch is cut into.
fn assert_neighbours_do_not_matter(cases: &[Case<'_>]) {
    // Held over from an earlier batch, and to be cleared.
    let mut outcomes = vec![Outcome::Genuine; 7];
    for size in (1..=70).chain([127, 128, 129, 255, 256, 257]) {
        // Each size begins elsewhere, so that every case comes to stand in many places.
        let batch: Vec<&Case<'_>> = cases.iter().cycle().skip(size * 5).take(size).collect();
        let checks: Vec<Check<'_>> = batch.iter().map(|case| case.check()).collect();
        verify_batch(&checks, &mut outcomes);
        let expected: Vec<Outcome> = batch.iter().map(|case| case.expected).collect();
        assert_eq!(outcomes, expected, "batch of {size}");
    }
    verify_batch(&[], &mut outcomes);
    assert!(outcomes.is_empty());
}

/// Checks V-25.
#[test]
fn neighbours_of_one_scheme_do_not_matter() {
    // The slow ones stand beside each other in the mixed batches.
    let slow = [
        Scheme::EcdsaP384Sha384,
        Scheme::EcdsaP521Sha512,
        Scheme::EcdsaSecp256k1Sha256,
    ];
    for scheme in Scheme::ALL
        .into_iter()
        .filter(|scheme| !slow.contains(scheme))
    {
        assert_neighbours_do_not_matter(&cases(&samples(scheme)));
    }
}

/// Checks V-25.
#[test]
fn neighbours_of_other_schemes_do_not_matter() {
    let samples: Vec<Vec<Signed>> = Scheme::ALL.into_iter().map(samples).collect();
    let by_scheme: Vec<Vec<Case<'_>>> = samples.iter().map(|samples| cases(samples)).collect();
    let mut mixed = Vec::new();
    let mut by_scheme: Vec<_> = by_scheme.into_iter().map(Vec::into_iter).collect();
    // One of each scheme in turn.
    while mixed.len() < 30 * Scheme::COUNT {
        mixed.extend(by_scheme.iter_mut().filter_map(Iterator::next));
    }
    assert_neighbours_do_not_matter(&mixed);
}

/// Checks V-22, V-23, V-24, V-26. A signature with any byte changed is another's.
#[test]
fn every_byte_of_a_signature_counts() {
    for scheme in Scheme::ALL {
        let signed = Signed::new(scheme, b"header.payload");
        let mutated: Vec<Vec<u8>> = (0..signed.signature.len())
            .flat_map(|at| [0x01, 0x80].map(|bit| (at, bit)))
            .map(|(at, bit)| {
                let mut signature = signed.signature.clone();
                signature[at] ^= bit;
                signature
            })
            .collect();
        assert_all_forged(&signed, &mutated);
    }
}

/// Checks V-22, V-23, V-24, V-26. A signature has the one length of its key.
#[test]
fn a_signature_of_another_length_is_refused() {
    for scheme in Scheme::ALL {
        let signed = Signed::new(scheme, b"header.payload");
        let whole = &signed.signature;
        let mut others: Vec<Vec<u8>> = (0..whole.len()).map(|to| whole[..to].to_vec()).collect();
        others.push([whole.as_slice(), &[0]].concat());
        others.push([&[0], whole.as_slice()].concat());
        others.push([whole.as_slice(), whole].concat());
        others.push(vec![0x30; 4096]);
        assert_all_forged(&signed, &others);
    }
}

fn assert_all_forged(signed: &Signed, signatures: &[Vec<u8>]) {
    let mut checks = vec![signed.check()];
    checks.extend(signatures.iter().map(|signature| Check {
        signature,
        ..signed.check()
    }));
    let mut outcomes = Vec::new();
    verify_batch(&checks, &mut outcomes);
    assert_eq!(outcomes[0], Outcome::Genuine, "{:?}", signed.key);
    for (at, outcome) in outcomes.iter().enumerate().skip(1) {
        assert_eq!(*outcome, Outcome::Forged, "{:?}, variant {at}", signed.key);
    }
}

/// Checks V-14. A signature is of the scheme of its key. Each is offered to every key of every other scheme.
#[test]
fn a_signature_of_another_scheme_is_refused() {
    let signed: Vec<Signed> = Scheme::ALL
        .into_iter()
        .map(|scheme| Signed::new(scheme, b"header.payload"))
        .collect();
    let mut checks = Vec::new();
    let mut expected = Vec::new();
    for (at, key) in signed.iter().enumerate() {
        for (from, other) in signed.iter().enumerate() {
            checks.push(Check {
                signature: &other.signature,
                ..key.check()
            });
            expected.push(if at == from {
                Outcome::Genuine
            } else {
                Outcome::Forged
            });
        }
    }
    let mut outcomes = Vec::new();
    verify_batch(&checks, &mut outcomes);
    assert_eq!(outcomes, expected);
}

/// Checks V-14. The very same RSA key, pinned to each of its six schemes, takes only its own scheme's
/// signature.
#[test]
fn one_modulus_under_two_schemes_makes_two_keys() {
    let pair = &rsa_pairs()[0];
    let components = sig::RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
    let schemes: [(Scheme, &'static sig::RsaSignatureEncoding); 6] = [
        (Scheme::RsaPkcs1Sha256, &sig::RSA_PKCS1_SHA256),
        (Scheme::RsaPkcs1Sha384, &sig::RSA_PKCS1_SHA384),
        (Scheme::RsaPkcs1Sha512, &sig::RSA_PKCS1_SHA512),
        (Scheme::RsaPssSha256, &sig::RSA_PSS_SHA256),
        (Scheme::RsaPssSha384, &sig::RSA_PSS_SHA384),
        (Scheme::RsaPssSha512, &sig::RSA_PSS_SHA512),
    ];
    let keys =
        schemes.map(|(scheme, _)| VerifyingKey::rsa(scheme, &components.n, &components.e).unwrap());
    for (at, (_, encoding)) in schemes.into_iter().enumerate() {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(encoding, &SystemRandom::new(), b"message", &mut signature)
            .unwrap();
        for (with, key) in keys.iter().enumerate() {
            let expected = if at == with {
                Outcome::Genuine
            } else {
                Outcome::Forged
            };
            assert_eq!(alone(key, b"message", &signature), expected, "{key:?}");
        }
    }
}

/// Checks V-22. R and s are in [1, n - 1]. Zero, n, and n plus an honest value are refused.
#[test]
fn ecdsa_scalars_are_in_range() {
    for (scheme, order) in [
        (
            Scheme::EcdsaP256Sha256,
            "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        ),
        (
            Scheme::EcdsaP384Sha384,
            "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
        ),
        (
            Scheme::EcdsaP521Sha512,
            "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
        ),
        (
            Scheme::EcdsaSecp256k1Sha256,
            "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
        ),
    ] {
        let signed = Signed::new(scheme, b"header.payload");
        let order = hex(order);
        let (r, s) = signed.signature.split_at(order.len());
        let zero = vec![0; order.len()];
        let variants = [
            [&zero, s].concat(),
            [r, &zero].concat(),
            [zero.as_slice(), &zero].concat(),
            [&order, s].concat(),
            [r, &order].concat(),
            [order.as_slice(), &order].concat(),
        ];
        assert_all_forged(&signed, &variants);
    }
}

/// Checks V-23. S is below the group's order, its top three bits among them. S + L would be the same scalar.
#[test]
fn ed25519_scalars_are_reduced() {
    const L: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
    let signed = Signed::new(Scheme::Ed25519, b"header.payload");
    let mut variants = Vec::new();
    let mut sum = signed.signature.clone();
    // Adding L up to fifteen times stays below 2^256 and passes every value of the top bits.
    for _ in 0..15 {
        let mut carried = 0;
        for (byte, order) in sum[32..].iter_mut().zip(hex(L)) {
            carried += u16::from(*byte) + u16::from(order);
            *byte = carried as u8;
            carried >>= 8;
        }
        variants.push(sum.clone());
    }
    for bit in [0x20, 0x40, 0x80] {
        let mut top = signed.signature.clone();
        top[63] |= bit;
        variants.push(top);
    }
    assert_all_forged(&signed, &variants);
}

/// Checks V-24. A signature representative of the modulus or more is refused, though it is the same number
/// modulo n.
#[test]
fn an_rsa_representative_is_below_the_modulus() {
    for scheme in [Scheme::RsaPkcs1Sha256, Scheme::RsaPssSha256] {
        let (n, signed) = loop {
            let pair = sig::RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
            let components = sig::RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
            let encoding: &'static sig::RsaSignatureEncoding = match scheme {
                Scheme::RsaPkcs1Sha256 => &sig::RSA_PKCS1_SHA256,
                _ => &sig::RSA_PSS_SHA256,
            };
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(encoding, &SystemRandom::new(), b"message", &mut signature)
                .unwrap();
            let key = VerifyingKey::rsa(scheme, &components.n, &components.e).unwrap();
            let signed = Signed {
                key,
                message: b"message".to_vec(),
                signature,
            };
            // s + n must fit in as many bytes: about every third key and signature.
            if u16::from(components.n[0]) + u16::from(signed.signature[0]) < 0xff {
                break (components.n, signed);
            }
        };
        let mut sum = signed.signature.clone();
        let mut carried = 0;
        for (byte, n) in sum.iter_mut().zip(&n).rev() {
            carried += u16::from(*byte) + u16::from(*n);
            *byte = carried as u8;
            carried >>= 8;
        }
        assert_eq!(carried, 0);
        assert_all_forged(&signed, &[sum, n, vec![0xff; 256]]);
    }
}

#[test]
fn costs_tell_the_schemes_apart() {
    use crate::crypto::estimated_cost_ns;
    let cheap = estimated_cost_ns(Scheme::HmacSha256, 32);
    let dear = estimated_cost_ns(Scheme::EcdsaP521Sha512, 132);
    assert!(cheap > 0 && dear > 100 * cheap);
    let rsa = |bytes| estimated_cost_ns(Scheme::RsaPkcs1Sha256, bytes);
    assert!(rsa(256) < rsa(512) && rsa(512) < rsa(1024));
    // Whatever length a token claims, the estimate stays that of the largest key.
    assert_eq!(rsa(usize::MAX), rsa(1024));
    assert!(rsa(0) > 0);
}

#[test]
fn every_scheme_knows_its_own_signature() {
    let mut outcomes = Vec::new();
    for scheme in Scheme::ALL {
        let mut signed = Signed::new(scheme, b"header.payload");
        assert_eq!(signed.key.scheme(), scheme);
        verify_batch(&[signed.check()], &mut outcomes);
        assert_eq!(outcomes, [Outcome::Genuine], "{scheme:?}");
        signed.message.push(b'.');
        verify_batch(&[signed.check()], &mut outcomes);
        assert_eq!(outcomes, [Outcome::Forged], "{scheme:?}");
    }
}

//! The crypto room: `verify_batch` beside aws-lc-rs called directly with its key parsed once, and the keyed
//! digest one message at a time and in lanes beside aws-lc-rs.
//!
//! `cargo bench --bench crypto -- ES256` runs one algorithm. The reference always comes first.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a bench is its own reader, and panics when it cannot measure"
)]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self as sig, KeyPair as _, ParsedPublicKey};
use aws_lc_rs::{digest, hmac};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jotd::crypto::blake3::KeyedBlake3;
use jotd::crypto::{Check, Outcome, Scheme, VerifyingKey, verify_batch};
use jotd::simd::Avx512;
use num_bigint::BigUint;
use std::hint::black_box;
use std::time::Duration;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(1000));
    targets = verify, exceptional_flood, keyed_digest
}
criterion_main!(benches);

/// A signing input of a usual token.
const MESSAGE_BYTES: usize = 300;

/// Batches: alone, one a lane, and as many as a busy worker takes.
const BATCHES: [usize; 4] = [1, 8, 64, 128];

type Reference = Box<dyn Fn(&[u8], &[u8]) -> bool>;

/// Signs a message.
type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// One key in both forms, and how to sign with it.
struct Subject {
    name: &'static str,
    key: VerifyingKey,
    reference: Reference,
    sign: Sign,
}

fn verify(criterion: &mut Criterion) {
    for subject in subjects() {
        let mut group = criterion.benchmark_group(format!("verify/{}", subject.name));
        for batch in BATCHES {
            // Distinct messages, so that no part of the work repeats.
            let signed: Vec<(Vec<u8>, Vec<u8>)> = (0..batch)
                .map(|number| {
                    let message = message(MESSAGE_BYTES, number);
                    let signature = (subject.sign)(&message);
                    (message, signature)
                })
                .collect();
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(format!("aws-lc/{batch}"), |bencher| {
                bencher.iter(|| {
                    for (message, signature) in &signed {
                        assert!((subject.reference)(black_box(message), signature));
                    }
                });
            });
            let checks: Vec<Check<'_>> = signed
                .iter()
                .map(|(message, signature)| Check {
                    key: &subject.key,
                    message,
                    signature,
                })
                .collect();
            let mut outcomes = Vec::new();
            group.bench_function(format!("jotd/{batch}"), |bencher| {
                bencher.iter(|| {
                    verify_batch(black_box(&checks), &mut outcomes);
                    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Genuine));
                });
            });
        }
        group.finish();
    }
}

/// What forgers can make of ES256: every eighth signature is written so that the kernel meets an addition it has no
/// formula for, and must look again (`docs/kernels/es256.md`). Beside it as many genuine ones.
fn exceptional_flood(criterion: &mut Criterion) {
    const BATCH: usize = 64;
    let subject = ec_subject(
        "ES256",
        Scheme::EcdsaP256Sha256,
        &sig::ECDSA_P256_SHA256_FIXED_SIGNING,
        &sig::ECDSA_P256_SHA256_FIXED,
    );
    let mut group = criterion.benchmark_group("exceptional-flood/ES256");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (name, every) in [("clean", BATCH + 1), ("every eighth forged", 8)] {
        let signed: Vec<(Vec<u8>, Vec<u8>)> = (1..=BATCH)
            .map(|number| {
                let message = message(MESSAGE_BYTES, number);
                let genuine = (subject.sign)(&message);
                let signature = match number % every {
                    0 => forged_to_be_exceptional(&message, &genuine, number),
                    _ => genuine,
                };
                (message, signature)
            })
            .collect();
        let checks: Vec<Check<'_>> = signed
            .iter()
            .map(|(message, signature)| Check {
                key: &subject.key,
                message,
                signature,
            })
            .collect();
        let mut outcomes = Vec::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                verify_batch(black_box(&checks), &mut outcomes);
                let genuine = outcomes.iter().filter(|&&it| it == Outcome::Genuine);
                assert_eq!(genuine.count(), BATCH - BATCH / every);
            });
        });
    }
    group.finish();
}

/// The same r with an s that makes two sums of the kernel's tree equal: of the generator's tree, or of the key's.
fn forged_to_be_exceptional(message: &[u8], genuine: &[u8], number: usize) -> Vec<u8> {
    let n = BigUint::parse_bytes(
        b"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        16,
    )
    .unwrap();
    let (r, _) = genuine.split_at(32);
    // Half a tree of 26 windows of 10 bits, or of 32 windows of 8, has 16 of them.
    let (over, half_bits) = match number % 16 {
        0 => (
            digest::digest(&digest::SHA256, message).as_ref().to_vec(),
            160,
        ),
        _ => (r.to_vec(), 128),
    };
    let low = &n % (BigUint::from(1u8) << half_bits);
    let scalar: BigUint = &n - (low << 1);
    let s = BigUint::from_bytes_be(&over) * scalar.modinv(&n).unwrap() % &n;
    let s = s.to_bytes_be();
    [r, &vec![0; 32 - s.len()], &s].concat()
}

fn keyed_digest(criterion: &mut Criterion) {
    const BATCH: usize = 64;
    let secret = [0x5a; 32];
    for bytes in [300, 1024] {
        let messages: Vec<Vec<u8>> = (0..BATCH).map(|number| message(bytes, number)).collect();
        let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        let mut group = criterion.benchmark_group(format!("keyed-blake3/{bytes}"));
        group.throughput(Throughput::Elements(BATCH as u64));
        // The yardstick: SHA-256 of the same bytes, its secret block absorbed once.
        let mut midstate = digest::Context::new(&digest::SHA256);
        midstate.update(&[0x5a; 64]);
        group.bench_function("sha256-aws-lc", |bencher| {
            bencher.iter(|| {
                for message in &messages {
                    let mut context = midstate.clone();
                    context.update(black_box(message));
                    black_box(context.finish());
                }
            });
        });
        let keyed = KeyedBlake3::with_lanes(&secret, None);
        group.bench_function("one-by-one", |bencher| {
            bencher.iter(|| {
                for message in &messages {
                    black_box(keyed.digest(black_box(message)));
                }
            });
        });
        if let Some(cpu) = Avx512::detect() {
            let keyed = KeyedBlake3::with_lanes(&secret, Some(cpu));
            let mut digests = Vec::new();
            for batch in [3, 4, 6, 8, 16, 64] {
                group.throughput(Throughput::Elements(batch as u64));
                group.bench_function(format!("many/{batch}"), |bencher| {
                    bencher.iter(|| {
                        keyed.digest_many(black_box(&messages[..batch]), &mut digests);
                        black_box(&digests);
                    });
                });
            }
        }
        group.finish();
    }
}

fn subjects() -> Vec<Subject> {
    use aws_lc_rs::rsa::KeySize;
    vec![
        hmac_subject("HS256", Scheme::HmacSha256, hmac::HMAC_SHA256),
        hmac_subject("HS384", Scheme::HmacSha384, hmac::HMAC_SHA384),
        hmac_subject("HS512", Scheme::HmacSha512, hmac::HMAC_SHA512),
        rsa_subject(
            "RS256-2048",
            Scheme::RsaPkcs1Sha256,
            KeySize::Rsa2048,
            &sig::RSA_PKCS1_SHA256,
            &sig::RSA_PKCS1_2048_8192_SHA256,
        ),
        rsa_subject(
            "RS256-3072",
            Scheme::RsaPkcs1Sha256,
            KeySize::Rsa3072,
            &sig::RSA_PKCS1_SHA256,
            &sig::RSA_PKCS1_2048_8192_SHA256,
        ),
        rsa_subject(
            "RS256-4096",
            Scheme::RsaPkcs1Sha256,
            KeySize::Rsa4096,
            &sig::RSA_PKCS1_SHA256,
            &sig::RSA_PKCS1_2048_8192_SHA256,
        ),
        rsa_subject(
            "PS256-2048",
            Scheme::RsaPssSha256,
            KeySize::Rsa2048,
            &sig::RSA_PSS_SHA256,
            &sig::RSA_PSS_2048_8192_SHA256,
        ),
        ec_subject(
            "ES256",
            Scheme::EcdsaP256Sha256,
            &sig::ECDSA_P256_SHA256_FIXED_SIGNING,
            &sig::ECDSA_P256_SHA256_FIXED,
        ),
        ec_subject(
            "ES384",
            Scheme::EcdsaP384Sha384,
            &sig::ECDSA_P384_SHA384_FIXED_SIGNING,
            &sig::ECDSA_P384_SHA384_FIXED,
        ),
        ec_subject(
            "ES512",
            Scheme::EcdsaP521Sha512,
            &sig::ECDSA_P521_SHA512_FIXED_SIGNING,
            &sig::ECDSA_P521_SHA512_FIXED,
        ),
        ec_subject(
            "ES256K",
            Scheme::EcdsaSecp256k1Sha256,
            &sig::ECDSA_P256K1_SHA256_FIXED_SIGNING,
            &sig::ECDSA_P256K1_SHA256_FIXED,
        ),
        ed25519_subject(),
    ]
}

fn hmac_subject(name: &'static str, scheme: Scheme, algorithm: hmac::Algorithm) -> Subject {
    let secret = [0x17; 64];
    let key = hmac::Key::new(algorithm, &secret);
    let signing = key.clone();
    Subject {
        name,
        key: VerifyingKey::hmac(scheme, &secret).unwrap(),
        reference: Box::new(move |message, tag| hmac::verify(&key, message, tag).is_ok()),
        sign: Box::new(move |message| hmac::sign(&signing, message).as_ref().to_vec()),
    }
}

fn rsa_subject(
    name: &'static str,
    scheme: Scheme,
    size: aws_lc_rs::rsa::KeySize,
    encoding: &'static sig::RsaSignatureEncoding,
    parameters: &'static sig::RsaParameters,
) -> Subject {
    let pair = sig::RsaKeyPair::generate(size).unwrap();
    let components = sig::RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
    let parsed = components.to_parsed_public_key(parameters).unwrap();
    Subject {
        name,
        key: VerifyingKey::rsa(scheme, &components.n, &components.e).unwrap(),
        reference: by_parsed(parsed),
        sign: Box::new(move |message| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(encoding, &SystemRandom::new(), message, &mut signature)
                .unwrap();
            signature
        }),
    }
}

fn ec_subject(
    name: &'static str,
    scheme: Scheme,
    signing: &'static sig::EcdsaSigningAlgorithm,
    verifying: &'static sig::EcdsaVerificationAlgorithm,
) -> Subject {
    let pair = sig::EcdsaKeyPair::generate(signing).unwrap();
    let point = pair.public_key().as_ref();
    let (x, y) = point[1..].split_at(point.len() / 2);
    let key = VerifyingKey::ec(scheme, x, y).unwrap();
    key.prepare();
    Subject {
        name,
        key,
        reference: by_parsed(ParsedPublicKey::new(verifying, point).unwrap()),
        sign: Box::new(move |message| {
            let signature = pair.sign(&SystemRandom::new(), message).unwrap();
            signature.as_ref().to_vec()
        }),
    }
}

fn ed25519_subject() -> Subject {
    let pair = sig::Ed25519KeyPair::generate().unwrap();
    let public = pair.public_key().as_ref();
    let key = VerifyingKey::ed25519(public).unwrap();
    key.prepare();
    Subject {
        name: "EdDSA",
        key,
        reference: by_parsed(ParsedPublicKey::new(&sig::ED25519, public).unwrap()),
        sign: Box::new(move |message| pair.sign(message).as_ref().to_vec()),
    }
}

fn by_parsed(parsed: ParsedPublicKey) -> Reference {
    Box::new(move |message, signature| parsed.verify_sig(message, signature).is_ok())
}

fn message(bytes: usize, number: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 31 + number * 17) as u8).collect()
}

//! The verify room: full validation of distinct tokens beside `jsonwebtoken`, alone and in batches; the same tokens
//! encrypted, beside plain ones; digests and recalls, which are what a repeated token costs; and what a refusal costs
//! beside a good token.
//!
//! `cargo bench --bench verify -- ES256` runs one algorithm. The reference always comes first.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a bench is its own reader, and panics when it cannot measure"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jotd::cache::Entry;
use jotd::clock::{Clock, Now};
use jotd::crypto::encryption::AgreementCurve;
use jotd::issuer::{Claims, Recipient, SigningKey, danger, generate_encryption_key};
use jotd::jose::{Algorithm, ContentEncryption, JwkSet, KeyManagement};
use jotd::keys::{Decryption, KeySet, Owner};
use jotd::limits::TOKEN_BYTES_DEFAULT;
use jotd::policy::{Accepted, Policy};
use jotd::verdict::Reason;
use jotd::verify::{
    DigestKey, Issuer, IssuerKeys, IssuerMatch, PolicyId, Question, Recalled, Records, Scratch,
    Want, verify_batch,
};
use jsonwebtoken::{DecodingKey, Validation};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(1000));
    targets = distinct, encrypted, repeated, refused
}
criterion_main!(benches);

const ISS: &str = "https://idp.acme.example";
const AUDIENCE: &str = "payments";

/// As many as a frame usually has, and what a busy worker takes.
const BATCH: usize = 64;

fn distinct(criterion: &mut Criterion) {
    for algorithm in [
        Algorithm::Hs256,
        Algorithm::Rs256,
        Algorithm::Ps256,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::EdDsa,
    ] {
        let subject = Subject::new(algorithm);
        let tokens = subject.mint(BATCH);
        let (key, validation) = subject.reference();
        let mut group = criterion.benchmark_group(format!("distinct/{algorithm}"));
        group.throughput(Throughput::Elements(BATCH as u64));
        group.bench_function("jsonwebtoken", |bencher| {
            bencher.iter(|| {
                for token in &tokens {
                    let decoded =
                        jsonwebtoken::decode::<Payload>(black_box(token), &key, &validation);
                    assert!(decoded.is_ok());
                }
            });
        });
        let records = subject.records();
        for batch in [1, BATCH] {
            group.bench_function(format!("jotd/{batch}"), |bencher| {
                bencher.iter(|| {
                    for tokens in tokens.chunks(batch) {
                        assert!(verdicts(&records, black_box(tokens), subject.now).all(is_none));
                    }
                });
            });
        }
        group.finish();
    }
}

/// Signed tokens as they are, and encrypted in the ways that issuers use: opened and verified, nothing of it cached.
fn encrypted(criterion: &mut Criterion) {
    use {ContentEncryption::A256Gcm, KeyManagement as Way};
    let subject = Subject::new(Algorithm::Es256);
    let plain = subject.mint(BATCH);
    let mut group = criterion.benchmark_group("encrypted/ES256");
    group.throughput(Throughput::Elements(BATCH as u64));
    let mut measure = |name: &str, tokens: &[String], records: &Records| {
        group.bench_function(name, |bencher| {
            bencher
                .iter(|| assert!(verdicts(records, black_box(tokens), subject.now).all(is_none)));
        });
    };
    measure("plain", &plain, &subject.records());
    let (p256, x25519) = (Some(AgreementCurve::P256), Some(AgreementCurve::X25519));
    for (name, way, curve, encoding) in [
        ("dir, A256GCM", Way::Direct, None, Some(A256Gcm)),
        ("A256KW, A256GCM", Way::A256Kw, None, None),
        (
            "ECDH-ES+A256KW on P-256, A256GCM",
            Way::EcdhEsA256Kw,
            p256,
            None,
        ),
        (
            "ECDH-ES+A256KW on X25519, A256GCM",
            Way::EcdhEsA256Kw,
            x25519,
            None,
        ),
        (
            "RSA-OAEP-256 of 2048 bits, A256GCM",
            Way::RsaOaep256,
            None,
            None,
        ),
    ] {
        let key = generate_encryption_key(way, None, curve, encoding).unwrap();
        let recipient = Recipient::new(&key, Some(way), Some(A256Gcm)).unwrap();
        let (terms, skipped) = Decryption::pin(&[key], &[way], &[A256Gcm], 0);
        assert_eq!(skipped, []);
        let records = subject
            .records()
            .decrypting([("acme".into(), Arc::new(terms))]);
        let tokens = plain.iter().map(|token| recipient.encrypt(token).unwrap());
        measure(name, &tokens.collect::<Vec<_>>(), &records);
    }
    group.finish();
}

fn repeated(criterion: &mut Criterion) {
    let subject = Subject::new(Algorithm::Es256);
    let tokens = subject.mint(BATCH);
    let records = subject.records();
    let mut answers = Vec::new();
    let questions = questions(&tokens);
    let now = subject.now;
    verify_batch(
        &records,
        &questions,
        now,
        &mut Scratch::default(),
        &mut answers,
    );
    let entries: Vec<Entry> = answers
        .iter()
        .map(|answer| answer.remember.unwrap().entry)
        .collect();
    let mut group = criterion.benchmark_group("repeated");
    group.throughput(Throughput::Elements(BATCH as u64));
    let texts: Vec<&[u8]> = questions.iter().map(|question| question.token).collect();
    let digest_key = DigestKey::random();
    let mut digests = Vec::new();
    for batch in [1, BATCH] {
        group.bench_function(format!("digest/{batch}"), |bencher| {
            bencher.iter(|| {
                for tokens in texts.chunks(batch) {
                    digest_key.digest_many(PolicyId::DEFAULT, black_box(tokens), &mut digests);
                }
            });
        });
    }
    group.bench_function("recall", |bencher| {
        bencher.iter(|| {
            for (question, entry) in questions.iter().zip(&entries) {
                let recalled = records.recall(*question, black_box(entry), now);
                assert!(matches!(recalled, Recalled::Answer(verdict) if verdict.is_valid()));
            }
        });
    });
    group.finish();
}

/// A refusal must not cost more than what it is compared with: a good token of its length.
fn refused(criterion: &mut Criterion) {
    let subject = Subject::new(Algorithm::Es256);
    let good = subject.mint(BATCH);
    let records = subject.records();
    let changed = |change: fn(&str) -> String| -> Vec<String> {
        good.iter().map(|token| change(token)).collect()
    };
    let kinds = [
        ("good", good.clone(), None),
        (
            "malformed",
            changed(|t| t.replace('.', "!")),
            Some(Reason::Malformed),
        ),
        (
            "bad_signature",
            changed(resigned),
            Some(Reason::BadSignature),
        ),
    ];
    let mut group = criterion.benchmark_group("refused/ES256");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (name, tokens, reason) in kinds {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut verdicts = verdicts(&records, black_box(&tokens), subject.now);
                assert!(verdicts.all(|found| found == reason));
            });
        });
    }
    group.finish();
}

/// The token with another letter in the middle of its signature, where every letter is canonical.
fn resigned(token: &str) -> String {
    let mut bytes = token.as_bytes().to_vec();
    let middle = bytes.len() - 40;
    bytes[middle] = if bytes[middle] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}

fn verdicts(
    records: &Records,
    tokens: &[String],
    now: Now,
) -> impl Iterator<Item = Option<Reason>> + use<> {
    let mut answers = Vec::with_capacity(tokens.len());
    let mut scratch = Scratch::default();
    verify_batch(records, &questions(tokens), now, &mut scratch, &mut answers);
    answers.into_iter().map(|answer| answer.verdict.reason())
}

fn is_none(reason: Option<Reason>) -> bool {
    reason.is_none()
}

fn questions(tokens: &[String]) -> Vec<Question<'_>> {
    tokens
        .iter()
        .map(|token| Question {
            token: token.as_bytes(),
            policy: PolicyId::DEFAULT,
            want: &Want::Verdict,
        })
        .collect()
}

/// What a service would read from its tokens.
#[derive(serde::Deserialize)]
#[allow(dead_code, reason = "it is the decoding that is measured")]
struct Payload {
    iss: String,
    sub: String,
    aud: String,
    exp: u64,
    jti: String,
}

/// One issuer with one key.
struct Subject {
    key: SigningKey,
    now: Now,
}

impl Subject {
    fn new(algorithm: Algorithm) -> Self {
        Self {
            key: SigningKey::generate(algorithm, None).unwrap(),
            now: Clock::system().now(),
        }
    }

    fn mint(&self, count: usize) -> Vec<String> {
        let claims = Claims {
            issuer: Some(ISS.to_owned()),
            subject: Some("8f1c2f4e-5a67-4b1e-9b0a-2f6f8a1f2b3c".to_owned()),
            audiences: vec![AUDIENCE.to_owned()],
            lifetime_seconds: Some(86_400),
            ..Claims::default()
        };
        (0..count)
            .map(|_| self.key.mint(&claims, self.now.latest).unwrap())
            .collect()
    }

    /// The key as a JWK; for HMAC that is the secret, which has no public half.
    fn jwk(&self) -> String {
        self.key
            .public_jwk()
            .unwrap_or_else(|| danger::to_private_jwk(&self.key).unwrap().to_string())
    }

    fn records(&self) -> Records {
        let owner = Owner {
            issuer: "acme".into(),
            tenant: "default".into(),
        };
        let jwks = format!(r#"{{"keys":[{}]}}"#, self.jwk());
        let jwks = JwkSet::parse(jwks.as_bytes()).unwrap();
        let schemes = vec![self.key.algorithm().scheme()];
        let (keys, skipped) = KeySet::pin(&owner, &jwks, &schemes);
        assert_eq!(skipped, []);
        let issuer = Issuer {
            name: owner.issuer,
            tenant: owner.tenant,
            iss: IssuerMatch::Exact(ISS.into()),
            policy: Policy {
                schemes,
                audiences: Accepted::OneOf(vec![AUDIENCE.into()]),
                ..Policy::default()
            },
            keys: IssuerKeys::Known(Arc::new(keys)),
            token_bytes_max: TOKEN_BYTES_DEFAULT,
        };
        Records::new(vec![issuer], Vec::new()).unwrap()
    }

    /// The same rules for `jsonwebtoken`.
    fn reference(&self) -> (DecodingKey, Validation) {
        let algorithm = self.key.algorithm().name().parse().unwrap();
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISS]);
        validation.leeway = 30;
        validation.validate_nbf = true;
        let jwk = serde_json::from_str(&self.jwk()).unwrap();
        (DecodingKey::from_jwk(&jwk).unwrap(), validation)
    }
}

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
use crossbeam_channel::Sender;
use jotd::cache::Entry;
use jotd::clock::{Clock, Now};
use jotd::crypto::encryption::AgreementCurve;
use jotd::engine::{TableReport, keep_tables};
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
use rustix::time::{ClockId, clock_gettime};
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
    let ways = [
        ("dir", Way::Direct, None),
        ("A256KW", Way::A256Kw, None),
        (
            "ECDH-ES+A256KW, P-256",
            Way::EcdhEsA256Kw,
            Some(AgreementCurve::P256),
        ),
        (
            "ECDH-ES+A256KW, X25519",
            Way::EcdhEsA256Kw,
            Some(AgreementCurve::X25519),
        ),
        ("RSA-OAEP-256, 2048 bits", Way::RsaOaep256, None),
    ];
    let mut keys = Vec::new();
    let mut cases = vec![("plain", plain.clone())];
    for (name, way, curve) in ways {
        let own = (way == Way::Direct).then_some(A256Gcm);
        let key = generate_encryption_key(way, None, curve, own).unwrap();
        let recipient = Recipient::new(&key, Some(way), Some(A256Gcm)).unwrap();
        let encrypt = |token: &String| recipient.encrypt(token).unwrap();
        cases.push((name, plain.iter().map(encrypt).collect()));
        keys.push(key);
    }
    let (terms, skipped) = Decryption::pin(&keys, &ways.map(|(_, way, _)| way), &[A256Gcm], 0);
    assert_eq!(skipped, []);
    let records = subject
        .records()
        .decrypting([("acme".into(), Arc::new(terms))]);
    let records = Arc::new(records);
    let _tables = until_tables(&records, &plain, subject.now);
    let verify = |tokens: &[String]| {
        assert!(verdicts(&records, black_box(tokens), subject.now).all(is_none))
    };
    let mut group = criterion.benchmark_group("encrypted/ES256, A256GCM");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (name, tokens) in &cases {
        group.bench_function(*name, |bencher| bencher.iter(|| verify(tokens)));
    }
    group.finish();
    // In turns, and by what this thread took of its CPU: what is above has met a busy machine at different times.
    let mut rounds = vec![Vec::new(); cases.len()];
    for _ in 0..31 {
        for ((_, tokens), times) in cases.iter().zip(&mut rounds) {
            let began = cpu_time();
            verify(tokens);
            times.push((cpu_time() - began).as_nanos() / BATCH as u128);
        }
    }
    for ((name, _), mut times) in cases.iter().zip(rounds) {
        times.sort_unstable();
        println!(
            "encrypted: {name:24} {:8} ns a token",
            times[times.len() / 2]
        );
    }
}

/// Verifies until the key has earned its table, as in a daemon that has run for a while.
fn until_tables(records: &Arc<Records>, tokens: &[String], now: Now) -> Sender<()> {
    let (running, stop) = crossbeam_channel::bounded(0);
    let (told, reports) = crossbeam_channel::unbounded();
    let kept = Arc::clone(records);
    let report = move |report: TableReport| {
        // Nobody listens any more once there is a table.
        let _ = told.send(report.tables);
    };
    keep_tables(move || Arc::clone(&kept), 256 << 20, stop, report).unwrap();
    while !reports.try_iter().any(|tables| tables > 0) {
        assert!(verdicts(records, tokens, now).all(is_none));
    }
    running
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.try_into().unwrap())
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

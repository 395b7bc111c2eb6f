//! The engine room: repeated tokens on the asking thread, and full validation of distinct tokens beside
//! `jsonwebtoken`, interleaved in one run.
//!
//! `cargo bench --bench engine`; `cargo bench --bench engine -- distinct/HS256` for one. Asker and worker share one CPU, so every figure is one core's, hand-over
//! and wake-ups included.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench is its own reader and its own clock, and panics when it cannot measure"
)]

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jotd::cache;
use jotd::clock::Clock;
use jotd::engine::{Call, Engine, Options};
use jotd::issuer::{Claims, SigningKey, danger};
use jotd::jose::{Algorithm, JwkSet};
use jotd::keys::{KeySet, Owner};
use jotd::limits::TOKEN_BYTES_DEFAULT;
use jotd::metrics::Metrics;
use jotd::policy::{Accepted, Policy};
use jotd::verify::{Issuer, IssuerKeys, IssuerMatch, PolicyId, Records, Want};
use jsonwebtoken::{DecodingKey, Validation};
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500));
    targets = hits, distinct
}
criterion_main!(benches);

const ISS: &str = "https://idp.acme.example";
const AUDIENCE: &str = "payments";

/// The CPU that asker and worker share.
const CPU: usize = 0;

fn hits(criterion: &mut Criterion) {
    pin();
    for (algorithm, token_bytes) in [(Algorithm::Es256, 350), (Algorithm::Rs256, 1024)] {
        let subject = Subject::new(algorithm);
        let engine = subject.engine(cache::Options::default());
        // As many as a busy host sees again and again, and far more than one frame has.
        let tokens = subject.mint(1_024, token_bytes);
        for frame in tokens.chunks(64) {
            ask_and_wait(&engine, frame);
        }
        let name = format!("hits/{}/{} bytes", algorithm.name(), tokens[0].len());
        let mut group = criterion.benchmark_group(name);
        let peer = engine.peer("bench", None);
        for frame_tokens in [64, 1] {
            group.throughput(Throughput::Elements(frame_tokens as u64));
            let mut frames = tokens.chunks(frame_tokens).cycle();
            group.bench_function(format!("frame of {frame_tokens}"), |bencher| {
                bencher.iter(|| {
                    let call = Call {
                        peer: Arc::clone(&peer),
                        tokens: frames.next().unwrap().to_vec(),
                        policy: PolicyId::DEFAULT,
                        want: Want::Verdict,
                        deadline: None,
                        min_revision: 0,
                    };
                    let now = engine.clock().now();
                    let verdicts = engine.ask(call, now, |_| unreachable!()).unwrap();
                    black_box(verdicts)
                });
            });
        }
    }
}

fn distinct(_criterion: &mut Criterion) {
    pin();
    println!(
        "{:8} {:>14} {:>14} {:>7}   tokens fully validated a second on one core",
        "", "jsonwebtoken", "jotd", "ratio"
    );
    for algorithm in [
        Algorithm::Hs256,
        Algorithm::Rs256,
        Algorithm::Ps256,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::EdDsa,
    ] {
        // Criterion does not time these, but its filter is the one that people know.
        let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
        let name = format!("distinct/{}", algorithm.name());
        if filter.is_some_and(|filter| !name.contains(&filter)) {
            continue;
        }
        let (reference, ours) = compare(algorithm);
        println!(
            "{:8} {reference:>14.0} {ours:>14.0} {:>7.2}",
            algorithm.name(),
            ours / reference
        );
    }
}

/// Tokens asked about before any answer is waited for: eight frames, as a busy connection has under way.
const IN_FLIGHT: usize = 512;

/// Tokens a second of `jsonwebtoken` and of the engine, both over the same tokens in turns; the medians of
/// the rounds.
fn compare(algorithm: Algorithm) -> (f64, f64) {
    const ROUNDS: usize = 15;
    let subject = Subject::new(algorithm);
    let tokens = subject.mint(2_048, 350);
    let texts: Vec<&str> = tokens
        .iter()
        .map(|token| std::str::from_utf8(token).unwrap())
        .collect();
    // Too small to remember a token until it comes again, yet every verdict is inserted and evicted.
    let engine = subject.engine(cache::Options {
        capacity: 16,
        ..cache::Options::default()
    });
    let (key, validation) = subject.reference();
    let (mut reference, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begun = cpu_seconds();
        for text in &texts {
            black_box(jsonwebtoken::decode::<Payload>(text, &key, &validation).unwrap());
        }
        reference.push(texts.len() as f64 / (cpu_seconds() - begun));
        let begun = cpu_seconds();
        for tokens in tokens.chunks(IN_FLIGHT) {
            ask_and_wait(&engine, tokens);
        }
        ours.push(tokens.len() as f64 / (cpu_seconds() - begun));
    }
    (median(reference), median(ours))
}

/// What this process has had of its CPU. It has work for all of the time that is measured, so on a quiet
/// machine this is the time that passes, and on a busy one it leaves out what others had.
fn cpu_seconds() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Asks in frames of 64, all in flight together, and waits for every answer.
fn ask_and_wait(engine: &Engine, tokens: &[Bytes]) {
    let peer = engine.peer("bench", None);
    let (sender, answers) = mpsc::channel();
    for frame in tokens.chunks(64) {
        let call = Call {
            peer: Arc::clone(&peer),
            tokens: frame.to_vec(),
            policy: PolicyId::DEFAULT,
            want: Want::Verdict,
            deadline: None,
            min_revision: 0,
        };
        let reply = sender.clone();
        let at_once = engine.ask(call, engine.clock().now(), move |verdicts| {
            reply.send(verdicts).unwrap();
        });
        if let Some(verdicts) = at_once {
            sender.send(verdicts).unwrap();
        }
    }
    drop(sender);
    for verdicts in answers {
        assert!(
            verdicts.iter().all(|verdict| verdict.is_valid()),
            "{verdicts:?}"
        );
    }
}

/// What a service would read from its tokens.
#[derive(serde::Deserialize)]
#[allow(dead_code, reason = "it is the decoding that is measured")]
struct Payload {
    iss: String,
    sub: String,
    aud: String,
    exp: u64,
    iat: u64,
    jti: String,
}

/// One issuer with one key.
struct Subject {
    algorithm: Algorithm,
    key: SigningKey,
}

impl Subject {
    fn new(algorithm: Algorithm) -> Self {
        let key = SigningKey::generate(algorithm, None).unwrap();
        Self { algorithm, key }
    }

    /// Distinct tokens of about this length.
    fn mint(&self, count: usize, token_bytes: usize) -> Vec<Bytes> {
        let now = Clock::system().now().latest;
        let mint = |number: usize, filling: usize| {
            let claims = Claims {
                issuer: Some(ISS.to_owned()),
                subject: Some("x".repeat(filling)),
                audiences: vec![AUDIENCE.to_owned()],
                lifetime_seconds: Some(3_600),
                id: Some(format!("{number:016}")),
                ..Claims::default()
            };
            self.key.mint(&claims, now).unwrap()
        };
        // What the claims lack in length, in bytes before base64url.
        let filling = 1 + token_bytes.saturating_sub(mint(0, 1).len()) * 3 / 4;
        (0..count)
            .map(|number| Bytes::from(mint(number, filling)))
            .collect()
    }

    fn engine(&self, cache: cache::Options) -> Engine {
        let private = danger::to_private_jwk(&self.key).unwrap();
        let document = match self.key.public_jwk() {
            Some(public) => format!(r#"{{"keys":[{public}]}}"#),
            None => format!(r#"{{"keys":[{}]}}"#, *private),
        };
        let owner = Owner {
            issuer: "acme".into(),
            tenant: "default".into(),
        };
        let jwks = JwkSet::parse(document.as_bytes()).unwrap();
        let schemes = [self.algorithm.scheme()];
        let (keys, skipped) = KeySet::pin(&owner, &jwks, &schemes);
        assert_eq!(skipped, []);
        let issuer = Issuer {
            name: "acme".into(),
            tenant: "default".into(),
            iss: IssuerMatch::Exact(ISS.into()),
            policy: Policy {
                schemes: schemes.to_vec(),
                audiences: Accepted::OneOf(vec![AUDIENCE.into()]),
                ..Policy::default()
            },
            keys: IssuerKeys::Known(Arc::new(keys)),
            token_bytes_max: TOKEN_BYTES_DEFAULT,
        };
        let options = Options {
            cpus: vec![CPU],
            queue_cost_ns_max: u64::MAX / 1_024,
            cache,
            ..Options::default()
        };
        let records = Records::new(vec![issuer], Vec::new()).unwrap();
        let metrics = Arc::new(Metrics::new());
        Engine::start(&options, Arc::new(records), Clock::system(), metrics).unwrap()
    }

    fn reference(&self) -> (DecodingKey, Validation) {
        let algorithm = self.algorithm.name().parse().unwrap();
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISS]);
        validation.leeway = 30;
        validation.validate_nbf = true;
        let jwk = match self.key.public_jwk() {
            Some(public) => public,
            None => danger::to_private_jwk(&self.key).unwrap().to_string(),
        };
        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_str(&jwk).unwrap();
        (DecodingKey::from_jwk(&jwk).unwrap(), validation)
    }
}

fn pin() {
    assert!(core_affinity::set_for_current(core_affinity::CoreId {
        id: CPU
    }));
}

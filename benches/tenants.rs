//! Many tenants beside one: hits of the cache on the asking thread, what one tenant more costs the records, and how long a
//! configuration of ten thousand issuers takes.
//!
//! `cargo bench --bench tenants`; the figures for hits are of one process, interleaved, so that their ratio means something.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench is its own reader and its own clock, and panics when it cannot measure"
)]

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use jotd::clock::Clock;
use jotd::config;
use jotd::engine::{Call, Engine, Options};
use jotd::issuer::{Claims, SigningKey};
use jotd::jose::{Algorithm, JwkSet};
use jotd::keys::{KeySet, Owner};
use jotd::limits::TOKEN_BYTES_DEFAULT;
use jotd::metrics::Metrics;
use jotd::policy::{Accepted, Policy};
use jotd::verify::{IssTemplate, Issuer, IssuerKeys, IssuerMatch, PolicyId, Records, Want};
use std::fmt::Write;
use std::hint::black_box;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime};

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500));
    targets = hits, one_more, start
}
criterion_main!(benches);

const TENANTS: usize = 10_000;
const TEMPLATE: &str = "https://login.example/{tenant}/v2.0";
const FRAME: usize = 64;

/// Tokens that are asked about again and again, as many in either case.
const TOKENS: usize = 10_240;

fn hits(criterion: &mut Criterion) {
    let subject = Subject::new();
    let one = subject.warm_engine(1);
    let many = subject.warm_engine(TENANTS);
    let mut group = criterion.benchmark_group("hits");
    group.throughput(Throughput::Elements(FRAME as u64));
    for (name, (engine, tokens)) in [("1 tenant", &one), ("10000 tenants", &many)] {
        let peer = engine.peer("bench", None);
        let mut frames = tokens.chunks(FRAME).cycle();
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(ask(engine, &peer, frames.next().unwrap())));
        });
    }
    group.finish();
    // One after the other, many times over: the ratio of the medians is what the page gives.
    let mut rounds: [Vec<f64>; 2] = Default::default();
    for _ in 0..31 {
        for ((engine, tokens), times) in [&one, &many].into_iter().zip(&mut rounds) {
            let peer = engine.peer("bench", None);
            let began = Instant::now();
            for frame in tokens.chunks(FRAME) {
                black_box(ask(engine, &peer, frame));
            }
            times.push(began.elapsed().as_secs_f64());
        }
    }
    let [one, many] = rounds.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2] / TOKENS as f64 * 1e9
    });
    println!(
        "hits: {one:.0} ns a token with 1 tenant, {many:.0} ns with {TENANTS}, ratio {:.3}",
        many / one
    );
}

fn one_more(criterion: &mut Criterion) {
    let subject = Subject::new();
    let records = subject.records(TENANTS);
    let keys = subject.keys("t-1");
    let mut group = criterion.benchmark_group("records of 10000 tenants");
    group.bench_function("one tenant more", |bencher| {
        bencher.iter(|| {
            records
                .with_tenant(&iss("another"), Some(Arc::clone(&keys)))
                .unwrap()
        });
    });
    group.bench_function("other keys for one", |bencher| {
        bencher.iter(|| {
            records
                .with_tenant(&iss("t-1"), Some(Arc::clone(&keys)))
                .unwrap()
        });
    });
    group.bench_function("one fewer", |bencher| {
        bencher.iter(|| records.without_tenant(&iss("t-1")).unwrap());
    });
    group.finish();
}

/// From the text of ten thousand `[[issuer]]`, each with keys of its own, to records.
fn start(criterion: &mut Criterion) {
    let jwk = Subject::new().key.public_jwk().unwrap();
    let mut text = String::new();
    for number in 0..TENANTS {
        write!(
            text,
            "[[issuer]]\nname = \"i{number}\"\nissuer = \"https://idp-{number}.example\"\ntenant = \"t{number}\"\n\
             jwks = '{{\"keys\":[{jwk}]}}'\naudiences = [\"payments\"]\nalgorithms = [\"ES256\"]\n\n"
        )
        .unwrap();
    }
    let mut group = criterion.benchmark_group("start");
    group.sample_size(10);
    group.bench_function("configuration of 10000 issuers", |bencher| {
        bencher.iter_batched(
            || text.clone(),
            |text| {
                config::parse(&text, Path::new("jotd.toml"), [])
                    .unwrap()
                    .issuers
                    .len()
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

struct Subject {
    key: SigningKey,
}

impl Subject {
    fn new() -> Self {
        let key = SigningKey::generate(Algorithm::Es256, None).unwrap();
        Self {
            key: key.with_kid(Some("k1")).unwrap(),
        }
    }

    fn keys(&self, tenant: &str) -> Arc<KeySet> {
        let owner = Owner {
            issuer: "login".into(),
            tenant: format!("login/{tenant}").into(),
        };
        let set = format!("{{\"keys\":[{}]}}", self.key.public_jwk().unwrap());
        let set = JwkSet::parse(set.as_bytes()).unwrap();
        let (keys, skipped) = KeySet::pin(&owner, &set, &[self.key.algorithm().scheme()]);
        assert_eq!(skipped, []);
        Arc::new(keys)
    }

    fn records(&self, tenants: usize) -> Records {
        let model = Issuer {
            name: "login".into(),
            tenant: "login/{tenant}".into(),
            iss: IssuerMatch::Template(Arc::new(IssTemplate::parse(TEMPLATE).unwrap())),
            policy: Policy {
                schemes: vec![self.key.algorithm().scheme()],
                audiences: Accepted::OneOf(vec!["payments".into()]),
                ..Policy::default()
            },
            keys: IssuerKeys::Awaited,
            token_bytes_max: TOKEN_BYTES_DEFAULT,
        };
        let mut records = Records::new(vec![model], Vec::new()).unwrap();
        for number in 0..tenants {
            let tenant = format!("t-{number}");
            records = records
                .with_tenant(&iss(&tenant), Some(self.keys(&tenant)))
                .unwrap();
        }
        records
    }

    /// An engine whose cache knows all tokens, which are of so many tenants in turn.
    fn warm_engine(&self, tenants: usize) -> (Engine, Vec<Bytes>) {
        let records = Arc::new(self.records(tenants));
        let engine = Engine::start(
            &Options::default(),
            records,
            Clock::system(),
            Arc::new(Metrics::new()),
        )
        .unwrap();
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        let now = i64::try_from(now.as_secs()).unwrap();
        let mint = |number: usize| {
            let claims = Claims {
                issuer: Some(iss(&format!("t-{}", number % tenants))),
                subject: Some(format!("user-{number}")),
                audiences: vec!["payments".to_owned()],
                lifetime_seconds: Some(86_400),
                ..Claims::default()
            };
            Bytes::from(self.key.mint(&claims, now).unwrap())
        };
        let tokens: Vec<Bytes> = (0..TOKENS).map(mint).collect();
        let peer = engine.peer("bench", None);
        for frame in tokens.chunks(FRAME) {
            let verdicts = ask(&engine, &peer, frame);
            assert!(verdicts.iter().all(|verdict| verdict.reason().is_none()));
        }
        (engine, tokens)
    }
}

fn iss(tenant: &str) -> String {
    TEMPLATE.replace("{tenant}", tenant)
}

fn ask(
    engine: &Engine,
    peer: &Arc<jotd::engine::Peer>,
    tokens: &[Bytes],
) -> Vec<jotd::verdict::Verdict> {
    let (told, verdicts) = mpsc::channel();
    let call = Call {
        peer: Arc::clone(peer),
        tokens: tokens.to_vec(),
        policy: PolicyId::DEFAULT,
        want: Want::Verdict,
        deadline: None,
        min_revision: 0,
    };
    let now = engine.clock().now();
    let at_once = engine.ask(call, now, move |verdicts| told.send(verdicts).unwrap());
    at_once.unwrap_or_else(|| verdicts.recv().unwrap())
}

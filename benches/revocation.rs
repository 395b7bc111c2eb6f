//! What revocation costs: repeated tokens with and without ten million records and a thousand orders a second, one
//! look at the register, a cold load, and memory.
//!
//! `cargo bench --bench revocation`. Everything asked runs on one CPU and orders come from another; rounds of all
//! cases are interleaved, and the medians of its CPU time are told.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a bench is its own reader and its own clock, and panics when it cannot measure"
)]

use bytes::Bytes;
use jotd::clock::{Clock, Now};
use jotd::engine::{Call, Engine, Options};
use jotd::issuer::{Claims, SigningKey, danger};
use jotd::jose::{Algorithm, JwkSet};
use jotd::keys::{KeySet, Owner};
use jotd::limits::TOKEN_BYTES_DEFAULT;
use jotd::metrics::Metrics;
use jotd::policy::{Accepted, Policy};
use jotd::revocation::{
    self, Facts, IdKey, Member, Members, Order, Record, RecordKey, Register, Staleness, Standing,
};
use jotd::verify::{Issuer, IssuerKeys, IssuerMatch, PolicyId, Records, Revocation, Want};
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

const ISS: &str = "https://idp.acme.example";
const AUDIENCE: &str = "payments";

/// Tokens that are asked about again and again: more than the nearer caches of a CPU hold.
const TOKENS: usize = 65_536;
const FRAME_TOKENS: usize = 64;
const MANY: usize = 10_000_000;
const ORDERS_PER_SECOND: u32 = 1_000;
const ROUNDS: usize = 63;

/// The CPU of asker and worker, and that of the orders.
const CPU: usize = 0;
const ORDERS_CPU: usize = 1;

fn main() {
    pin(CPU);
    hits();
    probes();
    loads();
}

/// Repeated tokens.
fn hits() {
    let key = SigningKey::generate(Algorithm::Hs256, None).unwrap();
    let tokens = mint(&key);
    let loaded = || register_with(MANY);
    let (quiet, busy) = (loaded(), loaded());
    let cases = [
        ("no revocation", engine(&key, None)),
        (
            "empty register",
            engine(&key, Some(&revocation(Register::new(&Default::default())))),
        ),
        ("10 M records", engine(&key, Some(&quiet))),
        ("10 M records, 1,000 orders/s", engine(&key, Some(&busy))),
    ];
    for (_, engine) in &cases {
        for frame in tokens.chunks(FRAME_TOKENS) {
            ask_and_wait(engine, frame);
        }
    }
    let ended = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(AtomicU64::new(0));
    let orders = {
        let (register, ended, sent) = (
            Arc::clone(&busy.register),
            Arc::clone(&ended),
            Arc::clone(&sent),
        );
        std::thread::spawn(move || send_orders(&register, &ended, &sent))
    };
    let mut rounds = vec![Vec::new(); cases.len()];
    for _ in 0..ROUNDS {
        for (case, (_, engine)) in cases.iter().enumerate() {
            rounds[case].push(nanoseconds_per_hit(engine, &tokens));
        }
    }
    ended.store(true, Ordering::Relaxed);
    orders.join().unwrap();
    println!(
        "cached tokens, {TOKENS} of them in frames of {FRAME_TOKENS}; {} orders",
        sent.load(Ordering::Relaxed)
    );
    let medians: Vec<f64> = rounds.into_iter().map(median).collect();
    for ((name, _), nanoseconds) in cases.iter().zip(&medians) {
        let part = (nanoseconds / medians[0] - 1.0) * 100.0;
        println!("  {name:32} {nanoseconds:7.1} ns a token {part:+6.1} %");
    }
}

/// One look at the register: with each member set in use an HMAC and a look-up.
fn probes() {
    let revocation = register_with(MANY);
    let tenancy = revocation.register.tenancy(&revocation.ids, "default");
    let names: Vec<String> = (0..4_096).map(|n| format!("{n:016}")).collect();
    let measure = |what: &str| {
        let rounds = (0..ROUNDS).map(|_| {
            let began = cpu_time();
            for name in &names {
                let facts = Facts {
                    token_id: Some(name),
                    subject: Some("alice"),
                    issued_at: Some(1),
                    ..Facts::default()
                };
                black_box(revocation.register.probe(&tenancy, &facts));
            }
            (cpu_time() - began).as_nanos() as f64 / names.len() as f64
        });
        println!("  probe, {what:25} {:7.1} ns", median(rounds.collect()));
    };
    measure("jti and sub in use");
    let kid = Order::everything("default")
        .naming(Member::KeyId, "k9")
        .unwrap();
    merge_order(&revocation, &kid);
    let session = Order::everything("default")
        .naming(Member::Session, "s")
        .unwrap();
    merge_order(&revocation, &session);
    measure("four in use, two apply");
}

/// From a persisted set to a register that answers.
fn loads() {
    const RECORDS: usize = 1_000_000;
    let records: Vec<Record> = (0..RECORDS as u64).map(record).collect();
    let bytes: Vec<u8> = records.iter().flat_map(Record::to_bytes).collect();
    let now = Clock::system().now();
    let mut rounds = Vec::new();
    let mut again = Vec::new();
    let mut each = 0.0;
    for _ in 0..5 {
        let began = cpu_time();
        let register = Register::new(&Default::default());
        let (chunks, _) = bytes.as_chunks::<{ Record::BYTES }>();
        let read: Vec<Record> = chunks
            .iter()
            .map(|bytes| Record::from_bytes(bytes).unwrap())
            .collect();
        register.merge(&read, now);
        rounds.push((cpu_time() - began).as_secs_f64() * 1e3);
        each = register.bytes() as f64 / register.len() as f64;
        let began = cpu_time();
        assert_eq!(register.merge(&read, now).new, 0);
        again.push((cpu_time() - began).as_secs_f64() * 1e3);
    }
    println!(
        "  cold load of 1 M records         {:7.1} ms, {each:.1} bytes a record",
        median(rounds)
    );
    println!(
        "  the same merged again            {:7.1} ms",
        median(again)
    );
    let register = Register::new(&Default::default());
    let began = cpu_time();
    for record in &records {
        register.merge(std::slice::from_ref(record), now);
    }
    println!(
        "  one by one                       {:7.1} ns a record",
        (cpu_time() - began).as_nanos() as f64 / RECORDS as f64
    );
}

fn nanoseconds_per_hit(engine: &Engine, tokens: &[Bytes]) -> f64 {
    let peer = engine.peer("bench", None);
    let began = cpu_time();
    for frame in tokens.chunks(FRAME_TOKENS) {
        let call = Call {
            peer: Arc::clone(&peer),
            tokens: frame.to_vec(),
            policy: PolicyId::DEFAULT,
            want: Want::Verdict,
            deadline: None,
            min_revision: 0,
        };
        let now = engine.clock().now();
        let verdicts = engine.ask(call, now, |_| {}).expect("all are cached");
        debug_assert!(verdicts.iter().all(jotd::verdict::Verdict::is_valid));
        black_box(verdicts);
    }
    (cpu_time() - began).as_nanos() as f64 / tokens.len() as f64
}

fn ask_and_wait(engine: &Engine, tokens: &[Bytes]) {
    let (sender, answer) = mpsc::channel();
    let call = Call {
        peer: engine.peer("bench", None),
        tokens: tokens.to_vec(),
        policy: PolicyId::DEFAULT,
        want: Want::Verdict,
        deadline: None,
        min_revision: 0,
    };
    let at_once = engine.ask(call, engine.clock().now(), move |verdicts| {
        sender.send(verdicts).unwrap();
    });
    let verdicts = at_once.unwrap_or_else(|| answer.recv().unwrap());
    assert!(verdicts.iter().all(jotd::verdict::Verdict::is_valid));
}

/// Orders about tokens that nobody asks about, evenly over each second.
fn send_orders(register: &Register, ended: &AtomicBool, sent: &AtomicU64) {
    pin(ORDERS_CPU);
    let clock = Clock::system();
    let began = Instant::now();
    let mut number = 0;
    while !ended.load(Ordering::Relaxed) {
        let due =
            began + Duration::from_secs(1) / ORDERS_PER_SECOND * u32::try_from(number).unwrap();
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        register.merge(&[record(1 << 40 | number)], clock.now());
        number += 1;
        sent.store(number, Ordering::Relaxed);
    }
}

/// Records of single tokens of the tenant, none of them asked about.
fn record(number: u64) -> Record {
    Record {
        key: RecordKey {
            tenant: IdKey::new(b"").tenant_tag("default"),
            members: Members::NONE.with(Member::TokenId),
            id: record_id(number),
        },
        before: Record::EVERY,
        until: 4_000_000_000,
    }
}

fn register_with(count: usize) -> Revocation {
    let options = revocation::Options {
        tenant_records_max: 2 * MANY,
    };
    let register = Register::new(&options);
    let now = Clock::system().now();
    // The tag is what takes time to make.
    let first = record(0);
    let mut batch = Vec::with_capacity(1_000_000);
    for number in 0..count as u64 {
        let key = RecordKey {
            id: record_id(number),
            ..first.key
        };
        batch.push(Record { key, ..first });
        if batch.len() == batch.capacity() {
            register.merge(&batch, now);
            batch.clear();
        }
    }
    let revocation = revocation(register);
    let somebody = Order::everything("default")
        .naming(Member::Subject, "somebody")
        .unwrap();
    merge_order(&revocation, &somebody);
    println!(
        "  {count} records: {:.1} bytes each",
        revocation.register.bytes() as f64 / count as f64
    );
    revocation
}

fn record_id(number: u64) -> [u8; 16] {
    let mut id = [0; 16];
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    id[..8].copy_from_slice(&mixed.to_le_bytes());
    id[8..].copy_from_slice(
        &(mixed ^ mixed >> 29)
            .wrapping_mul(0xbf58_476d_1ce4_e5b9)
            .to_le_bytes(),
    );
    id
}

fn merge_order(revocation: &Revocation, order: &Order) {
    let now: Now = Clock::system().now();
    let record = order.record(&revocation.ids, Some(3_600), now).unwrap();
    revocation.register.merge(&[record], now);
}

fn revocation(register: Register) -> Revocation {
    register.set_standing(Standing::Local);
    Revocation {
        register: Arc::new(register),
        ids: IdKey::new(b""),
        staleness: hashbrown::HashMap::new(),
        staleness_default: Staleness::Strict,
    }
}

fn engine(key: &SigningKey, revocation: Option<&Revocation>) -> Engine {
    let document = format!(r#"{{"keys":[{}]}}"#, *danger::to_private_jwk(key).unwrap());
    let owner = Owner {
        issuer: "acme".into(),
        tenant: "default".into(),
    };
    let schemes = [Algorithm::Hs256.scheme()];
    let jwks = JwkSet::parse(document.as_bytes()).unwrap();
    let (keys, _) = KeySet::pin(&owner, &jwks, &schemes);
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
    let mut records = Records::new(vec![issuer], Vec::new()).unwrap();
    if let Some(revocation) = revocation {
        records = records.revoking(revocation);
    }
    let options = Options {
        cpus: vec![CPU],
        queue_cost_ns_max: u64::MAX / 1_024,
        ..Options::default()
    };
    let metrics = Arc::new(Metrics::new());
    Engine::start(&options, Arc::new(records), Clock::system(), metrics).unwrap()
}

fn mint(key: &SigningKey) -> Vec<Bytes> {
    let now = Clock::system().now().latest;
    let token = |number: usize| {
        let claims = Claims {
            issuer: Some(ISS.to_owned()),
            subject: Some(format!("user {number} {}", "x".repeat(90))),
            audiences: vec![AUDIENCE.to_owned()],
            lifetime_seconds: Some(3_600),
            id: Some(format!("{number:016}")),
            ..Claims::default()
        };
        Bytes::from(key.mint(&claims, now).unwrap())
    };
    (0..TOKENS).map(token).collect()
}

/// What this thread has taken of its CPU: on a busy machine the rounds of one case do not wait for strangers.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.try_into().unwrap())
}

fn pin(cpu: usize) {
    assert!(core_affinity::set_for_current(core_affinity::CoreId {
        id: cpu
    }));
}

fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_unstable_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

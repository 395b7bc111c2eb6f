//! What rotating keys costs those who ask: a flood of invented `kid`s beside good tokens, and how soon a key that was
//! withdrawn is refused.
//!
//! `cargo bench --bench keys`, or one part of it: `-- flood`, `-- removal`. The issuer is a real HTTPS server on
//! loopback. Everybody shares the machine's cores, the flood and those who measure included; phases with and without
//! the flood are in turns.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a bench is its own reader and its own clock, and panics when it cannot measure"
)]

#[path = "../tests/jwks_server/mod.rs"]
mod jwks_server;

use bytes::Bytes;
use jotd::encoding::base64url;
use jotd::engine::{Call, Engine, Peer};
use jotd::issuer::SigningKey;
use jotd::upstream::{Endpoint, Files, REFETCH_MIN, Remote, Source};
use jotd::verdict::{Cause, Reason, Verdict};
use jotd::verify::{PolicyId, Want};
use jwks_server::issuer::Issuer;
use jwks_server::world::{PATIENCE, World, eventually, mint, quiet_remote};
use jwks_server::{Answer, jwks, signing_key};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let parts: [(&str, fn()); 2] = [("flood", flood), ("removal", removal)];
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            part();
        }
    }
}

const FLOOD_PER_SECOND: u32 = 100_000;
const FLOOD_FRAME: u32 = 64;
const ROUNDS: usize = 9;
const PHASE: Duration = Duration::from_secs(2);

/// After it, nobody waits any more who came in the phase before.
const SETTLE: Duration = Duration::from_millis(700);

/// Tokens that are asked about again and again.
const HITS: usize = 1_024;

/// Between two tokens that were never seen before, and how many of the others are asked about then.
const FIRST_EVERY: Duration = Duration::from_millis(1);
const HITS_EACH: usize = 64;

/// Good tokens with and without 100,000 invented `kid`s a second of the same issuer, which rotates in each flood; and
/// beside as many tokens a second that only differ in that nobody issued them: what any such crowd costs.
fn flood() {
    let mut current = Arc::new(signing_key("k0"));
    let issuer = Issuer::of(&[&current]);
    // All as it is where nothing is configured.
    let world = World::new(Remote {
        ca_file: Some(issuer.server.ca_file().to_owned()),
        allow_private_address: true,
        ..Remote::new(Endpoint::Jwks(issuer.server.uri("/jwks.json")))
    });
    world.until_kids(&["k0"]);
    let flood = Flood::new(world.engine.clone());
    let (mut quiet, mut crowded, mut flooded) = (Vec::new(), Vec::new(), Vec::new());
    let mut seen_after = Vec::new();
    let mut fetches = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| flood.run());
        for round in 0..ROUNDS {
            let good = Good::mint(&world, &current);
            quiet.push(good.ask_for_a_while(&world.engine));
            let good = Good::mint(&world, &current);
            flood.turn(Tide::Nobodys);
            std::thread::sleep(SETTLE);
            crowded.push(good.ask_for_a_while(&world.engine));
            flood.turn(Tide::Ebb);
            std::thread::sleep(SETTLE);
            let good = Good::mint(&world, &current);
            let next = Arc::new(signing_key(&format!("k{}", round + 1)));
            let (asked, began) = (issuer.asked(), Instant::now());
            flood.turn(Tide::InventedKids);
            std::thread::sleep(SETTLE);
            issuer.publish(&[&current, &next]);
            let rotated = Instant::now();
            let seen = scope.spawn({
                let (world, next) = (&world, Arc::clone(&next));
                move || until_valid(world, &next, rotated)
            });
            flooded.push(good.ask_for_a_while(&world.engine));
            seen_after.push(seen.join().unwrap());
            flood.turn(Tide::Ebb);
            fetches.0 += issuer.asked() - asked;
            // As many as were saved in the bucket, and one an interval.
            fetches.1 += 3
                + usize::try_from(began.elapsed().as_millis() / REFETCH_MIN.as_millis()).unwrap()
                + 1;
            std::thread::sleep(SETTLE);
            current = next;
        }
        flood.is_over.store(true, Ordering::Relaxed);
    });
    let sent = flood.sent.load(Ordering::Relaxed);
    println!(
        "flood of {FLOOD_PER_SECOND}/s asked for: {:.0}/s in {ROUNDS} phases, {}",
        sent as f64 / flood.seconds(),
        flood.outcomes(),
    );
    println!(
        "  fetches                {:6} (the bucket's: {})",
        fetches.0, fetches.1
    );
    seen_after.sort_unstable();
    println!(
        "  a rotation is seen after {:.2?} (median), {:.2?} (longest) of {ROUNDS}",
        seen_after[seen_after.len() / 2],
        seen_after[seen_after.len() - 1],
    );
    for (name, of) in [("hit", Asked::hits as Times), ("first time", Asked::first)] {
        for (rank, part) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
            let each = |phases: &[Asked]| -> Vec<f64> {
                phases
                    .iter()
                    .map(|phase| quantile(of(phase), part))
                    .collect()
            };
            let (quiet, crowded, flooded) = (each(&quiet), each(&crowded), each(&flooded));
            let ratio = |to: &[f64]| {
                let ratios = to.iter().zip(&flooded);
                median(ratios.map(|(to, flooded)| flooded / to).collect())
            };
            let (to_quiet, to_crowded) = (ratio(&quiet), ratio(&crowded));
            println!(
                "  {name:10} {rank:5} {:9.2} us quiet {:9.2} us crowded {:9.2} us flooded, ratios {to_quiet:.2} and {to_crowded:.2}",
                median(quiet) / 1e3,
                median(crowded) / 1e3,
                median(flooded) / 1e3,
            );
        }
    }
}

/// How long from now until a token of this key is found good, for a client that tries again when it is told to.
fn until_valid(world: &World, key: &SigningKey, began: Instant) -> Duration {
    for number in 0.. {
        let answer = world.ask_as("rotated", vec![mint(key, number)]);
        let verdicts = answer.recv_timeout(PATIENCE).unwrap();
        match &verdicts[0] {
            Verdict::Valid(_) => break,
            Verdict::Unavailable(told) => {
                std::thread::sleep(Duration::from_millis(told.retry_after_ms.into()));
            }
            Verdict::Invalid(_) => panic!("refused without evidence: {:?}", verdicts[0]),
        }
    }
    began.elapsed()
}

/// Good tokens: some that the cache knows, and some that nobody has seen.
struct Good {
    hits: Vec<Bytes>,
    first: Vec<Bytes>,
}

/// Some of the times of a phase.
type Times = fn(&Asked) -> &[u32];

/// What answers took in a phase, in nanoseconds.
#[derive(Default)]
struct Asked {
    hits: Vec<u32>,
    first: Vec<u32>,
}

impl Asked {
    fn hits(&self) -> &[u32] {
        &self.hits
    }

    fn first(&self) -> &[u32] {
        &self.first
    }
}

impl Good {
    fn mint(world: &World, key: &SigningKey) -> Self {
        let first = usize::try_from(PHASE.as_millis() / FIRST_EVERY.as_millis()).unwrap();
        let tokens = |from, count| {
            (from..from + count)
                .map(|number| mint(key, number))
                .collect()
        };
        let hits: Vec<Bytes> = tokens(0, HITS);
        for frame in hits.chunks(64) {
            let verdicts = world.ask(frame.to_vec()).recv_timeout(PATIENCE).unwrap();
            assert!(verdicts.iter().all(Verdict::is_valid));
        }
        Self {
            hits,
            first: tokens(HITS, first),
        }
    }

    /// One after the other on this thread: each millisecond one that is new, and more that are known.
    fn ask_for_a_while(&self, engine: &Engine) -> Asked {
        let peer = engine.peer("good", None);
        let mut asked = Asked::default();
        let mut hits = self.hits.iter().cycle();
        let began = Instant::now();
        let mut due = Duration::ZERO;
        for first in &self.first {
            std::thread::sleep(due.saturating_sub(began.elapsed()));
            due += FIRST_EVERY;
            let took = nanoseconds_to_valid(engine, &peer, first);
            asked.first.push(took);
            for hit in hits.by_ref().take(HITS_EACH) {
                asked.hits.push(nanoseconds_to_valid(engine, &peer, hit));
            }
        }
        asked
    }
}

fn nanoseconds_to_valid(engine: &Engine, peer: &Arc<Peer>, token: &Bytes) -> u32 {
    let call = call(peer, vec![token.clone()]);
    let began = Instant::now();
    let thread = std::thread::current();
    let answer = Arc::new(Mutex::new(None));
    let told = Arc::clone(&answer);
    let at_once = engine.ask(call, engine.clock().now(), move |verdicts| {
        *told.lock().unwrap() = Some(verdicts);
        thread.unpark();
    });
    let verdicts = at_once.unwrap_or_else(|| {
        loop {
            if let Some(verdicts) = answer.lock().unwrap().take() {
                return verdicts;
            }
            std::thread::park();
        }
    });
    let took = began.elapsed();
    assert!(verdicts[0].is_valid(), "{:?}", verdicts[0]);
    u32::try_from(took.as_nanos()).unwrap()
}

fn call(peer: &Arc<Peer>, tokens: Vec<Bytes>) -> Call {
    Call {
        peer: Arc::clone(peer),
        tokens,
        policy: PolicyId::DEFAULT,
        want: Want::Verdict,
        deadline: None,
        min_revision: 0,
    }
}

/// What comes besides good tokens.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tide {
    Ebb,
    /// Tokens of the issuer, of keys that it never had.
    InventedKids,
    /// The same, of nobody's.
    Nobodys,
}

/// Somebody who invents `kid`s.
struct Flood {
    engine: Engine,
    /// Claims and signature of a token, with the dot before them: of the issuer, and of nobody.
    rest: [String; 2],
    tide: Mutex<Tide>,
    is_over: AtomicBool,
    /// So many `kid`s have been invented.
    named: AtomicU64,
    sent: AtomicU64,
    nanoseconds: AtomicU64,
    refused: Arc<[AtomicU64; 4]>,
}

impl Flood {
    fn new(engine: Engine) -> Self {
        let forged = mint(&signing_key("x"), 0);
        let forged = std::str::from_utf8(&forged).unwrap();
        let (_, rest) = forged.split_once('.').unwrap();
        let (claims, signature) = rest.split_once('.').unwrap();
        let claims = String::from_utf8(base64url::decode_vec(claims.as_bytes()).unwrap()).unwrap();
        let rest = [claims.clone(), claims.replace("idp.example", "idp.nowhere")].map(|claims| {
            let claims = base64url::encode_string(claims.as_bytes());
            format!(".{claims}.{signature}")
        });
        Self {
            engine,
            rest,
            tide: Mutex::new(Tide::Ebb),
            is_over: AtomicBool::new(false),
            named: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            nanoseconds: AtomicU64::new(0),
            refused: Arc::default(),
        }
    }

    fn turn(&self, tide: Tide) {
        *self.tide.lock().unwrap() = tide;
    }

    fn run(&self) {
        let peer = self.engine.peer("flood", None);
        while !self.is_over.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
            let began = Instant::now();
            let mut frames = 0;
            let tide = *self.tide.lock().unwrap();
            while tide != Tide::Ebb && *self.tide.lock().unwrap() == tide {
                let due = Duration::from_secs(1) * FLOOD_FRAME / FLOOD_PER_SECOND * frames;
                std::thread::sleep(due.saturating_sub(began.elapsed()));
                self.send(&peer, tide);
                frames += 1;
            }
            if tide == Tide::InventedKids {
                self.sent
                    .fetch_add(u64::from(frames * FLOOD_FRAME), Ordering::Relaxed);
                let nanoseconds = u64::try_from(began.elapsed().as_nanos()).unwrap();
                self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
            }
        }
    }

    fn send(&self, peer: &Arc<Peer>, tide: Tide) {
        let number = self.named.fetch_add(FLOOD_FRAME.into(), Ordering::Relaxed);
        let rest = &self.rest[usize::from(tide == Tide::Nobodys)];
        let mut frame = Vec::with_capacity(FLOOD_FRAME as usize * (rest.len() + 100));
        let mut ends = Vec::with_capacity(FLOOD_FRAME as usize);
        for number in number..number + u64::from(FLOOD_FRAME) {
            let kid = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let header = format!(r#"{{"alg":"ES256","kid":"{kid:016x}"}}"#);
            frame.extend_from_slice(base64url::encode_string(header.as_bytes()).as_bytes());
            frame.extend_from_slice(rest.as_bytes());
            ends.push(frame.len());
        }
        let frame = Bytes::from(frame);
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let tokens = starts
            .zip(&ends)
            .map(|(start, &end)| frame.slice(start..end))
            .collect();
        let refused = Arc::clone(&self.refused);
        let count = move |verdicts: &[Verdict]| {
            for verdict in verdicts {
                let kind = match verdict {
                    Verdict::Unavailable(told) if told.cause == Cause::KeysRefreshing => 1,
                    Verdict::Unavailable(_) => 2,
                    Verdict::Invalid(_) if verdict.reason() == Some(Reason::UnknownKid) => 0,
                    _ => 3,
                };
                refused[kind].fetch_add(1, Ordering::Relaxed);
            }
        };
        let later = count.clone();
        let now = self.engine.clock().now();
        let at_once = self
            .engine
            .ask(call(peer, tokens), now, move |verdicts| later(&verdicts));
        if let Some(verdicts) = at_once {
            count(&verdicts);
        }
    }

    fn seconds(&self) -> f64 {
        self.nanoseconds.load(Ordering::Relaxed) as f64 / 1e9
    }

    fn outcomes(&self) -> String {
        let names = ["unknown_kid", "keys_refreshing", "overloaded", "nobody's"];
        let counts = names.iter().zip(&*self.refused);
        let counts =
            counts.map(|(name, count)| format!("{} {name}", count.load(Ordering::Relaxed)));
        counts.collect::<Vec<_>>().join(", ")
    }
}

const REMOVALS: usize = 300;

/// From a key's removal to the first refusal of a token that was cached as valid.
fn removal() {
    for is_loaded in [false, true] {
        report("fetched", is_loaded, fetched(is_loaded));
        report("file", is_loaded, filed(is_loaded));
    }
}

fn report(what: &str, is_loaded: bool, mut times: Vec<Duration>) {
    times.sort_unstable();
    println!(
        "removed to refused, {what:8} {} {:9.2?} median {:9.2?} p99 {:9.2?} longest of {}",
        if is_loaded { "loaded" } else { "quiet " },
        times[times.len() / 2],
        times[times.len() * 99 / 100],
        times[times.len() - 1],
        times.len(),
    );
}

/// Counted from when the issuer gave the answer that lacks the key.
fn fetched(is_loaded: bool) -> Vec<Duration> {
    let (removed, stays) = (signing_key("k1"), signing_key("k2"));
    let issuer = Issuer::of(&[&removed, &stays]);
    // Who asks is not to wait for the next look, on whose evidence it would be `unknown_kid`.
    let world = World::new(Remote {
        key_wait: Duration::ZERO,
        ..quiet_remote(&issuer.server)
    });
    world.until_kids(&["k1", "k2"]);
    let (both, one) = (jwks(&[&removed, &stays]), jwks(&[&stays]));
    let refresh = || {
        let upstream = Arc::clone(&world.upstream);
        world
            .background
            .handle
            .spawn(async move { upstream.refresh(Some("acme")).await })
    };
    let publish = |set: &str| {
        let (set, answered) = (set.to_owned(), Arc::new(Mutex::new(None)));
        let told = Arc::clone(&answered);
        issuer.answer(move || {
            told.lock().unwrap().get_or_insert_with(Instant::now);
            Answer::ok(set.clone())
        });
        answered
    };
    beside(&world, &stays, is_loaded, || {
        (0..REMOVALS)
            .map(|number| {
                publish(&both);
                refresh();
                let token = mint(&removed, number);
                until_cached(&world, &token);
                let answered = publish(&one);
                refresh();
                let refused = until_refused(&world, &token);
                let answered = answered.lock().unwrap().unwrap();
                refused - answered
            })
            .collect()
    })
}

/// Counted from when the file was replaced.
fn filed(is_loaded: bool) -> Vec<Duration> {
    let (removed, stays) = (signing_key("k1"), signing_key("k2"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    let replace = |keys: &[&SigningKey]| replace(&file, &jwks(keys));
    replace(&[&removed, &stays]);
    let world = World::of(Source::Files(Files::Jwks(file.clone())), None);
    beside(&world, &stays, is_loaded, || {
        (0..REMOVALS)
            .map(|number| {
                replace(&[&removed, &stays]);
                let token = mint(&removed, number);
                until_cached(&world, &token);
                let replaced = replace(&[&stays]);
                until_refused(&world, &token) - replaced
            })
            .collect()
    })
}

/// As tools do it: a new file, renamed over the old. Returns when that was.
fn replace(file: &Path, text: &str) -> Instant {
    let fresh = file.with_extension("new");
    std::fs::write(&fresh, text).unwrap();
    let now = Instant::now();
    std::fs::rename(fresh, file).unwrap();
    now
}

fn until_cached(world: &World, token: &Bytes) {
    eventually("it is valid", || world.verdict(token).is_valid());
    assert!(world.verdict(token).is_valid());
}

fn until_refused(world: &World, token: &Bytes) -> Instant {
    let began = Instant::now();
    loop {
        let verdict = world.verdict(token);
        let now = Instant::now();
        match &verdict {
            Verdict::Valid(_) => {}
            Verdict::Unavailable(told) if told.cause == Cause::KeysRefreshing => return now,
            verdict => {
                assert_eq!(verdict.reason(), Some(Reason::UnknownKid));
                return now;
            }
        }
        assert!(now - began < PATIENCE, "it is never refused");
        // Who asks without a pause takes one of two cores from those who are measured.
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// Measures while somebody else asks about good tokens half of the time, or nobody does.
fn beside<T>(world: &World, key: &SigningKey, is_loaded: bool, measure: impl FnOnce() -> T) -> T {
    let is_over = AtomicBool::new(!is_loaded);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let tokens: Vec<_> = (0..64).map(|n| mint(key, 64 * round + n)).collect();
                let began = Instant::now();
                while began.elapsed() < Duration::from_millis(20) {
                    let asked = Instant::now();
                    let answer = world.ask_as("load", tokens.clone());
                    let verdicts = answer.recv_timeout(PATIENCE).unwrap();
                    assert!(verdicts.iter().all(Verdict::is_valid));
                    std::thread::sleep(asked.elapsed());
                }
            }
        });
        let measured = measure();
        is_over.store(true, Ordering::Relaxed);
        measured
    })
}

fn quantile(times: &[u32], part: f64) -> f64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a vector"
    )]
    let place = ((times.len() - 1) as f64 * part) as usize;
    f64::from(times[place])
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

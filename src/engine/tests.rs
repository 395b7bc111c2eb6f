//! The engine as its callers see it: every call answered once and rightly, whatever goes wrong meanwhile.

mod parking;
mod replay;

use super::*;
use crate::clock;
use crate::crypto::Scheme;
use crate::issuer::{Claims, Recipient, SigningKey, generate_encryption_key};
use crate::jose::{Algorithm, ContentEncryption, Jwk, JwkSet, KeyManagement};
use crate::keys::{Decryption, KeySet, Owner};
use crate::limits::TOKEN_BYTES_DEFAULT;
use crate::policy::{Accepted, Policy};
use crate::revocation::{self, IdKey, Register, Staleness, Standing};
use crate::verdict::{Cause, Reason};
use crate::verify::{IssTemplate, Issuer, IssuerKeys, IssuerMatch, Question, Revocation};
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::mpsc;

const NOW: i64 = 1_700_000_000;
const ISS: &str = "https://idp.acme.example";
const PATIENCE: Duration = Duration::from_secs(60);

fn hs256() -> SigningKey {
    let secret = Jwk::from_secret(b"0123456789abcdef0123456789abcdef");
    SigningKey::new(Algorithm::Hs256, &secret)
        .and_then(|key| key.with_kid(Some("k1")))
        .expect("a long enough secret")
}

/// A token of the issuer under test; equal numbers give equal tokens.
fn mint(key: &SigningKey, number: usize) -> Bytes {
    let claims = Claims {
        issuer: Some(ISS.to_owned()),
        subject: Some("alice".to_owned()),
        audiences: vec!["payments".to_owned()],
        id: Some(number.to_string()),
        ..Claims::default()
    };
    Bytes::from(key.mint(&claims, NOW).expect("claims of our own making"))
}

fn forge(token: &Bytes) -> Bytes {
    let mut forged = token.to_vec();
    let at = forged.len() - 10;
    forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
    forged.into()
}

fn key_set() -> Arc<KeySet> {
    let jwks = br#"{"keys":[{"kty":"oct","kid":"k1","alg":"HS256",
        "k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}]}"#;
    let owner = Owner {
        issuer: "acme".into(),
        tenant: "default".into(),
    };
    let jwks = JwkSet::parse(jwks).expect("a JWK Set");
    let (keys, skipped) = KeySet::pin(&owner, &jwks, &[Scheme::HmacSha256]);
    assert_eq!(skipped, []);
    Arc::new(keys)
}

fn records() -> Arc<Records> {
    let issuer = Issuer {
        name: "acme".into(),
        tenant: "default".into(),
        iss: IssuerMatch::Exact(ISS.into()),
        policy: Policy {
            schemes: vec![Scheme::HmacSha256],
            audiences: Accepted::OneOf(vec!["payments".into()]),
            ..Policy::default()
        },
        keys: IssuerKeys::Known(key_set()),
        token_bytes_max: TOKEN_BYTES_DEFAULT,
    };
    Arc::new(Records::new(vec![issuer], Vec::new()).expect("one issuer contradicts nobody"))
}

fn options(workers: usize) -> Options {
    Options {
        // CPU 0 several times over: the tests do not care where they run, only beside whom.
        cpus: vec![0; workers],
        queue_cost_ns_max: u64::MAX / 1024,
        ..Options::default()
    }
}

fn engine_with(options: &Options, fault: Option<Fault>) -> (Engine, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new());
    let clock = Clock::fixed(NOW);
    let engine = Engine::start_with_fault(options, records(), clock, Arc::clone(&metrics), fault)
        .expect("the system grants threads");
    (engine, metrics)
}

fn engine(workers: usize) -> (Engine, Arc<Metrics>) {
    engine_with(&options(workers), None)
}

fn call(engine: &Engine, tokens: Vec<Bytes>) -> Call {
    Call {
        peer: engine.peer("tester", None),
        tokens,
        policy: PolicyId::DEFAULT,
        want: Want::Verdict,
        deadline: None,
        min_revision: 0,
    }
}

/// Asks and waits.
fn answer(engine: &Engine, call: Call) -> Vec<Verdict> {
    let (sender, answer) = mpsc::channel();
    let at_once = engine.ask(call, engine.clock().now(), move |verdicts| {
        sender.send(verdicts).expect("the test is waiting");
    });
    at_once.unwrap_or_else(|| answer.recv_timeout(PATIENCE).expect("an answer in time"))
}

fn is_cached(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Valid(trusted) if trusted.cached)
}

fn cause(verdict: &Verdict) -> Option<Cause> {
    match verdict {
        Verdict::Unavailable(unavailable) => Some(unavailable.cause),
        Verdict::Valid(_) | Verdict::Invalid(_) => None,
    }
}

#[test]
fn verdicts_come_in_the_order_of_the_tokens_and_are_remembered() {
    let (engine, metrics) = engine(3);
    let key = hs256();
    let tokens: Vec<Bytes> = (0..200)
        .map(|number| match number % 4 {
            0 | 1 => mint(&key, number),
            2 => forge(&mint(&key, number)),
            _ => Bytes::from_static(b"garbage"),
        })
        .collect();
    for round in 0..2 {
        let verdicts = answer(&engine, call(&engine, tokens.clone()));
        assert_eq!(verdicts.len(), tokens.len());
        for (number, verdict) in verdicts.iter().enumerate() {
            let reason = match number % 4 {
                0 | 1 => None,
                2 => Some(Reason::BadSignature),
                _ => Some(Reason::Malformed),
            };
            assert_eq!(verdict.reason(), reason, "token {number}");
            assert_eq!(is_cached(verdict), round == 1 && reason.is_none());
        }
    }
    assert_eq!(metrics.cache_hits.get(), 100);
    assert_eq!(engine.cache().len(), 100);
}

#[test]
fn hits_and_malformed_tokens_are_answered_on_the_asking_thread() {
    let (engine, _) = engine(1);
    let token = mint(&hs256(), 1);
    let _ = answer(&engine, call(&engine, vec![token.clone()]));
    let tokens = vec![token, Bytes::from_static(b"a.b"), Bytes::new()];
    let at_once = engine.ask(call(&engine, tokens), engine.clock().now(), |_| {
        panic!("answered at once, so never here");
    });
    let verdicts = at_once.expect("nothing needs a worker");
    assert!(is_cached(&verdicts[0]));
    assert_eq!(verdicts[1].reason(), Some(Reason::Malformed));
    assert_eq!(verdicts[2].reason(), Some(Reason::Malformed));
    assert_eq!(
        engine.ask(call(&engine, Vec::new()), engine.clock().now(), |_| {}),
        Some(Vec::new())
    );
}

#[test]
fn a_token_too_long_for_any_issuer_is_refused_on_the_asking_thread() {
    let (engine, _) = engine(1);
    let long = Bytes::from(vec![b'a'; TOKEN_BYTES_DEFAULT + 1]);
    let at_once = engine.ask(call(&engine, vec![long]), engine.clock().now(), |_| {});
    assert_eq!(
        at_once.expect("at once")[0].reason(),
        Some(Reason::TooLarge)
    );
}

#[test]
fn hits_carry_the_claims_their_caller_wants() {
    let (engine, _) = engine(1);
    let token = mint(&hs256(), 7);
    for _ in 0..2 {
        let members = Want::Members(Box::new(["jti".into()]));
        for (want, expected) in [
            (Want::Verdict, None),
            (members, Some(&br#"{"jti":"7"}"#[..])),
        ] {
            let call = Call {
                want,
                ..call(&engine, vec![token.clone()])
            };
            match &answer(&engine, call)[0] {
                Verdict::Valid(trusted) => assert_eq!(trusted.claims.as_bytes(), expected),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// An encrypted token keeps its claims to itself: the cache answers for it only who wants none of them.
#[test]
fn encrypted_tokens_are_opened_for_whoever_wants_their_claims() {
    let key =
        generate_encryption_key(KeyManagement::EcdhEsA256Kw, None, None, None).expect("a key");
    let recipient = Recipient::new(&key, None, None).expect("fit");
    let (terms, skipped) = Decryption::pin(
        &[key],
        &[KeyManagement::EcdhEsA256Kw],
        &[ContentEncryption::A256Gcm],
        0,
    );
    assert_eq!(skipped, []);
    let records = Arc::into_inner(records())
        .expect("nobody else has it")
        .decrypting([("acme".into(), Arc::new(terms))]);
    let (engine, metrics, hold) = held_engine();
    engine.set_records(Arc::new(records));
    let signed = mint(&hs256(), 7);
    let signed = std::str::from_utf8(&signed).expect("ASCII");
    let token = Bytes::from(recipient.encrypt(signed).expect("encrypted"));
    let first = ask(&engine, call(&engine, vec![mint(&hs256(), 0)]));
    hold.wait();
    let wants = [
        Want::Verdict,
        Want::Claims,
        Want::Claims,
        Want::Members(Box::new(["jti".into()])),
    ];
    let ask_all = || -> Vec<_> {
        let wants = wants.iter().cloned();
        wants
            .map(|want| {
                ask(
                    &engine,
                    Call {
                        want,
                        ..call(&engine, vec![token.clone()])
                    },
                )
            })
            .collect()
    };
    let in_flight = ask_all();
    drop(hold);
    assert!(first.recv_timeout(PATIENCE).expect("an answer")[0].is_valid());
    let check = |answers: Vec<mpsc::Receiver<Vec<Verdict>>>| {
        let verdicts = answers
            .into_iter()
            .map(|answer| answer.recv_timeout(PATIENCE).expect("an answer"));
        verdicts
            .map(|verdicts| match &verdicts[0] {
                Verdict::Valid(trusted) => {
                    (trusted.cached, trusted.claims.as_bytes().map(<[u8]>::len))
                }
                other => panic!("{other:?}"),
            })
            .collect::<Vec<_>>()
    };
    let [verdict, claims, same, jti] = check(in_flight)[..] else {
        panic!("four answers")
    };
    assert_eq!((verdict.1, jti.1), (None, Some(r#"{"jti":"7"}"#.len())));
    assert!(claims == same && claims.1 > jti.1);
    let hits = metrics.cache_hits.get();
    let [verdict, claims, ..] = check(ask_all())[..] else {
        panic!("four answers")
    };
    assert!(
        verdict.0 && !claims.0,
        "what needs no opening comes from the cache"
    );
    assert_eq!(metrics.cache_hits.get(), hits + 1);
}

/// Stops the worker in its first batch until it is let go, so that what follows queues up behind it.
fn held_engine() -> (Engine, Arc<Metrics>, Hold) {
    let (let_go, held) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel();
    let held = Mutex::new((held, begin));
    let fault: Fault = Box::new(move |_| {
        let (held, begin) = &*held.lock().expect("one worker");
        // Once the hold is gone, nobody listens, and nothing holds any more.
        let _ = begin.send(());
        let _ = held.recv();
    });
    let mut options = options(1);
    options.queue_cost_ns_max = 2_000_000;
    let (engine, metrics) = engine_with(&options, Some(fault));
    let hold = Hold {
        _let_go: let_go,
        begun,
    };
    (engine, metrics, hold)
}

/// Holds the worker in the batch it began, until it is dropped.
struct Hold {
    _let_go: mpsc::Sender<()>,
    begun: mpsc::Receiver<()>,
}

impl Hold {
    /// Waits until the worker has begun a batch, which no later question can be part of.
    fn wait(&self) {
        self.begun
            .recv_timeout(PATIENCE)
            .expect("the worker begins");
    }
}

/// Asks without waiting; the answer comes over the channel.
fn ask(engine: &Engine, call: Call) -> mpsc::Receiver<Vec<Verdict>> {
    let (sender, answer) = mpsc::channel();
    let at_once = {
        let sender = sender.clone();
        engine.ask(call, engine.clock().now(), move |verdicts| {
            sender.send(verdicts).expect("the test is waiting");
        })
    };
    if let Some(verdicts) = at_once {
        sender.send(verdicts).expect("the test is waiting");
    }
    answer
}

#[test]
fn identical_tokens_in_flight_are_verified_once() {
    let seen = Arc::new(AtomicUsize::new(0));
    let (let_go, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let fault: Fault = {
        let seen = Arc::clone(&seen);
        Box::new(move |questions| {
            seen.fetch_add(questions.len(), Ordering::Relaxed);
            let _ = held.lock().expect("one worker").recv();
        })
    };
    let (engine, metrics) = engine_with(&options(1), Some(fault));
    let key = hs256();
    let first = ask(&engine, call(&engine, vec![mint(&key, 0)]));
    let token = mint(&key, 1);
    let answers: Vec<_> = (0..50)
        .map(|asker| {
            let call = Call {
                peer: engine.peer(&format!("asker {}", asker % 5), None),
                want: if asker % 2 == 0 {
                    Want::Verdict
                } else {
                    Want::Claims
                },
                ..call(&engine, vec![token.clone(), token.clone()])
            };
            ask(&engine, call)
        })
        .collect();
    drop(let_go);
    assert!(first.recv_timeout(PATIENCE).expect("an answer")[0].is_valid());
    for (asker, answer) in answers.into_iter().enumerate() {
        for verdict in answer.recv_timeout(PATIENCE).expect("an answer") {
            let Verdict::Valid(trusted) = verdict else {
                panic!("{verdict:?}");
            };
            assert_eq!(trusted.claims.as_bytes().is_some(), asker % 2 == 1);
        }
    }
    assert_eq!(seen.load(Ordering::Relaxed), 2, "two tokens, each once");
    assert_eq!(metrics.coalesced.get(), 99);
}

#[test]
fn full_queues_refuse_at_once_and_a_peer_can_fill_only_its_part() {
    let (engine, metrics, hold) = held_engine();
    let key = hs256();
    let first = ask(&engine, call(&engine, vec![mint(&key, 0)]));
    // Half of 2 ms for one peer, at a microsecond and more a token.
    let greedy = |from: usize| {
        let tokens = (from..from + 2_000)
            .map(|number| mint(&key, number))
            .collect();
        call(&engine, tokens)
    };
    let flood = ask(&engine, greedy(1));
    let again = engine
        .ask(greedy(3_000), engine.clock().now(), |_| {})
        .expect("refused at once");
    assert!(
        again
            .iter()
            .all(|verdict| cause(verdict) == Some(Cause::Overloaded))
    );
    // Another peer still finds room.
    let other = Call {
        peer: engine.peer("other", None),
        ..call(&engine, vec![mint(&key, 6_000)])
    };
    let other = ask(&engine, other);
    drop(hold);
    assert!(first.recv_timeout(PATIENCE).expect("an answer")[0].is_valid());
    assert!(other.recv_timeout(PATIENCE).expect("an answer")[0].is_valid());
    let flood = flood.recv_timeout(PATIENCE).expect("an answer");
    let served = flood.iter().filter(|verdict| verdict.is_valid()).count();
    let shed = flood.iter().filter(|v| cause(v) == Some(Cause::Overloaded));
    assert!(served > 100, "{served}");
    assert_eq!(served + shed.count(), 2_000);
    let text = metrics.render();
    assert!(text.contains(r#"jotd_shed_total{cause="peer"}"#), "{text}");
    // All room that was set aside has been given back.
    assert_eq!(engine.0.shared.queues[0].used_ns(), 0);
    assert_eq!(engine.peer("tester", None).budget.used_ns(), 0);
}

#[test]
fn expired_tokens_are_never_verified() {
    let (engine, metrics, hold) = held_engine();
    let key = hs256();
    let first = ask(&engine, call(&engine, vec![mint(&key, 0)]));
    hold.wait();
    let now = engine.clock().now();
    let late = Call {
        deadline: Some(now.since_boot + Duration::from_millis(1)),
        min_revision: 0,
        ..call(&engine, vec![mint(&key, 1), mint(&key, 2)])
    };
    let late = ask(&engine, late);
    while clock::since_boot() <= now.since_boot + Duration::from_millis(1) {
        std::thread::yield_now();
    }
    let too_late = Call {
        deadline: Some(now.since_boot),
        min_revision: 0,
        ..call(&engine, vec![mint(&key, 3)])
    };
    let too_late = engine.ask(too_late, engine.clock().now(), |_| {});
    assert_eq!(cause(&too_late.expect("at once")[0]), Some(Cause::Deadline));
    drop(hold);
    assert!(first.recv_timeout(PATIENCE).expect("an answer")[0].is_valid());
    let late = late.recv_timeout(PATIENCE).expect("an answer");
    assert!(
        late.iter()
            .all(|verdict| cause(verdict) == Some(Cause::Deadline))
    );
    assert_eq!(engine.cache().len(), 1, "only the first was verified");
    assert!(
        metrics
            .render()
            .contains(r#"jotd_shed_total{cause="deadline"} 3"#)
    );
}

#[test]
fn draining_answers_all_that_was_accepted_and_takes_nothing_more() {
    let (engine, _, hold) = held_engine();
    let key = hs256();
    let answers: Vec<_> = (0..100)
        .map(|number| ask(&engine, call(&engine, vec![mint(&key, number)])))
        .collect();
    assert!(
        !engine.drain(Duration::from_millis(1)),
        "the worker is held"
    );
    let refused = engine.ask(
        call(&engine, vec![mint(&key, 200)]),
        engine.clock().now(),
        |_| {},
    );
    assert_eq!(
        cause(&refused.expect("at once")[0]),
        Some(Cause::Overloaded)
    );
    drop(hold);
    assert!(engine.drain(PATIENCE));
    for answer in answers {
        let verdicts = answer.try_recv().expect("answered before drain returned");
        assert!(verdicts[0].is_valid());
    }
    assert!(engine.drain(PATIENCE), "once more does no harm");
}

#[test]
fn dropping_the_engine_answers_all_that_was_accepted() {
    let (engine, _, hold) = held_engine();
    let key = hs256();
    let answers: Vec<_> = (0..100)
        .map(|number| ask(&engine, call(&engine, vec![mint(&key, number)])))
        .collect();
    drop(engine);
    drop(hold);
    for answer in answers {
        assert!(answer.recv_timeout(PATIENCE).expect("an answer")[0].is_valid());
    }
}

#[test]
fn a_thousand_panics_lose_no_reply_and_hurt_only_the_poisonous() {
    let key = hs256();
    // Every tenth token is poison: whatever batch it is in panics.
    let poison: HashSet<Bytes> = (0..10_000).step_by(10).map(|n| mint(&key, n)).collect();
    let fault: Fault = {
        let poison = poison.clone();
        Box::new(move |questions: &[Question<'_>]| {
            assert!(
                !questions.iter().any(|q| poison.contains(q.token)),
                "poison"
            );
        })
    };
    let (engine, metrics) = engine_with(&options(2), Some(fault));
    let answers: Vec<_> = (0..10_000)
        .step_by(20)
        .map(|from| {
            let tokens: Vec<Bytes> = (from..from + 20).map(|n| mint(&key, n)).collect();
            ask(&engine, call(&engine, tokens))
        })
        .collect();
    let mut poisoned = 0;
    for answer in answers {
        for (place, verdict) in answer
            .recv_timeout(PATIENCE)
            .expect("a reply")
            .iter()
            .enumerate()
        {
            if place % 10 == 0 {
                assert_eq!(cause(verdict), Some(Cause::Overloaded));
                poisoned += 1;
            } else {
                assert!(verdict.is_valid(), "{verdict:?}");
            }
        }
    }
    assert_eq!(poisoned, 1_000);
    // Once with its batch, once alone; those that met in one batch share the first.
    assert!(metrics.worker_panics.get() > 1_000);
    assert!(answer(&engine, call(&engine, vec![mint(&key, 1)]))[0].is_valid());
    assert!(engine.drain(PATIENCE));
}

#[test]
fn a_reply_that_panics_harms_nobody_else() {
    let (engine, _) = engine(1);
    let key = hs256();
    for number in 0..100 {
        let call = call(&engine, vec![mint(&key, number)]);
        let _ = engine.ask(call, engine.clock().now(), |_| panic!("a bad caller"));
    }
    let verdicts = answer(&engine, call(&engine, vec![mint(&key, 1_000)]));
    assert!(verdicts[0].is_valid());
}

#[test]
fn a_token_with_an_unknown_kid_makes_its_issuers_keys_be_looked_at() {
    let (engine, metrics) = engine(1);
    let missing = Arc::new(Mutex::new(Vec::new()));
    let hook = {
        let missing = Arc::clone(&missing);
        move |key: &MissingKey<'_>| {
            assert_eq!((key.kid, key.is_awaited), (Some("k9"), false));
            missing
                .lock()
                .expect("one worker")
                .push(key.issuer.to_string());
            Sought::Absent
        }
    };
    assert!(engine.on_missing_key(hook));
    let stranger = hs256().with_kid(Some("k9")).expect("a short kid");
    let verdicts = answer(&engine, call(&engine, vec![mint(&stranger, 1)]));
    assert_eq!(verdicts[0].reason(), Some(Reason::UnknownKid));
    assert_eq!(*missing.lock().expect("one worker"), ["acme"]);
    assert!(
        metrics
            .render()
            .contains(r#"jotd_jwks_unknown_kid_total{issuer="acme"} 1"#)
    );
}

#[test]
fn new_keys_make_cached_verdicts_stale_at_once() {
    let (engine, metrics) = engine(1);
    let token = mint(&hs256(), 1);
    let _ = answer(&engine, call(&engine, vec![token.clone()]));
    let emptied = engine
        .records()
        .with_keys("acme", Arc::new(KeySet::empty()));
    engine.set_records(Arc::new(emptied.expect("acme is there")));
    let verdicts = answer(&engine, call(&engine, vec![token]));
    assert_eq!(verdicts[0].reason(), Some(Reason::UnknownKid));
    assert_eq!(metrics.cache_invalidations.get(), 1);
}

#[test]
fn every_call_is_answered_once_and_rightly_while_records_change() {
    let mut options = options(3);
    // Small, so that entries come and go all the time.
    options.cache.capacity = 512;
    let (engine, _) = engine_with(&options, None);
    let key = hs256();
    let good: Vec<Bytes> = (0..1_000).map(|number| mint(&key, number)).collect();
    let forged: Vec<Bytes> = good.iter().map(forge).collect();
    let calls = 8 * 400;
    let (answered, tokens) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
    let wrong = Arc::new(Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for thread in 0..8_usize {
            let (engine, good, forged) = (engine.clone(), &good, &forged);
            let (answered, tokens, wrong) = (&answered, &tokens, &wrong);
            scope.spawn(move || {
                let peer = engine.peer(&format!("peer {}", thread % 3), None);
                for round in 0..400_usize {
                    let asked: Vec<(bool, Bytes)> = (0..1 + round % 20)
                        .map(|place| {
                            let number = (round * 37 + place * 13 + thread) % good.len();
                            let is_good = (round + place) % 3 != 0;
                            let kind = if is_good { good } else { forged };
                            (is_good, kind[number].clone())
                        })
                        .collect();
                    let call = Call {
                        peer: Arc::clone(&peer),
                        tokens: asked.iter().map(|(_, token)| token.clone()).collect(),
                        ..call(&engine, Vec::new())
                    };
                    let check = {
                        let (answered, tokens) = (Arc::clone(answered), Arc::clone(tokens));
                        let wrong = Arc::clone(wrong);
                        move |verdicts: Vec<Verdict>| {
                            answered.fetch_add(1, Ordering::Relaxed);
                            tokens.fetch_add(verdicts.len() as u64, Ordering::Relaxed);
                            for ((is_good, _), verdict) in asked.iter().zip(&verdicts) {
                                let expected = (!is_good).then_some(Reason::BadSignature);
                                if verdict.reason() != expected {
                                    wrong.lock().expect("no panics").push(verdict.clone());
                                }
                            }
                        }
                    };
                    let later = check.clone();
                    if let Some(verdicts) = engine.ask(call, engine.clock().now(), later) {
                        check(verdicts);
                    }
                    if round % 40 == 0 {
                        let renewed = engine.records().with_keys("acme", key_set());
                        engine.set_records(Arc::new(renewed.expect("acme is there")));
                    }
                }
            });
        }
    });
    assert!(engine.drain(PATIENCE));
    assert_eq!(*wrong.lock().expect("no panics"), []);
    assert_eq!(answered.load(Ordering::Relaxed), calls);
    let sizes: usize = (0..400).map(|round| 1 + round % 20).sum();
    assert_eq!(tokens.load(Ordering::Relaxed), 8 * sizes as u64);
    assert!(engine.cache().len() <= 512);
}

/// Checks I-21.
#[test]
fn a_caller_that_names_a_revision_is_never_answered_without_it() {
    let register = Arc::new(Register::new(&revocation::Options::default()));
    register.set_standing(Standing::Local);
    let revocation = Revocation {
        register: Arc::clone(&register),
        ids: IdKey::new(b""),
        staleness: hashbrown::HashMap::new(),
        staleness_default: Staleness::Strict,
    };
    let (engine, _metrics) = engine(2);
    let with = Records::new(engine.records().issuers().cloned().collect(), Vec::new())
        .expect("one issuer contradicts nobody")
        .revoking(&revocation);
    engine.set_records(Arc::new(with));
    let tokens: Vec<Bytes> = (0..40).map(|number| mint(&hs256(), number)).collect();
    let ask = |min_revision| {
        let call = Call {
            min_revision,
            ..call(&engine, tokens.clone())
        };
        answer(&engine, call)
    };
    let first = ask(0);
    assert!(first.iter().all(Verdict::is_valid));
    let early = ask(1);
    assert!(
        early
            .iter()
            .all(|verdict| cause(verdict) == Some(Cause::RevocationStale))
    );
    let order = revocation::Order::everything("default");
    let now = engine.clock().now();
    let record = order.record(&revocation.ids, None, now).expect("in time");
    register.merge(&[record], now);
    register.advance_applied(1);
    for min_revision in [1, 0] {
        let reasons: Vec<_> = ask(min_revision).iter().map(Verdict::reason).collect();
        assert_eq!(reasons, [Some(Reason::Revoked); 40]);
    }
    assert_eq!(engine.outlook(now).applied_revision, 1);
}

#[test]
fn an_order_that_comes_while_the_last_token_is_verified_concerns_the_first_too() {
    let register = Arc::new(Register::new(&revocation::Options::default()));
    register.set_standing(Standing::Local);
    let revocation = Revocation {
        register: Arc::clone(&register),
        ids: IdKey::new(b""),
        staleness: hashbrown::HashMap::new(),
        staleness_default: Staleness::Strict,
    };
    let (cached, new) = (mint(&hs256(), 1), mint(&hs256(), 2));
    let order = revocation::Order::everything("default")
        .naming(revocation::Member::TokenId, "1")
        .expect("a value that tokens can have");
    let now = Now::at(NOW);
    let record = order.record(&revocation.ids, None, now).expect("in time");
    let fault: Fault = {
        let new = new.clone();
        Box::new(move |questions| {
            if questions.iter().any(|question| question.token == new) {
                register.merge(&[record], now);
            }
        })
    };
    let (engine, _metrics) = engine_with(&options(1), Some(fault));
    let with = Records::new(engine.records().issuers().cloned().collect(), Vec::new())
        .expect("one issuer contradicts nobody")
        .revoking(&revocation);
    engine.set_records(Arc::new(with));
    assert!(answer(&engine, call(&engine, vec![cached.clone()]))[0].is_valid());
    let verdicts = answer(&engine, call(&engine, vec![cached, new]));
    let reasons: Vec<_> = verdicts.iter().map(Verdict::reason).collect();
    assert_eq!(reasons, [Some(Reason::Revoked), None]);
}

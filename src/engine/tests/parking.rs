//! Tokens whose key is missing: they wait, come back, and nobody is lost or held up.

use super::*;
use crate::limits::{PARKED_PART_MAX, PARKED_TOKENS_MAX};
use std::sync::atomic::AtomicBool;

/// An engine whose issuer can be asked for missing keys, as `sought` says.
fn seeking(sought: impl Fn(&MissingKey<'_>) -> Sought + Send + Sync + 'static) -> Engine {
    let (engine, _) = engine(2);
    assert!(engine.on_missing_key(sought));
    engine
}

/// Wait, for longer than any test.
fn soon(_: &MissingKey<'_>) -> Sought {
    let now = clock::since_boot();
    Sought::Soon {
        until: now + 10 * PATIENCE,
        retry_at: now + PATIENCE,
        news_at: now + PATIENCE,
    }
}

fn stranger() -> SigningKey {
    hs256().with_kid(Some("k9")).expect("a short kid")
}

/// Asks, as this peer, and gives what will be the answer.
fn begin(engine: &Engine, peer: &str, tokens: Vec<Bytes>) -> mpsc::Receiver<Vec<Verdict>> {
    let (sender, answer) = mpsc::channel();
    let call = Call {
        peer: engine.peer(peer, None),
        ..call(engine, tokens)
    };
    let at_once = engine.ask(call, engine.clock().now(), {
        let sender = sender.clone();
        move |verdicts| drop(sender.send(verdicts))
    });
    if let Some(verdicts) = at_once {
        sender.send(verdicts).expect("the receiver is here");
    }
    answer
}

fn until(what: &str, is_true: impl Fn() -> bool) {
    let began = clock::since_boot();
    while !is_true() {
        assert!(clock::since_boot() - began < PATIENCE, "never: {what}");
        std::thread::yield_now();
    }
}

/// The issuer's set with one key more.
fn publish(engine: &Engine, kid: &str) {
    let jwks = format!(
        r#"{{"keys":[
            {{"kty":"oct","kid":"k1","alg":"HS256","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}},
            {{"kty":"oct","kid":"{kid}","alg":"HS256","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}}]}}"#
    );
    let jwks = JwkSet::parse(jwks.as_bytes()).expect("a JWK Set");
    let owner = Owner {
        issuer: "acme".into(),
        tenant: "default".into(),
    };
    let (keys, _) = KeySet::pin(&owner, &jwks, &[Scheme::HmacSha256]);
    let records = engine.records().with_keys("acme", Arc::new(keys));
    engine.set_records(Arc::new(records.expect("acme is there")));
}

#[test]
fn a_parked_token_is_verified_again_when_its_key_has_come() {
    let engine = seeking(soon);
    // One good token and two of the new key, in one call: they are answered together.
    let tokens = vec![
        mint(&stranger(), 1),
        mint(&hs256(), 2),
        mint(&stranger(), 3),
    ];
    let answer = begin(&engine, "a", tokens);
    until("they wait", || engine.parked() == 2);
    assert!(answer.try_recv().is_err());
    publish(&engine, "k9");
    engine.keys_looked_at("acme", clock::since_boot(), true);
    let verdicts = answer.recv_timeout(PATIENCE).expect("an answer in time");
    assert!(verdicts.iter().all(Verdict::is_valid), "{verdicts:?}");
    assert_eq!(engine.parked(), 0);
    // And they were remembered, under the keys that are there now.
    let again = answer_of(&engine, mint(&stranger(), 1));
    assert!(is_cached(&again));
}

fn answer_of(engine: &Engine, token: Bytes) -> Verdict {
    answer(engine, call(engine, vec![token])).remove(0)
}

#[test]
fn a_look_that_began_before_the_token_came_calls_back_only_if_it_brought_something() {
    let is_absent = Arc::new(AtomicBool::new(false));
    let engine = seeking({
        let is_absent = Arc::clone(&is_absent);
        move |key| match is_absent.load(Ordering::Relaxed) {
            true => Sought::Absent,
            false => soon(key),
        }
    });
    let before = clock::since_boot();
    let answer = begin(&engine, "a", vec![mint(&stranger(), 1)]);
    until("it waits", || engine.parked() == 1);
    engine.keys_looked_at("acme", before, false);
    engine.keys_looked_at("nobody", clock::since_boot(), true);
    assert_eq!(engine.parked(), 1);
    is_absent.store(true, Ordering::Relaxed);
    engine.keys_looked_at("acme", clock::since_boot(), false);
    let verdicts = answer.recv_timeout(PATIENCE).expect("an answer in time");
    assert_eq!(verdicts[0].reason(), Some(Reason::UnknownKid));
}

#[test]
fn who_has_waited_long_enough_is_told_when_to_come_back() {
    let engine = seeking(|key| Sought::Soon {
        until: key.asked_at + Duration::from_millis(20),
        retry_at: clock::since_boot() + Duration::from_secs(3),
        news_at: clock::since_boot() + Duration::from_secs(3),
    });
    let Verdict::Unavailable(unavailable) = answer_of(&engine, mint(&stranger(), 1)) else {
        panic!("nobody knows yet");
    };
    assert_eq!(unavailable.cause, Cause::KeysRefreshing);
    assert!((1_000..=3_000).contains(&unavailable.retry_after_ms));
    let (sender, answer) = mpsc::channel();
    let overdue = Call {
        deadline: Some(clock::since_boot() + Duration::from_millis(5)),
        ..call(&engine, vec![mint(&stranger(), 2)])
    };
    let asked = engine.ask(overdue, engine.clock().now(), move |verdicts| {
        sender.send(verdicts).expect("the test waits");
    });
    let verdicts = asked.unwrap_or_else(|| answer.recv_timeout(PATIENCE).expect("in time"));
    assert_eq!(cause(&verdicts[0]), Some(Cause::Deadline));
}

#[test]
fn no_peer_takes_every_place_and_those_who_wait_take_no_room_in_the_queues() {
    let engine = seeking(soon);
    let flood: Vec<_> = (0..PARKED_PART_MAX + 50)
        .map(|number| begin(&engine, "flood", vec![mint(&stranger(), number)]))
        .collect();
    until("its part is full", || engine.parked() == PARKED_PART_MAX);
    // One issuer has no more places either, so that another peer's token is told to come back.
    let refused = begin(&engine, "other", vec![mint(&stranger(), 1)]);
    let verdicts = refused.recv_timeout(PATIENCE).expect("an answer in time");
    assert_eq!(cause(&verdicts[0]), Some(Cause::KeysRefreshing));
    until("nothing is queued", || {
        engine
            .0
            .shared
            .queues
            .iter()
            .all(|queue| queue.used_ns() == 0)
    });
    assert!(answer_of(&engine, mint(&hs256(), 1)).is_valid());
    publish(&engine, "k9");
    engine.keys_looked_at("acme", clock::since_boot(), true);
    let verdicts: Vec<Verdict> = flood
        .iter()
        .map(|answer| answer.recv_timeout(PATIENCE).expect("in time").remove(0))
        .collect();
    let good = verdicts.iter().filter(|verdict| verdict.is_valid()).count();
    assert_eq!(good, PARKED_PART_MAX);
    const { assert!(PARKED_PART_MAX < PARKED_TOKENS_MAX) };
}

#[test]
fn keys_that_change_while_a_token_is_judged_are_not_missed() {
    // The look ends between the question and the answer: nobody will call back any more.
    let engine = Arc::new(engine(1).0);
    let is_first = AtomicBool::new(true);
    let hooked = Arc::downgrade(&engine);
    assert!(engine.on_missing_key(move |key| {
        if is_first.swap(false, Ordering::Relaxed) {
            let engine = hooked.upgrade().expect("the test holds it");
            publish(&engine, "k9");
            engine.keys_looked_at("acme", clock::since_boot(), true);
        }
        soon(key)
    }));
    assert!(answer_of(&engine, mint(&stranger(), 1)).is_valid());
}

#[test]
fn an_engine_that_nobody_holds_any_more_answers_those_who_wait() {
    let engine = seeking(soon);
    let answers: Vec<_> = (0..10)
        .map(|number| begin(&engine, "a", vec![mint(&stranger(), number)]))
        .collect();
    until("they wait", || engine.parked() == 10);
    drop(engine);
    for answer in answers {
        let verdicts = answer.recv_timeout(PATIENCE).expect("an answer in time");
        assert_eq!(cause(&verdicts[0]), Some(Cause::KeysRefreshing));
    }
}

const TENANT: &str = "https://login.example/a";

fn tenant_token(key: &SigningKey, iss: &str) -> Bytes {
    let claims = Claims {
        issuer: Some(iss.to_owned()),
        audiences: vec!["payments".to_owned()],
        ..Claims::default()
    };
    Bytes::from(key.mint(&claims, NOW).expect("claims of our own making"))
}

/// An engine with a template, whose tenants can be asked for.
fn with_template(
    sought: impl Fn(&MissingTenant<'_>) -> Sought + Send + Sync + 'static,
) -> (Engine, Arc<Metrics>) {
    let template = IssTemplate::parse("https://login.example/{tenant}").expect("a template");
    let issuer = Issuer {
        name: "entra".into(),
        tenant: "entra/{tenant}".into(),
        iss: IssuerMatch::Template(Arc::new(template)),
        keys: IssuerKeys::Awaited,
        ..records().issuer(0).expect("acme").clone()
    };
    let (engine, metrics) = engine(2);
    let records = Records::new(vec![issuer], Vec::new()).expect("one template");
    engine.set_records(Arc::new(records));
    assert!(engine.on_missing_tenant(sought));
    (engine, metrics)
}

fn load(engine: &Engine) {
    let records = engine.records().with_tenant(TENANT, Some(key_set()));
    engine.set_records(Arc::new(records.expect("the template brings it")));
}

#[test]
fn a_tenant_s_token_waits_for_its_tenant_and_for_no_other() {
    let (engine, _) = with_template(|tenant| {
        assert_eq!((&**tenant.template, tenant.is_loaded), ("entra", false));
        Sought::Soon {
            until: tenant.asked_at + 10 * PATIENCE,
            retry_at: tenant.asked_at + PATIENCE,
            news_at: tenant.asked_at + PATIENCE,
        }
    });
    let other = "https://login.example/b";
    let mine = begin(&engine, "a", vec![tenant_token(&hs256(), TENANT)]);
    let others = begin(&engine, "a", vec![tenant_token(&hs256(), other)]);
    until("they wait", || engine.parked() == 2);
    load(&engine);
    engine.tenant_looked_at("entra", TENANT, clock::since_boot(), true);
    let verdicts = mine.recv_timeout(PATIENCE).expect("an answer in time");
    assert!(verdicts[0].is_valid(), "{verdicts:?}");
    assert_eq!(engine.parked(), 1);
    // The other one does not exist.
    let absent = engine.records().with_absent(other, true);
    engine.set_records(Arc::new(absent));
    engine.tenant_looked_at("entra", other, clock::since_boot(), true);
    let verdicts = others.recv_timeout(PATIENCE).expect("an answer in time");
    assert_eq!(verdicts[0].reason(), Some(Reason::UnknownIssuer));
}

#[test]
fn a_key_that_a_loaded_tenant_lacks_is_unknown_on_evidence_only() {
    let looked = Arc::new(AtomicBool::new(false));
    let (engine, metrics) = with_template({
        let looked = Arc::clone(&looked);
        move |tenant| {
            assert!(tenant.is_loaded && tenant.kid == Some("k9"));
            match looked.load(Ordering::Relaxed) {
                true => Sought::Absent,
                false => Sought::Soon {
                    until: tenant.asked_at + 10 * PATIENCE,
                    retry_at: tenant.asked_at + PATIENCE,
                    news_at: tenant.asked_at + PATIENCE,
                },
            }
        }
    });
    load(&engine);
    let answer = begin(&engine, "a", vec![tenant_token(&stranger(), TENANT)]);
    until("it waits", || engine.parked() == 1);
    looked.store(true, Ordering::Relaxed);
    engine.tenant_looked_at("entra", TENANT, clock::since_boot(), false);
    let verdicts = answer.recv_timeout(PATIENCE).expect("an answer in time");
    assert_eq!(verdicts[0].reason(), Some(Reason::UnknownKid));
    let counted = "jotd_jwks_unknown_kid_total{issuer=\"entra\"} 1";
    assert!(metrics.render().contains(counted), "counted once");
}

/// A flood of made-up tenants of a template takes the template's places, and nobody else's.
#[test]
fn made_up_tenants_share_their_template_s_places() {
    let (engine, _) = with_template(|tenant| Sought::Soon {
        until: tenant.asked_at + 10 * PATIENCE,
        retry_at: tenant.asked_at + PATIENCE,
        news_at: tenant.asked_at + PATIENCE,
    });
    let answers: Vec<_> = (0..2)
        .map(|peer| {
            let tokens = (0..PARKED_PART_MAX).map(|number| {
                let iss = format!("https://login.example/{peer}-{number}");
                tenant_token(&hs256(), &iss)
            });
            begin(&engine, &format!("peer-{peer}"), tokens.collect())
        })
        .collect();
    let queued_none = || {
        let queues = &engine.0.shared.queues;
        queues.iter().all(|queue| queue.used_ns() == 0)
    };
    until("all are looked at", queued_none);
    assert_eq!(engine.parked(), PARKED_PART_MAX);
    assert!(engine.drain(PATIENCE));
    for answer in answers {
        let verdicts = answer.recv_timeout(PATIENCE).expect("an answer in time");
        let refreshing = |verdict: &Verdict| matches!(verdict, Verdict::Unavailable(it) if it.cause == Cause::KeysRefreshing);
        assert!(verdicts.iter().all(refreshing));
    }
}

//! Rotations as callers see them: nobody's valid token is refused because a key is new, and nobody's made-up key makes
//! the issuer, or anybody's good token, suffer. With a real HTTPS server as the issuer.
#![allow(clippy::disallowed_methods, reason = "a test waits in real time")]

mod jwks_server;

use bytes::Bytes;
use jotd::upstream::Remote;
use jotd::verdict::{Cause, Reason, Verdict};
use jwks_server::issuer::Issuer;
use jwks_server::world::{PATIENCE, World, eventually, mint, quiet_remote, remote};
use jwks_server::{Answer, signing_key};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn refreshing(verdict: &Verdict) -> Option<u32> {
    match verdict {
        Verdict::Unavailable(unavailable) if unavailable.cause == Cause::KeysRefreshing => {
            Some(unavailable.retry_after_ms)
        }
        _ => None,
    }
}

fn is_cached(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Valid(trusted) if trusted.cached)
}

#[test]
fn a_token_of_a_new_key_waits_for_one_fetch_and_is_good() {
    let (old, new) = (signing_key("k1"), signing_key("k2"));
    let issuer = Issuer::of(&[&old]);
    let world = World::new(quiet_remote(&issuer.server));
    world.until_kids(&["k1"]);
    issuer.publish(&[&old, &new]);
    let asked = issuer.asked();
    // All at once, of the new key and of the old: one fetch for all of them.
    let answers: Vec<_> = (0..200)
        .map(|number| {
            let key = if number % 2 == 0 { &new } else { &old };
            world.ask(vec![mint(key, number)])
        })
        .collect();
    for answer in answers {
        let verdicts = answer.recv_timeout(PATIENCE).expect("an answer in time");
        assert!(verdicts[0].is_valid(), "{:?}", verdicts[0]);
    }
    // A token may have come while the first fetch was under way.
    assert!(issuer.asked() - asked <= 2, "{}", issuer.asked() - asked);
    assert_eq!(world.engine.parked(), 0);
}

#[test]
fn the_first_tokens_wait_for_the_first_keys() {
    let key = signing_key("k1");
    let issuer = Issuer::of(&[&key]);
    let world = World::new(quiet_remote(&issuer.server));
    assert!(world.verdict(&mint(&key, 1)).is_valid());
}

#[test]
fn a_key_that_does_not_exist_is_looked_for_once() {
    let (key, stranger) = (signing_key("k1"), signing_key("k9"));
    let issuer = Issuer::of(&[&key]);
    let world = World::new(quiet_remote(&issuer.server));
    world.until_kids(&["k1"]);
    let asked = issuer.asked();
    let first = world.verdict(&mint(&stranger, 1));
    assert_eq!(first.reason(), Some(Reason::UnknownKid));
    assert!(issuer.asked() > asked, "it was said on evidence");
    let looked = issuer.asked();
    let began = Instant::now();
    for number in 2..200 {
        let verdict = world.verdict(&mint(&stranger, number));
        assert_eq!(verdict.reason(), Some(Reason::UnknownKid));
    }
    // Five seconds later it would be asked again.
    let allowed = usize::try_from(began.elapsed().as_secs() / 5).expect("not for ever");
    assert!(issuer.asked() - looked <= allowed);
}

/// Checks F-30.
#[test]
fn while_the_issuer_cannot_be_asked_no_key_is_said_not_to_exist() {
    let (key, new) = (signing_key("k1"), signing_key("k2"));
    let issuer = Issuer::of(&[&key]);
    let world = World::new(Remote {
        key_wait: Duration::from_millis(100),
        ..quiet_remote(&issuer.server)
    });
    world.until_kids(&["k1"]);
    issuer.answer(|| Answer::Hangup);
    for number in 0..20 {
        let verdict = world.verdict(&mint(&new, number));
        let retry_after_ms = refreshing(&verdict).expect("neither good nor bad");
        assert!(retry_after_ms > 0 && retry_after_ms <= 60_000);
        assert!(world.verdict(&mint(&key, number)).is_valid());
    }
    // It crashed between rotating and answering, and comes back.
    issuer.publish(&[&key, &new]);
    eventually("the new key is found", || {
        world.verdict(&mint(&new, 100)).is_valid()
    });
}

#[test]
fn a_flood_of_invented_kids_takes_the_buckets_fetches_and_hides_no_rotation() {
    let (old, new) = (signing_key("k1"), signing_key("k2"));
    let issuer = Issuer::of(&[&old]);
    let interval = Duration::from_millis(200);
    let world = World::new(Remote {
        refetch_min: interval,
        key_wait: Duration::from_millis(100),
        ..quiet_remote(&issuer.server)
    });
    world.until_kids(&["k1"]);
    let (asked, began) = (issuer.asked(), Instant::now());
    let forged = mint(&signing_key("x"), 0);
    let (_, rest) = std::str::from_utf8(&forged)
        .expect("text")
        .split_once('.')
        .expect("two dots");
    let mut pending = Vec::new();
    for number in 0..20_000 {
        let header = format!(r#"{{"alg":"ES256","kid":"x{number}"}}"#);
        let header = jotd::encoding::base64url::encode_string(header.as_bytes());
        let token = Bytes::from(format!("{header}.{rest}"));
        pending.push(world.ask_as("flood", vec![token]));
        if number == 10_000 {
            issuer.publish(&[&old, &new]);
        }
        if number % 500 == 0 {
            assert!(world.verdict(&mint(&old, number)).is_valid());
        }
        // Asked for before it was there, it would be known not to be for a while.
        if number % 500 == 0 && number > 10_000 {
            let verdict = world.verdict(&mint(&new, number));
            assert_ne!(verdict.reason(), Some(Reason::UnknownKid), "or on evidence");
        }
    }
    eventually("the rotation is seen", || {
        world.verdict(&mint(&new, 1)).is_valid()
    });
    let intervals = began.elapsed().as_millis() / interval.as_millis();
    let allowed = usize::try_from(intervals).expect("not for ever") + 4;
    assert!(
        issuer.asked() - asked <= allowed,
        "{} fetches",
        issuer.asked() - asked
    );
    for answer in pending {
        let verdicts = answer
            .recv_timeout(PATIENCE)
            .expect("everybody is answered");
        let verdict = &verdicts[0];
        let is_refused = matches!(verdict.reason(), Some(Reason::UnknownKid));
        let is_open = matches!(verdict, Verdict::Unavailable(_));
        assert!(is_refused || is_open, "{verdict:?}");
    }
    assert_eq!(world.engine.parked(), 0);
}

/// Checks V-44.
#[test]
fn keys_that_nobody_confirms_are_given_up_in_the_end_and_taken_up_again() {
    let key = signing_key("k1");
    let issuer = Issuer::of(&[&key]);
    let world = World::new(Remote {
        keys_max_age: Duration::from_millis(300),
        key_wait: Duration::ZERO,
        ..remote(&issuer.server)
    });
    world.until_kids(&["k1"]);
    let token = mint(&key, 1);
    assert!(world.verdict(&token).is_valid());
    issuer.answer(|| Answer::new("503 Service Unavailable", "busy"));
    // Also what the cache remembers is not trusted any more.
    eventually("the keys are given up", || {
        refreshing(&world.verdict(&token)).is_some()
    });
    assert_eq!(world.kids(), None);
    let alarm = "jotd_jwks_alarms_total{issuer=\"acme\",alarm=\"trust_ran_out\"}";
    assert!(world.metrics.render().contains(alarm));
    issuer.publish(&[&key]);
    eventually("they are back", || world.verdict(&token).is_valid());
}

/// Checks F-30.
#[test]
fn a_host_starts_with_the_keys_that_it_kept_while_the_issuer_is_down() {
    let key = signing_key("k1");
    let issuer = Issuer::of(&[&key]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let terms = quiet_remote(&issuer.server);
    let world = World::keeping(terms.clone(), Some(folder.path()));
    world.until_kids(&["k1"]);
    eventually("the set is kept", || {
        let mut files = std::fs::read_dir(folder.path())
            .expect("readable")
            .flatten();
        files.any(|file| file.path().extension().is_some_and(|end| end == "jwks"))
    });
    drop(world);
    issuer.answer(|| Answer::Hangup);
    let world = World::keeping(terms.clone(), Some(folder.path()));
    assert_eq!(
        world.kids(),
        Some(vec!["k1".to_owned()]),
        "before any fetch"
    );
    assert!(world.verdict(&mint(&key, 1)).is_valid());
    drop(world);
    // Of another source, it is nobody's.
    let elsewhere = Remote {
        endpoint: jotd::upstream::Endpoint::Jwks(issuer.server.uri("/other.json")),
        ..terms
    };
    let world = World::keeping(elsewhere, Some(folder.path()));
    assert_eq!(world.kids(), None);
}

/// Checks V-44, F-36. G11: what was removed is refused with the next question, whatever was cached.
#[test]
fn a_removed_key_ends_what_was_cached() {
    let (first, second) = (signing_key("k1"), signing_key("k2"));
    let issuer = Issuer::of(&[&first, &second]);
    let world = World::new(quiet_remote(&issuer.server));
    world.until_kids(&["k1", "k2"]);
    let tokens = [mint(&first, 1), mint(&second, 1)];
    for _ in 0..2 {
        assert!(tokens.iter().all(|token| world.verdict(token).is_valid()));
    }
    issuer.publish(&[&second]);
    // Any unknown kid has the set fetched.
    let _ = world.verdict(&mint(&signing_key("k3"), 1));
    world.until_kids(&["k2"]);
    let refused = world.verdict(&tokens[0]);
    assert_eq!(refused.reason(), Some(Reason::UnknownKid));
    assert!(is_cached(&world.verdict(&tokens[1])), "its key stays");
    let alarm = "jotd_jwks_alarms_total{issuer=\"acme\",alarm=\"withdrawn_in_use\"} 1";
    assert!(world.metrics.render().contains(alarm));
}

/// A rotation does not have every token of the issuer verified again, wherever in the set its key is then.
#[test]
fn what_was_cached_stands_for_as_long_as_its_key_does() {
    let keys = ["k1", "k2", "k3", "k4", "k5", "k6", "k7"].map(signing_key);
    let [k1, k2, k3, k4, k5, k6, k7] = &keys;
    let issuer = Issuer::of(&[k1, k2, k3, k4, k5, k6]);
    let world = World::new(remote(&issuer.server));
    world.until_kids(&["k1", "k2", "k3", "k4", "k5", "k6"]);
    let tokens = keys.each_ref().map(|key| mint(key, 1));
    for token in &tokens[..6] {
        assert!(world.verdict(token).is_valid());
    }
    let stands = |token: &Bytes, kid: &str| match world.verdict(token) {
        Verdict::Valid(trusted) => trusted.cached && trusted.signer.kid.as_deref() == Some(kid),
        refused => panic!("{kid}: {refused:?}"),
    };
    // From the front to the back and the other way round.
    issuer.publish(&[k6, k7, k5, k4, k3, k1]);
    world.until_kids(&["k6", "k7", "k5", "k4", "k3", "k1"]);
    for (number, kid) in [(0, "k1"), (2, "k3"), (3, "k4"), (4, "k5"), (5, "k6")] {
        assert!(stands(&tokens[number], kid), "{kid}");
    }
    assert!(!stands(&tokens[6], "k7"), "never seen");
    let refused = world.verdict(&tokens[1]);
    assert_eq!(refused.reason(), Some(Reason::UnknownKid));
    // One that comes back has been away.
    issuer.publish(&[k2, k1]);
    world.until_kids(&["k2", "k1"]);
    assert!(stands(&tokens[0], "k1"));
    assert!(!stands(&tokens[1], "k2"), "verified again");
    assert!(stands(&tokens[1], "k2"));
}

/// Checks F-35: the issuer's word counts, and is not let pass in silence.
#[test]
fn a_kid_that_names_another_key_is_the_other_key_from_then_on() {
    let (first, second) = (signing_key("k1"), signing_key("k1"));
    let issuer = Issuer::of(&[&first]);
    let world = World::new(remote(&issuer.server));
    world.until_kids(&["k1"]);
    assert!(world.verdict(&mint(&first, 1)).is_valid());
    issuer.publish(&[&second]);
    eventually("the new key counts", || {
        world.verdict(&mint(&second, 1)).is_valid()
    });
    let refused = world.verdict(&mint(&first, 1));
    assert_eq!(refused.reason(), Some(Reason::BadSignature));
    let alarm = "jotd_jwks_alarms_total{issuer=\"acme\",alarm=\"kid_reused\"} 1";
    assert!(world.metrics.render().contains(alarm));
}

#[test]
fn the_same_set_again_loses_no_cached_verdict() {
    let key = signing_key("k1");
    let issuer = Issuer::of(&[&key]);
    let world = World::new(remote(&issuer.server));
    world.until_kids(&["k1"]);
    let before = world.engine.records();
    let asked = issuer.asked();
    eventually("it is fetched again", || issuer.asked() >= asked + 3);
    assert!(Arc::ptr_eq(&before, &world.engine.records()));
}

/// Checks F-38.
#[test]
fn operators_and_tokens_share_looks() {
    let key = signing_key("k1");
    let issuer = Issuer::of(&[&key]);
    let world = World::new(quiet_remote(&issuer.server));
    world.until_kids(&["k1"]);
    let asked = issuer.asked();
    let refreshes: Vec<_> = (0..50)
        .map(|_| {
            let upstream = world.upstream.clone();
            let refresh = async move { upstream.refresh(Some("acme")).await };
            world.background.handle.spawn(refresh)
        })
        .collect();
    let outcomes = world.background.handle.spawn(async {
        let mut outcomes = Vec::new();
        for refresh in refreshes {
            let refreshed = refresh.await.expect("no panic").expect("one issuer");
            outcomes.extend(refreshed.iter().map(|one| one.outcome));
        }
        outcomes
    });
    let (sender, outcome) = std::sync::mpsc::channel();
    world.background.handle.spawn(async move {
        sender
            .send(outcomes.await.expect("no panic"))
            .expect("the test waits");
    });
    let outcomes = outcome.recv_timeout(PATIENCE).expect("they end");
    assert_eq!(outcomes, ["ok"; 50]);
    assert!(issuer.asked() - asked <= 3, "{}", issuer.asked() - asked);
}

/// Checks F-35. By itself a few rotations with two callers; `make faults` has a thousand of the release build, with eight.
#[test]
fn rotations_with_overlap_refuse_no_token() {
    let is_thorough = std::env::var_os("JOTD_FAULTS").is_some();
    let (rotations, callers, frame) = if is_thorough {
        (1_000, 8, 32)
    } else {
        (60, 2, 8)
    };
    let mut current = Arc::new(signing_key("k0"));
    let issuer = Issuer::of(&[&current]);
    let world = Arc::new(World::new(quiet_remote(&issuer.server)));
    // The key that the issuer signs with, and which rotation it came with.
    let signing = Arc::new(Mutex::new((0, current.clone())));
    let is_over = Arc::new(AtomicBool::new(false));
    // The rotation of the tokens that each caller asked about last.
    let reached: Arc<[AtomicUsize]> = (0..callers).map(|_| AtomicUsize::new(0)).collect();
    let began = Instant::now();
    let callers: Vec<_> = (0..callers)
        .map(|caller| {
            let (world, signing, is_over) = (world.clone(), signing.clone(), is_over.clone());
            let reached = reached.clone();
            std::thread::spawn(move || {
                let mut verdicts = 0;
                for round in 0_usize.. {
                    if is_over.load(Ordering::Relaxed) {
                        return verdicts;
                    }
                    let (rotation, key) = signing.lock().expect("no panic").clone();
                    let number = |n| caller + reached.len() * (frame * round + n);
                    let tokens: Vec<_> = (0..frame).map(|n| mint(&key, number(n))).collect();
                    // Once as new tokens, once as tokens that the cache may know.
                    for _ in 0..2 {
                        let answer = world.ask(tokens.clone());
                        let answers = answer.recv_timeout(PATIENCE).expect("an answer");
                        let bad = answers.iter().find(|verdict| !verdict.is_valid());
                        assert_eq!(bad, None, "of key {rotation}");
                        verdicts += answers.len();
                    }
                    reached[caller].store(rotation, Ordering::Relaxed);
                }
                verdicts
            })
        })
        .collect();
    for rotation in 1..=rotations {
        let next = Arc::new(signing_key(&format!("k{rotation}")));
        issuer.publish(&[&current, &next]);
        *signing.lock().expect("no panic") = (rotation, next.clone());
        // The old key is withdrawn with the next rotation, when no token of it is under way any more.
        eventually("all tokens are of the new key", || {
            let all = reached.iter();
            let mut all = all.map(|reached| reached.load(Ordering::Relaxed));
            all.all(|reached| reached == rotation)
        });
        current = next;
    }
    is_over.store(true, Ordering::Relaxed);
    let callers = callers.into_iter();
    let verdicts = callers.map(|caller| caller.join().expect("every token was good"));
    let verdicts: usize = verdicts.sum();
    assert!(verdicts > 0);
    eprintln!(
        "{rotations} rotations in {:.1?}: {verdicts} verdicts, all valid, {} fetches",
        began.elapsed(),
        issuer.asked(),
    );
}

#[test]
fn an_engine_that_stops_answers_those_who_wait() {
    let (key, new) = (signing_key("k1"), signing_key("k2"));
    let issuer = Issuer::of(&[&key]);
    let world = World::new(quiet_remote(&issuer.server));
    world.until_kids(&["k1"]);
    issuer.answer(|| Answer::Drip);
    let answers: Vec<_> = (0..20).map(|n| world.ask(vec![mint(&new, n)])).collect();
    eventually("they wait", || world.engine.parked() == 20);
    assert!(world.engine.drain(PATIENCE));
    for answer in answers {
        let verdicts = answer.recv_timeout(PATIENCE).expect("an answer");
        assert!(refreshing(&verdicts[0]).is_some());
    }
}

//! Key sets that hosts share through a real Redis: one asks the issuer, all verify, and whoever can write to Redis can
//! give nobody a key.
#![allow(clippy::disallowed_methods, reason = "a test waits in real time")]

mod jwks_server;
mod redis_server;

use bytes::Bytes;
use jotd::upstream::Remote;
use jotd::verdict::Reason;
use jwks_server::issuer::Issuer;
use jwks_server::world::{PATIENCE, World, eventually, mint, quiet_remote, remote};
use jwks_server::{Answer, signing_key};
use redis_server::Redis;
use std::time::Duration;

const SECRET: &str = "4c1f0e9b7a6d5c3b2a190817f6e5d4c3";
const OTHER_SECRET: &str = "0a9b8c7d6e5f40312233445566778899";

fn host(remote: &Remote, redis: &Redis) -> World {
    World::sharing(remote.clone(), &redis.socket(), SECRET)
}

/// What lies in Redis of the one issuer.
fn lying(redis: &Redis) -> (String, Vec<u8>) {
    let name = redis.ask(&["KEYS", "jwks:jotd:set:*"]);
    let name = String::from_utf8(name).expect("text");
    (name.clone(), redis.ask(&["GET", &name]))
}

fn is_counted(world: &World, outcome: &str) -> bool {
    let line = format!("jotd_jwks_shared_total{{outcome=\"{outcome}\"}}");
    world.metrics.render().contains(&line)
}

#[test]
fn one_host_asks_the_issuer_and_all_have_its_keys() {
    let redis = Redis::start();
    let (old, new) = (signing_key("k1"), signing_key("k2"));
    let issuer = Issuer::of(&[&old]);
    let remote = quiet_remote(&issuer.server);
    let first = host(&remote, &redis);
    first.until_kids(&["k1"]);
    eventually("it lies there", || is_counted(&first, "offered"));
    let second = host(&remote, &redis);
    second.until_kids(&["k1"]);
    assert_eq!(issuer.asked(), 1, "the second asked nobody");
    assert!(is_counted(&second, "taken"));

    // A rotation, seen by one of them; what follows is no more than news to the other.
    issuer.publish(&[&old, &new]);
    assert!(first.verdict(&mint(&new, 1)).is_valid());
    second.until_kids(&["k1", "k2"]);
    assert_eq!(issuer.asked(), 2);
    issuer.publish(&[&new]);
    let refreshed = first
        .background
        .handle
        .block_on(first.upstream.refresh(None));
    assert_eq!(refreshed.expect("few").len(), 1);
    second.until_kids(&["k2"]);
    let verdict = second.verdict(&mint(&old, 2));
    assert_eq!(verdict.reason(), Some(Reason::UnknownKid));
}

#[test]
fn a_new_key_that_comes_to_all_at_once_is_asked_for_once_or_twice() {
    let redis = Redis::start();
    let (old, new) = (signing_key("k1"), signing_key("k2"));
    let issuer = Issuer::of(&[&old]);
    let remote = quiet_remote(&issuer.server);
    let hosts: Vec<_> = (0..5).map(|_| host(&remote, &redis)).collect();
    for host in &hosts {
        host.until_kids(&["k1"]);
    }
    let asked = issuer.asked();
    issuer.publish(&[&old, &new]);
    let token = mint(&new, 1);
    let answers: Vec<_> = hosts
        .iter()
        .map(|host| host.ask(vec![token.clone()]))
        .collect();
    for answer in answers {
        let verdicts = answer.recv_timeout(PATIENCE).expect("an answer in time");
        assert!(verdicts[0].is_valid(), "{:?}", verdicts[0]);
    }
    // Somebody may have begun to look just after somebody else had begun to ask.
    let asked = issuer.asked() - asked;
    assert!((1..=2).contains(&asked), "{asked}");
}

#[test]
fn a_host_that_cannot_reach_its_issuer_verifies() {
    let redis = Redis::start();
    let (key, stranger) = (signing_key("k1"), signing_key("k9"));
    let issuer = Issuer::of(&[&key]);
    // What lies there is stale at once, and the issuer would have to be asked.
    let remote = Remote {
        key_wait: Duration::from_secs(1),
        ..remote(&issuer.server)
    };
    let first = host(&remote, &redis);
    first.until_kids(&["k1"]);
    eventually("it lies there", || is_counted(&first, "offered"));
    drop(first);
    issuer.answer(|| Answer::Hangup);
    let started = host(&remote, &redis);
    let token = mint(&key, 1);
    assert!(started.verdict(&token).is_valid());
    started.until_outcome("unreachable");
    assert!(started.verdict(&token).is_valid());
    // Nobody knows whether the issuer has such a key by now.
    let verdict = started.verdict(&mint(&stranger, 1));
    assert_eq!(verdict.reason(), Some(Reason::Unavailable));
}

#[test]
fn an_empty_or_broken_set_takes_nobodys_good_one_away() {
    let redis = Redis::start();
    let key = signing_key("k1");
    let issuer = Issuer::of(&[&key]);
    let remote = remote(&issuer.server);
    let first = host(&remote, &redis);
    first.until_kids(&["k1"]);
    eventually("it lies there", || is_counted(&first, "offered"));
    issuer.answer(|| Answer::ok("{\"keys\":[]}"));
    first.until_outcome("empty");
    let second = host(&remote, &redis);
    second.until_kids(&["k1"]);
    second.until_outcome("empty");
    assert_eq!(second.kids().expect("still there"), ["k1"]);
}

#[test]
fn whoever_writes_to_redis_gives_nobody_a_key() {
    let redis = Redis::start();
    let (key, theirs) = (signing_key("k1"), signing_key("k2"));
    let issuer = Issuer::of(&[&key]);
    let remote = Remote {
        key_wait: Duration::from_millis(100),
        ..quiet_remote(&issuer.server)
    };
    let ours = host(&remote, &redis);
    ours.until_kids(&["k1"]);
    eventually("it lies there", || is_counted(&ours, "offered"));
    let (name, good) = lying(&redis);

    // Sealed properly, of the same source, by somebody with another secret.
    let attacker = Redis::start();
    issuer.publish(&[&theirs]);
    let evil = World::sharing(remote.clone(), &attacker.socket(), OTHER_SECRET);
    evil.until_kids(&["k2"]);
    eventually("it lies there", || is_counted(&evil, "offered"));
    let (_, sealed_by_another) = lying(&attacker);
    // Sealed with our secret, of another source.
    let elsewhere = Issuer::of(&[&theirs]);
    let other = World::sharing(quiet_remote(&elsewhere.server), &attacker.socket(), SECRET);
    attacker.ask(&["FLUSHALL"]);
    let nudged = other
        .background
        .handle
        .block_on(other.upstream.refresh(None));
    assert!(nudged.is_ok());
    let (_, of_another_source) = lying(&attacker);
    issuer.answer(|| Answer::Hangup);

    let body_of_theirs = sealed_by_another.splitn(2, |byte| *byte == b'\n').nth(1);
    let seal_of_ours = &good[..65];
    let grafted = [seal_of_ours, body_of_theirs.expect("a second line")].concat();
    for hostile in [
        &sealed_by_another[..],
        &of_another_source[..],
        &grafted[..],
        b"{\"keys\":[]}",
        &[0xff; 1_000_000],
    ] {
        redis.ask_bytes(&[b"SET", name.as_bytes(), hostile]);
        let started = host(&remote, &redis);
        eventually("it is refused", || is_counted(&started, "refused"));
        assert_eq!(started.kids(), None);
        assert_eq!(ours.kids().expect("still there"), ["k1"]);
        assert!(!ours.verdict(&mint(&theirs, 1)).is_valid());
    }
    eventually("who has the keys refuses it too", || {
        is_counted(&ours, "refused")
    });
    redis.ask_bytes(&[b"SET", name.as_bytes(), &good]);
    let started = host(&remote, &redis);
    started.until_kids(&["k1"]);
}

#[test]
fn an_older_set_brings_no_withdrawn_key_back() {
    let redis = Redis::start();
    let (old, new) = (signing_key("k1"), signing_key("k2"));
    let issuer = Issuer::of(&[&old]);
    let remote = quiet_remote(&issuer.server);
    let host = host(&remote, &redis);
    host.until_kids(&["k1"]);
    eventually("it lies there", || is_counted(&host, "offered"));
    let (name, older) = lying(&redis);
    issuer.publish(&[&new]);
    assert!(host.verdict(&mint(&new, 1)).is_valid());
    eventually("the new one lies there", || lying(&redis).1 != older);
    redis.ask_bytes(&[b"SET", name.as_bytes(), &older]);
    // It has looked at it once it asks for the mark again: twice as long as that takes.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(host.kids().expect("known"), ["k2"]);
    assert!(!is_counted(&host, "taken"));
}

#[test]
fn without_redis_each_host_asks_for_itself() {
    let mut redis = Redis::start();
    let keys = ["k1", "k2", "k3"].map(signing_key);
    let issuer = Issuer::of(&[&keys[0]]);
    let remote = quiet_remote(&issuer.server);
    let hosts = [host(&remote, &redis), host(&remote, &redis)];
    for host in &hosts {
        host.until_kids(&["k1"]);
    }
    redis.kill();
    let asked = issuer.asked();
    issuer.publish(&[&keys[1]]);
    let token: Bytes = mint(&keys[1], 1);
    for host in &hosts {
        assert!(host.verdict(&token).is_valid());
    }
    assert_eq!(issuer.asked() - asked, 2);
    redis.restart();
    issuer.publish(&[&keys[2]]);
    eventually("it is there again, and the host has seen that", || {
        let refreshed = hosts[0]
            .background
            .handle
            .block_on(hosts[0].upstream.refresh(None));
        assert!(refreshed.is_ok());
        is_counted(&hosts[0], "offered") && redis.ask(&["DBSIZE"]) != b"0"
    });
    hosts[1].until_kids(&["k3"]);
}

//! Single-use tokens, shared through real servers.

use super::super::uses::Uses;
use super::super::{Address, Durability, LogOptions, Options};
use super::server::RedisServer;
use crate::replay::{Claim, SharedUse, SharedUses, UseId};
use std::sync::mpsc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

fn uses(numbers: &[u8]) -> Vec<SharedUse> {
    let one = |number: &u8| SharedUse {
        id: UseId([*number; 20]),
        keep_seconds: 500,
    };
    numbers.iter().map(one).collect()
}

fn claim(shared: &Uses, numbers: &[u8]) -> Vec<Claim> {
    let (sender, answer) = mpsc::channel();
    let done = move |claims| sender.send(claims).expect("the test is waiting");
    shared.claim(uses(numbers), Box::new(done));
    answer
        .recv_timeout(PATIENCE)
        .expect("an answer, whatever it is")
}

/// Until something is known again; what was tried meanwhile may count.
fn claim_until_known(shared: &Uses, numbers: impl Iterator<Item = u8>) -> Vec<Claim> {
    for number in numbers {
        let claims = claim(shared, &[number]);
        if claims != [Claim::Unknown] {
            return claims;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("never known again");
}

fn start(options: &Options) -> Uses {
    Uses::start(options).expect("an address")
}

#[test]
fn a_use_is_one_key_that_ends_and_the_first_has_it() {
    use Claim::{Again, First};
    let redis = RedisServer::start(&[]);
    let options = Options::one(redis.address());
    let daemons = [(); 2].map(|()| start(&options));
    assert_eq!(claim(&daemons[0], &[1, 2, 1]), [First, First, Again]);
    assert_eq!(claim(&daemons[1], &[2, 3]), [Again, First]);
    let key = format!("rev:{{jotd}}:used:{}", "02".repeat(20));
    let left: u64 = redis.cli(&["TTL", &key]).trim().parse().expect("seconds");
    assert!((1..=500).contains(&left), "{left}");
    assert_eq!(redis.cli(&["DBSIZE"]).trim(), "3");
}

/// Checks I-23.
#[test]
fn of_many_at_once_one_is_the_first() {
    let redis = RedisServer::start(&[]);
    let options = Options::one(redis.address());
    let daemons = [(); 3].map(|()| start(&options));
    let (sender, answers) = mpsc::channel();
    for number in 0..100 {
        for daemon in &daemons {
            let sender = sender.clone();
            let done = move |claims| sender.send(claims).expect("the test is waiting");
            daemon.claim(uses(&[number]), Box::new(done));
        }
    }
    let claims = (0..300).map(|_| answers.recv_timeout(PATIENCE).expect("an answer"));
    let claims: Vec<Claim> = claims.flatten().collect();
    let count = |wanted| claims.iter().filter(|claim| **claim == wanted).count();
    assert_eq!((count(Claim::First), count(Claim::Again)), (100, 200));
}

/// F20, F24: gone, hung, and back.
#[test]
fn without_an_answer_nothing_is_the_first() {
    let mut redis = RedisServer::start(&[]);
    let shared = start(&Options::one(redis.address()));
    assert_eq!(claim(&shared, &[1]), [Claim::First]);
    redis.kill();
    assert_eq!(claim(&shared, &[2]), [Claim::Unknown]);
    redis.restart();
    assert_eq!(claim_until_known(&shared, 10..), [Claim::First]);
    redis.stop(true);
    assert_eq!(claim(&shared, &[200]), [Claim::Unknown]);
    redis.stop(false);
    let _ = claim_until_known(&shared, 201..);
    // A server that takes no writes lets nobody in.
    redis.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(claim(&shared, &[9]), [Claim::Unknown]);
    redis.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    redis.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    std::thread::sleep(Duration::from_millis(150));
    assert_eq!(
        claim(&shared, &[8]),
        [Claim::Unknown],
        "a replica decides nothing"
    );
}

#[test]
fn a_use_that_no_replica_has_is_unknown() {
    let redis = RedisServer::start(&[]);
    let mut options = Options::one(redis.address());
    options.logs[0].durability = Durability::Replicas(1);
    assert_eq!(claim(&start(&options), &[1]), [Claim::Unknown]);
}

#[test]
fn of_three_servers_one_may_be_gone_and_another_forget() {
    let mut servers = [(); 3].map(|()| RedisServer::start(&[]));
    let log = |(number, server): (usize, &RedisServer)| LogOptions {
        name: format!("redis-{number}"),
        address: server.address(),
        durability: Durability::Memory,
    };
    let mut options = Options::one(servers[0].address());
    options.logs = servers.iter().enumerate().map(log).collect();
    options.write_quorum = 2;
    let shared = start(&options);
    assert_eq!(claim(&shared, &[1]), [Claim::First]);
    servers[0].kill();
    assert_eq!(claim(&shared, &[1, 2]), [Claim::Again, Claim::First]);
    servers[1].cli(&["FLUSHALL"]);
    assert_eq!(claim(&shared, &[1, 2]), [Claim::Again; 2]);
    servers[2].kill();
    assert_eq!(claim(&shared, &[3]), [Claim::Unknown]);
}

/// The rights in `docs/revocation.acl` are enough.
#[test]
fn the_documented_user_may_use_tokens() {
    let redis = RedisServer::start(&[]);
    let acl = include_str!("../../../../../docs/revocation.acl");
    let mut words = vec!["ACL", "SETUSER", "jotd", "on", ">secret"];
    words.extend(acl.split_whitespace());
    assert_eq!(redis.cli(&words).trim(), "OK");
    let address = format!(
        "redis+unix://{}?user=jotd&pass=secret",
        redis.socket().display()
    );
    let options = Options::one(Address::parse(&address).expect("an address"));
    assert_eq!(claim(&start(&options), &[1]), [Claim::First]);
}

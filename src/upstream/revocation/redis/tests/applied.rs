//! What `wait=applied` says, with real servers: never that all know an order while one that may answer does not.

use super::super::{Durability, LogOptions, Options};
use super::host::{Host, Memory};
use super::server::RedisServer;
use crate::clock::since_boot;
use crate::revocation::Wait;
use std::time::Duration;

/// With a short lease, so that a test need not wait long for one to run out.
fn options(server: &RedisServer) -> Options {
    Options {
        lease: Duration::from_millis(800),
        ..Options::one(server.address())
    }
}

/// Orders until one is called applied: at the start nobody knows yet who is there.
async fn until_applied(host: &Host, numbers: std::ops::Range<u32>) -> crate::revocation::Record {
    for number in numbers {
        let (record, outcome) = host.order_and_wait(number, Wait::Applied).await;
        if outcome.is_applied {
            return record;
        }
    }
    panic!("never applied: {:?}", host.view());
}

#[tokio::test]
async fn applied_is_known_to_all() {
    let server = RedisServer::start(&[]);
    let options = options(&server);
    let (giver, taker, third) = (
        Host::start(&options),
        Host::start(&options),
        Host::start(&options),
    );
    for host in [&giver, &taker, &third] {
        host.until_live().await;
    }
    until_applied(&giver, 0..8).await;
    for number in 100..160 {
        let (record, outcome) = giver.order_and_wait(number, Wait::Applied).await;
        assert!(outcome.is_applied, "{outcome:?}: {:?}", giver.view());
        assert!(taker.known.has(&record) && third.known.has(&record));
    }
}

#[tokio::test]
async fn one_that_is_gone_is_waited_for_no_longer_than_it_may_answer() {
    let server = RedisServer::start(&[]);
    let options = options(&server);
    let (giver, gone) = (Host::start(&options), Host::start(&options));
    giver.until_live().await;
    gone.until_live().await;
    until_applied(&giver, 0..8).await;
    drop(gone);
    let since = since_boot();
    let (_, outcome) = giver.order_and_wait(100, Wait::Applied).await;
    assert!(outcome.is_applied, "{outcome:?}");
    assert!(
        since_boot() - since > Duration::from_millis(400),
        "its lease had not run out"
    );
    // From then on nobody is waited for.
    until_applied(&giver, 101..103).await;
}

/// It reads and is live, and has not said that it applied anything.
#[tokio::test]
async fn one_that_does_not_say_so_is_named() {
    let server = RedisServer::start(&[]);
    let options = options(&server);
    let giver = Host::start(&options);
    giver.until_live().await;
    until_applied(&giver, 0..8).await;
    let nags = async {
        for count in 0..400 {
            let said = format!("1-0 {count}");
            server.cli(&["HSET", "rev:{jotd}:hosts", "laggard", &said]);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = nags => panic!("no answer in time"),
        (_, outcome) = giver.order_and_wait(100, Wait::Applied) => {
            assert!(outcome.is_accepted && !outcome.is_applied, "{outcome:?}");
            assert_eq!(outcome.silent, [std::sync::Arc::from("laggard")]);
        }
    }
    // Nobody speaks for it any more.
    until_applied(&giver, 101..104).await;
}

#[tokio::test]
async fn applied_with_one_of_three_logs_gone() {
    let mut servers = [
        RedisServer::start(&[]),
        RedisServer::start(&[]),
        RedisServer::start(&[]),
    ];
    let log = |(number, server): (usize, &RedisServer)| LogOptions {
        name: format!("log{number}"),
        address: server.address(),
        durability: Durability::Memory,
    };
    let options = Options {
        logs: servers.iter().enumerate().map(log).collect(),
        write_quorum: 2,
        ..options(&servers[0])
    };
    let (giver, taker) = (Host::start(&options), Host::start(&options));
    giver.until_live().await;
    taker.until_live().await;
    servers[1].kill();
    let record = until_applied(&giver, 0..8).await;
    assert!(taker.known.has(&record));
    let nobody = Host::start_with(&options, Memory::default(), &Default::default());
    servers[2].kill();
    let (_, outcome) = nobody.order_and_wait(100, Wait::Applied).await;
    assert!(!outcome.is_accepted && !outcome.is_applied, "{outcome:?}");
}

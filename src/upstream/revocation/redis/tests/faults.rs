//! What becomes of orders when servers fail, while orders keep coming: none that was accepted is lost, nobody
//! calls a log live that is not, and all come back by themselves.

use super::super::{Durability, LogOptions, LogState, Options};
use super::host::{Host, Memory, record};
use super::server::{RedisServer, free_port};
use crate::revocation::Record;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinHandle;

/// Orders that keep coming, about 500 a second.
pub(super) struct Load {
    is_over: Arc<AtomicBool>,
    task: JoinHandle<Vec<Record>>,
}

impl Load {
    pub(super) fn start(host: &Arc<Host>) -> Self {
        Self::start_at(host, 1_000_000)
    }

    /// The first order has this number.
    pub(super) fn start_at(host: &Arc<Host>, mut number: u32) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (host, over) = (Arc::clone(host), Arc::clone(&is_over));
        let task = tokio::spawn(async move {
            let mut accepted = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let orders = (number..number + 8).map(|number| host.order(number));
                number += 8;
                for (record, outcome) in join_all(orders).await {
                    if outcome.is_accepted {
                        accepted.push(record);
                    }
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            accepted
        });
        Self { is_over, task }
    }

    pub(super) async fn stop(self) -> Vec<Record> {
        self.is_over.store(true, Ordering::Relaxed);
        self.task.await.expect("no panics")
    }
}

async fn join_all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut results = Vec::new();
    // All are begun before the first is waited for.
    let mut begun: Vec<_> = futures.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        let mut left = Vec::new();
        for mut future in begun.drain(..) {
            match future.as_mut().poll(context) {
                std::task::Poll::Ready(result) => results.push(result),
                std::task::Poll::Pending => left.push(future),
            }
        }
        begun = left;
        if begun.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    results
}

/// Everyone comes back: those who were there, and one who knows nothing.
pub(super) async fn all_have(options: &Options, hosts: &[&Host], accepted: &[Record]) {
    assert!(!accepted.is_empty(), "orders were accepted");
    let cold = Host::start(options);
    for host in hosts.iter().chain([&&cold]) {
        host.until_live().await;
        for record in accepted {
            host.until_it_has(record).await;
        }
    }
    let view = hosts[0]
        .until("caught up", |view| {
            view.logs
                .iter()
                .filter(|log| log.state == LogState::Live)
                .all(|log| log.backlog == 0)
        })
        .await;
    assert!(view.logs.iter().all(|log| log.unreadable == 0), "{view:?}");
}

fn three(servers: &[RedisServer; 3]) -> Options {
    let log = |(number, server): (usize, &RedisServer)| LogOptions {
        name: format!("log{number}"),
        address: server.address(),
        durability: Durability::Memory,
    };
    Options {
        logs: servers.iter().enumerate().map(log).collect(),
        write_quorum: 2,
        ..Options::one(servers[0].address())
    }
}

/// Runs a fault on one log while two hosts follow it and one of them orders.
pub(super) async fn with_one_log(
    arguments: &[&str],
    fault: impl AsyncFnOnce(&mut RedisServer, &Host),
) {
    let mut server = RedisServer::start(arguments);
    let options = Options::one(server.address());
    let (busy, other) = (Arc::new(Host::start(&options)), Host::start(&options));
    busy.until_live().await;
    other.until_live().await;
    let load = Load::start(&busy);
    busy.order_until_accepted(1).await;
    fault(&mut server, &other).await;
    other.until_live().await;
    let last = busy.order_until_accepted(2).await;
    let mut accepted = load.stop().await;
    accepted.push(last);
    all_have(&options, &[&busy, &other], &accepted).await;
}

/// Checks F-16, F-17.
#[tokio::test]
async fn killed_and_restarted_empty() {
    with_one_log(&[], async |server, _| {
        server.kill();
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.restart();
    })
    .await;
}

/// Checks F-16.
#[tokio::test]
async fn killed_and_restarted_with_its_file() {
    with_one_log(
        &["--appendonly", "yes", "--appendfsync", "always"],
        async |server, _| {
            server.kill();
            server.restart();
        },
    )
    .await;
}

/// Checks F-18.
#[tokio::test]
async fn flushed() {
    with_one_log(&[], async |server, other| {
        let lost = other.view().logs[0].histories_lost;
        server.cli(&["FLUSHALL"]);
        other
            .until("noticed", |view| view.logs[0].histories_lost > lost)
            .await;
    })
    .await;
}

#[tokio::test]
async fn stream_and_state_deleted() {
    with_one_log(&[], async |server, _| {
        server.cli(&["DEL", "rev:{jotd}:log"]);
        tokio::time::sleep(Duration::from_millis(700)).await;
        server.cli(&["DEL", "rev:{jotd}:state"]);
    })
    .await;
}

/// Checks F-24.
#[tokio::test]
async fn stopped_for_longer_than_the_lease() {
    with_one_log(&[], async |server, other| {
        server.stop(true);
        other
            .until("suspect", |view| view.standing.state == LogState::Suspect)
            .await;
        server.stop(false);
    })
    .await;
}

/// Checks F-24. Every answer takes a fifth of a second: slow is not gone.
#[tokio::test]
async fn every_answer_is_slow() {
    with_one_log(&[], async |server, other| {
        for _ in 0..15 {
            server.cli(&["CLIENT", "PAUSE", "200", "ALL"]);
        }
        let view = other.view();
        assert!(view.logs[0].histories_lost == 0, "{view:?}");
    })
    .await;
}

/// Checks F-27.
#[tokio::test]
async fn out_of_memory() {
    with_one_log(&[], async |server, other| {
        server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
        other
            .until("suspect", |view| view.standing.state == LogState::Suspect)
            .await;
        let (_, outcome) = other.order(3).await;
        assert!(!outcome.is_accepted);
        server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    })
    .await;
}

/// Checks F-28.
#[tokio::test]
async fn demoted_and_promoted_again() {
    with_one_log(&[], async |server, other| {
        // A master that is not there: the replica keeps what it has, and refuses writes.
        server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
        other
            .until("suspect", |view| view.standing.state == LogState::Suspect)
            .await;
        server.cli(&["REPLICAOF", "NO", "ONE"]);
    })
    .await;
}

/// Checks F-26.
#[tokio::test]
async fn rights_revoked_and_given_back() {
    let server = RedisServer::start(&[]);
    let rights = include_str!("../../../../../docs/revocation.acl");
    let rights: Vec<_> = rights.split_whitespace().collect();
    let give = [&["ACL", "SETUSER", "jotd", "on", ">secret"], &rights[..]].concat();
    assert_eq!(server.cli(&give).trim(), "OK");
    let mut options = Options::one(server.address());
    let url = format!(
        "redis+unix://{}?user=jotd&pass=secret",
        server.socket().display()
    );
    options.logs[0].address = crate::upstream::dial::Address::parse(&url).expect("an address");
    let host = Host::start(&options);
    host.until_live().await;
    let first = host.order_until_accepted(1).await;
    server.cli(&["ACL", "SETUSER", "jotd", "off"]);
    server.cli(&["CLIENT", "KILL", "USER", "jotd"]);
    host.until("suspect", |view| view.standing.state == LogState::Suspect)
        .await;
    assert_eq!(host.view().logs[0].fault, Some("denied"));
    assert!(!host.order(2).await.1.is_accepted);
    server.cli(&["ACL", "SETUSER", "jotd", "on"]);
    all_have(&options, &[&host], &[first, record(2)]).await;
    // Nothing that it does needs more than the documented rights.
    assert!(
        !server.cli(&["ACL", "LOG"]).contains("command"),
        "{}",
        server.cli(&["ACL", "LOG"])
    );
}

/// Checks F-23.
#[tokio::test]
async fn trimmed_past_the_cursor() {
    let server = RedisServer::start(&[]);
    let options = Options::one(server.address());
    let away = Host::start(&options);
    let cursor = away.until_live().await.logs[0].cursor;
    let known = away.known.clone();
    drop(away);
    let host = Host::start(&options);
    let first = host.order_until_accepted(1).await;
    server.cli(&["XTRIM", "rev:{jotd}:log", "MAXLEN", "0"]);
    let last = host.order_until_accepted(2).await;
    let fresh = Memory::default();
    *fresh.0.lock().expect("no panics") = known.0.lock().expect("no panics").clone();
    let back = Host::start_with(&options, fresh, &HashMap::from([("redis".into(), cursor)]));
    let view = back.until_live().await;
    assert_eq!((view.logs[0].scans, view.logs[0].histories_lost), (1, 1));
    assert!(back.known.has(&first) && back.known.has(&last));
}

#[tokio::test]
async fn resumed_where_it_was_left() {
    let server = RedisServer::start(&[]);
    let options = Options::one(server.address());
    let host = Host::start(&options);
    host.until_live().await;
    let first = host.order_until_accepted(1).await;
    let away = Host::start(&options);
    away.until_it_has(&first).await;
    let cursor = away.until_live().await.logs[0].cursor;
    let known = away.known.clone();
    drop(away);
    let last = host.order_until_accepted(2).await;
    let back = Host::start_with(&options, known, &HashMap::from([("redis".into(), cursor)]));
    let view = back.until_live().await;
    assert_eq!(
        view.logs[0].scans, 0,
        "what is remembered is not read again"
    );
    assert!(back.known.has(&last));
}

/// Checks F-25.
/// Somebody else listens there, and says whatever.
#[tokio::test]
async fn garbage() {
    for nonsense in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"+OK\r\n+OK\r\n+OK\r\n+OK\r\n",
        b"*99999999\r\n",
        b"$-7\r\n\xff\xfe",
        b"*2\r\n*2\r\n*2\r\n",
        b"",
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("redis.sock");
        let listener = tokio::net::UnixListener::bind(&socket).expect("a socket");
        let server = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(nonsense).await;
            }
        });
        let address = format!("redis+unix://{}", socket.display());
        let host = Host::start(&Options::one(
            crate::upstream::dial::Address::parse(&address).expect("an address"),
        ));
        assert!(!host.order(1).await.1.is_accepted);
        let view = host
            .until("at fault", |view| {
                view.logs.iter().any(|log| log.fault.is_some())
            })
            .await;
        assert_eq!(view.standing.state, LogState::Cold, "{nonsense:?}");
        server.abort();
    }
}

/// Checks F-18, F-29.
#[tokio::test]
async fn one_of_three_lost_for_good_and_another_emptied() {
    let mut servers = [
        RedisServer::start(&[]),
        RedisServer::start(&[]),
        RedisServer::start(&[]),
    ];
    let options = three(&servers);
    let (busy, other) = (Arc::new(Host::start(&options)), Host::start(&options));
    busy.until_live().await;
    other.until_live().await;
    let load = Load::start(&busy);
    busy.order_until_accepted(1).await;
    servers[0].kill();
    busy.order_until_accepted(2).await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(
        other.view().standing.state,
        LogState::Live,
        "two of three suffice"
    );
    servers[1].stop(true);
    other
        .until("suspect", |view| view.standing.state == LogState::Suspect)
        .await;
    assert!(!other.order(3).await.1.is_accepted, "one of three does not");
    servers[1].stop(false);
    other.until_live().await;
    servers[2].cli(&["FLUSHALL"]);
    let last = busy.order_until_accepted(4).await;
    let mut accepted = load.stop().await;
    accepted.push(last);
    all_have(&options, &[&busy, &other], &accepted).await;
    // Each log that is left holds everything.
    busy.until("repaired", |view| {
        view.logs.iter().all(|log| log.repairs_waiting == 0)
    })
    .await;
    for server in &servers[1..] {
        assert!(server.held() >= accepted.len(), "{}", server.held());
    }
}

/// Checks F-20.
#[tokio::test]
async fn failover_to_a_replica() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut primary = RedisServer::start(&[]);
    let replica = RedisServer::start(&[]);
    // Replication over a loopback port of its own; clients go by a link that a failover moves.
    let port = free_port().to_string();
    primary.cli(&["CONFIG", "SET", "port", &port]);
    replica.cli(&["REPLICAOF", "127.0.0.1", &port]);
    let link = folder.path().join("redis.sock");
    std::os::unix::fs::symlink(primary.socket(), &link).expect("a link");
    let address = format!("redis+unix://{}", link.display());
    let mut options =
        Options::one(crate::upstream::dial::Address::parse(&address).expect("an address"));
    options.logs[0].durability = Durability::Replicas(1);
    let (busy, other) = (Arc::new(Host::start(&options)), Host::start(&options));
    busy.until_live().await;
    other.until_live().await;
    let load = Load::start(&busy);
    let first = busy.order_until_accepted(1).await;
    let cursor = other.view().logs[0].cursor.at.expect("a cursor");
    primary.kill();
    replica.cli(&["REPLICAOF", "NO", "ONE"]);
    std::fs::remove_file(&link).expect("a link");
    std::os::unix::fs::symlink(replica.socket(), &link).expect("a link");
    let view = other.until("in a new epoch", |view| {
        view.logs[0].cursor.at.is_some_and(|at| at.0 > cursor.0)
    });
    view.await;
    // The new primary has no replica, so nothing is accepted, and nobody is live.
    assert!(!busy.order(2).await.1.is_accepted);
    other
        .until("suspect", |view| view.standing.state == LogState::Suspect)
        .await;
    let mut accepted = load.stop().await;
    accepted.push(first);
    let second = RedisServer::start(&[]);
    let port = free_port().to_string();
    replica.cli(&["CONFIG", "SET", "port", &port]);
    second.cli(&["REPLICAOF", "127.0.0.1", &port]);
    all_have(&options, &[&busy, &other], &accepted).await;
}

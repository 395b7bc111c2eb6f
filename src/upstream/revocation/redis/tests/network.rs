//! Faults of the network itself, in namespaces of their own: a process that is killed over loopback still has
//! its last bytes delivered by the kernel, so only a link that is cut first loses anything.
//!
//! They need root. Without it they say so and stop, unless `JOTD_FAULTS` asks for all of them.

use super::super::{Durability, LogState, Options};
use super::faults::{Load, all_have};
use super::host::Host;
use super::server::RedisServer;
use crate::revocation::Wait;
use crate::upstream::dial::Address;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Two hosts and the cable between them.
struct Network {
    /// Names of namespaces; none for where the test itself runs.
    sides: [Option<String>; 2],
    subnet: String,
    cable: String,
}

impl Network {
    /// `None` where namespaces cannot be made.
    fn new(is_outside_too: bool) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let id = std::process::id() % 50_000;
        let name = |side: &str| format!("jotd-{id}-{number}{side}");
        let network = Self {
            sides: [(!is_outside_too).then(|| name("a")), Some(name("b"))],
            subnet: format!("10.{}.{}", 200 + number % 50, id % 250),
            cable: format!("jo{id}{number}"),
        };
        for side in network.sides.iter().flatten() {
            if !ip(&["netns", "add", side]) {
                assert!(super::is_thorough(), "JOTD_FAULTS needs root and `ip`");
                eprintln!("not run: no network namespaces here");
                return None;
            }
        }
        let ends = ["a", "b"].map(|end| format!("{}{end}", network.cable));
        assert!(ip(&[
            "link", "add", &ends[0], "type", "veth", "peer", "name", &ends[1]
        ]));
        for (side, end) in network.sides.iter().zip(&ends) {
            if let Some(side) = side {
                assert!(ip(&["link", "set", end, "netns", side]));
            }
        }
        for side in [0, 1] {
            let address = format!("{}/24", network.address(side));
            assert!(network.ip(side, &["addr", "add", &address, "dev", &ends[side]]));
            // Two servers of one side reach each other whatever becomes of the cable.
            assert!(network.ip(side, &["link", "set", "lo", "up"]));
        }
        network.plug(true);
        Some(network)
    }

    fn address(&self, side: usize) -> String {
        format!("{}.{}", self.subnet, side + 1)
    }

    fn plug(&self, is_plugged: bool) {
        let to = if is_plugged { "up" } else { "down" };
        for (side, end) in ["a", "b"].iter().enumerate() {
            let end = format!("{}{end}", self.cable);
            assert!(self.ip(side, &["link", "set", &end, to]));
        }
    }

    /// A server on one side, which is also reached by its Unix socket, whatever becomes of the cable.
    fn server(&self, side: usize) -> RedisServer {
        self.server_at(side, "6379")
    }

    fn server_at(&self, side: usize, port: &str) -> RedisServer {
        let address = self.address(side);
        let arguments = ["--port", port, "--bind", &address, "--protected-mode", "no"];
        let prefix: Vec<_> = match &self.sides[side] {
            Some(side) => vec!["ip", "netns", "exec", side],
            None => Vec::new(),
        };
        RedisServer::start_under(
            &prefix,
            &[&arguments[..], &["--repl-timeout", "2"]].concat(),
        )
    }

    fn ip(&self, side: usize, arguments: &[&str]) -> bool {
        match &self.sides[side] {
            Some(side) => ip(&[&["-n", side], arguments].concat()),
            None => ip(arguments),
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if self.sides[0].is_none() {
            ip(&["link", "del", &format!("{}a", self.cable)]);
        }
        for side in self.sides.iter().flatten() {
            ip(&["netns", "del", side]);
        }
    }
}

fn ip(arguments: &[&str]) -> bool {
    let output = Command::new("ip").args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

/// How often the long ones are done.
fn rounds(few: u32, many: u32) -> u32 {
    if super::is_thorough() { many } else { few }
}

/// Checks F-20.
#[tokio::test]
async fn the_link_is_cut_and_then_the_primary_killed() {
    let Some(network) = Network::new(false) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let link = folder.path().join("redis.sock");
    let mut servers = [network.server(0), network.server(1)];
    servers[1].cli(&["REPLICAOF", &network.address(0), "6379"]);
    std::os::unix::fs::symlink(servers[0].socket(), &link).expect("a link");
    let url = format!("redis+unix://{}", link.display());
    let mut options = Options::one(Address::parse(&url).expect("an address"));
    options.logs[0].durability = Durability::Replicas(1);
    let (busy, other) = (Arc::new(Host::start(&options)), Host::start(&options));
    let mut would_be_lost = 0;
    let mut accepted = Vec::new();
    let rounds = rounds(1, 50);
    for round in 0..rounds + 10 {
        // A round in which nothing was under way when the link was cut shows nothing: then there is one more.
        if round >= rounds && would_be_lost > 0 {
            break;
        }
        let (old, new) = ((round % 2) as usize, 1 - (round % 2) as usize);
        busy.until_live().await;
        other.until_live().await;
        let load = Load::start_at(&busy, 1_000_000 * (round + 1));
        accepted.push(busy.order_until_accepted(2 * round).await);
        tokio::time::sleep(Duration::from_millis(300)).await;
        network.plug(false);
        tokio::time::sleep(Duration::from_millis(1_000)).await;
        let held_before = servers[old].held();
        servers[old].kill();
        servers[new].cli(&["REPLICAOF", "NO", "ONE"]);
        would_be_lost += held_before - servers[new].held().min(held_before);
        std::fs::remove_file(&link).expect("a link");
        std::os::unix::fs::symlink(servers[new].socket(), &link).expect("a link");
        network.plug(true);
        servers[old] = network.server(old);
        servers[old].cli(&["REPLICAOF", &network.address(new), "6379"]);
        accepted.push(busy.order_until_accepted(2 * round + 1).await);
        accepted.extend(load.stop().await);
    }
    all_have(&options, &[&busy, &other], &accepted).await;
    assert!(
        would_be_lost > 0,
        "the cut cost nothing, so this shows nothing"
    );
    eprintln!(
        "{} accepted, none lost; {would_be_lost} writes went down with their primaries",
        accepted.len()
    );
}

/// Checks F-22.
#[tokio::test]
async fn a_primary_that_is_cut_off_is_not_believed() {
    let Some(network) = Network::new(false) else {
        return;
    };
    let servers = [network.server(0), network.server(1)];
    servers[1].cli(&["REPLICAOF", &network.address(0), "6379"]);
    let mut options = Options::one(servers[0].address());
    options.logs[0].durability = Durability::Replicas(1);
    let host = Host::start(&options);
    host.until_live().await;
    network.plug(false);
    // It goes on answering, and taking writes; what it says is no longer worth anything.
    host.until("suspect", |view| view.standing.state == LogState::Suspect)
        .await;
    assert!(servers[0].cli(&["PING"]).contains("PONG"));
    assert!(!host.order(1).await.1.is_accepted);
    network.plug(true);
    host.until_live().await;
    host.order_until_accepted(2).await;
}

/// Checks F-22.
/// Two primaries at once, each with hosts that reach only that one.
#[tokio::test]
async fn an_old_primary_goes_on_answering_beside_a_promoted_one() {
    let Some(network) = Network::new(false) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let old = network.server(0);
    let [new, replica] = ["6379", "6380"].map(|port| network.server_at(1, port));
    new.cli(&["REPLICAOF", &network.address(0), "6379"]);
    replica.cli(&["REPLICAOF", &network.address(1), "6379"]);
    let options = |name: &str| {
        let link = folder.path().join(name);
        let address = Address::parse(&format!("redis+unix://{}", link.display()));
        let mut options = Options::one(address.expect("an address"));
        options.logs[0].durability = Durability::Replicas(1);
        options
    };
    let point = |name: &str, server: &RedisServer| {
        let link = folder.path().join(name);
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(server.socket(), link).expect("a link");
    };
    for name in ["near", "away"] {
        point(name, &old);
    }
    let (near, away) = (Host::start(&options("near")), Host::start(&options("away")));
    let away = Arc::new(away);
    near.until_live().await;
    away.until_live().await;
    let mut accepted = vec![away.order_until_accepted(1).await];
    let epoch = away.view().logs[0].cursor.at.expect("a cursor").0;

    network.plug(false);
    new.cli(&["REPLICAOF", "NO", "ONE"]);
    point("away", &new);
    old.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
    away.until("in a new epoch", |view| {
        view.logs[0].cursor.at.is_some_and(|at| at.0 > epoch)
    })
    .await;
    let load = Load::start(&away);
    // Whoever follows the old one does not learn of these: it must not be live when they are called applied.
    let mut applied = None;
    for number in 10..20 {
        let (record, outcome) = away.order_and_wait(number, Wait::Applied).await;
        if outcome.is_applied {
            assert_ne!(near.view().standing.state, LogState::Live);
            applied = Some(record);
            break;
        }
    }
    let applied = applied.unwrap_or_else(|| panic!("never applied: {:?}", away.view()));
    accepted.push(applied);
    near.until("suspect", |view| view.standing.state == LogState::Suspect)
        .await;
    assert!(old.cli(&["PING"]).contains("PONG"), "it goes on answering");
    assert!(!near.order(2).await.1.is_accepted);
    let cut_off = load.stop().await;
    assert!(!cut_off.is_empty());
    assert!(cut_off.iter().all(|record| !near.known.has(record)));
    accepted.extend(cut_off);

    old.cli(&["REPLICAOF", &network.address(1), "6379"]);
    network.plug(true);
    point("near", &new);
    old.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
    // What only the old one was given is not lost either: it is on the disk of who gave it.
    accepted.push(super::host::record(2));
    all_have(&options("near"), &[&near, &away], &accepted).await;
}

/// Checks F-19.
#[tokio::test]
async fn a_partition_of_any_length_is_survived() {
    let Some(network) = Network::new(true) else {
        return;
    };
    let server = network.server(1);
    let far = Options::one(
        Address::parse(&format!("redis://{}:6379", network.address(1))).expect("an address"),
    );
    // One orders on the server's own host; the other is on the far side of the cable.
    let near = Arc::new(Host::start(&Options::one(server.address())));
    let away = Host::start(&far);
    let lengths: &[u64] = if super::is_thorough() {
        &[100, 1_000, 5_000, 20_000, 60_000]
    } else {
        &[2_500]
    };
    let mut accepted = Vec::new();
    for (round, length) in (0..).zip(lengths) {
        near.until_live().await;
        away.until_live().await;
        let load = Load::start_at(&near, 1_000_000 * (round + 1));
        accepted.push(near.order_until_accepted(round).await);
        network.plug(false);
        tokio::time::sleep(Duration::from_millis(*length)).await;
        if *length > 2_200 {
            assert_ne!(
                away.view().standing.state,
                LogState::Live,
                "its lease is over"
            );
        }
        network.plug(true);
        tokio::time::sleep(Duration::from_millis(200)).await;
        accepted.extend(load.stop().await);
    }
    all_have(&far, &[&near, &away], &accepted).await;
}

//! What a stepping wall clock does to orders: nothing.

use super::redis::Options;
use super::redis::tests::server::RedisServer;
use super::{Desk, Intake};
use crate::clock::{Clock, Now, since_boot};
use crate::metrics::Metrics;
use crate::revocation::{IdKey, Member, Order, Progress, Record, Register, Wait};
use crate::verdict::RevocationState;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const DAY: i64 = 86_400;

fn open(folder: &Path, options: &Options, clock: &Clock) -> Desk {
    let register = Arc::new(Register::new(&crate::revocation::Options::default()));
    let intake = Intake::new(register, clock.clone(), Arc::new(Metrics::new()));
    Desk::open_shared(folder, Arc::new(intake), Some(options)).expect("it opens")
}

/// An order about a token that lives for another hour, whatever anybody's clock says.
fn record(jti: &str) -> Record {
    let order = Order::everything("acme").naming(Member::TokenId, jti);
    let now = Clock::system().now();
    let order = order.expect("a value that tokens can have");
    let record = order.record(&IdKey::new(b""), Some(3_600), now);
    record.expect("in time")
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let since = since_boot();
    while !is_so() {
        let waited = since_boot() - since;
        assert!(waited < Duration::from_secs(30), "never {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn now(desk: &Desk) -> Now {
    desk.intake().clock().now()
}

fn is_live(desk: &Desk) -> bool {
    desk.intake().register().freshness(now(desk)).state == RevocationState::Live
}

/// Checks F-41. Steps while it runs, and starts with a clock that is wrong: what was accepted is known afterwards, and
/// nobody stops answering for it.
#[tokio::test]
async fn a_stepping_clock_forgets_nothing_and_holds_nobody_up() {
    let server = RedisServer::start(&[]);
    let options = Options::one(server.address());
    let folders =
        [tempfile::tempdir(), tempfile::tempdir()].map(|folder| folder.expect("a folder"));
    let steady = open(folders[0].path(), &options, &Clock::system());
    let (clock, mut off) = Clock::off_by(0);
    let mut stepped = open(folders[1].path(), &options, &clock);
    until("live", || is_live(&steady) && is_live(&stepped)).await;
    let mut given = Vec::new();
    for seconds in [DAY, -DAY, 1, -1, 0] {
        off.store(seconds, Ordering::Relaxed);
        for giver in [&stepped, &steady] {
            let order = record(&format!("{seconds} {}", given.len()));
            let receipt = giver.submit(vec![order], Wait::Accepted).await;
            assert_eq!(
                receipt.map(|receipt| receipt.progress),
                Ok(Progress::Accepted)
            );
            given.push(order);
        }
        for desk in [&stepped, &steady] {
            let register = desk.intake().register();
            let has_all = || given.iter().all(|record| register.contains(record));
            until("told", has_all).await;
            register.prune(now(desk));
            assert!(has_all(), "forgotten at {seconds} s");
            assert!(is_live(desk), "not live at {seconds} s");
        }
        stepped.stop();
        let late = open(folders[1].path(), &options, &Clock::off_by(seconds).0);
        let register = late.intake().register();
        register.prune(now(&late));
        let has_all = given.iter().all(|record| register.contains(record));
        assert!(has_all, "forgotten by a start at {seconds} s");
        until("live", || is_live(&late)).await;
        late.stop();
        let (clock, new_off) = Clock::off_by(0);
        stepped = open(folders[1].path(), &options, &clock);
        off = new_off;
        until("live", || is_live(&stepped)).await;
    }
    assert_eq!(server.held(), given.len());
}

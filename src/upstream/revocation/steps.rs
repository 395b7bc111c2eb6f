//! What a stepping wall clock does to orders: nothing.

use super::Desk;
use super::redis::Options;
use super::redis::tests::server::RedisServer;
use super::rig::{is_live, open, record, until};
use crate::clock::Clock;
use crate::revocation::{Progress, Wait};
use std::sync::atomic::Ordering;

const DAY: i64 = 86_400;

fn prune(desk: &Desk) {
    let intake = desk.intake();
    intake.register().prune(intake.clock().now());
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
            prune(desk);
            assert!(has_all(), "forgotten at {seconds} s");
            assert!(is_live(desk), "not live at {seconds} s");
        }
        stepped.stop();
        let late = open(folders[1].path(), &options, &Clock::off_by(seconds).0);
        let register = late.intake().register();
        prune(&late);
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

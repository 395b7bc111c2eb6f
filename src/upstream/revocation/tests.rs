//! The desk with this host's own log behind it.

use super::small_disk::SmallDisk;
use super::{Desk, Intake};
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::revocation::{
    Guarantee, IdKey, Member, NotTaken, Order, Progress, Record, Register, Standing, Wait,
};
use std::path::Path;
use std::sync::Arc;

const NOW: i64 = 1_710_000_000;

fn open(folder: &Path) -> Desk {
    let register = Arc::new(Register::new(&crate::revocation::Options::default()));
    let metrics = Arc::new(Metrics::new());
    let intake = Intake::new(register, Clock::fixed(NOW), metrics);
    Desk::open(folder, Arc::new(intake)).expect("it opens")
}

fn record(jti: &str) -> Record {
    let order = Order::everything("acme").naming(Member::TokenId, jti);
    let order = order.expect("a value that tokens can have");
    let now = crate::clock::Now::at(NOW);
    order
        .record(&IdKey::new(b""), Some(3_600), now)
        .expect("in time")
}

/// Checks F-40.
/// A disk that is really full, not one that is said to be.
#[tokio::test]
async fn a_full_disk_takes_no_order_and_loses_none() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let folder = disk.path().join("state");
    let desk = open(&folder);
    let register = Arc::clone(desk.intake().register());
    let mut taken = Vec::new();
    disk.fill();
    // The page that the file ends in has room for some.
    let refused = loop {
        let order = record(&format!("order-{}", taken.len()));
        match desk.submit(vec![order], Wait::Accepted).await {
            Ok(_) => taken.push(order),
            Err(why) => {
                assert_eq!(why, NotTaken::DiskFull);
                break order;
            }
        }
        assert!(taken.len() < 1_000, "it is not full");
    };
    assert!(!register.contains(&refused), "it has no effect");
    disk.empty();
    let last = record("last");
    assert!(desk.submit(vec![last], Wait::Accepted).await.is_ok());
    taken.push(last);
    desk.stop();
    let desk = open(&folder);
    let register = desk.intake().register();
    assert!(taken.iter().all(|order| register.contains(order)));
    assert_eq!(register.len(), taken.len());
}

#[tokio::test]
async fn what_is_acknowledged_is_known_now_and_after_a_restart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let desk = open(folder.path());
    let mut arrivals = desk.intake().watch();
    let register = Arc::clone(desk.intake().register());
    assert_eq!(register.standing(), Standing::Local);
    let [one, two] = [record("one"), record("two")];
    let receipt = desk
        .submit(vec![one, two], Wait::Applied)
        .await
        .expect("taken");
    assert_eq!(receipt.progress, Progress::Applied);
    assert_eq!(receipt.guarantee, Guarantee::Disk);
    assert_eq!((receipt.revision, receipt.positions[0].sequence), (2, 2));
    assert_eq!(register.applied(), 2);
    assert!(register.contains(&one) && register.contains(&two));
    let arrival = arrivals.recv().await.expect("told");
    assert_eq!(
        (&*arrival.records, arrival.revision, arrival.at),
        (&[one, two][..], 2, NOW)
    );
    let text = desk.intake().metrics().render();
    assert!(
        text.contains("jotd_revoked_total{kind=\"jti\"} 2"),
        "{text}"
    );
    desk.stop();
    let refused = desk.submit(vec![one], Wait::Accepted).await;
    assert_eq!(refused, Err(NotTaken::Stopping));

    let desk = open(folder.path());
    let register = desk.intake().register();
    assert!(register.contains(&one) && register.contains(&two));
    assert_eq!((register.len(), register.applied()), (2, 2));
    desk.intake().report();
    let text = desk.intake().metrics().render();
    for line in [
        "jotd_revocation_entries 2",
        "jotd_revocation_state{state=\"live\"} 1",
        "jotd_revocation_state{state=\"stale\"} 0",
        "jotd_revocation_lag_seconds 0.0",
        "jotd_revocation_log_records 2",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    desk.stop();
}

/// Many who wait are answered by few syncs, each with what was known when it was answered.
#[tokio::test]
async fn orders_that_come_together_are_made_safe_together() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let desk = open(folder.path());
    let submit = |number: usize| {
        let desk = desk.clone();
        async move {
            desk.submit(vec![record(&number.to_string())], Wait::Accepted)
                .await
        }
    };
    let waiting: Vec<_> = (0..500)
        .map(|number| tokio::spawn(submit(number)))
        .collect();
    for (number, one) in waiting.into_iter().enumerate() {
        let receipt = one.await.expect("no panic").expect("taken");
        assert!(
            desk.intake()
                .register()
                .contains(&record(&number.to_string()))
        );
        assert!(receipt.revision <= 500);
    }
    desk.stop();
    assert_eq!(open(folder.path()).intake().register().len(), 500);
}

/// A journal of mostly repetitions is written anew, while orders go on.
#[tokio::test]
async fn a_log_of_repetitions_shrinks() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let desk = open(folder.path());
    let mut submitted = 0;
    for round in 0..40_u32 {
        let again: Vec<Record> = (0..4_000)
            .map(|number| Record {
                before: round,
                ..record(&(number % 100).to_string())
            })
            .collect();
        submitted += again.len() as u64;
        let receipt = desk.submit(again, Wait::Accepted).await.expect("taken");
        assert_eq!(receipt.revision, submitted, "it never runs back");
    }
    desk.stop();
    assert!(desk.intake().metrics().revocation_compactions.get() > 0);
    let desk = open(folder.path());
    let register = desk.intake().register();
    assert_eq!((register.len(), register.applied()), (100, submitted));
    assert!(desk.intake().metrics().revocation_log_records.get() < 100_000);
    desk.stop();
}

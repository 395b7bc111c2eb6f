//! Going down: what was taken is answered, what comes too late is told so, and then the door is shut.

use crate::house::*;
use jotd::transport::wire::FaultCode;
use std::collections::BTreeSet;

#[tokio::test]
async fn whatever_was_taken_is_answered_before_the_end() {
    let house = House::open().await;
    let mut raw = house.raw().await;
    let mut bytes = Vec::new();
    let asked: BTreeSet<u64> = (1..=60).collect();
    for request_id in &asked {
        let tokens: Vec<_> = (0..20)
            .map(|nth| good_number(request_id * 100 + nth))
            .collect();
        bytes.extend_from_slice(&asking(*request_id, &tokens));
    }
    raw.send(&bytes).await;
    // The server shares this thread, so it takes some of the frames, and the shutdown falls between.
    tokio::task::yield_now().await;
    house.begin_shutdown();
    let mut answered = BTreeSet::new();
    let mut refused = BTreeSet::new();
    let mut goaway = 0;
    while let Some(said) = raw.next().await {
        match said {
            Said::Verdicts(request_id, verdicts) => {
                assert_eq!(words(&verdicts), ["valid"; 20]);
                assert!(answered.insert(request_id), "{request_id} twice");
            }
            Said::Error(report) => {
                assert_eq!(report.code, FaultCode::GoingAway as u16);
                assert!(goaway > 0, "GOAWAY comes before the first refusal");
                assert!(refused.insert(report.request_id));
            }
            Said::Goaway => goaway += 1,
            Said::Pong(_) => panic!("nobody asked"),
        }
    }
    assert_eq!(goaway, 1);
    assert!(answered.is_disjoint(&refused));
    assert_eq!(
        &answered | &refused,
        asked,
        "each question has its one answer"
    );
    house.closed().await;
}

#[tokio::test]
async fn idle_connections_are_told_and_closed_and_no_new_ones_are_taken() {
    let house = House::open().await;
    let mut idle = house.raw().await;
    let silent = house.stream().await;
    let client = house.client().await;
    house.begin_shutdown();
    assert!(matches!(idle.next().await, Some(Said::Goaway)));
    assert!(idle.next().await.is_none());
    assert!(Raw::new(silent).next().await.is_none());
    within(async {
        while !client.is_going_away() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let socket = house.socket.clone();
    house.closed().await;
    assert!(tokio::net::UnixStream::connect(socket).await.is_err());
}

//! Bounds hold whatever a client does: credits, connections, memory, patience.

use crate::house::*;
use jotd::transport::Limits;
use jotd::transport::client::{Client, ClientError};
use jotd::transport::wire::{Ask, FaultCode, Hello};
use jotd::verify::Want;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn a_request_beyond_the_credits_is_refused_and_the_others_are_not() {
    let house = House::open().await;
    let frugal = Hello {
        credits: 2,
        ..Hello::CLIENT
    };
    let mut raw = house.raw_with(frugal).await;
    // All arrive in one read, and none of the first two can be answered before the third is looked at.
    let mut bytes = Vec::new();
    for request_id in 1..=3 {
        bytes.extend_from_slice(&asking(request_id, &[good_number(request_id)]));
    }
    raw.send(&bytes).await;
    assert_eq!(raw.error().await, (3, FaultCode::TooManyInFlight));
    let mut answered = [raw.verdicts().await.0, raw.verdicts().await.0];
    answered.sort_unstable();
    assert_eq!(answered, [1, 2]);
    raw.send(&asking(4, &[good_number(4)])).await;
    assert_eq!(raw.verdicts().await.0, 4, "the credits came back");
}

fn refused_with(refused: Result<Client, ClientError>, code: FaultCode) -> bool {
    match refused {
        Err(ClientError::Refused(report)) => report.code == code as u16,
        // Under a flood the connection may be closed before the client has said a word.
        Err(ClientError::Socket(_) | ClientError::Closed) => true,
        Err(_) | Ok(_) => false,
    }
}

#[tokio::test]
async fn a_flood_of_connections_is_refused_and_those_inside_go_on() {
    let limits = Limits {
        connections_max: 4,
        ..Limits::default()
    };
    let house = House::with(limits, Vec::new()).await;
    let mut inside = Vec::new();
    for _ in 0..4 {
        inside.push(house.client().await);
    }
    let one_more = within(Client::connect(&house.socket)).await;
    assert!(
        matches!(&one_more, Err(ClientError::Refused(report))
            if report.code == FaultCode::TooManyConnections as u16 && report.retry_after_ms > 0),
        "{one_more:?}"
    );
    let mut flood = tokio::task::JoinSet::new();
    for _ in 0..500 {
        let socket = house.socket.clone();
        flood.spawn(async move { within(Client::connect(socket)).await });
    }
    while let Some(refused) = flood.join_next().await {
        assert!(refused_with(
            refused.unwrap(),
            FaultCode::TooManyConnections
        ));
    }
    assert!(house.faults("limit") >= 400);
    for client in &inside {
        let verdicts = within(client.verify(&[good()], &Want::Verdict))
            .await
            .unwrap();
        assert_eq!(words(&verdicts), ["valid"]);
    }
    drop(inside);
    house.connections(0).await;
    within(house.client().await.ping()).await.unwrap();
}

#[tokio::test]
async fn a_refused_http_client_is_told_in_http() {
    let limits = Limits {
        connections_per_peer_max: 0,
        ..Limits::default()
    };
    let house = House::with(limits, Vec::new()).await;
    let mut stream = house.stream().await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut said = String::new();
    within(stream.read_to_string(&mut said)).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 503 "), "{said}");
    assert!(said.contains("retry-after"), "{said}");
}

/// Limits whose patience ends within the test.
fn impatient() -> Limits {
    Limits {
        handshake_timeout: Duration::from_millis(100),
        stall_timeout: Duration::from_millis(100),
        ..Limits::default()
    }
}

#[tokio::test]
async fn unfinished_hellos_and_frames_end_and_silence_after_the_hello_does_not() {
    let house = House::with(impatient(), Vec::new()).await;
    let mut silent_from_the_start = Raw::new(house.stream().await);
    let mut half_a_hello = Raw::new(house.stream().await);
    half_a_hello.send(b"\x89JOTD").await;
    let mut half_a_frame = house.raw().await;
    half_a_frame.send(&asking(1, &[good()])[..20]).await;
    let mut idle = house.raw().await;

    assert!(silent_from_the_start.next().await.is_none());
    half_a_hello.hello().await;
    assert_eq!(half_a_hello.error().await.1, FaultCode::TooSlow);
    assert!(half_a_hello.next().await.is_none());
    assert_eq!(half_a_frame.error().await.1, FaultCode::TooSlow);
    assert!(half_a_frame.next().await.is_none());
    assert_eq!(house.faults("slow"), 3);
    idle.works().await;
}

#[tokio::test]
async fn a_client_that_never_reads_is_stopped_within_a_bound_and_then_closed() {
    // Room for a client to fill every buffer before its patience is over.
    let limits = Limits {
        stall_timeout: Duration::from_secs(1),
        ..Limits::default()
    };
    let house = House::with(limits, Vec::new()).await;
    let mut raw = house.raw().await;
    let ask = Ask {
        want: Want::Claims,
        ..Ask::default()
    };
    // Hits, so that every question becomes an answer at once.
    let frame = asking_with(&ask, &vec![good(); 64]);
    let warm = house.client().await;
    within(warm.verify(&[good()], &Want::Claims)).await.unwrap();
    let mut sent = 0;
    // The write ends in an error when the daemon has lost patience.
    within(async {
        while let Ok(bytes) = raw.stream.write(&frame).await {
            sent += bytes;
            if bytes < frame.len() && raw.stream.write_all(&frame[bytes..]).await.is_err() {
                break;
            }
        }
    })
    .await;
    // 1 MiB of answers, one read of questions, and two socket buffers; far from 64 MiB.
    assert!(
        sent < 64 << 20,
        "{sent} bytes were taken from a client that reads none"
    );
    assert_eq!(house.faults("slow"), 1);
    house.connections(1).await;
    within(warm.ping()).await.unwrap();
}

#[tokio::test]
async fn a_client_that_dies_mid_batch_leaves_nothing_behind() {
    let house = House::open().await;
    for round in 0..50 {
        let mut raw = house.raw().await;
        let tokens: Vec<_> = (0..100).map(|nth| good_number(round * 100 + nth)).collect();
        raw.send(&asking(1, &tokens)).await;
        raw.send(&asking(2, &tokens)[..1000]).await;
    }
    house.connections(0).await;
    let client = house.client().await;
    within(client.verify(&[good_number(1)], &Want::Verdict))
        .await
        .unwrap();
}

#[tokio::test]
async fn exceptional_frames_of_many_connections_wait_for_each_other_and_nobody_else_does() {
    let house = House::with(impatient(), Vec::new()).await;
    // Twelve times nearly 4 MiB, of which a peer may make us hold 16: the rest is not even read, and when
    // those that were do not go on, their time is over.
    let frame = asking(1, &vec!["x".repeat(15 * 1024); 270]);
    let mut stuck = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let mut raw = house.raw().await;
        let unfinished = frame[..frame.len() - 1].to_vec();
        stuck.spawn(async move {
            let (mut from_daemon, mut to_daemon) = raw.stream.split();
            let mut said = Vec::new();
            let read = within(from_daemon.read_to_end(&mut said));
            let (_, _) = tokio::join!(to_daemon.write_all(&unfinished), read);
            said
        });
    }
    let client = house.client().await;
    for number in 0..20 {
        let verdicts = within(client.verify(&[good_number(number)], &Want::Verdict)).await;
        assert_eq!(words(&verdicts.unwrap()), ["valid"]);
    }
    while let Some(said) = stuck.join_next().await {
        let said = said.unwrap();
        let report = jotd::transport::wire::FaultReport::decode(&said).unwrap();
        assert_eq!(report.code, FaultCode::TooSlow as u16);
    }
    // The budget came back: a whole frame of that size is answered.
    let mut raw = house.raw().await;
    raw.send(&frame).await;
    assert_eq!(words(&raw.verdicts().await.1), ["malformed"; 270]);
}

#[tokio::test]
async fn a_connection_that_was_idle_and_gave_its_buffers_back_works_on() {
    let house = House::open().await;
    let mut raw = house.raw().await;
    let tokens: Vec<_> = (0..64).map(good_number).collect();
    for request_id in 0..20 {
        raw.send(&asking(request_id, &tokens)).await;
        assert_eq!(raw.verdicts().await.0, request_id);
    }
    // The daemon looks every second whether a connection is idle.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    raw.send(&asking(99, &tokens)).await;
    assert_eq!(words(&raw.verdicts().await.1), ["valid"; 64]);
}

//! Who breaks a rule is told which, and the connection ends; nobody else notices.

use crate::house::*;
use jotd::transport::wire::{Ask, FaultCode, FrameKind, Hello, MAGIC, encode_bare};
use jotd::verify::Want;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Sends, and expects this fault and then the end.
async fn ends_with(house: &House, bytes: &[u8], code: FaultCode) {
    let mut raw = house.raw().await;
    raw.send(bytes).await;
    let (_, said) = raw.error().await;
    assert_eq!(said, code);
    assert!(raw.next().await.is_none(), "{code:?} ends the connection");
}

#[tokio::test]
async fn every_broken_rule_has_its_code() {
    let house = House::open().await;
    let good_frame = asking(1, &["a.b.c"]);
    let with = |at: usize, byte: u8| {
        let mut frame = good_frame.clone();
        frame[at] = byte;
        frame
    };
    let cases = [
        (u32::MAX.to_le_bytes().to_vec(), FaultCode::FrameTooLarge),
        (11u32.to_le_bytes().to_vec(), FaultCode::BadFrame),
        (with(4, 0x81), FaultCode::UnknownFrameType),
        (with(4, 0), FaultCode::UnknownFrameType),
        (with(5, 1), FaultCode::BadFrame),
        (with(6, 2), FaultCode::BadFrame),
        (with(20, 9), FaultCode::BadFrame),
        (with(21, 1), FaultCode::BadFrame),
        (with(32, 6), FaultCode::BadFrame),
    ];
    for (bytes, code) in &cases {
        ends_with(&house, bytes, *code).await;
    }
    let mut ping = Vec::new();
    encode_bare(&mut ping, FrameKind::Ping, 1);
    ping[6] = 1;
    ends_with(&house, &ping, FaultCode::BadFrame).await;
    assert_eq!(house.faults("frame"), cases.len() as u64 + 1);
    house.raw().await.works().await;
}

#[tokio::test]
async fn what_was_asked_before_the_fault_is_not_lost_if_it_was_ready() {
    let house = House::open().await;
    let mut raw = house.raw().await;
    let mut bytes = asking(1, &["malformed, which needs no worker"]);
    bytes.extend_from_slice(&[0xff; 4]);
    raw.send(&bytes).await;
    let mut said = Vec::new();
    while let Some(frame) = raw.next().await {
        said.push(frame);
    }
    assert!(
        matches!(said.last(), Some(Said::Error(report)) if report.closes),
        "{said:?}"
    );
}

#[tokio::test]
async fn a_hello_that_is_none_is_told_so() {
    let house = House::open().await;
    let mut wrong_magic = MAGIC.to_vec();
    wrong_magic[7] = 0;
    let mut version_0 = Vec::new();
    Hello::CLIENT.encode(&mut version_0);
    version_0[8] = 0;
    let cases = [
        (wrong_magic, FaultCode::BadHello),
        (version_0, FaultCode::UnsupportedVersion),
    ];
    for (bytes, code) in cases {
        let mut raw = Raw::new(house.stream().await);
        raw.send(&bytes).await;
        // The daemon's own hello comes first, so that a client knows who says no.
        raw.hello().await;
        assert_eq!(raw.error().await, (0, code));
        assert!(raw.next().await.is_none());
    }
}

#[tokio::test]
async fn garbage_that_is_no_hello_is_http_s_to_refuse() {
    let house = House::open().await;
    let mut stream = house.stream().await;
    stream.write_all(b"\0\0\0\0garbage\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    let _ = within(stream.read_to_end(&mut said)).await;
    let text = String::from_utf8_lossy(&said);
    assert!(
        said.is_empty() || text.starts_with("HTTP/1.1 400"),
        "{text}"
    );
    house.raw().await.works().await;
}

/// Marsaglia's xorshift64: the same mutations in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }
}

/// A good frame with some of its bytes changed, doubled, or cut off.
fn mutated(random: &mut Random) -> Vec<u8> {
    let ask = Ask {
        request_id: 1,
        want: Want::Members(["sub".into()].into()),
        policy: Some("admins"),
        ..Ask::default()
    };
    let mut bytes = match random.below(2) {
        0 => asking(1, &["a.b.c", "d.e.f"]),
        _ => asking_with(&ask, &["a.b.c"]),
    };
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len());
        match random.below(4) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = [0, 1, 0x7f, 0xff][random.below(4)],
            2 => bytes.extend_from_within(at..),
            _ => bytes.truncate(at + 1),
        }
    }
    bytes
}

#[tokio::test]
async fn twenty_thousand_mutated_frames_are_answered_or_refused_and_nothing_breaks() {
    let house = House::open().await;
    let mut random = Random(0x243f_6a88_85a3_08d3);
    let mut outcomes = [0u32; 3];
    for nth in 0..20_000 {
        let mut raw = Raw::new(house.stream().await);
        let mut bytes = Vec::new();
        Hello::CLIENT.encode(&mut bytes);
        bytes.extend_from_slice(&mutated(&mut random));
        // It may be refused before it is written to the end.
        let _ = raw.stream.write_all(&bytes).await;
        let _ = raw.stream.shutdown().await;
        raw.hello().await;
        while let Some(said) = raw.next().await {
            let outcome = match said {
                Said::Verdicts(..) | Said::Pong(_) => 0,
                Said::Error(report) if !report.closes => 1,
                Said::Error(_) => 2,
                Said::Goaway => panic!("nobody shuts down at {nth}"),
            };
            outcomes[outcome] += 1;
        }
    }
    // Each way out was taken often, so the mutations reach beyond the first check.
    assert!(outcomes.iter().all(|count| *count > 100), "{outcomes:?}");
    house.raw().await.works().await;
    let metrics = house.context.metrics.render();
    assert!(metrics.contains("jotd_worker_panics_total 0"), "{metrics}");
}

//! What a hostile, slow or clumsy peer meets. Times are short here; nothing is measured, only waited for.

use crate::house::{Client, House, post, within};
use crate::tokens;
use hyper::StatusCode;
use jotd::transport::Limits;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SHORT: Duration = Duration::from_millis(100);

/// Everything the server says until it closes.
async fn last_words(stream: &mut TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    // A reset is an end like any other.
    let _ = within(stream.read_to_end(&mut said)).await;
    said
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_before_it_is_read() {
    let limits = Limits {
        body_bytes_max: 1000,
        ..Limits::default()
    };
    let house = House::limited(limits).await;
    for (way, mut client) in house.ways_in().await {
        let reply = client.post("/v1/verify", "x".repeat(1001)).await;
        assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE, "{way}");
        assert!(reply.body.contains("1000 bytes"), "{}", reply.body);
    }
    // Without a declared length it is refused where it becomes too long.
    let mut stream = house.tcp().await;
    let head = "POST /v1/verify HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("3e8\r\n{}\r\n", "x".repeat(1000));
    for _ in 0..2 {
        stream.write_all(chunk.as_bytes()).await.unwrap();
    }
    let said = last_words(&mut stream).await;
    assert!(
        said.starts_with(b"HTTP/1.1 413 "),
        "{}",
        String::from_utf8_lossy(&said)
    );
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let house = House::open().await;
    let mut stream = house.tcp().await;
    let head = format!(
        "GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
        "x".repeat(20_000)
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let said = last_words(&mut stream).await;
    assert!(
        said.starts_with(b"HTTP/1.1 431 "),
        "{}",
        String::from_utf8_lossy(&said)
    );

    let mut client = Client::h2(house.tcp().await).await;
    let mut request = post("/v1/verify", "{}");
    let long = "x".repeat(20_000).parse().unwrap();
    request.headers_mut().insert("x-long", long);
    match client.send(request).await {
        Ok(reply) => assert_eq!(reply.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        Err(refused) => assert!(!refused.is_canceled(), "{refused:?}"),
    }
    let mut client = Client::h2(house.tcp().await).await;
    assert_eq!(client.verify(&tokens::good()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn slow_heads_and_silence_end_connections() {
    let limits = Limits {
        handshake_timeout: SHORT,
        ..Limits::default()
    };
    let house = House::limited(limits).await;
    for beginning in [
        "",
        "P",
        "PRI * HTTP/2.0\r\n",
        "POST /v1/verify HTTP/1.1\r\nhost: ",
    ] {
        let mut stream = house.tcp().await;
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let said = last_words(&mut stream).await;
        assert!(!said.starts_with(b"HTTP/1.1 2"), "{beginning}");
    }
    house.faulted("tcp", "slow").await;

    // A later head may be slow no more than the first.
    let mut stream = house.tcp().await;
    let whole = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(whole.as_bytes()).await.unwrap();
    let mut some = [0; 4096];
    let read = within(stream.read(&mut some)).await.unwrap();
    assert!(some[..read].starts_with(b"HTTP/1.1 404 "));
    stream.write_all(b"GET / HTT").await.unwrap();
    last_words(&mut stream).await;
}

#[tokio::test]
async fn a_slow_body_is_not_waited_for() {
    let limits = Limits {
        stall_timeout: SHORT,
        ..Limits::default()
    };
    let house = House::limited(limits).await;
    let mut stream = house.tcp().await;
    let head = "POST /v1/verify HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{\"token\":";
    stream.write_all(head.as_bytes()).await.unwrap();
    let said = last_words(&mut stream).await;
    assert!(
        said.starts_with(b"HTTP/1.1 408 "),
        "{}",
        String::from_utf8_lossy(&said)
    );
}

#[tokio::test]
async fn an_idle_connection_is_not_kept() {
    let limits = Limits {
        idle_timeout: SHORT,
        stall_timeout: SHORT,
        ..Limits::default()
    };
    let house = House::limited(limits).await;
    for way in 0..4 {
        // One after the other: a connection that waited for its turn would be gone.
        let mut client = match way {
            0 => Client::h1(house.tcp().await).await,
            1 => Client::h2(house.tcp().await).await,
            2 => Client::h1(house.unix().await).await,
            _ => Client::h2(house.unix().await).await,
        };
        let reply = client.verify(&tokens::good()).await;
        assert_eq!(reply.status, StatusCode::OK, "{way}");
        let closed = async {
            match &mut client {
                Client::H1(sender) => {
                    while sender.ready().await.is_ok() {
                        tokio::time::sleep(SHORT / 4).await;
                    }
                }
                Client::H2(sender) => {
                    while sender.ready().await.is_ok() {
                        tokio::time::sleep(SHORT / 4).await;
                    }
                }
            }
        };
        within(closed).await;
    }
}

#[tokio::test]
async fn a_peer_that_takes_no_replies_is_left() {
    let limits = Limits {
        stall_timeout: SHORT,
        ..Limits::default()
    };
    let house = House::limited(limits).await;
    let mut stream = house.tcp().await;
    // Each short question has a longer answer, so the answers fill the buffers between us.
    let question = "GET /.well-known/jwks.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(100);
    let written = async { while stream.write_all(question.as_bytes()).await.is_ok() {} };
    within(written).await;
    house.faulted("tcp", "slow").await;
}

#[tokio::test]
async fn a_peer_that_shuts_its_window_is_left() {
    let limits = Limits {
        stall_timeout: SHORT,
        ..Limits::default()
    };
    let house = House::limited(limits).await;
    let mut stream = house.tcp().await;
    // SETTINGS_INITIAL_WINDOW_SIZE is 4; of 0 bytes nothing can be taken, and TCP sees no fault.
    let no_window = [0, 4, 0, 0, 0, 0];
    let mut asking = Vec::from(*PREFACE);
    asking.extend_from_slice(&frame(FrameType::SETTINGS, 0, 0, &no_window));
    asking.extend_from_slice(&frame(FrameType::HEADERS, 0x5, 1, &GET_ROOT));
    stream.write_all(&asking).await.unwrap();
    last_words(&mut stream).await;
    house.faulted("tcp", "slow").await;
}

#[tokio::test]
async fn a_peer_holds_no_more_than_its_share_of_memory() {
    let house = House::open().await;
    let body_bytes_max = house.context.limits.body_bytes_max;
    let mut held = Vec::new();
    let refused = async {
        loop {
            let mut stream = house.tcp().await;
            let head = format!(
                "POST /v1/verify HTTP/1.1\r\nhost: x\r\ncontent-length: {body_bytes_max}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            // All but the last byte; a refused connection may be closed while this is written.
            let almost = vec![b' '; body_bytes_max - 1];
            let _ = stream.write_all(&almost).await;
            let mut status = [0; 13];
            let answered = tokio::time::timeout(SHORT, stream.read_exact(&mut status)).await;
            match answered {
                Ok(_) => return (stream, status),
                Err(_still_waiting) => held.push(stream),
            }
        }
    };
    let (mut stream, status) = within(refused).await;
    assert_eq!(&status, b"HTTP/1.1 503 ");
    let rest = String::from_utf8(last_words(&mut stream).await).unwrap();
    assert!(
        rest.contains(r#""valid":null"#) && rest.contains("retry-after: 1"),
        "{rest}"
    );
    assert!(!held.is_empty());
    // Small questions are answered all the same, and what was held is given back.
    let mut client = Client::h1(house.tcp().await).await;
    assert_eq!(client.verify(&tokens::good()).await.status, StatusCode::OK);
    drop(held);
    let again = async {
        loop {
            let mut client = Client::h1(house.tcp().await).await;
            let large = format!("{}{{", " ".repeat(body_bytes_max - 1));
            if client.post("/v1/verify", large).await.status == StatusCode::BAD_REQUEST {
                break;
            }
        }
    };
    within(again).await;
}

#[tokio::test]
async fn rapid_resets_end_the_connection() {
    let house = House::open().await;
    let mut stream = house.tcp().await;
    let mut flood = Vec::from(*PREFACE);
    flood.extend_from_slice(&frame(FrameType::SETTINGS, 0, 0, &[]));
    const CANCEL: [u8; 4] = [0, 0, 0, 8];
    for stream_id in (1..2_000).step_by(2) {
        flood.extend_from_slice(&frame(FrameType::HEADERS, 0x5, stream_id, &GET_ROOT));
        flood.extend_from_slice(&frame(FrameType::RST_STREAM, 0, stream_id, &CANCEL));
    }
    stream.write_all(&flood).await.unwrap();
    let said = last_words(&mut stream).await;
    let goaway = frames(&said).find(|(kind, _)| *kind == FrameType::GOAWAY);
    let (_, payload) = goaway.expect("the connection ends with GOAWAY");
    const ENHANCE_YOUR_CALM: [u8; 4] = [0, 0, 0, 11];
    assert_eq!(payload[4..8], ENHANCE_YOUR_CALM);
    house.faulted("tcp", "protocol").await;
}

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// `:method GET`, `:scheme http`, `:path /`, and `:authority x` as a literal (RFC 7541 appendix A).
const GET_ROOT: [u8; 6] = [0x82, 0x86, 0x84, 0x41, 0x01, b'x'];

/// Numbers of RFC 9113 §6.
struct FrameType;

impl FrameType {
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const SETTINGS: u8 = 4;
    const GOAWAY: u8 = 7;
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

fn frames(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let head = bytes.get(..9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let payload = bytes.get(9..9 + length)?;
        bytes = &bytes[9 + length..];
        Some((head[3], payload))
    })
}

#[tokio::test]
async fn garbage_is_refused() {
    let house = House::open().await;
    for garbage in [
        &b"\0\0\0\0\0\0\0\0"[..],
        b"SSH-2.0-OpenSSH_9.0\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let mut stream = house.tcp().await;
        stream.write_all(garbage).await.unwrap();
        stream.shutdown().await.unwrap();
        let said = last_words(&mut stream).await;
        assert!(!said.starts_with(b"HTTP/1.1 2"), "{garbage:?}");
    }
    let mut client = Client::h1(house.tcp().await).await;
    assert_eq!(client.verify(&tokens::good()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn connections_have_a_number() {
    let limits = Limits {
        connections_max: 2,
        ..Limits::default()
    };
    let house = House::limited(limits).await;
    let mut first = Client::h1(house.tcp().await).await;
    let mut second = Client::h1(house.tcp().await).await;
    assert_eq!(first.verify(&tokens::good()).await.status, StatusCode::OK);
    assert_eq!(second.verify(&tokens::good()).await.status, StatusCode::OK);
    let mut third = house.tcp().await;
    assert!(last_words(&mut third).await.is_empty());
    house.faulted("tcp", "limit").await;
    drop(first);
    let again = async {
        while house.peers.connections() > 1 {
            tokio::time::sleep(SHORT / 10).await;
        }
        Client::h1(house.tcp().await)
            .await
            .verify(&tokens::good())
            .await
    };
    assert_eq!(within(again).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_hundred_streams_at_once_are_all_answered() {
    let house = House::open().await;
    let Client::H2(sender) = Client::h2(house.tcp().await).await else {
        panic!("HTTP/2 was asked for")
    };
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..100 {
        let mut client = Client::H2(sender.clone());
        let token = match number % 3 {
            0 => tokens::good_number(number),
            1 => tokens::forged(),
            _ => tokens::expired(),
        };
        calls.spawn(async move { (number, client.verify(&token).await) });
    }
    while let Some(call) = within(calls.join_next()).await {
        let (number, reply) = call.unwrap();
        let verdict: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(
            verdict["valid"],
            json!(number % 3 == 0),
            "{number}: {}",
            reply.body
        );
    }
}

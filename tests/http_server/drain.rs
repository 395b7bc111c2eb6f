//! Going down: what was accepted is answered, nothing more is taken.

use crate::house::{Client, House, within};
use crate::tokens;
use hyper::StatusCode;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_request_under_way_is_answered_and_then_the_door_is_shut() {
    let house = House::open().await;
    let body = json!({"token": tokens::good()}).to_string();
    let (begun, rest) = body.split_at(20);
    let mut stream = house.tcp().await;
    let length = body.len();
    let head = format!(
        "POST /v1/verify HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\nexpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body, so the request has been accepted.
    let mut said = [0; 25];
    within(stream.read_exact(&mut said)).await.unwrap();
    assert_eq!(&said, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(begun.as_bytes()).await.unwrap();

    house.begin_shutdown();
    // The listener is closed before connections are waited for.
    within(async { while TcpStream::connect(house.address).await.is_ok() {} }).await;

    stream.write_all(rest.as_bytes()).await.unwrap();
    let mut reply = String::new();
    within(stream.read_to_string(&mut reply)).await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
    assert!(reply.contains("\"valid\":true"), "{reply}");
    house.closed().await;
}

#[tokio::test]
async fn idle_connections_are_closed_at_once() {
    let house = House::open().await;
    let mut clients = house.ways_in().await;
    for (way, client) in &mut clients {
        assert_eq!(
            client.verify(&tokens::good()).await.status,
            StatusCode::OK,
            "{way}"
        );
    }
    house.begin_shutdown();
    for (_, client) in &mut clients {
        let closed = async {
            match client {
                Client::H1(sender) => {
                    while sender.ready().await.is_ok() {
                        tokio::task::yield_now().await;
                    }
                }
                Client::H2(sender) => {
                    while sender.ready().await.is_ok() {
                        tokio::task::yield_now().await;
                    }
                }
            }
        };
        within(closed).await;
    }
    house.closed().await;
}

#[tokio::test]
async fn calls_that_race_with_the_shutdown_are_answered_or_refused_whole() {
    let house = House::open().await;
    let Client::H2(sender) = Client::h2(house.tcp().await).await else {
        panic!("HTTP/2 was asked for")
    };
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..64 {
        let mut client = Client::H2(sender.clone());
        calls.spawn(async move {
            let body = json!({"token": tokens::good_number(number)}).to_string();
            client.send(crate::house::post("/v1/verify", body)).await
        });
    }
    let first = within(calls.join_next()).await.unwrap().unwrap().unwrap();
    assert_eq!(first.status, StatusCode::OK);
    house.begin_shutdown();
    while let Some(call) = within(calls.join_next()).await {
        // What came after GOAWAY is refused as a whole, and may safely be asked elsewhere.
        if let Ok(reply) = call.unwrap() {
            assert_eq!(reply.status, StatusCode::OK);
            assert!(reply.body.contains("\"valid\":true"), "{}", reply.body);
        }
    }
    drop(sender);
    house.closed().await;
}

//! Who asks is what the kernel says, and the rules for that user hold on every protocol of the socket.

use crate::house::*;
use jotd::transport::Limits;
use jotd::transport::client::{Client, ClientError};
use jotd::transport::peers::{Terms, UnixRule};
use jotd::transport::wire::{Ask, FaultCode};
use jotd::verify::Want;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn own_uid() -> u32 {
    rustix::process::getuid().as_raw()
}

/// A rule for the user that runs the tests.
fn for_us(terms: Terms) -> Vec<UnixRule> {
    vec![
        UnixRule {
            uid: Some(own_uid() + 1),
            ..UnixRule::default()
        },
        UnixRule {
            uid: Some(own_uid()),
            gid: None,
            terms,
        },
    ]
}

async fn http(house: &House, head: &str, body: &str) -> String {
    let mut stream = house.stream().await;
    let length = body.len();
    let request = format!(
        "{head}\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut said = String::new();
    within(stream.read_to_string(&mut said)).await.unwrap();
    said
}

#[tokio::test]
async fn a_user_that_no_rule_fits_is_refused_in_either_language() {
    let others = vec![UnixRule {
        uid: Some(own_uid() + 1),
        ..UnixRule::default()
    }];
    let house = House::with(Limits::default(), others).await;
    let refused = within(Client::connect(&house.socket)).await;
    assert!(
        matches!(&refused, Err(ClientError::Refused(report))
            if report.code == FaultCode::PeerRefused as u16),
        "{refused:?}"
    );
    let said = http(&house, "GET / HTTP/1.1", "").await;
    assert!(said.starts_with("HTTP/1.1 403 "), "{said}");
    assert_eq!(house.faults("peer_refused"), 2);

    house.peers.set_rules(for_us(Terms::default()));
    within(house.client().await.ping()).await.unwrap();
}

#[tokio::test]
async fn the_same_socket_speaks_http() {
    let house = House::open().await;
    let body = serde_json::json!({"token": good()}).to_string();
    let said = http(&house, "POST /v1/verify HTTP/1.1", &body).await;
    assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    assert!(said.contains("\"valid\":true"), "{said}");
}

/// Checks V-41.
#[tokio::test]
async fn nothing_a_client_says_changes_who_it_is() {
    let terms = Terms {
        policy_default: Some("admins".into()),
        policies: Some(Vec::new()),
        ..Terms::default()
    };
    let house = House::with(Limits::default(), for_us(terms)).await;
    let client = house.client().await;
    // Without a policy in the question, the user's own decides: it asks for a scope.
    let verdicts = within(client.verify(&[good()], &Want::Verdict))
        .await
        .unwrap();
    assert_eq!(words(&verdicts), ["insufficient_scope"]);
    // Headers by which a service might call itself somebody else change nothing.
    let body = serde_json::json!({"token": good()}).to_string();
    for header in [
        "x-forwarded-for: 127.0.0.1",
        "forwarded: for=127.0.0.1",
        "x-real-ip: 127.0.0.1",
        "x-forwarded-user: root",
        "x-jotd-peer: uid:0",
        "authorization: Basic cm9vdDpyb290",
    ] {
        let head = format!("POST /v1/verify HTTP/1.1\r\n{header}");
        let said = http(&house, &head, &body).await;
        assert!(said.contains("\"insufficient_scope\""), "{header}: {said}");
    }
}

#[tokio::test]
async fn a_user_may_name_the_policies_it_was_given_and_no_others() {
    let terms = Terms {
        policies: Some(Vec::new()),
        ..Terms::default()
    };
    let house = House::with(Limits::default(), for_us(terms)).await;
    let mut raw = house.raw().await;
    let ask = Ask {
        request_id: 1,
        policy: Some("admins"),
        ..Ask::default()
    };
    raw.send(&asking_with(&ask, &[good()])).await;
    assert_eq!(raw.error().await, (1, FaultCode::PolicyForbidden));
    raw.send(&asking(2, &[good()])).await;
    assert_eq!(words(&raw.verdicts().await.1), ["valid"]);

    house.peers.set_rules(for_us(Terms {
        policies: Some(vec!["admins".into()]),
        ..Terms::default()
    }));
    let mut raw = house.raw().await;
    raw.send(&asking_with(&ask, &[good()])).await;
    assert_eq!(words(&raw.verdicts().await.1), ["insufficient_scope"]);
}

#[tokio::test]
async fn a_user_s_own_limit_of_connections_holds() {
    let terms = Terms {
        connections_max: Some(1),
        ..Terms::default()
    };
    let house = House::with(Limits::default(), for_us(terms)).await;
    let first = house.client().await;
    assert!(within(Client::connect(&house.socket)).await.is_err());
    drop(first);
    house.connections(0).await;
    within(house.client().await.ping()).await.unwrap();
}

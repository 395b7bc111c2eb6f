//! The client against a daemon that misbehaves. Against the real one it stands in `tests/uds_server`.

use super::super::wire::{Fault, FaultCode};
use super::*;

/// A client after its handshake with a daemon whose end is returned.
async fn connected() -> (Client, UnixStream) {
    let (ours, mut daemon) = UnixStream::pair().expect("a pair of sockets");
    let mut hello = Vec::new();
    let terms = Hello {
        frame_bytes_max: 1024,
        credits: 2,
        ..Hello::CLIENT
    };
    terms.encode(&mut hello);
    daemon.write_all(&hello).await.expect("the pair is open");
    let client = Client::over(ours, Hello::CLIENT).await;
    (client.expect("the daemon said hello"), daemon)
}

async fn asks(client: Client) -> Result<Vec<RemoteVerdict>, ClientError> {
    client.verify(&["a.b.c"], &Want::Verdict).await
}

#[tokio::test]
async fn whoever_waits_when_the_connection_ends_is_told_and_so_is_whoever_comes_later() {
    let (client, daemon) = connected().await;
    // More than there are credits: one has not even asked yet.
    let waiting = [(); 3].map(|()| tokio::spawn(asks(client.clone())));
    tokio::task::yield_now().await;
    drop(daemon);
    for waiting in waiting {
        let answer = waiting.await.expect("no panic");
        assert!(
            matches!(answer, Err(ClientError::Closed | ClientError::Socket(_))),
            "{answer:?}"
        );
    }
    assert!(asks(client).await.is_err());
}

#[tokio::test]
async fn bytes_that_are_no_answer_end_the_connection() {
    let mut verdicts_of_none = Vec::new();
    let standing = super::super::wire::Standing::default();
    super::super::wire::encode_verdicts(&mut verdicts_of_none, 1, &[], standing, 1024)
        .expect("it is short");
    let mut goaway = Vec::new();
    encode_bare(&mut goaway, FrameKind::Ping, 1);
    let cases = [
        vec![0xff; 64],
        [&[12, 0, 0, 0, 0x7f][..], &[0; 11]].concat(),
        goaway,
        verdicts_of_none,
    ];
    for bytes in cases {
        let (client, mut daemon) = connected().await;
        daemon.write_all(&bytes).await.expect("the pair is open");
        let answer = asks(client).await;
        assert!(
            matches!(answer, Err(ClientError::BadBytes(_))),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn a_fault_finds_its_request_and_one_of_the_connection_finds_all() {
    let (client, mut daemon) = connected().await;
    let mut bytes = Vec::new();
    Fault::of_request(FaultCode::UnknownPolicy, 1).encode(&mut bytes);
    daemon.write_all(&bytes).await.expect("the pair is open");
    let first = asks(client.clone()).await;
    let code = |answer: Result<_, ClientError>| match answer {
        Err(ClientError::Refused(report)) => FaultCode::from_number(report.code),
        _ => None,
    };
    assert_eq!(code(first), Some(FaultCode::UnknownPolicy));
    let waiting = [(); 2].map(|()| tokio::spawn(asks(client.clone())));
    tokio::task::yield_now().await;
    bytes.clear();
    Fault::of_connection(FaultCode::BadFrame).encode(&mut bytes);
    daemon.write_all(&bytes).await.expect("the pair is open");
    for waiting in waiting {
        let answer = waiting.await.expect("no panic");
        assert_eq!(code(answer), Some(FaultCode::BadFrame));
    }
}

#[tokio::test]
async fn a_question_too_long_for_the_daemon_is_not_sent() {
    let (client, _daemon) = connected().await;
    let token = "x".repeat(2000);
    let answer = client.verify(&[token], &Want::Verdict).await;
    assert!(matches!(answer, Err(ClientError::TooLong(_))), "{answer:?}");
}

#[tokio::test]
async fn a_peer_that_does_not_say_hello_is_no_daemon() {
    let (ours, mut peer) = UnixStream::pair().expect("a pair of sockets");
    peer.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        .await
        .expect("the pair is open");
    let refused = Client::over(ours, Hello::CLIENT).await;
    assert!(
        matches!(refused, Err(ClientError::BadBytes(_))),
        "{refused:?}"
    );
    let (ours, peer) = UnixStream::pair().expect("a pair of sockets");
    drop(peer);
    let refused = Client::over(ours, Hello::CLIENT).await;
    assert!(refused.is_err(), "{refused:?}");
}

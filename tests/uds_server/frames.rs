//! What is asked is answered, however the bytes are cut and in whatever order answers are ready.

use crate::house::*;
use jotd::transport::wire::{
    Ask, FEATURE_MIN_REVISION, FaultCode, FrameKind, Hello, RemoteVerdict, encode_bare,
};
use jotd::verify::Want;
use tokio::io::AsyncWriteExt;

/// Checks V-42.
#[tokio::test]
async fn every_kind_of_token_gets_its_verdict_the_first_time_and_the_next() {
    let house = House::open().await;
    let client = house.client().await;
    let (tokens, expected) = assorted();
    for round in 0..3 {
        let verdicts = within(client.verify(&tokens, &Want::Verdict))
            .await
            .unwrap();
        assert_eq!(words(&verdicts), expected, "round {round}");
    }
    let verdicts = within(client.verify(&[good()], &Want::Verdict))
        .await
        .unwrap();
    let RemoteVerdict::Valid {
        signer,
        claims,
        expires_at,
        expires_in,
        cached,
    } = &verdicts[0]
    else {
        panic!("valid");
    };
    assert_eq!((&*signer.issuer, &*signer.tenant), ("acme", "default"));
    assert_eq!((&*signer.alg, signer.kid.as_deref()), ("HS256", Some("h1")));
    assert_eq!((*expires_at, *expires_in), (Some(NOW + 812), Some(812)));
    assert_eq!((claims.as_bytes(), *cached), (None, true));
}

#[tokio::test]
async fn no_tokens_get_no_verdicts_and_many_of_one_get_as_many() {
    let house = House::open().await;
    let client = house.client().await;
    let none: [&[u8]; 0] = [];
    let verdicts = within(client.verify(&none, &Want::Claims)).await.unwrap();
    assert!(verdicts.is_empty());
    // Distinct from every other test's token, so that all copies are in flight at once.
    let token = good_number(1);
    let same = vec![token; 100];
    let verdicts = within(client.verify(&same, &Want::Verdict)).await.unwrap();
    assert_eq!(words(&verdicts), ["valid"; 100]);
}

#[tokio::test]
async fn claims_come_whole_or_by_member_and_only_from_valid_tokens() {
    let house = House::open().await;
    let client = house.client().await;
    let claims_of = async |want: Want| {
        let tokens = [good(), forged()];
        let verdicts = within(client.verify(&tokens, &want)).await.unwrap();
        let RemoteVerdict::Valid { claims, .. } = &verdicts[0] else {
            panic!("valid");
        };
        assert_eq!(word(&verdicts[1]), "bad_signature");
        let json = claims.as_bytes()?;
        Some(serde_json::from_slice::<serde_json::Value>(json).unwrap())
    };
    for _ in ["verified", "cached"] {
        assert_eq!(claims_of(Want::Verdict).await, None);
        let all = claims_of(Want::Claims).await.unwrap();
        assert_eq!(
            (&all["sub"], &all["exp"]),
            (&"alice".into(), &(NOW + 812).into())
        );
        let members = Want::Members(["sub".into(), "absent".into()].into());
        let some = claims_of(members).await.unwrap();
        assert_eq!(some, serde_json::json!({"sub": "alice"}));
    }
}

/// A hello, an assortment of tokens and a ping.
fn conversation() -> (Vec<u8>, Vec<&'static str>) {
    let (tokens, expected) = assorted();
    let mut bytes = Vec::new();
    Hello::CLIENT.encode(&mut bytes);
    bytes.extend_from_slice(&asking(1, &tokens));
    encode_bare(&mut bytes, FrameKind::Ping, 2);
    (bytes, expected)
}

async fn is_answered(raw: &mut Raw, expected: &[&str]) {
    assert!(raw.hello().await.credits > 0);
    let mut verdicts = None;
    let mut pong = false;
    while verdicts.is_none() || !pong {
        match raw.next().await {
            Some(Said::Verdicts(1, said)) => verdicts = Some(said),
            Some(Said::Pong(2)) => pong = true,
            other => panic!("an answer, not {other:?}"),
        }
    }
    assert_eq!(words(&verdicts.unwrap()), expected);
}

#[tokio::test]
async fn a_conversation_may_come_byte_by_byte() {
    let house = House::open().await;
    let (bytes, expected) = conversation();
    let mut raw = Raw::new(house.stream().await);
    for byte in bytes {
        raw.send(&[byte]).await;
        tokio::task::yield_now().await;
    }
    is_answered(&mut raw, &expected).await;
}

#[tokio::test]
async fn a_conversation_may_be_cut_anywhere() {
    let house = House::open().await;
    let (bytes, expected) = conversation();
    for at in 0..bytes.len() {
        let mut raw = Raw::new(house.stream().await);
        raw.send(&bytes[..at]).await;
        // The server shares this thread: after a few turns it has read all there is.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        raw.send(&bytes[at..]).await;
        is_answered(&mut raw, &expected).await;
    }
}

#[tokio::test]
async fn frames_in_one_write_are_all_answered_hits_before_misses() {
    let house = House::open().await;
    let client = house.client().await;
    within(client.verify(&[good()], &Want::Verdict))
        .await
        .unwrap();
    let mut raw = house.raw().await;
    // The first needs a worker; the second is known, and malformed ones need no key: both are answered
    // while the first is under way.
    let mut bytes = asking(1, &[good_number(1)]);
    bytes.extend_from_slice(&asking(2, &[good()]));
    bytes.extend_from_slice(&asking(u64::MAX, &["no token"]));
    raw.send(&bytes).await;
    let mut order = Vec::new();
    for _ in 0..3 {
        let (request_id, verdicts) = raw.verdicts().await;
        let expected = if request_id == u64::MAX {
            "malformed"
        } else {
            "valid"
        };
        assert_eq!(words(&verdicts), [expected], "{request_id}");
        order.push(request_id);
    }
    let first = order.iter().position(|id| *id == 1);
    let second = order.iter().position(|id| *id == 2);
    assert!(second < first, "the hit waited for the miss: {order:?}");
}

#[tokio::test]
async fn many_callers_share_a_connection_and_each_gets_its_own() {
    let house = House::open().await;
    let client = house.client().await;
    let mut callers = tokio::task::JoinSet::new();
    // More than there are credits, so that some wait their turn.
    for number in 0..300 {
        let client = client.clone();
        callers.spawn(async move {
            let odd = number % 2 == 1;
            let token = if odd { expired() } else { good_number(number) };
            let verdicts = within(client.verify(&[token], &Want::Claims))
                .await
                .unwrap();
            match (&verdicts[0], odd) {
                (RemoteVerdict::Valid { claims, .. }, false) => {
                    let claims = String::from_utf8(claims.as_bytes().unwrap().to_vec()).unwrap();
                    assert!(
                        claims.contains(&format!("\"jti\":\"{number}\"")),
                        "{claims}"
                    );
                }
                (verdict, odd) => assert!(odd && word(verdict) == "expired", "{verdict:?}"),
            }
        });
    }
    while let Some(done) = callers.join_next().await {
        done.unwrap();
    }
    within(client.ping()).await.unwrap();
}

#[tokio::test]
async fn a_large_frame_grows_the_buffer_and_is_answered() {
    let house = House::open().await;
    let mut raw = house.raw().await;
    // 256 tokens of 15 KiB: close to the 4 MiB that a frame may have.
    let tokens = vec!["x".repeat(15 * 1024); 256];
    let (from_daemon, mut to_daemon) = raw.stream.split();
    let large = asking(1, &tokens);
    let (sent, _) = tokio::join!(
        within(to_daemon.write_all(&large)),
        within(from_daemon.readable())
    );
    sent.unwrap();
    let (request_id, verdicts) = raw.verdicts().await;
    assert_eq!((request_id, words(&verdicts)), (1, vec!["malformed"; 256]));
    raw.works().await;
}

#[tokio::test]
async fn who_shuts_its_writing_half_gets_every_answer_and_then_the_end() {
    let house = House::open().await;
    let mut raw = house.raw().await;
    let mut bytes = Vec::new();
    for request_id in 0..40 {
        bytes.extend_from_slice(&asking(request_id, &[good_number(request_id), expired()]));
    }
    raw.send(&bytes).await;
    raw.stream.shutdown().await.unwrap();
    let mut answered = Vec::new();
    while let Some(said) = raw.next().await {
        let Said::Verdicts(request_id, verdicts) = said else {
            panic!("verdicts, not {said:?}");
        };
        assert_eq!(words(&verdicts), ["valid", "expired"]);
        answered.push(request_id);
    }
    answered.sort_unstable();
    assert!(answered.into_iter().eq(0..40));
    house.connections(0).await;
}

#[tokio::test]
async fn a_request_that_cannot_be_answered_costs_nobody_else_anything() {
    let house = House::open().await;
    let modest = Hello {
        frame_tokens_max: 2,
        frame_bytes_max: 150,
        ..Hello::CLIENT
    };
    let mut raw = house.raw_with(modest).await;
    let terms = |request_id| Ask {
        request_id,
        ..Ask::default()
    };
    raw.send(&asking(1, &["a", "b", "c"])).await;
    assert_eq!(raw.error().await, (1, FaultCode::TooManyTokens));
    let unknown = Ask {
        policy: Some("nobody's"),
        ..terms(2)
    };
    raw.send(&asking_with(&unknown, &["a"])).await;
    assert_eq!(raw.error().await, (2, FaultCode::UnknownPolicy));
    let revision = Ask {
        min_revision: 1,
        ..terms(3)
    };
    raw.send(&asking_with(&revision, &["a"])).await;
    assert_eq!(raw.error().await, (3, FaultCode::UnsupportedFeature));
    let knowing = Hello {
        features: FEATURE_MIN_REVISION,
        ..Hello::CLIENT
    };
    let mut other = house.raw_with(knowing).await;
    other.send(&asking_with(&revision, &[good()])).await;
    let (_, undecided) = other.verdicts().await;
    assert_eq!(
        words(&undecided),
        ["unavailable"],
        "no revision is known where no revocation is configured"
    );
    let claims = Ask {
        want: Want::Claims,
        ..terms(4)
    };
    raw.send(&asking_with(&claims, &[good(), good()])).await;
    assert_eq!(raw.error().await, (4, FaultCode::AnswerTooLarge));
    let traced = Ask {
        traceparent: Some("not even a traceparent"),
        policy: Some("admins"),
        deadline_ms: u32::MAX,
        ..terms(5)
    };
    raw.send(&asking_with(&traced, &[good()])).await;
    let (request_id, verdicts) = raw.verdicts().await;
    assert_eq!(
        (request_id, words(&verdicts)),
        (5, vec!["insufficient_scope"])
    );
    raw.works().await;
}

#[test]
fn several_threads_serve_one_socket_each_on_its_own_runtime() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let main = runtime();
    let house = main.block_on(House::open());
    let listener = house.listener.try_clone().unwrap();
    let options = jotd::transport::uds::Options {
        peers: house.peers.clone(),
    };
    let context = house.context.clone();
    let second = std::thread::spawn(move || {
        runtime().block_on(async {
            let listener = tokio::net::UnixListener::from_std(listener).unwrap();
            jotd::transport::uds::serve(listener, options.into(), context).await;
        });
    });
    main.block_on(async {
        let mut clients = Vec::new();
        for number in 0..40 {
            let client = house.client().await;
            let verdicts = within(client.verify(&[good_number(number)], &Want::Verdict)).await;
            assert_eq!(words(&verdicts.unwrap()), ["valid"]);
            clients.push(client);
        }
        assert_eq!(house.peers.connections(), 40);
        house.begin_shutdown();
        tokio::task::spawn(house.closed()).await.unwrap();
    });
    second.join().unwrap();
}

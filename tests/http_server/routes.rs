//! What each path answers.

use crate::house::{Client, House, Plan, bare, post};
use crate::tokens;
use hyper::StatusCode;
use jotd::limits::FRAME_TOKENS_MAX;
use jotd::transport::Limits;
use jotd::transport::peers::{Terms, UnixRule};
use serde_json::{Value, json};

const VALID: &str = r#"{"valid":true,"issuer":"acme","tenant":"default","alg":"HS256","kid":"h1","expires_in":812,"cached":CACHED,"revocation":{"state":"off"}}"#;

#[tokio::test]
async fn every_way_in_gives_the_same_verdict() {
    let house = House::open().await;
    for (number, (way, mut client)) in house.ways_in().await.into_iter().enumerate() {
        let token = tokens::good_number(number);
        for cached in ["false", "true"] {
            let reply = client.verify(&token).await;
            assert_eq!(reply.status, StatusCode::OK, "{way}");
            assert_eq!(reply.body, VALID.replace("CACHED", cached), "{way}");
            assert_eq!(reply.headers["content-type"], "application/json");
            assert_eq!(reply.headers["cache-control"], "no-store");
            assert!(!reply.headers.contains_key("server"), "{way}");
        }
        let reply = client.verify(&tokens::expired()).await;
        assert_eq!(reply.status, StatusCode::OK, "a refusal is an answer");
        let verdict: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(verdict["valid"], json!(false), "{way}");
        assert_eq!(verdict["reason"], "expired", "{way}");
        assert_eq!(verdict["expired_at"], tokens::NOW - 100, "{way}");
    }
}

#[tokio::test]
async fn claims_are_returned_when_asked_for() {
    let house = House::open().await;
    let mut client = Client::h2(house.tcp().await).await;
    let token = tokens::good();
    for (want, claims) in [
        (json!(["claims"]), tokens::claims()),
        (
            json!(["claims.sub", "claims.none"]),
            json!({"sub": "alice"}),
        ),
        (json!([]), Value::Null),
    ] {
        let body = json!({"token": token, "want": want}).to_string();
        let reply = client.post("/v1/verify", body).await;
        let verdict: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(verdict["valid"], true, "{want}");
        assert_eq!(verdict["claims"], claims, "{want}");
    }
}

#[tokio::test]
async fn a_batch_is_answered_in_order() {
    let house = House::open().await;
    for (way, mut client) in house.ways_in().await {
        let body = json!({"tokens": [
            tokens::good(), tokens::forged(), "", tokens::undecidable(), tokens::good(),
        ]});
        let reply = client.post("/v1/verify/batch", body.to_string()).await;
        assert_eq!(reply.status, StatusCode::OK, "{way}: {}", reply.body);
        let answer: Value = serde_json::from_str(&reply.body).unwrap();
        let told = |verdict: &Value| (verdict["valid"].clone(), verdict["reason"].clone());
        let all: Vec<_> = answer["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(told)
            .collect();
        assert_eq!(
            all,
            [
                (json!(true), Value::Null),
                (json!(false), json!("bad_signature")),
                (json!(false), json!("malformed")),
                (Value::Null, json!("unavailable")),
                (json!(true), Value::Null),
            ],
            "{way}"
        );
        let none = client.post("/v1/verify/batch", r#"{"tokens":[]}"#).await;
        assert_eq!(
            (none.status, &*none.body),
            (StatusCode::OK, r#"{"results":[]}"#)
        );
        let many = json!({"tokens": vec!["t"; FRAME_TOKENS_MAX + 1]}).to_string();
        let reply = client.post("/v1/verify/batch", many).await;
        assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE, "{way}");
        assert!(reply.body.contains("too_many_tokens"), "{}", reply.body);
    }
}

/// Checks V-42.
#[tokio::test]
async fn undecided_is_neither_valid_nor_invalid() {
    let house = House::open().await;
    for (way, mut client) in house.ways_in().await {
        let reply = client.verify(&tokens::undecidable()).await;
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{way}");
        assert_eq!(reply.headers["retry-after"], "1", "{way}");
        assert_eq!(
            reply.body,
            r#"{"valid":null,"reason":"unavailable","cause":"keys_refreshing","retry_after_ms":200}"#,
            "{way}"
        );
    }
}

/// Checks V-40.
#[tokio::test]
async fn what_is_no_question_is_refused_without_repeating_it() {
    let house = House::open().await;
    let token = tokens::good();
    let with = |template: &str| template.replace("TOKEN", &token);
    let verify = "/v1/verify";
    let cases = [
        (post(verify, ""), 400, "not_json"),
        (post(verify, with("TOKEN")), 400, "not_json"),
        (post(verify, with(r#"{"token":"TOKEN""#)), 400, "not_json"),
        (
            post(verify, with(r#"{"token":"TOKEN"}{}"#)),
            400,
            "not_json",
        ),
        (post(verify, with(r#"["TOKEN"]"#)), 400, "wrong_type"),
        (
            post(verify, with(r#"{"token":["TOKEN"]}"#)),
            400,
            "wrong_type",
        ),
        (
            post(verify, with(r#"{"tokn":"TOKEN"}"#)),
            400,
            "unknown_member",
        ),
        (
            post(verify, with(r#"{"TOKEN":"TOKEN"}"#)),
            400,
            "unknown_member",
        ),
        (post(verify, "{}"), 400, "missing_member"),
        (
            post(verify, with(r#"{"token":"TOKEN","token":"TOKEN"}"#)),
            400,
            "duplicate_member",
        ),
        (
            post(verify, with(r#"{"token":"a","want":["TOKEN"]}"#)),
            400,
            "unknown_want",
        ),
        (
            post(verify, with(r#"{"token":"a","policy":"TOKEN"}"#)),
            400,
            "unknown_policy",
        ),
        (
            post("/v1/verify/batch", with(r#"{"token":"TOKEN"}"#)),
            400,
            "unknown_member",
        ),
        (post(&with("/TOKEN"), "{}"), 404, "not_found"),
        (post("/v1/verify/", "{}"), 404, "not_found"),
        (bare("GET", verify), 405, "method_not_allowed"),
        (
            bare("DELETE", "/v1/verify/batch"),
            405,
            "method_not_allowed",
        ),
        (
            bare("POST", "/.well-known/jwks.json"),
            405,
            "method_not_allowed",
        ),
        (
            bare("GET", &with("/.well-known/jwks.json?TOKEN")),
            400,
            "bad_query",
        ),
        (
            bare("GET", &with("/.well-known/jwks.json?tenant=TOKEN")),
            404,
            "unknown_tenant",
        ),
    ];
    for (way, mut client) in house.ways_in().await {
        for (request, status, word) in &cases {
            let what = format!("{way}: {} {}", request.method(), request.uri());
            let reply = client.send(request.clone()).await.unwrap();
            assert_eq!(reply.status, *status, "{what}: {}", reply.body);
            let error: Value = serde_json::from_str(&reply.body).unwrap();
            assert_eq!(error["error"], *word, "{what}: {}", reply.body);
            assert!(
                error["detail"].as_str().unwrap().len() > 8,
                "{}",
                reply.body
            );
            for part in token.split('.') {
                assert!(!reply.body.contains(part), "{what}: {}", reply.body);
            }
            let allow = reply.headers.get("allow");
            assert_eq!(allow.is_some(), *status == 405, "{what}");
        }
        // A connection is none the worse for refused requests.
        assert_eq!(client.verify(&token).await.status, StatusCode::OK, "{way}");
    }
}

#[tokio::test]
async fn headers_that_say_how_to_ask() {
    let house = House::open().await;
    let mut client = Client::h1(house.tcp().await).await;
    let ask = |name: &'static str, value: &'static str| {
        let mut request = post("/v1/verify", json!({"token": tokens::good()}).to_string());
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };
    for (name, value, status) in [
        ("content-type", "text/plain", 415),
        ("content-type", "application/grpc", 415),
        ("content-type", "application/json; charset=utf-8", 200),
        ("request-timeout-ms", "1000", 200),
        ("request-timeout-ms", "soon", 400),
        ("request-timeout-ms", "0", 400),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            200,
        ),
        ("traceparent", "nonsense", 200),
    ] {
        let reply = client.send(ask(name, value)).await.unwrap();
        assert_eq!(reply.status, status, "{name}: {value}: {}", reply.body);
    }
    let mut request = post("/v1/verify", json!({"token": tokens::good()}).to_string());
    request.headers_mut().remove("content-type");
    assert_eq!(client.send(request).await.unwrap().status, 200);
}

/// Checks V-41.
#[tokio::test]
async fn no_header_changes_who_asks() {
    let only_own = UnixRule {
        terms: Terms {
            policies: Some(Vec::new()),
            ..Terms::default()
        },
        ..UnixRule::default()
    };
    let house = House::with(Plan {
        limits: Limits::default(),
        rules: vec![only_own],
        tls: None,
    })
    .await;
    let body = json!({"token": tokens::good(), "policy": "admins"}).to_string();
    for mut client in [
        Client::h1(house.unix().await).await,
        Client::h2(house.unix().await).await,
    ] {
        for header in [
            "x-forwarded-for",
            "forwarded",
            "x-real-ip",
            "x-peer",
            "x-uid",
            "authorization",
        ] {
            let mut request = post("/v1/verify", body.clone());
            let headers = request.headers_mut();
            headers.insert(header, "root".parse().unwrap());
            let reply = client.send(request).await.unwrap();
            let verdict: Value = serde_json::from_str(&reply.body).unwrap();
            assert_eq!(verdict["reason"], "forbidden", "{header}: {}", reply.body);
        }
    }
    // Who comes by TCP is another peer, and may ask under that policy.
    let mut client = Client::h1(house.tcp().await).await;
    let reply = client.post("/v1/verify", body).await;
    let verdict: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(verdict["reason"], "insufficient_scope", "{}", reply.body);
}

#[tokio::test]
async fn the_key_set_is_public_and_only_that() {
    let house = House::open().await;
    let path = "/.well-known/jwks.json";
    for (way, mut client) in house.ways_in().await {
        let reply = client.send(bare("GET", path)).await.unwrap();
        assert_eq!(reply.status, StatusCode::OK, "{way}");
        assert_eq!(reply.headers["content-type"], "application/jwk-set+json");
        assert!(
            reply.headers["cache-control"]
                .to_str()
                .unwrap()
                .contains("max-age=")
        );
        let set: Value = serde_json::from_str(&reply.body).unwrap();
        let keys = set["keys"].as_array().unwrap();
        assert_eq!(keys.len(), 1, "the secret stays here: {}", reply.body);
        assert_eq!(keys[0]["kid"], "e1");
        assert!(!reply.body.contains("\"k\""), "{}", reply.body);

        let tag = reply.headers["etag"].clone();
        let mut again = bare("GET", path);
        again.headers_mut().insert("if-none-match", tag.clone());
        let reply = client.send(again).await.unwrap();
        assert_eq!(reply.status, StatusCode::NOT_MODIFIED, "{way}");
        assert_eq!((&*reply.body, &reply.headers["etag"]), ("", &tag), "{way}");

        let reply = client.send(bare("HEAD", path)).await.unwrap();
        assert_eq!((reply.status, &*reply.body), (StatusCode::OK, ""), "{way}");

        let tenant = |name: &str| bare("GET", &format!("{path}?tenant={name}"));
        let reply = client.send(tenant("default")).await.unwrap();
        assert_eq!(reply.headers["etag"], tag, "{way}");
        let reply = client.send(tenant("north")).await.unwrap();
        assert_eq!(reply.body, r#"{"keys":[]}"#, "{way}");
    }
}

#[tokio::test]
async fn verdicts_are_counted_by_protocol() {
    let house = House::open().await;
    Client::h1(house.tcp().await)
        .await
        .verify(&tokens::good())
        .await;
    let mut client = Client::h2(house.tcp().await).await;
    client.verify(&tokens::good()).await;
    client.verify(&tokens::forged()).await;
    let text = house.context.metrics.render();
    for line in [
        r#"jotd_verifications_total{issuer="acme",alg="HS256",result="valid",reason="",transport="h1"} 1"#,
        r#"jotd_verifications_total{issuer="acme",alg="HS256",result="valid",reason="",transport="h2"} 1"#,
        r#"result="invalid",reason="bad_signature",transport="h2"} 1"#,
        r#"jotd_connections{transport="tcp"} "#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

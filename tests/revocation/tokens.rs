//! From the order to the refused token, in the cache and after a restart.

use crate::daemon_support::{World, verdict};
use crate::support::{admin, revoke, revoke_token, world};
use jotd::issuer::Claims;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::SystemTime;

/// A token of the world's issuer with these claims, issued so many seconds from now.
pub(crate) fn mint(world: &World, claims: &Value, from_now: i64) -> String {
    mint_at(world, claims, now() + from_now)
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(now.expect("after 1970").as_secs()).expect("before the end of time")
}

fn mint_at(world: &World, claims: &Value, second: i64) -> String {
    let text = |name: &str| claims[name].as_str().map(str::to_owned);
    let mut extra = serde_json::Map::new();
    for name in ["sid", "client_id", "azp"] {
        extra.extend(text(name).map(|value| (name.to_owned(), value.into())));
    }
    let claims = Claims {
        issuer: Some("https://idp.example".to_owned()),
        subject: text("sub"),
        audiences: vec![text("aud").unwrap_or_else(|| "payments".to_owned())],
        id: text("jti"),
        extra,
        ..Claims::default()
    };
    world.key.mint(&claims, second).expect("signed")
}

fn digest(token: &str) -> String {
    let (signing_input, _) = token.rsplit_once('.').expect("three parts");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, signing_input.as_bytes());
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// `valid`, or the reason why not.
fn word(http: SocketAddr, token: &str) -> String {
    let said = verdict(http, token);
    if said["valid"] == true {
        return "valid".to_owned();
    }
    said["reason"].as_str().unwrap_or("nothing").to_owned()
}

/// Orders of each kind, each with a token that it means and one that it does not, both in the cache.
#[test]
fn every_kind_of_order_is_obeyed_at_once_and_after_a_restart() {
    let world = world();
    let by_digest = mint(&world, &json!({"sub": "dora"}), 0);
    let cases = [
        (
            json!({"jti": "j1"}),
            json!({"jti": "j1"}),
            json!({"jti": "j2"}),
        ),
        (
            json!({"sub": "alice"}),
            json!({"sub": "alice"}),
            json!({"sub": "bob"}),
        ),
        (
            json!({"sid": "s1"}),
            json!({"sid": "s1", "sub": "s"}),
            json!({"sid": "s2", "sub": "s"}),
        ),
        (
            json!({"client": "shop"}),
            json!({"client_id": "shop"}),
            json!({"client_id": "shop2"}),
        ),
        (
            json!({"client": "bank"}),
            json!({"azp": "bank"}),
            json!({"azp": "bank2"}),
        ),
        (
            json!({"sub": "carol", "client": "app"}),
            json!({"sub": "carol", "client_id": "app"}),
            json!({"sub": "carol", "client_id": "web"}),
        ),
    ];
    let mut pairs: Vec<(Value, String, String)> = cases
        .iter()
        .map(|(order, meant, other)| {
            (
                order.clone(),
                mint(&world, meant, 0),
                mint(&world, other, 0),
            )
        })
        .collect();
    let other = mint(&world, &json!({"sub": "dora"}), 0);
    pairs.push((json!({"digest": digest(&by_digest)}), by_digest, other));

    let daemon = world.start();
    let (http, admin) = (
        daemon.addresses().http.expect("http"),
        daemon.addresses().admin.expect("admin"),
    );
    for (order, meant, other) in &pairs {
        for token in [meant, other] {
            assert_eq!(word(http, token), "valid", "{order}");
            let said = verdict(http, token);
            assert_eq!(
                (&said["cached"], &said["revocation"]["state"]),
                (&json!(true), &json!("live")),
                "{said}"
            );
        }
        revoke(admin, order);
        assert_eq!(word(http, meant), "revoked", "{order}");
        assert_eq!(word(http, other), "valid", "{order}");
    }
    // What is issued after a watermark is good: there is no un-revoke, but a new token.
    assert_eq!(
        word(http, &mint(&world, &json!({"sub": "alice"}), 5)),
        "valid"
    );
    // The second of a watermark belongs to it.
    let (erin, second) = (json!({"sub": "erin"}), now());
    revoke(admin, &json!({"sub": "erin", "issued_before": second}));
    for (issued_at, expected) in [(second, "revoked"), (second + 1, "valid")] {
        let token = mint_at(&world, &erin, issued_at);
        assert_eq!(word(http, &token), expected);
    }
    let _ = daemon.stop();

    let daemon = world.start();
    let http = daemon.addresses().http.expect("http");
    for (order, meant, other) in &pairs {
        assert_eq!(word(http, meant), "revoked", "{order} after a restart");
        assert_eq!(word(http, other), "valid", "{order} after a restart");
    }
    let _ = daemon.stop();
}

#[test]
fn a_key_an_issuer_and_a_tenant_can_be_revoked() {
    for order in [
        json!({"kid": "k1"}),
        json!({"iss": "https://idp.example"}),
        json!({"everything": true}),
    ] {
        let world = world();
        let daemon = world.start();
        let (http, admin) = (
            daemon.addresses().http.expect("http"),
            daemon.addresses().admin.expect("admin"),
        );
        let tokens = ["a", "b"].map(|sub| mint(&world, &json!({"sub": sub}), 0));
        for token in &tokens {
            assert_eq!(word(http, token), "valid");
        }
        revoke(admin, &order);
        for token in &tokens {
            assert_eq!(word(http, token), "revoked", "{order}");
        }
        // A key is revoked for good, the others up to now.
        let later = word(http, &mint(&world, &json!({"sub": "a"}), 5));
        let expected = if order["kid"].is_null() {
            "valid"
        } else {
            "revoked"
        };
        assert_eq!(later, expected, "{order}");
        let _ = daemon.stop();
        let daemon = world.start();
        let http = daemon.addresses().http.expect("http");
        assert_eq!(word(http, &tokens[0]), "revoked", "{order} after a restart");
        let _ = daemon.stop();
    }
}

/// A token handed in dies, whether or not this daemon would have let it pass: it may be good elsewhere.
#[test]
fn a_token_that_was_handed_in_is_good_for_nothing() {
    let world = world();
    let daemon = world.start();
    let (http, address) = (
        daemon.addresses().http.expect("http"),
        daemon.addresses().admin.expect("admin"),
    );
    let good = mint(&world, &json!({"sub": "alice", "jti": "one"}), 0);
    let elsewhere = mint(
        &world,
        &json!({"sub": "alice", "jti": "two", "aud": "ledger"}),
        0,
    );
    assert_eq!(word(http, &good), "valid");
    assert_eq!(word(http, &elsewhere), "wrong_audience");
    for token in [&good, &elsewhere, &good] {
        assert_eq!(
            revoke_token(address, &format!("token={token}")),
            (200, json!({}))
        );
    }
    assert_eq!(word(http, &good), "revoked");
    let (_, list) = admin(address, "GET /v1/revocations?kind=jti", "");
    assert_eq!(list["total"], 2, "once each: {list}");
    let sibling = mint(&world, &json!({"sub": "alice", "jti": "three"}), 0);
    assert_eq!(word(http, &sibling), "valid");
    let _ = daemon.stop();
}

/// Whoever gave the order can ask to be answered by a daemon that knows it.
#[test]
fn the_revision_of_a_receipt_can_be_asked_for() {
    let world = world();
    let daemon = world.start();
    let (http, address) = (
        daemon.addresses().http.expect("http"),
        daemon.addresses().admin.expect("admin"),
    );
    let token = mint(&world, &json!({"sub": "alice"}), 0);
    let revision = revoke(address, &json!({"sub": "alice"}))["revision"]
        .as_u64()
        .expect("a number");
    let ask = |min_revision: u64| -> Value {
        let body = json!({"token": token, "min_revision": min_revision}).to_string();
        let (_, reply) = crate::daemon_support::http(http, "POST", "/v1/verify", &body);
        serde_json::from_str(&reply).expect("JSON")
    };
    assert_eq!(ask(revision)["reason"], "revoked");
    assert_eq!(ask(revision + 1)["cause"], "revocation_stale");
    let _ = daemon.stop();
}

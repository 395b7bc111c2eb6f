//! Two daemons on one Redis: what one is told to revoke, the other refuses; what is remembered; what is said of it.

use crate::daemon_support::{World, eventually, http, verdict};
use crate::redis::{Redis, command};
use crate::support::{admin, world};
use crate::tokens::mint;
use jotd::daemon::Daemon;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// A daemon's folder with the short form of the one log, and the issuer of another folder.
pub(crate) fn sharing(redis: &Redis, issuer: Option<&World>) -> World {
    let world = world();
    let redis = format!(
        "[revocation]\nredis = \"redis+unix://{}\"\n",
        redis.socket().display()
    );
    let mut config = std::fs::read_to_string(world.config_path()).expect("readable");
    config = config.replace("[revocation]\n", &redis);
    if let Some(issuer) = issuer {
        let keys = issuer.path("jwks.json").display().to_string();
        config = config.replace(
            "jwks_file = \"jwks.json\"",
            &format!("jwks_file = \"{keys}\""),
        );
    }
    world.write_config(&config);
    world
}

fn addresses(daemon: &Daemon) -> (SocketAddr, SocketAddr) {
    let addresses = daemon.addresses();
    (
        addresses.http.expect("a listener"),
        addresses.admin.expect("an admin listener"),
    )
}

fn readiness(admin: SocketAddr) -> Value {
    let (_, body) = http(admin, "GET", "/readyz", "");
    serde_json::from_str(&body).expect("JSON")
}

fn until_live(admin: SocketAddr) {
    eventually("live", || readiness(admin)["revocation"]["state"] == "live");
}

fn order(address: SocketAddr, jti: &str, wait: &str) -> Value {
    let order = json!({"iss": "https://idp.example", "jti": jti}).to_string();
    let (status, receipt) = admin(
        address,
        &format!("POST /v1/revocations?wait={wait}"),
        &order,
    );
    assert!(matches!(status, 200 | 202), "{receipt}");
    receipt
}

/// Checks I-21.
#[test]
fn what_one_is_told_the_other_refuses_and_says_so() {
    let redis = Redis::start();
    let world = sharing(&redis, None);
    let other = sharing(&redis, Some(&world));
    let (giver, taker) = (world.start(), other.start());
    let ((_, giver_admin), (taker_http, taker_admin)) = (addresses(&giver), addresses(&taker));
    until_live(giver_admin);
    until_live(taker_admin);
    let token = mint(&world, &json!({"sub": "somebody", "jti": "one"}), 0);
    eventually("valid", || verdict(taker_http, &token)["valid"] == true);

    // Nobody knows at first who else is there; then the answer comes when the other one has it.
    eventually("applied", || {
        order(giver_admin, "other", "applied")["progress"] == "applied"
    });
    let receipt = order(giver_admin, "one", "applied");
    assert_eq!(receipt["progress"], "applied", "{receipt}");
    assert_eq!(receipt["positions"][1]["log"], "redis", "{receipt}");
    assert_eq!(verdict(taker_http, &token)["reason"], "revoked");

    let ready = readiness(taker_admin);
    let log = &ready["revocation"]["logs"][0];
    assert_eq!(
        (&log["name"], &log["state"], &log["fault"]),
        (&json!("redis"), &json!("live"), &Value::Null),
        "{ready}"
    );
    let (_, text) = http(taker_admin, "GET", "/metrics", "");
    for line in [
        "jotd_revocation_feed_connected{log=\"redis\"} 1",
        "jotd_revocation_log_state{log=\"redis\",state=\"live\"} 1",
        "jotd_revocation_log_scans_total{log=\"redis\"} 1",
        "jotd_revocation_log_gaps_total{log=\"redis\"} 0",
        "jotd_revocation_log_backlog{log=\"redis\"} 0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    let _ = (giver.stop(), taker.stop());
}

#[test]
fn a_restart_goes_on_where_it_was_and_only_where_that_still_is() {
    let mut redis = Redis::start();
    let world = sharing(&redis, None);
    let other = sharing(&redis, Some(&world));
    let giver = world.start();
    let (_, giver_admin) = addresses(&giver);
    until_live(giver_admin);
    let scans = |admin: SocketAddr| readiness(admin)["revocation"]["logs"][0]["scans"].clone();
    let tokens = ["a", "b", "c"].map(|jti| mint(&world, &json!({"sub": "x", "jti": jti}), 0));
    order(giver_admin, "a", "accepted");

    let taker = other.start();
    let (_, taker_admin) = addresses(&taker);
    until_live(taker_admin);
    assert_eq!(scans(taker_admin), 1);
    let _ = taker.stop();
    order(giver_admin, "b", "accepted");

    let taker = other.start();
    let (taker_http, taker_admin) = addresses(&taker);
    until_live(taker_admin);
    assert_eq!(scans(taker_admin), 0, "it went on where it was");
    for token in &tokens[..2] {
        assert_eq!(verdict(taker_http, token)["reason"], "revoked");
    }
    let _ = taker.stop();

    // While it is away Redis loses everything: where it was is nowhere, and the one that stayed brings it back.
    redis.kill();
    redis.restart();
    eventually("accepted", || {
        order(giver_admin, "c", "accepted")["progress"] == "accepted"
    });
    let taker = other.start();
    let (taker_http, taker_admin) = addresses(&taker);
    until_live(taker_admin);
    assert_eq!(scans(taker_admin), 1);
    for token in &tokens {
        assert_eq!(verdict(taker_http, token)["reason"], "revoked");
    }
    let _ = taker.stop();

    // Cursors of another journal are worth nothing.
    std::fs::remove_file(other.path("state/revocations")).expect("there");
    assert!(other.path("state/revocations.cursors").exists());
    let taker = other.start();
    let (_, taker_admin) = addresses(&taker);
    until_live(taker_admin);
    assert_eq!(scans(taker_admin), 1);
    let listed = admin(taker_admin, "GET /v1/revocations", "").1;
    assert_eq!(listed["total"], 3, "{listed}");
    let _ = (taker.stop(), giver.stop());
}

/// What nobody has delivered goes to Redis after a restart, though the cursor is still good.
#[test]
fn an_order_that_waits_on_the_disk_is_delivered_after_a_restart() {
    let redis = Redis::start();
    let world = sharing(&redis, None);
    let giver = world.start();
    let (_, giver_admin) = addresses(&giver);
    until_live(giver_admin);
    order(giver_admin, "a", "accepted");
    command(&redis.connect(), &["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(order(giver_admin, "b", "accepted")["progress"], "pending");
    let _ = giver.stop();
    command(&redis.connect(), &["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(redis.shards(), 1);
    let giver = world.start();
    eventually("delivered", || redis.shards() == 2);
    let _ = giver.stop();
}

#[test]
fn what_is_remembered_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let redis = Redis::start();
    let world = sharing(&redis, None);
    let daemon = world.start();
    let (_, admin) = addresses(&daemon);
    until_live(admin);
    order(admin, "a", "accepted");
    let _ = daemon.stop();
    let path = world.path("state/revocations.cursors");
    let mode = std::fs::metadata(&path)
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

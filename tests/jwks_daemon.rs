//! A daemon whose issuer's keys are fetched: started, asked, restarted while the issuer is down, and looked at from the
//! command line.
#![allow(clippy::disallowed_methods, reason = "a test waits in real time")]

mod daemon_support;
mod jwks_server;
mod redis_server;

use daemon_support::{World, eventually, token, verdict};
use jotd::daemon::{Daemon, Ended};
use jotd::issuer::SigningKey;
use jwks_server::{Answer, Server, jwks, signing_key};
use redis_server::Redis;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::{Arc, Mutex};

/// An issuer that publishes what the test says, or does not answer.
struct Issuer {
    server: Server,
    set: Arc<Mutex<Option<String>>>,
}

impl Issuer {
    fn of(keys: &[&SigningKey]) -> Self {
        let set = Arc::new(Mutex::new(Some(jwks(keys))));
        let published = set.clone();
        let server = Server::start(move |_| {
            let set = published.lock().expect("no panic").clone();
            set.map_or(Answer::Hangup, Answer::ok)
        });
        Self { server, set }
    }

    fn publish(&self, keys: Option<&[&SigningKey]>) {
        *self.set.lock().expect("no panic") = keys.map(jwks);
    }

    /// A world that trusts it.
    fn world(&self) -> World {
        self.world_with("state_dir = \"keys\"\n")
    }

    /// One whose `[keys]` say this.
    fn world_with(&self, keys: &str) -> World {
        let world = World::new();
        let source = format!(
            "jwks_uri = \"{}\"\nca_file = \"{}\"\nallow_private_address = true\nkey_wait_ms = 5000",
            self.server.uri("/jwks.json"),
            self.server.ca_file().display()
        );
        let issuer = daemon_support::issuer(&source);
        world.write_config(&format!("{}\n[keys]\n{keys}{issuer}", world.listen()));
        world
    }
}

fn http(daemon: &Daemon) -> std::net::SocketAddr {
    daemon.addresses().http.expect("configured")
}

/// `jotd keys …` against a daemon: exit code, and what it printed.
fn keys(daemon: &Daemon, arguments: &[&str]) -> (Option<i32>, String) {
    let admin = daemon.addresses().admin.expect("configured").to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_jotd"))
        .arg("keys")
        .args(arguments)
        .args(["--admin", &admin])
        .output()
        .expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    (output.status.code(), text)
}

fn metrics(daemon: &Daemon) -> String {
    let admin = daemon.addresses().admin.expect("configured");
    daemon_support::http(admin, "GET", "/metrics", "").1
}

fn report(daemon: &Daemon) -> Value {
    let (_, text) = keys(daemon, &["doctor", "--json"]);
    serde_json::from_str(&text).expect("one object")
}

/// Checks F-30.
#[test]
fn a_host_starts_while_its_issuer_is_down() {
    let key = signing_key("k1");
    let issuer = Issuer::of(&[&key]);
    let world = issuer.world();
    let daemon = world.start();
    assert_eq!(verdict(http(&daemon), &token(&key))["valid"], true);
    eventually("the set is kept", || {
        let files = std::fs::read_dir(world.path("keys"));
        let mut files = files.into_iter().flatten().flatten();
        files.any(|file| file.path().extension().is_some_and(|end| end == "jwks"))
    });
    assert_eq!(daemon.stop(), Ended::Drained);
    issuer.publish(None);
    let daemon = world.start();
    assert_eq!(verdict(http(&daemon), &token(&key))["valid"], true);
    eventually("the doctor says so", || {
        keys(&daemon, &["doctor"])
            .1
            .contains("warning: the last fetch brought nothing")
    });
    assert_eq!(keys(&daemon, &["doctor"]).0, Some(1));
    assert_eq!(keys(&daemon, &["refresh"]).0, Some(1));
    assert_eq!(daemon.stop(), Ended::Drained);
}

/// Another region: the same configuration and secret, and no way to the issuer. Redis lets them do no more than the
/// documented rules.
#[test]
fn a_region_without_its_issuer_has_the_keys_that_another_fetched() {
    let redis = Redis::start();
    let rules = include_str!("../docs/keys.acl").split_whitespace();
    let user = ["ACL", "SETUSER", "jotd", "on", ">redis-secret"];
    let made = redis.ask(&user.into_iter().chain(rules).collect::<Vec<_>>());
    assert_eq!(made, b"OK");
    let key = signing_key("k1");
    let issuer = Issuer::of(&[&key]);
    let region = || {
        let world = issuer.world_with(&format!(
            "[keys.shared]\naddress = \"unix:{}\"\nuser = \"jotd\"\n\
             password_file = \"redis.secret\"\nsecret_file = \"keys.secret\"\n",
            redis.socket().display()
        ));
        for (name, secret) in [
            ("redis.secret", "redis-secret\n"),
            ("keys.secret", "4c1f0e9b7a6d5c3b2a190817f6e5d4c3\n"),
        ] {
            std::fs::write(world.path(name), secret).expect("writable");
            let private = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(world.path(name), private).expect("ours");
        }
        world
    };
    let world = region();
    let near = world.start();
    assert_eq!(verdict(http(&near), &token(&key))["valid"], true);
    eventually("it is shared", || {
        metrics(&near).contains("outcome=\"offered\"} 1")
    });
    issuer.publish(None);
    let world = region();
    let far = world.start();
    assert_eq!(verdict(http(&far), &token(&key))["valid"], true);
    // A machine that stood still may have found neither Redis nor the issuer at first.
    eventually("all is well", || keys(&far, &["doctor"]).0 == Some(0));
    assert!(metrics(&far).contains("jotd_jwks_shared_total{outcome=\"taken\"} 1"));
    assert_eq!(far.stop(), Ended::Drained);
    assert_eq!(near.stop(), Ended::Drained);
}

#[test]
fn a_rotation_as_an_operator_sees_it() {
    let (old, new) = (signing_key("k1"), signing_key("k2"));
    let issuer = Issuer::of(&[&old]);
    let world = issuer.world();
    let daemon = world.start();
    assert_eq!(verdict(http(&daemon), &token(&old))["valid"], true);
    assert_eq!(keys(&daemon, &["doctor"]).0, Some(0), "all is well");

    issuer.publish(Some(&[&old, &new]));
    let (code, text) = keys(&daemon, &["refresh", "--issuer", "acme"]);
    assert_eq!((code, &*text), (Some(0), "acme: ok\n"));
    let (code, text) = keys(&daemon, &["list"]);
    assert_eq!(code, Some(0));
    assert!(text.contains("k1") && text.contains("k2"), "{text}");
    let before = report(&daemon);
    let is_used = |kid: &str| {
        let keys = before["keys"].as_array().expect("a list").iter();
        let mut keys = keys.filter(|key| key["kid"] == kid);
        keys.next().expect("it is listed")["is_used"].clone()
    };
    assert_eq!((is_used("k1"), is_used("k2")), (true.into(), false.into()));
    assert_eq!(verdict(http(&daemon), &token(&new))["valid"], true);
    let (code, text) = keys(&daemon, &["doctor"]);
    assert_eq!(code, Some(0), "notes only: {text}");
    assert!(text.contains("note: key k1: safe to retire in"), "{text}");

    // Withdrawn too early.
    issuer.publish(Some(&[&new]));
    assert_eq!(keys(&daemon, &["refresh"]).0, Some(0));
    let refused = verdict(http(&daemon), &token(&old));
    assert_eq!(refused["reason"], "unknown_kid");
    let (code, text) = keys(&daemon, &["doctor"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("alarm: key k1: withdrawn"), "{text}");

    let (code, _) = keys(&daemon, &["refresh", "--issuer", "nobody"]);
    assert_eq!(code, Some(1), "there is none");
    assert_eq!(keys(&daemon, &["list", "--issuer", "nobody"]).0, Some(2));
    assert_eq!(daemon.stop(), Ended::Drained);
}

#[test]
fn what_is_known_of_keys_outlives_a_reload() {
    let key = signing_key("k1");
    let issuer = Issuer::of(&[&key]);
    let world = issuer.world();
    let daemon = world.start();
    assert_eq!(verdict(http(&daemon), &token(&key))["valid"], true);
    issuer.publish(None);
    // The issuer is down, and is to be fetched on other terms.
    let config = std::fs::read_to_string(world.config_path()).expect("readable");
    world.write_config(&config.replace("key_wait_ms = 5000", "key_wait_ms = 4000"));
    daemon.reload().expect("a good configuration");
    assert_eq!(verdict(http(&daemon), &token(&key))["valid"], true);
    let report = report(&daemon);
    assert_eq!(report["keys"][0]["is_used"], true, "{report}");
    assert_eq!(daemon.stop(), Ended::Drained);
}

/// Whatever the server's `Date` says: those who sign have a clock of their own.
#[test]
fn tokens_from_the_future_tell_of_the_clock_of_whoever_signs() {
    let key = signing_key("k1");
    let issuer = Issuer::of(&[&key]);
    let world = issuer.world();
    let daemon = world.start();
    assert_eq!(verdict(http(&daemon), &token(&key))["valid"], true);
    let before = report(&daemon);
    assert_eq!(before["issued_ahead_seconds"], Value::Null, "{before}");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = i64::try_from(now.expect("after 1970").as_secs()).expect("in time");
    let ahead = |seconds: i64| {
        let claims = jotd::issuer::Claims {
            issuer: Some("https://idp.example".to_owned()),
            audiences: vec!["payments".to_owned()],
            ..jotd::issuer::Claims::default()
        };
        key.mint(&claims, now + seconds).expect("signed")
    };
    let refused = verdict(http(&daemon), &ahead(600));
    // `nbf` says the same as `iat`, and is looked at first.
    assert_eq!(refused["reason"], "not_yet_valid", "{refused}");
    let told = report(&daemon);
    let seconds = told["issued_ahead_seconds"].as_i64().expect("a number");
    assert!((300..=600).contains(&seconds), "{seconds}");
    let (code, text) = keys(&daemon, &["doctor"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("issued up to"), "{text}");
    assert_eq!(daemon.stop(), Ended::Drained);
}

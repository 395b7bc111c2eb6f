//! Key rings from end to end: the command line rotates, a daemon on the ring verifies and publishes.
#![allow(clippy::disallowed_methods, reason = "a test waits in real time")]

mod cli_support;
mod daemon_support;
mod keyring_support;

use cli_support::mode;
use daemon_support::{World, eventually, http, issuer, token, verdict};
use jotd::daemon::Daemon;
use jotd::issuer::SigningKey;
use jotd::issuer::ring::State;
use jotd::jose::Algorithm;
use jotd::vault::{KeyRing, KeySpec, LockedRing};
use keyring_support::{done, jotd, now, opener, ring_in};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

fn issue(folder: &Path) -> String {
    let arguments = [
        "issue",
        "--keys",
        "ring",
        "--issuer",
        "https://idp.example",
        "--audience",
        "payments",
    ];
    done(&jotd(folder, &arguments)).trim_end().to_owned()
}

fn states(folder: &Path) -> Vec<(String, String)> {
    let listed = done(&jotd(folder, &["keys", "list", "ring", "--json"]));
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    listed
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .map(|key| (text(&key["kid"]), text(&key["state"])))
        .collect()
}

fn published(address: SocketAddr) -> usize {
    let (_, set) = http(address, "GET", "/.well-known/jwks.json", "");
    let set: Value = serde_json::from_str(&set).expect("a JWK Set");
    set["keys"].as_array().expect("keys").len()
}

/// The set's answer with a condition: status and head.
fn conditional(address: SocketAddr, tag: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(
        stream,
        "GET /.well-known/jwks.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\nif-none-match: {tag}\r\n\r\n"
    )
    .expect("sent");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("a whole reply");
    let head = reply
        .split("\r\n\r\n")
        .next()
        .expect("a head")
        .to_ascii_lowercase();
    (head[9..12].parse().expect("a status"), head)
}

fn entity_tag(head: &str) -> String {
    let line = head.lines().find_map(|line| line.strip_prefix("etag: "));
    line.expect("a tag").to_owned()
}

fn world(publish_seconds: i64) -> (World, Daemon, SocketAddr) {
    let world = World::new();
    ring_in(&world.path("ring"), publish_seconds);
    world.write_config(&format!(
        "[limits]\ndeadline_ms = 10_000\n[listen]\nsocket = \"off\"\nhttp = \"127.0.0.1:0\"\nadmin = \"off\"\nadmin_socket = \"run/admin.sock\"\n\
         [revocation]\nstate_dir = \"state\"\n{}",
        issuer("keys_dir = \"ring\"")
    ));
    let daemon = world.start();
    let address = daemon.addresses().http.expect("it listens");
    (world, daemon, address)
}

#[test]
fn a_ring_rotates_under_a_daemon_that_sees_no_private_key() {
    let (world, daemon, address) = world(1);
    let folder = world.folder.path();
    let before = issue(folder);
    assert_eq!(verdict(address, &before)["valid"], true);
    // Private keys are their owner's; what verifiers need is everybody's.
    for entry in std::fs::read_dir(folder.join("ring")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let is_public = path.ends_with("ring.json");
        assert_eq!(
            mode(&path),
            if is_public { 0o644 } else { 0o600 },
            "{path:?}"
        );
    }

    let (status, head) = conditional(address, "\"none\"");
    assert_eq!(status, 200);
    assert!(head.contains("cache-control: public, max-age=60"), "{head}");
    let tag = entity_tag(&head);
    assert_eq!(conditional(address, &tag).0, 304);

    let said = jotd(folder, &["keys", "rotate", "ring"]);
    done(&said);
    assert!(String::from_utf8_lossy(&said.stderr).contains("published now"));
    eventually("the new key is published", || published(address) == 2);
    let (status, head) = conditional(address, &tag);
    assert_eq!(status, 200, "the set is another");
    assert_ne!(entity_tag(&head), tag);
    eventually("the new key signs", || {
        states(folder)
            .iter()
            .map(|(_, state)| state.as_str())
            .eq(["retired", "signing"])
    });
    let after = issue(folder);
    assert_eq!(verdict(address, &after)["valid"], true);
    assert_eq!(
        verdict(address, &before)["valid"],
        true,
        "its key is retired, not gone"
    );
    assert_ne!(
        verdict(address, &after)["kid"],
        verdict(address, &before)["kid"]
    );
    let _ = daemon.stop();
}

#[test]
fn an_emergency_is_one_command() {
    let (world, daemon, address) = world(600);
    let folder = world.folder.path();
    let stolen = issue(folder);
    assert_eq!(verdict(address, &stolen)["valid"], true);
    done(&jotd(
        folder,
        &[
            "keys",
            "rotate",
            "ring",
            "--emergency",
            "--socket",
            "run/admin.sock",
        ],
    ));
    // The order was accepted before the command ended, so there is nothing to wait for.
    assert_eq!(verdict(address, &stolen)["valid"], false);
    let states = states(folder);
    assert_eq!(states[0].1, "revoked");
    assert_eq!(states[1].1, "signing");
    eventually("the old key has left the set", || published(address) == 1);
    let fresh = issue(folder);
    eventually("the new key verifies", || {
        verdict(address, &fresh)["valid"] == true
    });
    assert_eq!(verdict(address, &stolen)["valid"], false);
    // Tokens live shortly now, and say so.
    let long = ["issue", "--keys", "ring", "--ttl", "3000"];
    let output = jotd(folder, &long);
    let token = done(&output);
    assert!(String::from_utf8_lossy(&output.stderr).contains("300 s instead of 3000 s"));
    let inspected = done(&jotd(folder, &["inspect", "--json", token.trim_end()]));
    let inspected: Value = serde_json::from_str(&inspected).expect("JSON");
    let claim = |name: &str| inspected["claims"][name].as_i64().expect("a number");
    assert_eq!(claim("exp") - claim("iat"), 300);
    let _ = daemon.stop();
    // A daemon that is not there cannot be told: the ring is changed, and the command says what is left to do.
    let kid = states.get(1).expect("two keys").0.clone();
    let revoke = ["keys", "revoke", "ring", &kid, "--socket", "run/admin.sock"];
    let said = jotd(folder, &revoke);
    assert_eq!(said.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&said.stderr).contains("the ring is changed"));
    assert_eq!(self::states(folder)[1].1, "revoked");
}

/// Five rotations while tokens are signed and verified all the time: not one good token is refused.
#[test]
fn rotations_refuse_no_token() {
    // A ring counts whole seconds: what signs after three does so two to three seconds from now.
    let (world, daemon, address) = world(3);
    let path = world.path("ring");
    let mut kids = std::collections::HashSet::new();
    let mut tokens: Vec<String> = Vec::new();
    for _ in 0..5 {
        let mut ring = LockedRing::open(&path).expect("nobody else rotates");
        let (next, _) = ring
            .rotate(&KeySpec::default(), &opener(), now())
            .expect("rotated");
        drop(ring);
        let began = Instant::now();
        loop {
            let key = KeyRing::open(&path).expect("it opens");
            let key = key.signing_key(now(), &opener()).expect("something signs");
            let token = token(&key);
            assert_eq!(
                verdict(address, &token)["valid"],
                true,
                "{:?} of {next}",
                key.kid()
            );
            kids.insert(key.kid().expect("a name").to_owned());
            tokens.push(token);
            if key.kid() == Some(&next) {
                break;
            }
            assert!(
                began.elapsed() < daemon_support::PATIENCE,
                "{next} never signs"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        for old in tokens.iter().step_by(7) {
            assert_eq!(verdict(address, old)["valid"], true, "it lives for minutes");
        }
    }
    assert_eq!(kids.len(), 6);
    let _ = daemon.stop();
}

#[test]
fn a_broken_manifest_leaves_the_daemon_with_what_it_had() {
    let (world, daemon, address) = world(600);
    let manifest = world.path("ring/ring.json");
    let good = issue(world.folder.path());
    let whole = std::fs::read(&manifest).expect("readable");
    std::fs::write(&manifest, &whole[..whole.len() / 2]).expect("written");
    assert!(
        daemon.reload().is_err(),
        "a reload looks at it, and refuses"
    );
    assert_eq!(verdict(address, &good)["valid"], true);
    std::fs::write(&manifest, whole).expect("written");
    daemon.reload().expect("good again");
    assert_eq!(verdict(address, &good)["valid"], true);
    // The last key retires and its time passes: that is the ring's own word, and not a broken set.
    let path = world.path("ring");
    let mut ring = LockedRing::open(&path).expect("free");
    let kid = ring.ring().keys()[0].kid().to_owned();
    let long_ago = now() - 100_000;
    ring.retire(&kid, true, long_ago).expect("the last");
    let state = ring.ring().state(&ring.ring().keys()[0], now());
    assert_eq!(state, State::Removed);
    eventually("nothing is trusted", || {
        verdict(address, &good)["reason"] == "unknown_kid"
    });
    assert_eq!(published(address), 0);
    let _ = daemon.stop();
}

/// A secret has no ring: the old one is listed beside the new one until its last token is over.
#[test]
fn secrets_rotate_as_a_list() {
    let world = World::new();
    let secret = |name: &str, bytes: &[u8]| {
        std::fs::write(world.path(name), bytes).expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(world.path(name), mode).expect("set");
    };
    let strong = |seed: u8| {
        (0..48_u8)
            .map(|at| at.wrapping_mul(37) ^ seed)
            .collect::<Vec<_>>()
    };
    secret("old", &strong(1));
    secret("new", &strong(2));
    let configured = |files: &str| {
        let issuer = issuer(&format!("secret_file = {files}"));
        world.write_config(&format!(
            "{}{}",
            world.listen(),
            issuer.replace("ES256", "HS256")
        ));
    };
    configured("[\"old\"]");
    let daemon = world.start();
    let address = daemon.addresses().http.expect("it listens");
    let mint = |seed| {
        let jwk = jotd::jose::Jwk::from_secret(&strong(seed));
        let key = SigningKey::new(Algorithm::Hs256, &jwk).and_then(|key| key.with_kid(None));
        token(&key.expect("a key"))
    };
    let (old, new) = (mint(1), mint(2));
    let is_valid = |token: &str| verdict(address, token)["valid"] == true;
    assert!(is_valid(&old) && !is_valid(&new));
    configured("[\"new\", \"old\"]");
    daemon.reload().expect("good");
    assert!(is_valid(&old) && is_valid(&new));
    configured("[\"new\"]");
    daemon.reload().expect("good");
    assert!(!is_valid(&old) && is_valid(&new));
    let _ = daemon.stop();
}

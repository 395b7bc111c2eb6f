//! Key rings from end to end: the command line rotates, a daemon on the ring verifies and publishes, and whatever
//! dies half-way leaves a ring that opens.
#![allow(
    clippy::disallowed_methods,
    reason = "a test waits in real time, and mints for now"
)]

mod cli_support;
mod daemon_support;

use cli_support::mode;
use daemon_support::{World, eventually, http, issuer, token, verdict};
use jotd::daemon::Daemon;
use jotd::issuer::ring::{State, Terms};
use jotd::issuer::{Claims, SigningKey};
use jotd::jose::Algorithm;
use jotd::vault::{KeyRing, KeySpec, LockedRing, Opener, VaultError};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(now.expect("after 1970").as_secs()).expect("before the end of time")
}

fn opener() -> Opener<'static> {
    Opener {
        sealing: None,
        environment: &|_| None,
    }
}

/// The ring's first key is made by the library; the rest is up to the commands.
fn ring_in(folder: &Path, publish_seconds: i64) {
    let terms = Terms {
        publish_seconds,
        lifetime_seconds_max: 3600,
    };
    let spec = KeySpec {
        algorithm: Some(Algorithm::Es256),
        ..KeySpec::default()
    };
    LockedRing::create(folder, terms, &spec, &opener(), now()).expect("a ring");
}

fn jotd(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_jotd"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .output()
        .expect("the binary runs")
}

fn done(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

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
        "[listen]\nsocket = \"off\"\nhttp = \"127.0.0.1:0\"\nadmin = \"off\"\nadmin_socket = \"run/admin.sock\"\n\
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
    drop(daemon.stop());
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
    drop(daemon.stop());
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
    let (world, daemon, address) = world(1);
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
        }
        for old in tokens.iter().step_by(7) {
            assert_eq!(verdict(address, old)["valid"], true, "it lives for minutes");
        }
    }
    assert_eq!(kids.len(), 6);
    drop(daemon.stop());
}

/// `kill -9` at moments all over a rotation: what is left opens, signs and verifies, and the next rotation tidies up.
#[test]
fn a_rotation_that_is_killed_leaves_a_ring_that_opens() {
    let world = World::new();
    let path = world.path("ring");
    ring_in(&path, 600);
    let opens = || {
        let ring = KeyRing::open(&path).expect("it opens");
        let key = ring.signing_key(now(), &opener()).expect("it signs");
        let set = ring.ring().public_jwks(now());
        assert!(
            set.contains(key.kid().expect("a name")),
            "what signs is published"
        );
        key.mint(&Claims::default(), now()).expect("signed");
        ring.ring().keys().len()
    };
    let mut finished = 0;
    for round in 0..40_u64 {
        let before = opens();
        let mut child = Command::new(env!("CARGO_BIN_EXE_jotd"))
            .args(["keys", "rotate"])
            .arg(&path)
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        std::thread::sleep(Duration::from_micros(600 * round));
        let _ = child.kill();
        child.wait().expect("it ends");
        let after = opens();
        assert!(
            after == before || after == before + 1,
            "whole or not at all"
        );
        finished += after - before;
    }
    LockedRing::open(&path)
        .expect("the system has given the lock back")
        .rotate(&KeySpec::default(), &opener(), now())
        .expect("rotated");
    let entries = std::fs::read_dir(&path).expect("a folder").count();
    assert_eq!(
        entries,
        opens() + 2,
        "each key's file, the manifest and the lock"
    );
    assert_eq!(opens(), finished + 2);
}

#[test]
fn two_rotations_at_once_do_not_undo_each_other() {
    let world = World::new();
    let path = world.path("ring");
    ring_in(&path, 600);
    let held = LockedRing::open(&path).expect("free");
    assert!(matches!(LockedRing::open(&path), Err(VaultError::Busy(_))));
    let said = jotd(world.folder.path(), &["keys", "rotate", "ring"]);
    assert_eq!(said.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&said.stderr).contains("another process"));
    KeyRing::open(&path).expect("signing needs no lock");
    drop(held);
    done(&jotd(world.folder.path(), &["keys", "rotate", "ring"]));
}

#[test]
fn keys_are_sealed_and_opened_by_file_variable_and_credential() {
    let world = World::new();
    let folder = world.folder.path();
    let secret = done(&jotd(
        folder,
        &["keys", "generate", "--alg", "HS256", "--format", "secret"],
    ));
    for name in ["kek", "other"] {
        let mut bytes = secret.clone().into_bytes();
        bytes[0] = if name == "kek" { b'A' } else { b'B' };
        std::fs::write(folder.join(name), bytes).expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(folder.join(name), mode).expect("set");
    }
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_jotd"))
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .env("CREDENTIALS_DIRECTORY", folder)
            .env("PASS", "correct horse")
            .output()
            .expect("the binary runs")
    };
    let generate = ["keys", "generate", "--alg", "EdDSA"];
    done(&run(
        &[&generate[..], &["--keys", "a", "--kek", "kek"]].concat()
    ));
    done(&run(&[
        &generate[..],
        &["--keys", "b", "--passphrase", "env:PASS"],
    ]
    .concat()));
    for (good, bad) in [
        (["a", "--kek", "credential:kek"], ["a", "--kek", "other"]),
        (
            ["b", "--passphrase", "env:PASS"],
            ["b", "--passphrase", "kek"],
        ),
    ] {
        done(&run(&["issue", "--keys", good[0], good[1], good[2]]));
        done(&run(&["keys", "rotate", good[0], good[1], good[2]]));
        for arguments in [
            &["issue", "--keys", bad[0], bad[1], bad[2]][..],
            &["issue", "--keys", bad[0]],
        ] {
            let said = run(arguments);
            assert_eq!(said.status.code(), Some(2), "{arguments:?}");
            let said = String::from_utf8_lossy(&said.stderr).into_owned();
            assert!(said.contains("sealed"), "{said}");
        }
        // A slip shows before a key is made that nobody could open, and an open one is not slipped in.
        for arguments in [
            &["keys", "rotate", bad[0], bad[1], bad[2]][..],
            &["keys", "rotate", bad[0]],
        ] {
            assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
        }
        for entry in std::fs::read_dir(folder.join(good[0])).expect("a folder") {
            let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("text");
            assert!(!text.contains("\"d\""), "nothing private lies open");
        }
    }
}

#[test]
fn what_others_can_read_or_has_been_exchanged_does_not_sign() {
    let world = World::new();
    let path = world.path("ring");
    ring_in(&path, 600);
    let file = std::fs::read_dir(&path)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.extension().is_some_and(|extension| extension == "jwk"))
        .expect("a key's file");
    let signs = || {
        let ring = KeyRing::open(&path).expect("it opens");
        ring.signing_key(now(), &opener())
            .map(drop)
            .map_err(|error| error.to_string())
    };
    let set_mode = |mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&file, mode).expect("set");
    };
    set_mode(0o640);
    assert!(signs().expect_err("refused").contains("chmod 600"));
    set_mode(0o600);
    assert_eq!(signs(), Ok(()));
    let other = SigningKey::generate(Algorithm::Es256, None).expect("a key");
    let other = jotd::issuer::danger::to_private_jwk(&other).expect("private");
    std::fs::write(&file, other.as_bytes()).expect("written");
    assert!(signs().expect_err("refused").contains("not the one"));
    // A link that somebody put in its place is not followed.
    std::fs::remove_file(&file).expect("removed");
    std::fs::write(world.path("elsewhere"), other.as_bytes()).expect("written");
    std::os::unix::fs::symlink(world.path("elsewhere"), &file).expect("linked");
    assert!(signs().is_err());
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
    drop(daemon.stop());
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
    drop(daemon.stop());
}

//! What lies in a key ring's folder: whatever dies half-way leaves a ring that opens, and what others could have read or
//! exchanged does not sign.
#![allow(clippy::disallowed_methods, reason = "a test kills in real time")]

mod keyring_support;

use jotd::issuer::{Claims, SigningKey};
use jotd::jose::Algorithm;
use jotd::vault::{KeyRing, KeySpec, LockedRing, VaultError};
use keyring_support::{done, jotd, now, opener, ring_in};
use std::process::{Command, Stdio};
use std::time::Duration;

/// `kill -9` at moments all over a rotation: what is left opens, signs and verifies, and the next rotation tidies up.
#[test]
fn a_rotation_that_is_killed_leaves_a_ring_that_opens() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ring");
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
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ring");
    ring_in(&path, 600);
    let held = LockedRing::open(&path).expect("free");
    assert!(matches!(LockedRing::open(&path), Err(VaultError::Busy(_))));
    let said = jotd(folder.path(), &["keys", "rotate", "ring"]);
    assert_eq!(said.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&said.stderr).contains("another process"));
    KeyRing::open(&path).expect("signing needs no lock");
    drop(held);
    done(&jotd(folder.path(), &["keys", "rotate", "ring"]));
}

#[test]
fn keys_are_sealed_and_opened_by_file_variable_and_credential() {
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = temporary.path();
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
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ring");
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
    std::fs::write(folder.path().join("elsewhere"), other.as_bytes()).expect("written");
    std::os::unix::fs::symlink(folder.path().join("elsewhere"), &file).expect("linked");
    assert!(signs().is_err());
}

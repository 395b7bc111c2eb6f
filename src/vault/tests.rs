//! A change of a ring that is cut off after each of its steps.

use super::*;
use crate::issuer::Claims;
use crate::issuer::ring::{PrivatePart, RingKey, Sealing, Terms};
use crate::jose::Algorithm;
use std::path::Path;
use zeroize::Zeroizing;

const NOW: i64 = 1_700_000_000;
const TERMS: Terms = Terms {
    publish_seconds: 600,
    lifetime_seconds_max: 3600,
};

fn opener() -> Opener<'static> {
    Opener {
        sealing: Some(Sealing::Kek(Zeroizing::new([7; 32]))),
        environment: &|_| None,
    }
}

fn spec() -> KeySpec {
    KeySpec {
        algorithm: Some(Algorithm::EdDsa),
        ..KeySpec::default()
    }
}

fn names(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).expect("a folder");
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<_> = entries
        .map(|entry| name(entry).into_string().expect("text"))
        .collect();
    names.sort();
    names
}

/// Who signs, after the ring was opened and the key has signed.
fn signer(path: &Path, now: i64) -> String {
    let ring = KeyRing::open(path).expect("it opens");
    let key = ring.signing_key(now, &opener()).expect("it signs");
    key.mint(&Claims::default(), now).expect("signed");
    key.kid().expect("a name").to_owned()
}

/// Runs a change with each number of steps before the cut, until it runs through; `check` is told whether it did.
fn cut_everywhere(
    change: impl Fn(&mut LockedRing) -> Result<(), VaultError>,
    check: impl Fn(&Path, bool),
) -> usize {
    for steps in 0.. {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ring");
        let ring = LockedRing::create(&path, TERMS, &spec(), &opener(), NOW).expect("made");
        drop(ring);
        std::fs::write(path.join("README"), "left alone").expect("written");
        let mut ring = LockedRing::open(&path).expect("free");
        ring.folder().steps_left.set(Some(steps));
        let changed = change(&mut ring).is_ok();
        let ran_through = ring.folder().steps_left.get() != Some(0);
        drop(ring);
        check(&path, changed);
        // The next one finds its way, and nothing of the last one's rubbish stays.
        let mut ring = LockedRing::open(&path).expect("free");
        ring.rotate(&spec(), &opener(), NOW + 10_000)
            .expect("rotated");
        let files = ring.ring().keys().iter();
        let files = files.filter(|key| matches!(key.private(), PrivatePart::File(_)));
        assert_eq!(names(&path).len(), files.count() + 3, "{:?}", names(&path));
        signer(&path, NOW + 20_000);
        if ran_through {
            return steps;
        }
    }
    unreachable!("no change has endless steps")
}

#[test]
fn a_rotation_cut_anywhere_has_happened_or_has_not() {
    let steps = cut_everywhere(
        |ring| ring.rotate(&spec(), &opener(), NOW + 10).map(drop),
        |path, changed| {
            let ring = KeyRing::open(path).expect("it opens");
            let keys = ring.ring().keys();
            assert!(!changed || keys.len() == 2);
            signer(path, NOW + 20);
            signer(path, NOW + 9_000);
            assert_eq!(ring.ring().published(NOW + 20).count(), keys.len());
        },
    );
    // A key's file and the manifest, with five steps each.
    assert!(steps >= 10, "{steps}");
}

#[test]
fn an_emergency_cut_anywhere_never_leaves_the_ring_without_a_key() {
    cut_everywhere(
        |ring| {
            let kid = ring.ring().keys()[0].kid().to_owned();
            let revoked = ring.revoke(&[&kid], Some(&spec()), None, &opener(), NOW + 10);
            revoked.map(drop)
        },
        |path, changed| {
            let ring = KeyRing::open(path).expect("it opens");
            let first = ring.ring().keys()[0].kid();
            let signer = signer(path, NOW + 20);
            assert!(!changed || signer != first);
            let is_published = |key: &RingKey| key.kid() == signer;
            assert_eq!(
                ring.ring()
                    .published(NOW + 20)
                    .filter(|key| is_published(key))
                    .count(),
                1
            );
        },
    );
}

#[test]
fn a_ring_that_was_never_finished_can_be_made_again() {
    for steps in 0..10 {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ring");
        let made = LockedRing::create_cut(&path, TERMS, &spec(), &opener(), NOW, steps);
        match made {
            Ok(_) => assert!(matches!(
                LockedRing::create(&path, TERMS, &spec(), &opener(), NOW),
                Err(VaultError::Exists(_))
            )),
            Err(_) => drop(LockedRing::create(&path, TERMS, &spec(), &opener(), NOW)),
        }
        signer(&path, NOW);
    }
}

#[test]
fn a_ring_goes_on_as_it_began() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ring");
    let spec = KeySpec {
        algorithm: Some(Algorithm::Ps256),
        bits: Some(3072),
        ..KeySpec::default()
    };
    let mut ring = LockedRing::create(&path, TERMS, &spec, &opener(), NOW).expect("made");
    let (kid, _) = ring
        .rotate(&KeySpec::default(), &opener(), NOW)
        .expect("rotated");
    let next = ring.ring().key(&kid).expect("it is there");
    assert_eq!(next.algorithm(), Algorithm::Ps256);
    let jwk = crate::jose::Jwk::parse(next.public_jwk().as_bytes()).expect("a JWK");
    assert_eq!(jwk.bits(), 3072);
    // Another algorithm has a size of its own.
    let other = KeySpec {
        algorithm: Some(Algorithm::Es256),
        kid: Some("named".to_owned()),
        ..KeySpec::default()
    };
    let (kid, _) = ring.rotate(&other, &opener(), NOW).expect("rotated");
    assert_eq!(kid, "named");
    let taken = ring
        .rotate(&other, &opener(), NOW)
        .expect_err("the name is taken");
    assert!(
        taken.is_usage() && taken.to_string().contains("named"),
        "{taken}"
    );
    let missing = KeyRing::open(&folder.path().join("nothing")).expect_err("nothing is there");
    assert!(
        missing.to_string().contains("jotd keys generate"),
        "{missing}"
    );
}

use super::*;
use crate::issuer::{Claims, SigningKey, danger};
use crate::jose::{Algorithm, JwkSet};
use zeroize::Zeroizing;

const NOW: i64 = 1_700_000_000;
const TERMS: Terms = Terms {
    publish_seconds: 600,
    lifetime_seconds_max: 3600,
};

/// How long after a rotation its key signs: a second may have begun.
const WAIT: i64 = TERMS.publish_seconds + 1;

fn key(kid: &str) -> SigningKey {
    let key = SigningKey::generate(Algorithm::EdDsa, None).unwrap();
    key.with_kid(Some(kid)).unwrap()
}

fn new(kid: &str) -> NewKey {
    NewKey {
        public_jwk: key(kid).public_jwk().unwrap(),
        private: PrivatePart::File(format!("key-{kid}.jwk").into()),
    }
}

/// A ring that began to sign with `a` long ago.
fn ring() -> Ring {
    let mut ring = Ring::new(TERMS, None);
    let began = ring.rotate(new("a"), NOW - 86_400).unwrap();
    assert_eq!(began, NOW - 86_400, "nobody has to be waited for");
    ring
}

fn states(ring: &Ring, now: i64) -> Vec<(&str, State)> {
    let state = |key| ring.state(key, now);
    ring.keys()
        .iter()
        .map(|key| (key.kid(), state(key)))
        .collect()
}

fn signs(ring: &Ring, now: i64) -> Option<&str> {
    ring.signing(now).map(RingKey::kid)
}

#[test]
fn a_rotation_goes_on_by_itself() {
    let mut ring = ring();
    assert_eq!(ring.rotate(new("b"), NOW), Ok(NOW + WAIT));
    use State::{Published, Removed, Retired, Signing};
    let removed = NOW + WAIT + 3600 + LEEWAY_SECONDS_MAX;
    for (now, a, b) in [
        (NOW, Signing, Published),
        (NOW + WAIT - 1, Signing, Published),
        (NOW + WAIT, Retired, Signing),
        (removed - 1, Retired, Signing),
        (removed, Removed, Signing),
        (i64::MAX, Removed, Signing),
    ] {
        assert_eq!(states(&ring, now), [("a", a), ("b", b)], "{}", now - NOW);
    }
    let published = |now| ring.published(now).map(RingKey::kid).collect::<Vec<_>>();
    assert_eq!(published(NOW), ["a", "b"]);
    assert_eq!(published(removed), ["b"]);
    let set = JwkSet::parse(ring.public_jwks(NOW).as_bytes()).unwrap();
    assert_eq!((set.keys.len(), set.skipped.len()), (2, 0));
    assert!(set.keys.iter().all(|key| !key.is_private()));
}

/// Whatever is asked for and however the times lie: a token signed at any moment by the key that signs then is in
/// the published set for as long as it lives, and nobody sees a key sign that was not published long enough.
#[test]
fn no_order_of_rotations_leaves_a_living_token_without_its_key() {
    let mut seed = 7_u64;
    let mut draw = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % below
    };
    for _ in 0..60 {
        let mut ring = ring();
        let mut now = NOW;
        // Who signs, second by second as far as these histories go, as it was said at that second.
        let mut signed: Vec<(i64, String)> = Vec::new();
        let mut published_from = std::collections::HashMap::from([("a".to_owned(), i64::MIN)]);
        for turn in 0..12 {
            match draw(3) {
                0 => {
                    let kid = format!("k{turn}");
                    ring.rotate(new(&kid), now).unwrap();
                    published_from.insert(kid, now);
                }
                1 => {
                    let waiting = ring
                        .keys()
                        .iter()
                        .find(|key| ring.state(key, now) == State::Published);
                    if let Some(kid) = waiting.map(|key| key.kid().to_owned()) {
                        ring.retire(&kid, false, now).unwrap();
                    }
                }
                _ => ring.tidy(now),
            }
            for _ in 0..draw(10) {
                now += i64::try_from(draw(400)).unwrap();
                let kid = signs(&ring, now)
                    .expect("something always signs")
                    .to_owned();
                assert!(published_from[&kid].saturating_add(WAIT) <= now);
                signed.push((now, kid));
                for (at, kid) in &signed {
                    let lives = now < at + TERMS.lifetime_seconds_max + LEEWAY_SECONDS_MAX;
                    let is_there = ring.published(now).any(|key| key.kid() == kid);
                    assert!(is_there || !lives, "{kid} of {} s ago", now - at);
                }
            }
        }
    }
}

#[test]
fn a_second_rotation_before_the_first_is_over_waits_its_own_time() {
    let mut ring = ring();
    ring.rotate(new("b"), NOW).unwrap();
    ring.rotate(new("c"), NOW + 100).unwrap();
    let at = |now| signs(&ring, now);
    assert_eq!(at(NOW + WAIT - 1), Some("a"));
    assert_eq!(at(NOW + WAIT), Some("b"));
    assert_eq!(at(NOW + 100 + WAIT), Some("c"));
    assert_eq!(at(i64::MAX), Some("c"));
}

#[test]
fn a_rotation_that_was_called_off_leaves_the_old_key_signing() {
    let mut ring = ring();
    ring.rotate(new("b"), NOW).unwrap();
    assert_eq!(ring.retire("b", false, NOW + 10), Ok(State::Published));
    assert_eq!(signs(&ring, i64::MAX), Some("a"));
    assert_eq!(ring.published(NOW + 10).count(), 1);
    let b_is = ring.retire("b", false, NOW + 11).unwrap_err();
    assert_eq!(b_is.to_string(), "b is removed already");
}

#[test]
fn the_last_key_retires_only_when_that_is_written_out() {
    let mut ring = ring();
    let refused = ring.retire("a", false, NOW).unwrap_err();
    assert_eq!(refused, RingError::LastKey("a".into()));
    ring.retire("a", true, NOW).unwrap();
    assert_eq!(signs(&ring, NOW), None);
    assert_eq!(ring.published(NOW).count(), 1, "its tokens live on");
    let over = NOW + 3600 + LEEWAY_SECONDS_MAX;
    assert_eq!(ring.public_jwks(over), r#"{"keys":[]}"#);
    assert!(matches!(
        ring.retire("x", false, NOW),
        Err(RingError::UnknownKid(_))
    ));
}

/// An emergency waits for nobody: the old key is out at once, for any clock, and the new one signs.
#[test]
fn a_revoked_key_is_out_at_once_and_for_every_clock() {
    let mut ring = ring();
    let refused = ring.revoke(&["a"], None, None, false, NOW).unwrap_err();
    assert_eq!(refused, RingError::LastKey("a".into()));
    let mut closed = ring.clone();
    closed.revoke(&["a"], None, None, true, NOW).unwrap();
    assert_eq!(
        (signs(&closed, NOW), closed.published(NOW).count()),
        (None, 0)
    );
    let short = ShortLives {
        seconds: 300,
        until: NOW + 3600,
    };
    ring.revoke(&["a"], Some(new("b")), Some(short), false, NOW)
        .unwrap();
    for now in [NOW - 1000, NOW, i64::MAX] {
        assert_eq!(ring.state(ring.key("a").unwrap(), now), State::Revoked);
        assert!(ring.published(now).all(|key| key.kid() == "b"));
    }
    assert_eq!(signs(&ring, NOW), Some("b"));
    assert_eq!(ring.lifetime_seconds_max(NOW), (300, Some(short)));
    assert_eq!(ring.lifetime_seconds_max(NOW + 3600), (3600, None));
    assert!(
        ring.revoke(&["a"], None, None, false, NOW).is_err(),
        "it is already"
    );
}

#[test]
fn revoking_the_key_that_waits_leaves_the_one_that_signs() {
    let mut ring = ring();
    ring.rotate(new("b"), NOW).unwrap();
    ring.revoke(&["b"], None, None, false, NOW + 1).unwrap();
    assert_eq!(signs(&ring, i64::MAX), Some("a"));
    // And the other way round: what waits takes its turn when it was to, after a key for the time until then.
    let mut ring = self::ring();
    ring.rotate(new("b"), NOW).unwrap();
    assert!(!ring.signs_without(&["a"], NOW + 1));
    ring.revoke(&["a"], Some(new("c")), None, false, NOW + 1)
        .unwrap();
    assert_eq!(signs(&ring, NOW + 1), Some("c"));
    assert_eq!(signs(&ring, NOW + WAIT), Some("b"));
}

#[test]
fn a_name_is_not_given_twice() {
    let mut ring = ring();
    let before = ring.clone();
    assert_eq!(
        ring.rotate(new("a"), NOW),
        Err(RingError::KidTaken("a".into()))
    );
    assert_eq!(ring, before, "nothing has changed");
    ring.revoke(&["a"], Some(new("b")), None, false, NOW)
        .unwrap();
    assert!(
        ring.rotate(new("a"), NOW + 1).is_err(),
        "nor that of a revoked key"
    );
}

#[test]
fn what_is_no_signing_key_is_not_admitted() {
    let mut ring = ring();
    let file = || PrivatePart::File("key-x.jwk".into());
    let secret = SigningKey::generate(Algorithm::Hs256, None).unwrap();
    let secret = danger::to_private_jwk(&secret).unwrap().to_string();
    let private = danger::to_private_jwk(&key("p")).unwrap().to_string();
    let nameless = key("n").with_kid(None).unwrap().public_jwk().unwrap();
    for public_jwk in [secret, private, nameless, "{}".to_owned()] {
        let new = NewKey {
            public_jwk,
            private: file(),
        };
        assert!(matches!(ring.rotate(new, NOW), Err(RingError::Unfit(_))));
    }
}

#[test]
fn a_ring_does_not_grow_for_ever() {
    let mut ring = ring();
    for turn in 0..200 {
        let now = NOW + turn * 86_400;
        ring.rotate(new(&format!("k{turn}")), now).unwrap();
        ring.tidy(now);
        assert!(ring.keys().len() < 100);
    }
    for turn in 0..2 * i64::try_from(JWKS_KEYS_MAX).unwrap() {
        if let Err(error) = ring.rotate(new(&format!("m{turn}")), NOW + 300 * 86_400) {
            assert_eq!(error, RingError::TooMany);
            return;
        }
    }
    panic!("more keys were published than a verifier takes");
}

#[test]
fn tidying_erases_private_halves_only_once_they_will_not_sign_again() {
    let mut ring = ring();
    ring.rotate(new("b"), NOW).unwrap();
    ring.tidy(NOW + WAIT - 1);
    let private = |ring: &Ring, kid| ring.key(kid).unwrap().private().clone();
    assert_eq!(private(&ring, "a"), PrivatePart::File("key-a.jwk".into()));
    ring.tidy(NOW + WAIT);
    assert_eq!(private(&ring, "a"), PrivatePart::Erased);
    assert_eq!(private(&ring, "b"), PrivatePart::File("key-b.jwk".into()));
}

#[test]
fn a_manifest_comes_back_as_it_was_and_holds_nothing_private() {
    let mut ring = Ring::new(TERMS, Some(Sealed::Kek));
    ring.rotate(new("a"), NOW - 10_000).unwrap();
    ring.rotate(new("b"), NOW).unwrap();
    let short = ShortLives {
        seconds: 300,
        until: NOW + 3600,
    };
    ring.revoke(&["a"], Some(new("c")), Some(short), false, NOW)
        .unwrap();
    ring.tidy(NOW);
    let json = ring.to_json();
    assert!(!json.contains("\"d\""), "{json}");
    let again = Ring::parse(json.as_bytes()).unwrap();
    assert_eq!(again.to_json(), json);
    for now in [NOW - 1, NOW, NOW + WAIT, NOW + 9000] {
        assert_eq!(states(&again, now), states(&ring, now));
    }
}

#[test]
fn a_manifest_that_contradicts_itself_is_refused() {
    let mut ring = ring();
    ring.rotate(new("b"), NOW).unwrap();
    let good: serde_json::Value = serde_json::from_str(&ring.to_json()).unwrap();
    let spoiled: [fn(&mut serde_json::Value); 9] = [
        |it| it["version"] = 2.into(),
        |it| it["publish_seconds"] = (-1).into(),
        |it| it["lifetime_seconds_max"] = 0.into(),
        |it| it["more"] = 1.into(),
        |it| it["keys"][0]["private"] = serde_json::json!({"file": "../key"}),
        |it| it["keys"][0]["private"] = serde_json::json!({"file": ".hidden"}),
        |it| it["keys"][0]["removed_at"] = 0.into(),
        |it| it["keys"][0]["signs_from"] = 0.into(),
        |it| it["keys"][0] = it["keys"][1].clone(),
    ];
    assert!(Ring::parse(good.to_string().as_bytes()).is_ok());
    for (index, spoil) in spoiled.into_iter().enumerate() {
        let mut bad = good.clone();
        spoil(&mut bad);
        let parsed = Ring::parse(bad.to_string().as_bytes());
        assert!(matches!(parsed, Err(RingError::Malformed(_))), "{index}");
    }
    let whole = good.to_string();
    for cut in (0..whole.len()).step_by(61) {
        assert!(
            Ring::parse(&whole.as_bytes()[..cut]).is_err(),
            "torn at {cut}"
        );
    }
}

fn kek(byte: u8) -> Sealing {
    Sealing::Kek(Zeroizing::new([byte; 32]))
}

fn passphrase(text: &str) -> Sealing {
    Sealing::Passphrase(Zeroizing::new(text.as_bytes().to_vec()))
}

#[test]
fn a_sealed_key_opens_under_what_sealed_it_and_nothing_else() {
    let key = key("k");
    for (sealing, others) in [
        (kek(1), [kek(2), passphrase("x")]),
        (
            passphrase("correct horse"),
            [passphrase("correct hors"), kek(1)],
        ),
    ] {
        let sealed = sealing.seal(&key).unwrap();
        let again = sealing.open(&sealed).unwrap();
        assert_eq!(
            (again.kid(), again.algorithm()),
            (Some("k"), Algorithm::EdDsa)
        );
        assert_eq!(again.public_jwk(), key.public_jwk());
        assert!(again.mint(&Claims::default(), NOW).is_ok());
        assert_ne!(sealing.seal(&key).unwrap(), sealed, "nonces are fresh");
        for other in others {
            assert_eq!(other.open(&sealed).unwrap_err(), SigningError::Sealed);
        }
        // A change anywhere is seen: the header is authenticated as well.
        for at in (0..sealed.len()).step_by(31) {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            // A round count that was changed may cost seconds before it is found wrong.
            let is_header = at < sealed.find('.').unwrap();
            if !is_header || sealing.sealed() == Sealed::Kek {
                assert_eq!(
                    sealing.open(&changed).unwrap_err(),
                    SigningError::Sealed,
                    "{at}"
                );
            }
        }
        for torn in ["", "....", &sealed[..sealed.len() - 4]] {
            assert_eq!(sealing.open(torn).unwrap_err(), SigningError::Sealed);
        }
    }
}

#[test]
fn a_file_cannot_make_opening_it_cost_hours() {
    use crate::encoding::base64url::encode_string;
    let sealed = passphrase("p").seal(&key("k")).unwrap();
    let (header, rest) = sealed.split_once('.').unwrap();
    let header = crate::encoding::base64url::decode_vec(header.as_bytes()).unwrap();
    let header = String::from_utf8(header).unwrap();
    let greedy = header.replace("210000", "4000000000");
    assert_ne!(greedy, header);
    let greedy = format!("{}.{rest}", encode_string(greedy.as_bytes()));
    assert_eq!(
        passphrase("p").open(&greedy).unwrap_err(),
        SigningError::Sealed
    );
}

#[test]
fn a_kek_is_32_bytes_or_their_base64url() {
    let text = crate::encoding::base64url::encode_string(&[7; 32]);
    for secret in [
        vec![7; 32],
        text.clone().into_bytes(),
        format!("{text}\n").into_bytes(),
    ] {
        let sealed = kek(7).seal(&key("k")).unwrap();
        assert!(Sealing::kek(&secret).unwrap().open(&sealed).is_ok());
    }
    for secret in [&b""[..], b"hunter2", &[7; 31], &[7; 33]] {
        assert!(Sealing::kek(secret).is_err());
    }
    assert_eq!(format!("{:?}", kek(7)), "Sealing(Kek)");
}

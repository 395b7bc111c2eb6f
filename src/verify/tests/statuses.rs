//! Tokens held against status lists: freshly verified, from the cache, and while the list cannot be had.

use super::*;
use crate::revocation::status::{StatusKey, StatusLists};
use crate::verdict::Cause;
use std::time::Duration;

const URI: &str = "https://idp.acme.example/statuslists/1";
const TYPED: &str = r#"{"alg":"HS256","kid":"k1","typ":"statuslist+jwt"}"#;

fn checked() -> Policy {
    Policy {
        status_lists: vec!["https://idp.acme.example/statuslists/".into()],
        ..policy()
    }
}

fn token(index: &str, uri: &str) -> String {
    let status = format!(r#""status":{{"status_list":{{"idx":{index},"uri":"{uri}"}}}}"#);
    sign(SECRET, HEADER, &claims(&status))
}

/// One byte of one-bit places.
fn list(secret: &[u8], header: &str, bits: u8) -> String {
    let packed = miniz_oxide::deflate::compress_to_vec_zlib(&[bits], 9);
    let claims = format!(
        r#"{{"iss":"{ISS}","sub":"{URI}","iat":{NOW},"ttl":60,"status_list":{{"bits":1,"lst":"{}"}}}}"#,
        base64url(&packed)
    );
    sign(secret, header, &claims)
}

fn key() -> StatusKey {
    StatusKey {
        issuer: "acme".into(),
        uri: URI.into(),
    }
}

fn keep(records: &Records, lists: &StatusLists, bits: u8) {
    let text = list(SECRET, TYPED, bits);
    let list = records.read_status_list(&key(), text.as_bytes(), Now::at(NOW));
    let kept = lists.keep(&key(), list.expect("genuine"), Duration::ZERO);
    kept.expect("no older than the one before");
}

fn recall(records: &Records, token: &str, remember: Remember, now: Now) -> Verdict {
    let question = Question {
        token: token.as_bytes(),
        policy: PolicyId::DEFAULT,
        want: &Want::Verdict,
    };
    match records.recall(question, &remember.entry, now) {
        Recalled::Answer(verdict) => verdict,
        other => panic!("{other:?}"),
    }
}

/// Checks V-39.
#[test]
fn a_token_is_as_good_as_its_place_in_the_list_fresh_and_cached() {
    let lists = Arc::new(StatusLists::new());
    let records = records(checked()).with_statuses(Arc::clone(&lists));
    let tokens = ["0", "1", "8"].map(|index| token(index, URI));
    let unknown = ask(&records, &tokens[0], PolicyId::DEFAULT);
    let Verdict::Unavailable(unavailable) = unknown.verdict else {
        panic!("no list, no word")
    };
    assert_eq!(unavailable.cause, Cause::RevocationStale);
    let remember = unknown.remember.expect("its signature is fine");
    keep(&records, &lists, 0b10);
    let expected = [None, Some(Reason::Revoked), Some(Reason::InvalidClaim)];
    assert_eq!(
        tokens.each_ref().map(|token| reason(&records, token)),
        expected
    );
    assert!(recall(&records, &tokens[0], remember, Now::at(NOW)).is_valid());
    keep(&records, &lists, 0b11);
    let now = recall(&records, &tokens[0], remember, Now::at(NOW)).reason();
    assert_eq!(now, Some(Reason::Revoked), "from the cache too");
    keep(&records, &lists, 0);
    assert_eq!(
        recall(&records, &tokens[0], remember, Now::at(NOW)).reason(),
        None
    );
    let late = Now {
        since_boot: Duration::from_secs(60),
        ..Now::at(NOW)
    };
    let stale = recall(&records, &tokens[0], remember, late).reason();
    assert_eq!(stale, Some(Reason::Unavailable), "the list is over");
}

/// Checks V-39.
#[test]
fn only_the_issuer_s_own_list_counts_from_where_it_may_be() {
    let lists = Arc::new(StatusLists::new());
    let records = records(checked()).with_statuses(Arc::clone(&lists));
    for uri in [
        "https://evil.example/statuslists/1",
        "https://idp.acme.example.evil.example/statuslists/1",
        "http://idp.acme.example/statuslists/1",
        "",
    ] {
        assert_eq!(
            reason(&records, &token("0", uri)),
            Some(Reason::InvalidClaim),
            "{uri}"
        );
    }
    assert_eq!(
        reason(&records, &token("-1", URI)),
        Some(Reason::InvalidClaim)
    );
    assert!(lists.due(Duration::MAX).0.is_empty(), "nobody was asked");
    let read = |text: &str| records.read_status_list(&key(), text.as_bytes(), Now::at(NOW));
    assert!(read(&list(SECRET, TYPED, 0)).is_ok());
    for wrong in [
        list(b"another secret of thirty-two bytes", TYPED, 0),
        list(SECRET, HEADER, 0),
        list(SECRET, r#"{"alg":"HS256","kid":"k1","typ":"JWT"}"#, 0),
        list(
            SECRET,
            r#"{"alg":"HS256","kid":"k9","typ":"statuslist+jwt"}"#,
            0,
        ),
        token("0", URI),
        "garbage".to_owned(),
    ] {
        assert!(read(&wrong).is_err());
    }
}

#[test]
fn who_does_not_look_at_status_is_not_held_up_and_who_has_no_lists_cannot_say() {
    let token = token("0", URI);
    assert_eq!(reason(&records(policy()), &token), None);
    assert_eq!(
        reason(&records(checked()), &token),
        Some(Reason::Unavailable)
    );
    let plain = sign(SECRET, HEADER, &claims(""));
    assert_eq!(
        reason(&records(checked()), &plain),
        None,
        "it names no list"
    );
}

//! What each statement revokes, and each rule by a statement that breaks it.

use super::*;
use crate::revocation::{IdKey, Members, Record};

const NOW: i64 = 1_700_000_000;
const FROM: &str = "https://idp.example";

fn concern(tenant: &str, iss: &str) -> Concern {
    Concern {
        tenant: tenant.into(),
        iss: iss.into(),
    }
}

/// What is said about these issuers' tokens.
fn hear(
    read: impl Fn(&Claims<'_>, &Listening<'_>, Now) -> Result<Said, SignalFault>,
    concerns: &[Concern],
    json: &serde_json::Value,
) -> Result<Said, SignalFault> {
    let text = json.to_string();
    let claims = Claims::parse(text.as_bytes()).expect("a claims set");
    let listening = Listening {
        from: FROM,
        audiences: &["shop".into(), "bank".into()],
        concerns,
    };
    read(&claims, &listening, Now::at(NOW))
}

/// A good statement, with members changed, or removed where null.
fn with(good: &serde_json::Value, changes: &serde_json::Value) -> serde_json::Value {
    let mut object = good.as_object().expect("an object").clone();
    for (name, value) in changes.as_object().expect("an object") {
        if value.is_null() {
            object.remove(name);
        } else {
            object.insert(name.clone(), value.clone());
        }
    }
    object.into()
}

fn logout_token() -> serde_json::Value {
    serde_json::json!({
        "iss": FROM, "aud": "shop", "iat": NOW - 5, "exp": NOW + 115, "jti": "j1", "sub": "alice", "sid": "s1",
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}}
    })
}

fn event(kind: &str, subject: &serde_json::Value, more: &serde_json::Value) -> serde_json::Value {
    let uri = format!("https://schemas.openid.net/secevent/caep/event-type/{kind}");
    serde_json::json!({
        "iss": FROM, "aud": ["shop"], "iat": NOW - 5, "jti": "e1", "sub_id": subject, "events": {uri: more}
    })
}

/// Tenant, what is named, and up to when.
fn told(said: &Said) -> Vec<(String, String, u32)> {
    let told = |order: &Order| {
        let record = order.record(&IdKey::new(b""), Some(600), Now::at(NOW));
        let record = record.expect("in time");
        let named = order
            .members()
            .iter()
            .map(|member| format!("{}={}", member.name(), order.value(member).expect("named")));
        let named: Vec<String> = named.collect();
        assert_ne!(record.key.members, Members::NONE, "never a whole tenant");
        (order.tenant().to_owned(), named.join(" "), record.before)
    };
    said.orders.iter().map(told).collect()
}

const ACME: (&str, &str) = ("acme", FROM);

fn acme() -> [Concern; 1] {
    [concern(ACME.0, ACME.1)]
}

/// Checks I-22.
#[test]
fn a_logout_token_ends_its_session_or_all_of_its_user() {
    let now = u32::try_from(NOW).expect("before 2106");
    let cases = [
        (serde_json::json!({}), "sid=s1", now),
        (serde_json::json!({"sub": null}), "sid=s1", now),
        (serde_json::json!({"sid": null}), "sub=alice", now - 5),
        // A clock ahead of ours, within what clocks may differ.
        (
            serde_json::json!({"sid": null, "iat": NOW + 60}),
            "sub=alice",
            now,
        ),
    ];
    for (changes, named, before) in cases {
        let said = hear(logout, &acme(), &with(&logout_token(), &changes)).expect("good");
        let named = format!("iss={FROM} {named}");
        assert_eq!(
            told(&said),
            [("acme".to_owned(), named, before)],
            "{changes}"
        );
        assert_eq!(&*said.id, "j1");
    }
    let both = [
        concern("acme", FROM),
        concern("ledger", "https://ledger.example"),
    ];
    let said = hear(logout, &both, &logout_token()).expect("good");
    let tenants: Vec<&str> = said.orders.iter().map(Order::tenant).collect();
    assert_eq!(tenants, ["acme", "ledger"]);
}

/// Checks I-22.
#[test]
fn every_rule_of_logout_tokens_is_held() {
    for changes in [
        serde_json::json!({"iss": "https://evil.example"}),
        serde_json::json!({"iss": null}),
        serde_json::json!({"aud": "other"}),
        serde_json::json!({"aud": null}),
        serde_json::json!({"aud": []}),
        serde_json::json!({"iat": null}),
        serde_json::json!({"iat": NOW + 3_600}),
        serde_json::json!({"iat": "yesterday"}),
        serde_json::json!({"exp": null}),
        serde_json::json!({"exp": NOW - 30}),
        serde_json::json!({"jti": null}),
        serde_json::json!({"jti": ""}),
        serde_json::json!({"nonce": "n"}),
        serde_json::json!({"sub": null, "sid": null}),
        serde_json::json!({"sid": 7}),
        serde_json::json!({"sid": ""}),
        serde_json::json!({"sid": "s".repeat(1_025)}),
        serde_json::json!({"events": null}),
        serde_json::json!({"events": []}),
        serde_json::json!({"events": {}}),
        serde_json::json!({"events": {"http://schemas.openid.net/event/backchannel-logout": true}}),
        serde_json::json!({"events": {"http://schemas.openid.net/event/other": {}}}),
    ] {
        let heard = hear(logout, &acme(), &with(&logout_token(), &changes));
        assert!(heard.is_err(), "{changes}");
    }
}

/// Checks I-22.
#[test]
fn events_revoke_what_they_are_about() {
    use serde_json::json;
    let now = u32::try_from(NOW).expect("before 2106");
    let user = json!({"format": "iss_sub", "iss": FROM, "sub": "alice"});
    let session = json!({"format": "opaque", "id": "s1"});
    let token = json!({"format": "jwt_id", "iss": FROM, "jti": "t1"});
    let both = json!({"format": "complex", "user": user, "session": session, "device": {"format": "opaque", "id": "d"}});
    let aliases =
        json!({"format": "aliases", "identifiers": [{"format": "email", "email": "a@b.c"}, user]});
    let cases = [
        (
            "session-revoked",
            &user,
            json!({"event_timestamp": NOW - 60}),
            "sub=alice",
            now - 60,
        ),
        ("session-revoked", &user, json!({}), "sub=alice", now - 5),
        // In milliseconds, as old drafts had it: not believed.
        (
            "session-revoked",
            &user,
            json!({"event_timestamp": NOW * 1_000}),
            "sub=alice",
            now - 5,
        ),
        (
            "session-revoked",
            &session,
            json!({"event_timestamp": NOW - 60}),
            "sid=s1",
            now,
        ),
        ("session-revoked", &both, json!({}), "sid=s1", now),
        ("session-revoked", &aliases, json!({}), "sub=alice", now - 5),
        (
            "session-revoked",
            &token,
            json!({}),
            "jti=t1",
            Record::EVERY,
        ),
        (
            "credential-change",
            &user,
            json!({"change_type": "revoke", "credential_type": "password"}),
            "sub=alice",
            now - 5,
        ),
        (
            "credential-change",
            &both,
            json!({"change_type": "update", "event_timestamp": NOW - 9}),
            "sub=alice",
            now - 9,
        ),
        (
            "token-claims-change",
            &user,
            json!({"claims": {"role": "none"}}),
            "sub=alice",
            now - 5,
        ),
        (
            "token-claims-change",
            &token,
            json!({"claims": {}}),
            "jti=t1",
            Record::EVERY,
        ),
    ];
    for (kind, subject, more, named, before) in cases {
        let said = hear(security_event, &acme(), &event(kind, subject, &more)).expect(kind);
        let named = format!("iss={FROM} {named}");
        assert_eq!(
            told(&said),
            [("acme".to_owned(), named, before)],
            "{kind} {subject}"
        );
        // Where drafts had the subject.
        let mut old = event(kind, &json!(null), &more);
        old.as_object_mut().expect("an object").remove("sub_id");
        let uri = format!("https://schemas.openid.net/secevent/caep/event-type/{kind}");
        old["events"][uri]["subject"] = subject.clone();
        assert_eq!(
            hear(security_event, &acme(), &old),
            Ok(said),
            "{kind} {subject}"
        );
    }
}

#[test]
fn what_revokes_nothing_is_no_fault() {
    use serde_json::json;
    let user = json!({"format": "iss_sub", "iss": FROM, "sub": "alice"});
    for (kind, more) in [
        ("credential-change", json!({"change_type": "create"})),
        (
            "device-compliance-change",
            json!({"previous_status": "compliant"}),
        ),
        ("../../ssf/event-type/verification", json!({"state": "x"})),
    ] {
        let said = hear(security_event, &acme(), &event(kind, &user, &more)).expect(kind);
        assert_eq!((said.orders.len(), said.ignored), (0, 1), "{kind}");
    }
}

/// Checks I-22.
#[test]
fn every_rule_of_events_is_held() {
    use serde_json::json;
    let user = json!({"format": "iss_sub", "iss": FROM, "sub": "alice"});
    let good = event("session-revoked", &user, &json!({}));
    let changed =
        json!({"https://schemas.openid.net/secevent/caep/event-type/credential-change": {}});
    let many: serde_json::Map<_, _> = (0..17).map(|n| (format!("urn:{n}"), json!({}))).collect();
    for changes in [
        json!({"iss": "https://evil.example"}),
        json!({"aud": "other"}),
        json!({"aud": null}),
        json!({"iat": null}),
        json!({"iat": NOW + 3_600}),
        json!({"jti": null}),
        json!({"sub": "alice"}),
        json!({"exp": NOW + 60}),
        json!({"events": null}),
        json!({"events": {}}),
        json!({"events": {"urn:x": []}}),
        json!({"events": many}),
        json!({"events": changed}),
        json!({"sub_id": null}),
        json!({"sub_id": "alice"}),
        json!({"sub_id": {}}),
        json!({"sub_id": {"format": "email", "email": "a@b.c"}}),
        json!({"sub_id": {"format": "iss_sub", "sub": "alice"}}),
        json!({"sub_id": {"format": "iss_sub", "iss": FROM, "sub": ""}}),
        json!({"sub_id": {"format": "complex", "device": {"format": "opaque", "id": "d"}}}),
        json!({"sub_id": {"format": "complex", "user": {"format": "complex"}}}),
        json!({"sub_id": {"format": "aliases", "identifiers": []}}),
        json!({"sub_id": {"format": "aliases", "identifiers": [{"format": "aliases", "identifiers": [user]}]}}),
    ] {
        let heard = hear(security_event, &acme(), &with(&good, &changes));
        assert!(heard.is_err(), "{changes}");
    }
    // A sender has a say in nobody's tokens but those it was given.
    let foreign = json!({"format": "iss_sub", "iss": "https://bank.example", "sub": "alice"});
    let heard = hear(
        security_event,
        &acme(),
        &event("session-revoked", &foreign, &json!({})),
    );
    assert_eq!(heard, Err(SignalFault::NotItsOwn));
    // An opaque subject is a session, or nobody.
    let opaque = json!({"format": "opaque", "id": "alice"});
    let more = json!({"change_type": "revoke"});
    assert!(
        hear(
            security_event,
            &acme(),
            &event("credential-change", &opaque, &more)
        )
        .is_err()
    );
}

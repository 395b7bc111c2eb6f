//! What the cache is told, and what it is worth later.

use super::*;
use crate::verdict::Refusal;

fn recall(records: &Records, token: &str, remember: Remember, now: Now) -> Recalled {
    let want = Want::Claims;
    let question = Question {
        token: token.as_bytes(),
        policy: PolicyId::DEFAULT,
        want: &want,
    };
    records.recall(question, &remember.entry, now)
}

/// Checks V-44.
#[test]
fn a_hit_says_what_verification_said_until_something_moved() {
    let records = records(policy());
    let token = sign(SECRET, HEADER, &claims(r#""nbf":1699999000"#));
    let answer = ask(&records, &token, PolicyId::DEFAULT);
    let remember = answer.remember.expect("verified");
    let Recalled::Answer(Verdict::Valid(hit)) = recall(&records, &token, remember, Now::at(NOW))
    else {
        panic!("not recalled")
    };
    let Verdict::Valid(miss) = answer.verdict else {
        panic!("refused")
    };
    assert!(hit.cached);
    assert_eq!(
        crate::verdict::Trusted {
            cached: false,
            ..hit
        },
        miss
    );

    let last = Now::at(NOW + 600 + 29);
    assert!(matches!(
        recall(&records, &token, remember, last),
        Recalled::Answer(Verdict::Valid(_))
    ));
    let over = Now::at(NOW + 600 + 30);
    let Recalled::Answer(Verdict::Invalid(refusal)) = recall(&records, &token, remember, over)
    else {
        panic!("an expired token was recalled as something else")
    };
    assert_eq!(
        refusal,
        Refusal::Expired {
            expired_at: NOW + 600,
            ago_seconds: 30
        }
    );
    let early = Now::at(1_699_998_000);
    assert!(matches!(
        recall(&records, &token, remember, early),
        Recalled::Stale
    ));

    // The key set is replaced by one with the very same secrets, which are never known to be the same.
    let keys = key_set(&[jwk("k1", SECRET)]);
    let rotated = records.with_keys("acme", keys).expect("configured");
    assert!(matches!(
        recall(&rotated, &token, remember, Now::at(NOW)),
        Recalled::Stale
    ));
    assert!(
        records
            .with_keys("ghost", Arc::new(KeySet::empty()))
            .is_none()
    );
}

#[test]
fn digests_differ_by_every_byte_of_the_token_and_by_policy() {
    let key = DigestKey::random();
    let token = sign(SECRET, HEADER, &claims(""));
    let want = &Want::Verdict;
    let digest_under = |key: &DigestKey, token: &[u8], policy| {
        key.digest(Question {
            token,
            policy,
            want,
        })
    };
    let digest_of = |token: &[u8], policy| digest_under(&key, token, policy);
    let digest = digest_of(token.as_bytes(), PolicyId::DEFAULT);
    assert_ne!(digest, digest_of(token.as_bytes(), PolicyId(1)));
    assert_ne!(
        digest,
        digest_under(&DigestKey::random(), token.as_bytes(), PolicyId::DEFAULT)
    );
    for at in 0..token.len() {
        let mut other = token.clone().into_bytes();
        other[at] ^= 1;
        assert_ne!(digest, digest_of(&other, PolicyId::DEFAULT), "byte {at}");
    }
}

#[test]
fn a_hit_names_the_key_that_signed_it_wherever_in_the_set_that_is() {
    let secret = |number: usize| format!("{number:-<40}").into_bytes();
    let jwks: Vec<String> = (0..9)
        .map(|number| jwk(&format!("k{number}"), &secret(number)))
        .collect();
    let keys = key_set(&jwks);
    let records = records(policy());
    let records = records.with_keys("acme", keys).expect("configured");
    for number in 0..9 {
        let kid = format!("k{number}");
        let header = format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#);
        let token = sign(&secret(number), &header, &claims(""));
        let remember = ask(&records, &token, PolicyId::DEFAULT).remember;
        let remember = remember.expect("verified");
        let Recalled::Answer(Verdict::Valid(hit)) =
            recall(&records, &token, remember, Now::at(NOW))
        else {
            panic!("{kid} not recalled")
        };
        assert_eq!(hit.signer.kid.as_deref(), Some(&*kid));
        // Numbers that no key has, or none any more, and keys that are gone, are nobody's.
        let is_stale = |records: &Records, remember| {
            let recalled = recall(records, &token, remember, Now::at(NOW));
            matches!(recalled, Recalled::Stale)
        };
        for nobodys in [0, 1, 11, u32::from(u16::MAX), u32::MAX] {
            let mut other = remember;
            other.entry.key = nobodys;
            assert!(is_stale(&records, other), "{nobodys}");
        }
        let awaiting = records.awaiting_keys("acme").expect("configured");
        assert!(is_stale(&awaiting, remember));
    }
}

//! Stories of the pipeline, told with HMAC because a secret is the shortest key. What each algorithm does with
//! its signatures is `crypto`'s story; here it is who is asked, what is checked, and in which order.

mod claims;
mod encryption;
mod keys;
mod recall;
mod revocation;
mod spending;
mod statuses;
mod tenants;

use super::*;
use crate::clock::Now;
use crate::crypto::Scheme;
use crate::jose::JwkSet;
use crate::keys::{KeySet, Owner};
use crate::limits::TOKEN_BYTES_DEFAULT;
use crate::policy::{Accepted, Narrowing, Policy, TokenTypes};
use crate::verdict::Reason;
use aws_lc_rs::hmac;
use std::sync::Arc;

const NOW: i64 = 1_700_000_000;
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const OTHER_SECRET: &[u8] = b"fedcba9876543210fedcba9876543210";
const ISS: &str = "https://idp.acme.example";

fn base64url(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

fn sign(secret: &[u8], header: &str, claims: &str) -> String {
    let input = format!(
        "{}.{}",
        base64url(header.as_bytes()),
        base64url(claims.as_bytes())
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let signature = hmac::sign(&key, input.as_bytes());
    format!("{input}.{}", base64url(signature.as_ref()))
}

const HEADER: &str = r#"{"alg":"HS256","kid":"k1"}"#;

/// A good token's claims with members added; a repeated name is the caller's way to replace one.
fn claims(members: &str) -> String {
    let mut object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&format!(
        r#"{{"iss":"{ISS}","aud":"payments","sub":"alice","exp":{},"iat":{}}}"#,
        NOW + 600,
        NOW - 10
    ))
    .expect("JSON");
    let added: serde_json::Map<_, _> =
        serde_json::from_str(&format!("{{{members}}}")).expect("JSON members");
    for (name, value) in added {
        if value.is_null() {
            object.remove(&name);
        } else {
            object.insert(name, value);
        }
    }
    serde_json::to_string(&object).expect("JSON")
}

fn jwk(kid: &str, secret: &[u8]) -> String {
    format!(
        r#"{{"kty":"oct","kid":"{kid}","alg":"HS256","k":"{}"}}"#,
        base64url(secret)
    )
}

fn key_set(jwks: &[String]) -> Arc<KeySet> {
    key_set_of("acme", jwks)
}

fn key_set_of(issuer: &str, jwks: &[String]) -> Arc<KeySet> {
    let document = format!(r#"{{"keys":[{}]}}"#, jwks.join(","));
    let owner = Owner {
        issuer: issuer.into(),
        tenant: "default".into(),
    };
    let set = JwkSet::parse(document.as_bytes()).expect("a JWK Set");
    let (keys, skipped) = KeySet::pin(&owner, &set, &[Scheme::HmacSha256]);
    assert_eq!(skipped, [], "every test key is usable");
    Arc::new(keys)
}

fn policy() -> Policy {
    Policy {
        schemes: vec![Scheme::HmacSha256],
        audiences: Accepted::OneOf(vec!["payments".into()]),
        ..Policy::default()
    }
}

fn issuer(policy: Policy) -> Issuer {
    let keys = key_set(&[jwk("k1", SECRET), jwk("k2", OTHER_SECRET)]);
    Issuer {
        name: "acme".into(),
        tenant: "default".into(),
        iss: IssuerMatch::Exact(ISS.into()),
        policy,
        keys: IssuerKeys::Known(keys),
        token_bytes_max: TOKEN_BYTES_DEFAULT,
    }
}

fn records(policy: Policy) -> Records {
    Records::new(vec![issuer(policy)], Vec::new()).expect("one issuer contradicts nobody")
}

fn ask(records: &Records, token: &str, policy: PolicyId) -> Answer {
    let want = Want::Claims;
    let question = Question {
        token: token.as_bytes(),
        policy,
        want: &want,
    };
    let mut answers = Vec::new();
    verify_batch(
        records,
        &[question],
        Now::at(NOW),
        &mut Scratch::default(),
        &mut answers,
    );
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

fn verdict(records: &Records, token: &str) -> Verdict {
    ask(records, token, PolicyId::DEFAULT).verdict
}

fn reason(records: &Records, token: &str) -> Option<Reason> {
    verdict(records, token).reason()
}

#[test]
fn a_good_token_is_valid_and_says_who_vouches() {
    let token = sign(SECRET, HEADER, &claims(""));
    let Verdict::Valid(trusted) = verdict(&records(policy()), &token) else {
        panic!("refused")
    };
    assert_eq!(&*trusted.signer.issuer, "acme");
    assert_eq!(trusted.signer.kid.as_deref(), Some("k1"));
    assert_eq!(trusted.signer.alg, "HS256");
    assert_eq!(
        (trusted.expires_at, trusted.expires_in),
        (Some(NOW + 600), Some(600))
    );
    assert_eq!(trusted.claims.as_bytes(), Some(claims("").as_bytes()));
    assert!(!trusted.cached);
}

#[test]
fn a_batch_gives_each_token_the_verdict_it_gets_alone() {
    let records = records(policy());
    let good = sign(SECRET, HEADER, &claims(""));
    let mut forged = good.clone();
    forged.replace_range(forged.len() - 8..forged.len() - 4, "AAAA");
    let tokens = [
        good.clone(),
        forged,
        sign(SECRET, HEADER, &claims(&format!(r#""exp":{}"#, NOW - 99))),
        "garbage".to_owned(),
        sign(SECRET, r#"{"alg":"HS256"}"#, &claims("")),
        good,
        String::new(),
    ];
    let want = Want::Verdict;
    for size in 1..=tokens.len() {
        let questions: Vec<_> = tokens[..size]
            .iter()
            .map(|token| Question {
                token: token.as_bytes(),
                policy: PolicyId::DEFAULT,
                want: &want,
            })
            .collect();
        let mut answers = Vec::new();
        let mut scratch = Scratch::default();
        verify_batch(
            &records,
            &questions,
            Now::at(NOW),
            &mut scratch,
            &mut answers,
        );
        let together: Vec<_> = answers
            .iter()
            .map(|answer| answer.verdict.reason())
            .collect();
        let alone: Vec<_> = tokens[..size]
            .iter()
            .map(|token| reason(&records, token))
            .collect();
        assert_eq!(together, alone);
    }
}

#[test]
fn the_cost_of_a_token_is_told_by_its_header_and_refused_by_its_form() {
    let cheap = sign(SECRET, HEADER, &claims(""));
    let cost_ns = estimate_cost_ns(cheap.as_bytes(), TOKEN_BYTES_DEFAULT).expect("well formed");
    // An HMAC is a matter of one or two microseconds; a P-521 signature is not.
    assert!(cost_ns < 10_000, "{cost_ns}");
    let dear = format!(
        "{}.{}.{}",
        base64url(br#"{"alg":"ES512"}"#),
        base64url(b"{}"),
        base64url(&[1; 132])
    );
    let dear_ns = estimate_cost_ns(dear.as_bytes(), TOKEN_BYTES_DEFAULT).expect("well formed");
    assert!(dear_ns > 20 * cost_ns, "{dear_ns}");
    assert!(estimate_cost_ns(b"a.b", TOKEN_BYTES_DEFAULT).is_err());
    assert!(matches!(
        estimate_cost_ns(cheap.as_bytes(), 16),
        Err(Refusal::TooLarge {
            what: "token",
            limit_bytes: 16
        })
    ));
}

//! Stories of the pipeline, told with HMAC because a secret is the shortest key. What each algorithm does with
//! its signatures is `crypto`'s story; here it is who is asked, what is checked, and in which order.

use super::*;
use crate::clock::Now;
use crate::crypto::Scheme;
use crate::jose::{Jwk, JwkSet};
use crate::keys::{KeySet, Owner};
use crate::limits::{KEY_CANDIDATES_MAX, TOKEN_BYTES_DEFAULT};
use crate::policy::{Accepted, Narrowing, Policy, TokenTypes};
use crate::verdict::{Cause, Reason, Refusal};
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

fn key_set(jwks: &[String], schemes: &[Scheme]) -> Arc<KeySet> {
    let document = format!(r#"{{"keys":[{}]}}"#, jwks.join(","));
    let owner = Owner {
        issuer: "acme".into(),
        tenant: "default".into(),
    };
    let set = JwkSet::parse(document.as_bytes()).expect("a JWK Set");
    let (keys, skipped) = KeySet::pin(&owner, &set, schemes);
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
    let keys = key_set(
        &[jwk("k1", SECRET), jwk("k2", OTHER_SECRET)],
        &policy.schemes,
    );
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

/// Checks V-17, V-27, V-28, V-29, V-30, V-32, V-37.
#[test]
fn each_claim_rule_has_its_reason() {
    let at_jwt = r#""jti":"1","client_id":"c""#;
    let strict = Policy {
        types: TokenTypes::OneOf(vec!["at+jwt".into()]),
        ..policy()
    };
    let aged = Policy {
        age_seconds_max: Some(300),
        lifetime_seconds_max: Some(3_600),
        ..policy()
    };
    let required = Policy {
        required_claims: vec!["email".into()],
        ..policy()
    };
    let expected = [
        (
            policy(),
            HEADER,
            format!(r#""exp":{}"#, NOW - 30),
            Some(Reason::Expired),
        ),
        // The leeway is 30 s: one second more is still valid.
        (policy(), HEADER, format!(r#""exp":{}"#, NOW - 29), None),
        (
            policy(),
            HEADER,
            format!(r#""nbf":{}"#, NOW + 31),
            Some(Reason::NotYetValid),
        ),
        (policy(), HEADER, format!(r#""nbf":{}"#, NOW + 30), None),
        (
            policy(),
            HEADER,
            format!(r#""iat":{}"#, NOW + 31),
            Some(Reason::IssuedInFuture),
        ),
        (
            policy(),
            HEADER,
            format!(r#""iat":{}.5"#, NOW + 30),
            Some(Reason::IssuedInFuture),
        ),
        (
            policy(),
            HEADER,
            r#""exp":null"#.into(),
            Some(Reason::MissingClaim),
        ),
        (
            Policy {
                expiry_required: false,
                ..policy()
            },
            HEADER,
            r#""exp":null"#.into(),
            None,
        ),
        (
            policy(),
            HEADER,
            format!(r#""exp":"{NOW}""#),
            Some(Reason::InvalidClaim),
        ),
        (
            policy(),
            HEADER,
            r#""sub":42"#.into(),
            Some(Reason::InvalidClaim),
        ),
        (policy(), HEADER, r#""aud":["x","payments"]"#.into(), None),
        (
            policy(),
            HEADER,
            r#""aud":["x","Payments"]"#.into(),
            Some(Reason::WrongAudience),
        ),
        (
            policy(),
            HEADER,
            r#""aud":null"#.into(),
            Some(Reason::WrongAudience),
        ),
        (
            policy(),
            HEADER,
            r#""aud":[]"#.into(),
            Some(Reason::WrongAudience),
        ),
        (
            policy(),
            HEADER,
            r#""iss":"https://idp.acme.example/""#.into(),
            Some(Reason::UnknownIssuer),
        ),
        (
            policy(),
            HEADER,
            r#""iss":null"#.into(),
            Some(Reason::UnknownIssuer),
        ),
        (
            policy(),
            HEADER,
            r#""cnf":{"jkt":"x"}"#.into(),
            Some(Reason::BindingMismatch),
        ),
        (
            Policy {
                bound_tokens_as_bearer: true,
                ..policy()
            },
            HEADER,
            r#""cnf":{}"#.into(),
            None,
        ),
        (aged.clone(), HEADER, String::new(), None),
        (
            aged.clone(),
            HEADER,
            format!(r#""iat":{}"#, NOW - 331),
            Some(Reason::TooOld),
        ),
        (
            aged.clone(),
            HEADER,
            format!(r#""iat":{}"#, NOW - 330),
            None,
        ),
        (
            aged.clone(),
            HEADER,
            format!(r#""exp":{}"#, NOW + 3_591),
            Some(Reason::TooOld),
        ),
        (
            aged,
            HEADER,
            r#""iat":null"#.into(),
            Some(Reason::MissingClaim),
        ),
        (
            required.clone(),
            HEADER,
            String::new(),
            Some(Reason::MissingClaim),
        ),
        (required, HEADER, r#""email":"a@example""#.into(), None),
        (
            strict.clone(),
            HEADER,
            at_jwt.into(),
            Some(Reason::WrongType),
        ),
        (
            strict.clone(),
            r#"{"alg":"HS256","typ":"at+jwt"}"#,
            at_jwt.into(),
            None,
        ),
        (
            strict.clone(),
            r#"{"alg":"HS256","typ":"application/AT+JWT"}"#,
            at_jwt.into(),
            None,
        ),
        (
            strict.clone(),
            r#"{"alg":"HS256","typ":"JWT"}"#,
            at_jwt.into(),
            Some(Reason::WrongType),
        ),
        (
            strict,
            r#"{"alg":"HS256","typ":"at+jwt"}"#,
            String::new(),
            Some(Reason::MissingClaim),
        ),
    ];
    for (policy, header, members, expected) in expected {
        let token = sign(SECRET, header, &claims(&members));
        assert_eq!(
            reason(&records(policy), &token),
            expected,
            "{header} {members}"
        );
    }
}

/// Checks V-33.
#[test]
fn a_token_of_another_kind_never_passes_for_an_access_token() {
    let records = records(policy());
    for typ in [
        "dpop+jwt",
        "logout+jwt",
        "secevent+jwt",
        "statuslist+jwt",
        "rt+jwt",
        "token-introspection+jwt",
    ] {
        let header = format!(r#"{{"alg":"HS256","kid":"k1","typ":"{typ}"}}"#);
        let token = sign(SECRET, &header, &claims(""));
        assert_eq!(reason(&records, &token), Some(Reason::WrongType), "{typ}");
    }
}

/// Checks V-38.
#[test]
fn several_faults_give_the_first_in_the_order_of_precedence() {
    let records = records(policy());
    let expired_and_wrong = claims(&format!(r#""exp":{},"aud":"x""#, NOW - 900));
    // Structure, then algorithm and key, then signature, then claims.
    let cases = [
        (
            format!("{}=", sign(OTHER_SECRET, HEADER, &expired_and_wrong)),
            Reason::Malformed,
        ),
        (
            sign(OTHER_SECRET, r#"{"alg":"none"}"#, &expired_and_wrong),
            Reason::UnsupportedAlg,
        ),
        (
            sign(
                OTHER_SECRET,
                r#"{"alg":"HS512","kid":"k1"}"#,
                &expired_and_wrong,
            ),
            Reason::AlgNotAllowed,
        ),
        (
            sign(
                OTHER_SECRET,
                r#"{"alg":"HS256","kid":"zz"}"#,
                &expired_and_wrong,
            ),
            Reason::UnknownKid,
        ),
        (
            sign(OTHER_SECRET, HEADER, &expired_and_wrong),
            Reason::BadSignature,
        ),
        (sign(SECRET, HEADER, &expired_and_wrong), Reason::Expired),
    ];
    for (token, expected) in cases {
        assert_eq!(reason(&records, &token), Some(expected));
    }
}

/// Checks V-40.
#[test]
fn a_refusal_before_the_signature_tells_nothing_of_the_claims() {
    let records = records(policy());
    let secret_word = "opensesame";
    for (header, members) in [
        (HEADER, format!(r#""sub":"{secret_word}""#)),
        (HEADER, format!(r#""iss":"{secret_word}""#)),
        (HEADER, format!(r#""exp":"{secret_word}""#)),
        (
            r#"{"alg":"HS256","kid":"zz"}"#,
            format!(r#""aud":"{secret_word}""#),
        ),
    ] {
        let token = sign(
            b"not the secret at all, 32 bytes!",
            header,
            &claims(&members),
        );
        let verdict = verdict(&records, &token);
        let json = String::from_utf8(verdict.to_json()).expect("JSON");
        assert!(!json.contains(secret_word), "{json}");
        assert!(!format!("{verdict:?}").contains(secret_word));
        assert_ne!(verdict.reason(), Some(Reason::InvalidClaim));
    }
}

#[test]
fn a_token_without_kid_is_tried_against_the_few_keys_that_fit() {
    let records = records(policy());
    for secret in [SECRET, OTHER_SECRET] {
        let token = sign(secret, r#"{"alg":"HS256"}"#, &claims(""));
        assert_eq!(reason(&records, &token), None);
    }
    let many: Vec<String> = (0..=KEY_CANDIDATES_MAX)
        .map(|n| jwk(&format!("k{n}"), &[u8::try_from(n).expect("few"); 32]))
        .collect();
    let mut issuer = issuer(policy());
    issuer.keys = IssuerKeys::Known(key_set(&many, &policy().schemes));
    let records = Records::new(vec![issuer], Vec::new()).expect("records");
    let token = sign(&[0; 32], r#"{"alg":"HS256"}"#, &claims(""));
    assert_eq!(
        reason(&records, &token),
        Some(Reason::UnknownKid),
        "too many to try"
    );
}

/// Checks V-14.
#[test]
fn a_kid_of_one_key_never_verifies_with_another() {
    let token = sign(OTHER_SECRET, HEADER, &claims(""));
    assert_eq!(
        reason(&records(policy()), &token),
        Some(Reason::BadSignature)
    );
}

#[test]
fn an_issuer_s_key_never_verifies_another_issuer_s_token() {
    let mut other = issuer(policy());
    other.name = "other".into();
    other.iss = IssuerMatch::Exact("https://other.example".into());
    other.keys = IssuerKeys::Known(key_set(&[jwk("k1", OTHER_SECRET)], &policy().schemes));
    let records = Records::new(vec![issuer(policy()), other], Vec::new()).expect("records");
    let crossed = sign(SECRET, HEADER, &claims(r#""iss":"https://other.example""#));
    assert_eq!(reason(&records, &crossed), Some(Reason::BadSignature));
    let own = sign(
        OTHER_SECRET,
        HEADER,
        &claims(r#""iss":"https://other.example""#),
    );
    assert_eq!(reason(&records, &own), None);
}

/// Checks V-42.
#[test]
fn keys_that_have_not_arrived_make_a_token_undecided_not_invalid() {
    let mut issuer = issuer(policy());
    issuer.keys = IssuerKeys::Awaited;
    let records = Records::new(vec![issuer], Vec::new()).expect("records");
    let Verdict::Unavailable(unavailable) = verdict(&records, &sign(SECRET, HEADER, &claims("")))
    else {
        panic!("decided")
    };
    assert_eq!(unavailable.cause, Cause::KeysRefreshing);
}

#[test]
fn an_unknown_kid_names_the_issuer_to_look_at_again() {
    let records = records(policy());
    let unknown = sign(SECRET, r#"{"alg":"HS256","kid":"new"}"#, &claims(""));
    assert_eq!(
        ask(&records, &unknown, PolicyId::DEFAULT).missing_key_of,
        Some(0)
    );
    let known = sign(SECRET, HEADER, &claims(""));
    assert_eq!(
        ask(&records, &known, PolicyId::DEFAULT).missing_key_of,
        None
    );
}

/// Checks V-35.
#[test]
fn a_request_policy_narrows_and_never_widens() {
    let narrow = |narrowing| {
        let issuers = vec![issuer(policy())];
        Records::new(issuers, vec![("p".into(), narrowing)]).expect("records")
    };
    let list = |words: &[&str]| {
        Some(
            words
                .iter()
                .map(|&word| word.into())
                .collect::<Vec<Box<str>>>(),
        )
    };
    let scopes = |words: &[&str]| Narrowing {
        scopes: list(words).unwrap_or_default(),
        ..Narrowing::default()
    };
    let cases = [
        (Narrowing::default(), "", None),
        (
            Narrowing {
                issuers: list(&["acme"]),
                ..Narrowing::default()
            },
            "",
            None,
        ),
        (
            Narrowing {
                issuers: list(&[]),
                ..Narrowing::default()
            },
            "",
            Some(Reason::WrongIssuer),
        ),
        (
            Narrowing {
                audiences: list(&["ledger"]),
                ..Narrowing::default()
            },
            "",
            Some(Reason::WrongAudience),
        ),
        (
            Narrowing {
                audiences: list(&["ledger"]),
                ..Narrowing::default()
            },
            r#""aud":"ledger""#,
            Some(Reason::WrongAudience),
        ),
        (
            Narrowing {
                audiences: list(&["ledger"]),
                ..Narrowing::default()
            },
            r#""aud":["ledger","payments"]"#,
            None,
        ),
        (
            Narrowing {
                types: list(&["at+jwt"]),
                ..Narrowing::default()
            },
            "",
            Some(Reason::WrongType),
        ),
        (
            Narrowing {
                age_seconds_max: Some(5),
                ..Narrowing::default()
            },
            &format!(r#""iat":{}"#, NOW - 36),
            Some(Reason::TooOld),
        ),
        (scopes(&["pay"]), "", Some(Reason::InsufficientScope)),
        (scopes(&["pay"]), r#""scope":"read pay""#, None),
        (
            scopes(&["pay"]),
            r#""scope":"read payments""#,
            Some(Reason::InsufficientScope),
        ),
        (scopes(&["pay", "read"]), r#""scp":["read","pay"]"#, None),
        (
            scopes(&["pay"]),
            r#""scope":42"#,
            Some(Reason::InsufficientScope),
        ),
    ];
    for (narrowing, members, expected) in cases {
        let records = narrow(narrowing.clone());
        let asked = records.policy("p").expect("configured");
        let token = sign(SECRET, HEADER, &claims(members));
        assert_eq!(
            ask(&records, &token, asked).verdict.reason(),
            expected,
            "{narrowing:?} {members}"
        );
    }
}

#[test]
fn a_policy_number_that_does_not_exist_is_forbidden() {
    let answer = ask(
        &records(policy()),
        &sign(SECRET, HEADER, &claims("")),
        PolicyId(9),
    );
    assert_eq!(answer.verdict.reason(), Some(Reason::Forbidden));
    assert!(answer.remember.is_none());
}

#[test]
fn contradictions_are_refused_when_the_records_are_made() {
    let twice = Records::new(vec![issuer(policy()), issuer(policy())], Vec::new());
    assert!(matches!(
        twice,
        Err(RecordsError::DuplicateIssuer { what: "name", .. })
    ));
    let mut renamed = issuer(policy());
    renamed.name = "again".into();
    let same_iss = Records::new(vec![issuer(policy()), renamed], Vec::new());
    assert!(matches!(
        same_iss,
        Err(RecordsError::DuplicateIssuer { what: "iss", .. })
    ));
    let ghost = Narrowing {
        issuers: Some(vec!["ghost".into()]),
        ..Narrowing::default()
    };
    let unknown = Records::new(vec![issuer(policy())], vec![("p".into(), ghost)]);
    assert!(matches!(unknown, Err(RecordsError::UnknownIssuer { .. })));
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

    // The key set is replaced by one with the very same keys: still another generation.
    let keys = key_set(&[jwk("k1", SECRET)], &policy().schemes);
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

#[test]
fn a_secret_from_a_file_fits_any_kid() {
    let set = JwkSet {
        keys: vec![Jwk::from_secret(SECRET)],
        skipped: Vec::new(),
    };
    let owner = Owner {
        issuer: "acme".into(),
        tenant: "default".into(),
    };
    let (keys, skipped) = KeySet::pin(&owner, &set, &[Scheme::HmacSha256]);
    assert_eq!(skipped, []);
    let mut issuer = issuer(policy());
    issuer.keys = IssuerKeys::Known(Arc::new(keys));
    let records = Records::new(vec![issuer], Vec::new()).expect("records");
    assert_eq!(reason(&records, &sign(SECRET, HEADER, &claims(""))), None);
}

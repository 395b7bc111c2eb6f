//! Whose keys are asked, and what happens where there are none.

use super::*;
use crate::jose::Jwk;
use crate::limits::KEY_CANDIDATES_MAX;
use crate::verdict::Cause;

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
    issuer.keys = IssuerKeys::Known(key_set(&many));
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

/// Checks V-17, V-31.
#[test]
fn an_issuer_s_key_never_verifies_another_issuer_s_token() {
    let mut other = issuer(policy());
    other.name = "other".into();
    other.iss = IssuerMatch::Exact("https://other.example".into());
    other.keys = IssuerKeys::Known(key_set_of("other", &[jwk("k1", OTHER_SECRET)]));
    let records = Records::new(vec![issuer(policy()), other], Vec::new()).expect("records");
    let crossed = sign(SECRET, HEADER, &claims(r#""iss":"https://other.example""#));
    assert_eq!(reason(&records, &crossed), Some(Reason::BadSignature));
    let own = sign(
        OTHER_SECRET,
        HEADER,
        &claims(r#""iss":"https://other.example""#),
    );
    // The same `sub` of two issuers is two users: the verdict says which issuer vouches.
    let ours = sign(SECRET, HEADER, &claims(""));
    let vouchers = [&own, &ours].map(|token| match verdict(&records, token) {
        Verdict::Valid(trusted) => trusted.signer.issuer.to_string(),
        refused => panic!("{refused:?}"),
    });
    assert_eq!(vouchers, ["other", "acme"]);
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

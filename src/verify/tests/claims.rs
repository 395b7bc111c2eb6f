//! What is judged once the signature is known: the order of precedence, each rule, each narrowing.

use super::*;

/// Checks V-27, V-28, V-29, V-30, V-32, V-34, V-37.
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

/// Checks V-11, V-38.
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
        PolicyId(u32::MAX),
    );
    assert_eq!(answer.verdict.reason(), Some(Reason::Forbidden));
    assert!(answer.remember.is_none());
}

#[test]
fn a_policy_keeps_its_number_over_reloads() {
    let with = |names: &[&str]| {
        let policies = names
            .iter()
            .map(|&name| (name.into(), Narrowing::default()));
        Records::new(vec![issuer(policy())], policies.collect()).expect("records")
    };
    let before = with(&["reload-a", "reload-b"]);
    let after = with(&["reload-b"]);
    assert_eq!(before.policy("reload-b"), after.policy("reload-b"));
    let gone = before.policy("reload-a").expect("configured");
    assert_eq!(after.policy("reload-a"), None);
    let answer = ask(&after, &sign(SECRET, HEADER, &claims("")), gone);
    assert_eq!(answer.verdict.reason(), Some(Reason::Forbidden));
}

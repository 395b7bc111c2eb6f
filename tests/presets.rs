//! Each preset with a token of that issuer's shape, made by keys of our own, and with one that only looks like it.
#![allow(clippy::disallowed_methods, reason = "a test reads files")]

use jotd::clock::Now;
use jotd::config;
use jotd::issuer::{Claims, ProtectedHeader, SigningKey};
use jotd::jose::Algorithm;
use jotd::keys::Owner;
use jotd::upstream::{Feed, KeysAtHand};
use jotd::verdict::{Reason, Verdict};
use jotd::verify::{Issuer, PolicyId, Question, Records, Scratch, Want, verify_batch};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::LazyLock;

const NOW: i64 = 1_790_000_000;

/// One RSA key for all: making one takes longer than all the rest.
static RS256: LazyLock<SigningKey> = LazyLock::new(|| {
    let key = SigningKey::generate(Algorithm::Rs256, None).expect("a key");
    key.with_kid(Some("k1")).expect("a good kid")
});

/// What an issuer writes: header members, claims; `iat` and `exp` are added.
fn token(typ: Option<&str>, claims: &Value) -> String {
    let mut extra: Map<String, Value> = claims.as_object().expect("an object").clone();
    let mut text = |name: &str| {
        extra
            .remove(name)
            .and_then(|value| value.as_str().map(str::to_owned))
    };
    let claims = Claims {
        header: ProtectedHeader {
            typ: typ.map(str::to_owned),
            extra: Map::new(),
        },
        issuer: text("iss"),
        subject: text("sub"),
        audiences: text("aud").into_iter().collect(),
        lifetime_seconds: Some(300),
        valid_after_seconds: None,
        id: None,
        extra,
    };
    RS256.mint(&claims, NOW).expect("signed")
}

/// A preset with what an operator adds, and keys in a file instead of where the issuer has them.
fn records(preset: &str, settings: &str) -> Records {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut public: Value =
        serde_json::from_str(&RS256.public_jwk().expect("public")).expect("JSON");
    if preset == "spiffe" {
        public["use"] = json!("jwt-svid");
    }
    let set = json!({ "keys": [public] });
    std::fs::write(folder.path().join("jwks.json"), set.to_string()).expect("writable");
    let text = format!(
        "[[issuer]]\nname = \"it\"\npreset = \"{preset}\"\njwks_file = \"jwks.json\"\n{settings}\n"
    );
    let path = folder.path().join("jotd.toml");
    let config =
        config::parse(&text, &path, []).unwrap_or_else(|faults| panic!("{preset}: {faults}"));
    let feed = |issuer: &config::Issuer| Feed {
        owner: Owner {
            issuer: issuer.name.clone(),
            tenant: issuer.tenant.clone(),
        },
        schemes: issuer.policy.schemes.clone(),
        source: issuer.source.clone(),
    };
    let feeds: Vec<Feed> = config.issuers.iter().map(feed).collect();
    let keys = KeysAtHand::read(&feeds).expect("the file is there");
    let issuers = config.issuers.into_iter().map(|issuer| Issuer {
        keys: keys.of(&issuer.name),
        name: issuer.name,
        tenant: issuer.tenant,
        iss: issuer.iss,
        policy: issuer.policy,
        token_bytes_max: issuer.token_bytes_max,
    });
    Records::new(issuers.collect(), config.policies).expect("one issuer")
}

fn reason(records: &Records, token: &str) -> Option<Reason> {
    let want = Want::Verdict;
    let question = Question {
        token: token.as_bytes(),
        policy: PolicyId::DEFAULT,
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
    let verdict: Verdict = answers.remove(0).verdict;
    verdict.reason()
}

/// The good token passes, and each change to it is refused for its reason.
fn check(preset: &str, settings: &str, typ: Option<&str>, good: &Value, wrong: &[(Value, Reason)]) {
    let records = records(preset, settings);
    assert_eq!(
        reason(&records, &token(typ, good)),
        None,
        "{preset}: {good}"
    );
    for (changes, expected) in wrong {
        let mut claims = good.clone();
        for (name, value) in changes.as_object().expect("an object") {
            if value.is_null() {
                claims.as_object_mut().expect("an object").remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        assert_eq!(
            reason(&records, &token(typ, &claims)),
            Some(*expected),
            "{preset}: {changes}"
        );
    }
}

#[test]
fn auth0() {
    check(
        "auth0",
        "issuer = \"https://acme.eu.auth0.com/\"\naudiences = [\"https://api.acme.example\"]",
        Some("at+jwt"),
        &json!({
            "iss": "https://acme.eu.auth0.com/", "sub": "auth0|5f7c8ec7c33c6c004bbafe82",
            "aud": "https://api.acme.example", "azp": "my_client_id", "scope": "openid profile",
        }),
        &[
            (
                json!({ "iss": "https://acme.eu.auth0.com" }),
                Reason::UnknownIssuer,
            ),
            (
                json!({ "aud": "https://acme.eu.auth0.com/userinfo" }),
                Reason::WrongAudience,
            ),
            (json!({ "sub": null }), Reason::MissingClaim),
        ],
    );
}

#[test]
fn okta() {
    check(
        "okta",
        "issuer = \"https://acme.okta.com/oauth2/default\"\naudiences = [\"api://default\"]",
        None,
        &json!({
            "ver": 1, "iss": "https://acme.okta.com/oauth2/default", "aud": "api://default",
            "cid": "0oabv6kx4qq6h1U5l0h7", "uid": "00ugrenMeqvYla4HW0g3", "scp": ["openid"], "sub": "alice@acme.example",
        }),
        &[
            (
                json!({ "aud": "0oabv6kx4qq6h1U5l0h7" }),
                Reason::WrongAudience,
            ),
            // An ID token has no `cid`.
            (json!({ "cid": null }), Reason::MissingClaim),
        ],
    );
}

const TENANT: &str = "9122040d-6c67-4c5b-b112-36a304b66dad";

#[test]
fn entra() {
    let iss = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
    let good = json!({
        "iss": iss, "aud": "6e74172b-be56-4843-9ff4-e66a39bb12e3", "tid": TENANT, "ver": "2.0",
        "oid": "690222be-ff1a-4d56-abd1-7e4f7d38e474", "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
        "azp": "6e74172b-be56-4843-9ff4-e66a39bb12e3", "scp": "access_as_user",
    });
    let settings =
        format!("issuer = \"{iss}\"\naudiences = [\"6e74172b-be56-4843-9ff4-e66a39bb12e3\"]");
    let other = "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0";
    let wrong = [
        (json!({ "iss": other }), Reason::UnknownIssuer),
        (json!({ "tid": null }), Reason::MissingClaim),
        (
            json!({ "aud": "00000003-0000-0000-c000-000000000000" }),
            Reason::WrongAudience,
        ),
    ];
    check("entra", &settings, Some("JWT"), &good, &wrong);
}

/// One key set for all tenants, which is what Entra has; each is a tenant here once a token of it was genuine.
#[test]
fn entra_with_many_tenants() {
    let settings =
        "issuer = \"https://login.microsoftonline.com/{tenant}/v2.0\"\naudiences = [\"app\"]";
    let records = records("entra", settings);
    let iss = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
    let good = token(
        Some("JWT"),
        &json!({ "iss": iss, "aud": "app", "tid": TENANT, "sub": "s" }),
    );
    assert_eq!(
        reason(&records, &good),
        Some(Reason::Unavailable),
        "its tenant is to be loaded"
    );
    let records = records.with_tenant(&iss, None).expect("keys are shared");
    assert_eq!(reason(&records, &good), None);
    assert_eq!(
        records.tenant_of(Some(&iss)),
        Some(&*format!("it/{TENANT}"))
    );
}

#[test]
fn google() {
    check(
        "google",
        "audiences = [\"1234987819200.apps.googleusercontent.com\"]",
        Some("JWT"),
        &json!({
            "iss": "https://accounts.google.com", "azp": "1234987819200.apps.googleusercontent.com",
            "aud": "1234987819200.apps.googleusercontent.com", "sub": "10769150350006150715113082367",
            "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q", "hd": "acme.example", "email": "alice@acme.example", "email_verified": true,
        }),
        &[
            (
                json!({ "aud": "another.apps.googleusercontent.com" }),
                Reason::WrongAudience,
            ),
            (
                json!({ "iss": "accounts.google.com" }),
                Reason::UnknownIssuer,
            ),
        ],
    );
}

#[test]
fn cognito() {
    let iss = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab3dEfGhI";
    check(
        "cognito",
        &format!(
            "issuer = \"{iss}\"\naudiences = \"any\"\nclaims = {{ token_use = \"access\", client_id = \"57cbishk4j24pabc1234567890\" }}"
        ),
        None,
        &json!({
            "iss": iss, "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "client_id": "57cbishk4j24pabc1234567890",
            "origin_jti": "bbbbbbbb-bbbb-cccc-dddd-eeeeeeeeeeee", "token_use": "access", "version": 2,
            "scope": "aws.cognito.signin.user.admin", "username": "alice",
        }),
        &[
            (json!({ "token_use": "id" }), Reason::InvalidClaim),
            (json!({ "client_id": "another" }), Reason::InvalidClaim),
            (json!({ "client_id": null }), Reason::MissingClaim),
        ],
    );
}

#[test]
fn keycloak() {
    check(
        "keycloak",
        "issuer = \"https://sso.acme.example/realms/staff\"\naudiences = [\"payments\"]",
        Some("JWT"),
        &json!({
            "iss": "https://sso.acme.example/realms/staff", "aud": "payments", "typ": "Bearer", "azp": "web",
            "sub": "f:b1a7:alice", "sid": "9f7b", "realm_access": { "roles": ["user"] }, "scope": "profile email",
        }),
        &[
            // Its ID tokens and refresh tokens are JWTs by the same keys.
            (json!({ "typ": "ID" }), Reason::InvalidClaim),
            (json!({ "typ": "Refresh" }), Reason::InvalidClaim),
            (
                json!({ "iss": "https://sso.acme.example/realms/guests" }),
                Reason::UnknownIssuer,
            ),
        ],
    );
}

#[test]
fn github_actions() {
    check(
        "github-actions",
        "audiences = [\"https://deploy.acme.example\"]\nclaims = { sub = [\"repo:acme/shop:ref:refs/heads/main\", \"repo:acme/shop:environment:*\"] }",
        Some("JWT"),
        &json!({
            "iss": "https://token.actions.githubusercontent.com", "aud": "https://deploy.acme.example",
            "sub": "repo:acme/shop:environment:production", "repository": "acme/shop", "repository_owner": "acme",
            "ref": "refs/heads/main", "sha": "1f2e3d", "workflow": "deploy", "actor": "alice", "run_id": "1234",
            "job_workflow_ref": "acme/shop/.github/workflows/deploy.yml@refs/heads/main", "environment": "production",
        }),
        &[
            (
                json!({ "sub": "repo:evil/shop:environment:production" }),
                Reason::InvalidClaim,
            ),
            (
                json!({ "sub": "repo:acme/shop:pull_request" }),
                Reason::InvalidClaim,
            ),
            (
                json!({ "sub": "repo:acme/shop:ref:refs/heads/main2" }),
                Reason::InvalidClaim,
            ),
            (
                json!({ "aud": "https://github.com/acme" }),
                Reason::WrongAudience,
            ),
        ],
    );
}

#[test]
fn gitlab_ci() {
    check(
        "gitlab-ci",
        "issuer = \"https://gitlab.acme.example\"\naudiences = [\"https://deploy.acme.example\"]\nclaims = { namespace_path = \"acme\", ref_protected = \"true\" }",
        Some("JWT"),
        &json!({
            "iss": "https://gitlab.acme.example", "aud": "https://deploy.acme.example",
            "sub": "project_path:acme/shop:ref_type:branch:ref:main", "namespace_path": "acme", "project_path": "acme/shop",
            "ref": "main", "ref_type": "branch", "ref_protected": "true", "pipeline_source": "push", "job_id": "302",
        }),
        &[
            (json!({ "namespace_path": "evil" }), Reason::InvalidClaim),
            (json!({ "ref_protected": "false" }), Reason::InvalidClaim),
        ],
    );
}

#[test]
fn kubernetes() {
    check(
        "kubernetes",
        "audiences = [\"https://kubernetes.default.svc\"]\nclaims = { sub = \"system:serviceaccount:shop:*\" }",
        None,
        &json!({
            "iss": "https://kubernetes.default.svc.cluster.local", "aud": "https://kubernetes.default.svc",
            "sub": "system:serviceaccount:shop:checkout",
            "kubernetes.io": {
                "namespace": "shop", "pod": { "name": "checkout-7d4", "uid": "94ff7c40" },
                "serviceaccount": { "name": "checkout", "uid": "86ad9d1a" }, "warnafter": NOW + 200,
            },
        }),
        &[
            (
                json!({ "sub": "system:serviceaccount:other:checkout" }),
                Reason::InvalidClaim,
            ),
            (json!({ "sub": "system:node:a" }), Reason::InvalidClaim),
            (json!({ "kubernetes.io": null }), Reason::MissingClaim),
        ],
    );
}

/// JWT-SVID §3: `sub` and `aud` are there, `iss` need not be; the bundle's keys are for "jwt-svid".
#[test]
fn spiffe() {
    check(
        "spiffe",
        "audiences = [\"spiffe://acme.example/payments\"]\nclaims = { sub = \"spiffe://acme.example/*\" }",
        Some("JWT"),
        &json!({ "sub": "spiffe://acme.example/ns/shop/sa/checkout", "aud": "spiffe://acme.example/payments" }),
        &[
            (
                json!({ "sub": "spiffe://evil.example/ns/shop/sa/checkout" }),
                Reason::InvalidClaim,
            ),
            (
                json!({ "sub": "spiffe://acme.example.evil/x" }),
                Reason::InvalidClaim,
            ),
            (
                json!({ "aud": "spiffe://acme.example/ledger" }),
                Reason::WrongAudience,
            ),
        ],
    );
}

#[test]
fn what_a_preset_knows_is_asked_for() {
    let faults = |text: &str| {
        let text = format!("[[issuer]]\nname = \"it\"\n{text}");
        match config::parse(&text, Path::new("jotd.toml"), []) {
            Ok(_) => String::new(),
            Err(faults) => faults.to_string(),
        }
    };
    for (settings, said) in [
        (
            "preset = \"auth0\"\nissuer = \"https://acme.auth0.com\"\naudiences = [\"a\"]",
            "with a slash",
        ),
        (
            "preset = \"okta\"\nissuer = \"https://acme.okta.com\"\naudiences = [\"a\"]",
            "authorization server",
        ),
        (
            "preset = \"entra\"\nissuer = \"https://login.microsoftonline.com/common/v2.0\"\naudiences = [\"a\"]",
            "never \"common\"",
        ),
        (
            "preset = \"google\"\nissuer = \"https://google.com\"\naudiences = [\"a\"]",
            "https://accounts.google.com",
        ),
        (
            "preset = \"github-actions\"\naudiences = [\"a\"]",
            "every workflow on GitHub",
        ),
        (
            "preset = \"gitlab-ci\"\naudiences = [\"a\"]",
            "every project",
        ),
        (
            "preset = \"spiffe\"\naudiences = [\"a\"]\njwks_file = \"x\"",
            "which trust domain",
        ),
        (
            "preset = \"cognito\"\nissuer = \"https://cognito-idp.eu-west-1.amazonaws.com/p\"\naudiences = \"any\"",
            "client_id",
        ),
        ("preset = \"keycloack\"", "did you mean `keycloak`?"),
        ("preset = \"google\"", "`audiences` is missing"),
    ] {
        assert!(
            faults(settings).contains(said),
            "{settings}:\n{}",
            faults(settings)
        );
    }
    let good =
        "preset = \"google\"\naudiences = [\"a\"]\nalgorithms = [\"ES256\"]\nrefresh_seconds = 60";
    assert_eq!(faults(good), "", "what is written counts");
}

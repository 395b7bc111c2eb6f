//! Tenants that templates bring, peers that are bound to tenants, and that no tenant's keys verify another's tokens.

use super::*;
use crate::verdict::{Cause, Unavailable};
use std::time::Duration;

const ENTRA: &str = "https://login.example/{tenant}/v2.0";

/// Every tenant signs with a secret of its own, and all call their key the same.
fn secret_of(tenant: &str) -> Vec<u8> {
    format!("{tenant:-<40}").into_bytes()
}

fn template_issuer(name: &str, iss: &str) -> Issuer {
    Issuer {
        name: name.into(),
        tenant: format!("{name}/{HOLE}").into(),
        iss: IssuerMatch::Template(Arc::new(IssTemplate::parse(iss).expect(iss))),
        keys: IssuerKeys::Awaited,
        ..issuer(policy())
    }
}

fn exact_issuer(name: &str, iss: &str) -> Issuer {
    let keys = tenant_keys(name, name, &secret_of(name));
    Issuer {
        name: name.into(),
        tenant: name.into(),
        iss: IssuerMatch::Exact(iss.into()),
        keys: IssuerKeys::Known(keys),
        ..issuer(policy())
    }
}

fn tenant_keys(issuer: &str, tenant: &str, secret: &[u8]) -> Arc<KeySet> {
    let document = format!(r#"{{"keys":[{}]}}"#, jwk("k1", secret));
    let set = JwkSet::parse(document.as_bytes()).expect("a JWK Set");
    let owner = Owner {
        issuer: issuer.into(),
        tenant: tenant.into(),
    };
    Arc::new(KeySet::pin(&owner, &set, &[Scheme::HmacSha256]).0)
}

fn entra(tenant: &str) -> String {
    ENTRA.replace(HOLE, tenant)
}

fn load(records: &Records, tenant: &str) -> Records {
    let keys = tenant_keys("entra", &format!("entra/{tenant}"), &secret_of(tenant));
    let loaded = records.with_tenant(&entra(tenant), Some(keys));
    loaded.expect("the template brings it")
}

fn token_of(iss: &str, secret: &[u8]) -> String {
    sign(secret, HEADER, &claims(&format!(r#""iss":"{iss}""#)))
}

fn signer_of(records: &Records, token: &str) -> Option<String> {
    match verdict(records, token) {
        Verdict::Valid(trusted) => Some(trusted.signer.tenant.to_string()),
        _ => None,
    }
}

fn is_awaited(records: &Records, token: &str) -> bool {
    let answer = ask(records, token, PolicyId::DEFAULT);
    let awaited =
        matches!(&answer.verdict, Verdict::Unavailable(it) if it.cause == Cause::KeysRefreshing);
    assert_eq!(awaited, answer.missing_tenant.is_some());
    assert!(!awaited || answer.remember.is_none());
    awaited
}

fn template_records(others: Vec<Issuer>) -> Records {
    let mut issuers = vec![template_issuer("entra", ENTRA)];
    issuers.extend(others);
    Records::new(issuers, Vec::new()).expect("no contradiction")
}

#[test]
fn a_tenant_is_loaded_once_its_token_comes_and_is_a_tenant_of_its_own() {
    let records = template_records(Vec::new());
    let token = token_of(&entra("a"), &secret_of("a"));
    let answer = ask(&records, &token, PolicyId::DEFAULT);
    assert_eq!(answer.missing_tenant.as_deref(), Some(&*entra("a")));
    assert!(is_awaited(&records, &token));
    let loaded = load(&records, "a");
    assert_eq!(signer_of(&loaded, &token).as_deref(), Some("entra/a"));
    assert!(
        is_awaited(&records, &token),
        "the old snapshot has not changed"
    );
    assert_eq!(loaded.issuers().len(), 1);
    assert_eq!(loaded.verifying().count(), 2);
    assert!(loaded.public_jwks(Some("entra/a")).contains("keys"));
    let gone = loaded.without_tenant(&entra("a")).expect("it is loaded");
    assert!(is_awaited(&gone, &token));
    assert!(gone.without_tenant(&entra("a")).is_none());
    let absent = gone.with_absent(&entra("a"), true);
    assert_eq!(reason(&absent, &token), Some(Reason::UnknownIssuer));
    assert!(is_awaited(&absent.with_absent(&entra("a"), false), &token));
}

#[test]
fn what_fits_no_template_or_is_not_trusted_is_nobody_s() {
    let only = IssTemplate::parse(ENTRA)
        .expect("a template")
        .only(["a".into()]);
    let mut model = template_issuer("entra", ENTRA);
    model.iss = IssuerMatch::Template(Arc::new(only));
    let records = Records::new(vec![model], Vec::new()).expect("one template");
    let of = |iss: &str| reason(&records, &token_of(iss, &secret_of("a")));
    assert!(is_awaited(
        &records,
        &token_of(&entra("a"), &secret_of("a"))
    ));
    for iss in [
        entra("b"),
        entra("a/b"),
        entra(".."),
        entra(""),
        entra("A%61"),
        format!("{}/", entra("a")),
    ] {
        assert_eq!(of(&iss), Some(Reason::UnknownIssuer), "{iss}");
        assert!(
            records
                .with_tenant(&iss, Some(tenant_keys("entra", "x", &secret_of("a"))))
                .is_none()
        );
    }
}

/// Whoever answers to any `iss` does not answer for what a template would bring.
#[test]
fn an_exact_issuer_comes_before_a_template_and_any_comes_last() {
    let mut any = exact_issuer("any", "unused");
    any.iss = IssuerMatch::Any;
    let own = exact_issuer("own", &entra("own"));
    let records = template_records(vec![any, own]);
    let by_own = token_of(&entra("own"), &secret_of("own"));
    assert_eq!(signer_of(&records, &by_own).as_deref(), Some("own"));
    assert!(
        records
            .with_tenant(&entra("own"), Some(tenant_keys("entra", "x", SECRET)))
            .is_none()
    );
    // Signed by the issuer for any `iss`, but of a tenant of the template.
    let by_any = token_of(&entra("a"), &secret_of("any"));
    assert!(is_awaited(&records, &by_any));
    assert_eq!(
        reason(&load(&records, "a"), &by_any),
        Some(Reason::BadSignature)
    );
    let absent = records.with_absent(&entra("a"), true);
    assert_eq!(reason(&absent, &by_any), Some(Reason::UnknownIssuer));
    let elsewhere = token_of("https://elsewhere.example", &secret_of("any"));
    assert_eq!(signer_of(&records, &elsewhere).as_deref(), Some("any"));
}

/// Somebody opens an account at the template's issuer, and calls it what a tenant of ours is called.
#[test]
fn no_tenant_that_comes_may_have_the_name_of_one_that_is_configured() {
    let mut model = template_issuer("entra", ENTRA);
    model.tenant = HOLE.into();
    let acme = exact_issuer("acme", "https://acme.example");
    let records = Records::new(vec![model, acme], Vec::new()).expect("no contradiction");
    let impostor = token_of(&entra("acme"), &secret_of("acme"));
    assert_eq!(reason(&records, &impostor), Some(Reason::UnknownIssuer));
    assert!(
        records
            .with_tenant(&entra("acme"), Some(tenant_keys("entra", "acme", SECRET)))
            .is_none()
    );
}

#[test]
fn templates_that_overlap_are_refused() {
    let both = vec![
        template_issuer("one", ENTRA),
        template_issuer("other", ENTRA),
    ];
    let refused = Records::new(both, Vec::new()).map(|_| ());
    assert!(matches!(
        refused,
        Err(RecordsError::AmbiguousTemplates { .. })
    ));
    let mut namesake = template_issuer("other", "https://other.example/{tenant}");
    namesake.tenant = "entra/{tenant}".into();
    let refused = Records::new(vec![template_issuer("entra", ENTRA), namesake], Vec::new());
    assert!(matches!(
        refused,
        Err(RecordsError::AmbiguousTenants { .. })
    ));
}

/// Whoever revokes a tenant's tokens must not have to wait until it is loaded.
#[test]
fn a_tenant_that_is_not_loaded_can_be_named() {
    let mut model = template_issuer("entra", ENTRA);
    model.policy.lifetime_seconds_max = Some(100);
    let records = Records::new(vec![model], Vec::new()).expect("one template");
    assert_eq!(records.lifetime_brought("entra/a"), Some(Some(700)));
    for other in ["entra/", "entra/a/b", "okta/a", "a", "entra/{tenant}"] {
        assert_eq!(records.lifetime_brought(other), None, "{other}");
    }
    assert!(records.lifetimes().is_empty());
    assert_eq!(load(&records, "a").lifetimes().len(), 1);
}

/// Keys that all tenants share vouch for a tenant only once a token of it is genuine, and then by its own name.
#[test]
fn shared_keys_load_nobody_whom_they_have_not_signed_for() {
    let records = template_records(Vec::new());
    let shared = tenant_keys("entra", "entra/{tenant}", SECRET);
    let records = records.with_keys("entra", shared).expect("configured");
    let forged = token_of(&entra("a"), OTHER_SECRET);
    let answer = ask(&records, &forged, PolicyId::DEFAULT);
    assert_eq!(answer.verdict.reason(), Some(Reason::BadSignature));
    assert_eq!(answer.missing_tenant, None);
    let tokens = ["a", "b"].map(|tenant| token_of(&entra(tenant), SECRET));
    assert!(is_awaited(&records, &tokens[0]));
    let mut loaded = records
        .with_tenant(&entra("a"), None)
        .expect("keys are shared");
    loaded = loaded
        .with_tenant(&entra("b"), None)
        .expect("keys are shared");
    for (tenant, token) in ["entra/a", "entra/b"].iter().zip(&tokens) {
        assert_eq!(signer_of(&loaded, token).as_deref(), Some(*tenant));
    }
    // A rotation of the template's keys is one of all its tenants.
    let rotated = loaded
        .with_keys(
            "entra",
            tenant_keys("entra", "entra/{tenant}", OTHER_SECRET),
        )
        .expect("configured");
    for token in &tokens {
        assert_eq!(reason(&rotated, token), Some(Reason::BadSignature));
    }
    assert_eq!(signer_of(&rotated, &forged).as_deref(), Some("entra/a"));
}

/// Keys that are trusted no longer are so for all who shared them, and then it is the template's that are awaited: no
/// tenant passes for one with keys of its own.
#[test]
fn shared_keys_are_awaited_by_all_tenants_or_by_none() {
    let shared = || tenant_keys("entra", "entra/{tenant}", SECRET);
    let awaits_template = |records: &Records, token: &str| {
        let answer = ask(records, token, PolicyId::DEFAULT);
        assert_eq!(answer.verdict, Unavailable::KEYS_REFRESHING.into());
        assert_eq!(answer.missing_tenant, None);
        let number = answer.missing_key_of.expect("keys are awaited");
        records.lacks_key(number) == Some(LacksKey::Issuer(&"entra".into()))
    };
    let sharing = IssTemplate::parse(ENTRA)
        .expect("a template")
        .sharing_keys();
    let mut model = template_issuer("entra", ENTRA);
    model.iss = IssuerMatch::Template(Arc::new(sharing));
    let records = Records::new(vec![model], Vec::new()).expect("one template");
    let [a, b] = ["a", "b"].map(|tenant| token_of(&entra(tenant), SECRET));
    assert!(awaits_template(&records, &a), "before the first fetch");
    let records = records.with_keys("entra", shared()).expect("configured");
    let records = records.with_tenant(&entra("a"), None).expect("shared keys");
    assert_eq!(signer_of(&records, &a).as_deref(), Some("entra/a"));
    let awaiting = records.awaiting_keys("entra").expect("configured");
    assert!(awaits_template(&awaiting, &a) && awaits_template(&awaiting, &b));
    assert!(awaiting.with_tenant(&entra("b"), None).is_none());
    let again = awaiting.with_keys("entra", shared()).expect("configured");
    assert_eq!(signer_of(&again, &a).as_deref(), Some("entra/a"));
    assert!(is_awaited(&again, &b));
    // It was not said beforehand that they share keys, but they did.
    let unsaid = template_records(Vec::new());
    let unsaid = unsaid.with_keys("entra", shared()).expect("configured");
    let unsaid = unsaid.with_tenant(&entra("a"), None).expect("shared keys");
    let unsaid = unsaid.awaiting_keys("entra").expect("configured");
    assert!(awaits_template(&unsaid, &a) && awaits_template(&unsaid, &b));
}

#[test]
fn a_tenant_with_keys_of_its_own_lacks_its_own() {
    let records = load(&template_records(Vec::new()), "a");
    let token = sign(
        &secret_of("a"),
        r#"{"alg":"HS256","kid":"k9"}"#,
        &claims(&format!(r#""iss":"{}""#, entra("a"))),
    );
    let answer = ask(&records, &token, PolicyId::DEFAULT);
    assert_eq!(answer.verdict.reason(), Some(Reason::UnknownKid));
    let number = answer.missing_key_of.expect("it may have come");
    let iss: Arc<str> = entra("a").into();
    assert_eq!(records.lacks_key(number), Some(LacksKey::Tenant(&iss)));
    assert!(records.knows_tenant_as(&load(&records, "b"), &iss));
    assert!(!records.knows_tenant_as(&load(&records, "a"), &iss));
    let gone = records.without_tenant(&iss).expect("it is loaded");
    assert!(!records.knows_tenant_as(&gone, &iss));
    assert!(!gone.knows_tenant_as(&gone.with_absent(&iss, true), &iss));
}

#[test]
fn one_tenant_s_rotation_costs_the_others_nothing() {
    let records = load(&load(&template_records(Vec::new()), "a"), "b");
    let entry_of = |records: &Records, tenant: &str| {
        let token = token_of(&entra(tenant), &secret_of(tenant));
        let remembered = ask(records, &token, PolicyId::DEFAULT).remember;
        (token, remembered.expect("genuine"))
    };
    let ((a, of_a), (b, of_b)) = (entry_of(&records, "a"), entry_of(&records, "b"));
    assert_ne!(of_a.share, of_b.share, "a share of the cache each");
    let rotated = load(&records, "a");
    let recall = |records: &Records, token: &str, entry| {
        let want = Want::Verdict;
        let question = Question {
            token: token.as_bytes(),
            policy: PolicyId::DEFAULT,
            want: &want,
        };
        matches!(
            records.recall(question, &entry, Now::at(NOW)),
            Recalled::Answer(Verdict::Valid(_))
        )
    };
    assert!(recall(&records, &a, of_a.entry) && !recall(&rotated, &a, of_a.entry));
    assert!(recall(&rotated, &b, of_b.entry));
    // Whoever comes into the place of one that left is not taken for it.
    let left = records.without_tenant(&entra("a")).expect("loaded");
    let another = load(&left, "c");
    assert!(!recall(&left, &a, of_a.entry) && !recall(&another, &a, of_a.entry));
    let (_, of_c) = entry_of(&another, "c");
    assert_eq!(of_c.entry.issuer, of_a.entry.issuer, "it is the same place");
    assert!(!recall(&records, &a, of_c.entry), "and another generation");
}

#[test]
fn tenants_outlive_a_reload_that_does_not_concern_them() {
    let old = load(&load(&template_records(Vec::new()), "a"), "b");
    let token = token_of(&entra("a"), &secret_of("a"));
    assert!(signer_of(&old, &token).is_some(), "which is a use");
    let used: Vec<_> = old
        .tenants()
        .map(|tenant| tenant.used_at.is_some())
        .collect();
    assert_eq!(used, [true, false]);
    let own = exact_issuer("own", &entra("b"));
    let kept = template_records(vec![own]).adopt_tenants(&old, |_| true);
    assert_eq!(signer_of(&kept, &token).as_deref(), Some("entra/a"));
    let used: Vec<_> = kept
        .tenants()
        .map(|tenant| tenant.used_at.is_some())
        .collect();
    assert_eq!(used, [true], "b has an issuer of its own now");
    let moved = template_records(Vec::new()).adopt_tenants(&old, |_| false);
    assert!(
        is_awaited(&moved, &token),
        "its keys come from elsewhere now"
    );
}

#[test]
fn what_is_over_its_quota_is_turned_away_and_forgeries_use_up_nothing() {
    let bounded = Policy {
        verifications_per_second_max: Some(2),
        ..policy()
    };
    let mut model = template_issuer("entra", ENTRA);
    model.policy = bounded;
    let records = Records::new(vec![model], Vec::new()).expect("one template");
    let records = load(&load(&records, "a"), "b");
    let [of_a, of_b] = ["a", "b"].map(|tenant| token_of(&entra(tenant), &secret_of(tenant)));
    let forged = token_of(&entra("a"), OTHER_SECRET);
    for _ in 0..10 {
        assert_eq!(reason(&records, &forged), Some(Reason::BadSignature));
    }
    assert!(signer_of(&records, &of_a).is_some() && signer_of(&records, &of_a).is_some());
    let Verdict::Unavailable(turned_away) = verdict(&records, &of_a) else {
        panic!("over the quota");
    };
    assert_eq!(turned_away.cause, Cause::Overloaded);
    assert!(signer_of(&records, &of_b).is_some(), "the quota is a's own");
    // Other keys are no new quota.
    let rotated = load(&records, "a");
    assert_eq!(signer_of(&rotated, &of_a), None);
}

#[test]
fn a_peer_that_is_bound_to_tenants_learns_nothing_of_others() {
    let strict = Narrowing {
        required_claims: vec!["nonce".into()],
        ..Narrowing::default()
    };
    let issuers = vec![
        template_issuer("entra", ENTRA),
        exact_issuer("acme", "https://acme.example"),
    ];
    let records = Records::new(issuers, vec![("strict".into(), strict)]).expect("no contradiction");
    let bound: &[Box<str>] = &["acme".into(), "entra/a".into()];
    let records = load(&load(&records.binding([bound]), "a"), "b");
    let within = |name| {
        records
            .policy_within(name, bound)
            .expect("bound beforehand")
    };
    let of = |tenant: &str| token_of(&entra(tenant), &secret_of(tenant));
    let reason_of = |token: &str, policy| ask(&records, token, policy).verdict.reason();
    assert_eq!(reason_of(&of("a"), within(None)), None);
    assert_eq!(reason_of(&of("b"), PolicyId::DEFAULT), None);
    assert_eq!(reason_of(&of("b"), within(None)), Some(Reason::Forbidden));
    assert_eq!(
        reason_of(&of("a"), within(Some("strict"))),
        Some(Reason::MissingClaim)
    );
    assert_eq!(
        reason_of(&of("b"), within(Some("strict"))),
        Some(Reason::Forbidden)
    );
    let expired = sign(
        &secret_of("b"),
        HEADER,
        &claims(&format!(r#""iss":"{}","exp":{}"#, entra("b"), NOW - 900)),
    );
    assert_eq!(
        reason_of(&expired, within(None)),
        Some(Reason::Forbidden),
        "not when it expired"
    );
    assert_eq!(ask(&records, &of("b"), within(None)).remember, None);
    // Neither a caller's choice of words nor somebody else's tenants lead around it.
    assert_eq!(records.policy_within(Some("ghost"), bound), None);
    assert_eq!(records.policy_within(None, &["entra/b".into()]), None);
    assert_eq!(records.policy(""), None);
    let digests = DigestKey::random();
    let want = Want::Verdict;
    let digest = |policy| {
        let token = of("a");
        digests.digest(Question {
            token: token.as_bytes(),
            policy,
            want: &want,
        })
    };
    assert_ne!(
        digest(PolicyId::DEFAULT),
        digest(within(None)),
        "the cache tells them apart"
    );
}

/// Checks V-17, V-31. All pairs of tenants, of every kind of issuer, and every way in which one's key could come to verify the other's
/// token. Each has a secret of its own, and all call their key `k1`.
#[test]
fn no_tenant_s_key_ever_verifies_another_tenant_s_token() {
    const OTHER_TEMPLATE: &str = "https://{tenant}.login.example/x";
    let issuers = || {
        vec![
            template_issuer("entra", ENTRA),
            template_issuer("okta", OTHER_TEMPLATE),
            exact_issuer("acme", "https://acme.example"),
            exact_issuer("acme/", "https://acme.example/"),
            exact_issuer("own", &entra("own")),
            Issuer {
                iss: IssuerMatch::Any,
                ..exact_issuer("any", "unused")
            },
        ]
    };
    let mut records = Records::new(issuers(), Vec::new()).expect("no contradiction");
    // Who they are: `iss`, the secret they sign with, and what verdicts call them.
    let mut parties = vec![
        (
            "https://acme.example".to_owned(),
            secret_of("acme"),
            "acme".to_owned(),
        ),
        (
            "https://acme.example/".to_owned(),
            secret_of("acme/"),
            "acme/".to_owned(),
        ),
        (entra("own"), secret_of("own"), "own".to_owned()),
        (
            "https://nobody-else.example".to_owned(),
            secret_of("any"),
            "any".to_owned(),
        ),
    ];
    for (template, name, tenant) in [
        (ENTRA, "entra", "a"),
        (ENTRA, "entra", "b"),
        (ENTRA, "entra", "A"),
        (OTHER_TEMPLATE, "okta", "a"),
        (OTHER_TEMPLATE, "okta", "b"),
    ] {
        let iss = template.replace(HOLE, tenant);
        let called = format!("{name}/{tenant}");
        let secret = secret_of(&called);
        let keys = tenant_keys(name, &called, &secret);
        records = records.with_tenant(&iss, Some(keys)).expect("brought");
        parties.push((iss, secret, called));
    }
    // The same after a reload in between, and after every tenant left and came again in another order.
    let reloaded = Records::new(issuers(), Vec::new())
        .expect("no contradiction")
        .adopt_tenants(&records, |_| true);
    let mut shuffled = records.clone();
    for (iss, _, _) in &parties {
        shuffled = shuffled.without_tenant(iss).unwrap_or(shuffled);
    }
    for (iss, secret, called) in parties.iter().rev() {
        let name = called.split('/').next().unwrap_or_default();
        let keys = tenant_keys(name, called, secret);
        shuffled = shuffled.with_tenant(iss, Some(keys)).unwrap_or(shuffled);
    }
    let headers = |base: &str| {
        let jwk_of = |secret: &[u8]| jwk("k1", secret);
        [
            r#"{"alg":"HS256","kid":"k1"}"#.to_owned(),
            r#"{"alg":"HS256"}"#.to_owned(),
            r#"{"alg":"HS256","kid":"K1"}"#.to_owned(),
            format!(r#"{{"alg":"HS256","kid":"k1","jku":"{base}/keys"}}"#),
            format!(r#"{{"alg":"HS256","kid":"k1","jwk":{}}}"#, jwk_of(SECRET)),
            format!(r#"{{"alg":"HS256","kid":"k1","x5u":"{base}/cert"}}"#),
            format!(r#"{{"alg":"HS256","kid":"{base}"}}"#),
        ]
    };
    let mut tried = 0;
    for snapshot in [&records, &reloaded, &shuffled] {
        for (claimed_iss, own_secret, called) in &parties {
            let own = token_of(claimed_iss, own_secret);
            assert_eq!(
                signer_of(snapshot, &own).as_deref(),
                Some(&**called),
                "{claimed_iss}"
            );
            let remembered = ask(snapshot, &own, PolicyId::DEFAULT)
                .remember
                .expect("genuine");
            for (other_iss, other_secret, other) in &parties {
                if other == called {
                    continue;
                }
                for header in headers(other_iss) {
                    let crossed = sign(
                        other_secret,
                        &header,
                        &claims(&format!(r#""iss":"{claimed_iss}""#)),
                    );
                    let verdict = verdict(snapshot, &crossed);
                    assert!(
                        matches!(
                            verdict.reason(),
                            Some(Reason::BadSignature | Reason::UnknownKid | Reason::Malformed)
                        ),
                        "{other} for {called} by {header}: {verdict:?}"
                    );
                    tried += 1;
                }
                // What the cache remembers of one never answers under the other's entry, here or in any snapshot: the
                // generation names keys and issuer both, and no two entries ever had the same.
                let theirs = ask(
                    snapshot,
                    &token_of(other_iss, other_secret),
                    PolicyId::DEFAULT,
                )
                .remember;
                let theirs = theirs.expect("genuine").entry;
                assert_ne!(theirs.generation, remembered.entry.generation);
                let swapped = crate::cache::Entry {
                    issuer: theirs.issuer,
                    ..remembered.entry
                };
                let want = Want::Verdict;
                let question = Question {
                    token: own.as_bytes(),
                    policy: PolicyId::DEFAULT,
                    want: &want,
                };
                let recalled = snapshot.recall(question, &swapped, Now::at(NOW));
                assert!(
                    matches!(recalled, Recalled::Stale),
                    "{called} under {other}: {recalled:?}"
                );
            }
        }
    }
    assert_eq!(tried, 3 * 9 * 8 * 7, "snapshots, tenants, others, ways");
}

#[test]
fn a_frame_of_many_tenants_is_recalled_to_each_its_own() {
    let tenants: Vec<String> = (0..300).map(|number| format!("t{number}")).collect();
    let records = template_records(Vec::new());
    let records = tenants.iter().fold(records, |all, one| load(&all, one));
    assert!(records.are_many());
    let tokens: Vec<String> = tenants
        .iter()
        .map(|tenant| token_of(&entra(tenant), &secret_of(tenant)))
        .collect();
    let entries: Vec<crate::cache::Entry> = tokens
        .iter()
        .map(|token| ask(&records, token, PolicyId::DEFAULT).remember)
        .map(|remember| remember.expect("genuine").entry)
        .collect();
    // One has left, and of one the snapshot was never told.
    let left = records.without_tenant(&entra("t7")).expect("loaded");
    let mut frame = entries.clone();
    frame[8].issuer = u32::MAX;
    left.approach(frame.iter());
    let want = Want::Verdict;
    for (number, (token, entry)) in tokens.iter().zip(&frame).enumerate() {
        let question = Question {
            token: token.as_bytes(),
            policy: PolicyId::DEFAULT,
            want: &want,
        };
        match left.recall(question, entry, Now::at(NOW)) {
            Recalled::Stale => assert!(matches!(number, 7 | 8), "{number}"),
            Recalled::Answer(Verdict::Valid(hit)) => {
                assert_eq!(*hit.signer.tenant, *format!("entra/t{number}"));
            }
            other => panic!("{number}: {other:?}"),
        }
    }
}

#[test]
fn uses_are_noted_by_the_second() {
    let records = load(&template_records(Vec::new()), "a");
    let token = token_of(&entra("a"), &secret_of("a"));
    let want = Want::Verdict;
    let question = Question {
        token: token.as_bytes(),
        policy: PolicyId::DEFAULT,
        want: &want,
    };
    let at = |seconds| Now {
        since_boot: Duration::from_secs(seconds),
        ..Now::at(NOW)
    };
    let mut answers = Vec::new();
    verify_batch(
        &records,
        &[question],
        at(7),
        &mut Scratch::default(),
        &mut answers,
    );
    let used = || records.tenants().map(|tenant| tenant.used_at).next();
    assert_eq!(used(), Some(Some(7)));
    let entry = answers[0].remember.expect("genuine").entry;
    assert!(matches!(
        records.recall(question, &entry, at(9)),
        Recalled::Answer(_)
    ));
    assert_eq!(used(), Some(Some(9)), "a hit of the cache is a use");
}

/// Checks V-17. Microsoft Entra publishes keys of all tenants together, and says of some whose alone they are.
#[test]
fn a_key_that_is_one_tenants_alone_signs_for_no_other() {
    let key = |kid: &str, secret: &[u8], issuer: &str| {
        let key = jwk(kid, secret);
        key.replacen('{', &format!("{{\"issuer\":\"{issuer}\","), 1)
    };
    let mut model = template_issuer("entra", ENTRA);
    let keys = [
        key("k1", SECRET, "https://login.example/{tenantid}/v2.0"),
        key("k2", OTHER_SECRET, "https://login.example/a/v2.0"),
    ];
    model.keys = IssuerKeys::Known(key_set_of("entra", &keys));
    let records = Records::new(vec![model], Vec::new()).expect("one template");
    let loaded = ["a", "b"].iter().fold(records, |records, tenant| {
        let loaded = records.with_tenant(&entra(tenant), None);
        loaded.expect("the template brings it")
    });
    let own = r#"{"alg":"HS256","kid":"k2"}"#;
    let of = |tenant: &str| claims(&format!(r#""iss":"{}""#, entra(tenant)));
    let refused = Some(Reason::UnknownKid);
    let check = |records: &Records| {
        for tenant in ["a", "b"] {
            let shared = sign(SECRET, HEADER, &of(tenant));
            assert_eq!(reason(records, &shared), None, "{tenant}");
        }
        assert_eq!(reason(records, &sign(OTHER_SECRET, own, &of("a"))), None);
        assert_eq!(reason(records, &sign(OTHER_SECRET, own, &of("b"))), refused);
        let nameless = sign(OTHER_SECRET, r#"{"alg":"HS256"}"#, &of("b"));
        assert_eq!(reason(records, &nameless), Some(Reason::BadSignature));
    };
    check(&loaded);
    // And after a rotation, which brings all tenants their keys anew.
    let rotated = loaded.with_keys("entra", key_set_of("entra", &keys));
    check(&rotated.expect("known"));
}

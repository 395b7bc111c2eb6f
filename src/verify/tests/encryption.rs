//! Encrypted tokens: that what is inside is judged like any other token, and that the wrapping adds no way around it.

use super::*;
use crate::jose::{ContentEncryption, Jwk, KeyManagement};
use crate::keys::Decryption;
use crate::replay::UsedTokens;
use crate::revocation::{IdKey, Member, Options, Order, Register, Staleness, Standing};

/// A signed token, and the same encrypted by another implementation in every way that is offered.
fn nested() -> serde_json::Value {
    serde_json::from_str(include_str!("../../jose/vectors/nested_jwe.json")).expect("JSON")
}

fn jwk(json: &str) -> Jwk {
    Jwk::parse(json.as_bytes()).expect("a JWK")
}

fn terms(keys: &[Jwk], zip_bytes_max: usize) -> Arc<Decryption> {
    terms_of(keys, &ContentEncryption::ALL, zip_bytes_max)
}

fn terms_of(
    keys: &[Jwk],
    encodings: &[ContentEncryption],
    zip_bytes_max: usize,
) -> Arc<Decryption> {
    let (terms, skipped) = Decryption::pin(keys, &KeyManagement::ALL, encodings, zip_bytes_max);
    assert_eq!(skipped, [], "every test key is usable");
    Arc::new(terms)
}

fn decrypting(terms: &Arc<Decryption>) -> Records {
    records(policy()).decrypting([("acme".into(), Arc::clone(terms))])
}

const KEY: &str =
    r#"{"kty":"oct","kid":"e1","alg":"A128GCM","use":"enc","k":"AAECAwQFBgcICQoLDA0ODw"}"#;

const ENCRYPTED: &str = r#"{"alg":"dir","enc":"A128GCM","cty":"JWT","kid":"e1"}"#;

/// Encrypts octets directly under [`KEY`], with this header.
fn encrypt(header: &str, content: &[u8]) -> String {
    let key = jwk(KEY);
    let (management, encoding) = key
        .pin_management(&KeyManagement::ALL, &ContentEncryption::ALL)
        .expect("dir");
    let key = key.encryption_key(management, encoding).expect("a key");
    let header = base64url(header.as_bytes());
    let sealed = key
        .content_key(ContentEncryption::A128Gcm)
        .and_then(|key| key.seal(header.as_bytes(), content))
        .expect("sealed");
    let [iv, text, tag] = [sealed.iv, sealed.ciphertext, sealed.tag].map(|part| base64url(&part));
    format!("{header}..{iv}.{text}.{tag}")
}

fn good() -> String {
    sign(SECRET, HEADER, &claims(r#""jti":"t1""#))
}

#[test]
fn every_way_that_is_offered_opens_as_another_implementation_sealed_it() {
    let vectors = nested();
    let keys = vectors["keys"].as_array().expect("keys");
    let keys: Vec<Jwk> = keys.iter().map(|key| jwk(&key.to_string())).collect();
    let records = decrypting(&terms(&keys, 4096));
    let strict = decrypting(&terms(&keys, 0));
    let tokens = vectors["tokens"].as_array().expect("tokens");
    // 2 of RSA, 4 on 4 curves, 3 that wrap, each by 6; 6 that are direct, and 3 compressed.
    assert_eq!(tokens.len(), (2 + 4 * 4 + 3) * 6 + 6 + 3);
    for token in tokens {
        let text = token["jwe"].as_str().expect("a token");
        let Verdict::Valid(trusted) = verdict(&records, text) else {
            panic!("{token}: {:?}", verdict(&records, text));
        };
        assert_eq!(
            (trusted.signer.alg, trusted.signer.kid.as_deref()),
            ("HS256", Some("k1"))
        );
        let is_compressed = token["zip"] == true;
        let expected = is_compressed.then_some(Reason::Malformed);
        assert_eq!(
            reason(&strict, text),
            expected,
            "zip is refused unless asked for"
        );
    }
    let signed = vectors["signed"].as_str().expect("a token");
    assert_eq!(
        reason(&records, signed),
        None,
        "signed tokens are taken as before"
    );
}

/// RFC 7520 §6, with both keys as printed there: first opened, then verified, then judged by its time.
#[test]
fn the_nested_example_of_rfc_7520_is_opened_and_verified() {
    let examples: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("../../jose/vectors/rfc_jwe.json")).expect("JSON");
    let named = |example: &&serde_json::Value| example["name"] == "RFC 7520 6";
    let example = examples.iter().find(named).expect("it is there");
    let schemes = vec![Scheme::RsaPssSha256];
    let mut hobbiton = issuer(Policy {
        schemes: schemes.clone(),
        audiences: Accepted::Any,
        ..policy()
    });
    hobbiton.iss = IssuerMatch::Exact("hobbiton.example".into());
    let owner = Owner {
        issuer: Arc::clone(&hobbiton.name),
        tenant: Arc::clone(&hobbiton.tenant),
    };
    let set = format!("{{\"keys\":[{}]}}", example["signer"]);
    let set = JwkSet::parse(set.as_bytes()).expect("a set");
    let (keys, skipped) = KeySet::pin(&owner, &set, &schemes);
    assert_eq!(skipped, []);
    hobbiton.keys = IssuerKeys::Known(Arc::new(keys));
    let token = example["jwe"].as_str().expect("a token");
    let open = |key: &serde_json::Value| {
        let records = Records::new(vec![hobbiton.clone()], Vec::new()).expect("one issuer");
        records.decrypting([("acme".into(), terms(&[jwk(&key.to_string())], 0))])
    };
    let at = |records: &Records, now: i64| {
        let question = Question {
            token: token.as_bytes(),
            policy: PolicyId::DEFAULT,
            want: &Want::Verdict,
        };
        let mut answers = Vec::new();
        verify_batch(
            records,
            &[question],
            Now::at(now),
            &mut Scratch::default(),
            &mut answers,
        );
        answers.remove(0).verdict
    };
    let records = open(&example["key"]);
    let verdict = at(&records, 1_300_819_000);
    let Verdict::Valid(trusted) = &verdict else {
        panic!("{verdict:?}");
    };
    assert_eq!(
        (trusted.signer.alg, trusted.expires_at),
        ("PS256", Some(1_300_819_380))
    );
    assert_eq!(at(&records, NOW).reason(), Some(Reason::Expired));
    // The same key under RSA-OAEP-256, which is another algorithm.
    let mut other = example["key"].clone();
    other["alg"] = "RSA-OAEP-256".into();
    let refused = at(&open(&other), 1_300_819_000);
    assert_eq!(refused.reason(), Some(Reason::AlgNotAllowed));
}

/// Checks V-02, V-17.
#[test]
fn encrypted_tokens_are_refused_where_nobody_asked_for_them() {
    let token = encrypt(ENCRYPTED, good().as_bytes());
    let keys = [jwk(KEY)];
    let deaf = records(policy());
    assert_eq!(reason(&deaf, &token), Some(Reason::Malformed));
    assert_eq!(reason(&decrypting(&terms(&keys, 0)), &token), None);

    // The key is another issuer's: what is inside names one that never opted in.
    let mut other = issuer(policy());
    other.name = "other".into();
    other.iss = IssuerMatch::Exact("https://other.example".into());
    let both = || Records::new(vec![issuer(policy()), other.clone()], Vec::new()).expect("records");
    let records = both().decrypting([("other".into(), terms(&keys, 0))]);
    let refused = |token: &str| match verdict(&records, token) {
        Verdict::Invalid(refusal) => refusal,
        passed => panic!("{passed:?}"),
    };
    assert_eq!(refused(&token), Refusal::AlgNotAllowed { alg: "dir" });
    // Both hold the key, on terms of their own.
    let gcm = terms_of(&keys, &[ContentEncryption::A128Gcm], 0);
    let mut without = Decryption::clone(&gcm);
    without.encodings = vec![ContentEncryption::A256Gcm];
    let records = both().decrypting([("other".into(), gcm), ("acme".into(), Arc::new(without))]);
    let refused = verdict(&records, &token);
    assert_eq!(refused, Refusal::AlgNotAllowed { alg: "A128GCM" }.into());
}

/// A template's terms are those of each of its tenants, before and after it is loaded.
#[test]
fn tenants_of_a_template_take_encrypted_tokens_on_its_terms() {
    const ISS: &str = "https://login.example/a";
    let mut model = issuer(policy());
    let template = IssTemplate::parse("https://login.example/{tenant}").expect("a template");
    model.name = "entra".into();
    model.tenant = "entra/{tenant}".into();
    model.iss = IssuerMatch::Template(Arc::new(template));
    let records = Records::new(vec![model], Vec::new()).expect("one template");
    let loaded = |records: &Records| {
        let loaded = records.with_tenant(ISS, None);
        loaded.expect("it shares the template's keys")
    };
    let open = records
        .clone()
        .decrypting([("entra".into(), terms(&[jwk(KEY)], 0))]);
    let signed = sign(SECRET, HEADER, &claims(&format!(r#""iss":"{ISS}""#)));
    let token = encrypt(ENCRYPTED, signed.as_bytes());
    let answer = ask(&open, &token, PolicyId::DEFAULT);
    assert_eq!(answer.missing_tenant.as_deref(), Some(ISS));
    let open = loaded(&open);
    let Verdict::Valid(trusted) = verdict(&open, &token) else {
        panic!("{:?}", verdict(&open, &token));
    };
    assert_eq!(&*trusted.signer.tenant, "entra/a");
    assert_eq!(reason(&open, &signed), None);
    // Another template's key does not open the door.
    let closed = loaded(&records.decrypting([("other".into(), terms(&[jwk(KEY)], 0))]));
    assert_eq!(reason(&closed, &token), Some(Reason::AlgNotAllowed));
    assert_eq!(reason(&closed, &signed), None);
}

/// Checks V-25.
#[test]
fn the_signature_inside_is_always_verified() {
    let records = decrypting(&terms(&[jwk(KEY)], 0));
    let mut forged = good();
    forged.replace_range(forged.len() - 8..forged.len() - 4, "AAAA");
    let unsigned = claims("");
    let none = format!(
        "{}.{}.",
        base64url(br#"{"alg":"none"}"#),
        base64url(unsigned.as_bytes())
    );
    let expired = sign(SECRET, HEADER, &claims(&format!(r#""exp":{}"#, NOW - 99)));
    let elsewhere = sign(SECRET, HEADER, &claims(r#""iss":"https://nobody.example""#));
    let twice = encrypt(ENCRYPTED, good().as_bytes());
    for (inside, expected) in [
        (forged, Reason::BadSignature),
        (
            sign(OTHER_SECRET, HEADER, &claims("")),
            Reason::BadSignature,
        ),
        (unsigned, Reason::Malformed),
        (none, Reason::UnsupportedAlg),
        (twice, Reason::Malformed),
        (expired, Reason::Expired),
        (elsewhere, Reason::UnknownIssuer),
        (
            sign(SECRET, r#"{"alg":"HS256","typ":"logout+jwt"}"#, &claims("")),
            Reason::WrongType,
        ),
    ] {
        let token = encrypt(ENCRYPTED, inside.as_bytes());
        assert_eq!(reason(&records, &token), Some(expected), "{inside}");
    }
}

/// RFC 7516 §11.5: one answer, whatever was wrong.
#[test]
fn whatever_does_not_decrypt_is_refused_alike() {
    let vectors = nested();
    let keys = vectors["keys"].as_array().expect("keys");
    let keys: Vec<Jwk> = keys.iter().map(|key| jwk(&key.to_string())).collect();
    let records = decrypting(&terms(&keys, 4096));
    let tokens = vectors["tokens"].as_array().expect("tokens");
    let failed = Verdict::from(Refusal::DecryptFailed);
    for token in tokens
        .iter()
        .filter(|token| token["enc"] == "A128CBC-HS256")
    {
        let text = token["jwe"].as_str().expect("a token");
        let segments: Vec<&str> = text.split('.').collect();
        for part in 1..5 {
            let octets = crate::encoding::base64url::decode_vec(segments[part].as_bytes());
            let octets = octets.expect("base64url");
            if octets.is_empty() {
                continue;
            }
            let mut flipped = octets.clone();
            flipped[octets.len() / 2] ^= 1;
            let mut longer = octets.clone();
            longer.push(1);
            for changed in [flipped, longer, octets[1..].to_vec()] {
                let changed = base64url(&changed);
                let mut segments = segments.clone();
                segments[part] = &changed;
                let verdict = verdict(&records, &segments.join("."));
                // A vector or tag of another length may be too long for any algorithm.
                let too_long = matches!(&verdict, Verdict::Invalid(Refusal::TooLarge { .. }));
                assert!(
                    verdict == failed || too_long,
                    "{token}, part {part}: {verdict:?}"
                );
            }
        }
    }
    // Another key of the same kind and name.
    let other = KEY.replace("AAECAwQ", "BBECAwQ");
    let records = decrypting(&terms(&[jwk(&other)], 0));
    assert_eq!(
        verdict(&records, &encrypt(ENCRYPTED, good().as_bytes())),
        failed
    );
}

#[test]
fn headers_that_say_more_or_otherwise_are_refused() {
    let records = decrypting(&terms(&[jwk(KEY)], 0));
    let good = good();
    for (header, expected) in [
        (
            r#"{"alg":"dir","enc":"A128GCM","kid":"e1"}"#,
            Reason::Malformed,
        ),
        (
            r#"{"alg":"dir","enc":"A128GCM","cty":"text","kid":"e1"}"#,
            Reason::Malformed,
        ),
        (
            r#"{"alg":"dir","enc":"A128GCM","cty":"JWT","kid":"e1","zip":"DEF"}"#,
            Reason::Malformed,
        ),
        (
            r#"{"alg":"dir","enc":"A128GCM","cty":"JWT","kid":"e1","crit":["a"],"a":1}"#,
            Reason::UnknownCritical,
        ),
        (
            r#"{"alg":"RSA1_5","enc":"A128GCM","cty":"JWT","kid":"e1"}"#,
            Reason::UnsupportedAlg,
        ),
        (
            r#"{"alg":"PBES2-HS512+A256KW","enc":"A128GCM","cty":"JWT","p2c":1}"#,
            Reason::UnsupportedAlg,
        ),
        (
            r#"{"alg":"dir","enc":"A256GCM","cty":"JWT","kid":"e1"}"#,
            Reason::AlgNotAllowed,
        ),
        (
            r#"{"alg":"dir","enc":"A128GCM","cty":"JWT","kid":"e2"}"#,
            Reason::UnknownKid,
        ),
    ] {
        let answer = ask(
            &records,
            &encrypt(header, good.as_bytes()),
            PolicyId::DEFAULT,
        );
        assert_eq!(answer.verdict.reason(), Some(expected), "{header}");
        // No fetch brings a key of our own.
        assert_eq!(answer.missing_key_of, None);
    }
    for header in [
        r#"{"alg":"dir","enc":"A128GCM","cty":"JWT"}"#,
        r#"{"alg":"dir","enc":"A128GCM","cty":"application/jwt","kid":"e1","jwk":{},"jku":"https://a.example"}"#,
    ] {
        assert_eq!(
            reason(&records, &encrypt(header, good.as_bytes())),
            None,
            "{header}"
        );
    }
    // A key that is sent where `dir` sends none.
    let with_key = encrypt(ENCRYPTED, good.as_bytes()).replacen("..", ".AAAA.", 1);
    assert_eq!(reason(&records, &with_key), Some(Reason::Malformed));
}

/// Checks V-10.
#[test]
fn what_was_compressed_is_bounded() {
    let header = r#"{"alg":"dir","enc":"A128GCM","cty":"JWT","kid":"e1","zip":"DEF"}"#;
    let good = good();
    let packed = miniz_oxide::deflate::compress_to_vec(good.as_bytes(), 9);
    let bounded = |bytes: usize| decrypting(&terms(&[jwk(KEY)], bytes));
    let token = encrypt(header, &packed);
    assert_eq!(
        reason(&bounded(good.len()), &token),
        None,
        "exactly as long as may be"
    );
    assert_eq!(
        reason(&bounded(good.len() - 1), &token),
        Some(Reason::TooLarge)
    );
    // A thousand to one: it is not inflated further than it may.
    let bomb = miniz_oxide::deflate::compress_to_vec(&vec![b'A'; 4 << 20], 9);
    assert!(bomb.len() < TOKEN_BYTES_DEFAULT / 2);
    assert_eq!(
        reason(&bounded(8192), &encrypt(header, &bomb)),
        Some(Reason::TooLarge)
    );
    let trailing = [&packed[..], b"more"].concat();
    for content in [&packed[..packed.len() / 2], &trailing, b"no DEFLATE"] {
        let token = encrypt(header, content);
        assert_eq!(reason(&bounded(8192), &token), Some(Reason::Malformed));
    }
}

fn recall(records: &Records, token: &str, remember: Remember, want: &Want) -> Recalled {
    let question = Question {
        token: token.as_bytes(),
        policy: PolicyId::DEFAULT,
        want,
    };
    records.recall(question, &remember.entry, Now::at(NOW))
}

#[test]
fn the_cache_answers_what_needs_no_opening_and_forgets_with_the_keys() {
    let records = decrypting(&terms(&[jwk(KEY)], 0));
    let token = encrypt(ENCRYPTED, good().as_bytes());
    let remember = ask(&records, &token, PolicyId::DEFAULT)
        .remember
        .expect("verified");
    let hit = recall(&records, &token, remember, &Want::Verdict);
    assert!(matches!(hit, Recalled::Answer(Verdict::Valid(trusted)) if trusted.cached));
    // Claims are inside; opening belongs where work is priced.
    assert!(matches!(
        recall(&records, &token, remember, &Want::Claims),
        Recalled::Closed
    ));
    for changed in [decrypting(&terms(&[jwk(KEY)], 0)), super::records(policy())] {
        let stale = recall(&changed, &token, remember, &Want::Verdict);
        assert!(matches!(stale, Recalled::Stale));
    }
}

#[test]
fn other_keys_for_one_issuer_leave_the_others_as_they_are() {
    let mut other = issuer(policy());
    other.name = "other".into();
    other.iss = IssuerMatch::Exact("https://other.example".into());
    let issuers = vec![issuer(policy()), other];
    let keys = terms(&[jwk(KEY)], 0);
    let records = Records::new(issuers, Vec::new()).expect("two issuers");
    let records = records.decrypting([
        ("acme".into(), Arc::clone(&keys)),
        ("other".into(), Arc::clone(&keys)),
    ]);
    let signed = sign(SECRET, HEADER, &claims(r#""iss":"https://other.example""#));
    let tokens = [&good(), &signed].map(|signed| encrypt(ENCRYPTED, signed.as_bytes()));
    let known = tokens.each_ref().map(|token| {
        let answer = ask(&records, token, PolicyId::DEFAULT);
        answer.remember.expect("verified")
    });
    let next = KEY
        .replace("\"e1\"", "\"e2\"")
        .replace("AAECAwQ", "BBECAwQ");
    let next = terms(&[jwk(&next)], 0);
    let changed = records.with_decryption("acme", Arc::clone(&next));
    let changed = changed.expect("distinct names");
    assert!(changed.decryption_of("acme").expect("known").is_same(&next));
    assert!(
        changed
            .decryption_of("other")
            .expect("known")
            .is_same(&keys)
    );
    // The key is there still, and not for this issuer; what the cache knew of it is not trusted.
    assert_eq!(reason(&changed, &tokens[0]), Some(Reason::AlgNotAllowed));
    assert_eq!(reason(&changed, &tokens[1]), None);
    let recalled = [0, 1].map(|n| recall(&changed, &tokens[n], known[n], &Want::Verdict));
    assert!(matches!(recalled, [Recalled::Stale, Recalled::Answer(_)]));
    // More of one name than a token could tell apart.
    let same: Vec<Jwk> = (0..5)
        .map(|n| jwk(&KEY.replace("AAECAwQ", &format!("AAECA{n}Q"))))
        .collect();
    let refused = records.with_decryption("acme", terms(&same, 0));
    assert_eq!(refused.err(), Some(SameName("e1".into())));
}

/// Checks I-23.
#[test]
fn a_single_use_token_is_used_however_often_it_is_encrypted() {
    let once = Policy {
        single_use: true,
        ..policy()
    };
    let replay = Replay {
        used: Arc::new(UsedTokens::new(1_000)),
        ids: IdKey::new(b"of the deployment"),
        shared: None,
    };
    let records = super::records(once)
        .decrypting([("acme".into(), terms(&[jwk(KEY)], 0))])
        .spending(&replay);
    let signed = good();
    let tokens = [
        encrypt(ENCRYPTED, signed.as_bytes()),
        encrypt(ENCRYPTED, signed.as_bytes()),
        signed,
    ];
    let answers = tokens
        .each_ref()
        .map(|token| ask(&records, token, PolicyId::DEFAULT));
    let remember = answers[0].remember.expect("verified");
    assert!(matches!(
        recall(&records, &tokens[0], remember, &Want::Verdict),
        Recalled::Closed
    ));
    let mut verdicts = answers.map(|answer| answer.verdict);
    let texts = tokens.iter().map(|token| token.as_bytes());
    let unsettled = records.spend(PolicyId::DEFAULT, texts, &mut verdicts, Now::at(NOW));
    assert!(unsettled.is_empty());
    let replayed = Some(Reason::Replayed);
    assert_eq!(
        verdicts.each_ref().map(Verdict::reason),
        [None, replayed, replayed]
    );
}

#[test]
fn public_halves_are_published_and_nothing_else_is() {
    let vectors = nested();
    let keys = vectors["keys"].as_array().expect("keys");
    let mut keys: Vec<Jwk> = keys.iter().map(|key| jwk(&key.to_string())).collect();
    // A key that has no name goes by its thumbprint, in what is published and in tokens.
    let pem = include_str!("../../jose/vectors/p256_pkcs8.pem");
    let nameless = Jwk::from_pem(pem).expect("PEM");
    let thumbprint = nameless.thumbprint();
    keys.push(nameless);
    let records = decrypting(&terms(&keys, 0));
    let published = records.public_jwks(Some("default"));
    let set: serde_json::Value = serde_json::from_str(&published).expect("JSON");
    let set = set["keys"].as_array().expect("keys");
    // 2 of RSA, 4 on 4 curves, and the nameless one; secrets have no public half.
    assert_eq!(set.len(), 19);
    for key in set {
        assert_eq!(key["use"], "enc");
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(key.get(private).is_none(), "{private}");
        }
    }
    assert!(set.iter().any(|key| key["kid"] == *thumbprint));
    assert_eq!(records.public_jwks(Some("other")), r#"{"keys":[]}"#);
}

#[test]
fn an_encrypted_token_is_priced_by_what_opening_it_costs() {
    let price =
        |token: &str| estimate_cost_ns(token.as_bytes(), TOKEN_BYTES_DEFAULT).expect("a price");
    let vectors = nested();
    let of = |alg: &str| {
        let tokens = vectors["tokens"].as_array().expect("tokens");
        let token = tokens
            .iter()
            .find(|token| token["alg"] == alg)
            .expect("one of each");
        price(token["jwe"].as_str().expect("a token"))
    };
    assert!(of("RSA-OAEP") > 2 * of("ECDH-ES") && of("ECDH-ES") > of("dir"));
    assert!(
        price("a.b.c.d.e") < 2_000,
        "what cannot be read costs nothing to open"
    );
    let long = "a.".repeat(4) + &"a".repeat(TOKEN_BYTES_DEFAULT);
    assert!(estimate_cost_ns(long.as_bytes(), TOKEN_BYTES_DEFAULT).is_err());
}

#[test]
fn no_octets_open_as_anything_else_than_they_are() {
    let records = decrypting(&terms(&[jwk(KEY)], 4096));
    let token = encrypt(ENCRYPTED, good().as_bytes());
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("ASCII");
        assert_ne!(reason(&records, &changed), None, "{at}");
        assert_ne!(reason(&records, &token[..at]), None, "{at}");
    }
}

/// Checks I-21.
#[test]
fn an_order_that_names_the_token_inside_revokes_it_in_any_wrapping() {
    let register = Arc::new(Register::new(&Options::default()));
    register.set_standing(Standing::Local);
    let revocation = Revocation {
        register,
        ids: IdKey::new(b"of the deployment"),
        staleness: hashbrown::HashMap::new(),
        staleness_default: Staleness::Strict,
    };
    let records = decrypting(&terms(&[jwk(KEY)], 0)).revoking(&revocation);
    let signed = good();
    let tokens = [(); 2].map(|()| encrypt(ENCRYPTED, signed.as_bytes()));
    let answer = ask(&records, &tokens[0], PolicyId::DEFAULT);
    let remember = answer.remember.expect("verified");
    let mut known = answer.verdict;
    assert!(known.is_valid());
    let order = Order::everything("default")
        .naming(Member::TokenId, "t1")
        .expect("a short name");
    let now = Now::at(NOW);
    let record = order
        .record(&revocation.ids, Some(600), now)
        .expect("in time");
    revocation.register.merge(&[record], now);
    for token in tokens.iter().chain([&signed]) {
        assert_eq!(reason(&records, token), Some(Reason::Revoked));
    }
    // Something near it has changed, so a hit is looked at again, which takes opening it.
    let hit = recall(&records, &tokens[0], remember, &Want::Verdict);
    assert!(matches!(hit, Recalled::Closed));
    records.reconsider(tokens[0].as_bytes(), &mut known, now);
    assert_eq!(
        known.reason(),
        Some(Reason::Revoked),
        "a verdict not given yet is taken back"
    );
}

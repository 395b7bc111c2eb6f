use super::*;
use crate::jose::CompactJws;
use std::collections::HashSet;

const NOW: i64 = 1_700_000_000;

/// Each algorithm's key, made once: RSA keys are slow to find.
fn keys() -> &'static [SigningKey] {
    static KEYS: std::sync::OnceLock<Vec<SigningKey>> = std::sync::OnceLock::new();
    KEYS.get_or_init(|| {
        Algorithm::ALL
            .into_iter()
            .map(|algorithm| SigningKey::generate(algorithm, None).unwrap())
            .collect()
    })
}

/// The key as a verifier of the other side would hold it: from what is published, or shared.
fn verifier_of(key: &SigningKey) -> VerifyingKey {
    let json = match key.public_jwk() {
        Some(json) => json,
        None => danger::to_private_jwk(key).unwrap().to_string(),
    };
    let jwk = Jwk::parse(json.as_bytes()).unwrap();
    assert_eq!(jwk.alg, Some(key.algorithm()));
    assert_eq!(jwk.kid.as_deref(), key.kid());
    jwk.verifying_key(key.algorithm().scheme()).unwrap()
}

fn verifies(key: &VerifyingKey, token: &str) -> bool {
    let (signing_input, signature) = token.rsplit_once('.').unwrap();
    let signature = base64url::decode_vec(signature.as_bytes()).unwrap();
    let check = Check {
        key,
        message: signing_input.as_bytes(),
        signature: &signature,
    };
    let mut outcomes = Vec::new();
    verify_batch(&[check], &mut outcomes);
    outcomes == [Outcome::Genuine]
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&base64url::decode_vec(part.as_bytes()).unwrap()).unwrap()
}

/// Checks I-01.
#[test]
fn every_algorithm_mints_what_its_public_key_verifies() {
    for key in keys() {
        let token = key.mint(&Claims::default(), NOW).unwrap();
        let verifier = verifier_of(key);
        assert!(verifies(&verifier, &token), "{key:?}");
        let header = part(&token, 0);
        assert_eq!(header["alg"], key.algorithm().name());
        assert_eq!(header["kid"], key.kid().unwrap());
        assert_eq!(header["typ"], "JWT");
        for other in keys() {
            if other.kid() != key.kid() && other.verifying.scheme() == key.verifying.scheme() {
                assert!(!verifies(&verifier_of(other), &token), "{key:?}");
            }
        }
    }
}

/// Checks I-01. There is no way to ask for an unsigned token.
#[test]
fn none_is_no_algorithm() {
    for name in ["none", "None", "NONE", ""] {
        assert_eq!(Algorithm::from_name(name), None);
    }
}

/// Checks I-02.
#[test]
fn a_key_serves_the_algorithm_it_names_and_no_other() {
    for key in keys() {
        let jwk = Jwk::parse(danger::to_private_jwk(key).unwrap().as_bytes()).unwrap();
        for algorithm in Algorithm::ALL {
            match SigningKey::new(algorithm, &jwk) {
                Ok(again) => {
                    assert_eq!(algorithm, key.algorithm());
                    assert_eq!(again.kid(), key.kid());
                }
                Err(error) => {
                    assert_ne!(algorithm, key.algorithm());
                    assert_eq!(error, SigningError::AlgorithmPinned(key.algorithm()));
                }
            }
        }
    }
}

/// Checks I-02. A key that could serve several algorithms is not used until one is named.
#[test]
fn a_key_without_alg_is_pinned_by_its_kind_or_not_at_all() {
    for key in keys() {
        let Some(pem) = danger::to_private_pem(key).unwrap() else {
            let error = SigningKey::from_jwk(&Jwk::from_secret(&[7; 64])).unwrap_err();
            assert_eq!(error, SigningError::AlgorithmMissing);
            continue;
        };
        let jwk = Jwk::from_pem(&pem).unwrap();
        match SigningKey::from_jwk(&jwk) {
            Ok(again) => assert_eq!(again.algorithm().scheme(), key.algorithm().scheme()),
            Err(error) => {
                assert_eq!(error, SigningError::AlgorithmMissing);
                assert!(matches!(key.signer, Signer::Rsa(..)));
            }
        }
        for algorithm in Algorithm::ALL {
            if algorithm.scheme() != key.algorithm().scheme()
                && !jwk.schemes().contains(&algorithm.scheme())
            {
                let error = SigningKey::new(algorithm, &jwk).unwrap_err();
                assert_eq!(error, SigningError::Key(KeyError::WrongKind));
            }
        }
    }
}

#[test]
fn exported_keys_come_back_the_same() {
    for key in keys() {
        let verifier = verifier_of(key);
        let json = danger::to_private_jwk(key).unwrap();
        let from_json = SigningKey::from_jwk(&Jwk::parse(json.as_bytes()).unwrap()).unwrap();
        assert_eq!(from_json.kid(), key.kid());
        assert!(verifies(
            &verifier,
            &from_json.mint(&Claims::default(), NOW).unwrap()
        ));
        let Some(pem) = danger::to_private_pem(key).unwrap() else {
            assert!(matches!(key.signer, Signer::Hmac(_)));
            continue;
        };
        let jwk = Jwk::from_pem(&pem).unwrap();
        let from_pem = SigningKey::new(key.algorithm(), &jwk).unwrap();
        // The thumbprint names the same key by the same name.
        assert_eq!(from_pem.kid(), key.kid());
        assert!(verifies(
            &verifier,
            &from_pem.mint(&Claims::default(), NOW).unwrap()
        ));
    }
}

#[test]
fn the_public_key_gives_nothing_away() {
    for key in keys() {
        let Some(public) = key.public_jwk() else {
            continue;
        };
        let public: Map<String, Value> = serde_json::from_str(&public).unwrap();
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(!public.contains_key(private), "{key:?}");
        }
        let jwk = Jwk::parse(key.public_jwk().unwrap().as_bytes()).unwrap();
        assert_eq!(
            SigningKey::from_jwk(&jwk).unwrap_err(),
            SigningError::PublicOnly
        );
        assert_eq!(key.kid(), Some(jwk.thumbprint().as_str()));
    }
    let printed = format!("{:?}", keys());
    assert!(printed.starts_with("[SigningKey { algorithm: Hs256, kid: Some(\""));
    assert!(printed.contains("Rs256") && !printed.contains("secret") && printed.len() < 2000);
}

#[test]
fn a_secret_is_not_named_by_its_hash() {
    let jwk = Jwk::from_secret(&[7; 32]);
    let key = SigningKey::new(Algorithm::Hs256, &jwk).unwrap();
    assert_ne!(key.kid(), Some(jwk.thumbprint().as_str()));
    assert_eq!(key.kid().map(str::len), Some(22));
}

#[test]
fn halves_that_do_not_belong_together_are_refused() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Es512] {
        let one = SigningKey::generate(algorithm, None).unwrap();
        let other = SigningKey::generate(algorithm, None).unwrap();
        let mut mixed = members(&one);
        mixed.insert("d".to_owned(), members(&other)["d"].clone());
        let error = from_members(&mixed).unwrap_err();
        assert!(matches!(error, SigningError::Private(_)), "{error}");
    }
    let rsa = keys()
        .iter()
        .find(|key| key.algorithm() == Algorithm::Rs256)
        .unwrap();
    let other = keys()
        .iter()
        .find(|key| key.algorithm() == Algorithm::Rs384)
        .unwrap();
    for member in ["d", "p", "q", "dp", "dq", "qi"] {
        let mut mixed = members(rsa);
        mixed.insert(member.to_owned(), members(other)[member].clone());
        assert!(from_members(&mixed).is_err(), "{member}");
    }
    let mut bare = members(rsa);
    bare.retain(|name, _| !["p", "q", "dp", "dq", "qi"].contains(&name.as_str()));
    assert!(matches!(
        from_members(&bare).unwrap_err(),
        SigningError::Private(_)
    ));
}

fn members(key: &SigningKey) -> Map<String, Value> {
    serde_json::from_str(&danger::to_private_jwk(key).unwrap()).unwrap()
}

fn from_members(members: &Map<String, Value>) -> Result<SigningKey, SigningError> {
    let json = serde_json::to_vec(members).unwrap();
    SigningKey::from_jwk(&Jwk::parse(&json).unwrap())
}

#[test]
fn sizes_are_those_of_the_algorithm() {
    let bits = |key: &SigningKey| key.jwk.bits();
    assert_eq!(
        bits(&SigningKey::generate(Algorithm::Rs256, Some(3072)).unwrap()),
        3072
    );
    assert_eq!(
        bits(&SigningKey::generate(Algorithm::Hs384, None).unwrap()),
        384
    );
    assert_eq!(
        bits(&SigningKey::generate(Algorithm::Es512, Some(521)).unwrap()),
        521
    );
    for (algorithm, size) in [
        (Algorithm::Rs256, 1024),
        (Algorithm::Rs256, 2047),
        (Algorithm::Ps512, 16_384),
        (Algorithm::Es256, 384),
        (Algorithm::EdDsa, 255),
        (Algorithm::Hs256, 128),
        (Algorithm::Hs512, 0),
    ] {
        let error = SigningKey::generate(algorithm, Some(size)).unwrap_err();
        assert!(matches!(error, SigningError::Size { .. }), "{error}");
    }
    // RFC 7518 §3.2: 255 bits are too few for HS256.
    let short = SigningKey::new(Algorithm::Hs256, &Jwk::from_secret(&[7; 31])).unwrap_err();
    assert_eq!(
        short,
        SigningError::Key(KeyError::SecretTooShort { required_bytes: 32 })
    );
}

#[test]
fn claims_say_what_was_asked() {
    let key = &keys()[0];
    let claims = Claims {
        header: ProtectedHeader::typ("at+jwt"),
        issuer: Some("https://idp.example".to_owned()),
        subject: Some("a \"quoted\" subject \u{1F511}".to_owned()),
        audiences: vec!["payments".to_owned()],
        lifetime_seconds: Some(60),
        valid_after_seconds: Some(-5),
        id: None,
        extra: Map::from_iter([("scope".to_owned(), Value::from("read write"))]),
    };
    let token = key.mint(&claims, NOW).unwrap();
    assert!(CompactJws::parse(token.as_bytes(), limits::TOKEN_BYTES_DEFAULT).is_ok());
    assert_eq!(part(&token, 0)["typ"], "at+jwt");
    let said = part(&token, 1);
    assert_eq!(said["iss"], "https://idp.example");
    assert_eq!(said["sub"], "a \"quoted\" subject \u{1F511}");
    assert_eq!(said["aud"], "payments");
    assert_eq!(said["exp"], NOW + 60);
    assert_eq!(said["nbf"], NOW - 5);
    assert_eq!(said["iat"], NOW);
    assert_eq!(said["scope"], "read write");
    let two = Claims {
        audiences: vec!["a".to_owned(), "b".to_owned()],
        lifetime_seconds: None,
        valid_after_seconds: None,
        ..claims
    };
    let said = part(&key.mint(&two, i64::MAX).unwrap(), 1);
    assert_eq!(said["aud"], serde_json::json!(["a", "b"]));
    assert!(said.get("exp").is_none() && said.get("nbf").is_none());
}

/// Checks I-03 as far as `jti` goes: 128 random bits, never the same.
#[test]
fn every_token_has_an_identifier_of_its_own() {
    let key = &keys()[0];
    let ids: HashSet<String> = (0..1000)
        .map(|_| part(&key.mint(&Claims::default(), NOW).unwrap(), 1)["jti"].to_string())
        .collect();
    assert_eq!(ids.len(), 1000);
    // 16 octets in base64url, and the quotes.
    assert!(ids.iter().all(|id| id.len() == 22 + 2));
}

#[test]
fn a_member_is_never_written_twice() {
    let key = &keys()[0];
    for name in ["iat", "jti", "exp", "nbf"] {
        let claims = Claims {
            extra: Map::from_iter([(name.to_owned(), Value::from(1))]),
            ..Claims::default()
        };
        let error = key.mint(&claims, NOW).unwrap_err();
        assert_eq!(error, SigningError::Reserved(name.to_owned()));
    }
    for name in ["alg", "kid", "typ"] {
        let header = ProtectedHeader {
            typ: None,
            extra: Map::from_iter([(name.to_owned(), Value::from("none"))]),
        };
        let error = key.sign(&header, b"{}").unwrap_err();
        assert_eq!(error, SigningError::Reserved(name.to_owned()));
    }
    // What is not written otherwise may be given.
    let claims = Claims {
        lifetime_seconds: None,
        extra: Map::from_iter([("exp".to_owned(), Value::from(7))]),
        ..Claims::default()
    };
    assert_eq!(part(&key.mint(&claims, NOW).unwrap(), 1)["exp"], 7);
}

#[test]
fn a_kid_can_be_chosen_or_left_out() {
    let key = || SigningKey::generate(Algorithm::EdDsa, None).unwrap();
    let named = key().with_kid(Some("2026-11")).unwrap();
    assert_eq!(
        part(&named.mint(&Claims::default(), NOW).unwrap(), 0)["kid"],
        "2026-11"
    );
    let unnamed = key().with_kid(None).unwrap();
    assert!(
        part(&unnamed.mint(&Claims::default(), NOW).unwrap(), 0)
            .get("kid")
            .is_none()
    );
    let long = "k".repeat(limits::KID_BYTES_MAX + 1);
    assert_eq!(
        key().with_kid(Some(&long)).unwrap_err(),
        SigningError::KidTooLong
    );
}

/// A faulty machine, played by a public half that is not the signer's.
#[test]
fn a_signature_that_does_not_verify_is_withheld() {
    for algorithm in [Algorithm::Rs256, Algorithm::Ps256, Algorithm::EdDsa] {
        let (scheme, mut key) = (algorithm.scheme(), sample(algorithm));
        key.verifying = match key.signer {
            // Another RSA key of the same kind: that of another algorithm, pinned to this one.
            Signer::Rsa(..) => {
                let other = keys()
                    .iter()
                    .find(|key| key.algorithm() == Algorithm::Rs512);
                other.unwrap().jwk.verifying_key(scheme).unwrap()
            }
            _ => SigningKey::generate(algorithm, None).unwrap().verifying,
        };
        let error = key.mint(&Claims::default(), NOW).unwrap_err();
        assert_eq!(error, SigningError::Faulty);
    }
}

/// A copy of the sample key of an algorithm.
fn sample(algorithm: Algorithm) -> SigningKey {
    let key = keys().iter().find(|key| key.algorithm() == algorithm);
    SigningKey::new(algorithm, &key.unwrap().jwk).unwrap()
}

/// Checks I-01. The printed examples of RFC 7520 §4 and RFC 8037 §A.4 verify, and those whose signatures are
/// deterministic come out octet for octet.
#[test]
fn the_examples_of_the_rfcs() {
    let examples: Vec<Value> = serde_json::from_str(include_str!("vectors/rfc.json")).unwrap();
    assert_eq!(examples.len(), 5);
    for example in examples {
        let section = &example["section"];
        let algorithm = Algorithm::from_name(example["alg"].as_str().unwrap()).unwrap();
        let jwk = Jwk::parse(example["key"].to_string().as_bytes()).unwrap();
        let mut key = SigningKey::new(algorithm, &jwk).unwrap();
        if jwk.kid.is_none() {
            key = key.with_kid(None).unwrap();
        }
        let header = ProtectedHeader {
            typ: None,
            extra: Map::new(),
        };
        let payload = example["payload"].as_str().unwrap();
        let signed = key.sign(&header, payload.as_bytes()).unwrap();
        let printed = example["compact"].as_str().unwrap();
        assert!(verifies(&key.verifying, printed), "{section}");
        assert!(verifies(&key.verifying, &signed), "{section}");
        if example["deterministic"] == true {
            assert_eq!(signed, printed, "{section}");
        } else {
            assert_eq!(
                signed.rsplit_once('.').unwrap().0,
                printed.rsplit_once('.').unwrap().0
            );
        }
    }
}

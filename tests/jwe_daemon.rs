//! Encrypted tokens through a running daemon: the same ones by every door, good and hostile, and keys that change under
//! it.
#![allow(clippy::disallowed_methods, reason = "a test waits in real time")]

mod daemon_support;

use daemon_support::{PATIENCE, World, eventually, http, issuer, signing_key, verdict};
use jotd::daemon::{Daemon, Ended};
use jotd::encoding::base64url;
use jotd::issuer::{Claims, Recipient, SigningKey, generate_encryption_key};
use jotd::jose::{ContentEncryption, Jwk, JwkSet, KeyManagement, danger};
use jotd::transport::client::Client;
use jotd::transport::grpc::v1;
use jotd::transport::wire::RemoteVerdict;
use jotd::verify::Want;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::time::SystemTime;
use tonic::transport::{Channel, Endpoint};
use v1::verdict::Outcome;
use v1::verifier_client::VerifierClient;

/// A daemon that opens tokens to these keys, for the issuer `acme`; and one `other`, whose tokens nobody encrypts.
struct House {
    world: World,
    daemon: Daemon,
    /// By what they are for.
    keys: [Jwk; 4],
    other: SigningKey,
}

const ALGORITHMS: [KeyManagement; 4] = [
    KeyManagement::A256Kw,
    KeyManagement::EcdhEsA256Kw,
    KeyManagement::RsaOaep256,
    KeyManagement::Direct,
];

fn key_for(algorithm: KeyManagement) -> Jwk {
    let encoding = (algorithm == KeyManagement::Direct).then_some(ContentEncryption::A256Gcm);
    generate_encryption_key(algorithm, None, None, encoding).expect("a key")
}

/// Replaces a key file as tools do: a new file, renamed over the old.
fn write_keys(world: &World, name: &str, keys: &[&Jwk]) {
    let json = |key: &&Jwk| {
        danger::to_private_json(key)
            .expect("a private key")
            .to_string()
    };
    let keys: Vec<String> = keys.iter().map(json).collect();
    write_file(
        world,
        name,
        &format!("{{\"keys\":[{}]}}", keys.join(",")),
        0o600,
    );
}

fn write_file(world: &World, name: &str, content: &str, mode: u32) {
    let fresh = world.path(&format!("{name}.new"));
    std::fs::write(&fresh, content).expect("writable");
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(mode)).expect("ours");
    std::fs::rename(fresh, world.path(name)).expect("renamed");
}

impl House {
    fn open() -> Self {
        let world = World::new();
        let keys = ALGORITHMS.map(key_for);
        write_keys(&world, "shared.jwk", &[&keys[0], &keys[3]]);
        write_keys(&world, "pairs.jwk", &[&keys[1], &keys[2]]);
        let other = signing_key("o1");
        world.write_jwks("other.json", &[&other]);
        let acme = issuer("jwks_file = \"jwks.json\"");
        let stranger = issuer("jwks_file = \"other.json\"")
            .replace("acme", "other")
            .replace("idp.example", "other.example");
        let terms = "decrypt_key_files = [\"shared.jwk\", \"pairs.jwk\"]\n\
                     jwe_algorithms = [\"A256KW\", \"ECDH-ES+A256KW\", \"RSA-OAEP-256\", \"dir\"]\n\
                     jwe_encodings = [\"A256GCM\", \"A128CBC-HS256\"]\n";
        world.write_config(&format!("{}{acme}{terms}{stranger}", world.listen()));
        let daemon = world.start();
        Self {
            world,
            daemon,
            keys,
            other,
        }
    }

    fn http(&self) -> std::net::SocketAddr {
        self.daemon.addresses().http.expect("configured")
    }

    fn admin(&self) -> std::net::SocketAddr {
        self.daemon.addresses().admin.expect("configured")
    }

    /// A token of `acme`, encrypted by the library's own hand.
    fn encrypted(&self, key: &Jwk, encoding: Option<ContentEncryption>) -> String {
        let recipient = Recipient::new(key, None, encoding).expect("it fits");
        recipient.encrypt(&self.world.token()).expect("encrypted")
    }

    /// How often the decryption keys were read with this outcome.
    fn reads(&self, outcome: &str) -> u64 {
        let (_, metrics) = http(self.admin(), "GET", "/metrics", "");
        let name = "jotd_decryption_key_reads_total{issuer=\"acme\",outcome=";
        let line = format!("{name}\"{outcome}\"}} ");
        let mut lines = metrics.lines();
        let value = lines.find_map(|known| known.strip_prefix(&line));
        value.map_or(0, |value| value.parse().expect("a number"))
    }
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(now.expect("after 1970").as_secs()).expect("before the end of time")
}

/// Any content to a shared key that wraps others', under any header.
struct Forger<'k> {
    key: &'k Jwk,
    header: Value,
    encoding: ContentEncryption,
}

impl<'k> Forger<'k> {
    fn new(key: &'k Jwk) -> Self {
        let kid = key.kid.as_deref();
        Self {
            key,
            header: json!({ "alg": "A256KW", "enc": "A256GCM", "cty": "JWT", "kid": kid }),
            encoding: ContentEncryption::A256Gcm,
        }
    }

    /// Another word in the header.
    fn saying(mut self, name: &str, value: Value) -> Self {
        if value.is_null() {
            self.header.as_object_mut().expect("an object").remove(name);
        } else {
            self.header[name] = value;
        }
        self
    }

    fn seal(&self, content: &[u8]) -> String {
        let (management, _) = self
            .key
            .pin_management(&[KeyManagement::A256Kw], &[])
            .expect("it wraps");
        let key = self.key.encryption_key(management, None).expect("a key");
        let key = key.content_key(self.encoding).expect("random");
        let header = base64url::encode_string(self.header.to_string().as_bytes());
        let encrypted_key = base64url::encode_string(&key.encrypted_key);
        let sealed = key.seal(header.as_bytes(), content).expect("sealed");
        let [iv, text, tag] =
            [sealed.iv, sealed.ciphertext, sealed.tag].map(|part| base64url::encode_string(&part));
        format!("{header}.{encrypted_key}.{iv}.{text}.{tag}")
    }
}

/// The token with one of its five segments made into something else.
fn with_part(token: &str, part: usize, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut segments: Vec<String> = token.split('.').map(str::to_owned).collect();
    let mut octets = base64url::decode_vec(segments[part].as_bytes()).expect("base64url");
    change(&mut octets);
    segments[part] = base64url::encode_string(&octets);
    segments.join(".")
}

fn flip(octets: &mut [u8]) {
    let middle = octets.len() / 2;
    octets[middle] ^= 1;
}

/// Every door's word on these tokens: HTTP singly and in a batch, frames over the Unix socket, gRPC singly and in a
/// batch.
fn words_by_every_door(house: &House, tokens: &[String]) -> Vec<(&'static str, Vec<String>)> {
    let word = |said: &Value| match said["valid"].as_bool() {
        Some(true) => "valid".to_owned(),
        _ => said["reason"].as_str().unwrap_or("nothing").to_owned(),
    };
    let singly = tokens
        .iter()
        .map(|token| word(&verdict(house.http(), token)));
    let singly = singly.collect();
    let body = json!({ "tokens": tokens }).to_string();
    let (_, batch) = http(house.http(), "POST", "/v1/verify/batch", &body);
    let batch: Value = serde_json::from_str(&batch).expect("JSON");
    let batch = batch["results"].as_array().expect("a list");
    let batch = batch.iter().map(word).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (frames, calls, called) = runtime.block_on(async {
        let asked = tokio::time::timeout(PATIENCE, async {
            let client = Client::connect(house.world.socket())
                .await
                .expect("it listens");
            let frames = client
                .verify(tokens, &Want::Verdict)
                .await
                .expect("answered");
            let endpoint = Endpoint::from_shared(format!("http://{}", house.http()));
            let channel: Channel = endpoint
                .expect("a URI")
                .connect()
                .await
                .expect("it listens");
            let mut client = VerifierClient::new(channel);
            let mut calls = Vec::new();
            for token in tokens {
                let request = v1::VerifyRequest {
                    token: token.clone(),
                    ..Default::default()
                };
                let answer = client.verify(request).await.expect("answered");
                calls.push(answer.into_inner().verdict.expect("a verdict"));
            }
            let request = v1::VerifyBatchRequest {
                tokens: tokens.to_vec(),
                ..Default::default()
            };
            let called = client.verify_batch(request).await.expect("answered");
            (frames, calls, called.into_inner().results)
        });
        asked.await.expect("answers in time")
    });
    let of_frame = |verdict: &RemoteVerdict| match verdict {
        RemoteVerdict::Valid { .. } => "valid".to_owned(),
        RemoteVerdict::Invalid { reason, .. } => reason.name().to_owned(),
        RemoteVerdict::Unavailable(_) => "unavailable".to_owned(),
    };
    let of_call = |verdict: &v1::Verdict| match &verdict.outcome {
        Some(Outcome::Valid(_)) => "valid".to_owned(),
        Some(Outcome::Invalid(invalid)) => {
            let name = invalid.reason().as_str_name().to_lowercase();
            name.strip_prefix("reason_").unwrap_or(&name).to_owned()
        }
        _ => "unavailable".to_owned(),
    };
    vec![
        ("http", singly),
        ("http batch", batch),
        ("frames", frames.iter().map(of_frame).collect()),
        ("grpc", calls.iter().map(of_call).collect()),
        ("grpc batch", called.iter().map(of_call).collect()),
    ]
}

/// Checks V-02, V-10, V-17.
#[test]
fn every_door_says_the_same_of_every_encrypted_token() {
    let house = House::open();
    let [wrap, pair, rsa, direct] = &house.keys;
    let signed = house.world.token();
    let good = || Forger::new(wrap).seal(signed.as_bytes());
    let expired = Claims {
        issuer: Some("https://idp.example".to_owned()),
        audiences: vec!["payments".to_owned()],
        ..Claims::default()
    };
    let expired = house
        .world
        .key
        .mint(&expired, now() - 100_000)
        .expect("signed");
    let forged = with_part(&signed, 2, |part| flip(part));
    let unsigned = format!(
        "{}.{}.",
        base64url::encode_string(br#"{"alg":"none"}"#),
        signed.split('.').nth(1).expect("three segments")
    );
    let claims = json!({ "iss": "https://idp.example", "aud": "payments", "exp": now() + 600 });
    let elsewhere = daemon_support::token(&house.other);
    let of_other = Claims {
        issuer: Some("https://other.example".to_owned()),
        audiences: vec!["payments".to_owned()],
        ..Claims::default()
    };
    let of_other = house.other.mint(&of_other, now()).expect("signed");
    // The same name, and another key.
    let impostor = danger::to_private_json(&key_for(KeyManagement::A256Kw)).expect("JSON");
    let mut impostor: Value = serde_json::from_str(&impostor).expect("JSON");
    impostor["kid"] = wrap.kid.as_deref().into();
    let impostor = Jwk::parse(impostor.to_string().as_bytes()).expect("a JWK");
    let stranger = key_for(KeyManagement::EcdhEsA256Kw);
    let packed = miniz_oxide::deflate::compress_to_vec(signed.as_bytes(), 9);
    let under = |name: &str, value: Value| {
        Forger::new(wrap)
            .saying(name, value)
            .seal(signed.as_bytes())
    };
    let cbc = Some(ContentEncryption::A128CbcHs256);
    let other_header = {
        let (other, good) = (under("x", json!(1)), good());
        let header = other.split('.').next().expect("five segments");
        let (_, rest) = good.split_once('.').expect("five segments");
        format!("{header}.{rest}")
    };
    let cases: Vec<(&str, String, &str)> = vec![
        ("wrapped", house.encrypted(wrap, None), "valid"),
        ("agreed", house.encrypted(pair, None), "valid"),
        ("agreed, CBC", house.encrypted(pair, cbc), "valid"),
        ("RSA", house.encrypted(rsa, None), "valid"),
        ("RSA, CBC", house.encrypted(rsa, cbc), "valid"),
        ("direct", house.encrypted(direct, None), "valid"),
        ("by hand", good(), "valid"),
        ("signed only", signed.clone(), "valid"),
        (
            "wrong key",
            Forger::new(&impostor).seal(signed.as_bytes()),
            "decrypt_failed",
        ),
        (
            "nobody's key",
            house.encrypted(&stranger, None),
            "unknown_kid",
        ),
        (
            "tag cut short",
            with_part(&good(), 4, |tag| tag.truncate(8)),
            "decrypt_failed",
        ),
        (
            "tag of one octet",
            with_part(&good(), 4, |tag| tag.truncate(1)),
            "decrypt_failed",
        ),
        (
            "tag changed",
            with_part(&good(), 4, |part| flip(part)),
            "decrypt_failed",
        ),
        (
            "content changed",
            with_part(&good(), 3, |part| flip(part)),
            "decrypt_failed",
        ),
        (
            "vector changed",
            with_part(&good(), 2, |part| flip(part)),
            "decrypt_failed",
        ),
        (
            "key changed",
            with_part(&good(), 1, |part| flip(part)),
            "decrypt_failed",
        ),
        (
            "no tag",
            good().rsplit_once('.').expect("five").0.to_owned() + ".",
            "malformed",
        ),
        ("another's header", other_header, "decrypt_failed"),
        (
            "compressed",
            Forger::new(wrap).saying("zip", json!("DEF")).seal(&packed),
            "malformed",
        ),
        (
            "claims that nobody signed",
            Forger::new(wrap).seal(claims.to_string().as_bytes()),
            "malformed",
        ),
        (
            "no signature inside",
            Forger::new(wrap).seal(unsigned.as_bytes()),
            "unsupported_alg",
        ),
        (
            "a forged signature inside",
            Forger::new(wrap).seal(forged.as_bytes()),
            "bad_signature",
        ),
        (
            "another issuer's key inside",
            Forger::new(wrap).seal(elsewhere.as_bytes()),
            "unknown_kid",
        ),
        (
            "encrypted twice",
            Forger::new(wrap).seal(good().as_bytes()),
            "malformed",
        ),
        (
            "expired inside",
            Forger::new(wrap).seal(expired.as_bytes()),
            "expired",
        ),
        (
            "of an issuer that did not ask",
            Forger::new(wrap).seal(of_other.as_bytes()),
            "alg_not_allowed",
        ),
        ("the same, signed only", of_other.clone(), "valid"),
        ("no cty", under("cty", Value::Null), "malformed"),
        (
            "cty of something else",
            under("cty", json!("json")),
            "malformed",
        ),
        ("critical", under("crit", json!(["x"])), "unknown_critical"),
        (
            "alg of another way",
            under("alg", json!("dir")),
            "malformed",
        ),
        (
            "alg not allowed",
            under("alg", json!("A128KW")),
            "alg_not_allowed",
        ),
        (
            "alg not offered",
            under("alg", json!("RSA1_5")),
            "unsupported_alg",
        ),
        (
            "alg not offered either",
            under("alg", json!("A256GCMKW")),
            "unsupported_alg",
        ),
        (
            "enc not allowed",
            under("enc", json!("A128GCM")),
            "alg_not_allowed",
        ),
        (
            "enc not offered",
            under("enc", json!("A128CTR")),
            "unsupported_alg",
        ),
        ("six segments", good() + ".AAAA", "malformed"),
    ];
    let tokens: Vec<String> = cases.iter().map(|(_, token, _)| token.clone()).collect();
    let expected: Vec<(&str, &str)> = cases.iter().map(|(what, _, word)| (*what, *word)).collect();
    // The second time, from what is remembered.
    for round in 0..2 {
        for (door, words) in words_by_every_door(&house, &tokens) {
            let said: Vec<(&str, &str)> = cases
                .iter()
                .zip(&words)
                .map(|((what, ..), word)| (*what, word.as_str()))
                .collect();
            assert_eq!(said, expected, "{door}, round {round}");
        }
    }
    assert_eq!(house.daemon.stop(), Ended::Drained);
}

#[test]
fn what_is_inside_is_told_by_every_door() {
    let house = House::open();
    let token = house.encrypted(&house.keys[1], None);
    let body = json!({ "token": token, "want": ["claims"] }).to_string();
    for _ in ["opened", "remembered"] {
        let (_, said) = http(house.http(), "POST", "/v1/verify", &body);
        let said: Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!(said["claims"]["sub"], "somebody", "{said}");
        assert_eq!(
            (&said["alg"], &said["kid"]),
            (&json!("ES256"), &json!("k1"))
        );
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let asked = async {
            let client = Client::connect(house.world.socket())
                .await
                .expect("it listens");
            let want = Want::Members(["sub".into()].into());
            client.verify(&[&token], &want).await.expect("answered")
        };
        let verdicts = runtime
            .block_on(async { tokio::time::timeout(PATIENCE, asked).await })
            .expect("in time");
        let RemoteVerdict::Valid { signer, claims, .. } = &verdicts[0] else {
            panic!("{verdicts:?}");
        };
        assert_eq!((&*signer.alg, signer.kid.as_deref()), ("ES256", Some("k1")));
        let claims = claims.as_bytes().expect("asked for");
        let claims: Value = serde_json::from_slice(claims).expect("JSON");
        assert_eq!(claims, json!({ "sub": "somebody" }));
    }
    assert_eq!(house.daemon.stop(), Ended::Drained);
}

/// Checks V-44.
#[test]
fn decryption_keys_are_followed_and_a_broken_file_takes_none_away() {
    let house = House::open();
    let (world, address) = (&house.world, house.http());
    let [_, old, rsa, _] = &house.keys;
    let word = |token: &str| {
        let said = verdict(address, token);
        said["reason"].as_str().unwrap_or("valid").to_owned()
    };
    let to_old = house.encrypted(old, None);
    let remembered = house.encrypted(old, None);
    assert_eq!(
        (&*word(&remembered), &*word(&remembered)),
        ("valid", "valid")
    );

    // A rotation, as an operator does it: both, then the new one.
    let new = key_for(KeyManagement::EcdhEsA256Kw);
    write_keys(world, "pairs.jwk", &[&new, old, rsa]);
    eventually("the new key opens", || {
        word(&house.encrypted(&new, None)) == "valid"
    });
    assert_eq!(word(&to_old), "valid");
    let (_, published) = http(address, "GET", "/.well-known/jwks.json", "");
    let published = JwkSet::parse(published.as_bytes()).expect("a set");
    assert!(published.keys.iter().any(|key| key.kid == new.kid));
    write_keys(world, "pairs.jwk", &[&new, rsa]);
    eventually("the old key opens nothing", || {
        word(&to_old) == "unknown_kid"
    });
    assert_eq!(word(&remembered), "unknown_kid", "though the cache knew it");
    assert_eq!((house.reads("ok"), house.reads("invalid")), (2, 0));

    // Whatever the file becomes, its keys stay, and the operator is told.
    let doctor = || {
        let (_, report) = http(house.admin(), "GET", "/v1/keys?issuer=acme", "");
        let report: Value = serde_json::from_str(&report).expect("JSON");
        report["issuers"][0]["findings"].to_string()
    };
    assert!(!doctor().contains("decryption"));
    let whole = std::fs::read_to_string(world.path("pairs.jwk")).expect("readable");
    let public = new.to_public_json().expect("a pair");
    for (content, mode, why) in [
        ("{", 0o600, "no JWK"),
        ("", 0o600, "no JWK"),
        (&whole[..whole.len() / 2], 0o600, "no JWK"),
        (r#"{"keys":[]}"#, 0o600, "no private key"),
        (&*public, 0o600, "no private key"),
        (
            r#"{"kty":"oct","alg":"A128KW","k":"AAECAwQFBgcICQoLDA0ODw"}"#,
            0o600,
            "not among",
        ),
        (&*whole, 0o604, "lets others read it"),
    ] {
        let before = house.reads("invalid");
        write_file(world, "pairs.jwk", content, mode);
        eventually(why, || {
            house.reads("invalid") > before && doctor().contains(why)
        });
        assert_eq!(word(&house.encrypted(&new, None)), "valid", "{why}");
        assert_eq!(word(&house.encrypted(rsa, None)), "valid", "{why}");
        assert_eq!(word(&to_old), "unknown_kid", "{why}");
    }
    std::fs::remove_file(world.path("pairs.jwk")).expect("there");
    eventually("it is missed", || doctor().contains("cannot be read"));
    assert_eq!(word(&house.encrypted(&new, None)), "valid");
    assert!(house.daemon.reload().is_err(), "nor does a reload take it");
    assert_eq!(word(&house.encrypted(&new, None)), "valid");

    // More keys of one name than a token could tell apart.
    let name = |key: &Jwk| {
        let json = danger::to_private_json(key).expect("JSON");
        let mut json: Value = serde_json::from_str(&json).expect("JSON");
        json["kid"] = "same".into();
        json.to_string()
    };
    let many: Vec<String> = (0..5)
        .map(|_| name(&key_for(KeyManagement::EcdhEsA256Kw)))
        .collect();
    write_file(
        world,
        "pairs.jwk",
        &format!("{{\"keys\":[{}]}}", many.join(",")),
        0o600,
    );
    eventually("they are refused", || doctor().contains("have the name"));
    assert_eq!(word(&house.encrypted(&new, None)), "valid");

    // Good again.
    write_keys(world, "pairs.jwk", &[&new, rsa, old]);
    eventually("the old key is back", || word(&to_old) == "valid");
    eventually("all is well", || !doctor().contains("decryption"));

    // A reload follows what it names, and nothing that it no longer does.
    write_keys(world, "next.jwk", &[&new]);
    let config = std::fs::read_to_string(world.config_path()).expect("readable");
    world.write_config(&config.replace("pairs.jwk", "next.jwk"));
    house.daemon.reload().expect("good");
    assert_eq!(word(&to_old), "unknown_kid");
    write_keys(world, "next.jwk", &[&new, old]);
    eventually("the new file is followed", || word(&to_old) == "valid");
    assert_eq!(house.daemon.stop(), Ended::Drained);
}

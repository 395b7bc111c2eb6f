//! Tenants of a template over real HTTPS: loaded as their tokens come, bounded whatever comes, and let alone by what
//! happens to others.
#![allow(
    clippy::disallowed_methods,
    reason = "a test waits in real time, and mints for now"
)]

mod jwks_server;
mod redis_server;

use bytes::Bytes;
use jotd::clock::Clock;
use jotd::crypto::Scheme;
use jotd::encoding::hex;
use jotd::engine::{Call, Engine, Options};
use jotd::issuer::{Claims, SigningKey};
use jotd::keys::Owner;
use jotd::metrics::Metrics;
use jotd::policy::{Accepted, Policy};
use jotd::upstream::{
    Feed, KeptSets, KeysAtHand, Remote, Source, TenantEndpoint, TenantFeed, TenantKeys,
    TenantTerms, Upstream,
};
use jotd::verdict::{Cause, Reason, Verdict};
use jotd::verify::{IssTemplate, Issuer, IssuerKeys, IssuerMatch, PolicyId, Records, Want};
use jwks_server::world::shared_sets;
use jwks_server::{Answer, Asked, Background, Server, jwks, signing_key};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant, SystemTime};

const TEMPLATE: &str = "https://login.example/{tenant}/v2.0";

/// What a host has of what was fetched before, or by others.
#[derive(Default)]
struct Shared<'s> {
    kept: Option<&'s Path>,
    redis: Option<(&'s Path, &'s str)>,
}

struct World {
    engine: Engine,
    metrics: Arc<Metrics>,
    upstream: Upstream,
    feed: TenantFeed,
    _background: Background,
}

fn terms(tenants_max: usize, fetches_per_second: u32) -> TenantTerms {
    TenantTerms {
        tenants_max,
        fetches_per_second,
        idle: Duration::from_secs(3_600),
    }
}

fn model() -> Issuer {
    Issuer {
        name: "entra".into(),
        tenant: "entra/{tenant}".into(),
        iss: IssuerMatch::Template(Arc::new(IssTemplate::parse(TEMPLATE).expect("a template"))),
        policy: Policy {
            schemes: vec![Scheme::EcdsaP256Sha256],
            audiences: Accepted::OneOf(vec!["payments".into()]),
            ..Policy::default()
        },
        keys: IssuerKeys::Awaited,
        token_bytes_max: 4096,
    }
}

impl World {
    fn new(server: &Server, terms: TenantTerms) -> Self {
        Self::with(server, terms, |_| {})
    }

    fn with(server: &Server, terms: TenantTerms, change: impl FnOnce(&mut Remote)) -> Self {
        Self::start(server, terms, change, Shared::default())
    }

    fn start(
        server: &Server,
        terms: TenantTerms,
        change: impl FnOnce(&mut Remote),
        shared: Shared<'_>,
    ) -> Self {
        let endpoint = TenantEndpoint::Jwks(
            server
                .uri("/x/keys")
                .to_string()
                .replace("/x/", "/{tenant}/")
                .into(),
        );
        let mut remote = Remote {
            // As quick as a test wants it.
            refresh: Duration::from_millis(200),
            refetch_min: Duration::from_millis(10),
            ca_file: Some(server.ca_file().to_owned()),
            allow_private_address: true,
            ..Remote::new(endpoint.example().expect("a URL"))
        };
        change(&mut remote);
        let feed = TenantFeed {
            issuer: "entra".into(),
            schemes: vec![Scheme::EcdsaP256Sha256],
            keys: Some(TenantKeys { endpoint, remote }),
            terms,
        };
        let records = Arc::new(Records::new(vec![model()], Vec::new()).expect("one template"));
        let metrics = Arc::new(Metrics::new());
        let engine = Engine::start(
            &Options::default(),
            records,
            Clock::system(),
            metrics.clone(),
        );
        let engine = engine.expect("it starts");
        let background = Background::start();
        let feeds = vec![Feed {
            owner: Owner {
                issuer: feed.issuer.clone(),
                tenant: "entra/{tenant}".into(),
            },
            schemes: feed.schemes.clone(),
            source: Source::Tenants(feed.keys.clone().expect("just made")),
        }];
        let at_hand = match shared.kept {
            None => KeysAtHand::read(&feeds),
            Some(folder) => {
                let kept = KeptSets::open(folder).expect("a folder of ours");
                KeysAtHand::read_kept(&feeds, Arc::new(kept), engine.clock().now())
            }
        };
        let mut at_hand = at_hand.expect("nothing to read");
        if let Some((redis, secret)) = shared.redis {
            at_hand = at_hand.sharing(shared_sets(redis, secret, engine.clock(), &metrics));
        }
        let upstream = Upstream::start(
            feeds,
            &at_hand,
            engine.clone(),
            metrics.clone(),
            background.handle.clone(),
        );
        upstream.serve_tenants(vec![feed.clone()]);
        let hint = upstream.tenant_hint();
        engine.on_missing_tenant(move |tenant| hint.missing(tenant));
        Self {
            engine,
            metrics,
            upstream,
            feed,
            _background: background,
        }
    }

    fn verdict(&self, token: &str) -> Verdict {
        self.verdicts(vec![Bytes::copy_from_slice(token.as_bytes())])
            .remove(0)
    }

    fn verdicts(&self, tokens: Vec<Bytes>) -> Vec<Verdict> {
        let (told, verdicts) = mpsc::channel();
        let call = Call {
            peer: self.engine.peer("test", None),
            tokens,
            policy: PolicyId::DEFAULT,
            want: Want::Verdict,
            deadline: None,
            min_revision: 0,
        };
        let now = self.engine.clock().now();
        let at_once = self.engine.ask(call, now, move |verdicts| {
            // A test that has failed does not listen any more.
            let _ = told.send(verdicts);
        });
        at_once.unwrap_or_else(|| verdicts.recv().expect("an answer"))
    }

    /// Asks until the tenant's token is valid, and says whose it is.
    fn until_valid(&self, token: &str) -> String {
        let mut tenant = String::new();
        eventually("a valid token", || match self.verdict(token) {
            Verdict::Valid(trusted) => {
                tenant = trusted.signer.tenant.to_string();
                true
            }
            Verdict::Unavailable(unavailable) => {
                assert_eq!(unavailable.cause, Cause::KeysRefreshing);
                false
            }
            Verdict::Invalid(refusal) => panic!("{refusal:?}"),
        });
        tenant
    }

    fn loaded(&self) -> usize {
        self.engine.records().tenants().count()
    }
}

fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_true() {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "never happened: {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn token(tenant: &str, key: &SigningKey) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = i64::try_from(now.expect("after 1970").as_secs()).expect("before the end of time");
    let claims = Claims {
        issuer: Some(TEMPLATE.replace("{tenant}", tenant)),
        subject: Some("somebody".to_owned()),
        audiences: vec!["payments".to_owned()],
        ..Claims::default()
    };
    key.mint(&claims, now).expect("signed")
}

/// The tenant that a path asks for.
fn tenant_of(asked: &Asked) -> &str {
    asked.path.split('/').nth(1).unwrap_or_default()
}

/// A server that knows some tenants, and counts how often it is asked for each.
fn knows(keys: HashMap<&'static str, SigningKey>) -> (Server, Arc<Mutex<HashMap<String, usize>>>) {
    let counts: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
    let counted = Arc::clone(&counts);
    let server = Server::start(move |asked| {
        let tenant = tenant_of(asked);
        *counted
            .lock()
            .expect("no panic")
            .entry(tenant.to_owned())
            .or_default() += 1;
        match keys.get(tenant) {
            Some(key) => Answer::ok(jwks(&[key])),
            None => Answer::new("404 Not Found", "no such tenant"),
        }
    });
    (server, counts)
}

#[test]
fn a_tenant_is_loaded_as_its_first_token_comes_and_one_that_does_not_exist_is_unknown() {
    let (a, b) = (signing_key("k1"), signing_key("k1"));
    let tokens = [token("a", &a), token("b", &b)];
    let crossed = [token("a", &b), token("b", &a)];
    let ghost = token("ghost", &a);
    let (server, counts) = knows(HashMap::from([("a", a), ("b", b)]));
    let world = World::new(&server, terms(100, 100));
    assert_eq!(world.loaded(), 0);
    for (token, tenant) in tokens.iter().zip(["entra/a", "entra/b"]) {
        assert_eq!(world.until_valid(token), tenant);
    }
    for token in &crossed {
        assert_eq!(world.verdict(token).reason(), Some(Reason::BadSignature));
    }
    eventually("the ghost is known not to exist", || {
        world.verdict(&ghost).reason() == Some(Reason::UnknownIssuer)
    });
    for _ in 0..100 {
        assert_eq!(world.verdict(&ghost).reason(), Some(Reason::UnknownIssuer));
    }
    assert_eq!(
        counts.lock().expect("no panic")["ghost"],
        1,
        "asked about once"
    );
    assert_eq!(world.loaded(), 2);
    let text = world.metrics.render();
    for line in [
        "jotd_tenant_changes_total{issuer=\"entra\",outcome=\"loaded\"} 2",
        "jotd_tenant_changes_total{issuer=\"entra\",outcome=\"absent\"} 1",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

/// Nobody has to ask twice: a token waits for its tenant, and for a key that its tenant has published since.
#[test]
fn a_token_waits_for_its_tenant_and_for_its_tenant_s_new_key() {
    let (first, second) = (signing_key("k1"), signing_key("k2"));
    let (old, new) = (token("a", &first), token("a", &second));
    let nobody_s = token("a", &signing_key("k3"));
    let (ghost, slow) = (token("ghost", &first), token("slow", &first));
    let is_rotated = Arc::new(AtomicUsize::new(0));
    let phase = Arc::clone(&is_rotated);
    let server =
        Server::start(
            move |asked| match (tenant_of(asked), phase.load(Ordering::Relaxed)) {
                ("a", 0) => Answer::ok(jwks(&[&first])),
                ("a", _) => Answer::ok(jwks(&[&first, &second])),
                ("slow", _) => Answer::new("503 Service Unavailable", ""),
                _ => Answer::new("404 Not Found", "no such tenant"),
            },
        );
    let world = World::with(&server, terms(100, 100), |remote| {
        remote.refresh = Duration::from_secs(3_600);
        remote.key_wait = Duration::from_secs(30);
    });
    assert!(matches!(world.verdict(&old), Verdict::Valid(_)));
    assert_eq!(world.verdict(&ghost).reason(), Some(Reason::UnknownIssuer));
    is_rotated.store(1, Ordering::Relaxed);
    assert!(matches!(world.verdict(&new), Verdict::Valid(_)));
    assert_eq!(world.verdict(&nobody_s).reason(), Some(Reason::UnknownKid));
    // Its issuer is in trouble, which is said at once to whoever comes before it is asked again.
    for _ in 0..2 {
        let Verdict::Unavailable(unavailable) = world.verdict(&slow) else {
            panic!("nothing is known of it");
        };
        assert_eq!(unavailable.cause, Cause::KeysRefreshing);
        assert!(unavailable.retry_after_ms <= 1_000, "{unavailable:?}");
    }
    assert_eq!(world.engine.parked(), 0);
}

#[test]
fn a_tenant_s_keys_are_trusted_no_longer_than_they_may() {
    let key = signing_key("k1");
    let good = token("a", &key);
    let is_down = Arc::new(AtomicUsize::new(0));
    let state = Arc::clone(&is_down);
    let server = Server::start(move |_| match state.load(Ordering::Relaxed) {
        0 => Answer::ok(jwks(&[&key])),
        _ => Answer::new("503 Service Unavailable", ""),
    });
    let world = World::with(&server, terms(100, 100), |remote| {
        remote.keys_max_age = Duration::from_secs(2);
    });
    world.until_valid(&good);
    is_down.store(1, Ordering::Relaxed);
    assert!(matches!(world.verdict(&good), Verdict::Valid(_)));
    eventually("they are trusted no longer", || {
        matches!(world.verdict(&good), Verdict::Unavailable(_))
    });
    assert_eq!(world.loaded(), 0);
    is_down.store(0, Ordering::Relaxed);
    world.until_valid(&good);
}

#[test]
fn a_tenant_s_rotation_is_seen_and_an_unchanged_set_costs_no_cached_verdict() {
    let (first, second) = (signing_key("k1"), signing_key("k2"));
    let (old, new) = (token("a", &first), token("a", &second));
    let rotated = Arc::new(AtomicUsize::new(0));
    let phase = Arc::clone(&rotated);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = Server::start(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        match phase.load(Ordering::Relaxed) {
            0 => Answer::ok(jwks(&[&first])),
            1 => Answer::ok("{\"keys\":[]}"),
            2 => Answer::new("500 Internal Server Error", ""),
            _ => Answer::ok(jwks(&[&second])),
        }
    });
    let world = World::new(&server, terms(100, 100));
    world.until_valid(&old);
    let before = world.engine.records();
    let fetched = |more: usize| {
        let seen = asked.load(Ordering::Relaxed);
        eventually("more fetches", || {
            asked.load(Ordering::Relaxed) >= seen + more
        });
    };
    fetched(3);
    assert!(
        Arc::ptr_eq(&before, &world.engine.records()),
        "nothing was swapped"
    );
    for broken in [1, 2] {
        rotated.store(broken, Ordering::Relaxed);
        fetched(2);
        assert!(
            matches!(world.verdict(&old), Verdict::Valid(_)),
            "good keys stay"
        );
    }
    rotated.store(3, Ordering::Relaxed);
    eventually("the new key", || {
        matches!(world.verdict(&new), Verdict::Valid(_))
    });
    assert_eq!(
        world.verdict(&old).reason(),
        Some(Reason::UnknownKid),
        "the old one is gone at once"
    );
}

/// One host has loaded it; another has it although its issuer is down by then.
#[test]
fn a_tenant_that_another_host_has_loaded_needs_no_issuer() {
    const SECRET: &str = "4c1f0e9b7a6d5c3b2a190817f6e5d4c3";
    let redis = redis_server::Redis::start();
    let key = signing_key("k1");
    let (good, unknown) = (token("a", &key), token("b", &key));
    let is_down = Arc::new(AtomicUsize::new(0));
    let state = Arc::clone(&is_down);
    let server =
        Server::start(
            move |asked| match (tenant_of(asked), state.load(Ordering::Relaxed)) {
                ("a", 0) => Answer::ok(jwks(&[&key])),
                (_, 0) => Answer::new("404 Not Found", "no such tenant"),
                _ => Answer::Hangup,
            },
        );
    let socket = redis.socket();
    let host = || {
        let shared = Shared {
            redis: Some((&socket, SECRET)),
            ..Shared::default()
        };
        World::start(&server, terms(100, 100), |_| {}, shared)
    };
    let first = host();
    assert_eq!(first.until_valid(&good), "entra/a");
    drop(first);
    is_down.store(1, Ordering::Relaxed);
    let started = host();
    assert_eq!(started.until_valid(&good), "entra/a");
    assert!(matches!(started.verdict(&unknown), Verdict::Unavailable(_)));
}

/// A tenant in use is kept on disk; one that nobody has proved is not, however often it is asked about.
#[test]
fn a_tenant_in_use_is_verified_after_a_restart_though_its_issuer_is_down() {
    let folder = tempfile::tempdir().expect("a folder");
    let (a, b) = (signing_key("k1"), signing_key("k1"));
    let (good, forged) = (token("a", &a), token("b", &a));
    let is_down = Arc::new(AtomicUsize::new(0));
    let state = Arc::clone(&is_down);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = Server::start(move |asked| {
        let key = match tenant_of(asked) {
            "a" => &a,
            _ => &b,
        };
        count.fetch_add(1, Ordering::Relaxed);
        match (state.load(Ordering::Relaxed), asked.header("if-none-match")) {
            (0, Some("\"1\"")) => Answer::new("304 Not Modified", ""),
            (0, _) => Answer::ok(jwks(&[key])).with("etag: \"1\""),
            _ => Answer::Hangup,
        }
    });
    let host = || {
        let shared = Shared {
            kept: Some(folder.path()),
            ..Shared::default()
        };
        World::start(&server, terms(100, 100), |_| {}, shared)
    };
    let files = || std::fs::read_dir(folder.path()).expect("ours").count();
    let world = host();
    eventually("both are known", || {
        let verdicts = [world.verdict(&good), world.verdict(&forged)];
        matches!(verdicts[0], Verdict::Valid(_))
            && verdicts[1].reason() == Some(Reason::BadSignature)
    });
    eventually("the one in use is kept", || files() == 1);
    let seen = asked.load(Ordering::Relaxed);
    eventually("both are looked at again", || {
        asked.load(Ordering::Relaxed) >= seen + 6
    });
    assert_eq!(files(), 1);
    drop(world);
    is_down.store(1, Ordering::Relaxed);
    let world = host();
    assert_eq!(world.until_valid(&good), "entra/a");
    assert!(matches!(world.verdict(&forged), Verdict::Unavailable(_)));
    let line = "jotd_tenant_fetch_total{issuer=\"entra\",outcome=\"kept\"} 1";
    assert!(world.metrics.render().contains(line));
}

/// What a full disk would not take is written once it can be.
#[test]
fn a_tenant_that_could_not_be_kept_is_kept_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = signing_key("k1");
    let good = token("a", &key);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = Server::start(move |asked| {
        count.fetch_add(1, Ordering::Relaxed);
        match asked.header("if-none-match") {
            Some("\"1\"") => Answer::new("304 Not Modified", ""),
            _ => Answer::ok(jwks(&[&key])).with("etag: \"1\""),
        }
    });
    let name = Sha256::digest(TEMPLATE.replace("{tenant}", "a"));
    let kept = folder.path().join(hex(&name[..16]) + ".jwks");
    // Where the new file would be written, something lies that is none.
    let in_the_way = kept.with_extension("jwks.new");
    std::fs::create_dir(&in_the_way).expect("made");
    let shared = Shared {
        kept: Some(folder.path()),
        ..Shared::default()
    };
    // A sixteenth of this is how often it is tried.
    let change = |remote: &mut Remote| remote.keys_max_age = Duration::from_secs(8);
    let world = World::start(&server, terms(100, 100), change, shared);
    assert_eq!(world.until_valid(&good), "entra/a");
    let seen = asked.load(Ordering::Relaxed);
    eventually("it is looked at often enough to be kept", || {
        let _ = world.verdict(&good);
        asked.load(Ordering::Relaxed) >= seen + 8
    });
    assert!(!kept.exists());
    std::fs::remove_dir(&in_the_way).expect("removed");
    eventually("it is kept", || kept.exists());
}

/// Nobody waits an hour for what an operator knows already; and whoever withdraws a key too early is told of.
#[test]
fn an_operator_has_all_tenants_looked_at_and_a_key_withdrawn_in_use_raises_an_alarm() {
    let (old, new) = (signing_key("k1"), signing_key("k2"));
    let sets = [jwks(&[&old]), jwks(&[&new])];
    let phase = Arc::new(AtomicUsize::new(0));
    let published = Arc::clone(&phase);
    let server = Server::start(move |_| Answer::ok(&*sets[published.load(Ordering::Relaxed)]));
    let world = World::with(&server, terms(100, 100), |remote| {
        remote.refresh = Duration::from_secs(3_600);
    });
    let tokens = ["a", "b"].map(|tenant| token(tenant, &old));
    for token in &tokens {
        world.until_valid(token);
    }
    phase.store(1, Ordering::Relaxed);
    let refreshed = world
        ._background
        .handle
        .block_on(world.upstream.refresh(Some("entra")));
    assert_eq!(refreshed.expect("one")[0].outcome, "tenants");
    for token in &tokens {
        eventually("the old key is gone", || {
            !matches!(world.verdict(token), Verdict::Valid(_))
        });
    }
    let line = "jotd_jwks_alarms_total{issuer=\"entra\",alarm=\"withdrawn_in_use\"} 2";
    assert!(world.metrics.render().contains(line));
    let report = world.upstream.report(Some("entra"), None, 1).to_string();
    assert!(
        report.contains("k1 of https://login.example/a/v2.0"),
        "{report}"
    );
}

/// Thousands of made-up tenants a second: the issuer is asked no more than the bucket allows, memory stays bounded, a
/// tenant in use never notices, and one whose client asks again is loaded all the same.
#[test]
fn a_flood_of_made_up_tenants_reaches_neither_the_issuer_nor_the_others() {
    let keys: HashMap<_, _> = ["in-use", "late"]
        .into_iter()
        .map(|tenant| (tenant, signing_key("k1")))
        .collect();
    let in_use = token("in-use", &keys["in-use"]);
    let late = token("late", &keys["late"]);
    let forger = signing_key("k1");
    let (server, counts) = knows(keys);
    let world = World::with(&server, terms(1_000, 20), |remote| {
        // The rounds of the flood are not to wait for each other.
        remote.key_wait = Duration::from_millis(20);
    });
    world.until_valid(&in_use);
    let began = Instant::now();
    // A token each would cost a test too long: the signature is never looked at, so one for all does.
    let flood = token("made-up", &forger);
    let (header, rest) = flood.split_once('.').expect("three parts");
    let (_, signature) = rest.split_once('.').expect("three parts");
    let mut late_is_valid = false;
    for round in 0..60 {
        let tokens = (0..100).map(|number| {
            use base64::Engine;
            let claims =
                format!(r#"{{"iss":"https://login.example/made-up-{round}-{number}/v2.0"}}"#);
            let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims);
            Bytes::from(format!("{header}.{claims}.{signature}"))
        });
        for verdict in world.verdicts(tokens.collect()) {
            assert!(
                matches!(
                    verdict.reason(),
                    Some(Reason::Unavailable | Reason::UnknownIssuer)
                ),
                "{verdict:?}"
            );
        }
        assert!(matches!(world.verdict(&in_use), Verdict::Valid(_)));
        late_is_valid |= matches!(world.verdict(&late), Verdict::Valid(_));
        std::thread::sleep(Duration::from_millis(20));
    }
    if !late_is_valid {
        world.until_valid(&late);
    }
    let seconds = began.elapsed().as_secs_f64();
    let counts = counts.lock().expect("no panic");
    let made_up = counts
        .iter()
        .filter(|(tenant, _)| tenant.starts_with("made-up"))
        .map(|(_, count)| count)
        .sum::<usize>();
    // The bucket holds two seconds' worth, and fills at 20 a second.
    #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
    let asked = made_up as f64;
    assert!(
        asked <= 40.0 + 20.0 * (seconds + 1.0),
        "{made_up} in {seconds} s"
    );
    assert!(made_up > 0, "the flood got through to the loader");
    assert_eq!(world.loaded(), 2);
}

/// More tenants exist than there is room for.
#[test]
fn tenants_without_a_good_token_make_room_and_those_in_use_stay() {
    let key = signing_key("k1");
    let others = signing_key("k1");
    let set = jwks(&[&key]);
    // Every name is a tenant here, and all have the same key.
    let server = Server::start(move |_| Answer::ok(set.clone()));
    let world = World::new(&server, terms(3, 1_000));
    let good = token("good", &key);
    world.until_valid(&good);
    for number in 0..4 {
        let forged = token(&format!("other-{number}"), &others);
        // The third of them waits for one of the first two to have been here for two seconds.
        eventually("loaded, though no token of it is genuine", || {
            assert!(
                matches!(world.verdict(&good), Verdict::Valid(_)),
                "never put out"
            );
            assert!(world.loaded() <= 3);
            world.verdict(&forged).reason() == Some(Reason::BadSignature)
        });
    }
    let text = world.metrics.render();
    assert!(
        text.contains("jotd_tenant_changes_total{issuer=\"entra\",outcome=\"evicted\"} 2"),
        "{text}"
    );
}

#[test]
fn a_reload_keeps_tenants_unless_their_keys_come_from_elsewhere_now() {
    let key = signing_key("k1");
    let good = token("a", &key);
    let (server, counts) = knows(HashMap::from([("a", key)]));
    let world = World::new(&server, terms(100, 100));
    world.until_valid(&good);
    let reload = |feed: TenantFeed| {
        let records = |_: &KeysAtHand| Records::new(vec![model()], Vec::new());
        world
            .upstream
            .replace_all(Vec::new(), vec![feed], Vec::new(), records)
            .expect("no fault");
    };
    let more = TenantFeed {
        terms: terms(50, 100),
        ..world.feed.clone()
    };
    reload(more.clone());
    assert!(matches!(world.verdict(&good), Verdict::Valid(_)), "at once");
    // It is still looked after.
    let seen = counts.lock().expect("no panic")["a"];
    eventually("fetched again", || {
        counts.lock().expect("no panic")["a"] > seen
    });
    let mut moved = more.clone();
    if let Some(keys) = &mut moved.keys {
        keys.remote.timeout = Duration::from_secs(4);
    }
    reload(moved.clone());
    assert_eq!(world.until_valid(&good), "entra/a", "loaded anew");
    let elsewhere = Records::new(vec![model()], Vec::new());
    let gone = world
        .upstream
        .replace_all(Vec::new(), Vec::new(), Vec::new(), |_| elsewhere);
    gone.expect("no fault");
    assert!(matches!(world.verdict(&good), Verdict::Unavailable(_)));
    assert_eq!(world.loaded(), 0);
}

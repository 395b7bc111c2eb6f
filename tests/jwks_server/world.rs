//! An engine whose one issuer's keys come from a server, and how to ask it.
#![allow(
    clippy::disallowed_methods,
    reason = "a test waits in real time, and mints for now"
)]

use super::{Answer, Background, Server, jwks};
use bytes::Bytes;
use jotd::clock::Clock;
use jotd::crypto::Scheme;
use jotd::engine::{Call, Engine, Options};
use jotd::issuer::{Claims, SigningKey};
use jotd::keys::Owner;
use jotd::metrics::Metrics;
use jotd::policy::Policy;
use jotd::upstream::dial::Address;
use jotd::upstream::{
    Endpoint, Feed, KeptSets, KeysAtHand, Remote, Seal, SharedSets, Source, Upstream,
};
use jotd::verdict::Verdict;
use jotd::verify::{Issuer, IssuerKeys, IssuerMatch, PolicyId, Records, Want};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime};

/// Long enough for a loaded machine; nothing is measured by it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) background: Background,
}

pub(crate) fn remote(server: &Server) -> Remote {
    Remote {
        // As quick as a test wants it; the configuration allows no less than 30 s and 1.5 s.
        refresh: Duration::from_millis(50),
        refetch_min: Duration::from_millis(10),
        ca_file: Some(server.ca_file().to_owned()),
        allow_private_address: true,
        ..Remote::new(Endpoint::Jwks(server.uri("/jwks.json")))
    }
}

/// As [`remote`], but fetched for the sake of missing keys only, and tokens wait for it as long as it takes.
pub(crate) fn quiet_remote(server: &Server) -> Remote {
    Remote {
        refresh: Duration::from_secs(3_600),
        key_wait: PATIENCE,
        ..remote(server)
    }
}

impl World {
    pub(crate) fn new(remote: Remote) -> Self {
        Self::keeping(remote, None)
    }

    /// Keeps what is fetched in a folder.
    pub(crate) fn keeping(remote: Remote, folder: Option<&Path>) -> Self {
        Self::start(Source::Remote(remote), folder, None)
    }

    /// Shares what is fetched with others who have the secret.
    pub(crate) fn sharing(remote: Remote, redis: &Path, secret: &str) -> Self {
        Self::start(Source::Remote(remote), None, Some((redis, secret)))
    }

    /// With keys from anywhere.
    pub(crate) fn of(source: Source, folder: Option<&Path>) -> Self {
        Self::start(source, folder, None)
    }

    fn start(source: Source, folder: Option<&Path>, shared: Option<(&Path, &str)>) -> Self {
        let feeds = vec![Feed {
            owner: Owner {
                issuer: "acme".into(),
                tenant: "default".into(),
            },
            schemes: vec![Scheme::EcdsaP256Sha256],
            source,
        }];
        let clock = Clock::system();
        let at_hand = match folder {
            None => KeysAtHand::read(&feeds),
            Some(folder) => {
                let kept = KeptSets::open(folder).expect("a folder of ours");
                KeysAtHand::read_kept(&feeds, Arc::new(kept), clock.now())
            }
        };
        let mut at_hand = at_hand.expect("nothing is wrong with it");
        let metrics = Arc::new(Metrics::new());
        if let Some((redis, secret)) = shared {
            at_hand = at_hand.sharing(shared_sets(redis, secret, &clock, &metrics));
        }
        let issuer = Issuer {
            name: "acme".into(),
            tenant: "default".into(),
            iss: IssuerMatch::Exact("https://idp.example".into()),
            policy: Policy {
                schemes: vec![Scheme::EcdsaP256Sha256],
                audiences: jotd::policy::Accepted::Any,
                ..Policy::default()
            },
            keys: at_hand.of("acme"),
            token_bytes_max: 4096,
        };
        let records = Arc::new(Records::new(vec![issuer], Vec::new()).expect("one issuer"));
        let engine = Engine::start(&Options::default(), records, clock, metrics.clone());
        let engine = engine.expect("it starts");
        let background = Background::start();
        let upstream = Arc::new(Upstream::start(
            feeds,
            &at_hand,
            engine.clone(),
            metrics.clone(),
            background.handle.clone(),
        ));
        let seeker = upstream.seeker();
        assert!(engine.on_missing_key(move |key| seeker.seek(key)));
        Self {
            engine,
            metrics,
            upstream,
            background,
        }
    }

    /// Asks, and gives what will be the answer.
    pub(crate) fn ask(&self, tokens: Vec<Bytes>) -> mpsc::Receiver<Vec<Verdict>> {
        self.ask_as("tester", tokens)
    }

    /// The same, as somebody else.
    pub(crate) fn ask_as(&self, peer: &str, tokens: Vec<Bytes>) -> mpsc::Receiver<Vec<Verdict>> {
        let (sender, answer) = mpsc::channel();
        let call = Call {
            peer: self.engine.peer(peer, None),
            tokens,
            policy: PolicyId::DEFAULT,
            want: Want::Verdict,
            deadline: None,
            min_revision: 0,
        };
        let now = self.engine.clock().now();
        let later = sender.clone();
        let at_once = self.engine.ask(call, now, move |verdicts| {
            // The test may have seen enough.
            let _ = later.send(verdicts);
        });
        if let Some(verdicts) = at_once {
            sender.send(verdicts).expect("the receiver is here");
        }
        answer
    }

    /// Asks about one token, and waits.
    pub(crate) fn verdict(&self, token: &Bytes) -> Verdict {
        let answer = self.ask(vec![token.clone()]);
        let verdicts = answer.recv_timeout(PATIENCE).expect("an answer in time");
        verdicts.into_iter().next().expect("one verdict")
    }

    /// The `kid`s known now; `None` while they are awaited.
    pub(crate) fn kids(&self) -> Option<Vec<String>> {
        let records = self.engine.records();
        let issuer = records.issuers().next().expect("one issuer");
        match &issuer.keys {
            IssuerKeys::Awaited => None,
            IssuerKeys::Known(keys) => Some(
                keys.slots()
                    .iter()
                    .filter_map(|slot| slot.signer.kid.as_deref().map(str::to_owned))
                    .collect(),
            ),
        }
    }

    pub(crate) fn until_kids(&self, wanted: &[&str]) {
        eventually(&format!("keys {wanted:?}"), || {
            self.kids().is_some_and(|kids| kids == wanted)
        });
    }

    /// Waits until a fetch has ended this way.
    pub(crate) fn until_outcome(&self, outcome: &str) {
        let line = format!("jotd_jwks_fetch_total{{issuer=\"acme\",outcome=\"{outcome}\"}}");
        eventually(&line, || self.metrics.render().contains(&line));
    }
}

pub(crate) fn shared_sets(
    redis: &Path,
    secret: &str,
    clock: &Clock,
    metrics: &Arc<Metrics>,
) -> Arc<SharedSets> {
    let address = Address::parse(&format!("redis+unix://{}", redis.display()));
    let seal = Seal::parse(secret.as_bytes()).expect("a good secret");
    let sets = SharedSets::new(
        &address.expect("an address"),
        seal,
        "jwks:jotd",
        clock.clone(),
        Arc::clone(metrics),
    );
    Arc::new(sets.expect("an address"))
}

pub(crate) fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_true() {
        assert!(began.elapsed() < PATIENCE, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn set_of(key: &SigningKey) -> Answer {
    Answer::ok(jwks(&[key]))
}

/// A token of the issuer; equal numbers of one key are equal tokens within a second.
pub(crate) fn mint(key: &SigningKey, number: usize) -> Bytes {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = i64::try_from(now.expect("after 1970").as_secs()).expect("before the end of time");
    let claims = Claims {
        issuer: Some("https://idp.example".to_owned()),
        id: Some(number.to_string()),
        ..Claims::default()
    };
    Bytes::from(key.mint(&claims, now).expect("signed"))
}

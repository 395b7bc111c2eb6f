//! Brings issuers' keys in: from files, which are watched, and from the issuers over HTTPS. It never
//! decides about a token, and it never takes away good keys for bad ones: a source that breaks leaves
//! the keys as they were last known.
#![forbid(unsafe_code)]

mod client;
mod decryption;
pub mod dial;
mod feed;
mod fetch;
mod follow;
mod freshness;
mod given;
mod kept;
mod ledger;
mod looking;
mod publish;
mod report;
pub mod revocation;
mod ring;
mod search;
mod shared;
mod source;
mod status;
mod supply;
mod tenants;
mod uri;
mod watch;
mod weak;

pub use client::Trust;
pub use decryption::{DecryptionFeed, DecryptionFiles};
pub use feed::Feed;
pub use given::Given;
pub use kept::KeptSets;
pub use report::{Refreshed, TooMany};
pub use shared::{Seal, SealFault, SharedSets};
pub use source::{
    Endpoint, FETCH_TIMEOUT_MS_DEFAULT, FileError, FileFault, FileKeys, Files, KEY_WAIT_MS_DEFAULT,
    KEYS_MAX_AGE_SECONDS_DEFAULT, NoUsableKey, REFETCH_MIN, REFRESH_SECONDS_DEFAULT, Remote,
    Source, pin,
};
pub use status::{StatusSource, StatusSources, Statuses};
pub use tenants::{TenantEndpoint, TenantFeed, TenantHint, TenantKeys, TenantTerms};
pub use uri::{UriFault, check_uri, is_public};

use crate::clock::Now;
use crate::engine::{Engine, MissingKey, Sought};
use crate::metrics::Metrics;
use crate::verify::{IssuerKeys, Records};
use arc_swap::ArcSwap;
use ledger::Alarm;
use looking::Looking;
use publish::{Lease, Publisher};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use watch::Watch;

/// Issuers' keys by the issuers' names, before anything has been fetched.
pub struct KeysAtHand {
    by_issuer: HashMap<Arc<str>, feed::AtHand>,
    /// Where fetched sets are kept.
    kept: Option<Arc<KeptSets>>,
    /// What other hosts have fetched.
    shared: Option<Arc<SharedSets>>,
}

impl KeysAtHand {
    /// Reads what files and the configuration hold.
    ///
    /// # Errors
    /// Every source that cannot be used, with the reason.
    pub fn read(feeds: &[Feed]) -> Result<Self, Vec<String>> {
        Self::read_all(feeds, None)
    }

    /// The same, and for issuers whose keys are fetched, what was kept of them and may still be trusted now. What is
    /// fetched from now on is kept there too.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_kept(feeds: &[Feed], kept: Arc<KeptSets>, now: Now) -> Result<Self, Vec<String>> {
        Self::read_all(feeds, Some((kept, now)))
    }

    fn read_all(feeds: &[Feed], kept: Option<(Arc<KeptSets>, Now)>) -> Result<Self, Vec<String>> {
        let looked_in = kept.as_ref().map(|(kept, now)| (&**kept, *now));
        let mut keys = HashMap::with_capacity(feeds.len());
        let mut faults = Vec::new();
        for feed in feeds {
            match feed.read_at_hand(looked_in) {
                Ok(at_hand) => {
                    keys.insert(feed.owner.issuer.clone(), at_hand);
                }
                Err(why) => faults.push(format!("issuer {}: {why}", feed.owner.issuer)),
            }
        }
        if faults.is_empty() {
            Ok(Self {
                by_issuer: keys,
                kept: kept.map(|(kept, _)| kept),
                shared: None,
            })
        } else {
            Err(faults)
        }
    }

    /// The same, with sets that hosts share: what another has fetched need not be fetched here.
    #[must_use]
    pub fn sharing(self, sets: Arc<SharedSets>) -> Self {
        let shared = Some(sets);
        Self { shared, ..self }
    }

    /// An issuer's keys.
    #[must_use]
    pub fn of(&self, issuer: &str) -> IssuerKeys {
        self.by_issuer
            .get(issuer)
            .map_or(IssuerKeys::Awaited, |at_hand| at_hand.keys.clone())
    }
}

/// Keeps every issuer's keys current. Stops when dropped.
pub struct Upstream {
    publisher: Arc<Publisher>,
    runtime: Handle,
    watch: Watch,
    seeker: Seeker,
    tenants: tenants::Tenants,
    decryption: decryption::Followers,
    kept: Option<Arc<KeptSets>>,
    shared: Option<Arc<SharedSets>>,
    running: Mutex<HashMap<Arc<str>, Running>>,
}

struct Running {
    feed: Feed,
    lease: Arc<Lease>,
    nudge: Arc<Notify>,
    /// Of a feed that is fetched.
    looking: Option<Arc<Looking>>,
    task: AbortHandle,
}

/// Knows whether a key that an issuer's set lacks may be there after a look at it. Cheap to call and cheap to clone;
/// however often it is called, an issuer's looks are bounded.
#[derive(Clone)]
pub struct Seeker {
    looks: Arc<ArcSwap<HashMap<Arc<str>, Arc<Looking>>>>,
    /// The engine has a seeker, and the publisher the engine: none may keep the other alive.
    publisher: Weak<Publisher>,
}

impl Seeker {
    /// What can be said of a missing key; a look is taken for its sake where that may help.
    #[must_use]
    pub fn seek(&self, key: &MissingKey<'_>) -> Sought {
        let looks = self.looks.load();
        let Some(looking) = looks.get(key.issuer) else {
            // Its keys are at hand: what is there is all there is.
            return Sought::Absent;
        };
        let (sought, is_surge) = looking.seek(key);
        if is_surge && let Some(publisher) = self.publisher.upgrade() {
            publisher.note(key.issuer, Alarm::UnknownKidSurge);
        }
        sought
    }
}

impl Upstream {
    /// Starts to keep these feeds current, on the given runtime. The engine's records already hold what
    /// was at hand.
    #[must_use]
    pub fn start(
        feeds: Vec<Feed>,
        at_hand: &KeysAtHand,
        engine: Engine,
        metrics: Arc<Metrics>,
        runtime: Handle,
    ) -> Self {
        let publisher = Arc::new(Publisher::new(engine, metrics));
        let upstream = Self {
            seeker: Seeker {
                looks: Arc::default(),
                publisher: Arc::downgrade(&publisher),
            },
            tenants: tenants::Tenants::start(
                Arc::clone(&publisher),
                (at_hand.shared.clone(), at_hand.kept.clone()),
                &runtime,
            ),
            publisher,
            runtime,
            watch: Watch::new(),
            decryption: decryption::Followers::default(),
            kept: at_hand.kept.clone(),
            shared: at_hand.shared.clone(),
            running: Mutex::default(),
        };
        let turn = upstream.publisher.take_turn();
        upstream.follow(feeds, at_hand, &turn);
        drop(turn);
        upstream
    }

    /// Whom to ask about missing keys.
    #[must_use]
    pub fn seeker(&self) -> Seeker {
        self.seeker.clone()
    }

    /// Where to report tenants that are not loaded.
    #[must_use]
    pub fn tenant_hint(&self) -> TenantHint {
        self.tenants.hint()
    }

    /// Begins to load tenants of these templates.
    pub fn serve_tenants(&self, feeds: Vec<TenantFeed>) {
        let turn = self.publisher.take_turn();
        self.tenants.set_feeds(feeds, &turn);
    }

    /// Begins to follow the files of decryption keys.
    pub fn follow_decryption(&self, feeds: Vec<DecryptionFeed>) {
        let turn = self.publisher.take_turn();
        self.decryption
            .replace(feeds, &self.publisher, &self.runtime, &turn);
        self.watch_files(&self.running());
    }

    /// Replaces issuers and rules as a whole, where there are no templates and nothing is encrypted.
    ///
    /// # Errors
    /// As [`Self::replace_all`].
    pub fn replace<E>(
        &self,
        feeds: Vec<Feed>,
        records: impl FnOnce(&KeysAtHand) -> Result<Records, E>,
    ) -> Result<(), Vec<String>>
    where
        E: ToString,
    {
        self.replace_all(feeds, Vec::new(), Vec::new(), records)
    }

    /// Replaces issuers, templates and rules as a whole. A feed that stays the same keeps its keys and goes on;
    /// `records` makes the new records from each issuer's keys. Tenants that are loaded stay so, as far as their template
    /// does and gets their keys from where it did.
    ///
    /// # Errors
    /// What cannot be read or what `records` said; nothing has changed then.
    pub fn replace_all<E>(
        &self,
        feeds: Vec<Feed>,
        templates: Vec<TenantFeed>,
        decryption: Vec<DecryptionFeed>,
        records: impl FnOnce(&KeysAtHand) -> Result<Records, E>,
    ) -> Result<(), Vec<String>>
    where
        E: ToString,
    {
        let now = self.publisher.engine().clock().now();
        let kept = self.kept.clone().map(|kept| (kept, now));
        let mut at_hand = KeysAtHand::read_all(&feeds, kept)?;
        let turn = self.publisher.take_turn();
        self.carry_over(&feeds, &mut at_hand, &turn);
        let next = records(&at_hand).map_err(|error| vec![error.to_string()])?;
        let next = self.tenants.carry_over(next, &turn.records(), &templates);
        turn.replace(next);
        self.tenants.set_feeds(templates, &turn);
        self.decryption
            .replace(decryption, &self.publisher, &self.runtime, &turn);
        self.follow(feeds, &at_hand, &turn);
        Ok(())
    }

    /// What is known of keys outlives the configuration under which it was learnt: fetched ones, which are at hand
    /// nowhere else, and how those in files have been used.
    fn carry_over(&self, feeds: &[Feed], at_hand: &mut KeysAtHand, turn: &publish::Turn<'_>) {
        let running = self.running();
        let current = turn.records();
        for feed in feeds {
            let issuer = &feed.owner.issuer;
            let is_same = |old: &&Running| old.feed.is_same_source(feed);
            let (Some(old), Some(known), Some(new)) = (
                running.get(issuer).filter(is_same),
                publish::keys_of(&current, issuer),
                at_hand.by_issuer.get_mut(issuer),
            ) else {
                continue;
            };
            if let Some(looking) = &old.looking {
                new.keys = IssuerKeys::Known(Arc::clone(known));
                new.trusted_until = looking.trusted_until();
            } else if let IssuerKeys::Known(keys) = &mut new.keys
                && let Some(keys) = Arc::get_mut(keys)
            {
                self.publisher
                    .ledgers()
                    .enter(issuer, Some(known), keys, self.publisher.now());
            }
        }
    }

    /// Ends what is no longer wanted, and begins what is new.
    fn follow(&self, feeds: Vec<Feed>, at_hand: &KeysAtHand, turn: &publish::Turn<'_>) {
        let mut running = self.running();
        let mut old = std::mem::take(&mut *running);
        for feed in feeds {
            let issuer = feed.owner.issuer.clone();
            let at_hand = at_hand.by_issuer.get(&issuer);
            if let Some(IssuerKeys::Known(keys)) = at_hand.map(|at_hand| &at_hand.keys) {
                self.publisher.count_keys(&issuer, keys.len());
                self.publisher
                    .ledgers()
                    .begin(&issuer, keys, self.publisher.now());
            }
            let is_remote = matches!(feed.source, Source::Remote(_));
            let next = match old.remove(&issuer) {
                Some(same) if is_remote && same.feed.is_same(&feed) => same,
                other => {
                    other.inspect(|other| other.end(turn));
                    if !is_remote && !matches!(feed.source, Source::Tenants(_)) {
                        self.publisher.count_outcome(&issuer, "ok");
                    }
                    self.begin(feed, at_hand)
                }
            };
            running.insert(issuer, next);
        }
        old.values().for_each(|gone| gone.end(turn));
        self.publisher
            .ledgers()
            .retain(|issuer| running.contains_key(issuer));
        self.watch_files(&running);
        let looks = running
            .iter()
            .filter_map(|(issuer, running)| Some((issuer.clone(), running.looking.clone()?)));
        self.seeker.looks.store(Arc::new(looks.collect()));
    }

    fn watch_files(&self, running: &HashMap<Arc<str>, Running>) {
        let keys = running
            .values()
            .filter_map(|running| match &running.feed.source {
                Source::Files(files) => Some((files.paths().to_vec(), running.nudge.clone())),
                _ => None,
            });
        let watched: Vec<_> = keys.chain(self.decryption.watched()).collect();
        self.watch.replace(&watched);
    }

    fn begin(&self, feed: Feed, at_hand: Option<&feed::AtHand>) -> Running {
        let lease = Arc::new(Lease::default());
        let nudge = Arc::new(Notify::new());
        let looking = match &feed.source {
            Source::Remote(remote) => {
                let trusted_until = at_hand.and_then(|at_hand| at_hand.trusted_until);
                let looking = Looking::new(remote, trusted_until);
                if self.shared.is_some() {
                    looking.preload();
                }
                Some(Arc::new(looking))
            }
            _ => None,
        };
        let keeping = feed::Keeping {
            // Files have just been read; their reader goes on from what they held then.
            fingerprint: at_hand.and_then(|at_hand| at_hand.fingerprint),
            lease: lease.clone(),
            nudge: nudge.clone(),
            looking: looking.clone(),
            publisher: self.publisher.clone(),
            kept: self.kept.clone(),
            shared: self.shared.clone(),
        };
        let task = self.runtime.spawn(feed::run(feed.clone(), keeping));
        Running {
            feed,
            lease,
            nudge,
            looking,
            task: task.abort_handle(),
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<Arc<str>, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn end(&self, turn: &publish::Turn<'_>) {
        self.lease.end(turn);
        self.task.abort();
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        for running in self.running().values() {
            running.task.abort();
        }
    }
}

//! Brings issuers' keys in: from files, which are watched, and from the issuers over HTTPS. It never
//! decides about a token, and it never takes away good keys for bad ones: a source that breaks leaves
//! the keys as they were last known.
#![forbid(unsafe_code)]

mod client;
mod decryption;
mod feed;
mod fetch;
mod publish;
pub mod revocation;
mod source;
mod status;
mod uri;
mod watch;

pub use client::Trust;
pub use decryption::read_private_keys;
pub use feed::Feed;
pub use source::{
    Endpoint, FileError, FileFault, FileKeys, Files, NoUsableKey, REFETCH_MIN, Remote, Source, pin,
};
pub use status::{StatusSource, StatusSources, Statuses};
pub use uri::{UriFault, check_uri, is_public};

use crate::engine::Engine;
use crate::metrics::Metrics;
use crate::verify::{IssuerKeys, Records};
use arc_swap::ArcSwap;
use publish::{Lease, Publisher};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use watch::Watch;

/// Issuers' keys by the issuers' names, before anything has been fetched.
pub struct KeysAtHand(HashMap<Arc<str>, feed::AtHand>);

impl KeysAtHand {
    /// Reads what files and the configuration hold.
    ///
    /// # Errors
    /// Every source that cannot be used, with the reason.
    pub fn read(feeds: &[Feed]) -> Result<Self, Vec<String>> {
        let mut keys = HashMap::with_capacity(feeds.len());
        let mut faults = Vec::new();
        for feed in feeds {
            match feed.read_at_hand() {
                Ok(at_hand) => {
                    keys.insert(feed.owner.issuer.clone(), at_hand);
                }
                Err(why) => faults.push(format!("issuer {}: {why}", feed.owner.issuer)),
            }
        }
        if faults.is_empty() {
            Ok(Self(keys))
        } else {
            Err(faults)
        }
    }

    /// An issuer's keys.
    #[must_use]
    pub fn of(&self, issuer: &str) -> IssuerKeys {
        self.0
            .get(issuer)
            .map_or(IssuerKeys::Awaited, |at_hand| at_hand.keys.clone())
    }
}

/// Keeps every issuer's keys current. Stops when dropped.
pub struct Upstream {
    publisher: Arc<Publisher>,
    runtime: Handle,
    watch: Watch,
    hint: Hint,
    running: Mutex<HashMap<Arc<str>, Running>>,
}

struct Running {
    feed: Feed,
    lease: Arc<Lease>,
    nudge: Arc<Notify>,
    task: AbortHandle,
}

/// Tells of tokens whose `kid` their issuer does not have, which is how a rotation shows first. Cheap to
/// call and cheap to clone; however often it is called, an issuer is asked at most every 10 s.
#[derive(Clone, Default)]
pub struct Hint(Arc<ArcSwap<HashMap<Arc<str>, Arc<Notify>>>>);

impl Hint {
    /// A token named a key that this issuer, by its configured name, does not have.
    pub fn unknown_kid(&self, issuer: &str) {
        if let Some(nudge) = self.0.load().get(issuer) {
            nudge.notify_one();
        }
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
        let upstream = Self {
            publisher: Arc::new(Publisher::new(engine, metrics)),
            runtime,
            watch: Watch::new(),
            hint: Hint::default(),
            running: Mutex::default(),
        };
        let turn = upstream.publisher.take_turn();
        upstream.follow(feeds, at_hand, &turn);
        drop(turn);
        upstream
    }

    /// Where to report unknown key ids.
    #[must_use]
    pub fn hint(&self) -> Hint {
        self.hint.clone()
    }

    /// Replaces issuers and rules as a whole. A feed that stays the same keeps its keys and goes on;
    /// `records` makes the new records from each issuer's keys.
    ///
    /// # Errors
    /// What cannot be read or what `records` said; nothing has changed then.
    pub fn replace<E>(
        &self,
        feeds: Vec<Feed>,
        records: impl FnOnce(&KeysAtHand) -> Result<Records, E>,
    ) -> Result<(), Vec<String>>
    where
        E: ToString,
    {
        let mut at_hand = KeysAtHand::read(&feeds)?;
        let turn = self.publisher.take_turn();
        {
            let running = self.running();
            let current = turn.records();
            for feed in &feeds {
                let is_same = |old: &Running| old.feed.is_same(feed);
                // Fetched keys are not at hand anywhere else.
                if matches!(feed.source, Source::Remote(_))
                    && running.get(&feed.owner.issuer).is_some_and(is_same)
                    && let Some(known) = current.issuers().find(|old| old.name == feed.owner.issuer)
                    && let Some(at_hand) = at_hand.0.get_mut(&feed.owner.issuer)
                {
                    at_hand.keys = known.keys.clone();
                }
            }
        }
        turn.replace(records(&at_hand).map_err(|error| vec![error.to_string()])?);
        self.follow(feeds, &at_hand, &turn);
        Ok(())
    }

    /// Ends what is no longer wanted, and begins what is new.
    fn follow(&self, feeds: Vec<Feed>, at_hand: &KeysAtHand, turn: &publish::Turn<'_>) {
        let mut running = self.running();
        let mut old = std::mem::take(&mut *running);
        for feed in feeds {
            let issuer = feed.owner.issuer.clone();
            let at_hand = at_hand.0.get(&issuer);
            if let Some(IssuerKeys::Known(keys)) = at_hand.map(|at_hand| &at_hand.keys) {
                self.publisher.count_keys(&issuer, keys.len());
            }
            let is_remote = matches!(feed.source, Source::Remote(_));
            let next = match old.remove(&issuer) {
                Some(same) if is_remote && same.feed.is_same(&feed) => same,
                other => {
                    other.inspect(|other| other.end(turn));
                    // Files have just been read; their reader goes on from what they held then.
                    let fingerprint = at_hand.and_then(|at_hand| at_hand.fingerprint);
                    if !is_remote {
                        self.publisher.count_outcome(&issuer, "ok");
                    }
                    self.begin(feed, fingerprint)
                }
            };
            running.insert(issuer, next);
        }
        old.values().for_each(|gone| gone.end(turn));
        let watched: Vec<_> = running
            .values()
            .filter_map(|running| match &running.feed.source {
                Source::Files(files) => Some((files.paths().to_vec(), running.nudge.clone())),
                _ => None,
            })
            .collect();
        self.watch.replace(&watched);
        let remote = running
            .iter()
            .filter(|(_, running)| matches!(running.feed.source, Source::Remote(_)))
            .map(|(issuer, running)| (issuer.clone(), running.nudge.clone()));
        self.hint.0.store(Arc::new(remote.collect()));
    }

    fn begin(&self, feed: Feed, fingerprint: Option<[u8; 32]>) -> Running {
        let lease = Arc::new(Lease::default());
        let nudge = Arc::new(Notify::new());
        let task = self.runtime.spawn(feed::run(
            feed.clone(),
            fingerprint,
            lease.clone(),
            nudge.clone(),
            self.publisher.clone(),
        ));
        Running {
            feed,
            lease,
            nudge,
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

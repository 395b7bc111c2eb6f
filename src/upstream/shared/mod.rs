//! Key sets that hosts share through Redis or Valkey: one asks an issuer, and all have what it said.
//!
//! Redis is trusted with nothing but being there. What it holds counts only under the seal of those who share, and not if
//! it is older than what a host has; without Redis each host asks for itself, as if there were none.
#![forbid(unsafe_code)]

mod seal;

pub(super) use seal::{Head, SharedSet};
pub use seal::{Seal, SealFault};

use super::dial::{Address, AddressFault, Finder, Line};
use crate::clock::{self, Clock};
use crate::encoding::hex;
use crate::metrics::{Metrics, SharedLabels};
use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, Pipeline};
use seal::MARK_BYTES;
use sha2::{Digest, Sha256};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// How long Redis may take to connect, and to answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long it is left alone after it could not be reached.
const RETRY: Duration = Duration::from_secs(1);

/// How often a host looks whether another has brought something new, and how much of a second one issuer's look may
/// take: with ten thousand issuers, each is looked at every 20 s.
const NEWS_EVERY: Duration = Duration::from_secs(1);
const NEWS_SHARE: Duration = Duration::from_millis(2);

/// How long nothing more is said of sets that are not used.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(60);

/// A set from a clock further ahead than this is nobody's.
pub(super) const AHEAD_MS_MAX: u64 = 60_000;

/// The sets that lie in one Redis.
pub struct SharedSets {
    way: Mutex<Way>,
    seal: Seal,
    /// What the names of all keys begin with.
    prefix: Box<str>,
    clock: Clock,
    metrics: Arc<Metrics>,
    /// How many issuers are followed.
    followers: AtomicU32,
    /// When somebody else's set is next worth a word, since boot.
    silent_until: std::sync::Mutex<Duration>,
}

struct Way {
    finder: Finder,
    line: Option<Line>,
    /// Since boot.
    not_before: Duration,
    is_lost: bool,
}

/// What lies in Redis of one source.
pub(super) struct Lying {
    pub(super) set: Option<SharedSet>,
    /// What time it is there, in milliseconds since the epoch.
    pub(super) now: u64,
}

/// What a sealed set begins with: enough to tell it from another. Empty where nothing lies there.
pub(super) type Mark = Vec<u8>;

impl SharedSets {
    /// Connects when something is asked.
    ///
    /// # Errors
    /// An address that cannot be used.
    pub fn new(
        address: &Address,
        seal: Seal,
        prefix: &str,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Result<Self, AddressFault> {
        Ok(Self {
            way: Mutex::new(Way {
                finder: address.finder()?,
                line: None,
                not_before: Duration::ZERO,
                is_lost: false,
            }),
            seal,
            prefix: prefix.into(),
            clock,
            metrics,
            followers: AtomicU32::new(0),
            silent_until: std::sync::Mutex::default(),
        })
    }

    /// This host's clock, in milliseconds since the epoch.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.clock.now().latest).unwrap_or(0) * 1_000
    }

    /// How long to wait between two looks for what others have brought.
    pub(super) fn news_every(&self) -> Duration {
        NEWS_EVERY.max(NEWS_SHARE * self.followers.load(Ordering::Relaxed))
    }

    pub(super) fn count_follower(&self, comes: bool) {
        match comes {
            true => self.followers.fetch_add(1, Ordering::Relaxed),
            false => self.followers.fetch_sub(1, Ordering::Relaxed),
        };
    }

    /// What lies there of a source, and what that begins with. `None` if Redis does not say.
    pub(super) async fn look(&self, source: &str) -> Option<(Lying, Mark)> {
        let mut pipe = redis::pipe();
        pipe.cmd("GET").arg(self.key("set", source)).cmd("TIME");
        let (bytes, (seconds, micros)): (Option<Vec<u8>>, (u64, u64)) = self.ask(&pipe).await?;
        let bytes = bytes.unwrap_or_default();
        let set = self.seal.open(&bytes, source);
        if set.is_none() && !bytes.is_empty() {
            self.count("refused");
            self.complain(source);
        }
        let now = seconds.saturating_mul(1_000).saturating_add(micros / 1_000);
        let mark = bytes[..bytes.len().min(MARK_BYTES)].to_vec();
        Some((Lying { set, now }, mark))
    }

    /// What the set that lies there begins with.
    pub(super) async fn mark(&self, source: &str) -> Option<Mark> {
        let mut pipe = redis::pipe();
        pipe.cmd("GETRANGE").arg(self.key("set", source));
        pipe.arg(0).arg(MARK_BYTES - 1);
        let (mark,): (Vec<u8>,) = self.ask(&pipe).await?;
        Some(mark)
    }

    /// Takes the turn to ask an issuer, for so long at most. `Some(false)` while another host has it.
    pub(super) async fn take_turn(&self, source: &str, at_most: Duration) -> Option<bool> {
        let mut pipe = redis::pipe();
        pipe.cmd("SET").arg(self.key("turn", source)).arg("taken");
        pipe.arg("NX").arg("PX").arg(milliseconds(at_most).max(1));
        let (taken,): (Option<String>,) = self.ask(&pipe).await?;
        Some(taken.is_some())
    }

    /// The next may ask. Should this one's time have been over already, two ask: no harm is in that.
    pub(super) async fn end_turn(&self, source: &str) {
        let mut pipe = redis::pipe();
        pipe.cmd("DEL").arg(self.key("turn", source));
        let _: Option<(u64,)> = self.ask(&pipe).await;
    }

    /// Lays a set there, for as long as it may be trusted, and ends the turn. Returns what it begins with.
    pub(super) async fn offer(&self, set: &SharedSet, trusted: Duration) -> Option<Mark> {
        let (source, sealed) = (&set.head.source, self.seal.close(set));
        let mark = sealed[..MARK_BYTES].to_vec();
        let mut pipe = redis::pipe();
        pipe.cmd("SET").arg(self.key("set", source)).arg(sealed);
        pipe.arg("PX").arg(milliseconds(trusted).max(1));
        pipe.cmd("DEL").arg(self.key("turn", source));
        let _: (String, u64) = self.ask(&pipe).await?;
        self.count("offered");
        Some(mark)
    }

    pub(super) fn count_taken(&self) {
        self.count("taken");
    }

    /// Says so once a minute: whoever writes there must not write our log as well.
    fn complain(&self, source: &str) {
        let now = clock::since_boot();
        let silent_until = self.silent_until.lock();
        let mut silent_until = silent_until.unwrap_or_else(PoisonError::into_inner);
        if now < *silent_until {
            return;
        }
        *silent_until = now + COMPLAINT_PAUSE;
        tracing::error!(
            source,
            "a shared key set in Redis is not sealed with our secret, and not used: if `secret_file` is the same on every \
             host, somebody else writes to Redis"
        );
    }

    fn count(&self, outcome: &'static str) {
        let labels = SharedLabels { outcome };
        self.metrics.jwks_shared.get_or_create(&labels).inc();
    }

    /// A source's name may be anything; the key's is made of its digest.
    fn key(&self, kind: &str, source: &str) -> String {
        let id = hex(&Sha256::digest(source.as_bytes())[..16]);
        format!("{}:{kind}:{id}", self.prefix)
    }

    async fn ask<T: FromRedisValue>(&self, pipe: &Pipeline) -> Option<T> {
        let mut redis = self.line().await?;
        let why = match timeout(PATIENCE, pipe.query_async(&mut redis)).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        self.lost(&mut *self.way.lock().await, &why);
        None
    }

    /// The line to Redis, if there is one or can be.
    async fn line(&self) -> Option<MultiplexedConnection> {
        let mut way = self.way.lock().await;
        if let Some(line) = &way.line {
            return Some(line.redis.clone());
        }
        if clock::since_boot() < way.not_before {
            return None;
        }
        let why = match timeout(PATIENCE, Line::open(&mut way.finder, PATIENCE)).await {
            Ok(Ok(line)) => {
                if std::mem::take(&mut way.is_lost) {
                    tracing::info!("keys are shared through Redis again");
                }
                return Some(way.line.insert(line).redis.clone());
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no connection in time".to_owned(),
        };
        self.lost(&mut way, &why);
        None
    }

    fn lost(&self, way: &mut Way, why: &str) {
        way.line = None;
        way.not_before = clock::since_boot() + RETRY;
        self.count("unreachable");
        // Said once, not at every try.
        if !std::mem::replace(&mut way.is_lost, true) {
            tracing::warn!(
                "keys are not shared through Redis, and each host asks for itself: {why}"
            );
        }
    }
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

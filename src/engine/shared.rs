//! What askers and workers share.
#![forbid(unsafe_code)]

use super::budget::Budget;
use super::missing::{MissingKey, MissingTenant, Sought};
use super::parking::Parking;
use super::peer::Peers;
use super::{Options, PEER_QUEUE_PART};
use crate::cache::{Cache, Digest, Entry};
use crate::clock::{Clock, Now};
use crate::metrics::{Metrics, PathLabels, ShedLabels};
use crate::verdict::Verdict;
use crate::verify::{DigestKey, Question, Recalled, Records};
use arc_swap::ArcSwap;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

/// Goes wrong, if it likes, while a batch with these tokens is verified. For tests of the healing.
pub(super) type Fault = Box<dyn Fn(&[Question<'_>]) + Send + Sync>;

/// Asked about keys that issuers' sets lack.
type MissingKeyHook = Box<dyn Fn(&MissingKey<'_>) -> Sought + Send + Sync>;

/// Asked about tenants that are not loaded, or whose keys lack one.
type MissingTenantHook = Box<dyn Fn(&MissingTenant<'_>) -> Sought + Send + Sync>;

/// What askers and workers share.
pub(super) struct Shared {
    pub(super) records: ArcSwap<Records>,
    pub(super) digest_key: DigestKey,
    pub(super) cache: Cache,
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
    pub(super) hit_duration: Histogram,
    pub(super) miss_duration: Histogram,
    pub(super) shed: Shed,
    /// Work queued, by worker.
    pub(super) queues: Box<[Arc<Budget>]>,
    pub(super) peers: Peers,
    /// Quota of a peer that has none of its own.
    pub(super) peer_cost_ns_max: u64,
    pub(super) draining: AtomicBool,
    pub(super) missing_key: OnceLock<MissingKeyHook>,
    pub(super) missing_tenant: OnceLock<MissingTenantHook>,
    pub(super) parking: Parking,
    pub(super) fault: Option<Fault>,
}

/// Counters of tokens refused for load.
pub(super) struct Shed {
    pub(super) queue: Counter,
    pub(super) peer: Counter,
    pub(super) deadline: Counter,
    pub(super) draining: Counter,
}

impl Shared {
    pub(super) fn new(
        options: &Options,
        records: Arc<Records>,
        clock: Clock,
        metrics: Arc<Metrics>,
        queues: Box<[Arc<Budget>]>,
        fault: Option<Fault>,
    ) -> Self {
        let duration = |path| {
            metrics
                .verify_duration_seconds
                .get_or_create_owned(&PathLabels { path })
        };
        let shed = |cause| metrics.shed.get_or_create_owned(&ShedLabels { cause });
        let queue_cost_ns_max = options
            .queue_cost_ns_max
            .saturating_mul(queues.len() as u64);
        Self {
            records: ArcSwap::new(records),
            digest_key: DigestKey::random(),
            cache: Cache::new(&options.cache),
            clock,
            hit_duration: duration("hit"),
            miss_duration: duration("miss"),
            shed: Shed {
                queue: shed("queue"),
                peer: shed("peer"),
                deadline: shed("deadline"),
                draining: shed("draining"),
            },
            metrics,
            queues,
            peers: Peers::new(),
            peer_cost_ns_max: queue_cost_ns_max / PEER_QUEUE_PART,
            draining: AtomicBool::new(false),
            missing_key: OnceLock::new(),
            missing_tenant: OnceLock::new(),
            parking: Parking::new(),
            fault,
        }
    }

    /// The verdict the cache knows, if it still holds. An entry that does not is forgotten.
    #[inline]
    pub(super) fn recall(
        &self,
        records: &Records,
        question: Question<'_>,
        digest: &Digest,
        now: Now,
    ) -> Option<Verdict> {
        let entry = self.cache.get(digest)?;
        self.recall_found(records, question, digest, &entry, now)
    }

    /// The same for what the cache has just said.
    #[inline]
    pub(super) fn recall_found(
        &self,
        records: &Records,
        question: Question<'_>,
        digest: &Digest,
        entry: &Entry,
        now: Now,
    ) -> Option<Verdict> {
        match records.recall(question, entry, now) {
            Recalled::Answer(verdict) => Some(verdict),
            Recalled::Renewed(verdict, revocation) => {
                self.cache.renew(digest, entry, revocation);
                Some(verdict)
            }
            Recalled::Closed => None,
            Recalled::Stale => {
                self.cache.remove(digest);
                self.metrics.cache_invalidations.inc();
                None
            }
        }
    }
}

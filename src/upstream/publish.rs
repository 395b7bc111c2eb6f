//! The one place where keys change hands: readers of files and fetchers publish here, one at a time, so
//! that no two swaps of the records undo each other.
#![forbid(unsafe_code)]

use super::ledger::{Alarm, Ledgers};
use crate::engine::Engine;
use crate::keys::{Changes, Decryption, KeySet};
use crate::limits::FETCHES_MAX;
use crate::metrics::{FetchLabels, IssuerLabels, Metrics, TenantChangeLabels};
use crate::verify::{IssuerKeys, Records};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Swaps the engine's records, one change at a time.
pub(super) struct Publisher {
    engine: Engine,
    pub(super) metrics: Arc<Metrics>,
    ledgers: Ledgers,
    /// Ten thousand issuers are not to be connected to at once.
    fetches: Semaphore,
    turn: Mutex<()>,
}

/// The right to publish one issuer's keys, until it is ended.
#[derive(Debug, Default)]
pub(super) struct Lease {
    ended: AtomicBool,
}

/// Holds everyone else off while the records are replaced as a whole.
pub(super) struct Turn<'p> {
    publisher: &'p Publisher,
    _guard: MutexGuard<'p, ()>,
}

impl Publisher {
    pub(super) fn new(engine: Engine, metrics: Arc<Metrics>) -> Self {
        Self {
            engine,
            ledgers: Ledgers::new(Arc::clone(&metrics)),
            fetches: Semaphore::new(FETCHES_MAX),
            metrics,
            turn: Mutex::new(()),
        }
    }

    pub(super) fn take_turn(&self) -> Turn<'_> {
        Turn {
            publisher: self,
            // Nothing is left half done by a panic: the records are swapped whole.
            _guard: self.turn.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Waits for its turn to fetch.
    pub(super) async fn take_fetch(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.fetches.acquire().await.ok()
    }

    pub(super) fn ledgers(&self) -> &Ledgers {
        &self.ledgers
    }

    /// The time, in seconds since the epoch.
    pub(super) fn now(&self) -> i64 {
        self.engine.clock().now().latest
    }

    /// Publishes an issuer's keys, and tells whether they are others than before: with the same ones, every cached
    /// verdict stands. Does nothing once the lease has ended: the configuration has moved on, and these keys were
    /// read by rules that no longer hold.
    pub(super) fn publish(&self, lease: &Lease, issuer: &Arc<str>, mut keys: KeySet) -> bool {
        let turn = self.take_turn();
        if lease.ended.load(Ordering::Relaxed) {
            return false;
        }
        let records = self.engine.records();
        let old = keys_of(&records, issuer);
        if old.is_some_and(|old| old.is_same(&keys)) {
            return false;
        }
        self.ledgers
            .enter(issuer, old.map(Arc::as_ref), &mut keys, self.now());
        let count = keys.len();
        if let Some(records) = records.with_keys(issuer, Arc::new(keys)) {
            turn.replace(records);
            self.count_keys(issuer, count);
        }
        true
    }

    /// Publishes the keys that an issuer's tokens may be encrypted to, and tells whether they are others than before.
    ///
    /// # Errors
    /// Why no token could tell them from others; nothing has changed then.
    pub(super) fn publish_decryption(
        &self,
        lease: &Lease,
        issuer: &Arc<str>,
        keys: Decryption,
    ) -> Result<bool, String> {
        let turn = self.take_turn();
        if lease.ended.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let records = self.engine.records();
        let known = records.decryption_of(issuer);
        if known.is_some_and(|known| known.is_same(&keys)) {
            return Ok(false);
        }
        let records = records.with_decryption(issuer, Arc::new(keys));
        turn.replace(records.map_err(|error| error.to_string())?);
        Ok(true)
    }

    /// Takes an issuer's keys away: its tokens are unavailable until they are fetched again.
    pub(super) fn withdraw(&self, lease: &Lease, issuer: &Arc<str>) {
        let turn = self.take_turn();
        if lease.ended.load(Ordering::Relaxed) {
            return;
        }
        if let Some(records) = self.engine.records().awaiting_keys(issuer) {
            turn.replace(records);
            self.count_keys(issuer, 0);
        }
    }

    /// Whether the issuer has any keys now.
    pub(super) fn has_keys(&self, issuer: &str) -> bool {
        keys_of(&self.engine.records(), issuer).is_some()
    }

    /// Raises an alarm about an issuer.
    pub(super) fn note(&self, issuer: &Arc<str>, alarm: Alarm) {
        self.ledgers.note(issuer, alarm, self.now());
    }

    /// Notes that one tenant's keys have changed.
    pub(super) fn note_tenant(
        &self,
        tenant: (&Arc<str>, &str),
        (old, new): (&KeySet, &KeySet),
        changes: &Changes,
    ) {
        self.ledgers
            .note_tenant(tenant, (old, new), changes, self.now());
    }

    /// Notes why keys of a set cannot be used.
    pub(super) fn note_unusable(&self, issuer: &Arc<str>, why: Vec<String>) {
        self.ledgers.note_unusable(issuer, why, self.now());
    }

    /// Notes why the files of an issuer's decryption keys cannot be used, or that they can.
    pub(super) fn note_decryption(&self, issuer: &Arc<str>, why: Option<String>) {
        self.ledgers.note_decryption(issuer, why);
    }

    /// Counts a reading of decryption keys that brought others, or a fault.
    pub(super) fn count_decryption_read(&self, issuer: &Arc<str>, outcome: &'static str) {
        let labels = FetchLabels {
            issuer: self.metrics.issuer_label(issuer),
            outcome,
        };
        self.metrics
            .decryption_key_reads
            .get_or_create(&labels)
            .inc();
    }

    /// Notes what time it is at the issuer.
    pub(super) fn note_time(&self, issuer: &Arc<str>, server_time: i64) {
        self.ledgers.note_time(issuer, server_time, self.now());
    }

    pub(super) fn count_keys(&self, issuer: &str, count: usize) {
        let labels = IssuerLabels {
            issuer: self.metrics.issuer_label(&issuer.into()),
        };
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.metrics.jwks_keys.get_or_create(&labels).set(count);
    }

    /// The records as they are now.
    pub(super) fn records(&self) -> Arc<Records> {
        self.engine.records()
    }

    /// Counts a fetch of some tenant's keys.
    pub(super) fn count_tenant_fetch(&self, template: &Arc<str>, outcome: &'static str) {
        let labels = FetchLabels {
            issuer: Arc::clone(template),
            outcome,
        };
        self.metrics.tenant_fetches.get_or_create(&labels).inc();
    }

    /// Counts what became of some tenant.
    pub(super) fn count_tenant(&self, template: &Arc<str>, outcome: &'static str) {
        let labels = TenantChangeLabels {
            issuer: Arc::clone(template),
            outcome,
        };
        self.metrics.tenant_changes.get_or_create(&labels).inc();
    }

    /// Counts a fetch or a reading; a good one is dated.
    pub(super) fn count_outcome(&self, issuer: &Arc<str>, outcome: &'static str) {
        let issuer = self.metrics.issuer_label(issuer);
        let labels = FetchLabels {
            issuer: issuer.clone(),
            outcome,
        };
        self.metrics.jwks_fetches.get_or_create(&labels).inc();
        if matches!(outcome, "ok" | "not_modified" | "shared") {
            let labels = IssuerLabels {
                issuer: issuer.clone(),
            };
            let now = self.engine.clock().now().latest;
            let last = &self.metrics.jwks_last_success_timestamp_seconds;
            last.get_or_create(&labels).set(now);
        }
    }
}

/// The keys that an issuer has.
pub(super) fn keys_of<'r>(records: &'r Records, issuer: &str) -> Option<&'r Arc<KeySet>> {
    match &records.issuer_named(issuer)?.keys {
        IssuerKeys::Known(keys) => Some(keys),
        IssuerKeys::Awaited => None,
    }
}

impl Turn<'_> {
    pub(super) fn records(&self) -> Arc<Records> {
        self.publisher.engine.records()
    }

    pub(super) fn replace(&self, records: Records) {
        self.publisher.engine.set_records(Arc::new(records));
    }
}

impl Lease {
    /// Ends the right to publish. Takes a turn as witness that nobody is publishing right now.
    pub(super) fn end(&self, _turn: &Turn<'_>) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

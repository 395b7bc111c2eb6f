//! The one place where keys change hands: readers of files and fetchers publish here, one at a time, so
//! that no two swaps of the records undo each other.
#![forbid(unsafe_code)]

use crate::engine::Engine;
use crate::keys::KeySet;
use crate::metrics::{FetchLabels, IssuerLabels, Metrics, TenantChangeLabels};
use crate::verify::Records;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Swaps the engine's records, one change at a time.
pub(super) struct Publisher {
    engine: Engine,
    pub(super) metrics: Arc<Metrics>,
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

    /// Publishes an issuer's new keys. Does nothing once the lease has ended: the configuration has moved
    /// on, and these keys were read by rules that no longer hold.
    pub(super) fn publish(&self, lease: &Lease, issuer: &str, keys: KeySet) {
        let turn = self.take_turn();
        if lease.ended.load(Ordering::Relaxed) {
            return;
        }
        let count = keys.len();
        if let Some(records) = self.engine.records().with_keys(issuer, Arc::new(keys)) {
            turn.replace(records);
            self.count_keys(issuer, count);
        }
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
        if matches!(outcome, "ok" | "not_modified") {
            let labels = IssuerLabels {
                issuer: issuer.clone(),
            };
            let now = self.engine.clock().now().latest;
            let last = &self.metrics.jwks_last_success_timestamp_seconds;
            last.get_or_create(&labels).set(now);
        }
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

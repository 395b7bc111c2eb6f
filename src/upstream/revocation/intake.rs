//! The one way into the register, whichever log a record comes from: merged, counted, and told to who watches.
#![forbid(unsafe_code)]

use crate::clock::Clock;
use crate::metrics::{Metrics, RevocationLabels, StateLabels};
use crate::revocation::{Arrival, Merged, Record, Register, kind_of};
use crate::verdict::RevocationState as State;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::broadcast;

/// Arrivals that a slow watcher may be behind before it misses some, of which it is told.
const ARRIVALS_KEPT: usize = 1_024;

/// Takes records into the register.
pub struct Intake {
    register: Arc<Register>,
    clock: Clock,
    metrics: Arc<Metrics>,
    arrivals: broadcast::Sender<Arrival>,
    has_declined: AtomicBool,
}

impl Intake {
    /// A way into this register.
    #[must_use]
    pub fn new(register: Arc<Register>, clock: Clock, metrics: Arc<Metrics>) -> Self {
        let (arrivals, _) = broadcast::channel(ARRIVALS_KEPT);
        Self {
            register,
            clock,
            metrics,
            arrivals,
            has_declined: AtomicBool::new(false),
        }
    }

    /// Takes in what was known before this process began. It is neither counted nor told.
    pub fn restore(&self, records: &[Record], revision: u64) -> Merged {
        let merged = self.register.merge(records, self.clock.now());
        self.register.advance_applied(revision);
        self.tell_declined(merged);
        merged
    }

    /// Takes in what is new, up to and with this revision.
    pub fn take(&self, records: &[Record], revision: u64) -> Merged {
        let now = self.clock.now();
        let merged = self.register.merge(records, now);
        self.register.advance_applied(revision);
        let mut counts: Vec<(&'static str, u64)> = Vec::new();
        for record in records {
            let kind = kind_of(record.key.members);
            match counts.iter_mut().find(|(of, _)| *of == kind) {
                Some((_, count)) => *count += 1,
                None => counts.push((kind, 1)),
            }
        }
        for (kind, count) in counts {
            let labels = RevocationLabels { kind };
            self.metrics.revoked.get_or_create(&labels).inc_by(count);
        }
        // An error means that nobody watches.
        let _ = self.arrivals.send(Arrival {
            at: now.latest,
            revision,
            records: records.into(),
        });
        self.tell_declined(merged);
        merged
    }

    /// What is taken in from now on.
    #[must_use]
    pub fn watch(&self) -> broadcast::Receiver<Arrival> {
        self.arrivals.subscribe()
    }

    /// The register.
    #[must_use]
    pub fn register(&self) -> &Arc<Register> {
        &self.register
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The metrics.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Whether records were not taken that another configuration would take.
    #[must_use]
    pub fn has_declined(&self) -> bool {
        self.has_declined.load(Ordering::Relaxed)
    }

    /// Somebody fills the logs with records of tenants that nobody here has.
    fn tell_declined(&self, merged: Merged) {
        if merged.declined > 0 {
            self.has_declined.store(true, Ordering::Relaxed);
            tracing::warn!(
                records = merged.declined,
                "revocations of tenants not served here were not taken: they are over their quota"
            );
        }
    }

    /// Brings up to date what metrics say of the register.
    pub fn report(&self) {
        let freshness = self.register.freshness(self.clock.now());
        let metrics = &self.metrics;
        let entries = i64::try_from(self.register.len()).unwrap_or(i64::MAX);
        metrics.revocation_entries.set(entries);
        metrics
            .revocation_lag_seconds
            .set(f64::from(freshness.age_ms) / 1e3);
        for state in [State::Off, State::Live, State::Stale] {
            let labels = StateLabels {
                state: state.name(),
            };
            let is_it = i64::from(state == freshness.state);
            metrics.revocation_state.get_or_create(&labels).set(is_it);
        }
    }
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Intake({:?})", self.register)
    }
}

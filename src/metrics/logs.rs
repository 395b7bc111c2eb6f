//! Metrics of logs elsewhere.

use super::Register;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Logs of revocations that daemons share, by their configured names.
pub struct LogMetrics {
    /// Whether a log is followed and live.
    pub connected: Family<LogLabels, Gauge>,
    /// 1 for the state that a log is in, 0 for the others.
    pub state: Family<LogStateLabels, Gauge>,
    /// How long ago all that it had been told had surely been applied.
    pub lag_seconds: Family<LogLabels, Gauge<f64, AtomicU64>>,
    /// Times that something was missing between two entries.
    pub gaps: Family<LogLabels, Counter>,
    /// Times that it had lost what had been read from it.
    pub histories_lost: Family<LogLabels, Counter>,
    /// Times that it was read from the beginning.
    pub scans: Family<LogLabels, Counter>,
    /// Records that this version cannot read.
    pub unreadable: Family<LogLabels, Counter>,
    /// Records that it lacked and that were written back.
    pub repaired: Family<LogLabels, Counter>,
    /// Records from here that have not been seen there yet.
    pub backlog: Family<LogLabels, Gauge>,
    /// Records still to be written back.
    pub repairs_waiting: Family<LogLabels, Gauge>,
    /// 1 for what went wrong last, if it has not worked since.
    pub fault: Family<LogFaultLabels, Gauge>,
}

/// Label of a log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LogLabels {
    /// Its configured name.
    pub log: Arc<str>,
}

/// Labels of a log's state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LogStateLabels {
    /// Its configured name.
    pub log: Arc<str>,
    /// `cold`, `syncing`, `live`, `suspect`, `stale`.
    pub state: &'static str,
}

/// Labels of a log's fault.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LogFaultLabels {
    /// Its configured name.
    pub log: Arc<str>,
    /// `lost`, `garbage`, `busy`, `not_primary`, `denied`, `refused`, `fenced`.
    pub fault: &'static str,
}

impl LogMetrics {
    pub(super) fn new(new: &mut Register<'_>) -> Self {
        Self {
            connected: new.family(
                "revocation_feed_connected",
                "Whether a log of revocations is followed and live",
            ),
            state: new.family("revocation_log_state", "The state that a log is in"),
            lag_seconds: new.family(
                "revocation_log_lag_seconds",
                "Age of what is known of a log",
            ),
            gaps: new.family("revocation_log_gaps", "Holes found between entries"),
            histories_lost: new.family(
                "revocation_log_histories_lost",
                "Times a log had lost what had been read from it",
            ),
            scans: new.family("revocation_log_scans", "Times a log was read as a whole"),
            unreadable: new.family(
                "revocation_log_unreadable",
                "Records that this version cannot read",
            ),
            repaired: new.family("revocation_log_repairs", "Records written back to a log"),
            backlog: new.family("revocation_log_backlog", "Records not yet seen in a log"),
            repairs_waiting: new.family(
                "revocation_log_repairs_waiting",
                "Records still to be written back",
            ),
            fault: new.family("revocation_log_fault", "What is wrong with a log"),
        }
    }
}

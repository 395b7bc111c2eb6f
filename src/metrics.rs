//! Every metric of the daemon, by its Prometheus name. Rooms count; the admin listener prints.
//!
//! Labels are bounded: configured issuers, algorithms, reasons, transports. Never a subject, a `jti`, a
//! `kid` or anything else a token chooses. Callers on the hot path count once a frame or a batch.
#![forbid(unsafe_code)]

mod labels;
mod logs;
mod register;

pub use labels::{
    AlarmLabels, FaultLabels, FeedLabels, FetchLabels, IssuerLabels, KernelLabels, PathLabels,
    RefusedLabels, ReviewLabels, RevocationLabels, SharedLabels, ShedLabels, StateLabels,
    TenantChangeLabels, TenantLabels, TransportLabels, VerificationLabels,
};
pub use logs::{LogFaultLabels, LogLabels, LogMetrics, LogStateLabels};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use register::Register;
use std::collections::HashSet;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Lines of the log that could not be written. A process has one log, whatever else it runs.
pub static LOG_LINES_LOST: LazyLock<Counter> = LazyLock::new(Counter::default);

/// Most tenants that have a name of their own in metrics.
pub const TENANTS_NAMED_MAX: usize = 256;

/// Most issuers that have a name of their own in metrics.
pub const ISSUERS_NAMED_MAX: usize = 1_024;

/// What all others are called.
const OTHER: &str = "(other)";

/// Names that labels may have.
#[derive(Default)]
struct Named(Mutex<HashSet<Arc<str>>>);

impl Named {
    /// Whether this name is one of the first `max`.
    fn has(&self, name: &Arc<str>, max: usize) -> bool {
        let mut named = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        named.contains(name) || (named.len() < max && named.insert(Arc::clone(name)))
    }
}

/// All metrics of one daemon. Shared as an `Arc`; counting needs no exclusive access.
pub struct Metrics {
    registry: Registry,
    /// Verdicts given.
    pub verifications: Family<VerificationLabels, Counter>,
    /// Time from a call's arrival to its verdicts, by whether the cache answered all of them. Of those, one
    /// in sixteen is timed.
    pub verify_duration_seconds: Family<PathLabels, Histogram>,
    /// Tokens in a worker's batch.
    pub batch_size: Histogram,
    /// Time a token waited for a worker.
    pub queue_wait_seconds: Histogram,
    /// Estimated cost queued for the workers, in seconds of one core.
    pub queue_cost_seconds: Gauge<f64, std::sync::atomic::AtomicU64>,
    /// Tokens refused for load, by what was full.
    pub shed: Family<ShedLabels, Counter>,
    /// Tokens answered by another identical token in flight.
    pub coalesced: Counter,
    /// Worker panics caught and healed.
    pub worker_panics: Counter,
    /// Cache hits.
    pub cache_hits: Counter,
    /// Cache misses.
    pub cache_misses: Counter,
    /// Entries evicted to make room.
    pub cache_evictions: Counter,
    /// Entries found stale: keys, policy or time had moved on.
    pub cache_invalidations: Counter,
    /// Entries in the cache.
    pub cache_entries: Gauge,
    /// Open connections.
    pub connections: Family<TransportLabels, Gauge>,
    /// Connections refused or closed for breaking a rule.
    pub connection_faults: Family<FaultLabels, Counter>,
    /// Fetches of an issuer's key set, by outcome.
    pub jwks_fetches: Family<FetchLabels, Counter>,
    /// What became of key sets that hosts share.
    pub jwks_shared: Family<SharedLabels, Counter>,
    /// Usable keys of an issuer.
    pub jwks_keys: Family<IssuerLabels, Gauge>,
    /// When an issuer's keys were last read well, in seconds since the epoch.
    pub jwks_last_success_timestamp_seconds: Family<IssuerLabels, Gauge>,
    /// Tokens whose `kid` their issuer does not have.
    pub jwks_unknown_kid: Family<IssuerLabels, Counter>,
    /// What threatens an outage, or worse, by what it is.
    pub jwks_alarms: Family<AlarmLabels, Counter>,
    /// How far an issuer's clock is ahead of ours, in seconds.
    pub jwks_clock_skew_seconds: Family<IssuerLabels, Gauge>,
    /// Readings of an issuer's decryption keys that brought others, or a fault.
    pub decryption_key_reads: Family<FetchLabels, Counter>,
    /// Tokens that wait for their issuer's keys to be looked at.
    pub tokens_parked: Gauge,
    /// Fetches of the key sets of templates' tenants, by outcome.
    pub tenant_fetches: Family<FetchLabels, Counter>,
    /// Templates' tenants that came and went, by how.
    pub tenant_changes: Family<TenantChangeLabels, Counter>,
    /// Verdicts given on tokens of each tenant that were found genuine; of tenants beyond the first
    /// [`TENANTS_NAMED_MAX`], together.
    pub tenant_verifications: Family<TenantLabels, Counter>,
    tenants_named: Named,
    issuers_named: Named,
    /// Keys that have a table for the batch kernels.
    pub key_tables: Gauge,
    /// Memory that the tables take, in bytes.
    pub key_table_bytes: Gauge,
    /// Tables built.
    pub key_tables_built: Counter,
    /// Tables given up for another key's.
    pub key_tables_evicted: Counter,
    /// Tables that were found changed in memory, and dropped.
    pub key_tables_corrupt: Counter,
    /// Whether a kernel may work (1), or disagreed with the reference and is off (0).
    pub kernel_enabled: Family<KernelLabels, Gauge>,
    /// Signatures that a kernel was given.
    pub kernel_checks: Family<KernelLabels, Counter>,
    /// What a kernel was held against the reference for, by why.
    pub kernel_reviews: Family<ReviewLabels, Counter>,
    /// Times a kernel disagreed with the reference.
    pub kernel_disagreements: Family<KernelLabels, Counter>,
    /// Orders taken in, by what they name.
    pub revoked: Family<RevocationLabels, Counter>,
    /// Orders that were not taken, by why.
    pub revocations_refused: Family<RefusedLabels, Counter>,
    /// Fetches of status lists, by outcome.
    pub status_fetches: Family<FetchLabels, Counter>,
    /// Statements that feeds brought, by what has become of them.
    pub feed_statements: Family<FeedLabels, Counter>,
    /// Records held against tokens.
    pub revocation_entries: Gauge,
    /// How old the knowledge of revocations is, in seconds.
    pub revocation_lag_seconds: Gauge<f64, std::sync::atomic::AtomicU64>,
    /// 1 for the state that revocation is in, 0 for the others.
    pub revocation_state: Family<StateLabels, Gauge>,
    /// Time to make orders safe on this host's disk and known to it.
    pub revocation_commit_seconds: Histogram,
    /// Records in this host's own log, dead ones included.
    pub revocation_log_records: Gauge,
    /// Times this host's own log was written anew.
    pub revocation_compactions: Counter,
    /// Repairs of logs: a torn end cut off, records that a log had lost written back.
    pub revocation_repairs: Counter,
    /// Logs elsewhere.
    pub revocation_logs: LogMetrics,
    /// Whether the last reload of the configuration was accepted (1) or not (0).
    pub config_last_reload_successful: Gauge,
}

impl Metrics {
    /// A fresh set, all zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("jotd");
        registry.register(
            "build",
            "The running build",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        registry.register(
            "log_lines_lost",
            "Lines of the log that could not be written",
            LOG_LINES_LOST.clone(),
        );
        let mut new = Register(&mut registry);
        Self {
            verifications: new.family("verifications", "Verdicts given"),
            verify_duration_seconds: new.seconds_family(
                "verify_duration",
                "Time from a question's arrival to its verdict",
            ),
            batch_size: new.histogram(
                "batch_size",
                "Tokens in a worker's batch",
                exponential_buckets(1.0, 2.0, 11),
            ),
            queue_wait_seconds: new.seconds("queue_wait", "Time a token waited for a worker"),
            queue_cost_seconds: new.gauge_f64(
                "queue_cost",
                "Estimated work queued, in seconds of one core",
            ),
            shed: new.family("shed", "Tokens refused for load"),
            coalesced: new.counter("coalesced", "Tokens answered by an identical one in flight"),
            worker_panics: new.counter("worker_panics", "Worker panics caught and healed"),
            cache_hits: new.counter("cache_hits", "Cache hits"),
            cache_misses: new.counter("cache_misses", "Cache misses"),
            cache_evictions: new.counter("cache_evictions", "Cache entries evicted for room"),
            cache_invalidations: new.counter("cache_invalidations", "Cache entries found stale"),
            cache_entries: new.gauge("cache_entries", "Entries in the cache"),
            connections: new.family("connections", "Open connections"),
            connection_faults: new.family("connection_faults", "Connections that broke a rule"),
            jwks_fetches: new.family("jwks_fetch", "Fetches of an issuer's key set"),
            jwks_shared: new.family(
                "jwks_shared",
                "Key sets that hosts share, by what became of them",
            ),
            jwks_keys: new.family("jwks_keys", "Usable keys of an issuer"),
            jwks_last_success_timestamp_seconds: new.family(
                "jwks_last_success_timestamp_seconds",
                "When an issuer's keys were last read well",
            ),
            jwks_unknown_kid: new.family("jwks_unknown_kid", "Tokens with a kid unknown here"),
            jwks_alarms: new.family("jwks_alarms", "What threatens an issuer's tokens"),
            jwks_clock_skew_seconds: new.family(
                "jwks_clock_skew_seconds",
                "How far an issuer's clock is ahead of ours",
            ),
            decryption_key_reads: new.family(
                "decryption_key_reads",
                "Readings of decryption keys that brought others, or a fault",
            ),
            tokens_parked: new.gauge("tokens_parked", "Tokens that wait for their issuer's keys"),
            tenant_fetches: new.family("tenant_fetch", "Fetches of tenants' key sets"),
            tenant_changes: new.family("tenant_changes", "Tenants that came and went"),
            tenant_verifications: new.family(
                "tenant_verifications",
                "Good verdicts by tenant; those beyond the first are called (other)",
            ),
            tenants_named: Named::default(),
            issuers_named: Named::default(),
            key_tables: new.gauge("key_tables", "Keys with a table for the batch kernels"),
            key_table_bytes: new.gauge("key_table_bytes", "Memory of the keys' tables"),
            key_tables_built: new.counter("key_tables_built", "Tables built"),
            key_tables_evicted: new.counter("key_tables_evicted", "Tables given up for room"),
            key_tables_corrupt: new.counter("key_tables_corrupt", "Tables found changed in memory"),
            kernel_enabled: new.family("kernel_enabled", "Whether a kernel may work"),
            kernel_checks: new.family("kernel_checks", "Signatures given to a kernel"),
            kernel_reviews: new.family("kernel_reviews", "Findings held against the reference"),
            kernel_disagreements: new.family(
                "kernel_disagreements",
                "Times a kernel disagreed with the reference",
            ),
            revoked: new.family("revoked", "Orders of revocation taken in"),
            revocations_refused: new.family("revocations_refused", "Orders that were not taken"),
            status_fetches: new.family("status_list_fetch", "Fetches of status lists"),
            feed_statements: new.family("feed_statements", "Statements that feeds brought"),
            revocation_entries: new.gauge("revocation_entries", "Revocations held"),
            revocation_lag_seconds: new
                .gauge_f64("revocation_lag", "Age of what is known of revocations"),
            revocation_state: new.family("revocation_state", "The state that revocation is in"),
            revocation_commit_seconds: new.seconds(
                "revocation_commit",
                "Time to make orders safe on this host's disk",
            ),
            revocation_log_records: new
                .gauge("revocation_log_records", "Records in this host's own log"),
            revocation_compactions: new.counter(
                "revocation_compactions",
                "Times this host's own log was written anew",
            ),
            revocation_repairs: new.counter("revocation_repairs", "Repairs of logs"),
            revocation_logs: LogMetrics::new(&mut new),
            config_last_reload_successful: new.gauge(
                "config_last_reload_successful",
                "Whether the last reload was accepted",
            ),
            registry,
        }
    }

    /// The counter of a tenant. Tenants are more than a scraper can bear: the first have names of their own, and whoever
    /// comes later is counted with all the others.
    #[must_use]
    pub fn of_tenant(&self, tenant: &Arc<str>) -> Counter {
        let is_named = self.tenants_named.has(tenant, TENANTS_NAMED_MAX);
        let tenant = if is_named {
            Arc::clone(tenant)
        } else {
            OTHER.into()
        };
        self.tenant_verifications
            .get_or_create_owned(&TenantLabels { tenant })
    }

    /// What an issuer is called in metrics: its name, or for those that come after the first [`ISSUERS_NAMED_MAX`],
    /// `(other)`.
    #[must_use]
    pub fn issuer_label(&self, issuer: &Arc<str>) -> Arc<str> {
        if self.issuers_named.has(issuer, ISSUERS_NAMED_MAX) {
            Arc::clone(issuer)
        } else {
            OTHER.into()
        }
    }

    /// The OpenMetrics text of all metrics.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("writing to a String cannot fail");
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_printed() {
        let metrics = Metrics::new();
        metrics
            .verifications
            .get_or_create(&VerificationLabels {
                issuer: "acme".into(),
                alg: "ES256",
                result: "invalid",
                reason: "expired",
                transport: "uds",
            })
            .inc_by(3);
        metrics.queue_wait_seconds.observe(0.001);
        for number in 0..=TENANTS_NAMED_MAX {
            let tenant: Arc<str> = format!("tenant-{number}").into();
            metrics.of_tenant(&tenant).inc();
            metrics.of_tenant(&"tenant-0".into()).inc();
        }
        let text = metrics.render();
        assert!(text.contains(
            "jotd_verifications_total{issuer=\"acme\",alg=\"ES256\",result=\"invalid\",reason=\"expired\",transport=\"uds\"} 3"
        ), "{text}");
        assert!(text.contains("jotd_queue_wait_seconds_count 1"), "{text}");
        assert!(
            text.contains("jotd_tenant_verifications_total{tenant=\"(other)\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains("jotd_tenant_verifications_total{tenant=\"tenant-0\"} 258\n"),
            "{text}"
        );
        assert_eq!(
            text.matches("jotd_tenant_verifications_total{").count(),
            TENANTS_NAMED_MAX + 1
        );
        assert!(text.contains("jotd_build_info"), "{text}");
    }
}

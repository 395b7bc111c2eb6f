//! Pinned workers, bounded mailboxes, natural batches.
//!
//! A caller's thread answers cache hits itself; misses go to workers, each token to the worker that its
//! digest picks, so that identical tokens in flight meet and are verified once. A worker takes what has
//! queued, shares its time fairly among peers, and never works longer than about 200 µs before it looks
//! at its mailbox again. A worker's panic loses no reply.
//!
//! A thread of its own looks after the keys' tables (`tables`), so that the batch kernels have what they need.
//!
//! The way of a call: [`Engine::ask`] looks every token up (`ask`); what is missing is estimated, admitted
//! (`budget`) and posted to workers (`worker`), who merge identical tokens (`flights`), choose whom to serve
//! (`schedule`) and verify a batch; the last answer completes the call (`call`). A token whose key is not there may
//! wait for its issuer's set to be looked at (`missing`, `parking`).
//!
//! `docs/decisions/0002-engine.md` says why it is made this way.
#![forbid(unsafe_code)]

mod aside;
mod ask;
mod budget;
mod call;
mod flights;
mod missing;
mod parking;
mod peer;
mod schedule;
mod settling;
mod shared;
mod tables;
#[cfg(test)]
mod tests;
mod worker;

pub use aside::aside;
pub use missing::{MissingKey, MissingTenant, Sought};
pub use peer::Peer;
pub use tables::{TableReport, keep_tables};

use crate::cache::{self, Cache};
use crate::clock::{self, Clock, Now};
use crate::crypto::{self, KernelReport, Tier};
use crate::jose::Algorithm;
use crate::limits::{BATCH_COST_NS_MAX, BATCH_TOKENS_DEFAULT, BATCH_TOKENS_MAX};
use crate::metrics::{KernelLabels, Metrics, ReviewLabels};
use crate::verdict::Verdict;
use crate::verify::{Outlook, PolicyId, Records, Want};
use budget::Budget;
use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use prometheus_client::metrics::counter::Counter;
use schedule::BatchLimits;
use shared::{Fault, Shared};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use worker::{Mail, Worker};

/// How the engine is laid out.
#[derive(Clone, Debug)]
pub struct Options {
    /// CPUs to pin workers to, one worker each; empty for one unpinned worker a core but one.
    pub cpus: Vec<usize>,
    /// Most tokens in a batch.
    pub batch_tokens_max: usize,
    /// How long a worker waits for company, in microseconds; 0 takes what has queued.
    pub batch_wait_us: u64,
    /// Most work queued for one worker, in nanoseconds of estimated cost, before it says `overloaded`.
    pub queue_cost_ns_max: u64,
    /// The cache.
    pub cache: cache::Options,
    /// The fastest kernels that may be used.
    pub ceiling: Tier,
    /// Most memory for the tables of keys, in bytes.
    pub table_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cpus: Vec::new(),
            batch_tokens_max: BATCH_TOKENS_DEFAULT,
            batch_wait_us: 0,
            queue_cost_ns_max: QUEUE_COST_NS_DEFAULT,
            cache: cache::Options::default(),
            ceiling: Tier::Ifma,
            table_bytes_max: TABLE_MIB_DEFAULT << 20,
        }
    }
}

/// Default for the work queued for one worker: what a caller with an ordinary deadline would wait for.
pub const QUEUE_COST_NS_DEFAULT: u64 = 100_000_000;

/// Default for the memory of keys' tables, in MiB: room for a thousand keys of P-256.
pub const TABLE_MIB_DEFAULT: usize = 256;

/// Stack of a thread that runs kernels. Their working room is large, and without optimisation every temporary of
/// theirs has a place of its own; what is not touched costs nothing.
pub const KERNEL_STACK_BYTES: usize = 16 << 20;

/// A peer without a quota of its own may fill this part of all queues, one in so many: no peer alone can
/// make the engine refuse the others.
const PEER_QUEUE_PART: u64 = 2;

/// Parcels that a mailbox holds. Work is bounded by its cost long before; this bounds the empty places.
const MAILBOX_PARCELS_MAX: usize = 4_096;

/// One call: tokens of one peer that are answered together.
pub struct Call {
    /// Who asks.
    pub peer: Arc<Peer>,
    /// The tokens, each a view into the transport's buffer.
    pub tokens: Vec<Bytes>,
    /// The request policy for all of them.
    pub policy: PolicyId,
    /// The claims wanted.
    pub want: Want,
    /// When the caller stops waiting, as time since boot.
    pub deadline: Option<Duration>,
    /// The revocation revision that the answer must know; 0 for none. Before it is known, the answer is
    /// `unavailable/revocation_stale`.
    pub min_revision: u64,
}

/// Takes the verdicts of one call, in the order of its tokens. Called at most once, on a worker's thread or another of
/// ours, which has other callers to serve: it must not block.
pub type Reply = Box<dyn FnOnce(Vec<Verdict>) + Send>;

/// The running engine. Clones are handles to the same one; when the last is dropped, the workers finish
/// what was accepted and end.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    mailboxes: Vec<Sender<Mail>>,
    threads: Mutex<Threads>,
    /// Carries nothing; whoever looks after the tables ends when it disconnects.
    _running: Sender<()>,
}

struct Threads {
    handles: Vec<JoinHandle<()>>,
    /// Carries nothing; it disconnects when the last worker has ended.
    ended: Receiver<()>,
}

/// The engine could not be started.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The system refused a thread.
    #[error("worker thread {index} could not be started: {cause}")]
    Spawn {
        /// Which worker.
        index: usize,
        /// What the system said.
        cause: std::io::Error,
    },
}

impl Engine {
    /// Starts the workers.
    ///
    /// # Errors
    /// [`EngineError::Spawn`].
    pub fn start(
        options: &Options,
        records: Arc<Records>,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Result<Self, EngineError> {
        Self::start_with_fault(options, records, clock, metrics, None)
    }

    /// [`Self::start`], with something that goes wrong while a batch is verified.
    fn start_with_fault(
        options: &Options,
        records: Arc<Records>,
        clock: Clock,
        metrics: Arc<Metrics>,
        fault: Option<Fault>,
    ) -> Result<Self, EngineError> {
        crypto::set_ceiling(options.ceiling);
        let places = places(&options.cpus);
        let queues = (0..places.len())
            .map(|_| Arc::new(Budget::new(options.queue_cost_ns_max)))
            .collect();
        let shared = Arc::new(Shared::new(options, records, clock, metrics, queues, fault));
        let limits = BatchLimits {
            tokens_max: options.batch_tokens_max.clamp(1, BATCH_TOKENS_MAX),
            cost_ns_max: BATCH_COST_NS_MAX,
        };
        let company_wait = Duration::from_micros(options.batch_wait_us);
        let (alive, ended) = crossbeam_channel::bounded(0);
        let mut mailboxes = Vec::with_capacity(places.len());
        let mut handles = Vec::with_capacity(places.len());
        for (index, cpu) in places.into_iter().enumerate() {
            let (sender, mailbox) = crossbeam_channel::bounded(MAILBOX_PARCELS_MAX);
            let worker = Worker {
                index,
                shared: Arc::clone(&shared),
                mailbox,
                limits,
                company_wait,
                _alive: alive.clone(),
            };
            // A worker that was started before one that could not be ends with its mailbox.
            let handle = worker
                .spawn(cpu)
                .map_err(|cause| EngineError::Spawn { index, cause })?;
            mailboxes.push(sender);
            handles.push(handle);
        }
        let (running, stop) = crossbeam_channel::bounded(0);
        let index = handles.len();
        parking::keep(Arc::clone(&shared), stop.clone())
            .map_err(|cause| EngineError::Spawn { index, cause })?;
        let kept = Arc::clone(&shared);
        let reported = Arc::clone(&shared.metrics);
        let keeper = tables::keep_tables(
            move || kept.records.load_full(),
            options.table_bytes_max,
            stop,
            move |report| publish(&reported, report),
        );
        keeper.map_err(|cause| EngineError::Spawn { index, cause })?;
        Ok(Self(Arc::new(Inner {
            shared,
            mailboxes,
            threads: Mutex::new(Threads { handles, ended }),
            _running: running,
        })))
    }

    /// Answers a call: at once, as the return value, when the cache or the tokens' own malformation decide
    /// every token on this thread, or load forbids to queue them; `reply` is then dropped uncalled.
    /// Otherwise `None`, and `reply` is called exactly once, on a worker's thread, when the last token has
    /// been verified or refused. A token whose deadline passes while it is queued is answered `deadline`
    /// when its turn comes, and never verified.
    pub fn ask(
        &self,
        call: Call,
        now: Now,
        reply: impl FnOnce(Vec<Verdict>) + Send + 'static,
    ) -> Option<Vec<Verdict>> {
        ask::ask(&self.0.shared, &self.0.mailboxes, call, now, reply)
    }

    /// Swaps the records. Calls in flight finish under the snapshot they began with.
    pub fn set_records(&self, records: Arc<Records>) {
        self.0.shared.records.store(records);
    }

    /// The current records.
    #[must_use]
    pub fn records(&self) -> Arc<Records> {
        self.0.shared.records.load_full()
    }

    /// How far the knowledge of revocations reaches.
    #[must_use]
    pub fn outlook(&self, now: Now) -> Outlook {
        self.0.shared.records.load().outlook(now)
    }

    /// Asks `hook` about each key that a token names and its issuer's set lacks, and about each issuer whose keys
    /// are awaited when a token needs them. It runs on a worker's thread and must not block. Only the first hook
    /// counts; returns whether this was it. Without one, what is there is all there is.
    pub fn on_missing_key(
        &self,
        hook: impl Fn(&MissingKey<'_>) -> Sought + Send + Sync + 'static,
    ) -> bool {
        self.0.shared.missing_key.set(Box::new(hook)).is_ok()
    }

    /// Asks `hook` about each tenant that a template would bring and that is not loaded, or whose keys lack one that a
    /// token names, for each token that shows it. It runs on a worker's thread and must not block. Only the first hook
    /// counts; returns whether this was it.
    pub fn on_missing_tenant(
        &self,
        hook: impl Fn(&MissingTenant<'_>) -> Sought + Send + Sync + 'static,
    ) -> bool {
        self.0.shared.missing_tenant.set(Box::new(hook)).is_ok()
    }

    /// Something that this issuer signed names a key that it does not have: tells the hook, if there is one.
    pub fn look_for_key(&self, issuer: &Arc<str>) {
        if let Some(hook) = self.0.shared.missing_key.get() {
            let _ = hook(&MissingKey {
                issuer,
                kid: None,
                asked_at: clock::since_boot(),
                is_awaited: false,
            });
        }
    }

    /// An issuer's set has been looked at, and what was found is among the records. Calls back the tokens that wait
    /// for it: all of them where it has changed, else those that came before the look began, at this time since boot.
    pub fn keys_looked_at(&self, issuer: &str, began: Duration, is_changed: bool) {
        let Inner {
            shared, mailboxes, ..
        } = &*self.0;
        missing::call_back(shared, mailboxes, (issuer, None), |ticket| {
            is_changed || ticket.arrived() < began
        });
    }

    /// The same for the tenant of this `iss`, which this template brings, by its configured name.
    pub fn tenant_looked_at(&self, template: &str, iss: &str, began: Duration, is_changed: bool) {
        let Inner {
            shared, mailboxes, ..
        } = &*self.0;
        missing::call_back(shared, mailboxes, (template, Some(iss)), |ticket| {
            is_changed || ticket.arrived() < began
        });
    }

    /// Number of tokens that wait for their issuer's keys.
    #[must_use]
    pub fn parked(&self) -> usize {
        self.0.shared.parking.len()
    }

    /// The clock all decisions use.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.shared.clock
    }

    /// The cache, for metrics.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.0.shared.cache
    }

    /// Number of workers.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.0.mailboxes.len()
    }

    /// A peer with a quota of queued work in nanoseconds of estimated cost (`None`: the engine's default).
    /// While anyone holds it, the same name is the same peer, and the quota asked for last counts.
    #[must_use]
    pub fn peer(&self, name: &str, queue_cost_ns_max: Option<u64>) -> Arc<Peer> {
        let shared = &self.0.shared;
        let quota = queue_cost_ns_max.unwrap_or(shared.peer_cost_ns_max);
        shared.peers.get(name, quota)
    }

    /// Stops taking calls, answers all that were accepted, and joins the workers. Returns false if that
    /// took longer than `patience`.
    pub fn drain(&self, patience: Duration) -> bool {
        self.0.shared.draining.store(true, Ordering::Release);
        self.0.shared.parking.close();
        let mut threads = self
            .0
            .threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for mailbox in &self.0.mailboxes {
            // A full mailbox is emptied by a worker that will then find `draining` set itself; one that
            // nobody reads any more needs no telling.
            let _ = mailbox.try_send(Mail::Wake);
        }
        let all_ended = threads.ended.recv_timeout(patience) == Err(RecvTimeoutError::Disconnected);
        if all_ended {
            for handle in threads.handles.drain(..) {
                let _ = handle.join();
            }
        }
        all_ended
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Engine({} workers)", self.workers())
    }
}

fn publish(metrics: &Metrics, report: TableReport) {
    let gauge = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
    metrics.key_tables.set(gauge(report.tables));
    metrics.key_table_bytes.set(gauge(report.bytes));
    metrics.key_tables_built.inc_by(report.built);
    metrics.key_tables_evicted.inc_by(report.evicted);
    metrics.key_tables_corrupt.inc_by(report.corrupt);
    for report in crypto::kernels() {
        publish_kernel(metrics, &report);
    }
}

fn publish_kernel(metrics: &Metrics, report: &KernelReport) {
    let (alg, kernel) = (
        Algorithm::of_scheme(report.scheme).name(),
        report.tier.name(),
    );
    let labels = KernelLabels { alg, kernel };
    let enabled = metrics.kernel_enabled.get_or_create_owned(&labels);
    enabled.set(i64::from(report.is_on));
    // The guard counts for the whole process; here the sums are only shown.
    let show = |counter: Counter, sum| counter.inner().store(sum, Ordering::Relaxed);
    show(
        metrics.kernel_checks.get_or_create_owned(&labels),
        report.checks,
    );
    show(
        metrics.kernel_disagreements.get_or_create_owned(&labels),
        report.disagreements,
    );
    for (why, sum) in [
        ("canary", report.canaries),
        ("refused", report.confirmed),
        ("accepted", report.shadowed),
    ] {
        let labels = ReviewLabels { alg, kernel, why };
        show(metrics.kernel_reviews.get_or_create_owned(&labels), sum);
    }
}

/// The CPU of each worker, or none where the system may choose.
fn places(cpus: &[usize]) -> Vec<Option<usize>> {
    if cpus.is_empty() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        return vec![None; cores.saturating_sub(1).max(1)];
    }
    cpus.iter().copied().map(Some).collect()
}

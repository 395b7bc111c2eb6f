//! Pinned workers, bounded mailboxes, natural batches.
//!
//! A caller's thread answers cache hits itself; misses go to workers, each token to the worker that its
//! digest picks, so that identical tokens in flight meet and are verified once. A worker takes what has
//! queued, shares its time fairly among peers, and never works longer than about 200 µs before it looks
//! at its mailbox again. A worker's panic loses no reply.

use crate::cache::{self, Cache};
use crate::clock::{Clock, Now};
use crate::metrics::Metrics;
use crate::verdict::Verdict;
use crate::verify::{PolicyId, Records, Want};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

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
}

/// Who asks: the unit of fairness and quota. One per Unix uid, or per HTTP client address.
pub struct Peer {}

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
}

/// Takes the verdicts of one call, in the order of its tokens. Called exactly once, on any thread.
pub type Reply = Box<dyn FnOnce(Vec<Verdict>) + Send>;

/// The running engine. Clones are handles to the same one.
#[derive(Clone)]
pub struct Engine {}

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
        _options: &Options,
        _records: Arc<Records>,
        _clock: Clock,
        _metrics: Arc<Metrics>,
    ) -> Result<Self, EngineError> {
        todo!()
    }

    /// Answers a call: at once, as the return value, when the cache or the tokens' own malformation decide
    /// every token on this thread; otherwise `None`, and `reply` is called exactly once when the workers are
    /// done, the deadline has passed, or the engine refuses for load.
    pub fn ask(
        &self,
        _call: Call,
        _now: Now,
        _reply: impl FnOnce(Vec<Verdict>) + Send + 'static,
    ) -> Option<Vec<Verdict>> {
        todo!()
    }

    /// Swaps the records. Calls in flight finish under the snapshot they began with.
    pub fn set_records(&self, _records: Arc<Records>) {
        todo!()
    }

    /// The current records.
    #[must_use]
    pub fn records(&self) -> Arc<Records> {
        todo!()
    }

    /// The clock all decisions use.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        todo!()
    }

    /// The cache, for metrics.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        todo!()
    }

    /// A peer with a quota of queued work in nanoseconds of estimated cost (`None`: the engine's default).
    #[must_use]
    pub fn peer(&self, _name: &str, _queue_cost_ns_max: Option<u64>) -> Arc<Peer> {
        todo!()
    }

    /// Stops taking calls, answers all that were accepted, and joins the workers. Returns false if that
    /// took longer than `patience`.
    pub fn drain(&self, _patience: Duration) -> bool {
        todo!()
    }
}

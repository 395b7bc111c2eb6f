//! Bookkeeping of one call: its tokens are answered one by one, by several workers perhaps, and the last
//! answer completes it.
//!
//! Every token that is on its way is held as a [`Ticket`], and a ticket answers when it is dropped. So no
//! path, not even an unwinding one, can lose a reply.
#![forbid(unsafe_code)]

use super::budget::Budget;
use super::missing::LOOKS_MAX;
use super::settling::Decided;
use super::{Call, Peer, Reply};
use crate::clock::{self, Now};
use crate::verdict::{Unavailable, Verdict};
use crate::verify::{PolicyId, Question, Records, Want};
use bytes::Bytes;
use prometheus_client::metrics::histogram::Histogram;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A call that could not be answered at once.
pub(super) struct Pending {
    tokens: Vec<Bytes>,
    policy: PolicyId,
    want: Want,
    deadline: Option<Duration>,
    arrived: Now,
    /// The generation of revocations before the first verdict was given.
    generation: u64,
    peer: Arc<Peer>,
    records: Arc<Records>,
    duration: Histogram,
    progress: Mutex<Progress>,
}

struct Progress {
    verdicts: Vec<Verdict>,
    /// Verdicts not known yet, and one for the asking thread while it hands out tickets.
    missing: usize,
    reply: Option<Reply>,
}

/// When a call began.
pub(super) struct Began {
    pub(super) now: Now,
    /// The generation of revocations then.
    pub(super) generation: u64,
}

/// One token on its way. Dropping it gives the answer it carries; until told otherwise that is
/// `overloaded`.
pub(super) struct Ticket {
    call: Arc<Pending>,
    index: usize,
    verdict: Verdict,
    cost_ns: u64,
    queue: Arc<Budget>,
    /// Whether its cost is set aside in the budgets.
    is_queued: bool,
    /// The snapshot it is verified under, where that is a later one than the call's.
    renewed: Option<Arc<Records>>,
    /// How often it may still be verified again.
    looks_left: u8,
}

impl Pending {
    /// Opens a call. Of its `verdicts`, `missing` are not known yet: for each there must be a
    /// [`Self::ticket`], or it must be [`Self::settle`]d. The asking thread must [`Self::close`] it.
    pub(super) fn open(
        call: Call,
        began: Began,
        records: Arc<Records>,
        verdicts: Vec<Verdict>,
        missing: usize,
        reply: Reply,
        duration: Histogram,
    ) -> Arc<Self> {
        Arc::new(Self {
            tokens: call.tokens,
            policy: call.policy,
            want: call.want,
            deadline: call.deadline,
            arrived: began.now,
            generation: began.generation,
            peer: call.peer,
            records,
            duration,
            progress: Mutex::new(Progress {
                verdicts,
                missing: missing + 1,
                reply: Some(reply),
            }),
        })
    }

    /// The tokens.
    pub(super) fn tokens(&self) -> &[Bytes] {
        &self.tokens
    }

    /// Who asks.
    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The snapshot the call began with, and will finish with.
    pub(super) fn records(&self) -> &Records {
        &self.records
    }

    /// Whether the caller has stopped waiting.
    pub(super) fn is_overdue(&self, now: Duration) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Settles one verdict that needs no worker.
    pub(super) fn settle(&self, index: usize, verdict: Verdict) {
        let mut progress = self.lock();
        progress.set(index, verdict);
        // Never the last: the asking thread has not closed the call yet.
        progress.missing -= 1;
    }

    /// Sends one token on its way. Its cost has been set aside in the queue's budget and in the peer's.
    pub(super) fn ticket(
        self: &Arc<Self>,
        index: usize,
        cost_ns: u64,
        queue: Arc<Budget>,
    ) -> Ticket {
        Ticket {
            call: Arc::clone(self),
            index,
            verdict: Unavailable::OVERLOADED.into(),
            cost_ns,
            queue,
            is_queued: true,
            renewed: None,
            looks_left: LOOKS_MAX,
        }
    }

    /// All tickets have been handed out. If all are back already, these are the verdicts, and the reply will
    /// not be called.
    pub(super) fn close(&self) -> Option<Vec<Verdict>> {
        let (verdicts, reply) = self.lock().arrive()?;
        let (verdicts, _reply) = self.settled(verdicts, reply?)?;
        Some(verdicts)
    }

    fn deliver(&self, index: usize, verdict: Verdict) {
        let complete = {
            let mut progress = self.lock();
            progress.set(index, verdict);
            progress.arrive()
        };
        if let Some((verdicts, Some(reply))) = complete
            && let Some((verdicts, reply)) = self.settled(verdicts, reply)
        {
            let took = clock::since_boot().saturating_sub(self.arrived.since_boot);
            self.duration.observe(took.as_secs_f64());
            // A reply that panics has had its call; the worker and other callers are not to suffer.
            let _ = catch_unwind(AssertUnwindSafe(|| reply(verdicts)));
        }
    }

    /// The verdicts as they are to be given, and the reply to give; `None` where others are asked first, and the
    /// reply is given then.
    fn settled(&self, verdicts: Vec<Verdict>, reply: Reply) -> Option<(Vec<Verdict>, Reply)> {
        let generation = self.records.revocation_generation();
        let decided = Decided {
            records: &self.records,
            tokens: &self.tokens,
            policy: self.policy,
            verdicts: self.reconsidered(verdicts),
            generation,
        };
        decided.settle(reply, self.arrived)
    }

    /// The verdicts as they are now. The first of them may have waited long for the last, and an order that has come
    /// meanwhile is not to be answered around.
    fn reconsidered(&self, mut verdicts: Vec<Verdict>) -> Vec<Verdict> {
        if self.records.revocation_generation() != self.generation {
            let now = Now {
                since_boot: clock::since_boot(),
                ..self.arrived
            };
            for (token, verdict) in self.tokens.iter().zip(&mut verdicts) {
                self.records.reconsider(token, verdict, now);
            }
        }
        verdicts
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    fn set(&mut self, index: usize, verdict: Verdict) {
        if let Some(place) = self.verdicts.get_mut(index) {
            *place = verdict;
        }
    }

    fn arrive(&mut self) -> Option<(Vec<Verdict>, Option<Reply>)> {
        self.missing -= 1;
        (self.missing == 0).then(|| (std::mem::take(&mut self.verdicts), self.reply.take()))
    }
}

impl Ticket {
    /// Answers.
    pub(super) fn answer(mut self, verdict: impl Into<Verdict>) {
        self.prepare(verdict.into());
    }

    /// Sets what the ticket will say when it is dropped.
    pub(super) fn prepare(&mut self, verdict: Verdict) {
        self.verdict = verdict;
    }

    /// What is asked.
    pub(super) fn question(&self) -> Question<'_> {
        Question {
            token: &self.call.tokens[self.index],
            policy: self.call.policy,
            want: &self.call.want,
        }
    }

    /// The snapshot it is verified under: the one the call began with, unless it was renewed.
    pub(super) fn records(&self) -> &Arc<Records> {
        self.renewed.as_ref().unwrap_or(&self.call.records)
    }

    /// It is to be verified once more, under this snapshot.
    pub(super) fn renew(&mut self, records: Arc<Records>) {
        self.renewed = Some(records);
        self.looks_left = self.looks_left.saturating_sub(1);
    }

    /// How often it may still be verified again.
    pub(super) fn looks_left(&self) -> u8 {
        self.looks_left
    }

    /// Gives its room back for as long as nothing is done about it.
    pub(super) fn step_aside(&mut self) {
        if std::mem::take(&mut self.is_queued) {
            self.queue.release(self.cost_ns);
            self.call.peer.budget.release(self.cost_ns);
        }
    }

    /// Takes room again, if there is.
    pub(super) fn step_in(&mut self) -> bool {
        if self.is_queued {
            return true;
        }
        if !self.call.peer.budget.reserve(self.cost_ns) {
            return false;
        }
        if !self.queue.reserve(self.cost_ns) {
            self.call.peer.budget.release(self.cost_ns);
            return false;
        }
        self.is_queued = true;
        true
    }

    /// Who asks, as the scheduler knows it.
    pub(super) fn peer(&self) -> u64 {
        self.call.peer.number()
    }

    /// What the work was estimated to cost.
    pub(super) fn cost_ns(&self) -> u64 {
        self.cost_ns
    }

    /// When the call arrived, as time since boot.
    pub(super) fn arrived(&self) -> Duration {
        self.call.arrived.since_boot
    }

    /// Whether the caller has stopped waiting.
    pub(super) fn is_overdue(&self, now: Duration) -> bool {
        self.call.is_overdue(now)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // Room first, then the answer: who is answered may ask again at once.
        self.step_aside();
        let verdict = std::mem::replace(&mut self.verdict, Unavailable::OVERLOADED.into());
        self.call.deliver(self.index, verdict);
    }
}

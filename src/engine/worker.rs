//! A worker: takes what has queued, forms a batch, verifies it, answers.
//!
//! Nothing that happens while a batch is verified can lose a reply. A panic makes the batch be verified
//! again token by token, so that the one token that causes it costs only itself; a panic anywhere else
//! makes the worker start afresh, and the tickets it held answer by being dropped.
#![forbid(unsafe_code)]

use super::KERNEL_STACK_BYTES;
use super::call::Ticket;
use super::flights::{Flight, FlightKey, Flights};
use super::missing;
use super::schedule::{BatchLimits, Schedule};
use super::shared::Shared;
use crate::cache::Digest;
use crate::clock::{self, Now};
use crate::verdict::{Unavailable, Verdict};
use crate::verify::{Answer, Question, Recalled, Records, Scratch, Want, verify_batch};
use core_affinity::CoreId;
use crossbeam_channel::{Receiver, Sender};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

/// A busy worker publishes its gauges once in so many batches; one with nothing left to do, at once.
const PUBLISH_BATCHES: u64 = 16;

/// What a worker finds in its mailbox.
pub(super) enum Mail {
    /// Tokens of one call, by their digests.
    Parcel(Vec<(Digest, Ticket)>),
    /// Nothing but the hint to look around.
    Wake,
}

/// A worker before its thread is started, and the part of it that survives a panic.
pub(super) struct Worker {
    pub(super) index: usize,
    pub(super) shared: Arc<Shared>,
    pub(super) mailbox: Receiver<Mail>,
    pub(super) limits: BatchLimits,
    /// How long to wait for company before a batch that is not full is begun.
    pub(super) company_wait: Duration,
    /// Disconnects when the last worker has ended.
    pub(super) _alive: Sender<()>,
}

impl Worker {
    /// Starts the worker's thread, pinned to `cpu` if the process may use it.
    pub(super) fn spawn(self, cpu: Option<usize>) -> std::io::Result<JoinHandle<()>> {
        let name = format!("jotd-verify-{}", self.index);
        std::thread::Builder::new()
            .name(name)
            .stack_size(KERNEL_STACK_BYTES)
            .spawn(move || {
                if let Some(cpu) = cpu {
                    pin(self.index, cpu);
                }
                self.run();
            })
    }

    /// Works until there is nothing left to do, through any panic.
    fn run(self) {
        while let Err(panic) = catch_unwind(AssertUnwindSafe(|| Bench::new(&self).run())) {
            self.healed(panic);
        }
    }

    fn healed(&self, panic: Box<dyn Any + Send>) {
        self.shared.metrics.worker_panics.inc();
        tracing::error!(worker = self.index, "a worker panicked and was healed");
        // What was thrown may be anything, and may throw again when it is dropped.
        if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
            std::mem::forget(again);
        }
    }
}

/// Unpinned work is slower, not wrong: a CPU that the process may not use is worth a warning.
fn pin(worker: usize, cpu: usize) {
    let allowed = core_affinity::get_core_ids().unwrap_or_default();
    if !allowed.contains(&CoreId { id: cpu }) || !core_affinity::set_for_current(CoreId { id: cpu })
    {
        tracing::warn!(worker, cpu, "a worker could not be pinned to its CPU");
    }
}

/// What lies on a worker's bench: all that is lost when it panics.
struct Bench<'w> {
    worker: &'w Worker,
    shared: &'w Shared,
    flights: Flights,
    schedule: Schedule<FlightKey>,
    scratch: Scratch,
    batch: Vec<Flight>,
    answers: Vec<Answer>,
    batches: u64,
}

impl<'w> Bench<'w> {
    fn new(worker: &'w Worker) -> Self {
        Self {
            worker,
            shared: &worker.shared,
            flights: Flights::default(),
            schedule: Schedule::new(),
            scratch: Scratch::default(),
            batch: Vec::new(),
            answers: Vec::new(),
            batches: 0,
        }
    }

    fn run(&mut self) {
        while self.receive() {
            self.form_batch();
            if !self.batch.is_empty() {
                self.work();
            }
            self.batches += 1;
            if self.schedule.len() == 0 || self.batches.is_multiple_of(PUBLISH_BATCHES) {
                self.publish();
            }
        }
    }

    /// Takes what is in the mailbox, waiting if there is nothing else to do. False once there never will
    /// be.
    fn receive(&mut self) -> bool {
        if self.schedule.len() == 0 {
            let mail = if self.shared.draining.load(Ordering::Acquire) {
                self.worker.mailbox.try_recv().ok()
            } else {
                self.worker.mailbox.recv().ok()
            };
            let Some(mail) = mail else {
                return false;
            };
            self.accept(mail);
            self.wait_for_company();
        }
        while let Ok(mail) = self.worker.mailbox.try_recv() {
            self.accept(mail);
        }
        true
    }

    fn wait_for_company(&mut self) {
        if self.worker.company_wait.is_zero() {
            return;
        }
        let until = clock::since_boot() + self.worker.company_wait;
        while self.schedule.len() < self.worker.limits.tokens_max {
            let left = until.saturating_sub(clock::since_boot());
            if left.is_zero() || self.shared.draining.load(Ordering::Relaxed) {
                return;
            }
            match self.worker.mailbox.recv_timeout(left) {
                Ok(mail) => self.accept(mail),
                Err(_) => return,
            }
        }
    }

    fn accept(&mut self, mail: Mail) {
        let Mail::Parcel(parcel) = mail else {
            return;
        };
        for (digest, ticket) in parcel {
            let (peer, cost_ns) = (ticket.peer(), ticket.cost_ns());
            if let Some(key) = self.flights.board(digest, ticket) {
                self.schedule.push(peer, cost_ns, key);
            }
        }
    }

    fn form_batch(&mut self) {
        let now = clock::since_boot();
        let (flights, shed) = (&mut self.flights, &self.shared.shed.deadline);
        let overdue = |ticket: Ticket| {
            shed.inc();
            ticket.answer(Unavailable::DEADLINE);
        };
        self.schedule.take(
            self.worker.limits,
            |key| flights.depart(&key, now, overdue),
            &mut self.batch,
        );
    }

    fn work(&mut self) {
        let now = self.shared.clock.now();
        self.answer_from_cache(now);
        if self.batch.is_empty() {
            return;
        }
        self.observe(now);
        // Hardly ever are there two snapshots in one batch; each is verified by itself.
        self.batch
            .sort_by_key(|flight| Arc::as_ptr(flight.records()).addr());
        self.answers.clear();
        for group in self
            .batch
            .chunk_by(|a, b| Arc::ptr_eq(a.records(), b.records()))
        {
            let questions: Vec<Question<'_>> =
                group.iter().map(|flight| flight.first.question()).collect();
            let verify = Verify {
                worker: self.worker,
                records: group[0].records(),
                now,
            };
            verify.all(&questions, &mut self.scratch, &mut self.answers);
        }
        let mut again = Vec::new();
        for (flight, answer) in self.batch.drain(..).zip(self.answers.drain(..)) {
            remember(self.shared, &flight, &answer);
            missing::settle(self.shared, flight, answer, now, &mut again);
        }
        self.accept(Mail::Parcel(again));
    }

    /// Another batch may have verified a token while it waited.
    fn answer_from_cache(&mut self, now: Now) {
        let shared = self.shared;
        let known = self
            .batch
            .extract_if(.., |flight| recall(shared, flight, now));
        for flight in known {
            // Dropping a flight lands it.
            shared.metrics.coalesced.inc_by(flight.tickets() as u64);
        }
    }

    fn observe(&self, now: Now) {
        let metrics = &self.shared.metrics;
        #[expect(
            clippy::cast_precision_loss,
            reason = "a batch has at most 1,024 tokens"
        )]
        metrics.batch_size.observe(self.batch.len() as f64);
        let oldest = self.batch.iter().map(|flight| flight.first.arrived()).min();
        let waited = now.since_boot.saturating_sub(oldest.unwrap_or_default());
        metrics.queue_wait_seconds.observe(waited.as_secs_f64());
    }

    fn publish(&self) {
        let metrics = &self.shared.metrics;
        let entries = i64::try_from(self.shared.cache.len()).unwrap_or(i64::MAX);
        metrics.cache_entries.set(entries);
        let queued_ns: u64 = self.shared.queues.iter().map(|queue| queue.used_ns()).sum();
        let queued = Duration::from_nanos(queued_ns).as_secs_f64();
        metrics.queue_cost_seconds.set(queued);
        let parked = i64::try_from(self.shared.parking.len()).unwrap_or(i64::MAX);
        metrics.tokens_parked.set(parked);
    }
}

/// Verifies questions of one snapshot, whatever goes wrong.
struct Verify<'v> {
    worker: &'v Worker,
    records: &'v Records,
    now: Now,
}

impl Verify<'_> {
    /// Appends one answer a question to `answers`.
    fn all(&self, questions: &[Question<'_>], scratch: &mut Scratch, answers: &mut Vec<Answer>) {
        let before = answers.len();
        if self.attempt(questions, scratch, answers) {
            return;
        }
        for question in questions {
            if !self.attempt(std::slice::from_ref(question), scratch, answers) {
                answers.push(Answer {
                    verdict: Unavailable::OVERLOADED.into(),
                    remember: None,
                    missing_key_of: None,
                    missing_tenant: None,
                });
            }
        }
        debug_assert_eq!(answers.len(), before + questions.len());
    }

    /// Verifies the questions together; false if that panicked, with `answers` and `scratch` as new.
    fn attempt(
        &self,
        questions: &[Question<'_>],
        scratch: &mut Scratch,
        answers: &mut Vec<Answer>,
    ) -> bool {
        let before = answers.len();
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            if let Some(fault) = &self.worker.shared.fault {
                fault(questions);
            }
            verify_batch(self.records, questions, self.now, scratch, answers);
        }));
        let Err(panic) = attempt else {
            return true;
        };
        self.worker.healed(panic);
        *scratch = Scratch::default();
        answers.truncate(before);
        false
    }
}

/// Prepares the answers of all who wait for a token, if the cache has them.
fn recall(shared: &Shared, flight: &mut Flight, now: Now) -> bool {
    let Flight {
        digest,
        first,
        others,
    } = flight;
    std::iter::once(first).chain(others).all(|ticket| {
        let known = shared.recall(ticket.records(), ticket.question(), digest, now);
        known.map(|verdict| ticket.prepare(verdict)).is_some()
    })
}

/// Keeps what verification found out, under the generation that was loaded before it began.
fn remember(shared: &Shared, flight: &Flight, answer: &Answer) {
    if let Some(remember) = answer.remember {
        flight.records().note_use(&remember.entry);
        let evicted = shared
            .cache
            .insert(&flight.digest, remember.entry, remember.share);
        if evicted {
            shared.metrics.cache_evictions.inc();
        }
    }
}

/// The verdict on an encrypted token for one who wants other claims of it: what is in it was not kept.
fn verify_again(ticket: &Ticket, now: Now) -> Verdict {
    let mut answers = Vec::with_capacity(1);
    verify_batch(
        ticket.records(),
        &[ticket.question()],
        now,
        &mut Scratch::default(),
        &mut answers,
    );
    let answer = answers.pop();
    answer.map_or(Unavailable::OVERLOADED.into(), |answer| answer.verdict)
}

/// Answers all who waited for a token.
pub(super) fn land(shared: &Shared, flight: Flight, answer: Answer, now: Now) {
    let Flight { first, others, .. } = flight;
    if !others.is_empty() {
        shared.metrics.coalesced.inc_by(others.len() as u64);
    }
    // An encrypted token is opened once for all who want the same of it.
    let mut opened: Option<(Want, Verdict)> = None;
    for ticket in others {
        let question = ticket.question();
        let verdict = match (&answer.verdict, &answer.remember) {
            // Claims differ by what each caller wants of them; they are read from its own token.
            (Verdict::Valid(_), Some(remember)) if question.want != first.question().want => {
                match ticket.records().recall(question, &remember.entry, now) {
                    Recalled::Answer(verdict) | Recalled::Renewed(verdict, _) => verdict,
                    Recalled::Closed => match &opened {
                        Some((want, verdict)) if want == question.want => verdict.clone(),
                        _ => {
                            let verdict = verify_again(&ticket, now);
                            opened = Some((question.want.clone(), verdict.clone()));
                            verdict
                        }
                    },
                    Recalled::Stale => Unavailable::OVERLOADED.into(),
                }
            }
            (verdict, _) => verdict.clone(),
        };
        ticket.answer(verdict);
    }
    first.answer(answer.verdict);
}

//! Looks after one log while the reader reads: writes signs of life, compares what is known with what the log
//! holds, and writes back what it lacks. All of it is idempotent, so any number of daemons may do the same.
#![forbid(unsafe_code)]

use super::lane::{Lane, Wire};
use super::reader::{Held, hold};
use super::timing::{Mutant, Timing};
use super::wire::{Ask, Fault, Millis, Reply};
use crate::revocation::Record;
use std::collections::VecDeque;

/// Longest wait before repairs begin: many daemons find the same loss at the same moment.
const REPAIR_DELAY_MS_MAX: Millis = 100;

/// Pause between two batches of repairs: 64 records each, so about 12,000 a second.
const REPAIR_PAUSE_MS: Millis = 5;

/// Pause between two sweeps of what has expired.
const PRUNE_MS: Millis = 60_000;

/// What the keeper wants done.
#[derive(Debug)]
pub(crate) enum Chore {
    Wire(Wire),
    /// A comparison has seen all that the log holds.
    Compared(Held),
}

#[derive(Debug)]
pub(crate) struct Keeper {
    timing: Timing,
    lane: Lane,
    work: Work,
    beat_at: Millis,
    audit_at: Millis,
    prune_at: Millis,
    repair_at: Millis,
    repairs: VecDeque<Record>,
    repaired: u64,
}

#[derive(Debug)]
enum Work {
    None,
    Beating,
    Pruning,
    Comparing(Held),
    Filling(Vec<Record>),
}

impl Keeper {
    /// `is_warm`: the reader begins at a remembered position, so nothing has been compared yet.
    pub(crate) fn new(timing: Timing, seed: u64, is_warm: bool, now: Millis) -> Self {
        let mut lane = Lane::new(seed);
        let audit_in = if is_warm {
            1
        } else {
            lane.jitter().spread(timing.audit_ms)
        };
        Self {
            timing,
            prune_at: now + lane.jitter().spread(PRUNE_MS),
            lane,
            work: Work::None,
            beat_at: now,
            audit_at: now + audit_in,
            repair_at: now,
            repairs: VecDeque::new(),
            repaired: 0,
        }
    }

    pub(crate) fn start(&mut self) -> Vec<Chore> {
        vec![Chore::Wire(Wire::Connect { after_ms: 0 })]
    }

    pub(crate) fn connected(&mut self) {
        self.lane.opened();
        self.lane.is_well();
    }

    pub(crate) fn disconnected(&mut self) -> Vec<Chore> {
        if let Work::Filling(batch) = std::mem::replace(&mut self.work, Work::None) {
            self.repairs.extend(batch);
        }
        vec![Chore::Wire(self.lane.drop_and_retry())]
    }

    /// The log lacks these. What it has by the time they are written is not written again.
    pub(crate) fn repair(&mut self, lacking: Vec<Record>, now: Millis) {
        if lacking.is_empty() || self.timing.errs(Mutant::NeverRepairs) {
            return;
        }
        if self.repairs.is_empty() {
            self.repair_at = now + self.lane.jitter().next() % REPAIR_DELAY_MS_MAX;
        }
        self.repairs.extend(lacking);
    }

    /// Compare everything soon.
    pub(crate) fn compare_soon(&mut self, now: Millis) {
        self.audit_at = now;
    }

    /// Takes up what is due. `epoch` is what the reader reads in; without one, nothing is done.
    pub(crate) fn tick(&mut self, epoch: Option<u64>, now: Millis) -> Vec<Chore> {
        let Some(epoch) = epoch.filter(|_| self.lane.is_idle()) else {
            return Vec::new();
        };
        let ask = if now >= self.beat_at {
            // Counted from when it was due, so that a slow answer does not thin them out.
            self.beat_at = now + self.timing.beat_ms;
            self.work = Work::Beating;
            Ask::Beat { epoch }
        } else if !self.repairs.is_empty() && now >= self.repair_at {
            let many = self.repairs.len().min(super::WRITE_RECORDS_MAX);
            let records: Vec<_> = self.repairs.drain(..many).collect();
            self.work = Work::Filling(records.clone());
            Ask::Fill { epoch, records }
        } else if let Work::Comparing(_) = self.work {
            return Vec::new();
        } else if now >= self.audit_at {
            self.audit_at = now + self.lane.jitter().spread(self.timing.audit_ms);
            self.work = Work::Comparing(Held::new());
            Ask::Page { cursor: 0 }
        } else if now >= self.prune_at {
            self.prune_at = now + self.lane.jitter().spread(PRUNE_MS);
            self.work = Work::Pruning;
            Ask::Prune
        } else {
            return Vec::new();
        };
        vec![Chore::Wire(self.lane.ask(ask, now))]
    }

    pub(crate) fn answered(
        &mut self,
        ticket: u64,
        reply: Result<Reply, Fault>,
        now: Millis,
    ) -> Vec<Chore> {
        if self.lane.accept(ticket).is_none() {
            return Vec::new();
        }
        match (reply, std::mem::replace(&mut self.work, Work::None)) {
            (Ok(Reply::Done), Work::Beating | Work::Pruning) => Vec::new(),
            (Ok(Reply::Written { .. }), Work::Filling(batch)) => {
                self.repaired += batch.len() as u64;
                self.repair_at = now + REPAIR_PAUSE_MS;
                Vec::new()
            }
            (Ok(Reply::Page { next, records, .. }), Work::Comparing(mut held)) => {
                hold(&mut held, &records);
                if next == 0 {
                    return vec![Chore::Compared(held)];
                }
                self.work = Work::Comparing(held);
                vec![Chore::Wire(self.lane.ask(Ask::Page { cursor: next }, now))]
            }
            // It does not take writes now, or the reader will know of a new epoch soon.
            (Err(Fault::Refused | Fault::Fenced), Work::Filling(batch)) => {
                self.repairs.extend(batch);
                self.repair_at = now + self.timing.retry_ms;
                Vec::new()
            }
            (Err(Fault::Refused | Fault::Fenced), Work::Beating | Work::Pruning) => {
                self.beat_at = now + self.timing.retry_ms.min(self.timing.beat_ms);
                Vec::new()
            }
            (_, work) => {
                self.work = work;
                self.disconnected()
            }
        }
    }

    /// When there will be something to do without being told.
    pub(crate) fn next_wake(&self) -> Millis {
        let mut due = self.beat_at.min(self.audit_at).min(self.prune_at);
        if !self.repairs.is_empty() {
            due = due.min(self.repair_at);
        }
        if self.lane.is_idle() {
            due
        } else {
            Millis::MAX
        }
    }

    /// Records still to be written back, and written back so far.
    pub(crate) fn repairs(&self) -> (usize, u64) {
        (self.repairs.len(), self.repaired)
    }
}

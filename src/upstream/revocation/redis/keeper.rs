//! Looks after one log while the reader reads: writes signs of life, compares what is known with what the log
//! holds, and writes back what it lacks. All of it is idempotent, so any number of daemons may do the same.
#![forbid(unsafe_code)]

use super::held::{Held, hold};
use super::lane::{Lane, Wire};
use super::roll::Roll;
use super::timing::{Mutant, Timing};
use super::wire::{Ask, Cursor, Fault, Millis, Position, Reply};
use crate::revocation::Record;
use std::collections::VecDeque;

/// Longest wait before repairs begin: many daemons find the same loss at the same moment.
const REPAIR_DELAY_MS_MAX: Millis = 100;

/// Pause between two batches of repairs: 64 records each, so about 12,000 a second.
const REPAIR_PAUSE_MS: Millis = 5;

/// Pause between two sweeps of what has expired, and between two parts of one.
const PRUNE_MS: Millis = 60_000;
const PRUNE_PAUSE_MS: Millis = 20;

/// Pause between two looks at who has applied what, while somebody waits for that.
const CALL_PAUSE_MS: Millis = 2;

/// What the keeper wants done.
#[derive(Debug)]
pub(crate) enum Chore {
    Wire(Wire),
    /// A comparison has seen all that the log holds.
    Compared(Held),
}

/// Where the reading of a log begins, and what is known of what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// How far it had been read into what the register was filled with.
    pub(crate) cursor: Option<Cursor>,
    /// Whether it held all that the register was filled with.
    pub(crate) is_settled: bool,
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
    /// Whether all that this host knows has been held against the log, since the start or before it.
    is_compared: bool,
    /// Where the last of what was written back stands.
    filled_to: Position,
    roll: Roll,
    call_at: Millis,
    epoch: Option<u64>,
}

#[derive(Debug)]
enum Work {
    None,
    Beating,
    Pruning,
    Comparing(Held),
    Filling(Vec<Record>),
    Calling,
}

impl Keeper {
    /// Where the reader begins at a remembered position, nothing is compared by it; so it is done here, unless the log
    /// had everything then.
    pub(crate) fn new(timing: Timing, seed: u64, place: Place, now: Millis) -> Self {
        let mut lane = Lane::new(seed);
        let is_compared = place.cursor.is_some() && place.is_settled;
        let audit_in = if place.cursor.is_some() && !is_compared {
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
            is_compared,
            filled_to: Position::default(),
            roll: Roll::new(timing, now),
            call_at: now,
            epoch: None,
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
        match std::mem::replace(&mut self.work, Work::None) {
            Work::Filling(batch) => self.repairs.extend(batch),
            // From the beginning again, as soon as there is a connection.
            Work::Comparing(_) => self.audit_at = 0,
            _ => {}
        }
        vec![Chore::Wire(self.lane.drop_and_retry())]
    }

    /// All has been compared, and the log lacks these. What it has by the time they are written is not written again.
    pub(crate) fn repair(&mut self, lacking: Vec<Record>, now: Millis) {
        self.is_compared = true;
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
        self.is_compared = false;
    }

    /// The log may have lost what it had.
    pub(crate) fn is_broken(&mut self) {
        self.is_compared = false;
    }

    /// Whether the log was seen, up to this cursor, to hold whatever this host knew when it was last compared.
    pub(crate) fn is_settled(&self, cursor: Option<Cursor>) -> bool {
        let is_filling = matches!(self.work, Work::Filling(_)) || !self.repairs.is_empty();
        let is_seen = cursor.is_some_and(|cursor| cursor.at >= self.filled_to);
        self.is_compared && !is_filling && is_seen
    }

    /// Somebody waits for what others have applied.
    pub(crate) fn call_soon(&mut self, now: Millis) {
        self.call_at = self.call_at.min(now + CALL_PAUSE_MS);
    }

    pub(crate) fn roll(&self) -> &Roll {
        &self.roll
    }

    /// Takes up what is due. `epoch` is what the reader reads in; without one, nothing is done.
    pub(crate) fn tick(&mut self, epoch: Option<u64>, now: Millis) -> Vec<Chore> {
        if let Some(epoch) = epoch
            && self.epoch.replace(epoch) != Some(epoch)
        {
            self.roll.reset(epoch, now);
        }
        let Some(epoch) = epoch.filter(|_| self.lane.is_idle()) else {
            return Vec::new();
        };
        let ask = if now >= self.beat_at {
            // Counted from when it was due, so that a slow answer does not thin them out.
            self.beat_at = now + self.timing.beat_ms;
            self.work = Work::Beating;
            Ask::Beat { epoch }
        } else if now >= self.call_at {
            self.call_at = now + self.timing.beat_ms;
            self.work = Work::Calling;
            let outdated = self.roll.outdated();
            Ask::Call { epoch, outdated }
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
        let Some(sent_at) = self.lane.accept(ticket) else {
            return Vec::new();
        };
        match (reply, std::mem::replace(&mut self.work, Work::None)) {
            (Ok(Reply::Done), Work::Beating) => Vec::new(),
            (Ok(Reply::Pruned { is_all }), Work::Pruning) => {
                if !is_all {
                    self.prune_at = now + PRUNE_PAUSE_MS;
                }
                Vec::new()
            }
            (Ok(Reply::Called(present)), Work::Calling) => {
                self.roll.told(present, sent_at, now);
                Vec::new()
            }
            (Ok(Reply::Written { last, .. }), Work::Filling(batch)) => {
                self.filled_to = self.filled_to.max(last);
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
            (Err(Fault::Refused | Fault::Fenced), Work::Calling) => Vec::new(),
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
        due = due.min(self.call_at);
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

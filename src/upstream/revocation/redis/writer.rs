//! Takes orders to all logs, and says when enough of them have one. An order goes on until every log has it,
//! whatever was answered; and a log has it only when the reader has seen it there, because what a server says
//! and then forgets is what this is about.
#![forbid(unsafe_code)]

use super::lane::{Lane, Wire};
use super::outcome::{Order, OrderId, Outcome};
use super::timing::{Mutant, Timing};
use super::wire::{Ask, Cursor, Fault, Look, Millis, Position, Reply};
use crate::revocation::Record;
use std::collections::{BTreeMap, VecDeque};

/// Most records that wait for one log. Beyond it the log is compared as a whole once it answers again.
const QUEUE_RECORDS_MAX: usize = 65_536;

/// What the writer wants done.
#[derive(Debug)]
pub(crate) enum Deed {
    /// For this log.
    Wire(usize, Wire),
    Answer(OrderId, Outcome),
    /// Accepted, and not known to be applied everywhere in time.
    Late(OrderId, Outcome),
    /// More waits for this log than is kept: compare all of it.
    Overflowed(usize),
}

#[derive(Debug)]
pub(crate) struct Writer {
    timing: Timing,
    quorum: usize,
    logs: Vec<Log>,
    orders: BTreeMap<OrderId, Order>,
}

#[derive(Debug)]
struct Log {
    lane: Lane,
    phase: Phase,
    epoch: Option<u64>,
    epoch_max: u64,
    retry_at: Millis,
    /// With the order, while it has not been confirmed here.
    queue: VecDeque<(Option<OrderId>, Record)>,
    /// Written, but not yet seen by the reader.
    unseen: VecDeque<(Position, Record)>,
}

#[derive(Debug)]
enum Phase {
    Idle,
    Looking,
    Opening,
    Writing(Vec<(Option<OrderId>, Record)>),
}

impl Writer {
    pub(crate) fn new(timing: Timing, logs: usize, quorum: usize, seed: u64) -> Self {
        let log = |number: usize| Log {
            lane: Lane::new(seed ^ (number as u64) << 32),
            phase: Phase::Idle,
            epoch: None,
            epoch_max: 0,
            retry_at: 0,
            queue: VecDeque::new(),
            unseen: VecDeque::new(),
        };
        Self {
            timing,
            quorum,
            logs: (0..logs).map(log).collect(),
            orders: BTreeMap::new(),
        }
    }

    pub(crate) fn start(&mut self) -> Vec<Deed> {
        (0..self.logs.len())
            .map(|log| Deed::Wire(log, Wire::Connect { after_ms: 0 }))
            .collect()
    }

    /// The order is safe on this host's disk: take it to the logs.
    pub(crate) fn submit(
        &mut self,
        id: OrderId,
        records: &[Record],
        is_awaited: bool,
        now: Millis,
    ) -> Vec<Deed> {
        let mut deeds = Vec::new();
        let order = Order {
            records: records.len(),
            confirmed: vec![(0, Position::default()); self.logs.len()],
            answer_by: Some(now + self.timing.accept_ms),
            is_awaited,
            accepted_at: None,
        };
        self.orders.insert(id, order);
        for number in 0..self.logs.len() {
            let log = &mut self.logs[number];
            if log.queue.len() + records.len() > QUEUE_RECORDS_MAX {
                log.queue.clear();
                deeds.push(Deed::Overflowed(number));
            }
            log.queue
                .extend(records.iter().map(|record| (Some(id), *record)));
            deeds.extend(self.go_on(number, now));
        }
        deeds
    }

    pub(crate) fn connected(&mut self, log: usize, now: Millis) -> Vec<Deed> {
        self.logs[log].lane.opened();
        self.look(log, now)
    }

    pub(crate) fn disconnected(&mut self, number: usize) -> Vec<Deed> {
        let log = &mut self.logs[number];
        // Whether it was written is not known; twice is harmless.
        log.put_back();
        log.epoch = None;
        vec![Deed::Wire(number, log.lane.drop_and_retry())]
    }

    pub(crate) fn answered(
        &mut self,
        number: usize,
        ticket: u64,
        reply: Result<Reply, Fault>,
        now: Millis,
    ) -> Vec<Deed> {
        let log = &mut self.logs[number];
        if log.lane.accept(ticket).is_none() {
            return Vec::new();
        }
        match (reply, std::mem::replace(&mut log.phase, Phase::Idle)) {
            (Ok(Reply::Look(look)), Phase::Looking) => self.looked(number, &look, now),
            (Ok(Reply::Look(_)), Phase::Opening) => self.look(number, now),
            (Ok(Reply::Written { last, is_durable }), Phase::Writing(batch)) => {
                self.written(number, batch, last, is_durable, now)
            }
            (Err(Fault::Fenced), phase @ Phase::Writing(_)) => {
                log.phase = phase;
                log.put_back();
                self.look(number, now)
            }
            (Err(Fault::Refused), phase) => {
                log.phase = phase;
                log.put_back();
                log.retry_at = now + log.lane.jitter().spread(self.timing.retry_ms);
                Vec::new()
            }
            (_, phase) => {
                log.phase = phase;
                self.disconnected(number)
            }
        }
    }

    /// The reader has applied all up to here: of these the chain will tell if they are ever lost.
    pub(crate) fn seen(&mut self, number: usize, cursor: Cursor) {
        let log = &mut self.logs[number];
        log.epoch_max = log.epoch_max.max(cursor.at.epoch);
        let mut lost = Vec::new();
        while let Some((at, record)) = log.unseen.front().copied() {
            if at > cursor.at {
                break;
            }
            log.unseen.pop_front();
            // It was written in an epoch that has ended, and was not among what that left behind.
            if at.epoch < cursor.at.epoch {
                lost.push((None, record));
            }
        }
        if !self.timing.errs(Mutant::ForgetsUnseen) {
            log.queue.extend(lost);
        }
    }

    /// What was written there and not yet seen may be gone.
    pub(crate) fn broken(&mut self, number: usize) {
        let log = &mut self.logs[number];
        let unseen = std::mem::take(&mut log.unseen);
        if !self.timing.errs(Mutant::ForgetsUnseen) {
            log.queue
                .extend(unseen.into_iter().map(|(_, record)| (None, record)));
        }
    }

    /// Answers what has waited long enough, and tries again what was refused.
    pub(crate) fn tick(&mut self, now: Millis) -> Vec<Deed> {
        let mut deeds = Vec::new();
        for (id, order) in &mut self.orders {
            if order.answer_by.take_if(|by| *by <= now).is_some() {
                deeds.push(match order.accepted_at {
                    Some(_) => Deed::Late(*id, order.outcome(true)),
                    None => Deed::Answer(*id, order.outcome(false)),
                });
            }
        }
        for number in 0..self.logs.len() {
            deeds.extend(self.go_on(number, now));
        }
        self.forget();
        deeds
    }

    pub(crate) fn next_wake(&self) -> Millis {
        let answers = self.orders.values().filter_map(|order| order.answer_by);
        let retries = self
            .logs
            .iter()
            .filter(|log| log.lane.is_idle() && !log.queue.is_empty())
            .map(|log| log.retry_at);
        answers.chain(retries).min().unwrap_or(Millis::MAX)
    }

    /// Orders that are accepted and wait for every daemon: where the logs have them, and since when.
    pub(crate) fn awaiting(
        &self,
    ) -> impl Iterator<Item = (OrderId, Vec<(usize, Position)>, Millis)> {
        self.orders.iter().filter_map(|(id, order)| {
            let since = order.accepted_at.filter(|_| order.answer_by.is_some())?;
            Some((*id, order.outcome(true).revision, since))
        })
    }

    /// Every daemon has applied it.
    pub(crate) fn applied(&mut self, id: OrderId) -> Option<Deed> {
        let order = self.orders.get_mut(&id)?;
        order.answer_by.take()?;
        let outcome = Outcome {
            is_applied: true,
            ..order.outcome(true)
        };
        self.forget();
        Some(Deed::Answer(id, outcome))
    }

    /// Records that wait for a log, or have not been seen there.
    pub(crate) fn backlog(&self, log: usize) -> usize {
        let log = &self.logs[log];
        let writing = match &log.phase {
            Phase::Writing(batch) => batch.len(),
            _ => 0,
        };
        log.queue.len() + log.unseen.len() + writing
    }

    fn look(&mut self, number: usize, now: Millis) -> Vec<Deed> {
        let log = &mut self.logs[number];
        log.phase = Phase::Looking;
        vec![Deed::Wire(
            number,
            log.lane.ask(Ask::Look { at: None }, now),
        )]
    }

    fn looked(&mut self, number: usize, look: &Look, now: Millis) -> Vec<Deed> {
        if !look.is_primary {
            return self.disconnected(number);
        }
        let log = &mut self.logs[number];
        let is_current = look.is_intact && look.head.at.epoch >= log.epoch_max;
        if is_current || (self.timing.errs(Mutant::KeepsEpoch) && look.head.at.epoch > 0) {
            log.lane.is_well();
            log.epoch = Some(look.head.at.epoch);
            log.epoch_max = look.head.at.epoch;
            return self.go_on(number, now);
        }
        log.phase = Phase::Opening;
        let ask = Ask::Open {
            epoch: look.head.at.epoch.max(log.epoch_max) + 1,
            server: look.server,
        };
        vec![Deed::Wire(number, log.lane.ask(ask, now))]
    }

    /// Writes as much of what waits as one call takes: many orders share one confirmation.
    fn go_on(&mut self, number: usize, now: Millis) -> Vec<Deed> {
        let log = &mut self.logs[number];
        if !log.lane.is_idle() || log.queue.is_empty() || now < log.retry_at {
            return Vec::new();
        }
        let Some(epoch) = log.epoch else {
            return self.look(number, now);
        };
        let many = log.queue.len().min(super::WRITE_RECORDS_MAX);
        let batch: Vec<_> = log.queue.drain(..many).collect();
        let records = batch.iter().map(|(_, record)| *record).collect();
        let is_awaited = batch.iter().any(|(id, _)| {
            let order = id.and_then(|id| self.orders.get(&id));
            order.is_some_and(|order| order.is_awaited)
        });
        log.phase = Phase::Writing(batch);
        let ask = Ask::Write {
            epoch,
            records,
            is_awaited,
        };
        vec![Deed::Wire(number, log.lane.ask(ask, now))]
    }

    fn written(
        &mut self,
        number: usize,
        batch: Vec<(Option<OrderId>, Record)>,
        last: Position,
        is_durable: bool,
        now: Millis,
    ) -> Vec<Deed> {
        let log = &mut self.logs[number];
        log.lane.is_well();
        if !is_durable && !self.timing.errs(Mutant::IgnoresDurability) {
            log.phase = Phase::Writing(batch);
            log.put_back();
            log.retry_at = now + log.lane.jitter().spread(self.timing.retry_ms);
            return Vec::new();
        }
        log.unseen
            .extend(batch.iter().map(|(_, record)| (last, *record)));
        // Where nobody reads this log there is no telling what it keeps; a comparison will.
        let surplus = log.unseen.len().saturating_sub(QUEUE_RECORDS_MAX);
        log.unseen.drain(..surplus);
        let mut deeds = Vec::new();
        for id in batch.into_iter().filter_map(|(id, _)| id) {
            let Some(order) = self.orders.get_mut(&id) else {
                continue;
            };
            let confirmed = &mut order.confirmed[number];
            *confirmed = (confirmed.0 + 1, last);
            let quorum = if self.timing.errs(Mutant::AcceptsBeforeQuorum) {
                1
            } else {
                self.quorum
            };
            if order.confirmations() < quorum || order.answer_by.is_none() {
                continue;
            }
            if !order.is_awaited {
                order.answer_by = None;
                deeds.push(Deed::Answer(id, order.outcome(true)));
            } else if order.accepted_at.is_none() {
                order.accepted_at = Some(now);
                order.answer_by = Some(now + self.timing.applied_ms);
            }
        }
        self.forget();
        deeds.extend(self.go_on(number, now));
        deeds
    }

    /// Drops the orders that have been answered: their records go on by themselves.
    fn forget(&mut self) {
        self.orders.retain(|_, order| order.answer_by.is_some());
    }
}

impl Log {
    /// What was being written waits again, first of all.
    fn put_back(&mut self) {
        if let Phase::Writing(batch) = std::mem::replace(&mut self.phase, Phase::Idle) {
            for waiting in batch.into_iter().rev() {
                self.queue.push_front(waiting);
            }
        }
    }
}

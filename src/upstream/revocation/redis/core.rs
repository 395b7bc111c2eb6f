//! Reader, keeper and writer of all logs, wired to each other: one machine that is fed what happened and says
//! what to do. The daemon's tasks and the simulator run this very code.
#![forbid(unsafe_code)]

use super::held::lacking;
use super::keeper::{Chore, Keeper, Place};
use super::lane::Wire;
use super::outcome::{OrderId, Outcome};
use super::reader::{Act, Counts, Reader};
use super::roll::{Roll, silent};
use super::state::LogState;
use super::timing::Timing;
use super::wire::{Fault, Millis, Position, Reply};
use super::writer::{Deed, Writer};
use crate::revocation::Record;
use std::sync::Arc;

/// All that this host knows to be revoked.
pub trait Known {
    /// Takes these in, so that no verdict that is decided from now on misses them.
    fn learn(&mut self, records: &[Record]);
    /// All of it. What is learnt meanwhile may be missing.
    fn each(&self, see: &mut dyn FnMut(Record));
    /// How the logs stand, from now on.
    fn stand(&mut self, view: &super::View);
}

/// Which of a log's three connections: a blocking read, a `WAIT` and a scan would hold each other up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum LaneName {
    Read,
    Keep,
    Write,
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Wire(usize, LaneName, Wire),
    Answer(OrderId, Outcome),
}

/// How far all logs together can be relied upon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// That of as many logs as a quorum of readers needs.
    pub state: LogState,
    /// When, in milliseconds since boot, all that was accepted had surely been applied.
    pub fresh_at_ms: Option<u64>,
}

/// One log, for metrics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    pub(crate) state: LogState,
    pub(crate) fresh_at: Option<Millis>,
    pub(crate) counts: Counts,
    pub(crate) backlog: usize,
    pub(crate) repairs_waiting: usize,
    pub(crate) repaired: u64,
}

#[derive(Debug)]
pub(crate) struct Core {
    readers: Vec<Reader>,
    keepers: Vec<Keeper>,
    writer: Writer,
    write_quorum: usize,
    /// How many logs have to be live so that one of them holds whatever a quorum of logs has confirmed.
    read_quorum: usize,
    /// This daemon's own name in the logs.
    host: Arc<str>,
}

impl Core {
    /// Where to begin in each log. `write_quorum` is from 1 to their number; no other daemon has this name.
    pub(crate) fn new(
        timing: Timing,
        places: &[Place],
        write_quorum: usize,
        host: Arc<str>,
        seed: u64,
        now: Millis,
    ) -> Self {
        let logs = places.len();
        let seeds = |number: usize| {
            seed.wrapping_add(number as u64)
                .wrapping_mul(0x2545_f491_4f6c_dd1d)
        };
        let reader =
            |(log, place): (usize, &Place)| Reader::new(timing, seeds(3 * log), place.cursor);
        let keeper =
            |(log, place): (usize, &Place)| Keeper::new(timing, seeds(3 * log + 1), *place, now);
        Self {
            readers: places.iter().enumerate().map(reader).collect(),
            keepers: places.iter().enumerate().map(keeper).collect(),
            writer: Writer::new(timing, logs, write_quorum, seeds(2)),
            write_quorum,
            host,
            read_quorum: (logs + 1).saturating_sub(write_quorum).max(1),
        }
    }

    pub(crate) fn start(&mut self, known: &mut impl Known, now: Millis) -> Vec<Effect> {
        let mut effects = Vec::new();
        for log in 0..self.readers.len() {
            let acts = self.readers[log].start();
            self.act(log, acts, known, now, &mut effects);
            let chores = self.keepers[log].start();
            self.chore(log, chores, known, now, &mut effects);
        }
        let deeds = self.writer.start();
        self.deed(deeds, now, &mut effects);
        effects
    }

    /// The records have been learnt and are safe on disk. The answer comes when they are accepted, or, where it
    /// `is_awaited`, when every daemon has applied them.
    pub(crate) fn submit(
        &mut self,
        id: OrderId,
        records: &[Record],
        is_awaited: bool,
        now: Millis,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        let deeds = self.writer.submit(id, records, is_awaited, now);
        self.deed(deeds, now, &mut effects);
        effects
    }

    pub(crate) fn connected(
        &mut self,
        log: usize,
        lane: LaneName,
        known: &mut impl Known,
        now: Millis,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        match lane {
            LaneName::Read => {
                let acts = self.readers[log].connected(now);
                self.act(log, acts, known, now, &mut effects);
            }
            LaneName::Keep => self.keepers[log].connected(),
            LaneName::Write => {
                let deeds = self.writer.connected(log, now);
                self.deed(deeds, now, &mut effects);
            }
        }
        self.settle_chores(log, now, &mut effects);
        effects
    }

    /// The connection is gone or could not be made.
    pub(crate) fn disconnected(&mut self, log: usize, lane: LaneName) -> Vec<Effect> {
        let mut effects = Vec::new();
        match lane {
            LaneName::Read => {
                for act in self.readers[log].disconnected() {
                    if let Act::Wire(wire) = act {
                        effects.push(Effect::Wire(log, lane, wire));
                    }
                }
            }
            LaneName::Keep => {
                for chore in self.keepers[log].disconnected() {
                    if let Chore::Wire(wire) = chore {
                        effects.push(Effect::Wire(log, lane, wire));
                    }
                }
            }
            LaneName::Write => {
                let deeds = self.writer.disconnected(log);
                self.deed(deeds, 0, &mut effects);
            }
        }
        effects
    }

    pub(crate) fn answered(
        &mut self,
        log: usize,
        lane: LaneName,
        ticket: u64,
        reply: Result<Reply, Fault>,
        known: &mut impl Known,
        now: Millis,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        match lane {
            LaneName::Read => {
                let acts = self.readers[log].answered(ticket, reply, now);
                self.act(log, acts, known, now, &mut effects);
            }
            LaneName::Keep => {
                let chores = self.keepers[log].answered(ticket, reply, now);
                self.chore(log, chores, known, now, &mut effects);
            }
            LaneName::Write => {
                let deeds = self.writer.answered(log, ticket, reply, now);
                self.deed(deeds, now, &mut effects);
            }
        }
        self.settle_awaited(now, &mut effects);
        self.settle_chores(log, now, &mut effects);
        effects
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Millis) -> Vec<Effect> {
        let mut effects = Vec::new();
        let deeds = self.writer.tick(now);
        self.deed(deeds, now, &mut effects);
        self.settle_awaited(now, &mut effects);
        for log in 0..self.readers.len() {
            self.settle_chores(log, now, &mut effects);
        }
        effects
    }

    /// When [`Self::tick`] has something to do at the latest.
    pub(crate) fn next_wake(&self) -> Millis {
        let keepers = self.keepers.iter().zip(&self.readers);
        let due = keepers
            .filter(|(_, reader)| reader.epoch().is_some())
            .map(|(keeper, _)| keeper.next_wake());
        due.min()
            .unwrap_or(Millis::MAX)
            .min(self.writer.next_wake())
    }

    /// A quorum of live logs has everything that was accepted, and so has whoever has read them.
    pub(crate) fn standing(&self, now: Millis) -> Standing {
        let at = self.read_quorum - 1;
        let mut states: Vec<_> = self
            .readers
            .iter()
            .map(|reader| reader.state(now))
            .collect();
        let order = |state: &LogState| match state {
            LogState::Live => 0,
            LogState::Suspect => 1,
            LogState::Stale => 2,
            LogState::Syncing => 3,
            LogState::Cold => 4,
        };
        states.sort_by_key(order);
        let mut fresh: Vec<_> = self.readers.iter().map(Reader::fresh_at).collect();
        fresh.sort_by(|a, b| b.cmp(a));
        Standing {
            state: states.get(at).copied().unwrap_or_default(),
            fresh_at_ms: fresh.get(at).copied().flatten(),
        }
    }

    /// Where to begin after a restart, if all that has been learnt is kept.
    pub(crate) fn places(&self) -> Vec<Place> {
        let place = |(log, (reader, keeper)): (usize, (&Reader, &Keeper))| Place {
            cursor: reader.cursor(),
            is_settled: keeper.is_settled(reader.cursor()) && self.writer.backlog(log) == 0,
        };
        let logs = self.readers.iter().zip(&self.keepers);
        logs.enumerate().map(place).collect()
    }

    pub(crate) fn reports(&self, now: Millis) -> Vec<Report> {
        let report = |(log, (reader, keeper)): (usize, (&Reader, &Keeper))| {
            let (repairs_waiting, repaired) = keeper.repairs();
            Report {
                state: reader.state(now),
                fresh_at: reader.fresh_at(),
                counts: reader.counts(),
                backlog: self.writer.backlog(log),
                repairs_waiting,
                repaired,
            }
        };
        self.readers
            .iter()
            .zip(&self.keepers)
            .enumerate()
            .map(report)
            .collect()
    }

    fn act(
        &mut self,
        log: usize,
        acts: Vec<Act>,
        known: &mut impl Known,
        now: Millis,
        effects: &mut Vec<Effect>,
    ) {
        for act in acts {
            match act {
                Act::Wire(wire) => effects.push(Effect::Wire(log, LaneName::Read, wire)),
                Act::Apply(records) => known.learn(&records),
                Act::Scanned(held) => self.keepers[log].repair(lacking(&held, known), now),
                Act::Reached(cursor) => self.writer.seen(log, cursor),
                Act::Broken => {
                    self.keepers[log].is_broken();
                    self.writer.broken(log);
                    let deeds = self.writer.tick(now);
                    self.deed(deeds, now, effects);
                }
            }
        }
    }

    fn chore(
        &mut self,
        log: usize,
        chores: Vec<Chore>,
        known: &mut impl Known,
        now: Millis,
        effects: &mut Vec<Effect>,
    ) {
        for chore in chores {
            match chore {
                Chore::Wire(wire) => effects.push(Effect::Wire(log, LaneName::Keep, wire)),
                Chore::Compared(held) => {
                    // The reader may not have come to all of it; taking it in twice costs nothing.
                    let record = |(key, (before, until)): (&_, &(u32, u32))| Record {
                        key: *key,
                        before: *before,
                        until: *until,
                    };
                    known.learn(&held.iter().map(record).collect::<Vec<_>>());
                    self.keepers[log].repair(lacking(&held, known), now);
                }
            }
        }
    }

    fn deed(&mut self, deeds: Vec<Deed>, now: Millis, effects: &mut Vec<Effect>) {
        for deed in deeds {
            match deed {
                Deed::Wire(log, wire) => effects.push(Effect::Wire(log, LaneName::Write, wire)),
                Deed::Answer(id, outcome) => effects.push(Effect::Answer(id, outcome)),
                Deed::Late(id, mut outcome) => {
                    outcome.silent = self.silent(&outcome.revision, 0).unwrap_or_default();
                    effects.push(Effect::Answer(id, outcome));
                }
                Deed::Overflowed(log) => self.keepers[log].compare_soon(now),
            }
        }
    }

    /// Answers those who wait for every daemon, where every daemon is there.
    fn settle_awaited(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        let awaiting: Vec<_> = self.writer.awaiting().collect();
        if awaiting.is_empty() {
            return;
        }
        for (id, positions, since) in awaiting {
            let silent = self.silent(&positions, since);
            if silent.is_some_and(|silent| silent.is_empty()) {
                let deeds = self.writer.applied(id);
                self.deed(deeds.into_iter().collect(), now, effects);
            }
        }
        for keeper in &mut self.keepers {
            keeper.call_soon(now);
        }
    }

    fn silent(&self, positions: &[(usize, Position)], since: Millis) -> Option<Vec<Arc<str>>> {
        let rolls: Vec<&Roll> = self.keepers.iter().map(Keeper::roll).collect();
        silent(&rolls, positions, self.write_quorum, since, &self.host)
    }

    fn settle_chores(&mut self, log: usize, now: Millis, effects: &mut Vec<Effect>) {
        let epoch = self.readers[log].epoch();
        for chore in self.keepers[log].tick(epoch, now) {
            if let Chore::Wire(wire) = chore {
                effects.push(Effect::Wire(log, LaneName::Keep, wire));
            }
        }
    }
}

//! Daemons, logs and the network between them, in one thread on one invented clock. A seed decides everything.

use super::super::core::{Core, Effect, Known, LaneName};
use super::super::keeper::Place;
use super::super::lane::{Jitter, Wire};
use super::super::outcome::OrderId;
use super::super::timing::Timing;
use super::super::wire::{Ask, Millis};
use super::Scenario;
use super::judge::Memory;
use super::network::{ANSWER_MS, Call, Event, Link, Waiting};
use super::server::Server;
use crate::revocation::Record;
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct Daemon {
    pub(super) core: Core,
    pub(super) known: Memory,
    /// What survives a crash.
    disk: (Memory, Vec<Place>),
    pub(super) is_up: bool,
    pub(super) paused_until: Millis,
    /// Its clock at time 0: time since boot is another on each host.
    pub(super) booted: Millis,
    /// Connections of earlier lives have lower numbers.
    pub(super) born: u64,
    pub(super) links: BTreeMap<(usize, LaneName), Link>,
    pub(super) wake_at: Millis,
    /// Orders that have been checked to be known.
    pub(super) checked: usize,
}

pub(super) struct Log {
    pub(super) servers: Vec<Server>,
    /// Where each daemon is sent that asks for the primary.
    pub(super) directory: Vec<usize>,
    /// Whether the replica hears of the primary.
    pub(super) is_linked: bool,
}

pub(super) struct World {
    pub(super) scenario: Scenario,
    pub(super) timing: Timing,
    pub(super) now: Millis,
    pub(super) random: Jitter,
    pub(super) daemons: Vec<Daemon>,
    pub(super) logs: Vec<Log>,
    /// Which daemon cannot reach which server of which log.
    pub(super) cuts: BTreeSet<(usize, usize, usize)>,
    pub(super) events: BTreeMap<(Millis, u64), Event>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) serial: u64,
    /// All that was ever ordered.
    pub(super) ordered: Memory,
    /// With who took it, and whether it has been answered.
    pub(super) orders: BTreeMap<OrderId, (usize, Record, bool)>,
    pub(super) accepted: Vec<(Millis, Record)>,
    pub(super) pending: usize,
    pub(super) applied: usize,
    /// Whether to tell what happens.
    pub(super) is_told: bool,
}

impl World {
    pub(super) fn new(scenario: Scenario, timing: Timing, seed: u64) -> Self {
        let mut random = Jitter(seed);
        let log = |random: &mut Jitter| Log {
            servers: (0..=scenario.replicas)
                .map(|number| Server::new(number == 0, random))
                .collect(),
            directory: vec![0; scenario.daemons],
            is_linked: true,
        };
        let logs: Vec<_> = (0..scenario.logs).map(|_| log(&mut random)).collect();
        let mut world = Self {
            scenario,
            timing,
            now: 0,
            logs,
            daemons: Vec::new(),
            cuts: BTreeSet::new(),
            events: BTreeMap::new(),
            waiting: Vec::new(),
            serial: 0,
            ordered: Memory::default(),
            orders: BTreeMap::new(),
            accepted: Vec::new(),
            pending: 0,
            applied: 0,
            is_told: false,
            random,
        };
        for _ in 0..scenario.daemons {
            let booted = world.random.next() % 1_000_000;
            let none = vec![Place::default(); scenario.logs];
            world.daemons.push(Daemon {
                core: Core::new(
                    timing,
                    &none,
                    scenario.quorum,
                    "none".into(),
                    world.random.next(),
                    booted,
                ),
                known: Memory::default(),
                disk: (Memory::default(), none),
                is_up: false,
                paused_until: 0,
                booted,
                born: 0,
                links: BTreeMap::new(),
                wake_at: Millis::MAX,
                checked: 0,
            });
        }
        for daemon in 0..scenario.daemons {
            world.start(daemon);
        }
        for log in 0..scenario.logs {
            world.at(1, Event::Replicate(log));
        }
        world
    }

    /// Runs what happens until then.
    pub(super) fn run_until(&mut self, until: Millis) {
        while let Some(next) = self.events.first_entry() {
            if next.key().0 > until {
                break;
            }
            self.now = next.key().0;
            let event = next.remove();
            self.happen(event);
        }
        self.now = until;
    }

    pub(super) fn say(&self, what: impl FnOnce() -> String) {
        if self.is_told {
            eprintln!("{:>6} {}", self.now, what());
        }
    }

    pub(super) fn order(&mut self, daemon: usize, record: Record) {
        if !self.runs(daemon) {
            return;
        }
        self.serial += 1;
        let id = self.serial;
        let now = self.clock(daemon);
        self.ordered.learn(&[record]);
        self.orders.insert(id, (daemon, record, false));
        // Most are answered when they are accepted, which is what most of the invariants are about.
        let is_awaited = self.random.next().is_multiple_of(4);
        let at = &mut self.daemons[daemon];
        at.disk.0.learn(&[record]);
        // What is on the disk now may not have come to the logs when it is read again.
        at.disk
            .1
            .iter_mut()
            .for_each(|place| place.is_settled = false);
        at.known.learn(&[record]);
        let effects = at.core.submit(id, &[record], is_awaited, now);
        self.take(daemon, effects);
    }

    pub(super) fn crash(&mut self, daemon: usize) {
        self.daemons[daemon].is_up = false;
        self.daemons[daemon].links.clear();
        self.orders
            .retain(|_, (by, _, is_answered)| *is_answered || *by != daemon);
    }

    pub(super) fn start(&mut self, daemon: usize) {
        let now = self.clock(daemon);
        let seed = self.random.next();
        let at = &mut self.daemons[daemon];
        at.is_up = true;
        at.born = self.serial;
        at.known = at.disk.0.clone();
        at.checked = 0;
        at.wake_at = Millis::MAX;
        let host = format!("{daemon}/{}", at.born);
        at.core = Core::new(
            self.timing,
            &at.disk.1,
            self.scenario.quorum,
            host.into(),
            seed,
            now,
        );
        let effects = at.core.start(&mut at.known, now);
        self.take(daemon, effects);
    }

    /// Loses what only its disk could have kept.
    pub(super) fn lose_disk(&mut self, daemon: usize) {
        self.daemons[daemon].disk = (
            Memory::default(),
            vec![Place::default(); self.scenario.logs],
        );
    }

    pub(super) fn pause(&mut self, daemon: usize, ms: Millis) {
        self.daemons[daemon].paused_until = self.now + ms;
    }

    pub(super) fn persist(&mut self, daemon: usize) {
        let at = &mut self.daemons[daemon];
        if at.is_up {
            at.disk = (at.known.clone(), at.core.places());
        }
    }

    pub(super) fn runs(&self, daemon: usize) -> bool {
        self.daemons[daemon].is_up && self.daemons[daemon].paused_until <= self.now
    }

    pub(super) fn take(&mut self, daemon: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Answer(id, outcome) => self.answered(id, &outcome),
                Effect::Wire(log, lane, Wire::Connect { after_ms }) => {
                    self.serial += 1;
                    let server = self.logs[log].directory[daemon];
                    let link = Link {
                        id: self.serial,
                        server,
                        is_open: false,
                        waits_for: None,
                    };
                    self.daemons[daemon].links.insert((log, lane), link);
                    let call = Call {
                        daemon,
                        log,
                        lane,
                        link: link.id,
                        server,
                        ticket: 0,
                    };
                    let delay = after_ms + 1 + self.random.next() % 3;
                    self.at(delay, Event::Connect(call));
                }
                Effect::Wire(log, lane, Wire::Ask { ticket, ask }) => {
                    let Some(link) = self.daemons[daemon].links.get_mut(&(log, lane)) else {
                        continue;
                    };
                    link.waits_for = Some(ticket);
                    let call = Call {
                        daemon,
                        log,
                        lane,
                        link: link.id,
                        server: link.server,
                        ticket,
                    };
                    let patience = match &ask {
                        Ask::Read { block_ms, .. } => block_ms + ANSWER_MS,
                        _ => ANSWER_MS,
                    };
                    let delay = self.network();
                    self.at(patience, Event::GiveUp(call.clone()));
                    self.at(delay, Event::Arrive(call, ask));
                }
            }
        }
        let at = &mut self.daemons[daemon];
        let wake_at = at
            .core
            .next_wake()
            .saturating_sub(at.booted)
            .max(self.now + 1);
        if wake_at < at.wake_at {
            at.wake_at = wake_at;
            self.serial += 1;
            self.events
                .insert((wake_at, self.serial), Event::Tick(daemon));
        }
        self.check(daemon);
    }

    pub(super) fn clock(&self, daemon: usize) -> Millis {
        self.now + self.daemons[daemon].booted
    }
}

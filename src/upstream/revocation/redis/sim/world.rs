//! Daemons, logs and the network between them, in one thread on one invented clock. A seed decides everything.

use super::super::core::{Core, Effect, Known, LaneName};
use super::super::lane::{Jitter, Wire};
use super::super::timing::Timing;
use super::super::wire::{Ask, Cursor, Fault, Millis, Reply};
use super::super::writer::OrderId;
use super::Scenario;
use super::judge::Memory;
use super::server::{Response, Server};
use crate::revocation::Record;
use std::collections::{BTreeMap, BTreeSet};

/// The driver gives up on an answer this long after it should have come, and on a connection.
const ANSWER_MS: Millis = 400;

pub(super) struct Daemon {
    pub(super) core: Core,
    pub(super) known: Memory,
    /// What survives a crash.
    disk: (Memory, Vec<Option<Cursor>>),
    pub(super) is_up: bool,
    paused_until: Millis,
    /// Its clock at time 0: time since boot is another on each host.
    pub(super) booted: Millis,
    /// Connections of earlier lives have lower numbers.
    born: u64,
    links: BTreeMap<(usize, LaneName), Link>,
    wake_at: Millis,
    /// Orders that have been checked to be known.
    pub(super) checked: usize,
}

#[derive(Clone, Copy)]
struct Link {
    id: u64,
    server: usize,
    is_open: bool,
    waits_for: Option<u64>,
}

pub(super) struct Log {
    pub(super) servers: Vec<Server>,
    /// Where each daemon is sent that asks for the primary.
    pub(super) directory: Vec<usize>,
    /// Whether the replica hears of the primary.
    pub(super) is_linked: bool,
}

#[derive(Clone)]
struct Call {
    daemon: usize,
    log: usize,
    lane: LaneName,
    link: u64,
    server: usize,
    ticket: u64,
}

enum Event {
    Connect(Call),
    Arrive(Call, Ask),
    Reply(Call, Result<Reply, Fault>),
    GiveUp(Call),
    Tick(usize),
    Replicate(usize),
}

struct Waiting {
    call: Call,
    until: Millis,
    response: Response,
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
    events: BTreeMap<(Millis, u64), Event>,
    waiting: Vec<Waiting>,
    serial: u64,
    /// All that was ever ordered.
    pub(super) ordered: Memory,
    /// With who took it, and whether it has been answered.
    pub(super) orders: BTreeMap<OrderId, (usize, Record, bool)>,
    pub(super) accepted: Vec<(Millis, Record)>,
    pub(super) pending: usize,
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
            is_told: false,
            random,
        };
        for _ in 0..scenario.daemons {
            let booted = world.random.next() % 1_000_000;
            let none = vec![None; scenario.logs];
            world.daemons.push(Daemon {
                core: Core::new(timing, &none, scenario.quorum, world.random.next(), booted),
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
        let at = &mut self.daemons[daemon];
        at.disk.0.learn(&[record]);
        at.known.learn(&[record]);
        let effects = at.core.submit(id, &[record], now);
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
        at.core = Core::new(self.timing, &at.disk.1, self.scenario.quorum, seed, now);
        let effects = at.core.start(&mut at.known, now);
        self.take(daemon, effects);
    }

    /// Loses what only its disk could have kept.
    pub(super) fn lose_disk(&mut self, daemon: usize) {
        self.daemons[daemon].disk = (Memory::default(), vec![None; self.scenario.logs]);
    }

    pub(super) fn pause(&mut self, daemon: usize, ms: Millis) {
        self.daemons[daemon].paused_until = self.now + ms;
    }

    pub(super) fn persist(&mut self, daemon: usize) {
        let at = &mut self.daemons[daemon];
        if at.is_up {
            at.disk = (at.known.clone(), at.core.cursors());
        }
    }

    /// All connections to a server end.
    pub(super) fn hang_up(&mut self, log: usize, server: usize) {
        self.waiting
            .retain(|waiting| (waiting.call.log, waiting.call.server) != (log, server));
        for daemon in 0..self.daemons.len() {
            let links: Vec<_> = self.daemons[daemon]
                .links
                .iter()
                .map(|(key, link)| (*key, *link))
                .collect();
            for ((of, lane), link) in links {
                if of == log && link.server == server && link.is_open {
                    self.drop_link(daemon, log, lane);
                }
            }
        }
    }

    pub(super) fn runs(&self, daemon: usize) -> bool {
        self.daemons[daemon].is_up && self.daemons[daemon].paused_until <= self.now
    }

    /// A server's blocked readers learn of what has come.
    pub(super) fn wake_readers(&mut self, log: usize) {
        let mut due = Vec::new();
        let servers = &self.logs[log].servers;
        let now = self.now;
        self.waiting.retain(|waiting| {
            if waiting.call.log != log {
                return true;
            }
            let server = &servers[waiting.call.server];
            let reply = match &waiting.response {
                Response::Block(after) => {
                    let entries = server.read(*after);
                    (!entries.is_empty() || waiting.until <= now).then(|| Reply::Entries {
                        entries,
                        look: server.look(None),
                    })
                }
                Response::Durable(writes, last) => {
                    let is_durable = server.confirmed >= *writes;
                    (is_durable || waiting.until <= now).then_some(Reply::Written {
                        last: *last,
                        is_durable,
                    })
                }
                Response::Now(_) => None,
            };
            let Some(reply) = reply else { return true };
            due.push((waiting.call.clone(), reply));
            false
        });
        for (call, reply) in due {
            self.send_back(call, Ok(reply));
        }
    }

    fn happen(&mut self, event: Event) {
        if let Event::Arrive(call, ask) = &event {
            let to = (call.daemon, call.log, call.server, call.lane);
            self.say(|| format!("{to:?} {ask:?}"));
        }
        if let Event::Reply(call, reply) = &event {
            let to = (call.daemon, call.log, call.server, call.lane);
            self.say(|| format!("{to:?} answered {reply:?}"));
        }
        match event {
            Event::Connect(call) => {
                if self.defer(call.daemon, || Event::Connect(call.clone()))
                    || !self.is_current(&call)
                {
                    return;
                }
                let is_there = self.logs[call.log].servers[call.server].is_up;
                if !is_there || self.is_cut(&call) {
                    return self.drop_link(call.daemon, call.log, call.lane);
                }
                let now = self.clock(call.daemon);
                let at = &mut self.daemons[call.daemon];
                if let Some(link) = at.links.get_mut(&(call.log, call.lane)) {
                    link.is_open = true;
                }
                let effects = at.core.connected(call.log, call.lane, &mut at.known, now);
                self.take(call.daemon, effects);
            }
            Event::Arrive(call, ask) => self.arrive(call, &ask),
            Event::Reply(call, reply) => {
                if self.defer(call.daemon, || Event::Reply(call.clone(), reply.clone()))
                    || !self.daemons[call.daemon].is_up
                    || call.link < self.daemons[call.daemon].born
                    || (self.is_current(&call) && self.is_cut(&call))
                {
                    return;
                }
                let now = self.clock(call.daemon);
                let at = &mut self.daemons[call.daemon];
                // An answer of another connection, or the same one again, goes to the machine too: it must know.
                if let Some(link) = at.links.get_mut(&(call.log, call.lane)) {
                    link.waits_for
                        .take_if(|ticket| link.id == call.link && *ticket == call.ticket);
                }
                let effects =
                    at.core
                        .answered(call.log, call.lane, call.ticket, reply, &mut at.known, now);
                self.take(call.daemon, effects);
            }
            Event::GiveUp(call) => {
                if self.defer(call.daemon, || Event::GiveUp(call.clone()))
                    || !self.is_current(&call)
                {
                    return;
                }
                let link = self.daemons[call.daemon].links.get(&(call.log, call.lane));
                if link.is_some_and(|link| link.waits_for == Some(call.ticket)) {
                    self.drop_link(call.daemon, call.log, call.lane);
                }
            }
            Event::Tick(daemon) => {
                if self.defer(daemon, || Event::Tick(daemon)) || !self.daemons[daemon].is_up {
                    return;
                }
                // One that has been put forward comes to nothing.
                if self.now < self.daemons[daemon].wake_at {
                    return;
                }
                self.daemons[daemon].wake_at = Millis::MAX;
                let now = self.clock(daemon);
                let effects = self.daemons[daemon].core.tick(now);
                self.take(daemon, effects);
            }
            Event::Replicate(log) => self.replicate(log),
        }
    }

    fn arrive(&mut self, call: Call, ask: &Ask) {
        let server = &mut self.logs[call.log].servers[call.server];
        if !server.is_up || self.cuts.contains(&(call.daemon, call.log, call.server)) {
            return;
        }
        let block_ms = match ask {
            Ask::Read { block_ms, .. } => *block_ms,
            _ => ANSWER_MS / 4,
        };
        match server.answer(
            ask,
            self.scenario.replicas as u64,
            self.timing.beat_ms,
            self.now,
        ) {
            Response::Now(reply) => self.send_back(call.clone(), reply),
            response => {
                let until = self.now + block_ms;
                self.waiting.push(Waiting {
                    call: call.clone(),
                    until,
                    response,
                });
                self.at(block_ms, Event::Replicate(usize::MAX - call.log));
            }
        }
        self.wake_readers(call.log);
    }

    /// One step of replication: what was sent last time has arrived, and what is new is sent.
    fn replicate(&mut self, number: usize) {
        if number >= self.logs.len() {
            return self.wake_readers(usize::MAX - number);
        }
        let pause = 1 + self.random.next() % 20;
        let log = &mut self.logs[number];
        if log.servers.len() < 2 {
            return;
        }
        let primary = log
            .servers
            .iter()
            .position(|server| server.is_primary && server.is_up);
        if let Some(primary) = primary.filter(|_| log.is_linked) {
            let replica = 1 - primary;
            let (replid, sent) = (
                log.servers[primary].replid,
                log.servers[primary].sent.take(),
            );
            if log.servers[replica].is_up && !log.servers[replica].is_primary {
                if let Some((writes, store)) = sent {
                    log.servers[replica].copy(store, replid);
                    log.servers[primary].confirmed = writes;
                }
                let server = &mut log.servers[primary];
                server.heard_at = self.now;
                if server.confirmed < server.writes || server.writes == 0 {
                    server.sent = Some((server.writes, server.store.clone()));
                }
            }
        }
        self.at(pause, Event::Replicate(number));
        self.wake_readers(number);
    }

    fn take(&mut self, daemon: usize, effects: Vec<Effect>) {
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

    fn send_back(&mut self, call: Call, reply: Result<Reply, Fault>) {
        let delay = self.network() + self.logs[call.log].servers[call.server].delay;
        // Late and twice: a ticket has to be good for one answer.
        if self.random.next().is_multiple_of(64) {
            let again = delay + self.random.next() % 2_000;
            self.at(again, Event::Reply(call.clone(), reply.clone()));
        }
        self.at(delay, Event::Reply(call, reply));
    }

    fn drop_link(&mut self, daemon: usize, log: usize, lane: LaneName) {
        self.daemons[daemon].links.remove(&(log, lane));
        let effects = self.daemons[daemon].core.disconnected(log, lane);
        self.take(daemon, effects);
    }

    fn defer(&mut self, daemon: usize, event: impl FnOnce() -> Event) -> bool {
        let until = self.daemons[daemon].paused_until;
        if until <= self.now {
            return false;
        }
        self.at(until - self.now, event());
        true
    }

    fn is_current(&self, call: &Call) -> bool {
        let at = &self.daemons[call.daemon];
        at.is_up
            && at
                .links
                .get(&(call.log, call.lane))
                .is_some_and(|link| link.id == call.link)
    }

    fn is_cut(&self, call: &Call) -> bool {
        self.cuts.contains(&(call.daemon, call.log, call.server))
    }

    fn network(&mut self) -> Millis {
        1 + self.random.next() % 4
    }

    pub(super) fn clock(&self, daemon: usize) -> Millis {
        self.now + self.daemons[daemon].booted
    }

    fn at(&mut self, after: Millis, event: Event) {
        self.serial += 1;
        self.events.insert((self.now + after, self.serial), event);
    }
}

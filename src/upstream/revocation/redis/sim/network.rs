//! The network of the simulation: what is asked arrives, late or never, and what is answered comes back, late, twice or
//! never.

use super::super::core::LaneName;
use super::super::wire::{Ask, Fault, Millis, Reply};
use super::server::Response;
use super::world::World;

/// The driver gives up on an answer this long after it should have come, and on a connection.
pub(super) const ANSWER_MS: Millis = 400;

#[derive(Clone, Copy)]
pub(super) struct Link {
    pub(super) id: u64,
    pub(super) server: usize,
    pub(super) is_open: bool,
    pub(super) waits_for: Option<u64>,
}

#[derive(Clone)]
pub(super) struct Call {
    pub(super) daemon: usize,
    pub(super) log: usize,
    pub(super) lane: LaneName,
    pub(super) link: u64,
    pub(super) server: usize,
    pub(super) ticket: u64,
}

pub(super) enum Event {
    Connect(Call),
    Arrive(Call, Ask),
    Reply(Call, Result<Reply, Fault>),
    GiveUp(Call),
    Tick(usize),
    Replicate(usize),
}

pub(super) struct Waiting {
    pub(super) call: Call,
    pub(super) until: Millis,
    pub(super) response: Response,
}

impl World {
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
                Response::Block(after, is_noted) => {
                    let entries = server.read(*after);
                    (!entries.is_empty() || waiting.until <= now).then(|| Reply::Entries {
                        entries,
                        look: server.look(None),
                        is_noted: *is_noted,
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

    pub(super) fn happen(&mut self, event: Event) {
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
        let host = format!("{}/{}", call.daemon, self.daemons[call.daemon].born);
        match server.answer(
            ask,
            &host,
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

    pub(super) fn network(&mut self) -> Millis {
        1 + self.random.next() % 4
    }

    pub(super) fn at(&mut self, after: Millis, event: Event) {
        self.serial += 1;
        self.events.insert((self.now + after, self.serial), event);
    }
}

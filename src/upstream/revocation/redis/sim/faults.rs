//! What goes wrong, one thing at a time, with time to recover between: a deployment promises to stand that.

use super::super::lane::Jitter;
use super::super::wire::{Fault, Millis};
use super::Scenario;
use super::server::{Server, mark};
use super::world::World;

/// From the end of one fault to the next: longer than a new history takes to settle and be repaired.
const PAUSE_MS: Millis = 4_500;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    // Of daemons.
    DaemonCrash,
    DaemonLosesDisk,
    DaemonSleeps,
    DaemonCutOff,
    Partition,
    // Of servers that keep what they have.
    ServerHangs,
    ServerRestarts,
    ServerSlow,
    ServerRefuses,
    ServerBusy,
    ServerDenies,
    ServerTrims,
    ClockSteps,
    // Of servers that forget, which only a deployment for it stands.
    LosesSuffix,
    LosesLast,
    LosesAll,
    Flushed,
    LosesStream,
    // Of primaries.
    FailsOver,
    Isolated,
    IsolatedWhileOneSleeps,
}

const EVERYWHERE: [Kind; 13] = [
    Kind::DaemonCrash,
    Kind::DaemonLosesDisk,
    Kind::DaemonSleeps,
    Kind::DaemonCutOff,
    Kind::Partition,
    Kind::ServerHangs,
    Kind::ServerRestarts,
    Kind::ServerSlow,
    Kind::ServerRefuses,
    Kind::ServerBusy,
    Kind::ServerDenies,
    Kind::ServerTrims,
    Kind::ClockSteps,
];
const FORGETFUL: [Kind; 5] = [
    Kind::LosesSuffix,
    Kind::LosesLast,
    Kind::LosesAll,
    Kind::Flushed,
    Kind::LosesStream,
];
const OF_PRIMARIES: [Kind; 3] = [
    Kind::FailsOver,
    Kind::Isolated,
    Kind::IsolatedWhileOneSleeps,
];

pub(super) struct Faults {
    current: Option<(Kind, usize, usize, usize, Millis)>,
    next_at: Millis,
    /// A server as its last snapshot has it.
    snapshot: Vec<Server>,
    snapshot_at: Millis,
}

impl Faults {
    pub(super) fn new(world: &mut World) -> Self {
        Self {
            current: None,
            next_at: 500 + world.random.next() % 3_000,
            snapshot: snapshot(world),
            snapshot_at: 0,
        }
    }

    pub(super) fn go_on(&mut self, world: &mut World) {
        if let Some((.., until)) = self.current
            && world.now >= until
        {
            self.end(world);
        }
        if self.current.is_none() && world.now >= self.snapshot_at {
            self.snapshot_at = world.now + 700;
            self.snapshot = snapshot(world);
        }
        if self.current.is_none() && world.now >= self.next_at {
            self.begin(world);
        }
    }

    /// Ends what is going on.
    pub(super) fn end(&mut self, world: &mut World) {
        let Some((kind, daemon, log, server, _)) = self.current.take() else {
            return;
        };
        world.say(|| format!("{kind:?} ends"));
        self.next_at = world.now + PAUSE_MS + world.random.next() % 1_000;
        match kind {
            Kind::DaemonCrash | Kind::DaemonLosesDisk => world.start(daemon),
            Kind::DaemonCutOff | Kind::Partition | Kind::ServerHangs => world.cuts.clear(),
            Kind::ServerRestarts | Kind::LosesSuffix | Kind::LosesLast | Kind::LosesAll => {
                let mut random = Jitter(world.random.next());
                world.logs[log].servers[server].restart(&mut random);
                if kind == Kind::LosesAll {
                    world.logs[log].servers[server].store = Default::default();
                } else if kind != Kind::ServerRestarts {
                    world.logs[log].servers[server].store = self.snapshot[log].store.clone();
                }
            }
            Kind::ServerTrims => {
                let keep = (world.random.next() % 3) as usize;
                let there = &mut world.logs[log].servers[server];
                let many = there.store.stream.len();
                there.store.stream.drain(..many - many.min(keep));
                there.writes += 1;
                world.pause(daemon, 200);
            }
            Kind::ServerSlow => world.logs[log].servers[server].delay = 0,
            Kind::ServerRefuses | Kind::ServerBusy | Kind::ServerDenies => {
                world.logs[log].servers[server].refusal = None;
            }
            Kind::FailsOver | Kind::Isolated | Kind::IsolatedWhileOneSleeps => {
                // The old primary comes back as a replica: what only it had is gone.
                world.cuts.clear();
                let new = 1 - server;
                world.logs[log].directory.fill(new);
                let (store, replid) = {
                    let new = &world.logs[log].servers[new];
                    (new.store.clone(), new.replid)
                };
                let old = &mut world.logs[log].servers[server];
                old.is_up = true;
                old.is_primary = false;
                old.has_another_replica = false;
                old.sent = None;
                old.copy(store, replid);
                world.logs[log].servers[new].has_another_replica = false;
                world.logs[log].servers[new].heard_at = world.now;
                world.logs[log].servers[new].confirmed = world.logs[log].servers[new].writes;
                world.logs[log].is_linked = true;
                world.hang_up(log, server);
            }
            _ => {}
        }
    }

    fn begin(&mut self, world: &mut World) {
        let Scenario {
            replicas,
            daemons,
            logs: sides_of,
            ..
        } = world.scenario;
        let mut kinds = EVERYWHERE.to_vec();
        kinds.extend(if replicas > 0 {
            &OF_PRIMARIES[..]
        } else {
            &FORGETFUL[..]
        });
        let mut pick = |many: usize| (world.random.next() % many as u64) as usize;
        let kind = kinds[pick(kinds.len())];
        let (daemon, log) = (pick(daemons), pick(world.scenario.logs));
        let lasts = 50
            + pick(if world.scenario.logs > 1 {
                6_000
            } else {
                4_000
            }) as Millis;
        let server = world.logs[log].directory[0];
        self.current = Some((kind, daemon, log, server, world.now + lasts));
        world.say(|| format!("{kind:?} of daemon {daemon} or log {log}/{server} for {lasts}"));
        let there = &mut world.logs[log].servers[server];
        match kind {
            Kind::DaemonCrash => world.crash(daemon),
            Kind::DaemonLosesDisk => {
                world.crash(daemon);
                world.lose_disk(daemon);
            }
            Kind::DaemonSleeps => world.pause(daemon, lasts),
            Kind::DaemonCutOff => {
                world.cuts.insert((daemon, log, server));
            }
            // Some daemons and some logs on one side, the others on the other.
            Kind::Partition => {
                let sides = world.random.next();
                let side = |number: usize| sides >> number & 1;
                let pairs = (0..daemons).flat_map(|one| (0..sides_of).map(move |log| (one, log)));
                let apart = pairs.filter(|(one, log)| side(*one) != side(daemons + *log));
                world
                    .cuts
                    .extend(apart.map(|(one, log)| (one, log, 0)).collect::<Vec<_>>());
            }
            // The kernel still takes connections, and nothing comes back.
            Kind::ServerHangs => world
                .cuts
                .extend((0..daemons).map(|daemon| (daemon, log, server))),
            // Accepted at one moment, gone at the next: nobody may have read it.
            Kind::LosesLast => {
                self.snapshot = snapshot(world);
                let order = super::record(world);
                world.order(daemon, order);
                let soon = world.now + 2 + world.random.next() % 10;
                world.run_until(soon);
                world.logs[log].servers[server].is_up = false;
                world.hang_up(log, server);
            }
            Kind::ServerRestarts | Kind::LosesSuffix | Kind::LosesAll => {
                there.is_up = false;
                world.hang_up(log, server);
            }
            Kind::ServerSlow => there.delay = 200,
            Kind::ServerRefuses => there.refusal = Some(Fault::Refused),
            Kind::ServerBusy => there.refusal = Some(Fault::Busy),
            Kind::ServerDenies => there.refusal = Some(Fault::Denied),
            // Trimming hurts those who are not there; it comes at the end.
            Kind::ServerTrims => world.pause(daemon, lasts),
            Kind::ClockSteps => there.skew = world.random.next() % 10_000_000,
            Kind::Flushed => {
                there.store = Default::default();
                there.writes += 1;
            }
            Kind::LosesStream => {
                there.store.lose_stream();
                there.writes += 1;
            }
            Kind::FailsOver | Kind::Isolated | Kind::IsolatedWhileOneSleeps => {
                world.logs[log].is_linked = false;
                if kind == Kind::IsolatedWhileOneSleeps {
                    world.pause(daemon, lasts / 2 + 1_000);
                }
                world.logs[log].servers[server].sent = None;
                let before = world.random.next() % 1_500;
                let then = world.now + before;
                for _ in 0..6 {
                    let next = world.now + before / 6;
                    world.run_until(next.min(then));
                    for daemon in 0..daemons {
                        let order = super::record(world);
                        world.order(daemon, order);
                    }
                }
                self.promote(world, kind, daemon, log, server);
            }
        }
    }

    fn promote(&mut self, world: &mut World, kind: Kind, daemon: usize, log: usize, old: usize) {
        let new = 1 - old;
        let replid = mark(&mut world.random);
        let skew = world.random.next() % 10_000_000;
        let there = &mut world.logs[log];
        there.servers[new].is_primary = true;
        there.servers[new].skew = skew;
        there.servers[new].replid = replid;
        there.servers[new].has_another_replica = true;
        if kind == Kind::FailsOver {
            there.servers[old].is_up = false;
            there.directory.fill(new);
            world.hang_up(log, old);
        } else {
            // One daemon is on the side of the old primary, the others are not.
            for other in 0..there.directory.len() {
                let (lost, to) = if other == daemon {
                    (new, old)
                } else {
                    (old, new)
                };
                there.directory[other] = to;
                world.cuts.insert((other, log, lost));
            }
        }
    }
}

fn snapshot(world: &World) -> Vec<Server> {
    let server = |log: &super::world::Log| log.servers[log.directory[0]].clone();
    world.logs.iter().map(server).collect()
}

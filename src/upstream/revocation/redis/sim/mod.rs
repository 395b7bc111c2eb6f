//! The reader, the keeper and the writer of `core`, run against model logs that forget, in every way that a
//! Redis does, over as many seeds as one likes. A failing seed is printed; `JOTD_SIM=quorum:17` runs it alone,
//! and `JOTD_SIM_SEEDS=100000` runs more of them.

mod faults;
mod judge;
mod network;
mod server;
mod world;

use super::lane::PAUSE_MS_MAX;
use super::state::LogState;
use super::timing::{Mutant, Timing};
use super::wire::{Cursor, Millis};
use crate::revocation::{Member, Members, Record, RecordKey, TenantTag};
use judge::Memory;
use std::panic::{AssertUnwindSafe, catch_unwind};
use world::World;

/// How long a primary may not have heard from its replica and still write signs of life.
const MAX_LAG_MS: Millis = 1_000;

const LEASE_MS: Millis = 2_000;

/// Seeds a scenario in an ordinary run.
const SEEDS: u64 = 400;

/// One kind of deployment.
#[derive(Clone, Copy, Debug)]
struct Scenario {
    name: &'static str,
    logs: usize,
    quorum: usize,
    replicas: usize,
    daemons: usize,
    settle_ms: Millis,
}

const SCENARIOS: [Scenario; 3] = [
    // What is lost is brought back by those who know it, before anybody calls the log complete.
    Scenario {
        name: "single",
        logs: 1,
        quorum: 1,
        replicas: 0,
        daemons: 2,
        settle_ms: LEASE_MS + PAUSE_MS_MAX,
    },
    // Nothing that was accepted is lost, because the replica has it.
    Scenario {
        name: "replicated",
        logs: 1,
        quorum: 1,
        replicas: 1,
        daemons: 2,
        settle_ms: 0,
    },
    // Any one log may lose everything.
    Scenario {
        name: "quorum",
        logs: 3,
        quorum: 2,
        replicas: 0,
        daemons: 2,
        settle_ms: 0,
    },
];

/// How long a run is disturbed, and how long it then has to come back to rest (I6).
const TROUBLE_MS: Millis = 16_000;
const REST_MS: Millis = 9_000;

fn timing(scenario: Scenario) -> Timing {
    // The clock of the simulation has no grain, and messages take a moment.
    let lag_ms = if scenario.replicas > 0 {
        MAX_LAG_MS + 50
    } else {
        0
    };
    Timing::new(LEASE_MS, scenario.settle_ms, lag_ms)
}

/// One run. Panics where an invariant does not hold.
fn run(scenario: Scenario, seed: u64, mutant: Option<Mutant>, is_told: bool) {
    let mut timing = timing(scenario);
    timing.audit_ms = 20_000;
    timing.mutant = mutant;
    let mut world = World::new(scenario, timing, seed);
    world.is_told = is_told;
    let mut faults = faults::Faults::new(&mut world);
    let mut persist_at = 0;
    while world.now < TROUBLE_MS {
        let next = world.now + 20 + world.random.next() % 400;
        world.run_until(next);
        faults.go_on(&mut world);
        let daemon = usize::from(world.random.next().is_multiple_of(2));
        let order = record(&mut world);
        world.order(daemon, order);
        if world.now >= persist_at {
            persist_at = world.now + 1_000;
            (0..scenario.daemons).for_each(|daemon| world.persist(daemon));
        }
    }
    faults.end(&mut world);
    let rest = world.now + REST_MS;
    world.run_until(rest);
    at_rest(&mut world);
}

/// What has to be true once nothing has gone wrong for a while.
fn at_rest(world: &mut World) {
    assert_eq!(world.unanswered(), 0, "I4: every order is answered");
    for daemon in 0..world.daemons.len() {
        world.check(daemon);
        let now = world.clock(daemon);
        let at = &world.daemons[daemon];
        assert_eq!(
            at.core.standing(now).state,
            LogState::Live,
            "I6: daemon {daemon} is live again"
        );
        for (record, what) in [(&world.ordered, "ordered"), (&at.known, "known")] {
            let (here, there) = if what == "ordered" {
                (record, &at.known)
            } else {
                (record, &world.ordered)
            };
            for (key, times) in &here.0 {
                // Never less than was ordered (I2), and never more (I1: no good token dies of a repair).
                assert_eq!(there.0.get(key), Some(times), "I2: daemon {daemon}: {what}");
            }
        }
        for report in at.core.reports(now) {
            assert_eq!(
                (report.backlog, report.repairs_waiting),
                (0, 0),
                "I5: nothing piles up"
            );
        }
    }
    for log in &world.logs {
        let server = &log.servers[log.directory[0]];
        for (key, times) in &world.ordered.0 {
            assert_eq!(
                server.store.held.get(key),
                Some(times),
                "I2: each log holds everything"
            );
        }
        let mut cursor: Option<Cursor> = None;
        for entry in &server.store.stream {
            assert!(
                cursor.is_none_or(|cursor| cursor.is_followed_by(entry)),
                "I7: the chain holds"
            );
            cursor = Some(entry.cursor);
        }
    }
}

/// Few keys, so that merging is exercised.
fn record(world: &mut World) -> Record {
    let mut id = [0; 16];
    id[0] = (world.random.next() % 64) as u8;
    let is_watermark = world.random.next().is_multiple_of(3);
    Record {
        key: RecordKey {
            tenant: TenantTag(1),
            members: Members::NONE.with(if is_watermark {
                Member::Subject
            } else {
                Member::TokenId
            }),
            id,
        },
        before: if is_watermark {
            (world.random.next() % 1_000) as u32
        } else {
            Record::EVERY
        },
        until: (1_000_000 + world.random.next() % 1_000) as u32,
    }
}

/// The first seed of these that breaks, and how.
fn first_broken(
    scenario: Scenario,
    seeds: std::ops::Range<u64>,
    mutant: Option<Mutant>,
) -> Option<(u64, String)> {
    seeds.into_iter().find_map(|seed| {
        let broken = catch_unwind(AssertUnwindSafe(|| run(scenario, seed, mutant, false))).err()?;
        let why = broken.downcast_ref::<String>().cloned();
        Some((
            seed,
            why.or_else(|| broken.downcast_ref::<&str>().map(|why| (*why).into()))?,
        ))
    })
}

#[expect(clippy::disallowed_methods, reason = "a test's own switch")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn all_seeds_hold(scenario: Scenario) {
    if let Some(replay) = variable("JOTD_SIM") {
        if let Some(seed) = replay
            .strip_prefix(scenario.name)
            .and_then(|seed| seed.strip_prefix(':'))
        {
            run(scenario, seed.parse().expect("a seed"), None, true);
        }
        return;
    }
    let seeds = variable("JOTD_SIM_SEEDS").map_or(SEEDS, |seeds| seeds.parse().expect("a number"));
    if let Some((seed, why)) = first_broken(scenario, 0..seeds, None) {
        panic!("{why}\nreplay with JOTD_SIM={}:{seed}", scenario.name);
    }
}

#[test]
fn one_log_that_forgets() {
    all_seeds_hold(SCENARIOS[0]);
}

/// Checks F-20, F-21, F-22.
#[test]
fn a_primary_and_its_replica() {
    all_seeds_hold(SCENARIOS[1]);
}

/// Checks F-29.
#[test]
fn three_logs_of_which_any_may_fail() {
    all_seeds_hold(SCENARIOS[2]);
}

#[test]
fn seeded_mistakes_are_seen() {
    let [single, replicated, quorum] = SCENARIOS;
    let mistakes = [
        (Mutant::AcceptsBeforeQuorum, quorum),
        (Mutant::IgnoresDurability, replicated),
        (Mutant::TrustsItsCursor, single),
        (Mutant::IgnoresGaps, single),
        (Mutant::LeaseFromReceipt, replicated),
        (Mutant::LeaseFromSend, replicated),
        (Mutant::KeepsEpoch, replicated),
        (Mutant::NeverRepairs, single),
        (Mutant::ForgetsTheSilent, single),
        (Mutant::BelievesTheRollAtOnce, single),
    ];
    let unseen: Vec<_> = mistakes
        .into_iter()
        .filter(|(mutant, scenario)| first_broken(*scenario, 0..SEEDS, Some(*mutant)).is_none())
        .collect();
    assert!(unseen.is_empty(), "not seen: {unseen:?}");
}

/// They show only where an order is lost within milliseconds, and need more seeds for that.
#[test]
fn seeded_mistakes_that_are_rare_are_seen() {
    for mutant in [Mutant::NeverSettles, Mutant::ForgetsUnseen] {
        let seen = first_broken(SCENARIOS[0], 0..16 * SEEDS, Some(mutant));
        assert!(seen.is_some(), "not seen: {mutant:?}");
    }
}

#[test]
fn a_seed_is_a_run() {
    let trace = |seed| {
        let mut world = World::new(SCENARIOS[2], timing(SCENARIOS[2]), seed);
        for _ in 0..20 {
            let order = record(&mut world);
            world.order(0, order);
            let next = world.now + 50;
            world.run_until(next);
        }
        let Memory(known) = &world.daemons[1].known;
        (known.clone(), world.accepted.clone(), world.random.next())
    };
    assert_eq!(trace(7), trace(7));
    assert_ne!(trace(7).2, trace(8).2);
}

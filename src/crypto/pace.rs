//! What a check costs now: the plain estimate, corrected by what checks have lately taken.
//!
//! A key with a table costs a fortieth of one without, and a scheduler that does not know it would give the kernel
//! two signatures at a time. Nobody but schedulers asks: a wrong pace makes batches too long or too short, and
//! never a verdict.
#![forbid(unsafe_code)]

use super::Scheme;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The plain estimate, as a pace.
const PLAIN: u64 = 1 << 10;

/// However fast a run was, the next may be of keys without tables; however slow, that may have been another
/// process.
const PACES: std::ops::RangeInclusive<u64> = PLAIN / 64..=2 * PLAIN;

/// The last run counts for an eighth.
const SHARE: u64 = 8;

static LATELY: [AtomicU64; Scheme::COUNT] = [const { AtomicU64::new(PLAIN) }; Scheme::COUNT];

/// The plain estimate at the scheme's pace.
pub(super) fn at_pace(scheme: Scheme, plain_ns: u64) -> u64 {
    let pace = LATELY[scheme as usize].load(Ordering::Relaxed);
    plain_ns.saturating_mul(pace) / PLAIN
}

/// Learns from a run that was estimated plainly and took so long.
pub(super) fn learn(scheme: Scheme, plain_ns: u64, took: Duration) {
    let place = &LATELY[scheme as usize];
    // Two that learn at once may forget one run; there will be others.
    place.store(
        next(place.load(Ordering::Relaxed), plain_ns, took),
        Ordering::Relaxed,
    );
}

fn next(pace: u64, plain_ns: u64, took: Duration) -> u64 {
    let took_ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    let this = took_ns.saturating_mul(PLAIN) / plain_ns.max(1);
    let this = this.clamp(*PACES.start(), *PACES.end());
    (pace * (SHARE - 1) + this) / SHARE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_follows_what_runs_take_and_stays_in_range() {
        let run = |mut pace, took_ns| {
            for _ in 0..100 {
                pace = next(pace, 75_000, Duration::from_nanos(took_ns));
            }
            pace
        };
        let near = |pace: u64, expected: u64| assert!(pace.abs_diff(expected) <= SHARE, "{pace}");
        near(run(PLAIN, 75_000), PLAIN);
        near(run(PLAIN, 7_500), PLAIN / 10);
        near(run(PLAIN, 1), *PACES.start());
        near(run(*PACES.start(), 75_000), PLAIN);
        near(run(PLAIN, u64::MAX), *PACES.end());
    }
}

//! Who follows one log, and how far each has applied it: what `wait=applied` rests upon.
//!
//! Every daemon notes its position in the log's own Redis, with a number that changes each time, in the same breath as
//! it reads; and it calls no log live whose reads have not carried such a note. So a note that has not changed for
//! longer than a lease is that of a daemon that has stopped relying on this log. Only the time of whoever looks counts
//! for that: Redis' clock may step, and those of two hosts need not agree.
#![forbid(unsafe_code)]

use super::timing::{Mutant, Timing};
use super::wire::{Millis, Position, Present};
use std::collections::HashMap;
use std::sync::Arc;

/// Most daemons that are kept track of. With more of them nobody is told that all have applied anything.
const HOSTS_MAX: usize = 4_096;

/// Notes that have not changed for so many leases are swept away.
const SWEEP_AFTER: u64 = 16;

/// Most notes that one sweep takes away.
const SWEEP_HOSTS_MAX: usize = 64;

#[derive(Debug)]
pub(crate) struct Roll {
    timing: Timing,
    epoch: u64,
    hosts: HashMap<Arc<str>, Seen>,
    /// Before this, somebody who is live may not have been seen yet.
    complete_at: Millis,
    /// When the last look was sent that has been answered.
    looked_at: Option<Millis>,
    is_overfull: bool,
}

/// What a daemon said last, and since when.
#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Position,
    count: u64,
    since: Millis,
    is_listed: bool,
}

impl Roll {
    pub(crate) fn new(timing: Timing, now: Millis) -> Self {
        Self {
            timing,
            epoch: 0,
            hosts: HashMap::new(),
            complete_at: now + timing.gone_ms,
            looked_at: None,
            is_overfull: false,
        }
    }

    /// Notes may have been lost with the log's last history. Whoever is live there writes another before this is
    /// complete, and whoever does not is live no longer.
    pub(crate) fn reset(&mut self, epoch: u64, now: Millis) {
        self.epoch = epoch;
        if self.timing.errs(Mutant::BelievesTheRollAtOnce) {
            self.hosts.clear();
        }
        self.complete_at = now + self.timing.gone_ms;
        self.looked_at = None;
    }

    /// What was found by a look that was sent then.
    pub(crate) fn told(&mut self, present: Vec<Present>, sent_at: Millis, now: Millis) {
        self.is_overfull = present.len() > HOSTS_MAX;
        for seen in self.hosts.values_mut() {
            seen.is_listed = false;
        }
        for Present { host, at, count } in present.into_iter().take(HOSTS_MAX) {
            let new = Seen {
                at,
                count,
                since: now,
                is_listed: true,
            };
            let seen = self.hosts.entry(host.into()).or_insert(new);
            if (seen.at, seen.count) == (at, count) {
                seen.is_listed = true;
            } else {
                *seen = new;
            }
        }
        self.looked_at = Some(sent_at);
        let gone_ms = self.timing.gone_ms;
        self.hosts
            .retain(|_, seen| seen.is_listed || sent_at < seen.since + gone_ms);
    }

    /// Whether everybody is known who may rely on this log in this epoch, as of a look that was sent no earlier than
    /// `since`.
    pub(crate) fn is_complete(&self, epoch: u64, since: Millis) -> bool {
        let looked_at = self.looked_at.filter(|at| *at >= since);
        let is_hasty = self.timing.errs(Mutant::BelievesTheRollAtOnce);
        let is_whole = !self.is_overfull && self.epoch == epoch;
        is_whole && looked_at.is_some_and(|at| is_hasty || at >= self.complete_at)
    }

    /// Everybody who has been seen.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &Arc<str>> {
        self.hosts.keys()
    }

    /// Whether this daemon may rely on this log, for all that is known.
    pub(crate) fn may_rely(&self, host: &str) -> bool {
        if self.timing.errs(Mutant::ForgetsTheSilent) {
            return false;
        }
        let Some(seen) = self.hosts.get(host) else {
            return false;
        };
        self.looked_at
            .is_none_or(|at| at < seen.since + self.timing.gone_ms)
    }

    /// Whether this daemon has applied all up to this position.
    pub(crate) fn has_applied(&self, host: &str, position: Position) -> bool {
        // What a later epoch has kept of this one is not known here.
        self.hosts
            .get(host)
            .is_some_and(|seen| seen.at.epoch == position.epoch && seen.at >= position)
    }

    /// Notes of daemons that ended long ago, to be taken away where they still say the same.
    pub(crate) fn outdated(&self) -> Vec<Present> {
        let Some(looked_at) = self.looked_at else {
            return Vec::new();
        };
        let is_old = |seen: &Seen| {
            seen.is_listed && looked_at >= seen.since + SWEEP_AFTER * self.timing.gone_ms
        };
        let old = self.hosts.iter().filter(|(_, seen)| is_old(seen));
        let note = |(host, seen): (&Arc<str>, &Seen)| Present {
            host: host.to_string(),
            at: seen.at,
            count: seen.count,
        };
        old.take(SWEEP_HOSTS_MAX).map(note).collect()
    }
}

/// Which daemons may still answer without knowing an order that `wanted` logs have confirmed at these positions, the
/// last of them at `since`; `None` where not everybody is known. `own` knows it.
pub(crate) fn silent(
    rolls: &[&Roll],
    positions: &[(usize, Position)],
    wanted: usize,
    since: Millis,
    own: &str,
) -> Option<Vec<Arc<str>>> {
    let complete: Vec<_> = positions
        .iter()
        .filter_map(|(log, at)| {
            rolls
                .get(*log)
                .filter(|roll| roll.is_complete(at.epoch, since))
        })
        .collect();
    // Whoever is live follows all but `wanted - 1` logs, one of which is then among these.
    if complete.len() < wanted {
        return None;
    }
    let needed = rolls.len() + 1 - wanted;
    let unseen = rolls.len() - complete.len();
    let has_applied = |host: &str| {
        let mut positions = positions.iter();
        positions.any(|(log, at)| {
            rolls
                .get(*log)
                .is_some_and(|roll| roll.has_applied(host, *at))
        })
    };
    let may_be_live = |host: &str| {
        let followed = complete.iter().filter(|roll| roll.may_rely(host)).count();
        unseen + followed >= needed
    };
    let hosts = complete.iter().flat_map(|roll| roll.hosts());
    let mut silent: Vec<_> = hosts
        .filter(|host| &***host != own && !has_applied(host) && may_be_live(host))
        .cloned()
        .collect();
    silent.sort_unstable();
    silent.dedup();
    Some(silent)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GONE: Millis = 2_500;

    fn at(sequence: u64) -> Position {
        Position { epoch: 1, sequence }
    }

    fn note(host: &str, sequence: u64, count: u64) -> Present {
        Present {
            host: host.to_owned(),
            at: at(sequence),
            count,
        }
    }

    fn roll() -> Roll {
        let mut timing = Timing::new(2_000, 0, 0);
        timing.gone_ms = GONE;
        let mut roll = Roll::new(timing, 0);
        roll.reset(1, 0);
        roll
    }

    fn of_one(roll: &Roll, sequence: u64, since: Millis) -> Option<Vec<Arc<str>>> {
        silent(&[roll], &[(0, at(sequence))], 1, since, "own")
    }

    #[test]
    fn nobody_is_known_before_everybody_could_have_been_seen() {
        let mut roll = roll();
        roll.told(vec![note("a", 9, 1)], GONE - 1, GONE);
        assert_eq!(of_one(&roll, 5, 0), None);
        roll.told(vec![note("a", 9, 2)], GONE, GONE + 1);
        assert_eq!(of_one(&roll, 5, 0), Some(vec![]));
        assert_eq!(
            of_one(&roll, 5, GONE + 1),
            None,
            "a look from before the order"
        );
        roll.reset(1, GONE + 10);
        roll.told(vec![note("a", 9, 3)], GONE + 11, GONE + 12);
        assert_eq!(of_one(&roll, 5, 0), None);
    }

    #[test]
    fn who_is_behind_is_waited_for_until_it_has_been_silent_for_long() {
        let mut roll = roll();
        let now = 10_000;
        roll.told(vec![note("a", 4, 7), note("own", 0, 1)], now, now + 1);
        assert_eq!(of_one(&roll, 5, 0), Some(vec!["a".into()]));
        roll.told(vec![note("a", 4, 7)], now + GONE, now + GONE + 5);
        assert_eq!(
            of_one(&roll, 5, 0),
            Some(vec!["a".into()]),
            "counted from when it was seen"
        );
        roll.told(vec![note("a", 4, 8)], now + GONE + 1, now + GONE + 2);
        assert_eq!(of_one(&roll, 5, 0), Some(vec!["a".into()]), "it lives");
        let later = now + 2 * GONE + 2;
        roll.told(vec![note("a", 4, 8)], later, later + 1);
        assert_eq!(of_one(&roll, 5, 0), Some(vec![]), "its lease is over");
        let long_after = later + SWEEP_AFTER * GONE;
        assert!(roll.outdated().is_empty());
        roll.told(vec![note("a", 4, 8)], long_after, long_after + 1);
        assert_eq!(roll.outdated(), [note("a", 4, 8)]);
        roll.told(vec![], long_after + 1, long_after + 2);
        assert_eq!(roll.hosts().count(), 0);
    }

    #[test]
    fn a_position_of_another_epoch_says_nothing() {
        let mut roll = roll();
        let later = Present {
            at: Position {
                epoch: 2,
                sequence: 100,
            },
            ..note("a", 0, 1)
        };
        roll.told(vec![later], 10_000, 10_001);
        assert_eq!(of_one(&roll, 5, 0), Some(vec!["a".into()]));
    }

    #[test]
    fn of_three_logs_one_that_says_so_is_enough_and_two_must_be_known() {
        let mut rolls = [roll(), roll(), roll()];
        let order = [(0, at(5)), (1, at(8)), (2, at(3))];
        let ask =
            |rolls: &[Roll; 3], logs| silent(&rolls.each_ref()[..], &order[..logs], 2, 0, "own");
        rolls[0].told(vec![note("a", 5, 1)], 10_000, 10_001);
        assert_eq!(ask(&rolls, 3), None);
        rolls[1].told(vec![note("a", 7, 1), note("b", 7, 1)], 10_000, 10_001);
        // b follows the second log, may follow the third, and two make it live.
        assert_eq!(ask(&rolls, 2), Some(vec!["b".into()]));
        rolls[2].told(vec![], 10_000, 10_001);
        assert_eq!(
            ask(&rolls, 2),
            Some(vec!["b".into()]),
            "the third has not confirmed"
        );
        assert_eq!(
            ask(&rolls, 3),
            Some(vec![]),
            "on one log alone nobody is live"
        );
        rolls[2].told(vec![note("b", 2, 1)], 10_002, 10_003);
        assert_eq!(ask(&rolls, 3), Some(vec!["b".into()]));
        rolls[2].told(vec![note("b", 3, 2)], 10_004, 10_005);
        assert_eq!(ask(&rolls, 3), Some(vec![]));
    }

    #[test]
    fn too_many_are_not_everybody() {
        let mut roll = roll();
        let many = (0..=HOSTS_MAX).map(|number| note(&number.to_string(), 9, 1));
        roll.told(many.collect(), 10_000, 10_001);
        assert_eq!(of_one(&roll, 5, 0), None);
    }
}

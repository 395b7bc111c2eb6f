//! What a daemon knows, and whether it may say what it says.

use super::super::core::Known;
use super::super::outcome::{OrderId, Outcome};
use super::super::state::LogState;
use super::MAX_LAG_MS;
use super::world::World;
use crate::revocation::{Record, RecordKey};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub(super) struct Memory(pub(super) BTreeMap<RecordKey, (u32, u32)>);

impl Known for Memory {
    fn learn(&mut self, records: &[Record]) {
        for record in records {
            let times = self.0.entry(record.key).or_default();
            *times = (times.0.max(record.before), times.1.max(record.until));
        }
    }

    fn stand(&mut self, _: &super::super::View) {}

    fn each(&self, see: &mut dyn FnMut(Record)) {
        for (key, (before, until)) in &self.0 {
            see(Record {
                key: *key,
                before: *before,
                until: *until,
            });
        }
    }
}

impl World {
    /// I3: a log that is called live has been read up to when it is said to have been.
    pub(super) fn check(&mut self, daemon: usize) {
        let now = self.clock(daemon);
        let at = &mut self.daemons[daemon];
        let standing = at.core.standing(now);
        let Some(fresh_at) = standing
            .fresh_at_ms
            .filter(|_| standing.state == LogState::Live)
        else {
            return;
        };
        assert!(
            now - fresh_at < self.timing.lease_ms,
            "live beyond its lease"
        );
        let slack = if self.scenario.replicas > 0 {
            MAX_LAG_MS + 50
        } else {
            0
        };
        let fresh_at = fresh_at.saturating_sub(at.booted);
        while let Some((accepted_at, record)) = self.accepted.get(at.checked) {
            if accepted_at + slack > fresh_at {
                break;
            }
            let known = at.known.0.get(&record.key);
            assert!(
                known.is_some_and(|times| times.0 >= record.before && times.1 >= record.until),
                "I3 at {}: daemon {daemon} is live as of {fresh_at} without {record}, accepted at {accepted_at}",
                self.now
            );
            at.checked += 1;
        }
    }

    /// I4: one answer, and only one.
    pub(super) fn answered(&mut self, id: OrderId, outcome: &Outcome) {
        let (_, record, is_answered) = self.orders.get_mut(&id).expect("an answer to an order");
        assert!(!*is_answered, "I4: answered twice");
        *is_answered = true;
        let record = *record;
        if outcome.is_applied {
            self.applied += 1;
            self.check_applied(&record);
        }
        if outcome.is_accepted {
            self.accepted.push((self.now, record));
        } else {
            self.pending += 1;
        }
    }

    /// W6: whoever is live knows an order that is called applied, and whoever becomes live comes to know it before.
    fn check_applied(&self, record: &Record) {
        for (number, daemon) in self.daemons.iter().enumerate() {
            let state = daemon.core.standing(self.clock(number)).state;
            if !daemon.is_up || state != LogState::Live {
                continue;
            }
            let known = daemon.known.0.get(&record.key);
            assert!(
                known.is_some_and(|times| times.0 >= record.before && times.1 >= record.until),
                "W6 at {}: {record} is called applied, and daemon {number} is live without it",
                self.now
            );
        }
    }

    pub(super) fn unanswered(&self) -> usize {
        self.orders
            .values()
            .filter(|(.., is_answered)| !is_answered)
            .count()
    }
}

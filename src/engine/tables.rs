//! Decides which keys have tables, and builds them where no caller waits.
//!
//! A key earns its table by signatures that were found genuine under it, so that only configured issuers' keys in
//! real use get one, whatever tokens claim. Tables share a budget of memory: the keys in most use have them, the
//! hottest have wide ones where there is room, and a key that falls out of use gives its up when another needs the
//! room. One key's round trip through all this takes a quarter of a second, and meanwhile the reference verifies.
#![forbid(unsafe_code)]

use super::KERNEL_STACK_BYTES;
use crate::crypto::{self, Scheme, TableWidth, VerifyingKey};
use crate::verify::{IssuerKeys, Records};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use hashbrown::{HashMap, HashSet};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How often keys are looked at.
const ROUND: Duration = Duration::from_millis(250);

/// Kernels are timed again after so many rounds, a minute: what was busy at the start must not decide for good.
const CALIBRATED_FOR: usize = 240;

/// What is left of a key's heat after a round: half after about nine seconds.
const HEAT_KEPT: f64 = 0.98;

/// Genuine signatures that earn a table: building one costs about as much as twenty verifications by the
/// reference.
const EARNED: f64 = 64.0;

/// Heat that earns a wide one: about eight thousand signatures a second. It is faster by a fifth.
const EARNED_WIDE: f64 = 100_000.0;

/// A key that has a table counts as this much hotter, so that two of about equal heat do not take turns building.
const INCUMBENT: f64 = 2.0;

/// Looks after the tables of the keys that `records` gives, on a thread of its own, until `stop` disconnects.
/// Tables take up to `bytes_max` bytes; `report` is told after every round how things stand.
///
/// # Errors
/// What the system says where it refuses a thread.
pub fn keep_tables(
    records: impl Fn() -> Arc<Records> + Send + 'static,
    bytes_max: usize,
    stop: Receiver<()>,
    report: impl Fn(TableReport) + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("jotd-tables".to_owned())
        .stack_size(KERNEL_STACK_BYTES)
        .spawn(move || {
            let mut keeper = Keeper::new(bytes_max);
            while stop.recv_timeout(ROUND) == Err(RecvTimeoutError::Timeout) {
                report(keeper.round(&records()));
            }
        })
}

/// How tables stand after a round, and what was done in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableReport {
    /// Keys that have a table.
    pub tables: usize,
    /// Memory that they take.
    pub bytes: usize,
    /// Tables built.
    pub built: u64,
    /// Tables given up for another key's.
    pub evicted: u64,
    /// Tables found changed in memory, and dropped.
    pub corrupt: u64,
}

struct Keeper {
    bytes_max: usize,
    /// By the key's address. An address that another key has taken over has only its heat to lose.
    heats: HashMap<usize, Heat>,
    /// Schemes whose kernels have been made ready.
    warmed: HashSet<Scheme>,
    /// Counts rounds, to look at another key in each.
    rounds: usize,
}

#[derive(Clone, Copy, Default)]
struct Heat {
    genuine: u64,
    warmth: f64,
}

impl Keeper {
    fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            heats: HashMap::new(),
            warmed: HashSet::new(),
            rounds: 0,
        }
    }

    fn round(&mut self, records: &Records) -> TableReport {
        let keys = keys(records);
        let mut report = TableReport::default();
        self.warm_up(&keys);
        self.feel(&keys);
        report.corrupt = self.scrub(&keys);
        let subjects: Vec<Subject> = keys.iter().map(|key| self.subject(key)).collect();
        let plan = plan(&subjects, self.bytes_max);
        // Room first, then what is to fill it.
        for (key, planned) in keys.iter().zip(&plan) {
            if planned.is_none() && key.table().is_some() {
                key.drop_table();
                report.evicted += 1;
            }
        }
        for (key, planned) in keys.iter().zip(&plan) {
            if let Some(width) = planned
                && key.table() != Some(*width)
            {
                key.build_table(*width);
                report.built += 1;
            }
        }
        for (key, width) in keys.iter().filter_map(|key| Some((key, key.table()?))) {
            report.tables += 1;
            report.bytes += key.table_bytes(width);
        }
        report
    }

    /// Makes the kernels of schemes ready as soon as there is a key of theirs, and times them now and then.
    fn warm_up(&mut self, keys: &[&VerifyingKey]) {
        for key in keys {
            if self.warmed.insert(key.scheme()) {
                crypto::warm_up(key.scheme());
                crypto::calibrate(key.scheme());
            }
        }
        if self.rounds % CALIBRATED_FOR == CALIBRATED_FOR - 1 {
            self.warmed.iter().copied().for_each(crypto::calibrate);
        }
    }

    /// Takes every key's temperature. Keys that are no longer there are forgotten.
    fn feel(&mut self, keys: &[&VerifyingKey]) {
        let before = std::mem::take(&mut self.heats);
        for key in keys {
            let last = before.get(&address(key)).copied().unwrap_or_default();
            let genuine = key.genuine();
            #[expect(
                clippy::cast_precision_loss,
                reason = "a quarter of a second's signatures"
            )]
            let fresh = genuine.saturating_sub(last.genuine) as f64;
            let warmth = last.warmth * HEAT_KEPT + fresh;
            self.heats.insert(address(key), Heat { genuine, warmth });
        }
    }

    /// Holds what was made of one key against its checksum: memory that has changed under it would make its
    /// signatures forged. Returns how many were found changed.
    fn scrub(&mut self, keys: &[&VerifyingKey]) -> u64 {
        self.rounds = self.rounds.wrapping_add(1);
        let Some(key) = keys.get(self.rounds % keys.len().max(1)) else {
            return 0;
        };
        if key.is_intact() {
            return 0;
        }
        tracing::error!(scheme = ?key.scheme(), "what was computed from a key has changed in memory");
        key.drop_table();
        1
    }

    fn subject(&self, key: &VerifyingKey) -> Subject {
        Subject {
            heat: self
                .heats
                .get(&address(key))
                .map_or(0.0, |heat| heat.warmth),
            has: key.table(),
            usual_bytes: key.table_bytes(TableWidth::Usual),
            wide_bytes: key.table_bytes(TableWidth::Wide),
        }
    }
}

/// All keys of the records, each once: tenants may share theirs.
fn keys(records: &Records) -> Vec<&VerifyingKey> {
    let sets = records.verifying().filter_map(|issuer| match &issuer.keys {
        IssuerKeys::Known(keys) => Some(keys),
        _ => None,
    });
    let mut seen = HashSet::new();
    sets.flat_map(|set| set.slots().iter().map(|slot| &*slot.key))
        .filter(|key| seen.insert(address(key)))
        .collect()
}

fn address(key: &VerifyingKey) -> usize {
    std::ptr::from_ref(key).addr()
}

/// A key, as the plan sees it.
#[derive(Clone, Copy)]
struct Subject {
    heat: f64,
    has: Option<TableWidth>,
    /// 0 of a key that tables are no use for.
    usual_bytes: usize,
    wide_bytes: usize,
}

/// Which table each key should have. What was earned once is kept while there is room.
fn plan(subjects: &[Subject], bytes_max: usize) -> Vec<Option<TableWidth>> {
    let mut plan = vec![None; subjects.len()];
    let mut left = bytes_max;
    let claim = |subject: &Subject| match subject.has {
        Some(_) => (subject.heat + 1.0) * INCUMBENT,
        None => subject.heat,
    };
    let mut order: Vec<usize> = (0..subjects.len())
        .filter(|&index| {
            let subject = &subjects[index];
            subject.usual_bytes > 0 && (subject.has.is_some() || subject.heat >= EARNED)
        })
        .collect();
    order.sort_by(|&a, &b| claim(&subjects[b]).total_cmp(&claim(&subjects[a])));
    for &index in &order {
        let bytes = subjects[index].usual_bytes;
        if bytes <= left {
            left -= bytes;
            plan[index] = Some(TableWidth::Usual);
        }
    }
    for &index in &order {
        let subject = &subjects[index];
        let more = subject.wide_bytes.saturating_sub(subject.usual_bytes);
        let earned = match subject.has {
            Some(TableWidth::Wide) => EARNED_WIDE / INCUMBENT,
            _ => EARNED_WIDE,
        };
        if plan[index].is_some() && more > 0 && subject.heat >= earned && more <= left {
            left -= more;
            plan[index] = Some(TableWidth::Wide);
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: usize = 256;
    const WIDE: usize = 832;

    fn subject(heat: f64, has: Option<TableWidth>) -> Subject {
        Subject {
            heat,
            has,
            usual_bytes: USUAL,
            wide_bytes: WIDE,
        }
    }

    #[test]
    fn a_key_has_a_table_once_it_has_earned_one() {
        let subjects = [subject(EARNED - 1.0, None), subject(EARNED, None)];
        assert_eq!(plan(&subjects, 10_000), [None, Some(TableWidth::Usual)]);
        let no_use = Subject {
            usual_bytes: 0,
            wide_bytes: 0,
            ..subject(1e9, None)
        };
        assert_eq!(plan(&[no_use], 10_000), [None]);
    }

    #[test]
    fn the_hottest_have_the_room_and_what_is_cold_gives_way() {
        let usual = Some(TableWidth::Usual);
        let subjects = [
            subject(0.0, usual),
            subject(100.0, None),
            subject(200.0, None),
        ];
        assert_eq!(plan(&subjects, 3 * USUAL), [usual, usual, usual], "all fit");
        assert_eq!(plan(&subjects, 2 * USUAL), [None, usual, usual]);
        assert_eq!(plan(&subjects, USUAL), [None, None, usual]);
        assert_eq!(plan(&subjects, USUAL - 1), [None, None, None]);
    }

    #[test]
    fn a_key_of_about_the_same_heat_does_not_take_anothers_table() {
        let usual = Some(TableWidth::Usual);
        let room = USUAL;
        assert_eq!(
            plan(&[subject(100.0, usual), subject(150.0, None)], room),
            [usual, None]
        );
        assert_eq!(
            plan(&[subject(100.0, usual), subject(250.0, None)], room),
            [None, usual]
        );
    }

    #[test]
    fn wide_tables_are_for_the_hottest_and_never_cost_another_its_own() {
        let (usual, wide) = (Some(TableWidth::Usual), Some(TableWidth::Wide));
        let subjects = [subject(EARNED_WIDE, usual), subject(EARNED, None)];
        assert_eq!(plan(&subjects, WIDE + USUAL), [wide, usual]);
        assert_eq!(plan(&subjects, WIDE + USUAL - 1), [usual, usual]);
        let cooled = [subject(EARNED_WIDE / INCUMBENT, wide)];
        assert_eq!(plan(&cooled, WIDE), [wide], "not yet");
        assert_eq!(plan(&[subject(EARNED, wide)], WIDE), [usual]);
    }
}

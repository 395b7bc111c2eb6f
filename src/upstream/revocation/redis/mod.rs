//! Revocations through Redis or Valkey: one log, or several that do not know of each other. It promises that
//! an order it has called accepted is never lost, and it refuses to call a log live that it cannot be sure of.
//! `docs/revocation.md` defines keys, entries and scripts for everybody else.
//!
//! `core` and what it is made of are machines without sockets or clocks, which a simulator runs too; `logs` and
//! `connection` are the tasks around them.
#![forbid(unsafe_code)]

mod answers;
mod connection;
mod core;
mod held;
mod keeper;
mod lane;
mod logs;
mod notes;
mod outcome;
mod reader;
mod roll;
#[cfg(test)]
mod sim;
mod state;
#[cfg(test)]
pub(super) mod tests;
mod timing;
mod uses;
mod wire;
mod writer;

pub use core::{Known, Standing};
pub use logs::{LogView, Logs, View};
pub use outcome::Outcome;
pub use state::LogState;
pub use uses::Uses;
pub use wire::Position;

use crate::upstream::dial::Address;
use std::time::Duration;

/// Most entries of the log in one answer. A reader that gets as many asks again at once.
const READ_ENTRIES_MAX: usize = 1_000;

/// Most records in one write: as many orders can share one confirmation.
const WRITE_RECORDS_MAX: usize = 64;

/// A deployment's logs, and what is asked of them.
#[derive(Clone, Debug)]
pub struct Options {
    /// Each one independent of the others.
    pub logs: Vec<LogOptions>,
    /// How many of them have to confirm an order before it is accepted.
    pub write_quorum: usize,
    /// What all keys begin with. The braces keep them on one node of a cluster.
    pub prefix: String,
    /// How long after a sign of life what has been read still counts as all there is.
    pub lease: Duration,
    /// A primary that has not heard from its replicas for longer does not write signs of life.
    pub replica_lag_seconds: u64,
    /// About how many entries a log keeps. Who was away for longer reads everything.
    pub keep_entries: u64,
}

/// One log.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// In revisions, logs and metrics.
    pub name: String,
    /// Where it is.
    pub address: Address,
    /// What it has to confirm.
    pub durability: Durability,
}

/// How safe a write has to be before its log counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The server has it, and writes it to its disk when it does.
    Memory,
    /// So many replicas have it too (`WAIT`). With `appendfsync always`, on disk everywhere.
    Replicas(u32),
    /// It is on the disk of the server and of so many replicas (`WAITAOF`, Redis 7.2 or later).
    Disks {
        /// Besides the server itself.
        replicas: u32,
    },
}

/// How far a log has been read, to be kept beside what was read, and never ahead of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// Epoch, sequence and chain; none where the log has not been read to any place.
    pub at: Option<(u64, u64, [u8; 20])>,
    /// Whether the log was seen to hold all that was known here. If so, and nothing has been learnt since, the two need
    /// not be compared at a start.
    pub is_settled: bool,
}

impl Durability {
    fn replicas(self) -> u64 {
        match self {
            Self::Memory => 0,
            Self::Replicas(replicas) | Self::Disks { replicas } => replicas.into(),
        }
    }
}

impl Options {
    /// One log at this address, with everything as it is by default.
    #[must_use]
    pub fn one(address: Address) -> Self {
        Self {
            logs: vec![LogOptions {
                name: "redis".into(),
                address,
                durability: Durability::Memory,
            }],
            write_quorum: 1,
            prefix: "rev:{jotd}".into(),
            lease: Duration::from_secs(2),
            replica_lag_seconds: 1,
            keep_entries: 100_000,
        }
    }

    fn timing(&self) -> timing::Timing {
        let lease_ms = u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX / 64);
        // Where one loss loses accepted orders, a new history waits for those who still know them.
        let has_copies = self.logs.iter().all(|log| log.durability.replicas() > 0);
        let stands_a_loss = has_copies || self.write_quorum > 1;
        let settle_ms = if stands_a_loss {
            0
        } else {
            lease_ms + lane::PAUSE_MS_MAX
        };
        // Redis counts the silence of replicas in whole seconds.
        let lag_ms = if self.logs.iter().any(|log| log.durability.replicas() > 0) {
            (self.replica_lag_seconds + 1) * 1_000
        } else {
            0
        };
        timing::Timing::new(lease_ms, settle_ms, lag_ms)
    }

    fn manner(&self, timing: timing::Timing, log: &LogOptions, host: &str) -> connection::Manner {
        let key = |name| format!("{}:{name}", self.prefix);
        let host = host.to_owned();
        connection::Manner {
            keys: ["state", "held", "log", "wake", "hosts"].map(key),
            used: key("used:"),
            host,
            durability: log.durability,
            replica_lag_seconds: self.replica_lag_seconds,
            keep_entries: self.keep_entries,
            beat_ms: timing.beat_ms,
        }
    }
}

//! How a log elsewhere is doing, for readiness and metrics.
#![forbid(unsafe_code)]

use serde::Serialize;

/// One log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LogReport {
    /// Its configured name.
    pub name: String,
    /// `cold`, `syncing`, `live`, `suspect`, `stale`.
    pub state: &'static str,
    /// How long ago all that it had been told had surely been applied here; none before that.
    pub age_ms: Option<u64>,
    /// How often something was missing between two entries.
    pub gaps: u64,
    /// How often it had lost what had been read from it.
    pub histories_lost: u64,
    /// How often it was read from the beginning.
    pub scans: u64,
    /// Records there that this version cannot read.
    pub unreadable: u64,
    /// Records from here that have not been seen there yet.
    pub backlog: usize,
    /// Records that it lacked and that were written back.
    pub repaired: u64,
    /// Records still to be written back.
    pub repairs_waiting: usize,
    /// What went wrong last, if it has not worked since.
    pub fault: Option<&'static str>,
}

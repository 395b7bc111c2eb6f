//! Revocations through Redis or Valkey: one log, or several that do not know of each other. It promises that
//! an order it has called accepted is never lost, and it refuses to call a log live that it cannot be sure of.
//! `docs/revocation.md` defines keys, entries and scripts for everybody else.
//!
//! [`core`] and what it is made of are machines without sockets or clocks, which a simulator runs too.
#![forbid(unsafe_code)]

mod core;
mod keeper;
mod lane;
mod reader;
#[cfg(test)]
mod sim;
mod timing;
mod wire;
mod writer;

/// Most entries of the log in one answer. A reader that gets as many asks again at once.
const READ_ENTRIES_MAX: usize = 1_000;

/// Most records in one write: as many orders can share one confirmation.
const WRITE_RECORDS_MAX: usize = 64;

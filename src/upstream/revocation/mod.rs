//! Carries revocations: takes orders, keeps them where no crash can reach them, and tells the register.
//!
//! [`Desk`] is the door: whatever gives orders hands their records in there and is told what was made sure of.
//! Behind it stands this host's own log, a [`Journal`]. Nothing here decides about a token, and nothing that was
//! acknowledged is ever taken back.
#![forbid(unsafe_code)]

mod apart;
mod cursors;
mod desk;
mod embedded;
mod gathered;
mod intake;
mod journal;
mod poll;
pub mod redis;
mod report;
#[cfg(test)]
mod rig;
mod shared;
#[cfg(test)]
mod small_disk;
#[cfg(test)]
mod steps;
#[cfg(test)]
mod tests;

pub use desk::{Desk, Submission};
pub use intake::Intake;
pub use journal::{Compacted, Compaction, Journal, JournalError, Repair, salvage};
pub use poll::{Poll, Polling, Polls};

//! Carries revocations: takes orders, keeps them where a crash cannot reach them, and tells the register.
#![forbid(unsafe_code)]

mod journal;

pub use journal::{Compacted, Compaction, Journal, JournalError, Repair, salvage};

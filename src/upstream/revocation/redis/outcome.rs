//! An order on its way to the logs, and what its giver is told.
#![forbid(unsafe_code)]

use super::wire::{Millis, Position};
use std::sync::Arc;

/// An order, by a number of the caller's.
pub(crate) type OrderId = u64;

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Enough logs have confirmed it; otherwise it is kept here and goes on.
    pub is_accepted: bool,
    /// Every daemon that may rely on the logs has applied it.
    pub is_applied: bool,
    /// Those that had not, by the time that the answer had to be given; not all that there are, where not all are known.
    pub silent: Vec<Arc<str>>,
    /// Where each log has it, by the number of the log.
    pub revision: Vec<(usize, Position)>,
}

#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) records: usize,
    /// For each log, how many records it has confirmed and where the last of them is.
    pub(crate) confirmed: Vec<(usize, Position)>,
    pub(crate) answer_by: Option<Millis>,
    /// Whether the giver waits until it is applied everywhere, and since when that is all it waits for.
    pub(crate) is_awaited: bool,
    pub(crate) accepted_at: Option<Millis>,
}

impl Order {
    pub(crate) fn confirmations(&self) -> usize {
        let is_whole = |(records, _): &&(usize, Position)| *records >= self.records;
        self.confirmed.iter().filter(is_whole).count()
    }

    pub(crate) fn outcome(&self, is_accepted: bool) -> Outcome {
        let whole = self.confirmed.iter().enumerate();
        let whole = whole.filter(|(_, (records, _))| *records >= self.records);
        Outcome {
            is_accepted,
            is_applied: false,
            silent: Vec::new(),
            revision: whole.map(|(log, (_, last))| (log, *last)).collect(),
        }
    }
}

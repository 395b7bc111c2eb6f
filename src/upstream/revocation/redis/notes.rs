//! The notes that go with reads, by which other daemons know how far this one has applied a log, and that it relies on
//! it at all.
#![forbid(unsafe_code)]

use super::wire::{Millis, Position};

/// What everybody else can know of how far this log has been applied here.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Number of the last note that was sent.
    count: u64,
    /// When the note was sent, and for which position, whose answer is awaited.
    sent: Option<(Millis, Position)>,
    taken: Option<Taken>,
    /// Up to where somebody waits for us.
    pub(crate) awaited: Position,
}

/// Notes that were taken on this connection: when the first and the last of them were sent, and what that said.
#[derive(Clone, Copy, Debug)]
struct Taken {
    first: Millis,
    last: Millis,
    at: Position,
}

impl Notes {
    /// The number of the note that goes with a read, if it is time for one or somebody waits for it.
    pub(crate) fn next(&mut self, at: Position, every_ms: Millis, now: Millis) -> Option<u64> {
        let is_due = self.taken.is_none_or(|taken| {
            let is_waited_for = taken.at < self.awaited && self.awaited <= at;
            is_waited_for || now >= taken.last + every_ms
        });
        self.sent = is_due.then_some((now, at));
        self.count += u64::from(is_due);
        is_due.then_some(self.count)
    }

    /// The connection is gone: whoever comes back says so first.
    pub(crate) fn forget(&mut self) {
        self.sent = None;
        self.taken = None;
    }

    pub(crate) fn answered(&mut self, is_taken: bool) {
        let sent = self.sent.take().filter(|_| is_taken);
        if let Some((last, at)) = sent {
            let first = self.taken.map_or(last, |taken| taken.first);
            self.taken = Some(Taken { first, last, at });
        }
    }

    /// Since when, up to this moment, others know that the log is relied upon here.
    pub(crate) fn vouch(&self, moment: Millis, every_ms: Millis) -> Option<Millis> {
        let taken = self.taken.filter(|taken| taken.first <= moment)?;
        Some(moment.min(taken.last + every_ms))
    }
}

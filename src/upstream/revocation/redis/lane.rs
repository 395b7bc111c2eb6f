//! One connection to one log, as a machine sees it: one question at a time, each with a ticket, so that an
//! answer that comes late, twice or from an earlier connection is known for what it is.
#![forbid(unsafe_code)]

use super::wire::{Ask, Millis};

/// First and longest pause before a connection is tried again.
const PAUSE_MS_MIN: u64 = 20;
pub(crate) const PAUSE_MS_MAX: u64 = 1_000;

/// What a machine wants of its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Drop the connection, if any, and make another one after the pause.
    Connect { after_ms: u64 },
    /// Ask, and give the answer back with the ticket.
    Ask { ticket: u64, ask: Ask },
}

#[derive(Debug)]
pub(crate) struct Lane {
    jitter: Jitter,
    ticket: u64,
    is_open: bool,
    is_waiting: bool,
    sent_at: Millis,
    failures: u32,
}

impl Lane {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            jitter: Jitter(seed),
            ticket: 0,
            is_open: false,
            is_waiting: false,
            sent_at: 0,
            failures: 0,
        }
    }

    /// The connection stands.
    pub(crate) fn opened(&mut self) {
        self.is_open = true;
        self.is_waiting = false;
    }

    /// The connection is given up; answers on it no longer count.
    pub(crate) fn drop_and_retry(&mut self) -> Wire {
        self.is_open = false;
        self.is_waiting = false;
        self.ticket += 1;
        let doubled = PAUSE_MS_MIN << self.failures.min(10);
        self.failures = self.failures.saturating_add(1);
        Wire::Connect {
            // Between half and all of it: many daemons that lost one Redis do not come back as one.
            after_ms: self.jitter.spread(doubled.min(PAUSE_MS_MAX)),
        }
    }

    pub(crate) fn ask(&mut self, ask: Ask, now: Millis) -> Wire {
        debug_assert!(self.is_idle(), "one question at a time");
        self.ticket += 1;
        self.is_waiting = true;
        self.sent_at = now;
        Wire::Ask {
            ticket: self.ticket,
            ask,
        }
    }

    /// When the question was asked that this ticket is for; none if it is not the one that is open.
    pub(crate) fn accept(&mut self, ticket: u64) -> Option<Millis> {
        (self.is_open && self.is_waiting && ticket == self.ticket).then(|| {
            self.is_waiting = false;
            self.sent_at
        })
    }

    /// Things go well: the next pause is a short one again.
    pub(crate) fn is_well(&mut self) {
        self.failures = 0;
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.is_open && !self.is_waiting
    }

    pub(crate) fn jitter(&mut self) -> &mut Jitter {
        &mut self.jitter
    }
}

/// Spreads what many daemons would do at once. Seeded, so that a simulation can be repeated; not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Jitter(pub(crate) u64);

impl Jitter {
    /// Between half of it and all of it.
    pub(crate) fn spread(&mut self, whole: u64) -> u64 {
        whole / 2 + self.next() % (whole / 2 + 1)
    }

    /// SplitMix64.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

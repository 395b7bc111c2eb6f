//! How much unfinished business a peer may make us hold, in bytes.
//!
//! Connections and streams multiply: a hundred streams on each of a thousand connections, each with a
//! body almost complete, would be more than any host has. What comes in the first read of a body is
//! small and free; what follows is taken from the peer's budget, and from that of the whole process.
#![forbid(unsafe_code)]

use crate::transport::Limits;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many of the largest bodies one peer may make us hold.
const PEER_BODIES_MAX: usize = 4;

/// Most that all peers may make us hold, in bytes.
const PROCESS_BYTES_MAX: usize = 256 * 1024 * 1024;

static PROCESS_BYTES: AtomicUsize = AtomicUsize::new(0);

/// What one peer makes us hold.
#[derive(Debug)]
pub(super) struct Budget {
    held: AtomicUsize,
    bytes_max: usize,
}

/// Bytes taken from a budget until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    /// The budget of a peer under these limits.
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            held: AtomicUsize::new(0),
            bytes_max: limits.body_bytes_max.saturating_mul(PEER_BODIES_MAX),
        }
    }

    /// Nothing yet, to be added to.
    pub(super) fn hold_nothing(self: &Arc<Self>) -> Held {
        Held {
            budget: Arc::clone(self),
            bytes: 0,
        }
    }
}

impl Held {
    /// Takes more; false, and nothing is taken, where there is no room.
    #[must_use]
    pub(super) fn add(&mut self, bytes: usize) -> bool {
        if !take(&self.budget.held, bytes, self.budget.bytes_max) {
            return false;
        }
        if !take(&PROCESS_BYTES, bytes, PROCESS_BYTES_MAX) {
            self.budget.held.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.bytes += bytes;
        true
    }
}

impl Held {
    /// How much is taken.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes more until it is this much; false, and nothing is taken, where there is no room.
    #[must_use]
    pub(super) fn grow_to(&mut self, bytes: usize) -> bool {
        bytes <= self.bytes || self.add(bytes - self.bytes)
    }

    /// Gives all back.
    pub(super) fn release(&mut self) {
        if self.bytes > 0 {
            self.budget.held.fetch_sub(self.bytes, Ordering::Relaxed);
            PROCESS_BYTES.fetch_sub(self.bytes, Ordering::Relaxed);
            self.bytes = 0;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

fn take(held: &AtomicUsize, bytes: usize, bytes_max: usize) -> bool {
    let taken = held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
        held.checked_add(bytes).filter(|sum| *sum <= bytes_max)
    });
    taken.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_its_own_end_and_gets_back_what_it_let_go() {
        let limits = Limits {
            body_bytes_max: 250,
            ..Limits::default()
        };
        let peer = Arc::new(Budget::new(&limits));
        let mut first = peer.hold_nothing();
        assert!(first.add(990));
        let mut second = peer.hold_nothing();
        assert!(!second.add(11) && !second.add(usize::MAX));
        assert!(second.add(10) && !second.add(1));
        let mut other = Arc::new(Budget::new(&limits)).hold_nothing();
        assert!(other.add(1000), "another peer is not concerned");
        drop(first);
        assert!(second.add(990));
    }
}

//! Who asks, and how much of the queues that one may fill.
#![forbid(unsafe_code)]

use super::budget::Budget;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Names forgotten at the earliest once so many are known: below it, tidying up is not worth the walk.
const TIDY_AT_MIN: usize = 64;

/// Who asks: the unit of fairness and quota. One per Unix uid, or per HTTP client address.
pub struct Peer {
    number: u64,
    name: Box<str>,
    pub(super) budget: Budget,
}

impl Peer {
    /// The name it was asked for by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the scheduler knows it by. Never reused.
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Peer({})", self.name)
    }
}

/// The peers that someone holds. One name is one peer, however many connections it has.
pub(super) struct Peers {
    next_number: AtomicU64,
    known: Mutex<Known>,
}

struct Known {
    by_name: HashMap<Box<str>, Weak<Peer>>,
    tidy_at: usize,
}

impl Peers {
    pub(super) fn new() -> Self {
        Self {
            next_number: AtomicU64::new(0),
            known: Mutex::new(Known {
                by_name: HashMap::new(),
                tidy_at: TIDY_AT_MIN,
            }),
        }
    }

    /// The peer with this name, known or new, with this quota from now on.
    pub(super) fn get(&self, name: &str, queue_cost_ns_max: u64) -> Arc<Peer> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(peer) = known.by_name.get(name).and_then(Weak::upgrade) {
            peer.budget.set_max(queue_cost_ns_max);
            return peer;
        }
        if known.by_name.len() >= known.tidy_at {
            known.by_name.retain(|_, peer| peer.strong_count() > 0);
            known.tidy_at = (known.by_name.len() * 2).max(TIDY_AT_MIN);
        }
        let peer = Arc::new(Peer {
            number: self.next_number.fetch_add(1, Ordering::Relaxed),
            name: name.into(),
            budget: Budget::new(queue_cost_ns_max),
        });
        known.by_name.insert(name.into(), Arc::downgrade(&peer));
        peer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_is_one_peer_and_shares_one_quota() {
        let peers = Peers::new();
        let (one, same) = (peers.get("uid 1000", 10), peers.get("uid 1000", 20));
        assert!(Arc::ptr_eq(&one, &same));
        assert!(
            one.budget.reserve(20) && !one.budget.reserve(1),
            "the later quota counts"
        );
        assert_ne!(peers.get("uid 1001", 10).number(), one.number());
    }

    #[test]
    fn names_nobody_holds_are_forgotten() {
        let peers = Peers::new();
        let kept = peers.get("kept", 1);
        for address in 0..10_000 {
            let _ = peers.get(&address.to_string(), 1);
        }
        let known = peers.known.lock().expect("nobody panicked");
        assert!(
            known.by_name.len() <= TIDY_AT_MIN,
            "{}",
            known.by_name.len()
        );
        assert!(known.by_name.contains_key(kept.name()));
    }
}

//! A bound on queued work, in nanoseconds of estimated cost.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

/// How much work may be queued, and how much is.
pub(super) struct Budget {
    max_ns: AtomicU64,
    used_ns: AtomicU64,
}

impl Budget {
    pub(super) fn new(max_ns: u64) -> Self {
        Self {
            max_ns: AtomicU64::new(max_ns),
            used_ns: AtomicU64::new(0),
        }
    }

    pub(super) fn set_max(&self, max_ns: u64) {
        self.max_ns.store(max_ns, Ordering::Relaxed);
    }

    pub(super) fn used_ns(&self) -> u64 {
        self.used_ns.load(Ordering::Relaxed)
    }

    /// Sets work aside if there is room. While nothing is queued there always is: the dearest of tokens must
    /// not be refused for ever.
    pub(super) fn reserve(&self, cost_ns: u64) -> bool {
        let before = self.used_ns.fetch_add(cost_ns, Ordering::Relaxed);
        let fits = before.saturating_add(cost_ns) <= self.max_ns.load(Ordering::Relaxed);
        if fits || before == 0 {
            return true;
        }
        self.release(cost_ns);
        false
    }

    /// Gives back what was set aside.
    pub(super) fn release(&self, cost_ns: u64) {
        self.used_ns.fetch_sub(cost_ns, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_budget_refuses_and_an_empty_one_never_does() {
        let budget = Budget::new(100);
        assert!(
            budget.reserve(1_000),
            "too dear for the budget, but nothing is queued"
        );
        assert!(!budget.reserve(1));
        budget.release(1_000);
        assert!(budget.reserve(60) && budget.reserve(40) && !budget.reserve(1));
        assert_eq!(budget.used_ns(), 100);
    }
}

//! A part of a thread's time, to be spent on asking twice.
#![forbid(unsafe_code)]

use crate::clock;
use std::time::Duration;

/// Fills as time passes and empties as it is spent. What is spent is known only afterwards, so it may fall below
/// zero, and has to be earned before there is more.
pub(super) struct Budget {
    permille: i64,
    last: Duration,
    left_ns: i64,
}

/// What may be saved up: about sixty checks by the reference, so that a few forgeries now and then are always
/// confirmed.
const SAVED_NS_MAX: i64 = 5_000_000;

impl Budget {
    /// A full one, that fills by so many thousandths of the time that passes.
    pub(super) fn new(permille: i64) -> Self {
        Self {
            permille,
            last: Duration::ZERO,
            left_ns: SAVED_NS_MAX,
        }
    }

    /// Does what is to be done and pays for it, if anything is left.
    pub(super) fn spend<T>(&mut self, work: impl FnOnce() -> T) -> Option<T> {
        let begun = clock::since_boot();
        self.fill(begun);
        if self.left_ns <= 0 {
            return None;
        }
        let done = work();
        let took = clock::since_boot().saturating_sub(begun);
        self.left_ns = self.left_ns.saturating_sub(nanoseconds(took));
        Some(done)
    }

    /// Spends all that is left.
    #[cfg(test)]
    pub(super) fn empty(&mut self) {
        self.left_ns = 0;
    }

    fn fill(&mut self, now: Duration) {
        let passed_ns = nanoseconds(now.saturating_sub(self.last));
        self.last = now;
        let earned_ns = passed_ns.saturating_mul(self.permille) / 1_000;
        self.left_ns = self.left_ns.saturating_add(earned_ns).min(SAVED_NS_MAX);
    }
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_comes_back_with_time_and_never_beyond_the_limit() {
        let mut budget = Budget::new(50);
        budget.fill(Duration::from_secs(100));
        assert_eq!(budget.left_ns, SAVED_NS_MAX);
        budget.left_ns = 0;
        budget.fill(Duration::from_secs(100) + Duration::from_micros(200));
        assert_eq!(budget.left_ns, 10_000, "a twentieth");
        budget.fill(Duration::from_secs(200));
        assert_eq!(budget.left_ns, SAVED_NS_MAX);
    }

    #[test]
    fn what_was_overdrawn_is_earned_first() {
        let mut budget = Budget::new(10);
        budget.fill(Duration::from_secs(1));
        budget.left_ns = 1;
        assert!(
            budget
                .spend(|| std::thread::sleep(Duration::from_millis(20)))
                .is_some()
        );
        assert!(budget.left_ns < 0);
        assert!(
            budget.spend(|| ()).is_none(),
            "two seconds' earnings are owed"
        );
    }

    #[test]
    fn an_empty_budget_does_nothing() {
        let mut budget = Budget::new(0);
        assert_eq!(budget.spend(|| 1), Some(1));
        budget.left_ns = 0;
        assert_eq!(budget.spend(|| 1), None);
    }
}

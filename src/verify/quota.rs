//! How much work the genuine tokens of one issuer or tenant may make.
//!
//! Only what was found genuine is charged, so a stranger who writes somebody's `iss` into a forged token uses up
//! nothing of theirs; forged tokens are bounded by who sends them, which is the engine's work. What is over the quota
//! is turned away before its signature is looked at.

use crate::clock::Now;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Work that may come at once, in what an average second brings.
const BURST: Duration = Duration::from_secs(1);

/// A rate, and how far it has been used. It is the generic cell rate algorithm: one number says when all that was
/// charged will have been earned.
pub(super) struct Quota {
    interval_ns: u64,
    earned_at_ns: AtomicU64,
}

impl Quota {
    pub(super) fn shared(per_second: u32) -> Arc<Self> {
        Arc::new(Self {
            interval_ns: 1_000_000_000 / u64::from(per_second.max(1)),
            earned_at_ns: AtomicU64::new(0),
        })
    }

    /// Whether one more may be verified now.
    pub(super) fn has_room(&self, now: Now) -> bool {
        let ahead = nanoseconds(now.since_boot + BURST);
        let earned_at = self.earned_at_ns.load(Ordering::Relaxed);
        earned_at.saturating_add(self.interval_ns) <= ahead
    }

    /// Charges one that was found genuine. Racing workers may let a batch more pass than the rate says, and it is earned
    /// all the same before the next.
    pub(super) fn charge(&self, now: Now) {
        let now = nanoseconds(now.since_boot);
        let charged = |at: u64| Some(at.max(now).saturating_add(self.interval_ns));
        // It always changes something.
        let _ = self
            .earned_at_ns
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, charged);
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Now {
        Now {
            since_boot: Duration::from_millis(milliseconds),
            ..Now::at(0)
        }
    }

    #[test]
    fn a_second_s_worth_may_come_at_once_and_the_rest_is_earned() {
        let quota = Quota::shared(10);
        let passes = |quota: &Quota, now| {
            let room = quota.has_room(now);
            if room {
                quota.charge(now);
            }
            room
        };
        let burst = (0..100).filter(|_| passes(&quota, at(5_000))).count();
        assert_eq!(burst, 10);
        assert!(!passes(&quota, at(5_099)));
        assert!(passes(&quota, at(5_101)) && !passes(&quota, at(5_102)));
        let later = (0..100).filter(|_| passes(&quota, at(60_000))).count();
        assert_eq!(later, 10, "what was not used does not add up");
    }
}

//! How a key is used: until when the tokens live that were verified with it, and whether they come from the future.
#![forbid(unsafe_code)]

use crate::clock::Now;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// What is known of the tokens of one key. Counts nothing: workers touch it for each token that they verify, and most
/// of the time only read.
#[derive(Debug)]
pub struct Usage {
    /// The latest `exp` seen; [`UNUSED`] before the first.
    expires_last: AtomicI64,
    /// The furthest `iat` ahead of our clock, in seconds, below the minute since the epoch in which it was seen; 0 while
    /// there was none.
    ahead: AtomicU64,
}

/// How long an `iat` ahead of our clock is remembered, in minutes: one odd token is not to count for ever.
const AHEAD_MINUTES: u64 = 60;

const UNUSED: i64 = i64::MIN;

impl Default for Usage {
    fn default() -> Self {
        Self {
            expires_last: AtomicI64::new(UNUSED),
            ahead: AtomicU64::new(0),
        }
    }
}

impl Usage {
    /// A token with this `exp` was verified with the key; `i64::MAX` for one that has none.
    pub fn note(&self, expires_at: i64) {
        if expires_at > self.expires_last.load(Ordering::Relaxed) {
            self.expires_last.fetch_max(expires_at, Ordering::Relaxed);
        }
    }

    /// A token whose signature is genuine says that it was issued at `issued_at`. Nearly always that is past, and then
    /// nothing is touched.
    #[inline]
    pub fn note_issued(&self, issued_at: i64, now: Now) {
        let ahead = issued_at.saturating_sub(now.latest);
        if ahead > 0 {
            self.note_ahead(ahead, minute(now));
        }
    }

    #[cold]
    fn note_ahead(&self, seconds: i64, minute: u64) {
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        let known = self.ahead.load(Ordering::Relaxed);
        if seconds > recent_ahead(known, minute).unwrap_or(0) {
            // Of two at once, one is lost: the next token tells again.
            let noted = minute << 32 | u64::from(seconds);
            self.ahead.store(noted, Ordering::Relaxed);
        }
    }

    /// The furthest that the `iat` of a genuine token was ahead of our clock within the last hour, in seconds.
    #[must_use]
    pub fn issued_ahead_seconds(&self, now: Now) -> Option<u32> {
        recent_ahead(self.ahead.load(Ordering::Relaxed), minute(now))
    }

    /// The latest `exp` of the tokens that were verified with the key, in seconds since the epoch; `i64::MAX` where one
    /// of them had none, and `None` where there were none.
    #[must_use]
    pub fn expires_last(&self) -> Option<i64> {
        let expires = self.expires_last.load(Ordering::Relaxed);
        (expires != UNUSED).then_some(expires)
    }
}

fn minute(now: Now) -> u64 {
    u64::try_from(now.latest / 60).map_or(0, |minute| minute & u64::from(u32::MAX))
}

fn recent_ahead(noted: u64, minute: u64) -> Option<u32> {
    let is_recent = (noted >> 32).abs_diff(minute) <= AHEAD_MINUTES;
    let seconds = u32::try_from(noted & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    (is_recent && seconds > 0).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_from_the_future_are_noticed_for_an_hour() {
        const NOW: i64 = 1_700_000_000;
        let usage = Usage::default();
        let ahead = |later: i64| usage.issued_ahead_seconds(Now::at(NOW + later));
        for past in [0, 1, 1_000, i64::MAX] {
            usage.note_issued(NOW - past, Now::at(NOW));
        }
        assert_eq!(ahead(0), None);
        usage.note_issued(NOW + 20, Now::at(NOW));
        usage.note_issued(NOW + 5, Now::at(NOW));
        assert_eq!(ahead(0), Some(20));
        assert_eq!(ahead(3_600), Some(20));
        assert_eq!(ahead(3_720), None, "long ago");
        usage.note_issued(NOW + 4_005, Now::at(NOW + 4_000));
        assert_eq!(ahead(4_000), Some(5), "what is old gives way to less");
        usage.note_issued(i64::MAX, Now::at(NOW + 4_000));
        assert_eq!(ahead(4_000), Some(u32::MAX));
    }

    #[test]
    fn the_latest_expiry_is_kept() {
        let usage = Usage::default();
        assert_eq!(usage.expires_last(), None);
        usage.note(20);
        usage.note(10);
        assert_eq!(usage.expires_last(), Some(20));
        usage.note(i64::MAX);
        assert_eq!(usage.expires_last(), Some(i64::MAX));
    }
}

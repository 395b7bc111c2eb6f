//! How a key is used: until when the tokens live that were verified with it.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicI64, Ordering};

/// What is known of the tokens of one key. Counts nothing: workers touch it for each token that they verify, and most
/// of the time only read.
#[derive(Debug)]
pub struct Usage {
    /// The latest `exp` seen; [`UNUSED`] before the first.
    expires_last: AtomicI64,
}

const UNUSED: i64 = i64::MIN;

impl Default for Usage {
    fn default() -> Self {
        Self {
            expires_last: AtomicI64::new(UNUSED),
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

    /// The latest `exp` of the tokens that were verified with the key, in seconds since the epoch; `i64::MAX` where one
    /// of them had none, and `None` where there were none.
    #[must_use]
    pub fn expires_last(&self) -> Option<i64> {
        let expires = self.expires_last.load(Ordering::Relaxed);
        (expires != UNUSED).then_some(expires)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

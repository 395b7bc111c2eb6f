//! A token bucket: how often an issuer may be asked about tenants that are not loaded.

use std::time::Duration;

/// What may be taken at once after a quiet time, in seconds' worth.
const BURST_SECONDS: f64 = 2.0;

/// Fills with time, and is emptied by fetches.
pub(super) struct Bucket {
    per_second: f64,
    tokens: f64,
    filled_at: Duration,
}

impl Bucket {
    pub(super) fn full(per_second: u32, now: Duration) -> Self {
        let per_second = f64::from(per_second.max(1));
        Self {
            per_second,
            tokens: per_second * BURST_SECONDS,
            filled_at: now,
        }
    }

    /// Takes one if there is one; else says how long until there is.
    pub(super) fn take(&mut self, now: Duration) -> Result<(), Duration> {
        let passed = now.saturating_sub(self.filled_at).as_secs_f64();
        self.filled_at = now;
        self.tokens = (self.tokens + passed * self.per_second).min(self.per_second * BURST_SECONDS);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64(
            (1.0 - self.tokens) / self.per_second,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_gets_what_the_bucket_holds_and_then_its_rate() {
        let mut bucket = Bucket::full(10, Duration::ZERO);
        let mut taken = 0;
        for millisecond in 0..10_000 {
            while bucket.take(Duration::from_millis(millisecond)).is_ok() {
                taken += 1;
            }
        }
        assert!(
            (119..=120).contains(&taken),
            "20 at once and 10 a second: {taken}"
        );
        let wait = bucket.take(Duration::from_secs(10)).err();
        assert!(wait.is_none_or(|wait| wait <= Duration::from_millis(100)));
    }
}

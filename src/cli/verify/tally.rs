//! How many tokens came out how.

use jotd::verdict::{Reason, Verdict};
use std::fmt;

/// Counts of verdicts, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    valid: u64,
    reasons: [u64; Reason::ALL.len()],
}

impl Tally {
    pub(super) fn count(&mut self, verdict: &Verdict) {
        match verdict.reason() {
            None => self.valid += 1,
            Some(reason) => *self.slot(reason) += 1,
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.valid += other.valid;
        for (sum, more) in self.reasons.iter_mut().zip(other.reasons) {
            *sum += more;
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.valid + self.reasons.iter().sum::<u64>()
    }

    pub(super) fn all_valid(&self) -> bool {
        self.valid == self.total()
    }

    fn slot(&mut self, reason: Reason) -> &mut u64 {
        let index = usize::from(reason.code()) - 1;
        &mut self.reasons[index]
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens: {} valid", self.total(), self.valid)?;
        for (reason, &count) in Reason::ALL.iter().zip(&self.reasons) {
            if count > 0 {
                write!(f, ", {count} {reason}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jotd::verdict::{Refusal, Unavailable};

    #[test]
    fn every_verdict_is_counted_under_its_reason() {
        let mut tally = Tally::default();
        tally.count(&Verdict::from(Refusal::BadSignature));
        assert!(!tally.all_valid());
        let mut sum = tally.clone();
        sum.count(&Verdict::from(Unavailable::OVERLOADED));
        sum.add(&tally);
        assert_eq!(
            sum.to_string(),
            "3 tokens: 0 valid, 2 bad_signature, 1 unavailable"
        );
    }

    #[test]
    fn nothing_read_is_nothing_invalid() {
        assert!(Tally::default().all_valid());
    }
}

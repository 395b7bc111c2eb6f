//! What one thread saw, and how the threads' records add up.
//!
//! Latency goes into HDR histograms, so that a percentile is exact to three digits however long the
//! run; it is counted once a verdict, because a verdict is what a caller waits for. Every answer is
//! held against what it must be.
#![forbid(unsafe_code)]

use crate::answer::{Answer, Wrong};
use crate::corpus::Corpus;
use crate::mix::Class;
use hdrhistogram::Histogram;
use std::time::Duration;

/// What a span of driving saw.
#[derive(Clone)]
pub(crate) struct Record {
    /// Latency of every decided verdict, in nanoseconds.
    pub(crate) latency: Histogram<u64>,
    /// The same by class; empty for a class that did not occur.
    pub(crate) by_class: Vec<Option<Histogram<u64>>>,
    /// Decided verdicts in each second since the start.
    pub(crate) per_second: Vec<u64>,
    /// Decided verdicts within the measured time.
    pub(crate) verdicts: u64,
    /// Of these, how many the server's cache knew.
    pub(crate) cached: u64,
    /// Answers that were no decision.
    pub(crate) unavailable: u64,
    /// Tokens of an open loop that were due and could not be sent: the server was too far behind.
    pub(crate) unsent: u64,
    /// Verdicts that were not what they must be.
    pub(crate) wrong: u64,
    /// The first few of them.
    pub(crate) wrong_first: Vec<Wrong>,
    /// Measured time.
    pub(crate) elapsed: Duration,
    /// Whether the fresh tokens ran out before the time did.
    pub(crate) exhausted: bool,
}

/// Wrong verdicts that are described; the rest are counted.
const WRONG_DESCRIBED_MAX: usize = 8;

/// Latencies above a minute are counted as a minute.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

impl Record {
    /// A record of nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            latency: histogram(),
            by_class: vec![None; Class::COUNT],
            per_second: Vec::new(),
            verdicts: 0,
            cached: 0,
            unavailable: 0,
            unsent: 0,
            wrong: 0,
            wrong_first: Vec::new(),
            elapsed: Duration::ZERO,
            exhausted: false,
        }
    }

    /// Takes the answers to one frame, which arrived `at` after the start and `latency` after it was
    /// meant to be sent. Answers that arrive after the measured time are still checked, not counted.
    pub(crate) fn frame(
        &mut self,
        corpus: &Corpus,
        tokens: &[u32],
        answers: impl Iterator<Item = Answer>,
        at: Duration,
        latency: Duration,
        measured: bool,
    ) {
        let mut decided = [0_u64; Class::COUNT];
        let mut cached_here = 0;
        for (&token, answer) in tokens.iter().zip(answers) {
            let class = corpus.class(token);
            match (answer, class.expected()) {
                (Answer::Valid { cached }, None) => cached_here += u64::from(cached),
                (Answer::Invalid(reason), Some(expected)) if reason == expected => {}
                (Answer::Unavailable, _) => {
                    self.unavailable += u64::from(measured);
                    continue;
                }
                _ => self.object(Wrong {
                    class,
                    token,
                    answer,
                }),
            }
            decided[class as usize] += 1;
        }
        if !measured {
            return;
        }
        let latency_ns = u64::try_from(latency.as_nanos()).unwrap_or(LATENCY_NS_MAX);
        let mut sum = 0;
        for (slot, &count) in self.by_class.iter_mut().zip(&decided) {
            if count > 0 {
                sum += count;
                slot.get_or_insert_with(histogram)
                    .saturating_record_n(latency_ns, count);
            }
        }
        if sum > 0 {
            self.latency.saturating_record_n(latency_ns, sum);
        }
        self.cached += cached_here;
        self.verdicts += sum;
        let second = usize::try_from(at.as_secs()).unwrap_or(usize::MAX);
        // A run is hours at most; a clock that says otherwise does not get to allocate for it.
        if second < 1 << 20 {
            if self.per_second.len() <= second {
                self.per_second.resize(second + 1, 0);
            }
            self.per_second[second] += sum;
        }
    }

    /// Takes a frame that was due and could not be sent. It counts with the time it has waited already:
    /// leaving it out would hide exactly the worst.
    pub(crate) fn never_sent(&mut self, tokens: usize, waited: Duration) {
        let tokens = tokens as u64;
        self.unsent += tokens;
        let waited_ns = u64::try_from(waited.as_nanos()).unwrap_or(LATENCY_NS_MAX);
        self.latency.saturating_record_n(waited_ns, tokens);
    }

    /// Says how long was measured, once the last answer is in.
    ///
    /// A closed loop counts the answers within its time. An open loop counts all, over the time until
    /// the last of them: a server that lags behind the timetable does not get its rate by being given
    /// time to catch up. And where the tokens ran out, the time ended with them.
    pub(crate) fn settle(&mut self, open: bool, duration: Duration, last_answer: Duration) {
        self.elapsed = match (open, self.exhausted) {
            (true, false) => duration.max(last_answer),
            (true, true) => last_answer,
            (false, false) => duration,
            (false, true) => duration.min(last_answer),
        };
    }

    fn object(&mut self, wrong: Wrong) {
        self.wrong += 1;
        if self.wrong_first.len() < WRONG_DESCRIBED_MAX {
            self.wrong_first.push(wrong);
        }
    }

    /// Adds what another thread saw in the same span.
    pub(crate) fn join(&mut self, other: &Self) {
        self.add_counts(other);
        if self.per_second.len() < other.per_second.len() {
            self.per_second.resize(other.per_second.len(), 0);
        }
        for (mine, theirs) in self.per_second.iter_mut().zip(&other.per_second) {
            *mine += theirs;
        }
        self.elapsed = self.elapsed.max(other.elapsed);
    }

    /// Adds what was seen in a later span.
    pub(crate) fn follow(&mut self, other: &Self) {
        self.add_counts(other);
        self.per_second.extend(&other.per_second);
        self.elapsed += other.elapsed;
    }

    /// Adds what was wrong outside the measured time: to warm up is no excuse.
    pub(crate) fn add_wrong(&mut self, other: &Self) {
        self.wrong += other.wrong;
        let room = WRONG_DESCRIBED_MAX - self.wrong_first.len();
        self.wrong_first.extend(other.wrong_first.iter().take(room));
    }

    fn add_counts(&mut self, other: &Self) {
        add(&mut self.latency, &other.latency);
        for (mine, theirs) in self.by_class.iter_mut().zip(&other.by_class) {
            if let Some(theirs) = theirs {
                add(mine.get_or_insert_with(histogram), theirs);
            }
        }
        self.verdicts += other.verdicts;
        self.cached += other.cached;
        self.unavailable += other.unavailable;
        self.unsent += other.unsent;
        self.add_wrong(other);
        self.exhausted |= other.exhausted;
    }

    /// Decided verdicts a second.
    pub(crate) fn per_second_mean(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 {
            self.verdicts as f64 / seconds
        } else {
            0.0
        }
    }
}

/// A quantile in microseconds; zero of an empty histogram.
pub(crate) fn quantile_us(latency: &Histogram<u64>, quantile: f64) -> f64 {
    latency.value_at_quantile(quantile) as f64 / 1_000.0
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3)
        .expect("the bounds are constants that satisfy the crate's rules")
}

fn add(mine: &mut Histogram<u64>, theirs: &Histogram<u64>) {
    mine.add(theirs)
        .expect("all histograms here have the same bounds");
}

#[cfg(test)]
mod tests {
    use super::*;
    use jotd::verdict::Reason;

    const VALID: Answer = Answer::Valid { cached: false };

    /// A corpus of one token of each class, numbered as `Class::ALL` is.
    fn corpus() -> Corpus {
        let mut corpus = Corpus::default();
        for class in Class::ALL {
            corpus.push(class, class.name().as_bytes());
        }
        corpus
    }

    fn number(class: Class) -> u32 {
        class as u32
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_one_right_answer_is_right_and_every_other_is_wrong() {
        let corpus = corpus();
        let answers: Vec<Answer> = std::iter::once(VALID)
            .chain(Reason::ALL.into_iter().map(Answer::Invalid))
            .collect();
        for class in Class::ALL {
            for &answer in &answers {
                let mut record = Record::new();
                let token = [number(class)];
                record.frame(&corpus, &token, std::iter::once(answer), ms(1), ms(1), true);
                let right = match (answer, class.expected()) {
                    (Answer::Invalid(reason), Some(expected)) => reason == expected,
                    (Answer::Valid { .. }, None) => true,
                    _ => false,
                };
                assert_eq!(record.wrong, u64::from(!right), "{class} got {answer}");
            }
        }
    }

    #[test]
    fn undecided_is_neither_right_nor_wrong_nor_a_verdict() {
        let mut record = Record::new();
        let answer = Answer::Unavailable;
        record.frame(&corpus(), &[0], std::iter::once(answer), ms(1), ms(1), true);
        assert_eq!(
            (record.unavailable, record.wrong, record.verdicts),
            (1, 0, 0)
        );
        assert_eq!(record.latency.len(), 0);
    }

    #[test]
    fn a_late_answer_is_checked_but_not_counted() {
        let mut record = Record::new();
        let forged = number(Class::Forged);
        record.frame(
            &corpus(),
            &[0, forged],
            [VALID, VALID].into_iter(),
            ms(1),
            ms(1),
            false,
        );
        assert_eq!(
            (record.wrong, record.verdicts, record.latency.len()),
            (1, 0, 0)
        );
    }

    #[test]
    fn percentiles_count_verdicts_and_keep_three_digits() {
        let corpus = corpus();
        let mut record = Record::new();
        // 1..=1000 ms, one frame of two tokens each.
        for i in 1..=1_000 {
            record.frame(
                &corpus,
                &[0, 0],
                [VALID, VALID].into_iter(),
                ms(i),
                ms(i),
                true,
            );
        }
        assert_eq!(record.latency.len(), 2_000);
        for (quantile, expected_us) in [(0.5, 500e3), (0.99, 990e3), (0.999, 999e3), (1.0, 1e6)] {
            let us = quantile_us(&record.latency, quantile);
            assert!(
                (us / expected_us - 1.0).abs() < 1e-3,
                "p{quantile}: {us} µs"
            );
        }
        // The thousandth answer came exactly a second in, so it belongs to the second second.
        assert_eq!(record.per_second, [1_998, 2]);
    }

    #[test]
    fn wrong_verdicts_are_described_without_the_token() {
        let corpus = corpus();
        let mut record = Record::new();
        let forged = number(Class::Forged);
        for _ in 0..100 {
            record.frame(
                &corpus,
                &[forged],
                std::iter::once(VALID),
                ms(1),
                ms(1),
                true,
            );
        }
        assert_eq!(
            (record.wrong, record.wrong_first.len()),
            (100, WRONG_DESCRIBED_MAX)
        );
        assert_eq!(
            record.wrong_first[0].to_string(),
            "token 1 of class forged: expected invalid/bad_signature, got valid"
        );
    }

    #[test]
    fn threads_join_side_by_side_and_rounds_follow_each_other() {
        let corpus = corpus();
        let mut one = Record::new();
        one.frame(&corpus, &[0], std::iter::once(VALID), ms(10), ms(1), true);
        one.elapsed = ms(1_000);
        let (mut joined, mut followed) = (one.clone(), one.clone());
        joined.join(&one);
        followed.follow(&one);
        assert_eq!((joined.verdicts, joined.elapsed), (2, ms(1_000)));
        assert_eq!(joined.per_second, [2]);
        assert_eq!((followed.verdicts, followed.elapsed), (2, ms(2_000)));
        assert_eq!(followed.per_second, [1, 1]);
    }
}

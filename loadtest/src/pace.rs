//! When each frame is meant to be sent.
//!
//! Closed loop: a new frame leaves when an old one is answered, which finds the most a server can do.
//! Open loop: frames leave by a timetable that does not care how the server fares, as callers do that
//! do not know of each other. There, latency counts from the *intended* start. A driver that counts
//! from the actual one forgives the server every stall it had: while it stalls nothing is sent, so
//! nothing is late (Tene's "coordinated omission").
#![forbid(unsafe_code)]

use crate::random::Random;
use std::time::Duration;

/// How a run is paced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// As soon as a place in flight is free.
    Closed,
    /// By a timetable.
    Open {
        /// Tokens a second, over all threads.
        tokens_per_second: u64,
        /// How the starts lie in time.
        arrivals: Arrivals,
    },
}

/// How the starts of an open loop lie in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Arrivals {
    /// At equal distances.
    Even,
    /// As many independent callers would: exponential gaps, bursts included.
    Poisson,
}

impl Pace {
    /// The timetable of thread `index` of `of`; `None` in a closed loop.
    pub(crate) fn timetable(
        self,
        frame_tokens: usize,
        index: usize,
        of: usize,
        seed: u64,
    ) -> Option<Timetable> {
        let Self::Open {
            tokens_per_second,
            arrivals,
        } = self
        else {
            return None;
        };
        let (index, of, frame_tokens) = (index as u64, of as u64, frame_tokens as u64);
        Some(match arrivals {
            Arrivals::Even => Timetable::Even {
                next: index,
                step: of,
                frame_tokens,
                tokens_per_second: tokens_per_second.max(1),
            },
            Arrivals::Poisson => {
                let mean_ns = 1e9 * (frame_tokens * of) as f64 / tokens_per_second.max(1) as f64;
                let mut random = Random::new(seed ^ index.rotate_left(32) ^ 0x7061_6365);
                let first = exponential(&mut random, mean_ns);
                Timetable::Poisson {
                    random,
                    mean_ns,
                    next_ns: first,
                }
            }
        })
    }
}

/// The intended starts of one thread, in order.
#[derive(Clone, Debug)]
pub(crate) enum Timetable {
    /// Frame `i` of the whole run starts at `i × frame_tokens / tokens_per_second`. Computed from `i`
    /// each time: adding up a rounded period would drift.
    Even {
        /// The number, in the whole run, of this thread's next frame.
        next: u64,
        /// How many threads take turns.
        step: u64,
        /// Tokens in a frame.
        frame_tokens: u64,
        /// The rate.
        tokens_per_second: u64,
    },
    /// Independent arrivals. The sum of Poisson processes is one, so threads need not agree.
    Poisson {
        /// Where the gaps come from.
        random: Random,
        /// Mean gap.
        mean_ns: f64,
        /// The next start.
        next_ns: f64,
    },
}

impl Timetable {
    /// When the next frame is meant to start, after the start of the run.
    pub(crate) fn due(&self) -> Duration {
        match self {
            Self::Even {
                next,
                frame_tokens,
                tokens_per_second,
                ..
            } => {
                let ns = u128::from(*next) * u128::from(*frame_tokens) * 1_000_000_000
                    / u128::from(*tokens_per_second);
                Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
            }
            Self::Poisson { next_ns, .. } => Duration::from_nanos(*next_ns as u64),
        }
    }

    /// Goes on to the frame after it.
    pub(crate) fn advance(&mut self) {
        match self {
            Self::Even { next, step, .. } => *next += *step,
            Self::Poisson {
                random,
                mean_ns,
                next_ns,
            } => *next_ns += exponential(random, *mean_ns),
        }
    }
}

fn exponential(random: &mut Random, mean: f64) -> f64 {
    -random.unit().ln() * mean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(pace: Pace, frame_tokens: usize, index: usize, of: usize, n: usize) -> Vec<u64> {
        let mut timetable = pace
            .timetable(frame_tokens, index, of, 1)
            .expect("an open loop has one");
        (0..n)
            .map(|_| {
                let due = timetable.due();
                timetable.advance();
                u64::try_from(due.as_nanos()).expect("below 584 years")
            })
            .collect()
    }

    fn even(tokens_per_second: u64) -> Pace {
        Pace::Open {
            tokens_per_second,
            arrivals: Arrivals::Even,
        }
    }

    #[test]
    fn a_closed_loop_has_no_timetable() {
        assert!(Pace::Closed.timetable(64, 0, 1, 1).is_none());
    }

    #[test]
    fn even_starts_do_not_drift_where_the_period_is_no_whole_number() {
        // A third of a second: a period rounded to nanoseconds would lose one every second.
        let seconds = starts(even(3), 1, 0, 1, 3_001);
        assert_eq!(seconds[..4], [0, 333_333_333, 666_666_666, 1_000_000_000]);
        assert_eq!(seconds[3_000], 1_000_000_000_000);
    }

    #[test]
    fn a_rate_counts_tokens_not_frames() {
        assert_eq!(
            starts(even(6_400), 64, 0, 1, 3),
            [0, 10_000_000, 20_000_000]
        );
    }

    #[test]
    fn threads_interleave_into_one_timetable() {
        let whole = starts(even(1_000), 1, 0, 1, 6);
        let mut parts = [
            starts(even(1_000), 1, 0, 2, 3),
            starts(even(1_000), 1, 1, 2, 3),
        ]
        .concat();
        parts.sort_unstable();
        assert_eq!(parts, whole);
    }

    #[test]
    fn poisson_starts_have_the_right_mean_and_the_right_spread() {
        let pace = Pace::Open {
            tokens_per_second: 1_000_000,
            arrivals: Arrivals::Poisson,
        };
        let n = 20_000_usize;
        let starts = starts(pace, 1, 0, 2, n);
        // Two threads share the rate, so this one's mean gap is 2 µs; its error is 2 µs / √20,000, and
        // ten of those are 0.14 µs.
        let mean = starts[n - 1] as f64 / n as f64;
        assert!((mean - 2_000.0).abs() < 150.0, "mean gap {mean} ns");
        // An exponential gap is shorter than its mean with probability 1 − 1/e = 0.632.
        let short = starts.windows(2).filter(|w| w[1] - w[0] < 2_000).count();
        let share = short as f64 / n as f64;
        assert!(
            (share - 0.632).abs() < 0.04,
            "{share} of the gaps are short"
        );
    }
}

//! Two contenders taking turns, and what their rounds say.

use jotd::clock::since_boot;
use std::time::Duration;

/// How many rounds, and how long each contender's turn is.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    rounds: usize,
    turn: Duration,
}

impl Plan {
    pub(super) const THOROUGH: Self = Self {
        rounds: 31,
        turn: Duration::from_millis(15),
    };
    pub(super) const QUICK: Self = Self {
        rounds: 7,
        turn: Duration::from_millis(4),
    };
}

/// What came out.
pub(super) struct Figures {
    /// Median of the contender's tokens a second.
    pub(super) per_second: f64,
    /// Median of the reference's.
    pub(super) reference_per_second: f64,
    /// Median of the rounds' ratios: each compares turns that followed each other.
    pub(super) ratio: f64,
    /// Distance between the quartiles of the contender's rounds, as a share of the median.
    pub(super) spread: f64,
}

/// Measures `contender` beside `reference`; each call handles `tokens`.
pub(super) fn beside(
    contender: &mut dyn FnMut(),
    reference: &mut dyn FnMut(),
    tokens: usize,
    plan: Plan,
) -> Figures {
    let contender_calls = calibrate(contender, plan.turn);
    let reference_calls = calibrate(reference, plan.turn);
    let mut rates = Vec::with_capacity(plan.rounds);
    let mut reference_rates = Vec::with_capacity(plan.rounds);
    for round in 0..plan.rounds {
        // Whoever goes first finds the caches as the other left them, so they take turns at that too.
        if round % 2 == 0 {
            rates.push(rate(contender, contender_calls, tokens));
            reference_rates.push(rate(reference, reference_calls, tokens));
        } else {
            reference_rates.push(rate(reference, reference_calls, tokens));
            rates.push(rate(contender, contender_calls, tokens));
        }
    }
    let ratios = rates
        .iter()
        .zip(&reference_rates)
        .map(|(a, b)| a / b)
        .collect();
    let sorted_rates = sorted(rates);
    let per_second = quantile(&sorted_rates, 0.5);
    Figures {
        per_second,
        reference_per_second: quantile(&sorted(reference_rates), 0.5),
        ratio: quantile(&sorted(ratios), 0.5),
        spread: (quantile(&sorted_rates, 0.75) - quantile(&sorted_rates, 0.25)) / per_second,
    }
}

/// How many calls fill a turn; warms up on the way.
fn calibrate(contender: &mut dyn FnMut(), turn: Duration) -> u32 {
    let mut calls = 1_u32;
    loop {
        let took = time(contender, calls);
        if took >= turn / 2 || calls >= u32::MAX / 2 {
            let turns = turn.as_secs_f64() / took.as_secs_f64();
            // Between 1 and 2^32, so the cast only cuts off the fraction.
            return (f64::from(calls) * turns).clamp(1.0, f64::from(u32::MAX)) as u32;
        }
        calls *= 2;
    }
}

fn rate(contender: &mut dyn FnMut(), calls: u32, tokens: usize) -> f64 {
    f64::from(calls) * tokens as f64 / time(contender, calls).as_secs_f64()
}

fn time(contender: &mut dyn FnMut(), calls: u32) -> Duration {
    let start = since_boot();
    for _ in 0..calls {
        contender();
    }
    // A clock that has not moved would make infinite rates.
    (since_boot() - start).max(Duration::from_nanos(1))
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// The value below which `share` of the sorted values lie, interpolated.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let place = share * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_their_neighbours() {
        let values = sorted(vec![4.0, 1.0, 3.0, 2.0]);
        assert_eq!(quantile(&values, 0.5), 2.5);
        assert_eq!(quantile(&values, 0.0), 1.0);
        assert_eq!(quantile(&values, 1.0), 4.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }

    #[test]
    fn both_contenders_do_all_their_rounds() {
        let (mut mine, mut theirs) = (0_u64, 0_u64);
        let plan = Plan {
            rounds: 3,
            turn: Duration::from_micros(50),
        };
        let figures = beside(&mut || mine += 1, &mut || theirs += 1, 2, plan);
        assert!(mine > 3 && theirs > 3);
        assert!(figures.per_second > 0.0 && figures.ratio.is_finite());
    }
}

//! The lines for people, on stderr.
#![forbid(unsafe_code)]

use super::{Outcome, counted, readable};
use crate::mix::Class;
use crate::record::quantile_us;
use hdrhistogram::Histogram;
use std::fmt::Write;

/// A run in a few lines.
pub(crate) fn summary(outcome: &Outcome) -> String {
    let mut text = String::new();
    write_summary(outcome, &mut text).expect("writing to a String cannot fail");
    text
}

fn write_summary(outcome: &Outcome, out: &mut String) -> std::fmt::Result {
    let record = &outcome.record;
    writeln!(out, "\n{}\n  {}", outcome.title, describe(outcome))?;
    write!(out, "  verdicts/s  {}", readable(record.per_second_mean()))?;
    if let (Some(ceiling), Some(ratio)) = (outcome.ceiling_per_second(), outcome.ratio_to_ceiling())
    {
        write!(out, "  ({ratio:.2} of the echo's {})", readable(ceiling))?;
    }
    writeln!(out)?;
    if let Some(seconds) = outcome.cpu_seconds_per_million() {
        let busy = outcome.server_cpu.unwrap_or_default().as_secs_f64();
        let elapsed = record.elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
        let cores = busy / elapsed;
        let client = outcome.client_cpu.as_secs_f64() / elapsed;
        writeln!(
            out,
            "  server CPU  {} s a million verdicts; {cores:.2} cores busy, the client's {client:.2}",
            readable(seconds),
        )?;
    }
    writeln!(out, "  latency     {}", percentiles(&record.latency))?;
    if let Some(echo) = &outcome.echo {
        writeln!(out, "  the echo's  {}", percentiles(&echo.latency))?;
    }
    writeln!(
        out,
        "  answers     {} decided, {} of them cached; {} undecided, {} wrong",
        counted(record.verdicts),
        counted(record.cached),
        counted(record.unavailable),
        counted(record.wrong)
    )?;
    let classes: Vec<Class> = classes(outcome).collect();
    if classes.len() > 1 {
        for class in classes {
            if let Some(latency) = &record.by_class[class as usize] {
                let (name, count) = (class.name(), counted(latency.len()));
                writeln!(out, "    {name:<17}{count:>12}  {}", percentiles(latency))?;
            }
        }
    }
    for wrong in &record.wrong_first {
        writeln!(out, "  WRONG: {wrong}")?;
    }
    for note in &outcome.notes {
        writeln!(out, "  note: {note}")?;
    }
    Ok(())
}

/// The load in one line.
pub(super) fn describe(outcome: &Outcome) -> String {
    let load = &outcome.load;
    let pace = match load.rate {
        None => "closed loop".to_owned(),
        Some(rate) => format!("open loop at {} tokens/s", counted(rate)),
    };
    format!(
        "{} {}, {}-byte tokens, {} a frame, {} connection(s) × {} in flight, {pace}, hits {}, invalid {}",
        load.transport.name(),
        load.algs,
        load.token_bytes,
        load.frame_tokens,
        load.connections,
        load.in_flight(),
        load.hit_ratio,
        load.invalid_share
    )
}

/// The classes that occurred.
pub(super) fn classes(outcome: &Outcome) -> impl Iterator<Item = Class> {
    Class::ALL
        .into_iter()
        .filter(|class| outcome.record.by_class[*class as usize].is_some())
}

fn percentiles(latency: &Histogram<u64>) -> String {
    let at = |quantile| readable(quantile_us(latency, quantile));
    format!(
        "p50 {} µs, p90 {}, p99 {}, p99.9 {}, max {}",
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        at(1.0)
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::outcome;
    use super::*;
    use crate::answer::{Answer, Wrong};

    #[test]
    fn the_summary_says_what_was_asked_found_and_wrong() {
        let mut outcome = outcome();
        let right = summary(&outcome);
        assert!(right.contains("0.50 of the echo's 4,000") && right.contains("note: a note"));
        assert!(right.contains("forged") && !right.contains("WRONG"));
        outcome.record.wrong = 1;
        outcome.record.wrong_first.push(Wrong {
            class: Class::Forged,
            token: 7,
            answer: Answer::Valid { cached: true },
        });
        let wrong = summary(&outcome);
        assert!(wrong.contains("WRONG: token 7 of class forged"), "{wrong}");
    }
}

//! `jotd bench`: what this machine's cores can do, beside aws-lc-rs in the same process at the same time.

mod measure;
mod reference;
mod subject;

use super::algorithms;
use super::exit::{Failure, Outcome};
use super::output::{self, Table};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jotd::crypto;
use jotd::jose::Algorithm;
use jotd::os;
use measure::{Figures, Plan};
use serde::Serialize;
use std::io::{self, IsTerminal};
use subject::Subject;

/// Measure signature checks a second on one core
///
/// Each algorithm and kernel runs beside aws-lc-rs with its key parsed once, which is the reference. Both
/// take turns in many short rounds on one pinned thread, so that a machine that slows down slows both. A
/// figure is the median of the rounds; the spread is the distance between their quartiles, as a share of
/// the median. Tokens are distinct, and every one is verified before anything is measured.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Everything, as a table:
    jotd bench

  ES256 in batches of 1, 8 and 64, one JSON object a line:
    jotd bench --alg ES256 --batch 1,8,64 --json")]
pub(super) struct Args {
    /// One JSON object a line instead of a table
    #[arg(long)]
    json: bool,
    /// Few and short rounds: a first impression
    #[arg(long)]
    quick: bool,
    /// Algorithms to measure; all by default
    #[arg(long, value_name = "ALG", value_delimiter = ',', value_parser = algorithms::parser(),
          hide_possible_values = true)]
    alg: Vec<Algorithm>,
    /// Tokens checked in one call
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "64",
          value_parser = clap::value_parser!(u32).range(1..=1024))]
    batch: Vec<u32>,
    /// Keys that the tokens are signed with, in turn
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=4096))]
    keys: u32,
    /// Measure the whole validation of a token as well, as kernel "pipeline"
    #[arg(long)]
    end_to_end: bool,
}

/// One line of the result.
struct Row {
    alg: Algorithm,
    kernel: &'static str,
    batch: usize,
    keys: usize,
    figures: Figures,
}

/// The row as `--json` prints it.
#[derive(Serialize)]
struct Line {
    alg: &'static str,
    kernel: &'static str,
    batch: usize,
    keys: usize,
    per_second: f64,
    reference_per_second: f64,
    ratio: f64,
    spread: f64,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Outcome, Failure> {
    pin();
    let plan = if args.quick {
        Plan::QUICK
    } else {
        Plan::THOROUGH
    };
    let keys = args.keys as usize;
    let algorithms = algorithms(&args.alg);
    let progress = progress(algorithms.len() * args.batch.len());
    let mut table = Table::new(
        &[
            "ALG",
            "KERNEL",
            "BATCH",
            "KEYS",
            "PER SECOND",
            "AWS-LC-RS",
            "RATIO",
            "SPREAD",
        ],
        &[2, 3, 4, 5, 6, 7],
    );
    for alg in algorithms {
        let tokens_max = args.batch.iter().copied().max().unwrap_or(1) as usize;
        progress.set_message(format!("{alg}: keys and tokens"));
        let subject = Subject::new(alg, keys, tokens_max)?;
        progress.set_message(alg.name());
        for &batch in &args.batch {
            for row in rows(&subject, batch as usize, keys, plan, args.end_to_end)? {
                if args.json {
                    output::print_json(&[row.line()])?;
                } else {
                    table.push(row.cells());
                }
            }
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    if !args.json {
        output::print(&table.render())?;
    }
    Ok(Outcome::Done)
}

/// Those asked for; else all, though not the two names of Ed25519 twice.
fn algorithms(asked: &[Algorithm]) -> Vec<Algorithm> {
    if asked.is_empty() {
        let first_name = |alg: &Algorithm| Algorithm::of_scheme(alg.scheme()) == *alg;
        Algorithm::ALL.into_iter().filter(first_name).collect()
    } else {
        asked.to_vec()
    }
}

fn rows(
    subject: &Subject,
    batch: usize,
    keys: usize,
    plan: Plan,
    end_to_end: bool,
) -> Result<Vec<Row>, Failure> {
    let row = |kernel, figures| Row {
        alg: subject.algorithm(),
        kernel,
        batch,
        keys,
        figures,
    };
    let mut rows = Vec::new();
    let ceiling = crypto::ceiling();
    for tier in crypto::tiers(subject.algorithm().scheme()) {
        crypto::set_ceiling(tier);
        let mut contender = subject.contender(batch)?;
        let mut reference = subject.reference(batch)?;
        let figures = measure::beside(&mut contender, &mut reference, batch, plan);
        rows.push(row(tier.name(), figures));
    }
    crypto::set_ceiling(ceiling);
    if end_to_end {
        let mut contender = subject.pipeline(batch)?;
        let mut reference = subject.reference(batch)?;
        let figures = measure::beside(&mut contender, &mut reference, batch, plan);
        rows.push(row("pipeline", figures));
    }
    Ok(rows)
}

impl Row {
    fn line(&self) -> Line {
        Line {
            alg: self.alg.name(),
            kernel: self.kernel,
            batch: self.batch,
            keys: self.keys,
            per_second: self.figures.per_second.round(),
            reference_per_second: self.figures.reference_per_second.round(),
            ratio: thousandths(self.figures.ratio),
            spread: thousandths(self.figures.spread),
        }
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.alg.name().to_owned(),
            self.kernel.to_owned(),
            self.batch.to_string(),
            self.keys.to_string(),
            format!("{:.0}", self.figures.per_second),
            format!("{:.0}", self.figures.reference_per_second),
            format!("{:.2}", self.figures.ratio),
            format!("{:.1} %", self.figures.spread * 100.0),
        ]
    }
}

fn thousandths(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Stays on one core; the last, because interrupts and everybody's first thread like the first.
fn pin() {
    if let Some(cpu) = os::allowed_cpus().last() {
        // Where pinning is forbidden, the spread shows what the scheduler does.
        let _ = os::pin_to(*cpu);
    }
}

fn progress(steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64).with_style(
        ProgressStyle::with_template("{bar:32} {pos}/{len}  {msg}")
            .expect("the template is well formed"),
    );
    if !io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar
}

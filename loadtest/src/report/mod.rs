//! What a run found, and how it is told: a line for machines, lines for people, a page with plots.
//!
//! The ceiling and the daemon are compared round by round and the middle ratio is taken: on a machine
//! that others use too, a round can be slow for reasons of its own, and it takes its neighbour with it.
#![forbid(unsafe_code)]

mod html;
mod json;
mod svg;
mod text;

pub(crate) use html::page;
pub(crate) use json::line;
pub(crate) use text::summary;

use crate::cpu;
use crate::options::Load;
use crate::record::Record;
use std::time::Duration;

/// What one run found.
pub(crate) struct Outcome {
    /// What was to be found out.
    pub(crate) title: String,
    /// What was asked, how, and how fast.
    pub(crate) load: Load,
    /// What the client saw of the server.
    pub(crate) record: Record,
    /// What it saw of the echo, if that was driven.
    pub(crate) echo: Option<Record>,
    /// Verdicts a second, round by round.
    pub(crate) rounds: Vec<Round>,
    /// CPU time the server used while it was measured, where that is known.
    pub(crate) server_cpu: Option<Duration>,
    /// CPU time the client used in the same time.
    pub(crate) client_cpu: Duration,
    /// What a reader of the figures must know.
    pub(crate) notes: Vec<String>,
}

/// One round's rates, in verdicts a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    /// The echo's, if it was driven.
    pub(crate) echo: Option<f64>,
    /// The server's.
    pub(crate) server: f64,
}

impl Outcome {
    /// `distinct` where no good token was asked for twice, else `repeated`.
    pub(crate) fn tokens(&self) -> &'static str {
        if self.load.hit_ratio > 0.0 {
            "repeated"
        } else {
            "distinct"
        }
    }

    /// Verdicts a second of the server's CPU time.
    pub(crate) fn per_server_cpu_second(&self) -> Option<f64> {
        let seconds = self.server_cpu?.as_secs_f64();
        (seconds > 0.0).then(|| self.record.verdicts as f64 / seconds)
    }

    /// CPU seconds of the server for a million tokens.
    pub(crate) fn cpu_seconds_per_million(&self) -> Option<f64> {
        let per_second = self.per_server_cpu_second()?;
        (per_second > 0.0).then(|| 1e6 / per_second)
    }

    /// The echo's rate: the middle one of its rounds. None in an open loop, whose rate is the timetable's
    /// and no ceiling.
    pub(crate) fn ceiling_per_second(&self) -> Option<f64> {
        self.closed()?;
        median(self.rounds.iter().filter_map(|round| round.echo))
    }

    /// The middle one of the rounds' ratios of server to echo.
    pub(crate) fn ratio_to_ceiling(&self) -> Option<f64> {
        self.closed()?;
        median(
            self.rounds
                .iter()
                .filter_map(|round| Some(round.server / round.echo.filter(|&echo| echo > 0.0)?)),
        )
    }

    /// The server's median latency as a multiple of the echo's.
    pub(crate) fn latency_ratio(&self) -> Option<f64> {
        let echo = &self.echo.as_ref()?.latency;
        let echo_ns = echo.value_at_quantile(0.5);
        (echo_ns > 0).then(|| self.record.latency.value_at_quantile(0.5) as f64 / echo_ns as f64)
    }

    /// Whether the daemon was never wrong.
    pub(crate) fn is_right(&self) -> bool {
        self.record.wrong == 0
    }

    fn closed(&self) -> Option<()> {
        self.load.rate.is_none().then_some(())
    }
}

/// Where figures come from; without it they mean nothing.
pub(crate) struct Environment {
    /// What was typed.
    pub(crate) command: String,
    /// The CPU.
    pub(crate) cpu: String,
    /// CPUs of the server and of the client.
    pub(crate) cpus: String,
    /// The kernel's release.
    pub(crate) kernel: String,
    /// Version and profile of this tool.
    pub(crate) version: String,
    /// When, in seconds since the epoch.
    pub(crate) at_unix: i64,
}

impl Environment {
    /// This machine, this process, now.
    pub(crate) fn here(server: &cpu::CpuList, client: &cpu::CpuList, at_unix: i64) -> Self {
        let profile = if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        };
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let online = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            command: std::env::args().collect::<Vec<_>>().join(" "),
            cpu: cpu::model(),
            cpus: format!("{online} CPUs; server on {server}, client on {client}"),
            kernel: kernel.trim().to_owned(),
            version: format!("loadtest {} ({profile} build)", env!("CARGO_PKG_VERSION")),
            at_unix,
        }
    }

    fn rows(&self) -> [(&'static str, String); 6] {
        [
            ("Command", self.command.clone()),
            ("CPU", self.cpu.clone()),
            ("Placement", self.cpus.clone()),
            ("Kernel", self.kernel.clone()),
            ("Tool", self.version.clone()),
            ("Time", utc(self.at_unix)),
        ]
    }
}

/// The middle value; `None` of nothing. Of an even number, the mean of the two in the middle.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

/// A moment as RFC 3339 writes it. Days to date after Hinnant, "chrono-compatible low-level date
/// algorithms".
fn utc(unix: i64) -> String {
    let (days, seconds) = (unix.div_euclid(86_400), unix.rem_euclid(86_400));
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// A count for people.
fn counted(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A measured number for people: to three digits, but whole from a hundred on.
fn readable(value: f64) -> String {
    if value >= 1_000.0 {
        return counted(value.round() as u64);
    }
    let decimals = match value {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::answer::Answer;
    use crate::corpus::Corpus;
    use crate::mix::Class;
    use crate::options::Transport;
    use jotd::verdict::Reason;

    /// A run of two classes over two seconds, with a ceiling twice as high.
    pub(crate) fn outcome() -> Outcome {
        let mut corpus = Corpus::default();
        let good = corpus.push(Class::Good, b"g");
        let forged = corpus.push(Class::Forged, b"f");
        let mut record = Record::new();
        for ms in 0..2_000 {
            let at = Duration::from_millis(ms);
            let answers = [
                Answer::Valid { cached: false },
                Answer::Invalid(Reason::BadSignature),
            ];
            let latency = Duration::from_micros(100 + ms);
            record.frame(
                &corpus,
                &[good, forged],
                answers.into_iter(),
                at,
                latency,
                true,
            );
        }
        record.elapsed = Duration::from_secs(2);
        let round = |server: f64| Round {
            echo: Some(4_000.0),
            server,
        };
        Outcome {
            title: "A <mix> & its ceiling".to_owned(),
            load: Load {
                invalid_share: 0.5,
                ..Load::of(Transport::Uds)
            },
            echo: Some(record.clone()),
            record,
            rounds: vec![round(1_000.0), round(2_000.0), round(2_400.0)],
            server_cpu: Some(Duration::from_secs(1)),
            client_cpu: Duration::from_millis(500),
            notes: vec!["a note".to_owned()],
        }
    }

    #[test]
    fn derived_figures_follow_from_the_measured() {
        let outcome = outcome();
        assert_eq!(outcome.ceiling_per_second(), Some(4_000.0));
        assert_eq!(outcome.ratio_to_ceiling(), Some(0.5), "the middle round's");
        assert_eq!(outcome.latency_ratio(), Some(1.0));
        assert_eq!(outcome.per_server_cpu_second(), Some(4_000.0));
        assert_eq!(outcome.cpu_seconds_per_million(), Some(250.0));
        assert_eq!(outcome.tokens(), "distinct");
    }

    #[test]
    fn an_open_loop_has_no_ceiling_but_a_latency_to_compare() {
        let mut open = outcome();
        open.load.rate = Some(1_000);
        assert_eq!(
            (open.ceiling_per_second(), open.ratio_to_ceiling()),
            (None, None)
        );
        assert!(open.latency_ratio().is_some());
    }

    #[test]
    fn medians_dates_and_numbers() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(1_709_164_799), "2024-02-28T23:59:59Z");
        assert_eq!(utc(1_709_164_800), "2024-02-29T00:00:00Z");
        assert_eq!(utc(1_735_689_599), "2024-12-31T23:59:59Z");
        for (value, text) in [
            (0.5, "0.50"),
            (12.34, "12.3"),
            (999.4, "999"),
            (1_234_567.0, "1,234,567"),
            (100_000.0, "100,000"),
        ] {
            assert_eq!(readable(value), text);
        }
    }
}

//! The line for machines: the members and the order that are agreed, no more and no fewer.
#![forbid(unsafe_code)]

use super::Outcome;
use crate::record::quantile_us;
use serde::Serialize;

/// One run as one line of JSON.
pub(crate) fn line(outcome: &Outcome) -> String {
    let load = &outcome.load;
    let latency = &outcome.record.latency;
    let line = Line {
        transport: load.transport.name(),
        alg: load.algs.label(),
        tokens: outcome.tokens(),
        frame_tokens: load.frame_tokens,
        connections: load.connections,
        verdicts_per_second: rounded(outcome.record.per_second_mean()),
        verdicts_per_server_cpu_second: outcome.per_server_cpu_second().map(rounded),
        ceiling_per_second: outcome.ceiling_per_second().map(rounded),
        ratio_to_ceiling: outcome.ratio_to_ceiling().map(rounded),
        p50_us: quantile_us(latency, 0.5),
        p99_us: quantile_us(latency, 0.99),
        p999_us: quantile_us(latency, 0.999),
        wrong_verdicts: outcome.record.wrong,
    };
    serde_json::to_string(&line).expect("numbers and names have a JSON form")
}

/// Where a figure is not known (no ceiling was driven, the server's process is not known), it is `null`.
#[derive(Serialize)]
struct Line {
    transport: &'static str,
    alg: &'static str,
    tokens: &'static str,
    frame_tokens: usize,
    connections: usize,
    verdicts_per_second: f64,
    verdicts_per_server_cpu_second: Option<f64>,
    ceiling_per_second: Option<f64>,
    ratio_to_ceiling: Option<f64>,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    wrong_verdicts: u64,
}

/// To three decimals: more would be noise.
fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::super::tests::outcome;
    use super::*;

    #[test]
    fn the_line_has_the_agreed_members_in_the_agreed_order() {
        let line = line(&outcome());
        let names: Vec<&str> = line
            .trim_matches(['{', '}'])
            .split(',')
            .filter_map(|member| member.split(':').next())
            .map(|name| name.trim_matches('"'))
            .collect();
        assert_eq!(
            names,
            [
                "transport",
                "alg",
                "tokens",
                "frame_tokens",
                "connections",
                "verdicts_per_second",
                "verdicts_per_server_cpu_second",
                "ceiling_per_second",
                "ratio_to_ceiling",
                "p50_us",
                "p99_us",
                "p999_us",
                "wrong_verdicts",
            ]
        );
        assert!(line.starts_with(r#"{"transport":"uds","alg":"ES256","tokens":"distinct","frame_tokens":64,"connections":1,"verdicts_per_second":2000.0,"#));
        assert!(
            line.contains(r#""ratio_to_ceiling":0.5,"#) && line.ends_with(r#""wrong_verdicts":0}"#)
        );
    }

    #[test]
    fn what_is_not_known_is_null() {
        let mut unknown = outcome();
        unknown.server_cpu = None;
        unknown
            .rounds
            .iter_mut()
            .for_each(|round| round.echo = None);
        let line = line(&unknown);
        for name in [
            "verdicts_per_server_cpu_second",
            "ceiling_per_second",
            "ratio_to_ceiling",
        ] {
            assert!(line.contains(&format!("\"{name}\":null")), "{line}");
        }
    }
}

//! Plots as inline SVG: no script, no font, nothing to fetch.
#![forbid(unsafe_code)]

use super::readable;
use hdrhistogram::Histogram;
use std::fmt::Write;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 40.0;

/// Colours that differ in lightness too, for whoever tells hues apart badly.
const COLOURS: [&str; 2] = ["#0b5fa5", "#e08214"];

/// A named line: points within the axes' ranges.
pub(super) struct Series {
    /// What the legend calls it.
    pub(super) name: String,
    /// Where it runs.
    pub(super) points: Vec<(f64, f64)>,
}

/// An axis with its marks.
struct Axis {
    low: f64,
    high: f64,
    marks: Vec<(f64, String)>,
}

/// Latency over percentile. Both axes are logarithmic: what one caller in ten thousand sees takes as much
/// room as what one in ten does.
pub(super) fn latency(curves: &[(&str, &Histogram<u64>)]) -> String {
    // Nines of the percentile: 0 is the median's side, 1 is p90, 2 is p99, …
    let nines = |quantile: f64| -(1.0 - quantile).log10();
    let most = curves.iter().map(|(_, latency)| latency.len()).max();
    let end = (most.unwrap_or(1).max(10) as f64).log10().clamp(1.0, 6.0);
    let series: Vec<Series> = curves
        .iter()
        .map(|(name, latency)| Series {
            name: (*name).to_owned(),
            points: (0..=120)
                .map(|step| end * f64::from(step) / 120.0)
                .map(|x| {
                    let quantile = 1.0 - 10_f64.powf(-x);
                    let us = latency.value_at_quantile(quantile) as f64 / 1e3;
                    (x, us.max(0.1).log10())
                })
                .collect(),
        })
        .collect();
    let ys = || series.iter().flat_map(|s| s.points.iter().map(|(_, y)| *y));
    let low = ys().fold(f64::INFINITY, f64::min).floor().min(6.0);
    let high = ys().fold(f64::NEG_INFINITY, f64::max).ceil().max(low + 1.0);
    let x = Axis {
        low: 0.0,
        high: end,
        marks: [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999_999]
            .into_iter()
            .filter(|&quantile| nines(quantile) <= end + 1e-9)
            .map(|quantile| (nines(quantile), percent(quantile)))
            .collect(),
    };
    let y = Axis {
        low,
        high,
        marks: decades(low, high)
            .map(|decade| (decade, microseconds(10_f64.powf(decade))))
            .collect(),
    };
    plot("latency by percentile", &series, &x, &y)
}

/// Verdicts in each second.
pub(super) fn throughput(curves: &[(&str, &[u64])]) -> String {
    let series: Vec<Series> = curves
        .iter()
        .map(|(name, seconds)| Series {
            name: (*name).to_owned(),
            points: seconds
                .iter()
                .enumerate()
                .map(|(second, &count)| (second as f64, count as f64))
                .collect(),
        })
        .collect();
    let points = || series.iter().flat_map(|s| s.points.iter());
    let most = points().map(|(_, y)| *y).fold(1.0, f64::max);
    let last = points().map(|(x, _)| *x).fold(1.0, f64::max);
    let x = Axis {
        low: 0.0,
        high: last,
        marks: steps(last)
            .map(|s| (s, format!("{} s", readable_step(s))))
            .collect(),
    };
    let y = Axis {
        low: 0.0,
        high: most * 1.05,
        marks: steps(most)
            .map(|count| (count, readable_step(count)))
            .collect(),
    };
    plot("verdicts in each second", &series, &x, &y)
}

fn plot(title: &str, series: &[Series], x: &Axis, y: &Axis) -> String {
    let mut svg = format!(
        r##"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}"><g font-size="11" fill="#555">"##
    );
    let (px, py) = (
        |value: f64| LEFT + (value - x.low) / (x.high - x.low) * (WIDTH - LEFT - RIGHT),
        |value: f64| HEIGHT - BOTTOM - (value - y.low) / (y.high - y.low) * (HEIGHT - TOP - BOTTOM),
    );
    for (value, label) in &y.marks {
        let at = py(*value);
        let _ = write!(
            svg,
            r##"<line x1="{LEFT}" x2="{:.1}" y1="{at:.1}" y2="{at:.1}" stroke="#ddd"/><text x="{:.1}" y="{:.1}" text-anchor="end">{label}</text>"##,
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0
        );
    }
    for (value, label) in &x.marks {
        let _ = write!(
            svg,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">{label}</text>"#,
            px(*value),
            HEIGHT - BOTTOM + 16.0
        );
    }
    svg.push_str("</g>");
    for ((index, series), colour) in series.iter().enumerate().zip(COLOURS) {
        let points: Vec<String> = series
            .points
            .iter()
            .map(|&(a, b)| format!("{:.1},{:.1}", px(a), py(b)))
            .collect();
        let legend = LEFT + 150.0 * index as f64;
        let _ = write!(
            svg,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="1.8"/><text x="{legend:.0}" y="{:.0}" font-size="12" fill="{colour}">— {}</text>"#,
            points.join(" "),
            HEIGHT - 6.0,
            series.name
        );
    }
    svg.push_str("</svg>");
    svg
}

fn percent(quantile: f64) -> String {
    let text = format!("{:.4}", quantile * 100.0);
    format!("p{}", text.trim_end_matches('0').trim_end_matches('.'))
}

fn microseconds(us: f64) -> String {
    match us {
        us if us >= 1e6 => format!("{} s", us / 1e6),
        us if us >= 1e3 => format!("{} ms", us / 1e3),
        us => format!("{us} µs"),
    }
}

fn decades(low: f64, high: f64) -> impl Iterator<Item = f64> {
    (low as i32..=high as i32).map(f64::from)
}

/// From nothing to `most` in about five round steps.
fn steps(most: f64) -> impl Iterator<Item = f64> {
    let raw = (most / 5.0).max(f64::MIN_POSITIVE);
    let decade = 10_f64.powf(raw.log10().floor());
    let round = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * decade)
        .find(|&step| step >= raw)
        .unwrap_or(raw)
        .max(1.0);
    (0_u32..=6)
        .map(move |index| f64::from(index) * round)
        .take_while(move |&step| step <= most * 1.001)
}

fn readable_step(value: f64) -> String {
    if value < 1_000.0 {
        format!("{value:.0}")
    } else {
        readable(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_marks() {
        assert_eq!(
            steps(100.0).collect::<Vec<_>>(),
            [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
        );
        assert_eq!(steps(1_234_567.0).nth(1), Some(500_000.0));
        assert_eq!(steps(0.0).count(), 1);
        assert_eq!(
            (percent(0.5), percent(0.99999)),
            ("p50".into(), "p99.999".into())
        );
        assert_eq!(
            (microseconds(10.0), microseconds(1e4)),
            ("10 µs".into(), "10 ms".into())
        );
    }

    #[test]
    fn every_point_lies_within_the_picture() {
        let mut histogram = Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("bounds");
        let empty = latency(&[("none", &histogram)]);
        for ns in [200, 1_000, 50_000, 60_000_000_000] {
            histogram.saturating_record_n(ns, 1_000);
        }
        let full = latency(&[("one", &histogram), ("two", &histogram)]);
        let flat = throughput(&[("one", &[]), ("two", &[0, 5, 1_000_000])]);
        for svg in [empty, full, flat] {
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            for points in svg
                .split("points=\"")
                .skip(1)
                .filter_map(|s| s.split('"').next())
            {
                for pair in points.split_ascii_whitespace() {
                    let (x, y) = pair.split_once(',').expect("a pair");
                    let within = |text: &str, most: f64| {
                        (0.0..=most).contains(&text.parse::<f64>().expect("a number"))
                    };
                    assert!(within(x, WIDTH) && within(y, HEIGHT), "{pair}");
                }
            }
        }
    }
}

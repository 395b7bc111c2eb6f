//! The page: everything about some runs in one file that needs no network, no script and no font.
#![forbid(unsafe_code)]

use super::text::{classes, describe};
use super::{Environment, Outcome, counted, readable, svg};
use crate::record::quantile_us;
use hdrhistogram::Histogram;
use std::fmt::Write;

/// The page for some runs.
pub(crate) fn page(outcomes: &[Outcome], environment: &Environment) -> String {
    let mut page = String::from(HEAD);
    write_page(outcomes, environment, &mut page).expect("writing to a String cannot fail");
    page
}

const HEAD: &str = r#"<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>jotd load test</title><style>
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.5rem;border-top:1px solid #ddd;padding-top:1.2rem}
table{border-collapse:collapse;margin:.8rem 0}td,th{padding:.15rem .8rem .15rem 0;text-align:left;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}th{font-weight:600;border-bottom:1px solid #ccc}
svg{width:100%;max-width:40rem;display:block;margin:.6rem 0}code{font-size:.9em;overflow-wrap:anywhere}
.wrong{color:#b00020;font-weight:600}.note{color:#666}
</style></head><body><h1>jotd load test</h1>
"#;

fn write_page(
    outcomes: &[Outcome],
    environment: &Environment,
    out: &mut String,
) -> std::fmt::Result {
    out.push_str("<table>");
    for (name, value) in environment.rows() {
        let value = escape(&value);
        writeln!(out, "<tr><td>{name}</td><td><code>{value}</code></td></tr>")?;
    }
    out.push_str("</table>\n");
    write_overview(outcomes, out)?;
    for outcome in outcomes {
        write_outcome(outcome, out)?;
    }
    out.push_str(
        "<p class=\"note\">Latency is counted once a verdict, in an open loop from the moment a frame \
         was meant to be sent. The ceiling is a bare echo of the same bytes on the same CPUs, driven in \
         turns with the server; its ratio is the middle one of the rounds.</p></body></html>\n",
    );
    Ok(())
}

fn write_overview(outcomes: &[Outcome], out: &mut String) -> std::fmt::Result {
    out.push_str(
        "<table><tr><th>run</th><th class=n>verdicts/s</th><th class=n>of the echo</th>\
         <th class=n>CPU s a million</th><th class=n>p50 µs</th><th class=n>p99 µs</th>\
         <th class=n>p99.9 µs</th><th class=n>wrong</th></tr>\n",
    );
    for outcome in outcomes {
        let latency = &outcome.record.latency;
        let optional = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), readable);
        let wrong = if outcome.is_right() { "" } else { " wrong" };
        writeln!(
            out,
            "<tr><td>{}</td><td class=n>{}</td><td class=n>{}</td><td class=n>{}</td>\
             <td class=n>{}</td><td class=n>{}</td><td class=n>{}</td>\
             <td class=\"n{wrong}\">{}</td></tr>",
            escape(&outcome.title),
            readable(outcome.record.per_second_mean()),
            optional(outcome.ratio_to_ceiling()),
            optional(outcome.cpu_seconds_per_million()),
            readable(quantile_us(latency, 0.5)),
            readable(quantile_us(latency, 0.99)),
            readable(quantile_us(latency, 0.999)),
            outcome.record.wrong
        )?;
    }
    out.push_str("</table>\n");
    Ok(())
}

fn write_outcome(outcome: &Outcome, out: &mut String) -> std::fmt::Result {
    let record = &outcome.record;
    writeln!(
        out,
        "<h2>{}</h2><p>{}; {:.1} s measured.</p>",
        escape(&outcome.title),
        escape(&describe(outcome)),
        record.elapsed.as_secs_f64()
    )?;
    let mut latency: Vec<(&str, &Histogram<u64>)> = vec![("jotd", &record.latency)];
    let mut seconds: Vec<(&str, &[u64])> = vec![("jotd", &record.per_second)];
    if let Some(echo) = &outcome.echo {
        latency.push(("echo", &echo.latency));
        seconds.push(("echo", &echo.per_second));
    }
    out.push_str(&svg::latency(&latency));
    out.push_str(&svg::throughput(&seconds));
    write_classes(outcome, out)?;
    for wrong in &record.wrong_first {
        let wrong = escape(&wrong.to_string());
        writeln!(out, "<p class=wrong>Wrong: {wrong}</p>")?;
    }
    let undecided = [
        (record.unavailable, "answers were no decision"),
        (record.unsent, "tokens were due and never sent"),
    ];
    for (count, what) in undecided.into_iter().filter(|(count, _)| *count > 0) {
        writeln!(out, "<p class=note>{} {what}.</p>", counted(count))?;
    }
    for note in &outcome.notes {
        writeln!(out, "<p class=note>{}.</p>", escape(note))?;
    }
    Ok(())
}

/// The mix: what was asked, what had to be answered, and how long each took.
fn write_classes(outcome: &Outcome, out: &mut String) -> std::fmt::Result {
    out.push_str(
        "<table><tr><th>class</th><th>must be</th><th class=n>verdicts</th><th class=n>p50 µs</th>\
         <th class=n>p90</th><th class=n>p99</th><th class=n>p99.9</th><th class=n>max</th></tr>\n",
    );
    for class in classes(outcome) {
        let Some(latency) = &outcome.record.by_class[class as usize] else {
            continue;
        };
        let must_be = class.expected().map_or("valid", |reason| reason.name());
        let count = counted(latency.len());
        write!(
            out,
            "<tr><td>{class}</td><td>{must_be}</td><td class=n>{count}</td>"
        )?;
        for quantile in [0.5, 0.9, 0.99, 0.999, 1.0] {
            let us = readable(quantile_us(latency, quantile));
            write!(out, "<td class=n>{us}</td>")?;
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table>\n");
    Ok(())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::tests::outcome;
    use super::*;
    use crate::cpu::CpuList;

    fn example() -> String {
        let cpus = CpuList::default();
        let environment = Environment {
            command: "loadtest run --seed '<1>'".to_owned(),
            ..Environment::here(&cpus, &cpus, 0)
        };
        page(&[outcome(), outcome()], &environment)
    }

    #[test]
    fn the_page_fetches_nothing() {
        let page = example();
        for outside in [
            "http:", "https:", "//", "src=", "href=", "<script", "<link", "<img", "<iframe",
            "@import", "url(", "xmlns",
        ] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn the_page_says_what_was_found_and_escapes_what_was_typed() {
        let page = example();
        assert!(page.contains("A &lt;mix&gt; &amp; its ceiling") && !page.contains("<mix>"));
        assert!(page.contains("--seed '&lt;1&gt;'"));
        assert_eq!(page.matches("<svg").count(), 4);
        assert!(page.contains("<td>forged</td><td>bad_signature</td><td class=n>2,000</td>"));
        assert!(page.contains("1970-01-01T00:00:00Z") && page.ends_with("</html>\n"));
    }
}

//! `jotd keys doctor`, and `jotd keys list` without a file: how things stand with a running daemon's keys.

use crate::cli::exit::{Failure, Outcome};
use crate::cli::output::{self, Table};
use crate::cli::revoke::daemon::{Ask, DaemonArgs};
use serde_json::Value;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this issuer
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    /// One JSON object an issuer
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
}

/// Says what is wrong with issuers' keys, and what can be done next.
pub(super) fn run(args: &Args) -> Result<Outcome, Failure> {
    let issuers = issuers(&args.daemon, args.issuer.as_deref())?;
    if args.json {
        output::print_json(&issuers)?;
    } else {
        let lines: String = issuers.iter().map(described).collect();
        output::print(&lines)?;
    }
    let is_bad = |finding: &Value| matches!(text(finding, "level"), "alarm" | "warning");
    let mut findings = issuers
        .iter()
        .flat_map(|issuer| list_of(issuer, "findings"));
    Ok(if findings.any(is_bad) {
        Outcome::Refused
    } else {
        Outcome::Done
    })
}

/// Lists the keys that a daemon has.
pub(super) fn list(
    daemon: &DaemonArgs,
    only: Option<&str>,
    as_json: bool,
) -> Result<Outcome, Failure> {
    let issuers = issuers(daemon, only)?;
    if as_json {
        output::print_json(&issuers)?;
        return Ok(Outcome::Done);
    }
    let headings = [
        "ISSUER",
        "KID",
        "ALG",
        "FIRST SEEN",
        "LAST EXP",
        "THUMBPRINT",
    ];
    let mut table = Table::new(&headings, &[3, 4]);
    for issuer in &issuers {
        for key in list_of(issuer, "keys") {
            table.push(vec![
                visible(text(issuer, "issuer")),
                visible(text(key, "kid")),
                text(key, "alg").to_owned(),
                number(key, "first_seen"),
                number(key, "expires_last"),
                text(key, "thumbprint").to_owned(),
            ]);
        }
    }
    output::print(&table.render())?;
    Ok(Outcome::Done)
}

/// All issuers that are asked for, page by page.
fn issuers(daemon: &DaemonArgs, only: Option<&str>) -> Result<Vec<Value>, Failure> {
    let mut issuers = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let path = path("/v1/keys", &[("issuer", only), ("after", after.as_deref())]);
        let page = daemon.ask(Ask::get(&path))?.object()?;
        issuers.extend(list_of(&page, "issuers").iter().cloned());
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    match only {
        Some(only) if issuers.is_empty() => {
            Err(Failure::usage(format!("no issuer has the name {only}")))
        }
        _ => Ok(issuers),
    }
}

/// A path with those of the query's members that are there.
pub(super) fn path(path: &str, members: &[(&str, Option<&str>)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in members {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    match query.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

fn described(issuer: &Value) -> String {
    let keys = list_of(issuer, "keys").len();
    let mut lines = format!(
        "{} ({} keys from {})\n",
        visible(text(issuer, "issuer")),
        keys,
        visible(text(issuer, "source"))
    );
    let findings = list_of(issuer, "findings");
    for finding in findings {
        let kid = match finding["kid"].as_str() {
            Some(kid) => format!("key {}: ", visible(kid)),
            None => String::new(),
        };
        lines.push_str(&format!(
            "  {}: {kid}{}\n",
            text(finding, "level"),
            visible(text(finding, "what"))
        ));
    }
    if findings.is_empty() {
        lines.push_str("  ok\n");
    }
    lines
}

fn list_of<'v>(object: &'v Value, name: &str) -> &'v [Value] {
    object[name].as_array().map_or(&[], Vec::as_slice)
}

fn text<'v>(object: &'v Value, name: &str) -> &'v str {
    object[name].as_str().unwrap_or("-")
}

fn number(object: &Value, name: &str) -> String {
    let number = object[name].as_i64();
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

/// Text for a terminal: whatever an issuer says must not move the cursor.
pub(super) fn visible(text: &str) -> String {
    text.escape_debug().to_string()
}

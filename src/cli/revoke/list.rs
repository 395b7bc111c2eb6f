//! `jotd revoke list`: what is revoked, as far as a record says.

use super::daemon::{Ask, DaemonArgs};
use crate::cli::exit::{Failure, Outcome};
use crate::cli::output::{self, Table};
use serde_json::Value;

/// List what is revoked
///
/// A record holds a keyed hash of who is meant, so that the list names kinds, tenants and times, and nobody. Whether
/// something is revoked can be found out by its key: jotd revoke --sub alice --print-id.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Example:\n  jotd revoke list --tenant acme --kind sub")]
pub(super) struct Args {
    /// Only of this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Only of this kind: jti, sub, sid, client, kid, digest, iss, tenant or several
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Most records to list
    #[arg(long, value_name = "N", default_value_t = 1_000,
          value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    limit: u64,
    /// One JSON object a record
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
}

/// Most records of one page.
const PAGE_RECORDS_MAX: u64 = 1_000;

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Outcome, Failure> {
    let mut after: Option<String> = None;
    let mut left = args.limit;
    let mut total = Value::Null;
    let mut table = Table::new(
        &["KIND", "TENANT", "ISSUED BEFORE", "UNTIL", "RECORD"],
        &[2, 3],
    );
    while left > 0 {
        let page = args
            .daemon
            .ask(Ask::get(&args.path(left, after.as_deref())))?
            .object()?;
        let records = page["revocations"].as_array().cloned().unwrap_or_default();
        left = left.saturating_sub(records.len().max(1) as u64);
        if args.json {
            output::print_json(&records)?;
        } else {
            records.iter().for_each(|record| table.push(row(record)));
        }
        total = page["total"].clone();
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    if !args.json {
        output::print(&table.render())?;
        eprintln!("{total} records in all");
    }
    Ok(Outcome::Done)
}

impl Args {
    fn path(&self, left: u64, after: Option<&str>) -> String {
        let limit = left.min(PAGE_RECORDS_MAX).to_string();
        let path = "/v1/revocations?".to_owned();
        let start = path.len();
        let mut query = form_urlencoded::Serializer::for_suffix(path, start);
        query.append_pair("limit", &limit);
        let optional = [
            ("tenant", self.tenant.as_deref()),
            ("kind", self.kind.as_deref()),
            ("after", after),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }
}

/// What a table or a line shows of a record.
pub(super) fn row(record: &Value) -> Vec<String> {
    let text = |name: &str| record[name].as_str().unwrap_or("-").to_owned();
    let second = |name: &str, none: &str| {
        record[name]
            .as_u64()
            .map_or(none.to_owned(), |second| second.to_string())
    };
    vec![
        text("members"),
        text("tenant"),
        second("issued_before", "ever"),
        second("until", "-"),
        text("record"),
    ]
}

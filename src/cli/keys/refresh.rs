//! `jotd keys refresh`: has a running daemon look at issuers' keys now.

use super::doctor::{path, visible};
use crate::cli::exit::{Failure, Outcome};
use crate::cli::output;
use crate::cli::revoke::daemon::{Ask, DaemonArgs};
use serde_json::Value;

/// Have a running daemon look at issuers' keys now
///
/// It does so by itself, and as soon as a token names a key that it does not know; this is for those who will not wait.
/// Exits with 1 if a look brought nothing: the keys stay as they were then. Of a template, all loaded tenants are looked
/// at from then on, which is not waited for.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Example:\n  jotd keys refresh --issuer acme")]
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

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Outcome, Failure> {
    let path = path("/v1/keys/refresh", &[("issuer", args.issuer.as_deref())]);
    let answer = args.daemon.ask(Ask::json("POST", &path, String::new()))?;
    let answer = answer.object()?;
    let issuers = answer["issuers"].as_array().cloned().unwrap_or_default();
    if args.json {
        output::print_json(&issuers)?;
    } else {
        let lines: String = issuers.iter().map(line).collect();
        output::print(&lines)?;
    }
    let is_well = |issuer: &Value| {
        matches!(
            issuer["outcome"].as_str(),
            Some("ok" | "not_modified" | "shared" | "local" | "tenants")
        )
    };
    Ok(if issuers.iter().all(is_well) {
        Outcome::Done
    } else {
        Outcome::Refused
    })
}

fn line(issuer: &Value) -> String {
    let text = |name: &str| visible(issuer[name].as_str().unwrap_or("-"));
    match issuer["why"].as_str() {
        None => format!("{}: {}\n", text("issuer"), text("outcome")),
        Some(why) => format!(
            "{}: {}: {}\n",
            text("issuer"),
            text("outcome"),
            visible(why)
        ),
    }
}

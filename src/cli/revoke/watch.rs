//! `jotd revoke watch`: revocations as they arrive.

use super::daemon::{Ask, DaemonArgs};
use super::list::row;
use crate::cli::exit::{Failure, Outcome};
use crate::cli::output;
use serde_json::Value;

/// Watch revocations arrive
///
/// Prints a line for each record that the daemon takes in from now on, whoever gave the order. Ends with 0 when the
/// daemon stops, and on Ctrl-C.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Example:\n  jotd revoke watch --json | jq .kind")]
pub(super) struct Args {
    /// One JSON object a record
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Outcome, Failure> {
    args.daemon
        .follow(Ask::get("/v1/revocations/watch"), |line| {
            let object: Value = serde_json::from_slice(line).unwrap_or(Value::Null);
            if args.json {
                return output::print_json(&[&object]);
            }
            if let Some(missed) = object["missed"].as_u64() {
                eprintln!("{missed} arrivals were missed: the daemon tells faster than this reads");
            } else if object["watching"] == true {
                eprintln!("watching from revision {}", object["revision"]);
            } else {
                let at = object["at"].to_string();
                return output::print(&format!("{at}  {}\n", row(&object).join("  ")));
            }
            Ok(())
        })?;
    Ok(Outcome::Done)
}

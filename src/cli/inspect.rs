//! `jotd inspect`: shows what a token says, and says loudly that nobody vouches for it.

use super::exit::{Failure, Outcome};
use super::output;
use jotd::clock::Clock;
use jotd::jose::inspect;
use jotd::limits::TOKEN_BYTES_MAX;
use std::io::{self, Read};
use zeroize::Zeroizing;

/// Decode and explain a token, without verifying it
///
/// Shows header, claims, dates, and what is broken or unwise about the token, as far as it can be read.
/// Nothing of it is verified: anyone could have written it. The signature is never printed, only its length.
///
/// Exits with 0 if the token's form is sound, which says nothing about trust, and with 1 if jotd would
/// refuse it whatever the key.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  What is in this token, and when does it expire?
    jotd inspect TOKEN

  Its subject, for a script that must not trust it:
    jotd inspect --json - < token.txt")]
pub(super) struct Args {
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
    /// The time that dates are explained by, in seconds since the epoch, instead of the present
    #[arg(long, value_name = "UNIX", allow_negative_numbers = true)]
    now: Option<i64>,
    /// The token; without it, or with '-', it is read from standard input
    token: Option<String>,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Outcome, Failure> {
    let read;
    let token = match args.token.as_deref() {
        Some(token) if token != "-" => token.as_bytes(),
        _ => {
            read = read_stdin()?;
            read.trim_ascii()
        }
    };
    let clock = args.now.map_or_else(Clock::system, Clock::fixed);
    let inspection = inspect(token, clock.now());
    if args.json {
        output::print(&format!("{}\n", inspection.to_json()))?;
    } else {
        output::print(&inspection.to_string())?;
    }
    Ok(Outcome::of(inspection.refusal.is_none()))
}

/// Reads one byte more than a token may have, so that one too long is seen to be.
fn read_stdin() -> Result<Zeroizing<Vec<u8>>, Failure> {
    // A token's worth of white space around it is more than any editor leaves.
    let limit = 2 * TOKEN_BYTES_MAX as u64;
    let mut token = Zeroizing::new(Vec::new());
    io::stdin()
        .lock()
        .take(limit)
        .read_to_end(&mut token)
        .map_err(|error| Failure::fault(format!("the token could not be read: {error}")))?;
    Ok(token)
}

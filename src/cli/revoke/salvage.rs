//! `jotd revoke salvage`: what can still be read of a damaged log, into a new one.

use crate::cli::exit::{Failure, Outcome};
use crate::cli::output;
use jotd::upstream::revocation::{Journal, salvage};
use std::path::PathBuf;

/// Save what can be read of a damaged log
///
/// A daemon does not start on a log that has lost acknowledged revocations, and says where it is damaged. This
/// writes what is left into a new folder, to be named as state_dir; the damaged file stays as it is. What was lost
/// must be revoked again.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  jotd revoke salvage /var/lib/jotd/revocations --out /var/lib/jotd/salvaged")]
pub(super) struct Args {
    /// The damaged file
    file: PathBuf,
    /// The new folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Outcome, Failure> {
    let records = salvage(&args.file).map_err(|error| Failure::usage(error.to_string()))?;
    let name = args.file.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Failure::file(&args.file, "has no name"))?;
    if args.out.join(name).exists() {
        return Err(Failure::file(
            &args.out,
            "has such a log already, and it is left as it is",
        ));
    }
    let (mut journal, _) =
        Journal::open(&args.out, name).map_err(|error| Failure::usage(error.to_string()))?;
    let written = journal.append(&records);
    written.map_err(|error| Failure::file(&args.out, error))?;
    output::print(&format!("{} records saved\n", records.len()))?;
    Ok(Outcome::Done)
}

//! `jotd keys`: makes keys, and looks at them.

mod encryption;
mod generate;
mod list;

use super::exit::{Failure, Outcome};
use clap::Subcommand;
use std::path::PathBuf;

/// Generate keys, list them, take their public half
///
/// Private keys are written as JWK files that only their owner may read, and are never overwritten.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  A key to sign with, and what to publish of it:
    jotd keys generate --alg ES256 --out private.jwk --public-out jwks.json

  What is in a JWK Set, and can all of it be used?
    jotd keys list jwks.json")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Generate(generate::Args),
    GenerateEncryption(encryption::Args),
    /// List the keys of a JWK Set, JWK or PEM file, and say which cannot be used
    ///
    /// Thumbprints are those of RFC 7638; a secret's is left out, because guesses could be tried against it.
    #[command(after_long_help = "Example:\n  jotd keys list jwks.json")]
    List {
        #[command(flatten)]
        file: FileArgs,
        /// One JSON object a key
        #[arg(long)]
        json: bool,
    },
    /// Print the public halves of a file's keys as a JWK Set
    ///
    /// Secrets have no public half and are left out with a warning.
    #[command(after_long_help = "Example:\n  jotd keys public private.jwk > jwks.json")]
    Public(FileArgs),
}

#[derive(Debug, clap::Args)]
struct FileArgs {
    /// JWK Set, JWK or PEM file
    file: PathBuf,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Outcome, Failure> {
    match &args.command {
        Command::Generate(args) => generate::run(args),
        Command::GenerateEncryption(args) => encryption::run(args),
        Command::List { file, json } => list::list(file, *json),
        Command::Public(file) => list::public(file),
    }
}

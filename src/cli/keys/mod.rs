//! `jotd keys`: makes keys, rotates rings of them, and looks at them.

mod generate;
mod list;
mod ring;
mod rotate;

pub(super) use ring::{ENVIRONMENT, SealArgs};

use super::exit::{Failure, Outcome};
use clap::Subcommand;
use std::path::PathBuf;

/// Generate keys, rotate, retire and revoke them, list them, take their public half
///
/// Private keys are written as JWK files that only their owner may read, and are never overwritten. Those of an
/// issuer that rotates are kept in a ring: a folder that `jotd issue --keys` signs with, and that a daemon
/// verifies with and publishes where it is an issuer's keys_dir.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  A key to sign with, and what to publish of it:
    jotd keys generate --alg ES256 --out private.jwk --public-out jwks.json

  A ring of keys, its next key, and who signs when:
    jotd keys generate --alg ES256 --keys /var/lib/idp/keys
    jotd keys rotate /var/lib/idp/keys
    jotd keys list /var/lib/idp/keys

  What is in a JWK Set, and can all of it be used?
    jotd keys list jwks.json")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Generate(generate::Args),
    Rotate(rotate::RotateArgs),
    Retire(rotate::RetireArgs),
    Revoke(rotate::RevokeArgs),
    /// List the keys of a JWK Set, JWK or PEM file, and say which cannot be used; or those of a ring
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
    /// Print the public halves of a file's keys as a JWK Set; of a ring, those to be published now
    ///
    /// Secrets have no public half and are left out with a warning.
    #[command(after_long_help = "Example:\n  jotd keys public private.jwk > jwks.json")]
    Public(FileArgs),
}

#[derive(Debug, clap::Args)]
struct FileArgs {
    /// JWK Set, JWK or PEM file, or a ring's folder
    file: PathBuf,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Outcome, Failure> {
    match &args.command {
        Command::Generate(args) => generate::run(args),
        Command::Rotate(args) => rotate::rotate(args),
        Command::Retire(args) => rotate::retire(args),
        Command::Revoke(args) => rotate::revoke(args),
        Command::List { file, json } => list::list(file, *json),
        Command::Public(file) => list::public(file),
    }
}

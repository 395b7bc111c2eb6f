//! `jotd keys`: makes keys, rotates rings of them, and looks at them.

mod doctor;
mod encryption;
mod generate;
mod list;
mod refresh;
mod ring;
mod rotate;

pub(super) use ring::{ENVIRONMENT, SealArgs};

use super::exit::{Failure, Outcome};
use super::revoke::daemon::DaemonArgs;
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
    jotd keys list jwks.json

  What keys does the daemon have, and is anything wrong with them?
    jotd keys list
    jotd keys doctor")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Generate(generate::Args),
    GenerateEncryption(encryption::Args),
    Rotate(rotate::RotateArgs),
    Retire(rotate::RetireArgs),
    Revoke(rotate::RevokeArgs),
    /// List the keys of a JWK Set, JWK or PEM file, and say which cannot be used; or those of a ring, or a
    /// running daemon's
    ///
    /// Thumbprints are those of RFC 7638; a secret's is left out, because guesses could be tried against it.
    #[command(
        after_long_help = "Examples:\n  jotd keys list jwks.json\n  jotd keys list --issuer acme"
    )]
    List {
        /// JWK Set, JWK or PEM file, or a ring's folder; without one, a running daemon is asked for the keys that it has
        file: Option<PathBuf>,
        /// Of a running daemon's keys, only this issuer's
        #[arg(long, value_name = "NAME", conflicts_with = "file")]
        issuer: Option<String>,
        /// One JSON object a key; of a running daemon, one an issuer
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        daemon: DaemonArgs,
    },
    Refresh(refresh::Args),
    /// Say what is wrong with a running daemon's keys, and which can be retired
    ///
    /// Alarms and warnings: no keys, an issuer that does not answer, a key that was withdrawn while its tokens live, a
    /// kid that names another key than before, clocks that disagree, floods of unknown kids. Notes: keys that cannot be
    /// used, keys that nothing uses, and from when on a key can be retired, by the latest `exp` that this daemon has
    /// seen of its tokens. Exits with 1 if there is an alarm or a warning.
    #[command(after_long_help = "Example:\n  jotd keys doctor --issuer acme")]
    Doctor(doctor::Args),
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
        Command::GenerateEncryption(args) => encryption::run(args),
        Command::Rotate(args) => rotate::rotate(args),
        Command::Retire(args) => rotate::retire(args),
        Command::Revoke(args) => rotate::revoke(args),
        Command::List {
            file: Some(file),
            json,
            ..
        } => list::list(file, *json),
        Command::List {
            issuer,
            json,
            daemon,
            ..
        } => doctor::list(daemon, issuer.as_deref(), *json),
        Command::Refresh(args) => refresh::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Public(file) => list::public(file),
    }
}

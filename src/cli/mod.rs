//! The command line: one file a command. It belongs to the binary and uses only the library's public face.
//!
//! Data goes to stdout and words for people to stderr; [`exit`] says what the exit codes mean.

mod algorithms;
mod bench;
mod check_config;
mod encryption;
mod exit;
mod files;
mod health;
mod inspect;
mod issue;
mod keyfiles;
mod keys;
mod manual;
mod output;
mod process;
mod revoke;
mod serve;
mod verify;

pub(crate) use process::withhold_panic_messages;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

/// Asks one question for every service on a host: may this token be trusted, right now, for this?
///
/// jotd verifies JSON Web Tokens in batches. It answers over a Unix socket, HTTP and gRPC, and offline on
/// the command line.
#[derive(Debug, Parser)]
#[command(
    name = "jotd",
    version,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "\
Start here:
  jotd dev                      a daemon to play with, and a token to ask it about
  jotd verify --help            verify tokens without a daemon

Exit codes: 0 done and valid, 1 a token was invalid or a check failed, 2 usage or configuration error."
)]
struct CommandLine {
    #[command(subcommand)]
    command: Choice,
}

/// A command with its arguments.
#[derive(Debug)]
pub(crate) struct Command {
    choice: Choice,
    /// The line as it was typed, for what must not be repeated of it.
    line: Vec<OsString>,
}

#[derive(Debug, Subcommand)]
enum Choice {
    Dev(serve::DevArgs),
    Serve(serve::ServeArgs),
    CheckConfig(check_config::Args),
    Verify(verify::Args),
    Inspect(inspect::Args),
    Issue(issue::Args),
    Keys(keys::Args),
    Bench(bench::Args),
    Revoke(Box<revoke::Args>),
    Health(health::Args),
    #[command(hide = true)]
    Completions(manual::CompletionsArgs),
    #[command(hide = true)]
    Man(manual::ManArgs),
}

/// Reads the command line. Where there is nothing to run (help was asked for, or the line makes no sense)
/// the user has been answered, and the exit code is returned.
pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Command, ExitCode> {
    let arguments: Vec<OsString> = arguments.collect();
    let parsed = CommandLine::command()
        .try_get_matches_from(&arguments)
        .and_then(|matches| CommandLine::from_arg_matches(&matches));
    match parsed {
        Ok(parsed) => Ok(Command {
            choice: parsed.command,
            line: arguments,
        }),
        Err(error) if error.use_stderr() => {
            let text = process::redact(error.render().to_string(), &arguments);
            eprint!("{text}");
            Err(ExitCode::from(2))
        }
        Err(help_or_version) => {
            // A reader that has seen enough of the help is no fault.
            let _ = help_or_version.print();
            Err(ExitCode::SUCCESS)
        }
    }
}

/// Runs a command and tells how it ended.
pub(crate) fn run(command: Command) -> ExitCode {
    let Command { choice, line } = command;
    let ended = match &choice {
        Choice::Dev(args) => serve::dev(args),
        Choice::Serve(args) => serve::serve(args),
        Choice::CheckConfig(args) => check_config::run(args),
        Choice::Verify(args) => verify::run(args),
        Choice::Inspect(args) => inspect::run(args),
        Choice::Issue(args) => issue::run(args),
        Choice::Keys(args) => keys::run(args),
        Choice::Bench(args) => bench::run(args),
        Choice::Revoke(args) => revoke::run(args),
        Choice::Health(args) => health::run(args),
        Choice::Completions(args) => manual::completions(args),
        Choice::Man(args) => manual::man(args),
    };
    match ended {
        Ok(outcome) => outcome.into(),
        Err(failure) => {
            let said = failure.report(choice.name());
            eprint!("{}", process::redact(said, &line));
            ExitCode::from(&failure)
        }
    }
}

impl Choice {
    /// What to ask help for.
    fn name(&self) -> &'static str {
        match self {
            Self::Dev(_) => "dev",
            Self::Serve(_) => "serve",
            Self::CheckConfig(_) => "check-config",
            Self::Verify(_) => "verify",
            Self::Inspect(_) => "inspect",
            Self::Issue(_) => "issue",
            Self::Keys(_) => "keys",
            Self::Bench(_) => "bench",
            Self::Revoke(_) => "revoke",
            Self::Health(_) => "health",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
        }
    }
}

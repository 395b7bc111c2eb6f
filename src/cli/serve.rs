//! `jotd serve` and `jotd dev`: the daemon, configured or ready to play with.

use super::exit::{Failure, Outcome};
use super::{output, process};
use jotd::config::{self, Log, LogFormat, LogLevel};
use jotd::daemon::{self, Dev, Ended, Fault};
use std::path::{Path, PathBuf};

/// Run the daemon
///
/// Answers over the Unix socket, HTTP and gRPC as the configuration says, until SIGTERM or SIGINT; what was
/// accepted by then is still answered. SIGHUP reloads the configuration: it is checked as a whole first, and the
/// old one stays where the new one has faults. Environment variables that begin with JOTD_ override the file.
///
/// Exits with 0 if everything accepted was answered, 1 if it was not or the daemon could not start, 2 if the
/// configuration has faults.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  With the usual configuration:
    jotd serve

  With another, and a setting from the environment:
    JOTD_LOG__LEVEL=debug jotd serve --config jotd.toml")]
pub(super) struct ServeArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "/etc/jotd/jotd.toml")]
    config: PathBuf,
}

/// Run a daemon to play with, and print a token to ask it about
///
/// Needs no configuration: makes a key that lives as long as the process, trusts it as a development issuer,
/// listens on loopback and a Unix socket, and prints a token with lines to paste that verify it.
///
/// NEVER FOR PRODUCTION: the key is at hand, so whoever can read this process's output can pass.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  jotd dev                      then paste the curl line that it prints")]
pub(super) struct DevArgs {
    /// Log what happens on connections too
    #[arg(long, short)]
    verbose: bool,
}

/// Runs `jotd serve`.
pub(super) fn serve(args: &ServeArgs) -> Result<Outcome, Failure> {
    let path = args.config.clone();
    let config = config::load(&path).map_err(|faults| Failure::usage(faults.to_string()))?;
    process::start_logging(config.log);
    let load = Box::new(move || config::load(&path));
    daemon::run(config, load, |_| {})
        .map(Outcome::from)
        .map_err(Failure::from)
}

/// Runs `jotd dev`.
pub(super) fn dev(args: &DevArgs) -> Result<Outcome, Failure> {
    process::start_logging(Log {
        level: if args.verbose {
            LogLevel::Debug
        } else {
            LogLevel::Warn
        },
        format: LogFormat::Human,
    });
    daemon::dev(|dev| {
        // Whoever closed our output still has a daemon.
        let _ = greet(dev);
    })
    .map(Outcome::from)
    .map_err(Failure::from)
}

/// What is to be pasted goes to stdout, one line each; what is to be read, to stderr.
fn greet(dev: &Dev) -> Result<(), Failure> {
    let socket = dev.socket.display();
    eprintln!("jotd dev: a daemon to play with, NEVER FOR PRODUCTION. Ctrl-C ends it.\n");
    eprintln!("  HTTP, gRPC   {}", dev.http);
    eprintln!("  Unix socket  {socket}");
    if let Some(admin) = dev.admin {
        eprintln!("  admin        http://{admin}/metrics");
    }
    eprintln!(
        "\nA token of the issuer {} for the audience {:?}, good for {} minutes, that only this daemon \
         trusts:",
        dev.issuer,
        dev.audience,
        dev.lifetime_seconds / 60
    );
    output::print(&format!("{}\n", dev.token))?;
    eprintln!("\nAsk over HTTP:");
    output::print(&format!("{}\n", dev.curl))?;
    eprintln!("\nAsk over the Unix socket:");
    output::print(&format!("{}\n", curl_over_socket(&dev.socket, &dev.token)))
}

fn curl_over_socket(socket: &Path, token: &str) -> String {
    format!(
        "curl -s --unix-socket {} http://localhost/v1/verify -H 'content-type: application/json' -d \
         '{{\"token\":\"{token}\",\"want\":[\"claims\"]}}'",
        quoted(&socket.display().to_string())
    )
}

/// A word for the shell.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    if word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

impl From<Ended> for Outcome {
    fn from(ended: Ended) -> Self {
        Self::of(ended == Ended::Drained)
    }
}

/// What the operator wrote is a usage error; what the system would not do is not.
impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Keys(_) | Fault::Records(_) | Fault::Tls(_) | Fault::Config(_) => {
                Self::Usage(fault.to_string())
            }
            Fault::Listen { .. }
            | Fault::Revocation(_)
            | Fault::Engine(_)
            | Fault::Thread(_)
            | Fault::Issuer(_) => Self::Fault(fault.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_a_space_or_a_quote_survives_the_shell() {
        assert_eq!(quoted("/run/jotd/jotd.sock"), "/run/jotd/jotd.sock");
        assert_eq!(quoted("/tmp/it's here"), r"'/tmp/it'\''s here'");
    }
}

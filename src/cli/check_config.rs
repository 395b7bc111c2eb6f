//! `jotd check-config`: every fault of a configuration at once, or what a daemon would do with it.

use super::exit::{Failure, Outcome};
use super::{output, process};
use jotd::config::{self, Config, Fault, Origin};
use jotd::jose::Algorithm;
use jotd::policy::Accepted;
use jotd::upstream::Source;
use jotd::verify::IssuerMatch;
use serde_json::json;
use std::fmt::{self, Write};
use std::path::{Path, PathBuf};

/// Check a configuration without starting anything
///
/// Reads the file and the environment's JOTD_ variables, and names every fault at once, each with its file,
/// line and column and the way out; key files that cannot be used are among them. Without faults it says
/// what the daemon would start. Exits with 0 or 1.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Before a reload:
    jotd check-config /etc/jotd/jotd.toml && systemctl reload jotd

  With a setting from the environment:
    JOTD_CACHE__CAPACITY=1000000 jotd check-config jotd.toml")]
pub(super) struct Args {
    /// One JSON object a fault on standard output instead of text
    #[arg(long)]
    json: bool,
    /// The configuration
    file: PathBuf,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Outcome, Failure> {
    match config::load(&args.file) {
        Ok(config) => {
            for warning in &config.warnings {
                eprintln!("warning: {warning}");
            }
            if !args.json {
                eprint!("{}", Summary(&config, &args.file));
            }
            Ok(Outcome::Done)
        }
        Err(faults) => {
            if args.json {
                let lines: Vec<_> = faults.list().iter().map(described).collect();
                output::print_json(&lines)?;
            } else {
                let count = faults.list().len();
                // The path is in every message, and may be a token that was meant for another command.
                let path = args.file.clone().into_os_string();
                eprintln!("{}", process::redact(faults.to_string(), &[path]));
                eprintln!("{count} fault{}", if count == 1 { "" } else { "s" });
            }
            Ok(Outcome::Refused)
        }
    }
}

fn described(fault: &Fault) -> serde_json::Value {
    match &fault.origin {
        Origin::File { path, line, column } => json!({
            "file": path.display().to_string(),
            "line": line,
            "column": column,
            "message": fault.message,
        }),
        Origin::Variable(name) => json!({ "variable": name, "message": fault.message }),
    }
}

/// What a daemon would start, for people.
struct Summary<'c>(&'c Config, &'c Path);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(config, path) = self;
        let listen = &config.listen;
        writeln!(f, "{}: no faults; it would start", path.display())?;
        if let Some(socket) = &listen.socket {
            let (path, mode) = (socket.path.display(), socket.mode);
            writeln!(f, "  Unix socket  {path}, mode {mode:04o}")?;
        }
        if let Some(address) = listen.http {
            let tls = if listen.tls.is_some() {
                " with TLS"
            } else {
                ""
            };
            writeln!(f, "  HTTP, gRPC   {address}{tls}")?;
        }
        if let Some(address) = listen.admin {
            writeln!(f, "  admin        {address}")?;
        }
        let (io, verify) = (&config.threads.io, &config.threads.verify);
        writeln!(f, "  connections  on CPU {}", joined(io))?;
        writeln!(f, "  workers      on CPU {}", joined(verify))?;
        for issuer in &config.issuers {
            writeln!(f, "  issuer       {}", described_issuer(issuer)?)?;
        }
        for (name, _) in &config.policies {
            writeln!(f, "  policy       {name}")?;
        }
        Ok(())
    }
}

fn described_issuer(issuer: &config::Issuer) -> Result<String, fmt::Error> {
    let mut text = String::new();
    write!(text, "{}: ", issuer.name)?;
    match &issuer.iss {
        IssuerMatch::Exact(iss) => write!(text, "{iss}")?,
        IssuerMatch::Any => write!(text, "any iss")?,
        IssuerMatch::Template(template) => {
            write!(text, "{template}, each the tenant {}", issuer.tenant)?;
        }
    }
    match &issuer.policy.audiences {
        Accepted::Any => write!(text, " for any audience")?,
        Accepted::OneOf(audiences) => write!(text, " for {}", audiences.join(", "))?,
    }
    let schemes = issuer.policy.schemes.iter().copied();
    write!(text, ", {}", joined(schemes.map(Algorithm::of_scheme)))?;
    match &issuer.source {
        Source::Remote(remote) => write!(text, ", keys from {}", remote.endpoint)?,
        Source::Files(files) => {
            write!(
                text,
                ", keys from {}",
                joined(files.paths().iter().map(|path| path.display()))
            )?;
        }
        Source::Tenants(keys) => write!(text, ", keys from {}", keys.endpoint.address())?,
        Source::Given(given) => {
            let names: Vec<&str> = given.names().collect();
            write!(text, ", keys from the environment: {}", names.join(", "))?;
        }
        Source::Inline(_) => write!(text, ", keys written in the configuration")?,
    }
    Ok(text)
}

fn joined(items: impl IntoIterator<Item = impl fmt::Display>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(", ")
}

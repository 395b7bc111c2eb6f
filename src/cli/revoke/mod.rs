//! `jotd revoke`: gives orders to a running daemon, lists what is revoked, watches it happen.

pub(super) mod daemon;
mod list;
mod salvage;
mod token;
mod watch;

pub(super) use daemon::DaemonArgs;

use super::exit::{Failure, Outcome};
use super::{files, output};
use clap::{Subcommand, ValueEnum};
use daemon::Ask;
use jotd::clock::Clock;
use jotd::revocation::{IdKey, Issued, Member, Order};
use serde_json::Value;
use std::path::PathBuf;

/// Revoke tokens before they expire
///
/// Asks a running daemon, at its admin socket or its admin listener. All members that are named must match: --sub
/// and --client together revoke what that client holds for that user. Orders by --jti, --kid and --digest revoke
/// whatever has them, the others what was issued up to now; --issued-before says otherwise. There is no way back:
/// issue a new token instead.
///
/// Exits with 0 once the order cannot be lost any more; with 1 if it was not taken, or is still on its way to the
/// logs that must hold it, or no daemon answered; with 2 if the order makes no sense.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_long_help = "\
Examples:
  One token, by its id; every session of a user; one session:
    jotd revoke --jti 0b9f3c
    jotd revoke --sub alice
    jotd revoke --sid 4e1a --wait applied

  What a client holds for a user, in one tenant:
    jotd revoke --tenant acme --client shop --sub alice

  A token that is at hand, without its ever being seen in a list of processes:
    jotd revoke --token - < token.txt

  A key that leaked, and every token of a tenant issued until then:
    jotd revoke --tenant acme --kid 2024-05
    jotd revoke --tenant acme --everything --issued-before 1710000000"
)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    order: OrderArgs,
    #[command(flatten)]
    daemon: DaemonArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Args),
    Watch(watch::Args),
    Salvage(salvage::Args),
}

#[derive(Debug, clap::Args)]
struct OrderArgs {
    /// The tenant
    #[arg(long, value_name = "NAME", default_value = "default")]
    tenant: String,
    /// Only what has this `iss`
    #[arg(long, value_name = "ISS")]
    iss: Option<String>,
    /// The token with this `jti`
    #[arg(long, value_name = "JTI")]
    jti: Option<String>,
    /// What was issued for this `sub`
    #[arg(long, value_name = "SUB")]
    sub: Option<String>,
    /// What belongs to this session, by `sid`
    #[arg(long, value_name = "SID")]
    sid: Option<String>,
    /// What was issued to this client, by `client_id` or `azp`
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// What was signed with the key of this `kid`
    #[arg(long, value_name = "KID")]
    kid: Option<String>,
    /// The token whose signing input (header, dot, payload) has this SHA-256, in hexadecimal
    #[arg(long, value_name = "HEX")]
    digest: Option<String>,
    /// Every token of the tenant
    #[arg(long)]
    everything: bool,
    /// The token in this file, or '-' for standard input; the daemon verifies it first
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "tenant", "iss", "jti", "sub", "sid", "client", "kid", "digest", "everything", "issued_before", "until",
        "print_id",
    ])]
    token: Option<PathBuf>,
    /// Only what was issued up to this second since the epoch; or 'now', or 'ever' for tokens yet to be issued too
    #[arg(long, value_name = "WHEN", value_parser = issued)]
    issued_before: Option<Issued>,
    /// Forget the order after this second since the epoch; no token it means may have a later `exp`
    #[arg(long, value_name = "UNIX")]
    until: Option<u32>,
    /// What to wait for
    #[arg(long, value_enum, default_value_t = Wait::Accepted)]
    wait: Wait,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Ask nobody; print the key of the record, for writing it into a log by other means
    #[arg(long)]
    print_id: bool,
    /// With --print-id: the file with the secret of the deployment, as in id_secret_file
    #[arg(long, value_name = "FILE", requires = "print_id")]
    id_secret_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Wait {
    /// The order cannot be lost any more
    Accepted,
    /// And every daemon refuses the tokens, or answers nothing
    Applied,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Outcome, Failure> {
    match &args.command {
        Some(Command::List(args)) => return list::run(args),
        Some(Command::Watch(args)) => return watch::run(args),
        Some(Command::Salvage(args)) => return salvage::run(args),
        None => {}
    }
    if let Some(path) = &args.order.token {
        return token::revoke(path, &args.daemon, args.order.json);
    }
    let order = args.order.order()?;
    if args.order.print_id {
        return args.order.print_id(&order);
    }
    let wait = match args.order.wait {
        Wait::Accepted => "accepted",
        Wait::Applied => "applied",
    };
    let path = format!("/v1/revocations?wait={wait}");
    let answer = args.daemon.ask(Ask::json("POST", &path, order.to_json()))?;
    let receipt = answer.object()?;
    let progress = receipt["progress"].as_str().unwrap_or_default();
    if args.order.json {
        output::print_json(&[&receipt])?;
    } else {
        output::print(&told(&receipt, progress))?;
    }
    Ok(Outcome::of(matches!(progress, "accepted" | "applied")))
}

/// Orders that whatever was signed with the key of this name is revoked; tells how far the order is.
pub(super) fn revoke_key(daemon: &DaemonArgs, tenant: &str, kid: &str) -> Result<String, Failure> {
    let order = Order::everything(tenant).naming(Member::KeyId, kid);
    let order = order.map_err(|fault| Failure::usage(fault.to_string()))?;
    let ask = Ask::json("POST", "/v1/revocations?wait=accepted", order.to_json());
    let receipt = daemon.ask(ask)?.object()?;
    let progress = receipt["progress"].as_str().unwrap_or("pending");
    if progress == "pending" {
        return Err(Failure::fault(
            "the order is still on its way to the logs that must hold it",
        ));
    }
    Ok(progress.to_owned())
}

impl OrderArgs {
    fn order(&self) -> Result<Order, Failure> {
        let mut order = Order::everything(&self.tenant);
        let named = [
            (Member::Issuer, &self.iss),
            (Member::TokenId, &self.jti),
            (Member::Subject, &self.sub),
            (Member::Session, &self.sid),
            (Member::Client, &self.client),
            (Member::KeyId, &self.kid),
            (Member::Digest, &self.digest),
        ];
        for (member, value) in named {
            if let Some(value) = value {
                let with = order.naming(member, value);
                order = with.map_err(|fault| Failure::usage(format!("--{fault}")))?;
            }
        }
        if order.members().is_empty() != self.everything {
            let message = if self.everything {
                "--everything cannot stand beside a named member"
            } else {
                "nothing is named: give --jti, --sub, --sid, --client, --kid, --digest, --iss or --token, or \
                 --everything for all tokens of the tenant"
            };
            return Err(Failure::usage(message));
        }
        if let Some(issued) = self.issued_before {
            order = order.issued(issued);
        }
        Ok(match self.until {
            Some(until) => order.until(until),
            None => order,
        })
    }

    fn print_id(&self, order: &Order) -> Result<Outcome, Failure> {
        const SECRET_BYTES_MAX: usize = 64 * 1024;
        let secret = self.id_secret_file.as_deref();
        let secret = secret
            .map(|path| files::read(path, SECRET_BYTES_MAX))
            .transpose()?;
        let secret = secret
            .as_ref()
            .map_or(&[][..], |secret| secret.trim_ascii());
        let record = order.record(&IdKey::new(secret), None, Clock::system().now());
        let record = record.map_err(|fault| Failure::usage(fault.to_string()))?;
        output::print(&format!("{}\n", record.key.to_hex()))?;
        Ok(Outcome::Done)
    }
}

fn told(receipt: &Value, progress: &str) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let mut told = String::new();
    for revoked in receipt["revocations"].as_array().into_iter().flatten() {
        told.push_str(&format!(
            "{progress}: {} of tenant {}, record {}\n",
            text(&revoked["members"]),
            text(&revoked["tenant"]),
            text(&revoked["record"]),
        ));
    }
    told.push_str(&format!(
        "{}; revision {}\n",
        text(&receipt["guarantee"]),
        receipt["revision"]
    ));
    let unconfirmed: Vec<_> = receipt["unconfirmed"]
        .as_array()
        .into_iter()
        .flatten()
        .map(text)
        .collect();
    if !unconfirmed.is_empty() {
        told.push_str(&format!("not confirmed by {}\n", unconfirmed.join(", ")));
    }
    told
}

fn issued(text: &str) -> Result<Issued, String> {
    match text {
        "now" => Ok(Issued::Now),
        "ever" => Ok(Issued::Ever),
        _ => text
            .parse()
            .map(Issued::UpTo)
            .map_err(|_| "wants seconds since the epoch, 'now' or 'ever'".to_owned()),
    }
}

//! `jotd verify`: offline verification with the daemon's own engine, one verdict a token.

mod configured;
mod decryption;
mod lines;
mod progress;
mod stream;
mod tally;
mod trust;

use super::algorithms::{self, JWE_ALGORITHMS, JWE_ENCODINGS};
use super::exit::{Failure, Outcome};
use clap::builder::PossibleValuesParser;
use jotd::clock::Clock;
use jotd::jose::Algorithm;
use jotd::limits::{LEEWAY_SECONDS_DEFAULT, LEEWAY_SECONDS_MAX};
use jotd::verify::{PolicyId, Records};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use stream::Judge;

/// Verify tokens offline, one JSON verdict a line
///
/// Reads one token a line from standard input, or takes a single TOKEN, and prints one verdict a line in
/// the same order. A line that is no token gets a verdict too, so that lines correspond. Nothing is fetched
/// and no daemon is asked.
///
/// Without --algorithms each key verifies only with the algorithm it names, or, where it names none, with
/// the usual one of its type: RS256 for RSA, the curve's own for EC, Ed25519 for OKP, HS256 for a secret
/// file. A symmetric key in a JWK Set that names no algorithm is used only if --algorithms says how.
///
/// Encrypted tokens (JWE) are refused unless --jwe-algorithms or --jwe-encodings says how they may be encrypted; the one
/// that is left out allows all that is offered. The private keys among --jwks decrypt. Inside must be a signed token, which
/// is verified like any other.
///
/// Exits with 0 if every token is valid, 1 if one is not, 2 if the question makes no sense.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Is this token good?
    jotd verify --jwks keys.json --issuer https://idp.example --audience payments TOKEN

  A million tokens, one a line, on all cores:
    jotd verify --jwks keys.json --issuer https://idp.example --audience payments < tokens.txt > verdicts.jsonl

  As a daemon with this configuration would have seen it then:
    jotd verify --config /etc/jotd/jotd.toml --now 1710600000 < tokens.txt")]
pub(super) struct Args {
    /// JWK Set with the issuer's public keys, and with the private ones that tokens are encrypted to; a single JWK or a
    /// PEM key will do
    #[arg(long, value_name = "FILE", help_heading = "Keys")]
    jwks: Vec<PathBuf>,
    /// HMAC secret; give several while one is being replaced by another
    #[arg(long, value_name = "FILE", help_heading = "Keys")]
    secret_file: Vec<PathBuf>,
    /// Issuers, keys and rules of a daemon's configuration instead of those given here
    #[arg(long, value_name = "FILE", help_heading = "Keys", conflicts_with_all = [
        "jwks", "secret_file", "issuer", "any_issuer", "audience", "any_audience", "algorithms",
        "types", "any_type", "leeway", "jwe_algorithms", "jwe_encodings", "jwe_zip",
    ])]
    config: Option<PathBuf>,
    /// Accepted issuer (iss), compared exactly; may be repeated
    #[arg(long, value_name = "ISS", help_heading = "Rules")]
    issuer: Vec<String>,
    /// Leave the issuer unchecked
    #[arg(long, help_heading = "Rules", conflicts_with = "issuer")]
    any_issuer: bool,
    /// Accepted audience (aud); may be repeated
    #[arg(long, value_name = "AUD", help_heading = "Rules")]
    audience: Vec<String>,
    /// Leave the audience unchecked
    #[arg(long, help_heading = "Rules", conflicts_with = "audience")]
    any_audience: bool,
    /// Accepted algorithms
    #[arg(long, value_name = "ALG", help_heading = "Rules", value_delimiter = ',',
          value_parser = algorithms::parser(), hide_possible_values = true)]
    algorithms: Vec<Algorithm>,
    /// Accepted token types (typ); by default none, JWT or at+jwt
    #[arg(
        long,
        value_name = "TYP",
        help_heading = "Rules",
        value_delimiter = ','
    )]
    types: Vec<String>,
    /// Leave the token type unchecked
    #[arg(long, help_heading = "Rules", conflicts_with = "types")]
    any_type: bool,
    /// Key management algorithms accepted for encrypted tokens, which are refused without
    #[arg(long, value_name = "ALG", help_heading = "Rules", value_delimiter = ',',
          value_parser = PossibleValuesParser::new(JWE_ALGORITHMS), hide_possible_values = true)]
    jwe_algorithms: Vec<String>,
    /// Content encryption accepted for encrypted tokens
    #[arg(long, value_name = "ENC", help_heading = "Rules", value_delimiter = ',',
          value_parser = PossibleValuesParser::new(JWE_ENCODINGS), hide_possible_values = true)]
    jwe_encodings: Vec<String>,
    /// Accept encrypted tokens that are compressed (zip), up to the length of any token
    #[arg(long, help_heading = "Rules")]
    jwe_zip: bool,
    /// Clock leeway
    #[arg(long, value_name = "SECONDS", help_heading = "Time", default_value_t = LEEWAY_SECONDS_DEFAULT,
          value_parser = clap::value_parser!(i64).range(0..=LEEWAY_SECONDS_MAX))]
    leeway: i64,
    /// The time to verify at, in seconds since the epoch, instead of the present
    #[arg(
        long,
        value_name = "UNIX",
        help_heading = "Time",
        allow_negative_numbers = true
    )]
    now: Option<i64>,
    /// The token; without it, or with '-', one token a line is read from standard input
    token: Option<String>,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Outcome, Failure> {
    let (records, policy) = records(args)?;
    let judge = Judge {
        records: Arc::new(records),
        policy,
        clock: args.now.map_or_else(Clock::system, Clock::fixed),
    };
    let tally = match args.token.as_deref() {
        Some(token) if token != "-" => stream::run_one(&judge, token.as_bytes(), io::stdout())?,
        _ => {
            let progress = progress::Bar::over_stdin();
            let tally = stream::run(&judge, io::stdin().lock(), io::stdout(), |bytes, tally| {
                progress.advance(bytes, tally);
            })?;
            progress.finish(&tally);
            tally
        }
    };
    Ok(Outcome::of(tally.all_valid()))
}

fn records(args: &Args) -> Result<(Records, PolicyId), Failure> {
    match &args.config {
        Some(path) => Ok((configured::records(path)?, PolicyId::DEFAULT)),
        None => trust::from_flags(args),
    }
}

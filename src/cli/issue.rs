//! `jotd issue`: mints tokens with a private key or a secret from a file, with a key ring, or in a hardware module.

use super::encryption::Encryption;
use super::exit::{Failure, Outcome};
use super::keys::{ENVIRONMENT, SealArgs};
use super::{algorithms, files, keyfiles};
use indicatif::{ProgressBar, ProgressDrawTarget};
use jotd::clock::Clock;
use jotd::issuer::{Claims, ProtectedHeader, SigningError, SigningKey};
use jotd::jose::{Algorithm, Jwk};
use jotd::vault::{KeyRing, pkcs11_signing_key};
use serde_json::{Map, Value};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Fewer tokens than this are made before a progress bar could be read.
const PROGRESS_TOKENS_MIN: u64 = 1000;

/// Mint tokens
///
/// Signs tokens with a private key or an HMAC secret, or with the key of a ring whose turn it is, and prints one a
/// line. Each has an iat, an nbf, an exp
/// and a jti of its own unless told otherwise.
///
/// A key file that other users can read is refused: whoever reads it can mint tokens too.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  A token for five minutes:
    jotd keys generate --alg ES256 --out private.jwk --public-out jwks.json
    jotd issue --key private.jwk --issuer https://idp.example --audience payments --subject alice

  With the key of a ring that signs now:
    jotd issue --keys /var/lib/idp/keys --issuer https://idp.example --audience payments

  A hundred thousand, to see how fast they verify:
    jotd issue --key private.jwk --issuer https://idp.example --audience payments --count 100000 |
      jotd verify --jwks jwks.json --issuer https://idp.example --audience payments > /dev/null

  One that only the owner of a key can read:
    jotd issue --key private.jwk --issuer https://idp.example --audience payments --encrypt their-jwks.json")]
pub(super) struct Args {
    /// Private key to sign with: a JWK, a JWK Set with a single private key, or PEM; or the RFC 7512 URI (pkcs11:…)
    /// of a key in a hardware module
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Key",
        required_unless_present_any = ["secret_file", "keys"],
        conflicts_with_all = ["secret_file", "keys"]
    )]
    key: Option<PathBuf>,
    /// Folder of a key ring to sign with
    #[arg(long, value_name = "DIR", help_heading = "Key", conflicts_with_all = [
        "secret_file", "alg", "kid", "insecure_key_permissions",
    ])]
    keys: Option<PathBuf>,
    #[command(flatten, next_help_heading = "Key")]
    seal: SealArgs,
    /// HMAC secret to sign with
    #[arg(long, value_name = "FILE", help_heading = "Key")]
    secret_file: Option<PathBuf>,
    /// Algorithm, where the key does not name one and could serve several; HS256 for a secret file
    #[arg(long, value_name = "ALG", help_heading = "Key", value_parser = algorithms::parser())]
    alg: Option<Algorithm>,
    /// Key ID (kid) to write into the header instead of the key's own
    #[arg(long, value_name = "KID", help_heading = "Key")]
    kid: Option<String>,
    /// Use a key file even if other users can read it
    #[arg(long, help_heading = "Key")]
    insecure_key_permissions: bool,
    /// Issuer (iss)
    #[arg(long, value_name = "ISS", help_heading = "Claims")]
    issuer: Option<String>,
    /// Subject (sub)
    #[arg(long, value_name = "SUB", help_heading = "Claims")]
    subject: Option<String>,
    /// Audience (aud); may be repeated
    #[arg(long, value_name = "AUD", help_heading = "Claims")]
    audience: Vec<String>,
    /// Seconds from now until the token expires (exp); negative for one that has expired
    #[arg(
        long,
        value_name = "SECONDS",
        help_heading = "Claims",
        default_value_t = 300,
        allow_negative_numbers = true
    )]
    ttl: i64,
    /// Leave exp out: the token never expires
    #[arg(long, help_heading = "Claims", conflicts_with = "ttl")]
    no_expiry: bool,
    /// Seconds from now until the token becomes valid (nbf)
    #[arg(
        long,
        value_name = "SECONDS",
        help_heading = "Claims",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    not_before: i64,
    /// Token ID (jti) instead of a random one
    #[arg(
        long,
        value_name = "JTI",
        help_heading = "Claims",
        conflicts_with = "count"
    )]
    jti: Option<String>,
    /// Token type (typ) of the header
    #[arg(
        long,
        value_name = "TYP",
        help_heading = "Claims",
        default_value = "JWT"
    )]
    typ: String,
    /// Further claim with a string as its value; may be repeated
    #[arg(long, value_name = "NAME=TEXT", help_heading = "Claims", value_parser = text_claim)]
    claim: Vec<(String, Value)>,
    /// Further claim with any JSON as its value; may be repeated
    #[arg(long, value_name = "NAME=JSON", help_heading = "Claims", value_parser = json_claim)]
    claim_json: Vec<(String, Value)>,
    #[command(flatten)]
    encryption: Encryption,
    /// How many tokens, each with its own jti
    #[arg(long, value_name = "N", default_value_t = 1)]
    count: u64,
    /// The time of issue, in seconds since the epoch, instead of the present
    #[arg(long, value_name = "UNIX", allow_negative_numbers = true)]
    now: Option<i64>,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Outcome, Failure> {
    let recipient = args.encryption.recipient(args.insecure_key_permissions)?;
    let clock = args.now.map_or_else(Clock::system, Clock::fixed);
    let mut claims = claims(args)?;
    let key = match &args.keys {
        Some(folder) => ring_key(args, folder, &mut claims, clock.now().latest)?,
        None => signing_key(args)?,
    };
    let progress = progress_bar(args.count);
    let mut output = BufWriter::new(io::stdout().lock());
    for _ in 0..args.count {
        let mut token = key.mint(&claims, clock.now().latest)?;
        if let Some(recipient) = &recipient {
            token = recipient.encrypt(&token)?;
        }
        writeln!(output, "{token}").map_err(|error| Failure::output(&error))?;
        progress.inc(1);
    }
    output.flush().map_err(|error| Failure::output(&error))?;
    progress.finish_and_clear();
    Ok(Outcome::Done)
}

/// The key of a ring whose turn it is. A token must not outlive what the ring promised: its key would be gone.
fn ring_key(
    args: &Args,
    folder: &Path,
    claims: &mut Claims,
    now: i64,
) -> Result<SigningKey, Failure> {
    let ring = KeyRing::open(folder)?;
    let lasting = ring.ring().terms().lifetime_seconds_max;
    match claims.lifetime_seconds {
        Some(seconds) if seconds <= lasting => {}
        _ => {
            return Err(Failure::usage(format!(
                "the ring's keys sign tokens of at most {lasting} s, and are removed after that; give a --ttl \
                 within it, or make a ring with another --ttl-max"
            )));
        }
    }
    let (longest, short) = ring.ring().lifetime_seconds_max(now);
    if let (Some(short), Some(seconds)) = (short, &mut claims.lifetime_seconds)
        && *seconds > longest
    {
        eprintln!(
            "warning: a key of the ring was revoked, so tokens live {longest} s instead of {seconds} s, for \
             another {} s",
            short.until - now
        );
        *seconds = longest;
    }
    Ok(ring.signing_key(now, &args.seal.opener()?)?)
}

fn signing_key(args: &Args) -> Result<SigningKey, Failure> {
    if args.seal.is_given() {
        return Err(Failure::usage(
            "--kek and --passphrase open the keys of a ring; give --keys as well",
        ));
    }
    if let Some(uri) = args.key.as_ref().and_then(|key| key.to_str())
        && uri.starts_with("pkcs11:")
    {
        let key = pkcs11_signing_key(&uri.parse()?, args.alg, ENVIRONMENT)?;
        return match &args.kid {
            Some(kid) => Ok(key.with_kid(Some(kid))?),
            None => Ok(key),
        };
    }
    let path = match (&args.key, &args.secret_file) {
        (Some(path), _) | (None, Some(path)) => path,
        (None, None) => return Err(Failure::usage("give --key, --keys or --secret-file")),
    };
    if !args.insecure_key_permissions {
        files::require_private(path)?;
    }
    let (jwk, algorithm) = if args.key.is_some() {
        (keyfiles::read_private_key(path)?, args.alg)
    } else {
        let secret = Jwk::from_secret(&keyfiles::read_secret(path)?);
        (secret, Some(args.alg.unwrap_or(Algorithm::Hs256)))
    };
    let named = jwk.kid.is_some() || args.key.is_some();
    let key = match algorithm {
        Some(algorithm) => SigningKey::new(algorithm, &jwk),
        None => SigningKey::from_jwk(&jwk),
    };
    let key = key.map_err(|error| match error {
        SigningError::AlgorithmMissing => Failure::file(path, format_args!("{error} with --alg")),
        error => Failure::file(path, error),
    })?;
    match &args.kid {
        Some(kid) => Ok(key.with_kid(Some(kid))?),
        // A raw secret has no name, and a random one would only mislead whoever verifies.
        None if !named => Ok(key.with_kid(None)?),
        None => Ok(key),
    }
}

fn claims(args: &Args) -> Result<Claims, Failure> {
    let mut extra = Map::new();
    for (name, value) in args.claim.iter().chain(&args.claim_json) {
        if extra.insert(name.clone(), value.clone()).is_some() {
            return Err(Failure::usage(format!("the claim {name} is given twice")));
        }
    }
    Ok(Claims {
        header: ProtectedHeader::typ(&args.typ),
        issuer: args.issuer.clone(),
        subject: args.subject.clone(),
        audiences: args.audience.clone(),
        lifetime_seconds: (!args.no_expiry).then_some(args.ttl),
        valid_after_seconds: Some(args.not_before),
        id: args.jti.clone(),
        extra,
    })
}

fn text_claim(argument: &str) -> Result<(String, Value), String> {
    let (name, text) = split_claim(argument)?;
    Ok((name, Value::String(text.to_owned())))
}

fn json_claim(argument: &str) -> Result<(String, Value), String> {
    let (name, json) = split_claim(argument)?;
    let value = serde_json::from_str(json).map_err(|error| format!("not JSON: {error}"))?;
    Ok((name, value))
}

fn split_claim(argument: &str) -> Result<(String, &str), String> {
    match argument.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value)),
        _ => Err("expected a name, '=' and a value".to_owned()),
    }
}

fn progress_bar(count: u64) -> ProgressBar {
    let watched = io::stderr().is_terminal() && !io::stdout().is_terminal();
    if watched && count >= PROGRESS_TOKENS_MIN {
        ProgressBar::new(count)
    } else {
        ProgressBar::with_draw_target(Some(count), ProgressDrawTarget::hidden())
    }
}

//! `jotd keys generate`: a fresh key, in a file that only its owner can read, or as the first of a ring.

use super::ring::{SealArgs, spec};
use crate::cli::exit::{Failure, Outcome};
use crate::cli::{algorithms, files, output};
use jotd::clock::Clock;
use jotd::issuer::ring::{
    LIFETIME_SECONDS_DEFAULT, PUBLISH_SECONDS_DEFAULT, RING_SECONDS_MAX, Terms,
};
use jotd::issuer::{SigningKey, danger};
use jotd::jose::Algorithm;
use jotd::limits::JWKS_MAX_AGE_SECONDS;
use jotd::vault::LockedRing;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Generate a key to sign with
///
/// Without --out the private key is printed. With it, the key is written to a new file that only its owner
/// may read; a file that exists is never overwritten.
///
/// With --keys, a key ring is made: a folder with a manifest that verifiers read (keys_dir in the configuration), a
/// file for each private key, and what `jotd keys rotate` needs to know.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  A key pair, and the JWK Set to publish:
    jotd keys generate --alg ES256 --out private.jwk --public-out jwks.json

  A key ring, whose private keys are sealed under a credential of the service:
    jotd keys generate --alg ES256 --keys /var/lib/idp/keys --kek credential:kek

  A key ring in a hardware module:
    jotd keys generate --alg ES256 --keys /var/lib/idp/keys \
      --pkcs11 'pkcs11:token=idp?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=credential:pin'

  An HMAC secret as a text file, for secret_file in the configuration:
    jotd keys generate --alg HS256 --format secret --out hmac.secret")]
pub(super) struct Args {
    /// Algorithm that the key is for, and the only one it may be used with
    #[arg(long, value_name = "ALG", value_parser = algorithms::parser())]
    alg: Algorithm,
    /// Key ID (kid) instead of the key's thumbprint
    #[arg(long, value_name = "KID")]
    kid: Option<String>,
    /// Size of an RSA key: 2048, 3072 or 4096
    #[arg(long, value_name = "BITS")]
    bits: Option<usize>,
    /// How the private key is written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// New file for the private key
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// New file for the public half, as a JWK Set
    #[arg(long, value_name = "FILE")]
    public_out: Option<PathBuf>,
    #[command(flatten, next_help_heading = "Key ring")]
    ring: RingArgs,
}

#[derive(Debug, clap::Args)]
struct RingArgs {
    /// Folder of a new key ring
    #[arg(long, value_name = "DIR", conflicts_with_all = ["format", "out", "public_out"])]
    keys: Option<PathBuf>,
    /// How long a new key is published before it signs, in seconds: at least as long as any verifier keeps a set
    #[arg(long, value_name = "SECONDS", requires = "keys", default_value_t = PUBLISH_SECONDS_DEFAULT,
          value_parser = clap::value_parser!(i64).range(0..=RING_SECONDS_MAX))]
    publish_seconds: i64,
    /// Longest life of a token that the ring's keys sign, in seconds
    #[arg(long, value_name = "SECONDS", requires = "keys", default_value_t = LIFETIME_SECONDS_DEFAULT,
          value_parser = clap::value_parser!(i64).range(1..=RING_SECONDS_MAX))]
    ttl_max: i64,
    /// Make and keep the keys in a hardware module: the RFC 7512 URI of its token
    #[arg(long, value_name = "URI", requires = "keys", conflicts_with_all = ["kek", "passphrase"])]
    pkcs11: Option<String>,
    #[command(flatten)]
    seal: SealArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// JSON Web Key, with kid and alg
    #[default]
    Jwk,
    /// PKCS#8 in PEM, which names neither
    Pem,
    /// An HMAC secret as one line of text
    Secret,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Outcome, Failure> {
    if let Some(folder) = &args.ring.keys {
        return ring(args, folder);
    }
    if args.ring.seal.is_given() {
        return Err(Failure::usage(
            "--kek and --passphrase seal the keys of a ring; give --keys as well",
        ));
    }
    let is_secret = args.alg.scheme().is_hmac();
    match args.format {
        Format::Pem if is_secret => return Err(Failure::usage("a secret has no PEM form")),
        Format::Secret if !is_secret => {
            return Err(Failure::usage(format!(
                "{} signs with a key pair, not with a secret",
                args.alg
            )));
        }
        _ => {}
    }
    if is_secret && args.public_out.is_some() {
        return Err(Failure::usage("--public-out: a secret has no public half"));
    }
    // Found out before the private key is written, which could not be written again.
    if let Some(path) = args.public_out.as_ref().filter(|path| path.exists()) {
        return Err(Failure::file(path, "exists already, and is left as it is"));
    }
    let mut key = SigningKey::generate(args.alg, args.bits)?;
    if let Some(kid) = &args.kid {
        key = key.with_kid(Some(kid))?;
    }
    let private = private_text(&key, args.format)?;
    match &args.out {
        Some(path) => {
            files::write_new(path, private.as_bytes(), 0o600)?;
            eprintln!("{}: the private key; keep it so", path.display());
        }
        None => output::print(&private)?,
    }
    if let (Some(path), Some(public)) = (&args.public_out, key.public_jwk()) {
        let set = format!("{{\"keys\":[{public}]}}\n");
        files::write_new(path, set.as_bytes(), 0o644)?;
        eprintln!("{}: its public half; publish it", path.display());
    }
    Ok(Outcome::Done)
}

fn ring(args: &Args, folder: &Path) -> Result<Outcome, Failure> {
    let terms = Terms {
        publish_seconds: args.ring.publish_seconds,
        lifetime_seconds_max: args.ring.ttl_max,
    };
    if terms.publish_seconds < JWKS_MAX_AGE_SECONDS {
        eprintln!(
            "warning: verifiers may keep a set that jotd publishes for {JWKS_MAX_AGE_SECONDS} s, and would not know a \
             new key that signs sooner"
        );
    }
    let spec = spec(Some(args.alg), args.bits, &args.kid, &args.ring.pkcs11)?;
    let opener = args.ring.seal.opener()?;
    let now = Clock::system().now().latest;
    let ring = LockedRing::create(folder, terms, &spec, &opener, now)?;
    if let Some(key) = ring.ring().signing(now) {
        eprintln!("{}: signs from now on", key.kid().escape_debug());
    }
    eprintln!(
        "{}: the ring; name it in the configuration as keys_dir, and sign with: jotd issue --keys",
        folder.display()
    );
    Ok(Outcome::Done)
}

fn private_text(key: &SigningKey, format: Format) -> Result<Zeroizing<String>, Failure> {
    let text = match format {
        Format::Jwk => danger::to_private_jwk(key)?,
        Format::Pem => danger::to_private_pem(key)?
            .ok_or_else(|| Failure::usage("a secret has no PEM form"))?,
        Format::Secret => secret_text(&danger::to_private_jwk(key)?)?,
    };
    let mut line = Zeroizing::new(String::with_capacity(text.len() + 1));
    line.push_str(text.trim_end());
    line.push('\n');
    Ok(line)
}

/// The secret's base64url text. The text itself is the secret from now on: whoever reads the file sees the
/// same bytes, and there is no encoding to agree on.
fn secret_text(jwk: &str) -> Result<Zeroizing<String>, Failure> {
    #[derive(serde::Deserialize)]
    struct Oct<'a> {
        k: &'a str,
    }
    let oct: Oct<'_> = serde_json::from_str(jwk)
        .map_err(|_| Failure::fault("the secret's JWK could not be read back"))?;
    Ok(Zeroizing::new(oct.k.to_owned()))
}

//! `jotd keys generate`: a fresh key, in a file that only its owner can read.

use crate::cli::exit::{Failure, Outcome};
use crate::cli::{algorithms, files, output};
use jotd::issuer::{SigningKey, danger};
use jotd::jose::Algorithm;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Generate a key to sign with
///
/// Without --out the private key is printed. With it, the key is written to a new file that only its owner
/// may read; a file that exists is never overwritten.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  A key pair, and the JWK Set to publish:
    jotd keys generate --alg ES256 --out private.jwk --public-out jwks.json

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

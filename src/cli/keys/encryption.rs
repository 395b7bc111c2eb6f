//! `jotd keys generate-encryption`: a fresh key to decrypt with, in a file that only its owner can read.

use crate::cli::exit::{Failure, Outcome};
use crate::cli::{algorithms, files, output};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use jotd::crypto::encryption::AgreementCurve;
use jotd::issuer::generate_encryption_key;
use jotd::jose::{ContentEncryption, KeyManagement, danger};
use std::path::PathBuf;

/// Generate a key that tokens are encrypted to
///
/// Without --out the private key is printed. With it, the key is written to a new file that only its owner may read; a
/// file that exists is never overwritten.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  A key pair to decrypt with, and the JWK Set for those who encrypt:
    jotd keys generate-encryption --alg ECDH-ES+A256KW --out decrypt.jwk --public-out encrypt.json

  A key to share with the one who encrypts:
    jotd keys generate-encryption --alg A256KW --out shared.jwk")]
pub(super) struct Args {
    /// Key management algorithm that the key is for, and the only one it may be used with
    #[arg(long, value_name = "ALG", value_parser = algorithms::management_parser())]
    alg: KeyManagement,
    /// Curve to agree on, X25519 without it
    #[arg(long, value_name = "CRV", value_parser = curve_parser())]
    curve: Option<AgreementCurve>,
    /// Size of an RSA key: 2048, 3072 or 4096
    #[arg(long, value_name = "BITS")]
    bits: Option<usize>,
    /// Content encryption that a key for dir does itself; A256GCM without it
    #[arg(long, value_name = "ENC", value_parser = algorithms::encoding_parser())]
    enc: Option<ContentEncryption>,
    /// New file for the private key
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// New file for the public half, as a JWK Set
    #[arg(long, value_name = "FILE")]
    public_out: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Outcome, Failure> {
    let encoding = match args.alg {
        KeyManagement::Direct => Some(args.enc.unwrap_or(ContentEncryption::A256Gcm)),
        _ => args.enc,
    };
    let key = generate_encryption_key(args.alg, args.bits, args.curve, encoding)?;
    let public = key.to_public_json();
    if public.is_none() && args.public_out.is_some() {
        return Err(Failure::usage(
            "--public-out: a shared key has no public half",
        ));
    }
    // Found out before the private key is written, which could not be written again.
    if let Some(path) = args.public_out.as_ref().filter(|path| path.exists()) {
        return Err(Failure::file(path, "exists already, and is left as it is"));
    }
    let mut private = danger::to_private_json(&key)
        .ok_or_else(|| Failure::fault("the key has no private half"))?;
    private.push('\n');
    match &args.out {
        Some(path) => {
            files::write_new(path, private.as_bytes(), 0o600)?;
            eprintln!("{}: the private key; keep it so", path.display());
        }
        None => output::print(&private)?,
    }
    if let (Some(path), Some(public)) = (&args.public_out, public) {
        let set = format!("{{\"keys\":[{public}]}}\n");
        files::write_new(path, set.as_bytes(), 0o644)?;
        eprintln!("{}: its public half; publish it", path.display());
    }
    Ok(Outcome::Done)
}

fn curve_parser() -> impl TypedValueParser<Value = AgreementCurve> {
    PossibleValuesParser::new(AgreementCurve::ALL.map(AgreementCurve::name)).map(|name| {
        AgreementCurve::ALL
            .into_iter()
            .find(|curve| curve.name() == name)
            .expect("clap lets only the names above through")
    })
}

//! What the commands on key rings share: how private keys are opened, and how what happened is told.

use crate::cli::algorithms;
use crate::cli::exit::Failure;
use jotd::issuer::ring::{RING_SECONDS_MAX, Sealing, ShortLives};
use jotd::jose::Algorithm;
use jotd::vault::{Environment, KeySpec, Opener, SecretSource};

/// The environment, which the library does not read by itself.
pub(in crate::cli) const ENVIRONMENT: Environment<'static> = &|name| std::env::var_os(name);

/// What private keys are sealed under.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct SealArgs {
    /// Where the key is (256 bits, raw or base64url) that private keys are sealed under: a file, env:NAME, or
    /// credential:NAME for one that systemd passes
    #[arg(long, value_name = "SOURCE", conflicts_with = "passphrase")]
    kek: Option<SecretSource>,
    /// Where the passphrase is that private keys are sealed under, in the same way
    #[arg(long, value_name = "SOURCE")]
    passphrase: Option<SecretSource>,
}

/// What a new key is to be.
#[derive(Debug, clap::Args)]
pub(super) struct NewKeyArgs {
    /// Algorithm of the new key instead of the old one's
    #[arg(long, value_name = "ALG", value_parser = algorithms::parser())]
    alg: Option<Algorithm>,
    /// Key ID (kid) of the new key instead of its thumbprint
    #[arg(long, value_name = "KID")]
    kid: Option<String>,
    /// Size of a new RSA key: 2048, 3072 or 4096
    #[arg(long, value_name = "BITS")]
    bits: Option<usize>,
    /// Make the new key in a hardware module: the RFC 7512 URI of its token
    #[arg(long, value_name = "URI")]
    pkcs11: Option<String>,
}

/// How long tokens live after an emergency.
#[derive(Debug, clap::Args)]
pub(super) struct ShortArgs {
    /// Longest life of tokens for a while after a key was revoked, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300,
          value_parser = clap::value_parser!(i64).range(1..=RING_SECONDS_MAX))]
    short_ttl: i64,
    /// How long that while is, in seconds; 0 for none
    #[arg(long, value_name = "SECONDS", default_value_t = 3600,
          value_parser = clap::value_parser!(i64).range(0..=RING_SECONDS_MAX))]
    short_for: i64,
}

impl SealArgs {
    /// Whether anything is.
    pub(in crate::cli) fn is_given(&self) -> bool {
        self.kek.is_some() || self.passphrase.is_some()
    }

    /// What opens private keys.
    pub(in crate::cli) fn opener(&self) -> Result<Opener<'static>, Failure> {
        let sealing = match (&self.kek, &self.passphrase) {
            (Some(kek), _) => Some(Sealing::kek(&kek.read(ENVIRONMENT)?)?),
            (None, Some(passphrase)) => Some(Sealing::Passphrase(passphrase.read(ENVIRONMENT)?)),
            (None, None) => None,
        };
        Ok(Opener {
            sealing,
            environment: ENVIRONMENT,
        })
    }
}

impl NewKeyArgs {
    pub(super) fn spec(&self) -> Result<KeySpec, Failure> {
        spec(self.alg, self.bits, &self.kid, &self.pkcs11)
    }
}

/// A new key, of what was given.
pub(super) fn spec(
    algorithm: Option<Algorithm>,
    bits: Option<usize>,
    kid: &Option<String>,
    pkcs11: &Option<String>,
) -> Result<KeySpec, Failure> {
    Ok(KeySpec {
        algorithm,
        bits,
        kid: kid.clone(),
        pkcs11: pkcs11.as_deref().map(str::parse).transpose()?,
    })
}

impl ShortArgs {
    pub(super) fn from(&self, now: i64) -> Option<ShortLives> {
        (self.short_for > 0).then(|| ShortLives {
            seconds: self.short_ttl,
            until: now.saturating_add(self.short_for),
        })
    }
}

/// A moment as people think of it: how far away.
pub(super) fn relative(moment: i64, now: i64) -> String {
    let distance = moment.saturating_sub(now);
    let seconds = distance.unsigned_abs();
    let (count, unit) = match seconds {
        0 => return "now".to_owned(),
        1..120 => (seconds, "s"),
        120..7_200 => (seconds / 60, "min"),
        7_200..172_800 => (seconds / 3_600, "h"),
        _ => (seconds / 86_400, "d"),
    };
    if distance > 0 {
        format!("in {count} {unit}")
    } else {
        format!("{count} {unit} ago")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_by_its_distance() {
        for (moment, told) in [
            (1000, "now"),
            (1001, "in 1 s"),
            (881, "119 s ago"),
            (1600, "in 10 min"),
            (8200, "in 2 h"),
            (1000 + 259_200, "in 3 d"),
        ] {
            assert_eq!(relative(moment, 1000), told);
        }
    }
}

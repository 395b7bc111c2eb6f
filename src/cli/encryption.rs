//! Whom `jotd issue` encrypts its tokens to.

use super::exit::Failure;
use super::{algorithms, files, keyfiles};
use jotd::issuer::Recipient;
use jotd::jose::{ContentEncryption, Jwk, KeyManagement, KeyUse};
use std::path::{Path, PathBuf};

/// Flags that say to whom, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Encryption {
    /// Encrypt each token to the key in this file, after signing it: a JWK Set, a JWK or PEM, or a shared key
    #[arg(long, value_name = "FILE", help_heading = "Encryption")]
    encrypt: Option<PathBuf>,
    /// The key in the file to encrypt to, by its kid, where there are several
    #[arg(
        long,
        value_name = "KID",
        help_heading = "Encryption",
        requires = "encrypt"
    )]
    encrypt_kid: Option<String>,
    /// Key management algorithm; without it the one that the key names, else the usual one of its type
    #[arg(long, value_name = "ALG", help_heading = "Encryption", requires = "encrypt",
          value_parser = algorithms::management_parser())]
    jwe_algorithm: Option<KeyManagement>,
    /// Content encryption; without it A256GCM, or what a key for dir is for
    #[arg(long, value_name = "ENC", help_heading = "Encryption", requires = "encrypt",
          value_parser = algorithms::encoding_parser())]
    jwe_encoding: Option<ContentEncryption>,
}

impl Encryption {
    /// The recipient, where tokens shall be encrypted.
    pub(super) fn recipient(
        &self,
        insecure_permissions: bool,
    ) -> Result<Option<Recipient>, Failure> {
        let Some(path) = &self.encrypt else {
            return Ok(None);
        };
        let key = self.key(path)?;
        if key.is_private() && !insecure_permissions {
            files::require_private(path)?;
        }
        Recipient::new(&key, self.jwe_algorithm, self.jwe_encoding)
            .map(Some)
            .map_err(|error| Failure::file(path, error))
    }

    /// The one key that is meant: of a set that has keys for other things too, the one that says it is for encryption.
    fn key(&self, path: &Path) -> Result<Jwk, Failure> {
        let is_named = |key: &Jwk| match &self.encrypt_kid {
            Some(kid) => key.kid.as_deref() == Some(kid),
            None => true,
        };
        let mut keys = keyfiles::read_keys(path)?.keys;
        keys.retain(|key| key.may_encrypt && is_named(key) && !key.managements().is_empty());
        if keys.iter().any(|key| key.key_use == KeyUse::Other) {
            keys.retain(|key| key.key_use == KeyUse::Other);
        }
        match keys.len() {
            0 => Err(Failure::file(path, "there is no key to encrypt to in it")),
            1 => Ok(keys.remove(0)),
            _ => Err(Failure::file(
                path,
                "there are several keys to encrypt to in it; pick one with --encrypt-kid",
            )),
        }
    }
}

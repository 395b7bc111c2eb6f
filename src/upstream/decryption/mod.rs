//! The private keys that tokens may be encrypted to: read from files that others cannot read, again whenever these
//! change. One key that cannot be used fails the whole, and what was good before stays.
#![forbid(unsafe_code)]

mod follow;

pub(super) use follow::Followers;

use super::source::{FileError, FileFault, at, read_bounded};
use crate::jose::{ContentEncryption, Jwk, JwkSet, KeyManagement};
use crate::keys::{Decryption, DecryptionSlot};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files with the keys that an issuer's tokens may be encrypted to, and on which terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecryptionFiles {
    /// A JWK Set, a JWK or PEM each.
    pub paths: Vec<PathBuf>,
    /// The ways of managing keys that are allowed.
    pub algorithms: Vec<KeyManagement>,
    /// The content encryptions that are allowed.
    pub encodings: Vec<ContentEncryption>,
    /// Longest token that may come out of a compressed content, in bytes; 0 refuses compressed ones.
    pub zip_bytes_max: usize,
}

/// Whose tokens may be encrypted, and where the keys are.
#[derive(Clone, Debug)]
pub struct DecryptionFeed {
    /// The issuer's configured name.
    pub issuer: Arc<str>,
    /// The files.
    pub files: DecryptionFiles,
}

impl DecryptionFiles {
    /// Reads them all.
    ///
    /// # Errors
    /// Why each file that cannot be used cannot: its place in the list, and a sentence.
    pub fn read(&self) -> Result<Decryption, Vec<(usize, String)>> {
        let mut keys = Vec::new();
        let mut faults = Vec::new();
        for (index, path) in self.paths.iter().enumerate() {
            match self.read_one(path) {
                Ok(slots) => keys.extend(slots),
                Err(why) => faults.extend(why.into_iter().map(|why| (index, why))),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Decryption {
            keys,
            encodings: self.encodings.clone(),
            zip_bytes_max: self.zip_bytes_max,
        })
    }

    fn read_one(&self, path: &Path) -> Result<Vec<Arc<DecryptionSlot>>, Vec<String>> {
        let jwks = read_private_keys(path).map_err(|error| vec![error.to_string()])?;
        let (pinned, skipped) =
            Decryption::pin(&jwks, &self.algorithms, &self.encodings, self.zip_bytes_max);
        if skipped.is_empty() {
            return Ok(pinned.keys);
        }
        let path = path.display();
        let why = skipped.iter();
        Err(why
            .map(|key| format!("{path}: key {} cannot be used: {}", key.index, key.why))
            .collect())
    }
}

/// The private and shared keys of a file.
fn read_private_keys(path: &Path) -> Result<Vec<Jwk>, FileError> {
    at(path, || {
        let (bytes, mode) = read_bounded(path)?;
        if mode & 0o007 != 0 {
            return Err(FileFault::Exposed {
                path: path.to_owned(),
                mode,
            });
        }
        let keys = parse(&bytes).map_err(FileFault::Malformed)?;
        if keys.is_empty() {
            let message = "holds no private key to decrypt with";
            return Err(FileFault::Malformed(message.to_owned()));
        }
        Ok(keys)
    })
}

/// One key that cannot be read fails the whole: it is there to be used.
fn parse(bytes: &[u8]) -> Result<Vec<Jwk>, String> {
    if bytes.trim_ascii_start().starts_with(b"-----BEGIN") {
        let text = std::str::from_utf8(bytes).map_err(|_| "is not PEM: it is not even text")?;
        let key = Jwk::from_pem(text).map_err(|error| error.to_string())?;
        return Ok(if key.is_private() {
            vec![key]
        } else {
            Vec::new()
        });
    }
    let mut keys = match JwkSet::parse(bytes) {
        Ok(set) => match set.skipped.first() {
            Some(skipped) => return Err(format!("key {}: {}", skipped.index, skipped.why)),
            None => set.keys,
        },
        Err(_) => vec![Jwk::parse(bytes).map_err(|error| format!("is no JWK: {error}"))?],
    };
    keys.retain(Jwk::is_private);
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const SHARED: &str = r#"{"kty":"oct","kid":"s","use":"enc","k":"AAAAAAAAAAAAAAAAAAAAAA"}"#;

    fn read(content: &str, mode: u32) -> Result<Vec<Jwk>, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("key");
        std::fs::write(&path, content).expect("writable");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("ours");
        read_private_keys(&path).map_err(|error| error.cause.to_string())
    }

    #[test]
    fn a_key_a_set_and_pem_are_read_and_public_keys_left_out() {
        assert_eq!(read(SHARED, 0o600).expect("a JWK").len(), 1);
        let set = format!(
            r#"{{"keys":[{SHARED},{{"kty":"OKP","crv":"X25519","x":"{}"}}]}}"#,
            "A".repeat(43)
        );
        assert_eq!(read(&set, 0o640).expect("a set").len(), 1);
        let pem = include_str!("../../jose/vectors/rsa_pkcs8.pem");
        assert_eq!(read(pem, 0o600).expect("PEM").len(), 1);
    }

    #[test]
    fn a_file_that_others_read_or_that_has_nothing_to_decrypt_with_is_refused() {
        let exposed = read(SHARED, 0o604).expect_err("others read it");
        assert!(exposed.contains("holds a secret"), "{exposed}");
        let public = include_str!("../../jose/vectors/rsa_spki.pem");
        for content in [public, r#"{"keys":[]}"#] {
            let fault = read(content, 0o600).expect_err("nothing private");
            assert!(fault.contains("no private key"), "{fault}");
        }
        let broken = format!(r#"{{"keys":[{SHARED},{{"kty":"oct"}}]}}"#);
        let fault = read(&broken, 0o600).expect_err("a broken key");
        assert_eq!(fault, "key 1: k is missing");
    }
}

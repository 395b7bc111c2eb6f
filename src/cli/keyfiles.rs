//! Key files as users have them: a JWK Set, a single JWK, PEM, or a raw HMAC secret.

use super::exit::Failure;
use super::files;
use jotd::jose::{Jwk, JwkSet, KeyUse, Skipped};
use jotd::limits::JWKS_BYTES_MAX;
use std::path::Path;
use zeroize::Zeroizing;

/// Longest secret file. No HMAC gains from a secret longer than its hash's block.
const SECRET_BYTES_MAX: usize = 4096;

/// Reads the keys of a file: a JWK Set, or for convenience a single JWK or a PEM key.
pub(super) fn read_keys(path: &Path) -> Result<JwkSet, Failure> {
    let bytes = files::read(path, JWKS_BYTES_MAX)?;
    if bytes.trim_ascii_start().starts_with(b"-----BEGIN") {
        let pem = std::str::from_utf8(&bytes).map_err(|_| Failure::file(path, "not text"))?;
        let key = Jwk::from_pem(pem).map_err(|error| Failure::file(path, error))?;
        return Ok(only(key));
    }
    match JwkSet::parse(&bytes) {
        Ok(set) => Ok(set),
        Err(not_a_set) => Jwk::parse(&bytes)
            .map(only)
            .map_err(|_| Failure::file(path, format_args!("not a JWK Set: {not_a_set}"))),
    }
}

/// Reads the one private key of a file.
pub(super) fn read_private_key(path: &Path) -> Result<Jwk, Failure> {
    let set = read_keys(path)?;
    // A key that says it is for encryption signs nothing.
    let signs = |key: &Jwk| !(key.key_use == KeyUse::Other && key.may_encrypt);
    let mut private = set
        .keys
        .into_iter()
        .filter(|key| key.is_private() && signs(key));
    match (private.next(), private.next()) {
        (Some(key), None) => Ok(key),
        (None, _) => Err(Failure::file(path, "there is no private key in it")),
        (Some(_), Some(_)) => Err(Failure::file(
            path,
            "there are several private keys in it; give a file with the one to sign with",
        )),
    }
}

/// Reads an HMAC secret. A line break at the end of a text file is an editor's, not the secret's.
pub(super) fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut secret = files::read(path, SECRET_BYTES_MAX)?;
    let length = secret_length(&secret);
    secret.truncate(length);
    if secret.is_empty() {
        return Err(Failure::file(path, "the secret is empty"));
    }
    Ok(secret)
}

/// Tells the user of keys that cannot be used. They never spoil the others.
pub(super) fn warn_of_skipped(skipped: &[Skipped]) {
    for key in skipped {
        match &key.kid {
            // The kid is whatever the file says, so it is quoted with its control characters escaped.
            Some(kid) => eprintln!(
                "warning: key {} ({kid:?}) is skipped: {}",
                key.index, key.why
            ),
            None => eprintln!("warning: key {} is skipped: {}", key.index, key.why),
        }
    }
}

fn only(key: Jwk) -> JwkSet {
    JwkSet {
        keys: vec![key],
        skipped: Vec::new(),
    }
}

fn secret_length(bytes: &[u8]) -> usize {
    let text = bytes
        .strip_suffix(b"\r\n")
        .or_else(|| bytes.strip_suffix(b"\n"))
        .unwrap_or(bytes);
    if text
        .iter()
        .all(|byte| byte.is_ascii_graphic() || *byte == b' ')
    {
        text.len()
    } else {
        // Random bytes may well end in 0x0a.
        bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_secret_loses_its_line_break_and_a_binary_one_keeps_every_byte() {
        assert_eq!(secret_length(b"correct horse\n"), 13);
        assert_eq!(secret_length(b"correct horse\r\n"), 13);
        assert_eq!(secret_length(b"correct horse"), 13);
        assert_eq!(secret_length(b"\x00\xff\n"), 3);
    }
}

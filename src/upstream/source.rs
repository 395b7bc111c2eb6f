//! Where an issuer's keys come from, and reading those that lie in files.
#![forbid(unsafe_code)]

use crate::crypto::Scheme;
use crate::jose::{Jwk, JwkSet};
use crate::keys::{KeySet, Owner};
use crate::limits::JWKS_BYTES_MAX;
use http::Uri;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// Where an issuer's keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Fetched from the issuer, again and again.
    Remote(Remote),
    /// Read from files, again whenever they change.
    Files(Files),
    /// Written into the configuration: public keys only.
    Inline(Arc<str>),
}

/// How to fetch a JWK Set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// What to ask.
    pub endpoint: Endpoint,
    /// Time between fetches, where the answer does not ask for sooner.
    pub refresh: Duration,
    /// Time for one whole fetch.
    pub timeout: Duration,
    /// Authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether one redirect within the same origin is followed.
    pub allow_redirect: bool,
    /// Whether the host may resolve to an address that is not public.
    pub allow_private_address: bool,
    /// Whether the host may be loopback over plain HTTP.
    pub allow_insecure_loopback: bool,
}

/// What to ask for a JWK Set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The set itself.
    Jwks(Uri),
    /// The issuer's OpenID Connect discovery document, which names the set.
    Discovery {
        /// The issuer, byte for byte as the document must repeat it.
        issuer: Box<str>,
        /// The document's address.
        document: Uri,
    },
}

/// Files with keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Files {
    /// A JWK Set.
    Jwks(PathBuf),
    /// A public key or certificate each, in PEM.
    Pem(Vec<PathBuf>),
    /// An HMAC secret each.
    Secret(Vec<PathBuf>),
}

/// A key file that cannot be used. Never holds what is in it.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", path.display())]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub cause: FileFault,
}

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    /// The system would not let us read it.
    #[error("cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// It holds secrets, and others on this host can read it.
    #[error("holds a secret, but its mode {mode:04o} lets others read it; run: chmod o= {}", path.display())]
    Exposed {
        /// The file again, for the command.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is larger than any key set should be.
    #[error("is larger than {JWKS_BYTES_MAX} bytes")]
    TooLarge,
    /// It is not what it should be.
    #[error("{0}")]
    Malformed(String),
}

/// A key set in which nothing can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no key can be used{}", because(.0))]
pub struct NoUsableKey(
    /// Why each was left out.
    pub Vec<String>,
);

fn because(reasons: &[String]) -> String {
    match reasons {
        [] => ": the set is empty".to_owned(),
        reasons => format!(": {}", reasons.join("; ")),
    }
}

/// Pins a set's keys for their issuer, and refuses a set that leaves it without any.
///
/// # Errors
/// [`NoUsableKey`], with the reason each key was left out.
pub fn pin(
    owner: &Owner,
    jwks: &JwkSet,
    schemes: &[Scheme],
) -> Result<(KeySet, Vec<String>), NoUsableKey> {
    let (keys, skipped) = KeySet::pin(owner, jwks, schemes);
    let skipped: Vec<String> = skipped
        .iter()
        .map(|key| match &key.kid {
            Some(kid) => format!("key {} ({}): {}", key.index, kid.escape_debug(), key.why),
            None => format!("key {}: {}", key.index, key.why),
        })
        .collect();
    if keys.is_empty() {
        return Err(NoUsableKey(skipped));
    }
    Ok((keys, skipped))
}

impl Files {
    /// The files.
    #[must_use]
    pub fn paths(&self) -> &[PathBuf] {
        match self {
            Self::Jwks(path) => std::slice::from_ref(path),
            Self::Pem(paths) | Self::Secret(paths) => paths,
        }
    }

    /// Reads them all. One bad file fails the whole, for half of a rotation is not a rotation.
    ///
    /// # Errors
    /// [`FileError`] for the first that cannot be used.
    pub fn read(&self) -> Result<JwkSet, FileError> {
        match self {
            Self::Jwks(path) => with_path(path, read_jwks),
            Self::Pem(paths) => collect(paths, read_pem),
            Self::Secret(paths) => collect(paths, read_secret),
        }
    }
}

/// Reads an HMAC secret from a file that others cannot read. Where all else is printable text, one line
/// break at its end is the editor's and not the secret's.
///
/// # Errors
/// [`FileFault`] where it cannot be read or is exposed.
pub fn read_secret_bytes(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileFault> {
    let (mut bytes, mode) = read_bounded(path)?;
    if mode & 0o007 != 0 {
        return Err(FileFault::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    let end = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let end = end.strip_suffix(b"\r").unwrap_or(end);
    if end
        .iter()
        .all(|byte| byte.is_ascii_graphic() || *byte == b' ')
    {
        let length = end.len();
        bytes.truncate(length);
    }
    if bytes.is_empty() {
        return Err(FileFault::Malformed("is empty".to_owned()));
    }
    Ok(bytes)
}

fn read_secret(path: &Path) -> Result<Jwk, FileFault> {
    read_secret_bytes(path).map(|secret| Jwk::from_secret(&secret))
}

fn read_pem(path: &Path) -> Result<Jwk, FileFault> {
    let (bytes, _) = read_bounded(path)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| FileFault::Malformed("is not PEM: it is not even text".to_owned()))?;
    Jwk::from_pem(text).map_err(|error| FileFault::Malformed(error.to_string()))
}

fn read_jwks(path: &Path) -> Result<JwkSet, FileFault> {
    let (bytes, _) = read_bounded(path)?;
    JwkSet::parse(&bytes).map_err(|error| FileFault::Malformed(error.to_string()))
}

fn collect(
    paths: &[PathBuf],
    read: fn(&Path) -> Result<Jwk, FileFault>,
) -> Result<JwkSet, FileError> {
    let keys = paths
        .iter()
        .map(|path| with_path(path, read))
        .collect::<Result<_, _>>()?;
    Ok(JwkSet {
        keys,
        skipped: Vec::new(),
    })
}

fn with_path<T>(path: &Path, read: fn(&Path) -> Result<T, FileFault>) -> Result<T, FileError> {
    read(path).map_err(|cause| FileError {
        path: path.to_owned(),
        cause,
    })
}

/// Reads a file and its permission bits, both from one descriptor, so that they belong together.
fn read_bounded(path: &Path) -> Result<(Zeroizing<Vec<u8>>, u32), FileFault> {
    let file = File::open(path).map_err(FileFault::Unreadable)?;
    let metadata = file.metadata().map_err(FileFault::Unreadable)?;
    if !metadata.is_file() {
        return Err(FileFault::Malformed("is not a regular file".to_owned()));
    }
    // The room is reserved beforehand: a growing buffer would leave copies of a secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(JWKS_BYTES_MAX.min(
        usize::try_from(metadata.len()).map_or(JWKS_BYTES_MAX, |length| length.saturating_add(1)),
    )));
    let limit = u64::try_from(JWKS_BYTES_MAX + 1).unwrap_or(u64::MAX);
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(FileFault::Unreadable)?;
    if bytes.len() > JWKS_BYTES_MAX {
        return Err(FileFault::TooLarge);
    }
    Ok((bytes, metadata.permissions().mode() & 0o7777))
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jwks(uri) => uri.fmt(f),
            Self::Discovery { document, .. } => document.fmt(f),
        }
    }
}

//! Where an issuer's keys come from, and reading those that lie in files.
#![forbid(unsafe_code)]

use super::tenants::TenantKeys;
use super::{Given, ring, weak};
use crate::crypto::Scheme;
use crate::jose::{Jwk, JwkSet};
use crate::keys::{KeySet, Owner};
use crate::limits::JWKS_BYTES_MAX;
use http::Uri;
use sha2::{Digest, Sha256};
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
    /// Fetched for each tenant of a template by itself, once its tokens come.
    Tenants(TenantKeys),
    /// HMAC secrets out of the environment.
    Given(Given),
}

/// How to fetch a JWK Set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// What to ask.
    pub endpoint: Endpoint,
    /// Time between fetches, where the answer does not ask for sooner.
    pub refresh: Duration,
    /// Time between two fetches for the sake of missing keys, however many tokens name however many; a few may come
    /// sooner after a rest.
    pub refetch_min: Duration,
    /// How long a token whose key is missing may wait for a fetch.
    pub key_wait: Duration,
    /// How long keys are trusted that the issuer has not confirmed: after it they are awaited again.
    pub keys_max_age: Duration,
    /// Time for one whole fetch.
    pub timeout: Duration,
    /// An HTTP proxy to connect through, which then resolves the host's name.
    pub proxy: Option<Uri>,
    /// Authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether one redirect within the same origin is followed.
    pub allow_redirect: bool,
    /// Whether the host may resolve to an address that is not public.
    pub allow_private_address: bool,
    /// Whether the host may be loopback over plain HTTP.
    pub allow_insecure_loopback: bool,
}

impl Remote {
    /// Fetches with the defaults of everything that can be set.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            refresh: Duration::from_secs(REFRESH_SECONDS_DEFAULT),
            refetch_min: REFETCH_MIN,
            key_wait: Duration::from_millis(KEY_WAIT_MS_DEFAULT),
            keys_max_age: Duration::from_secs(KEYS_MAX_AGE_SECONDS_DEFAULT),
            timeout: Duration::from_millis(FETCH_TIMEOUT_MS_DEFAULT),
            proxy: None,
            ca_file: None,
            allow_redirect: false,
            allow_private_address: false,
            allow_insecure_loopback: false,
        }
    }
}

/// Default for [`Remote::refresh`], in seconds.
pub const REFRESH_SECONDS_DEFAULT: u64 = 300;

/// Default for [`Remote::timeout`], in milliseconds.
pub const FETCH_TIMEOUT_MS_DEFAULT: u64 = 5_000;

/// Default for [`Remote::refetch_min`]. A flood of invented key ids costs an issuer this much, and a rotation in the
/// middle of it is seen after no more than this; one key that does not exist costs it a request each five seconds.
pub const REFETCH_MIN: Duration = Duration::from_millis(1_500);

/// Default for [`Remote::key_wait`], in milliseconds: longer than a fetch usually takes, shorter than a caller's patience.
pub const KEY_WAIT_MS_DEFAULT: u64 = 500;

/// Default for [`Remote::keys_max_age`], in seconds: an issuer may be down for a day before its tokens are.
pub const KEYS_MAX_AGE_SECONDS_DEFAULT: u64 = 86_400;

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
    /// The manifest of a key ring.
    Ring(PathBuf),
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

impl Source {
    /// Whether a set without any key is this source's own word: whoever retires the last key of a ring means that
    /// nothing is to pass, and a broken manifest cannot be taken for that.
    #[must_use]
    pub fn may_be_empty(&self) -> bool {
        matches!(self, Self::Files(Files::Ring(_)))
    }
}

impl Files {
    /// The files.
    #[must_use]
    pub fn paths(&self) -> &[PathBuf] {
        match self {
            Self::Jwks(path) | Self::Ring(path) => std::slice::from_ref(path),
            Self::Pem(paths) | Self::Secret(paths) => paths,
        }
    }

    /// Reads them all. One bad file fails the whole, for half of a rotation is not a rotation.
    ///
    /// # Errors
    /// [`FileError`] for the first that cannot be used.
    pub fn read(&self) -> Result<FileKeys, FileError> {
        let mut digest = Sha256::new();
        let mut each = |path: &PathBuf, parse: fn(&Path, &[u8], u32) -> Result<Jwk, FileFault>| {
            at(path, || {
                let (bytes, mode) = read_bounded(path)?;
                digest.update(bytes.len().to_le_bytes());
                digest.update(&bytes);
                parse(path, &bytes, mode)
            })
        };
        let keys: Vec<Jwk> = match self {
            Self::Jwks(path) => {
                return at(path, || {
                    let (bytes, _) = read_bounded(path)?;
                    let jwks = JwkSet::parse(&bytes);
                    Ok(FileKeys {
                        jwks: jwks.map_err(|error| FileFault::Malformed(error.to_string()))?,
                        fingerprint: Sha256::digest(&bytes).into(),
                    })
                });
            }
            Self::Ring(path) => {
                return at(path, || ring::published(&read_bounded(path)?.0));
            }
            Self::Pem(paths) => paths
                .iter()
                .map(|path| each(path, pem))
                .collect::<Result<_, _>>()?,
            Self::Secret(paths) => paths
                .iter()
                .map(|path| each(path, secret))
                .collect::<Result<_, _>>()?,
        };
        Ok(FileKeys {
            jwks: JwkSet {
                keys,
                skipped: Vec::new(),
            },
            fingerprint: digest.finalize().into(),
        })
    }
}

/// What files held when they were read.
pub struct FileKeys {
    /// The keys.
    pub jwks: JwkSet,
    /// Tells this content from any other.
    pub fingerprint: [u8; 32],
}

/// An HMAC secret, from a file that others cannot read. Where all else is printable text, one line break
/// at its end is the editor's and not the secret's.
fn secret(path: &Path, bytes: &[u8], mode: u32) -> Result<Jwk, FileFault> {
    if mode & 0o007 != 0 {
        return Err(FileFault::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let is_text = text
        .iter()
        .all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    let secret = if is_text { text } else { bytes };
    if secret.is_empty() {
        return Err(FileFault::Malformed("is empty".to_owned()));
    }
    if let Some(why) = weak::weakness(secret) {
        return Err(FileFault::Malformed(why.to_owned()));
    }
    Ok(Jwk::from_secret(secret))
}

fn pem(_path: &Path, bytes: &[u8], _mode: u32) -> Result<Jwk, FileFault> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| FileFault::Malformed("is not PEM: it is not even text".to_owned()))?;
    Jwk::from_pem(text).map_err(|error| FileFault::Malformed(error.to_string()))
}

pub(super) fn at<T>(
    path: &Path,
    read: impl FnOnce() -> Result<T, FileFault>,
) -> Result<T, FileError> {
    read().map_err(|cause| FileError {
        path: path.to_owned(),
        cause,
    })
}

/// Reads a file and its permission bits, both from one descriptor, so that they belong together.
pub(super) fn read_bounded(path: &Path) -> Result<(Zeroizing<Vec<u8>>, u32), FileFault> {
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

impl Endpoint {
    /// What tells this endpoint from every other.
    pub(super) fn identity(&self) -> String {
        match self {
            Self::Jwks(uri) => format!("jwks {uri}"),
            Self::Discovery { issuer, document } => format!("discovery {issuer} {document}"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jwks(uri) => uri.fmt(f),
            Self::Discovery { document, .. } => document.fmt(f),
        }
    }
}

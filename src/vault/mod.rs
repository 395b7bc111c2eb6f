//! Keeps rings of signing keys: in a folder of this host, with private keys in files, sealed or not, or in a
//! hardware module (PKCS#11).
//!
//! A ring's folder has a manifest, `ring.json`, that is replaced whole; a file for each private key, which only its
//! owner may read; and a lock, so that no two rotations undo each other. Whoever verifies reads the manifest
//! alone.
//!
//! It refuses private keys that others can read, a ring of sealed keys to which an open one would be added, and
//! secrets written where a command line or a configuration shows them. It never destroys a key of a module.
#![forbid(unsafe_code)]

mod folder;
mod keyring;
mod locked;
mod pkcs11;
mod secret;
#[cfg(test)]
mod tests;

pub use keyring::{KeyRing, Opener};
pub use locked::{KeySpec, LockedRing};
pub use pkcs11::{Pkcs11Uri, signing_key as pkcs11_signing_key};
pub use secret::{Environment, SecretSource};

use crate::issuer::SigningError;
use crate::issuer::ring::RingError;
use std::path::PathBuf;

/// The manifest's name in its folder.
pub const MANIFEST: &str = "ring.json";

/// Why a ring cannot be used. Names files and modules, never what is in them.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The system would not.
    #[error("{}: {what}: {cause}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        cause: std::io::Error,
    },
    /// There is no ring.
    #[error("{}: there is no key ring; make one with: jotd keys generate --alg ALG --keys {}", .0.display(), .0.display())]
    Missing(PathBuf),
    /// There is one already.
    #[error("{}: there is a key ring already; give it a new key with: jotd keys rotate {}", .0.display(), .0.display())]
    Exists(PathBuf),
    /// Another process changes it at this moment.
    #[error("{}: another process is changing the ring; try again", .0.display())]
    Busy(PathBuf),
    /// Others on this host could read a private key.
    #[error("{}: other users may read this private key (mode {mode:04o}); run: chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The ring cannot be read, or be changed like this.
    #[error("{}: {cause}", path.display())]
    Ring {
        /// The folder.
        path: PathBuf,
        /// Why.
        cause: RingError,
    },
    /// A private key cannot be made, opened or used.
    #[error("{}: {cause}", path.display())]
    Key {
        /// Its file, or the folder.
        path: PathBuf,
        /// Why.
        cause: SigningError,
    },
    /// A file is not what the manifest says.
    #[error("{}: {what}", path.display())]
    Mismatch {
        /// The file, or the folder.
        path: PathBuf,
        /// What does not fit.
        what: &'static str,
    },
    /// A secret could not be had from where it should be.
    #[error("the secret {0}")]
    Secret(String),
    /// What names a key in a module.
    #[error("the pkcs11: URI {0}")]
    Uri(String),
    /// A hardware module, a token or a key in it.
    #[error("PKCS#11: {0}")]
    Pkcs11(String),
}

impl VaultError {
    /// Whether whoever asked can mend it by asking otherwise, or by what it names.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::Io { .. } | Self::Busy(_) | Self::Pkcs11(_))
    }
}

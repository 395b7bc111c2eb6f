//! A ring in its folder, opened to sign.

use super::folder::Folder;
use super::pkcs11::{self, Pkcs11Uri};
use super::{Environment, VaultError};
use crate::issuer::ring::{PrivatePart, Ring, RingError, RingKey, Sealing};
use crate::issuer::{SigningError, SigningKey};
use crate::jose::Jwk;
use std::path::Path;

/// What opens private keys.
pub struct Opener<'e> {
    /// What files are sealed under, where they are.
    pub sealing: Option<Sealing>,
    /// Where modules' PINs may be.
    pub environment: Environment<'e>,
}

/// A ring, as it was when it was opened.
#[derive(Debug)]
pub struct KeyRing {
    folder: Folder,
    ring: Ring,
}

impl KeyRing {
    /// Opens a ring.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn open(path: &Path) -> Result<Self, VaultError> {
        let folder = Folder::open(path)?;
        let ring = read(&folder)?;
        Ok(Self { folder, ring })
    }

    /// Which keys there are, and when.
    #[must_use]
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The key that signs at this moment.
    ///
    /// # Errors
    /// [`VaultError`] where there is none, or it cannot be opened.
    pub fn signing_key(&self, now: i64, opener: &Opener<'_>) -> Result<SigningKey, VaultError> {
        let Some(key) = self.ring.signing(now) else {
            return Err(mismatch(self.folder.path(), "no key of the ring signs now"));
        };
        let opened = open_key(&self.folder, key, opener)?;
        // A manifest and a file that do not belong together would sign what nobody can verify.
        let public = Jwk::parse(key.public_jwk().as_bytes()).map_err(|_| {
            mismatch(
                self.folder.path(),
                "a public key of the manifest is none any more",
            )
        })?;
        let own = opened.public_jwk().unwrap_or_default();
        let is_its = |own: Jwk| own.thumbprint() == public.thumbprint();
        let fits = Jwk::parse(own.as_bytes()).is_ok_and(is_its)
            && opened.kid() == Some(key.kid())
            && opened.algorithm() == key.algorithm();
        if !fits {
            let what = "the private key is not the one that the manifest names";
            return Err(mismatch(self.folder.path(), what));
        }
        Ok(opened)
    }
}

pub(super) fn read(folder: &Folder) -> Result<Ring, VaultError> {
    let manifest = folder.manifest()?;
    let manifest = manifest.ok_or_else(|| VaultError::Missing(folder.path().to_owned()))?;
    Ring::parse(&manifest).map_err(|cause| ring_fault(folder, cause))
}

fn open_key(folder: &Folder, key: &RingKey, opener: &Opener<'_>) -> Result<SigningKey, VaultError> {
    let name = match key.private() {
        PrivatePart::File(name) => name,
        PrivatePart::Pkcs11(uri) => {
            let uri: Pkcs11Uri = uri.parse()?;
            let signing = pkcs11::signing_key(&uri, Some(key.algorithm()), opener.environment)?;
            return signing
                .with_kid(Some(key.kid()))
                .map_err(|cause| key_fault(folder, cause));
        }
        PrivatePart::Erased => {
            let what = "the private key has been erased; is the clock right?";
            return Err(mismatch(folder.path(), what));
        }
    };
    let bytes = folder.private(name)?;
    let is_sealed = !bytes.trim_ascii_start().starts_with(b"{");
    match &opener.sealing {
        Some(sealing) if is_sealed => open_sealed(folder, name, &bytes, sealing),
        None if is_sealed => {
            let what = "the private key is sealed; give --kek or --passphrase";
            Err(mismatch(&folder.path().join(&**name), what))
        }
        _ => {
            let fault = |cause| VaultError::Key {
                path: folder.path().join(&**name),
                cause,
            };
            let jwk =
                Jwk::parse(&bytes).map_err(|_| fault(SigningError::Private("it is not a JWK")))?;
            SigningKey::from_jwk(&jwk).map_err(fault)
        }
    }
}

pub(super) fn open_sealed(
    folder: &Folder,
    name: &str,
    sealed: &[u8],
    sealing: &Sealing,
) -> Result<SigningKey, VaultError> {
    let fault = |cause| VaultError::Key {
        path: folder.path().join(name),
        cause,
    };
    let text = std::str::from_utf8(sealed).map_err(|_| fault(SigningError::Sealed))?;
    sealing.open(text).map_err(fault)
}

pub(super) fn mismatch(path: &Path, what: &'static str) -> VaultError {
    VaultError::Mismatch {
        path: path.to_owned(),
        what,
    }
}

pub(super) fn ring_fault(folder: &Folder, cause: RingError) -> VaultError {
    VaultError::Ring {
        path: folder.path().to_owned(),
        cause,
    }
}

pub(super) fn key_fault(folder: &Folder, cause: SigningError) -> VaultError {
    VaultError::Key {
        path: folder.path().to_owned(),
        cause,
    }
}

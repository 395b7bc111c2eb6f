//! A ring that is changed: locked, changed in memory, replaced on the disk.

use super::VaultError;
use super::folder::{Folder, KEY_PREFIX};
use super::keyring::{Opener, key_fault, mismatch, open_sealed, read, ring_fault};
use super::pkcs11::{self, Pkcs11Uri};
use crate::issuer::ring::{
    NewKey, PrivatePart, Ring, RingError, RingKey, Sealed, Sealing, ShortLives, State, Terms,
};
use crate::issuer::{SigningError, SigningKey, danger};
use crate::jose::{Algorithm, Jwk};
use crate::os::FileLock;
use std::path::Path;
use zeroize::Zeroizing;

const NO_SECRETS: &str = "a secret has no public half; list several in secret_file to rotate them";

/// What a new key is to be. What is left out is as in the key before it.
#[derive(Clone, Debug, Default)]
pub struct KeySpec {
    /// Its algorithm.
    pub algorithm: Option<Algorithm>,
    /// The size of an RSA key.
    pub bits: Option<usize>,
    /// Its name instead of its thumbprint.
    pub kid: Option<String>,
    /// The module and token that shall make and keep it.
    pub pkcs11: Option<Pkcs11Uri>,
}

/// A ring that nobody else can change meanwhile.
#[derive(Debug)]
pub struct LockedRing {
    folder: Folder,
    ring: Ring,
    _lock: FileLock,
}

impl LockedRing {
    /// Makes a ring and its first key, which signs at once.
    ///
    /// # Errors
    /// [`VaultError`]; [`VaultError::Exists`] where there is one.
    pub fn create(
        path: &Path,
        terms: Terms,
        spec: &KeySpec,
        opener: &Opener<'_>,
        now: i64,
    ) -> Result<Self, VaultError> {
        // Before anything is made that would stay behind.
        if spec
            .algorithm
            .is_some_and(|algorithm| algorithm.scheme().is_hmac())
        {
            return Err(VaultError::Ring {
                path: path.to_owned(),
                cause: RingError::Unfit(NO_SECRETS),
            });
        }
        Self::create_in(Folder::make(path)?, terms, spec, opener, now)
    }

    fn create_in(
        folder: Folder,
        terms: Terms,
        spec: &KeySpec,
        opener: &Opener<'_>,
        now: i64,
    ) -> Result<Self, VaultError> {
        let lock = folder.lock()?;
        if folder.manifest()?.is_some() {
            return Err(VaultError::Exists(folder.path().to_owned()));
        }
        let sealed = opener.sealing.as_ref().map(Sealing::sealed);
        let mut ring = Self {
            ring: Ring::new(terms, sealed),
            folder,
            _lock: lock,
        };
        ring.rotate(spec, opener, now)?;
        Ok(ring)
    }

    /// Opens a ring to change it.
    ///
    /// # Errors
    /// [`VaultError`]; [`VaultError::Busy`] while another process changes it.
    pub fn open(path: &Path) -> Result<Self, VaultError> {
        let folder = Folder::open(path)?;
        let lock = folder.lock()?;
        let ring = read(&folder)?;
        Ok(Self {
            folder,
            ring,
            _lock: lock,
        })
    }

    /// Which keys there are, and when.
    #[must_use]
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Makes a key and begins to rotate to it. Returns its name and the moment from which it signs.
    ///
    /// # Errors
    /// [`VaultError`]; the ring is as it was then.
    pub fn rotate(
        &mut self,
        spec: &KeySpec,
        opener: &Opener<'_>,
        now: i64,
    ) -> Result<(String, i64), VaultError> {
        let (kid, new) = self.make(spec, opener, now)?;
        let signs_from = self.change(now, |ring| ring.rotate(new, now))?;
        Ok((kid, signs_from))
    }

    /// Revokes keys. Where nothing else signs at this moment, a new key does at once, and its name is returned;
    /// without a `spec` there is none.
    ///
    /// # Errors
    /// [`VaultError`]; the ring is as it was then.
    pub fn revoke(
        &mut self,
        kids: &[&str],
        spec: Option<&KeySpec>,
        short: Option<ShortLives>,
        opener: &Opener<'_>,
        now: i64,
    ) -> Result<Option<String>, VaultError> {
        for kid in kids {
            let known = self.ring.key(kid);
            known.map_err(|cause| ring_fault(&self.folder, cause))?;
        }
        let (kid, new) = match spec {
            Some(spec) if !self.ring.signs_without(kids, now) => {
                let (kid, new) = self.make(spec, opener, now)?;
                (Some(kid), Some(new))
            }
            _ => (None, None),
        };
        self.change(now, |ring| {
            ring.revoke(kids, new, short, spec.is_none(), now)
        })?;
        Ok(kid)
    }

    /// Retires a key; returns what it was.
    ///
    /// # Errors
    /// [`VaultError`]; the ring is as it was then.
    pub fn retire(&mut self, kid: &str, last: bool, now: i64) -> Result<State, VaultError> {
        self.change(now, |ring| ring.retire(kid, last, now))
    }

    /// Changes the ring, first in memory, then by one replacement on the disk.
    fn change<T>(
        &mut self,
        now: i64,
        change: impl FnOnce(&mut Ring) -> Result<T, RingError>,
    ) -> Result<T, VaultError> {
        let mut next = self.ring.clone();
        next.tidy(now);
        let done = change(&mut next).map_err(|cause| ring_fault(&self.folder, cause))?;
        next.tidy(now);
        self.folder.commit(next.to_json().as_bytes())?;
        self.ring = next;
        // It has happened. What could not be swept now will be next time.
        let _ = self.folder.sweep(&files(&self.ring));
        Ok(done)
    }

    /// Makes a key, and puts its private half where it will stay. A file that no manifest comes to name is swept
    /// by the next change.
    fn make(
        &self,
        spec: &KeySpec,
        opener: &Opener<'_>,
        now: i64,
    ) -> Result<(String, NewKey), VaultError> {
        let before = self.ring.signing(now).or(self.ring.keys().last());
        let algorithm = spec.algorithm.or(before.map(RingKey::algorithm));
        let algorithm = algorithm.ok_or(VaultError::Key {
            path: self.folder.path().to_owned(),
            cause: SigningError::AlgorithmMissing,
        })?;
        if algorithm.scheme().is_hmac() {
            return Err(ring_fault(&self.folder, RingError::Unfit(NO_SECRETS)));
        }
        let is_same = |key: &&RingKey| key.algorithm() == algorithm;
        let bits = spec.bits.or_else(|| bits_of(before.filter(is_same)?));
        let module = spec.pkcs11.clone().or_else(|| match before?.private() {
            PrivatePart::Pkcs11(uri) => uri.parse::<Pkcs11Uri>().ok(),
            _ => None,
        });
        if let Some(kid) = &spec.kid
            && self.ring.key(kid).is_ok()
        {
            let cause = RingError::KidTaken(kid.as_str().into());
            return Err(ring_fault(&self.folder, cause));
        }
        if let Some(module) = module {
            let made = pkcs11::generate(&module, algorithm, bits, opener.environment)?;
            let key = named(made.key, spec).map_err(|cause| key_fault(&self.folder, cause))?;
            let private = PrivatePart::Pkcs11(made.uri.to_string().into());
            return Ok((kid_of(&key), new_key(&key, private)));
        }
        self.check_sealing(opener)?;
        let key = SigningKey::generate(algorithm, bits).and_then(|key| named(key, spec));
        let key = key.map_err(|cause| key_fault(&self.folder, cause))?;
        let private = self
            .store(&key, opener)
            .map_err(|fault| fault.unwrap_or_else(|cause| key_fault(&self.folder, cause)))?;
        Ok((kid_of(&key), new_key(&key, private)))
    }

    /// Writes a private key's file, named by the key itself.
    fn store(
        &self,
        key: &SigningKey,
        opener: &Opener<'_>,
    ) -> Result<PrivatePart, Result<VaultError, SigningError>> {
        let public = key.public_jwk().ok_or(Err(SigningError::PublicOnly))?;
        let thumbprint = Jwk::parse(public.as_bytes())
            .map_err(|_| Err(SigningError::Library))?
            .thumbprint();
        let (bytes, extension) = match &opener.sealing {
            Some(sealing) => {
                let sealed = sealing.seal(key).map_err(Err)?;
                (Zeroizing::new(sealed), "jwe")
            }
            None => (danger::to_private_jwk(key).map_err(Err)?, "jwk"),
        };
        let name = format!("{KEY_PREFIX}{thumbprint}.{extension}");
        self.folder
            .put_private(&name, bytes.as_bytes())
            .map_err(Ok)?;
        Ok(PrivatePart::File(name.into()))
    }

    /// A ring whose keys are sealed must not be given one that is not, nor one sealed under something else.
    fn check_sealing(&self, opener: &Opener<'_>) -> Result<(), VaultError> {
        let given = opener.sealing.as_ref().map(Sealing::sealed);
        let what = match (self.ring.sealed(), given) {
            (wanted, given) if wanted == given => {
                return match &opener.sealing {
                    Some(sealing) => self.check_same_secret(sealing),
                    None => Ok(()),
                };
            }
            (None, _) => {
                "the ring's keys are not sealed; give neither --kek nor --passphrase, or make a new ring"
            }
            (Some(Sealed::Kek), _) => "the ring's keys are sealed under a KEK; give --kek",
            (Some(Sealed::Passphrase), _) => {
                "the ring's keys are sealed under a passphrase; give --passphrase"
            }
        };
        Err(mismatch(self.folder.path(), what))
    }

    /// A slip in the passphrase shows now, and not when the new key is to sign.
    fn check_same_secret(&self, sealing: &Sealing) -> Result<(), VaultError> {
        let Some(name) = files(&self.ring).first().copied() else {
            return Ok(());
        };
        let sealed = self.folder.private(name)?;
        open_sealed(&self.folder, name, &sealed, sealing).map(drop)
    }
}

#[cfg(test)]
impl LockedRing {
    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// As [`Self::create`], cut off after so many steps.
    pub(super) fn create_cut(
        path: &Path,
        terms: Terms,
        spec: &KeySpec,
        opener: &Opener<'_>,
        now: i64,
        steps: usize,
    ) -> Result<Self, VaultError> {
        let folder = Folder::make(path)?;
        folder.steps_left.set(Some(steps));
        Self::create_in(folder, terms, spec, opener, now)
    }
}

fn named(key: SigningKey, spec: &KeySpec) -> Result<SigningKey, SigningError> {
    match &spec.kid {
        Some(kid) => key.with_kid(Some(kid)),
        None => Ok(key),
    }
}

fn kid_of(key: &SigningKey) -> String {
    key.kid().unwrap_or_default().to_owned()
}

fn new_key(key: &SigningKey, private: PrivatePart) -> NewKey {
    NewKey {
        public_jwk: key.public_jwk().unwrap_or_default(),
        private,
    }
}

/// The size of an RSA key, which its successor takes over; other keys have no choice.
fn bits_of(key: &RingKey) -> Option<usize> {
    let jwk = Jwk::parse(key.public_jwk().as_bytes()).ok()?;
    (jwk.kty() == "RSA").then(|| jwk.bits())
}

/// The files that a ring's manifest names.
fn files(ring: &Ring) -> Vec<&str> {
    let keys = ring.keys().iter();
    keys.filter_map(|key| match key.private() {
        PrivatePart::File(name) => Some(&**name),
        PrivatePart::Pkcs11(_) | PrivatePart::Erased => None,
    })
    .collect()
}

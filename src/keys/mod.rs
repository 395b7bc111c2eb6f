//! Keeps an issuer's public keys, each pinned to one algorithm, and the private ones that its tokens may be encrypted
//! to. Never fetches them: that is upstream's work.
#![forbid(unsafe_code)]

mod changes;
mod decryption;
#[cfg(test)]
pub mod samples;
mod usage;

pub use changes::Changes;
pub use decryption::{Decryption, DecryptionKeyId, DecryptionSlot};
pub use usage::Usage;

use crate::crypto::{Scheme, VerifyingKey};
use crate::jose::{Algorithm, Jwk, JwkSet, KeyUse, Skipped};
use crate::limits::KEY_CANDIDATES_MAX;
use crate::verdict::Signer;
use hashbrown::HashMap;
use std::sync::Arc;

/// One issuer's keys: an immutable snapshot.
#[derive(Default)]
pub struct KeySet {
    slots: Vec<KeySlot>,
    by_kid: HashMap<Arc<str>, Vec<u32>>,
    without_kid: Vec<u32>,
}

/// A key in its place.
pub struct KeySlot {
    /// What verdicts say of it.
    pub signer: Arc<Signer>,
    /// The parsed key, and with it its scheme. Sets of several owners may hold the same.
    pub key: Arc<VerifyingKey>,
    /// The key as a public JWK (RFC 7517 §4) to publish; `None` for a secret.
    pub public_jwk: Option<Arc<str>>,
    /// The thumbprint of its public material (RFC 7638); `None` for a secret, whose thumbprint tells guesses apart.
    pub thumbprint: Option<Arc<str>>,
    /// The one whose tokens it may sign, where it is for one tenant of those that share the set: an `iss`, which names
    /// the tenant in its path.
    pub only_of: Option<Arc<str>>,
    /// How it is used; shared with the same key in the sets that follow.
    pub usage: Arc<Usage>,
}

/// Whose keys these are, as verdicts will say it.
#[derive(Clone, Debug)]
pub struct Owner {
    /// The issuer's configured name.
    pub issuer: Arc<str>,
    /// Its tenant.
    pub tenant: Arc<str>,
}

/// The keys that may have signed a token, by slot index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidates {
    slots: [u32; KEY_CANDIDATES_MAX],
    len: usize,
}

/// No key of the set can have signed the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyMiss {
    /// No key has this `kid`; or the token names none and more keys fit than may be tried.
    UnknownKid,
    /// The key with this `kid` is pinned to another algorithm.
    WrongAlgorithm,
}

impl KeySet {
    /// Pins each usable key of a set to one of `schemes`: the key's own `alg` where it names one, else the
    /// first listed that fits. What cannot be used is returned beside the set, and never spoils it.
    #[must_use]
    pub fn pin(owner: &Owner, jwks: &JwkSet, schemes: &[Scheme]) -> (Self, Vec<Skipped>) {
        let mut set = Self::default();
        let mut skipped = jwks.skipped.clone();
        for (index, jwk) in jwks.keys.iter().enumerate() {
            match pin_one(owner, jwk, schemes) {
                Ok(slot) => set.push(slot),
                Err(why) => skipped.push(Skipped {
                    index,
                    kid: jwk.kid.as_deref().map(str::to_owned),
                    why,
                }),
            }
        }
        (set, skipped)
    }

    /// The same keys for one of the tenants that share them, whose verdicts then say so: without those that are for
    /// another one.
    #[must_use]
    pub fn for_tenant(&self, owner: &Owner, tenant: &str) -> Self {
        let mut set = Self::default();
        for slot in self.slots.iter().filter(|slot| slot.serves(tenant)) {
            set.push(KeySlot {
                signer: Arc::new(Signer {
                    issuer: Arc::clone(&owner.issuer),
                    tenant: Arc::clone(&owner.tenant),
                    alg: slot.signer.alg,
                    kid: slot.signer.kid.clone(),
                }),
                key: Arc::clone(&slot.key),
                public_jwk: slot.public_jwk.clone(),
                thumbprint: slot.thumbprint.clone(),
                only_of: slot.only_of.clone(),
                usage: Arc::clone(&slot.usage),
            });
        }
        set
    }

    /// A set with no keys: the issuer is known, its keys have not arrived.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The keys, in the order of the set.
    #[must_use]
    pub fn slots(&self) -> &[KeySlot] {
        &self.slots
    }

    /// The same, to take over what is known of their use.
    pub fn slots_mut(&mut self) -> &mut [KeySlot] {
        &mut self.slots
    }

    /// The keys that may have signed a token with this `kid` and scheme.
    ///
    /// A `kid` is a look-up hint (RFC 8725 §3.10): it picks among this issuer's keys and does nothing else.
    /// Keys that have no `kid` of their own (a PEM file, a secret) fit any; a token without `kid` may be
    /// tried against a few keys, because secrets are rotated that way.
    ///
    /// # Errors
    /// [`KeyMiss`].
    pub fn candidates(&self, kid: Option<&str>, scheme: Scheme) -> Result<Candidates, KeyMiss> {
        match kid {
            Some(kid) => match self.by_kid.get(kid) {
                Some(named) => self
                    .of_scheme(named.iter().copied(), scheme)
                    .map_err(|_| KeyMiss::WrongAlgorithm),
                None => self.of_scheme(self.without_kid.iter().copied(), scheme),
            },
            None => self.of_scheme(
                0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX),
                scheme,
            ),
        }
    }

    fn of_scheme(
        &self,
        slots: impl Iterator<Item = u32>,
        scheme: Scheme,
    ) -> Result<Candidates, KeyMiss> {
        let mut found = Candidates {
            slots: [0; KEY_CANDIDATES_MAX],
            len: 0,
        };
        //= https://www.rfc-editor.org/rfc/rfc8725#section-3.1
        //# Each key MUST be used with exactly one algorithm
        let fitting = slots.filter(|&slot| self.slots[slot as usize].key.scheme() == scheme);
        for slot in fitting {
            let place = found.slots.get_mut(found.len).ok_or(KeyMiss::UnknownKid)?;
            *place = slot;
            found.len += 1;
        }
        if found.len == 0 {
            return Err(KeyMiss::UnknownKid);
        }
        Ok(found)
    }

    fn push(&mut self, slot: KeySlot) {
        let index = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        match &slot.signer.kid {
            Some(kid) => self.by_kid.entry(Arc::clone(kid)).or_default().push(index),
            None => self.without_kid.push(index),
        }
        self.slots.push(slot);
    }
}

impl KeySlot {
    /// Whether it may sign for this tenant. Microsoft's rule goes by the whole `iss`; the tenant in it is the same for
    /// tokens of version 1, whose `iss` has another form.
    fn serves(&self, tenant: &str) -> bool {
        self.only_of
            .as_deref()
            .is_none_or(|iss| iss.split('/').any(|part| part == tenant))
    }
}

impl Candidates {
    /// The slot indices, at least one.
    #[must_use]
    pub fn as_slice(&self) -> &[u32] {
        &self.slots[..self.len]
    }
}

fn pin_one(owner: &Owner, jwk: &Jwk, schemes: &[Scheme]) -> Result<KeySlot, String> {
    if jwk.key_use == KeyUse::Other {
        return Err("its use or key_ops do not include verifying signatures".to_owned());
    }
    let scheme = match jwk.alg {
        Some(alg) if schemes.contains(&alg.scheme()) => alg.scheme(),
        Some(alg) => {
            return Err(format!(
                "its alg {alg} is not among the issuer's algorithms"
            ));
        }
        None => *schemes
            .iter()
            .find(|scheme| jwk.schemes().contains(scheme))
            .ok_or("none of the issuer's algorithms fits a key of its type")?,
    };
    let key = jwk
        .verifying_key(scheme)
        .map_err(|error| error.to_string())?;
    let alg = jwk.alg.unwrap_or_else(|| Algorithm::of_scheme(scheme));
    let public_jwk: Option<Arc<str>> = jwk.to_public_json().map(Into::into);
    Ok(KeySlot {
        signer: Arc::new(Signer {
            issuer: Arc::clone(&owner.issuer),
            tenant: Arc::clone(&owner.tenant),
            alg: alg.name(),
            kid: jwk.kid.clone(),
        }),
        key: Arc::new(key),
        thumbprint: public_jwk.is_some().then(|| jwk.thumbprint().into()),
        public_jwk,
        // With a hole for the tenant's id, it is for all of them.
        only_of: jwk.issuer.clone().filter(|issuer| !issuer.contains('{')),
        usage: Arc::default(),
    })
}

//! Keeps the private keys that an issuer's tokens may be encrypted to, each pinned to one algorithm, with the terms on
//! which they are. They sign nothing, and nothing gives them away.

use crate::crypto::encryption::{ContentEncryption, DecryptionKey, KeyManagement};
use crate::jose::{Jwk, Skipped};
use std::sync::Arc;

/// How an issuer's tokens may be encrypted: an immutable snapshot.
#[derive(Clone, Debug)]
pub struct Decryption {
    /// The keys, in the order of the files.
    pub keys: Vec<Arc<DecryptionSlot>>,
    /// The content encryptions allowed.
    pub encodings: Vec<ContentEncryption>,
    /// Longest token that may come out of a compressed content, in bytes; 0 refuses compressed ones.
    pub zip_bytes_max: usize,
}

/// A decryption key in its place.
pub struct DecryptionSlot {
    /// The name that tokens call it by. A key that has none goes by its thumbprint (RFC 7638), and fits any.
    pub kid: Arc<str>,
    /// Whether `kid` is the key's own name.
    pub is_named: bool,
    /// The parsed key, and with it the one algorithm it is for.
    pub key: DecryptionKey,
    /// Its public half as a JWK to publish; `None` for a shared key.
    pub public_jwk: Option<Box<str>>,
    /// The same for the same key with the same algorithm, and for nothing else. Of a shared key it is a hash of the
    /// secret (RFC 7638 §7), which is why it stays in here.
    identity: String,
}

/// Names a decryption key without giving it away.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DecryptionKeyId(String, KeyManagement, Option<ContentEncryption>);

impl Decryption {
    /// Pins each private key to one of `algorithms`: the key's own `alg` where it names one, else the first listed that
    /// fits. A key for `dir` is pinned to one of `encodings` likewise. What cannot be used is returned beside them.
    #[must_use]
    pub fn pin(
        jwks: &[Jwk],
        algorithms: &[KeyManagement],
        encodings: &[ContentEncryption],
        zip_bytes_max: usize,
    ) -> (Self, Vec<Skipped>) {
        let mut keys = Vec::with_capacity(jwks.len());
        let mut skipped = Vec::new();
        for (index, jwk) in jwks.iter().enumerate() {
            match pin_one(jwk, algorithms, encodings) {
                Ok(slot) => keys.push(Arc::new(slot)),
                Err(why) => skipped.push(Skipped {
                    index,
                    kid: jwk.kid.as_deref().map(str::to_owned),
                    why,
                }),
            }
        }
        let decryption = Self {
            keys,
            encodings: encodings.to_vec(),
            zip_bytes_max,
        };
        (decryption, skipped)
    }

    /// Whether the other opens the very same tokens on the very same terms.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let alike = |(one, other): (&Arc<DecryptionSlot>, &Arc<DecryptionSlot>)| {
            one.kid == other.kid && one.is_named == other.is_named && one.id() == other.id()
        };
        self.keys.len() == other.keys.len()
            && self.keys.iter().zip(&other.keys).all(alike)
            && self.encodings == other.encodings
            && self.zip_bytes_max == other.zip_bytes_max
    }
}

impl DecryptionSlot {
    /// Its name among all keys.
    #[must_use]
    pub fn id(&self) -> DecryptionKeyId {
        DecryptionKeyId(
            self.identity.clone(),
            self.key.management(),
            self.key.content(),
        )
    }
}

/// Says which key it is, never what follows from its material.
impl std::fmt::Debug for DecryptionSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DecryptionSlot")
            .field("kid", &self.kid)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

fn pin_one(
    jwk: &Jwk,
    algorithms: &[KeyManagement],
    encodings: &[ContentEncryption],
) -> Result<DecryptionSlot, String> {
    let (management, content) = jwk.pin_management(algorithms, encodings)?;
    let key = jwk
        .decryption_key(management, content)
        .map_err(|error| error.to_string())?;
    let identity = jwk.thumbprint();
    let kid: Arc<str> = match (&jwk.kid, jwk.kty()) {
        (Some(kid), _) => Arc::clone(kid),
        // Nobody is told a hash of a secret, so nobody can call it by that.
        (None, "oct") => "".into(),
        (None, _) => identity.as_str().into(),
    };
    Ok(DecryptionSlot {
        is_named: jwk.kid.is_some(),
        public_jwk: jwk
            .to_public_encryption_json(&kid, management)
            .map(String::into_boxed_str),
        kid,
        key,
        identity,
    })
}

//! The writer's side: a public or shared key, and contents encrypted to whoever can open them.
#![forbid(unsafe_code)]

use super::agreement::{self, AgreementPoint, OtherInfo};
use super::decryption::oaep;
use super::{ContentEncryption, KeyError, KeyManagement, wrap};
use crate::crypto::{Scheme, rsa};
use crate::os;
use aws_lc_rs::agreement::PrivateKey;
use aws_lc_rs::rsa::{OaepPublicEncryptingKey, PublicEncryptingKey};
use der::Encode as _;
use der::asn1::{BitStringRef, UintRef};
use zeroize::Zeroizing;

/// A key to encrypt to, pinned to one way of managing keys.
pub struct EncryptionKey {
    management: KeyManagement,
    content: Option<ContentEncryption>,
    material: Material,
}

enum Material {
    Rsa(Box<OaepPublicEncryptingKey>),
    Agreement(AgreementPoint),
    Symmetric(Zeroizing<Vec<u8>>),
}

/// The library failed, or gave no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the content could not be encrypted")]
pub struct NotEncrypted;

/// The key of one content, and what its reader needs to come to it.
pub struct ContentKey {
    content: ContentEncryption,
    key: Zeroizing<Vec<u8>>,
    /// The key, encrypted; empty where none is sent.
    pub encrypted_key: Vec<u8>,
    /// The ephemeral public key, where keys are agreed upon.
    pub ephemeral: Option<AgreementPoint>,
}

/// An encrypted content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedText {
    /// The initialization vector.
    pub iv: Vec<u8>,
    /// The content.
    pub ciphertext: Vec<u8>,
    /// The authentication tag.
    pub tag: Vec<u8>,
}

impl EncryptionKey {
    /// An RSA public key from big-endian numbers, for one of the OAEP encodings.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn rsa(management: KeyManagement, n: &[u8], e: &[u8]) -> Result<Self, KeyError> {
        if !management.is_rsa() {
            return Err(KeyError::WrongKind);
        }
        rsa::parse(Scheme::RsaPkcs1Sha256, n, e)?;
        let der = rsa_spki(n, e).map_err(|_| NOT_RSA)?;
        let key = PublicEncryptingKey::from_der(&der).map_err(|_| NOT_RSA)?;
        let key = OaepPublicEncryptingKey::new(key).map_err(|_| NOT_RSA)?;
        Ok(Self {
            management,
            content: None,
            material: Material::Rsa(Box::new(key)),
        })
    }

    /// A public key to agree with.
    ///
    /// # Errors
    /// [`KeyError::WrongKind`].
    pub fn agreement(management: KeyManagement, public: AgreementPoint) -> Result<Self, KeyError> {
        if !management.is_agreement() {
            return Err(KeyError::WrongKind);
        }
        Ok(Self {
            management,
            content: None,
            material: Material::Agreement(public),
        })
    }

    /// A shared key, as for [`DecryptionKey::symmetric`](super::DecryptionKey::symmetric).
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn symmetric(
        management: KeyManagement,
        content: Option<ContentEncryption>,
        key: &[u8],
    ) -> Result<Self, KeyError> {
        super::DecryptionKey::symmetric(management, content, key)?;
        Ok(Self {
            management,
            content,
            material: Material::Symmetric(Zeroizing::new(key.to_vec())),
        })
    }

    /// The one way of managing keys it is for.
    #[must_use]
    pub fn management(&self) -> KeyManagement {
        self.management
    }

    /// The one content encryption it is for, where it encrypts contents itself.
    #[must_use]
    pub fn content(&self) -> Option<ContentEncryption> {
        self.content
    }

    /// A key for one content.
    ///
    /// # Errors
    /// [`NotEncrypted`].
    pub fn content_key(&self, content: ContentEncryption) -> Result<ContentKey, NotEncrypted> {
        let fresh = || {
            let mut key = Zeroizing::new(vec![0; content.key_bytes()]);
            os::fill_random(&mut key);
            key
        };
        let (key, encrypted_key, ephemeral) = match &self.material {
            Material::Rsa(rsa) => {
                let key = fresh();
                let algorithm = oaep(self.management).ok_or(NotEncrypted)?;
                let mut encrypted = vec![0; rsa.ciphertext_size()];
                let length = rsa
                    .encrypt(algorithm, &key, &mut encrypted, None)
                    .map_err(|_| NotEncrypted)?
                    .len();
                encrypted.truncate(length);
                (key, encrypted, None)
            }
            Material::Agreement(public) => {
                let curve = public.curve();
                let private = PrivateKey::generate(curve.algorithm()).map_err(|_| NotEncrypted)?;
                let ephemeral = AgreementPoint::of(curve, &private).map_err(|_| NotEncrypted)?;
                let wrapping = self.management.wrapping_bytes();
                let info = OtherInfo {
                    algorithm_id: match wrapping {
                        None => content.name(),
                        Some(_) => self.management.name(),
                    },
                    party_u: &[],
                    party_v: &[],
                };
                let length = wrapping.unwrap_or(content.key_bytes());
                let derived =
                    agreement::derive(&private, public, info, length).map_err(|_| NotEncrypted)?;
                let (key, encrypted) = match wrapping {
                    None => (derived, Vec::new()),
                    Some(_) => {
                        let key = fresh();
                        let encrypted = wrap::wrap(&derived, &key).map_err(|_| NotEncrypted)?;
                        (key, encrypted)
                    }
                };
                (key, encrypted, Some(ephemeral))
            }
            Material::Symmetric(key) if self.management == KeyManagement::Direct => {
                if self.content != Some(content) {
                    return Err(NotEncrypted);
                }
                (key.clone(), Vec::new(), None)
            }
            Material::Symmetric(wrapping) => {
                let key = fresh();
                let encrypted = wrap::wrap(wrapping, &key).map_err(|_| NotEncrypted)?;
                (key, encrypted, None)
            }
        };
        Ok(ContentKey {
            content,
            key,
            encrypted_key,
            ephemeral,
        })
    }
}

impl ContentKey {
    /// Encrypts the content that this key is for: one only, which is why it takes the key.
    ///
    /// # Errors
    /// [`NotEncrypted`].
    pub fn seal(self, aad: &[u8], plaintext: &[u8]) -> Result<SealedText, NotEncrypted> {
        self.content.seal(&self.key, aad, plaintext)
    }
}

const NOT_RSA: KeyError = KeyError::Malformed("not an RSA public key");

/// RFC 8017 A.1.1 within RFC 5280 §4.1.2.7.
fn rsa_spki(n: &[u8], e: &[u8]) -> der::Result<Vec<u8>> {
    let public = pkcs1::RsaPublicKeyRef {
        modulus: UintRef::new(n)?,
        public_exponent: UintRef::new(e)?,
    };
    let public = public.to_der()?;
    let info = spki::SubjectPublicKeyInfoRef {
        algorithm: pkcs1::ALGORITHM_ID,
        subject_public_key: BitStringRef::from_bytes(&public)?,
    };
    info.to_der()
}

/// Says what it is for, never what it is made of.
impl std::fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EncryptionKey")
            .field("management", &self.management)
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

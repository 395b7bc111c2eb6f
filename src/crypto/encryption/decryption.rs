//! The reader's side: a private or shared key, and what it opens.
#![forbid(unsafe_code)]

use super::agreement::{self, AgreementPoint, OtherInfo};
use super::{AgreementCurve, ContentEncryption, KeyError, KeyManagement, NotDecrypted, wrap};
use crate::crypto::{Scheme, rsa};
use crate::os;
use aws_lc_rs::agreement::PrivateKey;
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{
    KeyPairComponents, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm,
    OaepPrivateDecryptingKey, PrivateDecryptingKey, PublicKeyComponents,
};
use aws_lc_rs::signature::RsaKeyPair;
use zeroize::Zeroizing;

/// A key that decrypts, parsed, checked, and pinned to one way of managing keys. What it is made of never leaves it.
pub struct DecryptionKey {
    management: KeyManagement,
    content: Option<ContentEncryption>,
    material: Material,
}

enum Material {
    Rsa(Box<OaepPrivateDecryptingKey>),
    Agreement(AgreementCurve, Box<PrivateKey>),
    /// Wraps the content's key, or is it.
    Symmetric(Zeroizing<Vec<u8>>),
}

/// What arrived: all of it is the sender's word.
#[derive(Clone, Copy)]
pub struct Sealed<'s> {
    /// What is authenticated beside the content.
    pub aad: &'s [u8],
    /// The content's key, encrypted; empty where none is sent.
    pub encrypted_key: &'s [u8],
    /// The initialization vector.
    pub iv: &'s [u8],
    /// The content.
    pub ciphertext: &'s [u8],
    /// The authentication tag.
    pub tag: &'s [u8],
    /// The ephemeral key to agree with.
    pub ephemeral: Option<&'s AgreementPoint>,
    /// `apu`, decoded (RFC 7518 §4.6.1.2).
    pub party_u: &'s [u8],
    /// `apv`, decoded (RFC 7518 §4.6.1.3).
    pub party_v: &'s [u8],
}

impl DecryptionKey {
    /// An RSA private key (RFC 7518 §6.3.2) from big-endian numbers, for one of the OAEP encodings.
    ///
    /// # Errors
    /// [`KeyError`] where it would not do for signatures either, or its parts do not belong together.
    pub fn rsa(
        management: KeyManagement,
        [n, e]: [&[u8]; 2],
        d: &[u8],
        [p, q, dp, dq, qi]: [&[u8]; 5],
    ) -> Result<Self, KeyError> {
        if !management.is_rsa() {
            return Err(KeyError::WrongKind);
        }
        // One rule for all RSA keys: their sizes and exponents.
        rsa::parse(Scheme::RsaPkcs1Sha256, n, e)?;
        let pair = RsaKeyPair::from_components(&KeyPairComponents {
            public_key: PublicKeyComponents { n, e },
            d,
            p,
            q,
            dP: dp,
            dQ: dq,
            qInv: qi,
        })
        .map_err(|_| MISMATCH)?;
        let der = pair.as_der().map_err(|_| MISMATCH)?;
        let key = PrivateDecryptingKey::from_pkcs8(der.as_ref()).map_err(|_| MISMATCH)?;
        let key = OaepPrivateDecryptingKey::new(key).map_err(|_| MISMATCH)?;
        Ok(Self {
            management,
            content: None,
            material: Material::Rsa(Box::new(key)),
        })
    }

    /// A private key for agreement, with its public half, which must be its own.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn agreement(
        management: KeyManagement,
        public: &AgreementPoint,
        d: &[u8],
    ) -> Result<Self, KeyError> {
        if !management.is_agreement() {
            return Err(KeyError::WrongKind);
        }
        let curve = public.curve();
        let private = PrivateKey::from_private_key(curve.algorithm(), d).map_err(|_| MISMATCH)?;
        // Whoever encrypts to a public key that is not this one's would never be read.
        if AgreementPoint::of(curve, &private).map_err(|_| MISMATCH)? != *public {
            return Err(MISMATCH);
        }
        Ok(Self {
            management,
            content: None,
            material: Material::Agreement(curve, Box::new(private)),
        })
    }

    /// A shared key: one that wraps, of the length its name says; or one that encrypts contents itself in one way, of
    /// the length that takes.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn symmetric(
        management: KeyManagement,
        content: Option<ContentEncryption>,
        key: &[u8],
    ) -> Result<Self, KeyError> {
        let length = match (management, content) {
            (KeyManagement::A128Kw | KeyManagement::A192Kw | KeyManagement::A256Kw, None) => {
                management.wrapping_bytes()
            }
            (KeyManagement::Direct, Some(content)) => Some(content.key_bytes()),
            _ => None,
        };
        match length {
            None => Err(KeyError::WrongKind),
            Some(length) if length != key.len() => Err(KeyError::Malformed(
                "the secret has another length than the algorithm's keys",
            )),
            Some(_) => Ok(Self {
                management,
                content,
                material: Material::Symmetric(Zeroizing::new(key.to_vec())),
            }),
        }
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

    /// The plaintext, if this key opens it and nothing was changed.
    ///
    /// # Errors
    /// [`NotDecrypted`], whatever was wrong.
    pub fn open(
        &self,
        content: ContentEncryption,
        sealed: &Sealed<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, NotDecrypted> {
        //= https://www.rfc-editor.org/rfc/rfc7516#section-11.5
        //# When decrypting, the recipient MUST NOT distinguish between format, padding, and length errors of
        //# encrypted keys. It is strongly recommended, in the event of receiving an improperly formatted key,
        //# that the recipient substitute a randomly generated CEK and proceed to the next step
        let mut substitute = Zeroizing::new(vec![0; content.key_bytes()]);
        os::fill_random(&mut substitute);
        let key = match self.content_key(content, sealed) {
            Ok(key) if key.len() == content.key_bytes() => key,
            _ => substitute,
        };
        content.open(&key, sealed)
    }

    pub(super) fn content_key(
        &self,
        content: ContentEncryption,
        sealed: &Sealed<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, NotDecrypted> {
        match &self.material {
            Material::Rsa(key) => {
                let algorithm = oaep(self.management).ok_or(NotDecrypted)?;
                let mut room = Zeroizing::new(vec![0; key.min_output_size()]);
                let length = key
                    .decrypt(algorithm, sealed.encrypted_key, &mut room, None)
                    .map_err(|_| NotDecrypted)?
                    .len();
                room.truncate(length);
                Ok(room)
            }
            Material::Agreement(_, key) => {
                let ephemeral = sealed.ephemeral.ok_or(NotDecrypted)?;
                let wrapping = self.management.wrapping_bytes();
                // RFC 7518 §4.6.2: AlgorithmID is `enc` in Direct Key Agreement, and `alg` with Key Wrapping.
                let info = OtherInfo {
                    algorithm_id: match wrapping {
                        None => content.name(),
                        Some(_) => self.management.name(),
                    },
                    party_u: sealed.party_u,
                    party_v: sealed.party_v,
                };
                let length = wrapping.unwrap_or(content.key_bytes());
                let derived = agreement::derive(key, ephemeral, info, length)?;
                match wrapping {
                    None => Ok(derived),
                    Some(_) => {
                        wrap::unwrap(&derived, sealed.encrypted_key).map_err(|_| NotDecrypted)
                    }
                }
            }
            Material::Symmetric(key) if self.management == KeyManagement::Direct => {
                // RFC 8725 §3.1: one algorithm a key.
                if self.content != Some(content) {
                    return Err(NotDecrypted);
                }
                Ok(key.clone())
            }
            Material::Symmetric(key) => {
                wrap::unwrap(key, sealed.encrypted_key).map_err(|_| NotDecrypted)
            }
        }
    }

    /// The curve it agrees on.
    #[must_use]
    pub fn curve(&self) -> Option<AgreementCurve> {
        match &self.material {
            Material::Agreement(curve, _) => Some(*curve),
            _ => None,
        }
    }
}

const MISMATCH: KeyError =
    KeyError::Malformed("its private and public parts do not belong together");

/// RFC 7518 §4.3: RSAES-OAEP with the default parameters, or with SHA-256 and MGF1 with SHA-256.
pub(super) fn oaep(management: KeyManagement) -> Option<&'static OaepAlgorithm> {
    match management {
        KeyManagement::RsaOaep => Some(&OAEP_SHA1_MGF1SHA1),
        KeyManagement::RsaOaep256 => Some(&OAEP_SHA256_MGF1SHA256),
        _ => None,
    }
}

/// Says what it is for, never what it is made of.
impl std::fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DecryptionKey")
            .field("management", &self.management)
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

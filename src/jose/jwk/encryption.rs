//! Keys as JWE uses them (RFC 7517 §4.2 to §4.4, RFC 7518 §4): which ways of managing keys a key could serve, and the
//! key made ready for one of them.

use super::material::{Curve, Ec, Material};
use super::{Jwk, KeyUse};
use crate::crypto::KeyError;
use crate::crypto::encryption::{
    AgreementCurve, AgreementPoint, ContentEncryption, DecryptionKey, EncryptionKey, KeyManagement,
};
use crate::encoding::json::Object;
use zeroize::Zeroizing;

const OAEP: &[KeyManagement] = &[KeyManagement::RsaOaep, KeyManagement::RsaOaep256];

const AGREEMENT: &[KeyManagement] = &[
    KeyManagement::EcdhEs,
    KeyManagement::EcdhEsA128Kw,
    KeyManagement::EcdhEsA192Kw,
    KeyManagement::EcdhEsA256Kw,
];

/// What `alg` says of a key for encryption, where it says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncryptionAlg {
    /// A way of managing keys.
    Management(KeyManagement),
    /// The content encryption that the key does itself: its way is `dir`.
    Content(ContentEncryption),
}

impl EncryptionAlg {
    /// The one with this registered name.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        KeyManagement::from_name(name)
            .map(Self::Management)
            .or_else(|| ContentEncryption::from_name(name).map(Self::Content))
    }

    /// The registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Management(management) => management.name(),
            Self::Content(content) => content.name(),
        }
    }

    pub(super) fn fits(self, material: &Material) -> bool {
        match self {
            Self::Management(management) => managements(material).contains(&management),
            Self::Content(content) => {
                matches!(material, Material::Oct { k } if k.len() == content.key_bytes())
            }
        }
    }
}

impl Jwk {
    /// A private key for X25519.
    #[must_use]
    pub fn from_x25519(x: [u8; 32], d: Zeroizing<Vec<u8>>) -> Self {
        Self::bare(Material::X25519 { x, d: Some(d) })
    }

    /// The same key, for encryption in one way only, under this name.
    ///
    /// # Errors
    /// [`KeyError::WrongKind`] where its material cannot serve so.
    pub fn into_encryption_key(self, kid: &str, alg: EncryptionAlg) -> Result<Self, KeyError> {
        if !alg.fits(&self.material) {
            return Err(KeyError::WrongKind);
        }
        Ok(Self {
            kid: Some(kid.into()),
            alg: None,
            key_use: KeyUse::Other,
            encryption_alg: Some(alg),
            may_encrypt: true,
            issuer: None,
            material: self.material,
        })
    }

    /// The ways of managing keys that this key's material could serve, before any policy.
    #[must_use]
    pub fn managements(&self) -> &'static [KeyManagement] {
        managements(&self.material)
    }

    /// The way it is used: the one it names, else the first of these that it could serve; with `dir`, the content
    /// encryption too.
    ///
    /// # Errors
    /// Why it is used in none of them, as the end of a sentence about it.
    pub fn pin_management(
        &self,
        algorithms: &[KeyManagement],
        encodings: &[ContentEncryption],
    ) -> Result<(KeyManagement, Option<ContentEncryption>), String> {
        if !self.may_encrypt {
            return Err("its use, key_ops or alg do not include encryption".to_owned());
        }
        let (named, content) = match self.encryption_alg {
            None => (None, None),
            Some(EncryptionAlg::Management(management)) => (Some(management), None),
            Some(EncryptionAlg::Content(content)) => (Some(KeyManagement::Direct), Some(content)),
        };
        let management = match named {
            Some(named) if algorithms.contains(&named) => named,
            Some(named) => {
                return Err(format!("its alg {named} is not among the accepted ones"));
            }
            None => *algorithms
                .iter()
                .find(|algorithm| self.managements().contains(algorithm))
                .ok_or("none of the accepted algorithms fits a key of its type and length")?,
        };
        if management != KeyManagement::Direct {
            return Ok((management, None));
        }
        let fits = |encoding: &&ContentEncryption| {
            content.is_none_or(|content| content == **encoding)
                && EncryptionAlg::Content(**encoding).fits(&self.material)
        };
        let content = encodings.iter().find(fits);
        let content = content.ok_or("none of the accepted encodings fits its length")?;
        Ok((management, Some(*content)))
    }

    /// The private key pinned to one way of managing keys, and with `dir` to one content encryption.
    ///
    /// # Errors
    /// [`KeyError`] where the material does not fit, is too weak, or is public only.
    pub fn decryption_key(
        &self,
        management: KeyManagement,
        content: Option<ContentEncryption>,
    ) -> Result<DecryptionKey, KeyError> {
        const PUBLIC: KeyError = KeyError::Malformed("the key has no private part");
        match &self.material {
            Material::Rsa(rsa) => {
                let private = rsa.private.as_ref().ok_or(PUBLIC)?;
                let crt = private
                    .crt
                    .as_ref()
                    .ok_or(KeyError::Malformed("p, q, dp, dq and qi are missing"))?;
                let crt = crt.each_ref().map(|value| value.as_slice());
                DecryptionKey::rsa(management, [&rsa.n, &rsa.e], &private.d, crt)
            }
            Material::Ec(ec) => {
                let d = ec.d.as_ref().ok_or(PUBLIC)?;
                DecryptionKey::agreement(management, &ec_point(ec)?, d)
            }
            Material::X25519 { x, d } => {
                let d = d.as_ref().ok_or(PUBLIC)?;
                let point = AgreementPoint::new(AgreementCurve::X25519, x, None)?;
                DecryptionKey::agreement(management, &point, d)
            }
            Material::Oct { k } => DecryptionKey::symmetric(management, content, k),
            Material::Ed25519 { .. } => Err(KeyError::WrongKind),
        }
    }

    /// The key to encrypt to, pinned likewise.
    ///
    /// # Errors
    /// [`KeyError`] where the material does not fit or is too weak.
    pub fn encryption_key(
        &self,
        management: KeyManagement,
        content: Option<ContentEncryption>,
    ) -> Result<EncryptionKey, KeyError> {
        match &self.material {
            Material::Rsa(rsa) => EncryptionKey::rsa(management, &rsa.n, &rsa.e),
            Material::Ec(ec) => EncryptionKey::agreement(management, ec_point(ec)?),
            Material::X25519 { x, .. } => {
                let point = AgreementPoint::new(AgreementCurve::X25519, x, None)?;
                EncryptionKey::agreement(management, point)
            }
            Material::Oct { k } => EncryptionKey::symmetric(management, content, k),
            Material::Ed25519 { .. } => Err(KeyError::WrongKind),
        }
    }

    /// The public members as a JWK to encrypt to, under this name. `None` for a shared key, which has none.
    #[must_use]
    pub fn to_public_encryption_json(
        &self,
        kid: &str,
        management: KeyManagement,
    ) -> Option<String> {
        let members = self.material.public_members()?;
        let json = self.json_with(&members, Some(kid), Some(management.name()), Some("enc"));
        Some(json.as_str().to_owned())
    }

    /// `use`, where it is one that we know.
    pub(super) fn use_name(&self) -> Option<&'static str> {
        match self.key_use {
            KeyUse::Verify => Some("sig"),
            KeyUse::Other => self.may_encrypt.then_some("enc"),
        }
    }
}

/// RFC 7517 §4.2 and §4.3: absent members restrict nothing, present ones must each allow it. What may be done with a
/// private key is done with its public half the other way round.
pub(super) fn may_encrypt(object: &Object<'_>) -> Result<bool, &'static str> {
    const OPERATIONS: [&str; 6] = [
        "encrypt",
        "decrypt",
        "wrapKey",
        "unwrapKey",
        "deriveKey",
        "deriveBits",
    ];
    let mut may = true;
    if let Some(value) = object.get("use") {
        may &= value.as_str().ok_or("use is not a string")? == "enc";
    }
    if let Some(value) = object.get("key_ops") {
        let operations = value
            .as_strings()
            .ok_or("key_ops is not an array of strings")?;
        may &= operations
            .iter()
            .any(|operation| OPERATIONS.contains(&&**operation));
    }
    Ok(may)
}

fn managements(material: &Material) -> &'static [KeyManagement] {
    match material {
        Material::Rsa(_) => OAEP,
        Material::Ec(ec) if ec.curve != Curve::Secp256k1 => AGREEMENT,
        Material::X25519 { .. } => AGREEMENT,
        Material::Ec(_) | Material::Ed25519 { .. } => &[],
        Material::Oct { k } => match k.len() {
            16 => &[KeyManagement::A128Kw, KeyManagement::Direct],
            32 => &[KeyManagement::A256Kw, KeyManagement::Direct],
            24 => &[KeyManagement::A192Kw, KeyManagement::Direct],
            48 | 64 => &[KeyManagement::Direct],
            _ => &[],
        },
    }
}

fn ec_point(ec: &Ec) -> Result<AgreementPoint, KeyError> {
    let curve = match ec.curve {
        Curve::P256 => AgreementCurve::P256,
        Curve::P384 => AgreementCurve::P384,
        Curve::P521 => AgreementCurve::P521,
        Curve::Secp256k1 => return Err(KeyError::WrongKind),
    };
    AgreementPoint::new(curve, &ec.x, Some(&ec.y))
}

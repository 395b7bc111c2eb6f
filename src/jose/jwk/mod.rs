//! JSON Web Keys and JWK Sets (RFC 7517, RFC 7518 §6, RFC 8037 §2, RFC 8812 §3.1), and keys in PEM.
//!
//! A key is typed from its first byte on: what was read as an RSA or EC key can never serve as HMAC bytes
//! (RFC 8725 §2.1). This room reads keys and describes them; whether one may be used for a token is
//! decided elsewhere.

pub mod danger;
mod encryption;
mod material;
mod pem;
mod set;

#[cfg(test)]
mod tests;

pub use encryption::EncryptionAlg;
pub use material::Curve;
pub use set::{JwkSet, Skipped};

use super::header::key_id;
use super::{Algorithm, JoseError};
use crate::crypto::{KeyError, Scheme, VerifyingKey};
use crate::encoding::base64url;
use crate::encoding::json::Object;
use crate::limits::JWKS_BYTES_MAX;
use material::Material;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What a key may be used for (`use`, RFC 7517 §4.2, and `key_ops`, §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUse {
    /// Signatures may be verified with it.
    Verify,
    /// Only other things may be done with it.
    Other,
}

/// One key of a set, its material kept as bytes and, where secret, erased when dropped.
pub struct Jwk {
    /// `kid` (§4.5).
    pub kid: Option<Arc<str>>,
    /// `alg` (§4.4), when it names a JWS algorithm jotd verifies.
    pub alg: Option<Algorithm>,
    /// `use`, `key_ops` and `alg` together: an `alg` that is no JWS algorithm of ours says
    /// [`KeyUse::Other`] too, so that a key for encryption is never taken for one without an `alg`.
    pub key_use: KeyUse,
    /// `alg` (§4.4), when it names a way of encrypting that jotd offers.
    pub encryption_alg: Option<EncryptionAlg>,
    /// Whether `use`, `key_ops` and `alg` leave it open to encrypt to this key, and to decrypt with it.
    pub may_encrypt: bool,
    /// `issuer`, which no RFC knows: Microsoft Entra says by it whose tokens a key of many tenants may sign.
    pub issuer: Option<Arc<str>>,
    material: Material,
}

impl Jwk {
    /// One JWK document.
    ///
    /// # Errors
    /// [`JoseError`] where it is no usable JWK.
    pub fn parse(json: &[u8]) -> Result<Self, JoseError> {
        if json.len() > JWKS_BYTES_MAX {
            return Err(JoseError::TooLarge {
                what: "JWK",
                limit_bytes: JWKS_BYTES_MAX,
            });
        }
        let object = Object::parse(json).map_err(|error| JoseError::Malformed(error.rule))?;
        Self::from_object(&object).map_err(JoseError::Malformed)
    }

    /// A public (or private: its public half is taken) key in PEM: SPKI, PKCS#1, PKCS#8, SEC1, certificate.
    ///
    /// Of several PEM blocks the first that holds a key counts; `EC PARAMETERS`, which some tools write in
    /// front, is passed over.
    ///
    /// # Errors
    /// [`JoseError::Malformed`].
    pub fn from_pem(pem: &str) -> Result<Self, JoseError> {
        pem::parse(pem)
            .map(Self::bare)
            .map_err(JoseError::Malformed)
    }

    /// An HMAC secret given as raw bytes.
    #[must_use]
    pub fn from_secret(secret: &[u8]) -> Self {
        Self::bare(Material::Oct {
            k: Zeroizing::new(secret.to_vec()),
        })
    }

    /// The key type (RFC 7518 §6.1).
    #[must_use]
    pub fn kty(&self) -> &'static str {
        self.material.kty()
    }

    /// The curve, for the key types that have one.
    #[must_use]
    pub fn crv(&self) -> Option<&'static str> {
        self.material.crv()
    }

    /// Size in bits: of the modulus, the curve's field, or the secret.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.material.bits()
    }

    /// Whether it holds a private or secret part.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.material.is_private()
    }

    /// The schemes that this key's material could serve, before any policy.
    #[must_use]
    pub fn schemes(&self) -> &'static [Scheme] {
        self.material.schemes()
    }

    /// The key pinned to one scheme.
    ///
    /// # Errors
    /// [`KeyError`] where the material does not fit or is too weak.
    pub fn verifying_key(&self, scheme: Scheme) -> Result<VerifyingKey, KeyError> {
        if !self.schemes().contains(&scheme) {
            return Err(KeyError::WrongKind);
        }
        match &self.material {
            Material::Rsa(rsa) => VerifyingKey::rsa(scheme, &rsa.n, &rsa.e),
            Material::Ec(ec) => VerifyingKey::ec(scheme, &ec.x, &ec.y),
            Material::Ed25519 { x, .. } => VerifyingKey::ed25519(x),
            Material::X25519 { .. } => Err(KeyError::WrongKind),
            Material::Oct { k } if material::is_text_of_a_key(k) => {
                Err(KeyError::Malformed("the secret is the text of a key"))
            }
            Material::Oct { k } => VerifyingKey::hmac(scheme, k),
        }
    }

    /// The RFC 7638 SHA-256 thumbprint, base64url. For an HMAC secret it is a hash of the secret, which is
    /// as public as any guess can be checked against it: do not publish it (RFC 7638 §7).
    #[must_use]
    pub fn thumbprint(&self) -> String {
        // RFC 7638 §3.3: the required members only, in lexicographic order, without whitespace.
        let canonical = self.material.canonical_json();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
        base64url::encode_string(digest.as_ref())
    }

    /// The public members as one JWK, for publishing: `kty` and material, then `kid`, `alg` and `use`.
    /// `None` for an HMAC secret, which has no public half.
    #[must_use]
    pub fn to_public_json(&self) -> Option<String> {
        let members = self.material.public_members()?;
        Some(self.json_of(&members).as_str().to_owned())
    }

    fn bare(material: Material) -> Self {
        Self {
            kid: None,
            alg: None,
            key_use: KeyUse::Verify,
            encryption_alg: None,
            may_encrypt: true,
            issuer: None,
            material,
        }
    }

    fn from_object(object: &Object<'_>) -> Result<Self, &'static str> {
        let material = Material::from_object(object)?;
        let kid = match object.get("kid") {
            None => None,
            Some(value) => Some(key_id(value).map_err(|error| match error {
                JoseError::Malformed(rule) => rule,
                _ => "the kid is too long",
            })?),
        };
        let mut key_use = key_use(object, &material)?;
        let mut may_encrypt = encryption::may_encrypt(object)?;
        let mut encryption_alg = None;
        let alg = match object.get("alg") {
            None => None,
            Some(value) => {
                let name = value.as_str().ok_or("alg is not a string")?;
                let alg = Algorithm::from_name(&name);
                match alg {
                    None => {
                        key_use = KeyUse::Other;
                        encryption_alg = EncryptionAlg::from_name(&name);
                        if encryption_alg.is_some_and(|alg| !alg.fits(&material)) {
                            return Err("alg does not fit kty and crv");
                        }
                        may_encrypt &= encryption_alg.is_some();
                    }
                    Some(alg) if !material.schemes().contains(&alg.scheme()) => {
                        return Err("alg does not fit kty and crv");
                    }
                    Some(_) => may_encrypt = false,
                }
                alg
            }
        };
        Ok(Self {
            kid,
            alg,
            key_use,
            encryption_alg,
            may_encrypt,
            issuer: object
                .get("issuer")
                .and_then(|value| Some(value.as_str()?.into())),
            material,
        })
    }

    /// A JWK of these material members and the key's description.
    fn json_of(&self, members: &[(&str, Zeroizing<String>)]) -> Zeroizing<String> {
        let alg = self.alg.map(Algorithm::name);
        let alg = alg.or(self.encryption_alg.map(EncryptionAlg::name));
        self.json_with(members, self.kid.as_deref(), alg, self.use_name())
    }

    fn json_with(
        &self,
        members: &[(&str, Zeroizing<String>)],
        kid: Option<&str>,
        alg: Option<&str>,
        use_name: Option<&str>,
    ) -> Zeroizing<String> {
        let mut json = Zeroizing::new(String::with_capacity(4096));
        json.push_str("{\"kty\":\"");
        json.push_str(self.kty());
        json.push('"');
        for (name, value) in members {
            for part in [",\"", name, "\":\"", value, "\""] {
                json.push_str(part);
            }
        }
        if let Some(kid) = kid {
            let mut quoted = Vec::new();
            crate::encoding::json::write_string(kid, &mut quoted);
            json.push_str(",\"kid\":");
            json.push_str(&String::from_utf8_lossy(&quoted));
        }
        for (name, value) in [("alg", alg), ("use", use_name)] {
            let Some(value) = value else { continue };
            for part in [",\"", name, "\":\"", value, "\""] {
                json.push_str(part);
            }
        }
        json.push('}');
        json
    }
}

/// Says what kind of key it is, never its material.
impl fmt::Debug for Jwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwk")
            .field("kid", &self.kid)
            .field("kty", &self.kty())
            .field("crv", &self.crv())
            .field("bits", &self.bits())
            .field("alg", &self.alg)
            .field("key_use", &self.key_use)
            .finish_non_exhaustive()
    }
}

/// RFC 7517 §4.2 and §4.3: absent members restrict nothing, present ones must each allow verifying.
fn key_use(object: &Object<'_>, material: &Material) -> Result<KeyUse, &'static str> {
    let mut may_verify = true;
    if let Some(value) = object.get("use") {
        // "jwt-svid" is what SPIFFE calls it (SPIFFE Trust Domain and Bundle §4.2.2).
        let key_use = value.as_str().ok_or("use is not a string")?;
        may_verify &= key_use == "sig" || key_use == "jwt-svid";
    }
    if let Some(value) = object.get("key_ops") {
        let mut operations = value
            .as_strings()
            .ok_or("key_ops is not an array of strings")?;
        // What a private key may sign, its public half may verify; for an HMAC secret the two differ.
        let signs_for_us = material.is_private() && !matches!(material, Material::Oct { .. });
        may_verify &= operations
            .iter()
            .any(|operation| operation == "verify" || (operation == "sign" && signs_for_us));
        operations.sort_unstable();
        if operations
            .windows(2)
            .any(|pair| pair.first() == pair.last())
        {
            // RFC 7517 §4.3: duplicate key operation values MUST NOT be present in the array.
            return Err("key_ops names an operation twice");
        }
    }
    Ok(if may_verify {
        KeyUse::Verify
    } else {
        KeyUse::Other
    })
}

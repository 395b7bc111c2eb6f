//! Encrypts signed tokens to whoever shall read them (RFC 7516, RFC 7519 §5.2), and makes the keys for it.
//!
//! Only signed tokens: what is merely encrypted vouches for nobody. Nothing is compressed (RFC 8725 §3.6).
#![forbid(unsafe_code)]

use super::claims::ObjectWriter;
use super::{SigningError, signer};
use crate::crypto::KeyError;
use crate::crypto::encryption::{AgreementCurve, AgreementPoint, EncryptionKey};
use crate::encoding::base64url;
use crate::jose::{Algorithm, ContentEncryption, EncryptionAlg, Jwk, KeyManagement};
use aws_lc_rs::agreement::{PrivateKey, X25519};
use aws_lc_rs::encoding::{AsBigEndian, Curve25519SeedBin};
use serde_json::{Value, json};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Whom tokens are encrypted to, and how.
#[derive(Debug)]
pub struct Recipient {
    key: EncryptionKey,
    encoding: ContentEncryption,
    kid: Option<Arc<str>>,
}

/// Why nothing can be encrypted to a key. Names the fault, never material.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncryptError {
    /// The key is for other things, or in other ways.
    #[error("the key cannot be encrypted to: {0}")]
    Unfit(String),
    /// The material is refused.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A size or curve that is not offered.
    #[error("no key for {0} of that size or curve")]
    Size(KeyManagement),
    /// The system gave no randomness, or the library refused a sound request.
    #[error("the cryptographic library failed")]
    Library,
}

/// What a key that names nothing is used for: the first of these that fits it.
const USUAL_ALGORITHMS: [KeyManagement; 10] = [
    KeyManagement::RsaOaep256,
    KeyManagement::EcdhEsA256Kw,
    KeyManagement::A256Kw,
    KeyManagement::A192Kw,
    KeyManagement::A128Kw,
    KeyManagement::RsaOaep,
    KeyManagement::EcdhEsA192Kw,
    KeyManagement::EcdhEsA128Kw,
    KeyManagement::EcdhEs,
    KeyManagement::Direct,
];

/// How contents are encrypted where nobody says otherwise; by a key for `dir`, the first that fits its length.
const USUAL_ENCODINGS: [ContentEncryption; 6] = [
    ContentEncryption::A256Gcm,
    ContentEncryption::A128Gcm,
    ContentEncryption::A192Gcm,
    ContentEncryption::A256CbcHs512,
    ContentEncryption::A192CbcHs384,
    ContentEncryption::A128CbcHs256,
];

impl Recipient {
    /// The owner of a public key, or who shares a secret one. Without an algorithm or encoding, those that the key names
    /// or the usual ones of its type.
    ///
    /// # Errors
    /// [`EncryptError`] where the key is not for that.
    pub fn new(
        jwk: &Jwk,
        algorithm: Option<KeyManagement>,
        encoding: Option<ContentEncryption>,
    ) -> Result<Self, EncryptError> {
        let algorithms = algorithm
            .as_ref()
            .map_or(&USUAL_ALGORITHMS[..], std::slice::from_ref);
        let encodings = encoding
            .as_ref()
            .map_or(&USUAL_ENCODINGS[..], std::slice::from_ref);
        let (management, content) = jwk
            .pin_management(algorithms, encodings)
            .map_err(EncryptError::Unfit)?;
        let kid = match jwk.kty() {
            // A hash of a secret is not for everyone's eyes (RFC 7638 §7).
            "oct" => jwk.kid.clone(),
            _ => jwk.kid.clone().or_else(|| Some(jwk.thumbprint().into())),
        };
        Ok(Self {
            key: jwk.encryption_key(management, content)?,
            encoding: content.or(encoding).unwrap_or(ContentEncryption::A256Gcm),
            kid,
        })
    }

    /// A signed token, encrypted, in compact serialization (RFC 7516 §5.1).
    ///
    /// # Errors
    /// [`EncryptError::Library`].
    pub fn encrypt(&self, token: &str) -> Result<String, EncryptError> {
        let key = self
            .key
            .content_key(self.encoding)
            .map_err(|_| EncryptError::Library)?;
        let mut json = ObjectWriter::new();
        json.member("alg", self.key.management().name());
        json.member("enc", self.encoding.name());
        json.member("cty", "JWT");
        if let Some(kid) = &self.kid {
            json.member("kid", &**kid);
        }
        if let Some(ephemeral) = &key.ephemeral {
            json.member("epk", &public_jwk(ephemeral));
        }
        let header = base64url::encode_string(json.finish().as_bytes());
        let encrypted_key = base64url::encode_string(&key.encrypted_key);
        let sealed = key
            .seal(header.as_bytes(), token.as_bytes())
            .map_err(|_| EncryptError::Library)?;
        let [iv, ciphertext, tag] = [&sealed.iv, &sealed.ciphertext, &sealed.tag]
            .map(|octets| base64url::encode_string(octets));
        Ok(format!("{header}.{encrypted_key}.{iv}.{ciphertext}.{tag}"))
    }
}

/// RFC 7518 §4.6.1.1: no more members than it takes.
fn public_jwk(point: &AgreementPoint) -> Value {
    let curve = point.curve();
    let (x, y) = point.coordinates();
    let mut jwk =
        json!({ "kty": curve.kty(), "crv": curve.name(), "x": base64url::encode_string(x) });
    if let Some(y) = y {
        jwk["y"] = base64url::encode_string(y).into();
    }
    jwk
}

/// A fresh private or shared key for one way of managing keys, named at random. RSA has 2048 bits unless 3072 or 4096 are
/// asked for, agreement X25519 unless another curve is; a key for `dir` is for one encoding.
///
/// # Errors
/// [`EncryptError::Size`] for what is not offered, or [`EncryptError::Library`] without randomness.
pub fn generate(
    algorithm: KeyManagement,
    bits: Option<usize>,
    curve: Option<AgreementCurve>,
    encoding: Option<ContentEncryption>,
) -> Result<Jwk, EncryptError> {
    let refused = || EncryptError::Size(algorithm);
    let fits = match algorithm {
        KeyManagement::RsaOaep | KeyManagement::RsaOaep256 => curve.is_none(),
        _ if algorithm.is_agreement() => bits.is_none(),
        _ => bits.is_none() && curve.is_none(),
    };
    if !fits || encoding.is_some() != (algorithm == KeyManagement::Direct) {
        return Err(refused());
    }
    let material = match algorithm {
        KeyManagement::RsaOaep | KeyManagement::RsaOaep256 => {
            signer::generate(Algorithm::Rs256, bits).map_err(|error| match error {
                SigningError::Size { .. } => refused(),
                _ => EncryptError::Library,
            })?
        }
        KeyManagement::EcdhEs
        | KeyManagement::EcdhEsA128Kw
        | KeyManagement::EcdhEsA192Kw
        | KeyManagement::EcdhEsA256Kw => {
            let of_curve =
                |algorithm| signer::generate(algorithm, None).map_err(|_| EncryptError::Library);
            match curve.unwrap_or(AgreementCurve::X25519) {
                AgreementCurve::P256 => of_curve(Algorithm::Es256)?,
                AgreementCurve::P384 => of_curve(Algorithm::Es384)?,
                AgreementCurve::P521 => of_curve(Algorithm::Es512)?,
                AgreementCurve::X25519 => x25519()?,
            }
        }
        KeyManagement::A128Kw => shared(16),
        KeyManagement::A192Kw => shared(24),
        KeyManagement::A256Kw => shared(32),
        KeyManagement::Direct => shared(encoding.ok_or_else(refused)?.key_bytes()),
    };
    let kid = super::random_id().map_err(|_| EncryptError::Library)?;
    let alg = match encoding {
        Some(encoding) => EncryptionAlg::Content(encoding),
        None => EncryptionAlg::Management(algorithm),
    };
    material
        .into_encryption_key(&kid, alg)
        .map_err(|_| EncryptError::Library)
}

fn shared(bytes: usize) -> Jwk {
    let mut secret = Zeroizing::new(vec![0; bytes]);
    crate::os::fill_random(&mut secret);
    Jwk::from_secret(&secret)
}

fn x25519() -> Result<Jwk, EncryptError> {
    let failed = |_| EncryptError::Library;
    let private = PrivateKey::generate(&X25519).map_err(failed)?;
    let seed: Curve25519SeedBin<'_> = private.as_be_bytes().map_err(failed)?;
    let d = Zeroizing::new(seed.as_ref().to_vec());
    let public = private.compute_public_key().map_err(failed)?;
    let x = <[u8; 32]>::try_from(public.as_ref()).map_err(|_| EncryptError::Library)?;
    Ok(Jwk::from_x25519(x, d))
}

#[cfg(test)]
mod tests;

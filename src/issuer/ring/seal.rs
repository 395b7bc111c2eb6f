//! Private keys sealed for the disk: a JWK in a JWE, as RFC 7517 §7 has it, so that other tools open it too.
//!
//! Under a key of 256 bits that is `dir` with `A256GCM`; under a passphrase, `PBES2-HS512+A256KW` (RFC 7518 §4.8)
//! with `A256GCM`. Both are aws-lc-rs' own primitives: a library for sealed files would bring a second
//! cryptographic one. What is read here are our own files; tokens are another matter, and another reader's.

use crate::encoding::base64url;
use crate::issuer::{SigningError, SigningKey, danger};
use crate::jose::Jwk;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap as _};
use aws_lc_rs::{pbkdf2, rand};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU32;
use zeroize::Zeroizing;

/// Rounds of PBKDF2-HMAC-SHA-512, as OWASP's cheat sheet of 2023 asks.
const ROUNDS: u32 = 210_000;

/// Most rounds that a file may ask of us: some seconds.
const ROUNDS_MAX: u32 = 10_000_000;

const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;

/// How a ring's private keys are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sealed {
    /// Under a key of 256 bits.
    Kek,
    /// Under a passphrase.
    Passphrase,
}

/// What private keys are sealed under.
pub enum Sealing {
    /// A key of 256 bits.
    Kek(Zeroizing<[u8; 32]>),
    /// A passphrase.
    Passphrase(Zeroizing<Vec<u8>>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    enc: String,
    cty: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p2s: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p2c: Option<NonZeroU32>,
}

const DIR: &str = "dir";
const PBES2: &str = "PBES2-HS512+A256KW";
const ENC: &str = "A256GCM";
const CTY: &str = "jwk+json";

impl Sealing {
    /// A key of 256 bits out of what a secret's source held: 32 bytes, or their base64url.
    ///
    /// # Errors
    /// [`SigningError::Private`] where it is neither.
    pub fn kek(secret: &[u8]) -> Result<Self, SigningError> {
        let text = secret.trim_ascii();
        let decoded = base64url::decode_vec(text).map(Zeroizing::new);
        let octets = match &decoded {
            Ok(octets) if octets.len() == KEY_BYTES => octets,
            _ => secret,
        };
        let key = <[u8; KEY_BYTES]>::try_from(octets);
        key.map(|key| Self::Kek(Zeroizing::new(key)))
            .map_err(|_| SigningError::Private("the KEK is not 32 bytes, nor base64url of them"))
    }

    /// Which kind it is.
    #[must_use]
    pub fn sealed(&self) -> Sealed {
        match self {
            Self::Kek(_) => Sealed::Kek,
            Self::Passphrase(_) => Sealed::Passphrase,
        }
    }

    /// Seals a private key as a compact JWE (RFC 7516 §7.1).
    ///
    /// # Errors
    /// [`SigningError`] for a key whose private half is not here, or without randomness.
    pub fn seal(&self, key: &SigningKey) -> Result<String, SigningError> {
        let mut jwk = Zeroizing::new(danger::to_private_jwk(key)?.as_bytes().to_vec());
        let mut header = Header {
            alg: DIR.to_owned(),
            enc: ENC.to_owned(),
            cty: CTY.to_owned(),
            kid: key.kid().map(str::to_owned),
            p2s: None,
            p2c: None,
        };
        let (content_key, wrapped) = match self {
            Self::Kek(kek) => (kek.clone(), Vec::new()),
            Self::Passphrase(passphrase) => {
                let salt: [u8; 16] = random()?;
                let rounds = NonZeroU32::new(ROUNDS).ok_or(SigningError::Library)?;
                header.alg = PBES2.to_owned();
                header.p2s = Some(base64url::encode_string(&salt));
                header.p2c = Some(rounds);
                let content_key = Zeroizing::new(random::<KEY_BYTES>()?);
                let mut wrapped = vec![0; KEY_BYTES + 8];
                kek_of(passphrase, &salt, rounds)?
                    .wrap(content_key.as_slice(), &mut wrapped)
                    .map_err(|_| SigningError::Library)?;
                (content_key, wrapped)
            }
        };
        let header = serde_json::to_string(&header).map_err(|_| SigningError::Library)?;
        let protected = base64url::encode_string(header.as_bytes());
        let nonce: [u8; NONCE_LEN] = random()?;
        let tag = gcm(&content_key)?
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(protected.as_bytes()),
                &mut jwk,
            )
            .map_err(|_| SigningError::Library)?;
        Ok([
            protected.as_str(),
            &base64url::encode_string(&wrapped),
            &base64url::encode_string(&nonce),
            &base64url::encode_string(&jwk),
            &base64url::encode_string(tag.as_ref()),
        ]
        .join("."))
    }

    /// Opens a private key that was sealed.
    ///
    /// # Errors
    /// [`SigningError::Sealed`] where this does not open it, without a word on what of it was wrong.
    pub fn open(&self, jwe: &str) -> Result<SigningKey, SigningError> {
        let parts: Vec<&str> = jwe.trim_ascii().split('.').collect();
        let [protected, wrapped, nonce, sealed, tag] = parts[..] else {
            return Err(SigningError::Sealed);
        };
        let header: Header =
            serde_json::from_slice(&octets(protected)?).map_err(|_| SigningError::Sealed)?;
        if (header.enc.as_str(), header.cty.as_str()) != (ENC, CTY) {
            return Err(SigningError::Sealed);
        }
        let wrapped = octets(wrapped)?;
        let content_key = match (self, header.alg.as_str(), header.p2s, header.p2c) {
            (Self::Kek(kek), DIR, None, None) if wrapped.is_empty() => kek.clone(),
            (Self::Passphrase(passphrase), PBES2, Some(salt), Some(rounds))
                if rounds.get() <= ROUNDS_MAX =>
            {
                let mut content_key = Zeroizing::new([0; KEY_BYTES]);
                // The function wants room for the check value as well.
                let mut unwrapped = Zeroizing::new([0; KEY_BYTES + 8]);
                let unwrapped = kek_of(passphrase, &octets(&salt)?, rounds)?
                    .unwrap(&wrapped, unwrapped.as_mut_slice())
                    .map_err(|_| SigningError::Sealed)?;
                if unwrapped.len() != KEY_BYTES {
                    return Err(SigningError::Sealed);
                }
                content_key.copy_from_slice(unwrapped);
                content_key
            }
            _ => return Err(SigningError::Sealed),
        };
        let nonce = <[u8; NONCE_LEN]>::try_from(octets(nonce)?.as_slice());
        let tag = octets(tag)?;
        let mut text = octets(sealed)?;
        if tag.len() != TAG_BYTES {
            return Err(SigningError::Sealed);
        }
        text.extend_from_slice(&tag);
        let jwk = gcm(&content_key)?
            .open_in_place(
                Nonce::assume_unique_for_key(nonce.map_err(|_| SigningError::Sealed)?),
                Aad::from(protected.as_bytes()),
                &mut text,
            )
            .map_err(|_| SigningError::Sealed)?;
        let jwk = Jwk::parse(jwk).map_err(|_| SigningError::Sealed)?;
        SigningKey::from_jwk(&jwk)
    }
}

/// Says of which kind it is, never what it is.
impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealing({:?})", self.sealed())
    }
}

/// RFC 7518 §4.8.1.1: the salt is the algorithm's name, a zero octet, and what the header gives.
fn kek_of(passphrase: &[u8], salt: &[u8], rounds: NonZeroU32) -> Result<AesKek, SigningError> {
    let salt = [PBES2.as_bytes(), &[0], salt].concat();
    let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA512,
        rounds,
        &salt,
        passphrase,
        key.as_mut_slice(),
    );
    AesKek::new(&AES_256, key.as_slice()).map_err(|_| SigningError::Library)
}

fn gcm(key: &[u8; KEY_BYTES]) -> Result<LessSafeKey, SigningError> {
    let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| SigningError::Library)?;
    Ok(LessSafeKey::new(key))
}

fn octets(text: &str) -> Result<Zeroizing<Vec<u8>>, SigningError> {
    let octets = base64url::decode_vec(text.as_bytes()).map_err(|_| SigningError::Sealed)?;
    Ok(Zeroizing::new(octets))
}

fn random<const BYTES: usize>() -> Result<[u8; BYTES], SigningError> {
    let mut octets = [0; BYTES];
    rand::fill(&mut octets).map_err(|_| SigningError::Library)?;
    Ok(octets)
}

//! Makes keys and signs tokens with them. Private keys are used in this room and leave it through
//! [`danger`] only.
//!
//! It refuses a key without its private half, a private half that does not belong to its public one, and
//! more than one algorithm a key. Whatever it issues, the verifier's strict reader accepts. It reads no
//! clock and no file: whoever asks brings the time, and stores what is exported.
#![forbid(unsafe_code)]

mod claims;
pub mod danger;
mod encrypt;
pub mod ring;
mod signer;

pub use claims::Claims;
pub use encrypt::{EncryptError, Recipient, generate as generate_encryption_key};
pub use signer::RemoteSigner;

use crate::crypto::{Check, KeyError, Outcome, VerifyingKey, verify_batch};
use crate::encoding::base64url;
use crate::jose::{Algorithm, Jwk};
use crate::limits;
use claims::ObjectWriter;
use serde_json::{Map, Value};
use signer::Signer;
use zeroize::Zeroizing;

/// A private key (or HMAC secret), pinned to one algorithm (RFC 8725 §3.1).
pub struct SigningKey {
    algorithm: Algorithm,
    signer: Signer,
    verifying: VerifyingKey,
    /// The key itself, its private part erased when dropped, for the public half and for [`danger`].
    jwk: Jwk,
}

/// The members of a protected header (RFC 7515 §4) besides `alg` and `kid`, which are the key's.
#[derive(Clone, Debug)]
pub struct ProtectedHeader {
    /// `typ` (RFC 7519 §5.1): `JWT`, or a kind of its own such as `at+jwt` (RFC 9068 §2.1).
    pub typ: Option<String>,
    /// Further members.
    pub extra: Map<String, Value>,
}

/// Why a key could not be made, read or used. Names the fault, never material.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// There is only a public key.
    #[error("the key has no private part")]
    PublicOnly,
    /// An RSA or HMAC key could serve several algorithms, and none is named.
    #[error("the key names no algorithm and could serve several: name one")]
    AlgorithmMissing,
    /// Another algorithm was asked for than the key names.
    #[error("the key is for {0} alone")]
    AlgorithmPinned(Algorithm),
    /// The public half is refused.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The private half is incomplete or not of its public half.
    #[error("the private key is not usable: {0}")]
    Private(&'static str),
    /// What a private key is sealed under does not open it, or it was changed.
    #[error("the private key is sealed, and what was given does not open it")]
    Sealed,
    /// Where the private key stays, no signature was made.
    #[error("the key's module did not sign: {0}")]
    Remote(Box<str>),
    /// A size that is not offered.
    #[error("no {algorithm} key of {bits} bits: {offered}")]
    Size {
        /// For this algorithm.
        algorithm: Algorithm,
        /// The size asked for.
        bits: usize,
        /// What there is.
        offered: &'static str,
    },
    /// A `kid` longer than any verifier takes.
    #[error("the kid is longer than {} bytes", limits::KID_BYTES_MAX)]
    KidTooLong,
    /// A header member or claim that the issuer itself writes.
    #[error("{0} is written by the issuer and cannot be given as an extra member")]
    Reserved(String),
    /// A signature failed its own verification and was withheld: the machine is faulty.
    #[error("a signature failed its own verification and was withheld")]
    Faulty,
    /// The system gave no randomness, or the library refused a sound request.
    #[error("the cryptographic library failed")]
    Library,
}

impl SigningKey {
    /// A fresh key. RSA has 2048 bits unless 3072 or 4096 are asked for; an HMAC secret is as long as the
    /// digest (RFC 7518 §3.2); the others have one size.
    ///
    /// # Errors
    /// [`SigningError::Size`], or [`SigningError::Library`] without randomness.
    pub fn generate(algorithm: Algorithm, bits: Option<usize>) -> Result<Self, SigningError> {
        Self::new(algorithm, &signer::generate(algorithm, bits)?)
    }

    /// The key of a private JWK, for the algorithm it names or the only one it can serve.
    ///
    /// # Errors
    /// [`SigningError`] where it cannot sign or could serve several algorithms.
    pub fn from_jwk(jwk: &Jwk) -> Result<Self, SigningError> {
        let algorithm = jwk.alg.or(match jwk.kty() {
            // EdDSA is the older name, which every verifier knows (RFC 8037 §3.1).
            "OKP" => Some(Algorithm::EdDsa),
            "EC" => Algorithm::ALL
                .into_iter()
                .find(|algorithm| jwk.schemes().contains(&algorithm.scheme())),
            _ => None,
        });
        Self::new(algorithm.ok_or(SigningError::AlgorithmMissing)?, jwk)
    }

    /// The key of a private JWK, pinned to an algorithm. One without `kid` is named by its RFC 7638
    /// thumbprint; a secret, whose thumbprint would help whoever guesses it (RFC 7638 §7), at random.
    ///
    /// # Errors
    /// [`SigningError`] where it cannot sign with that algorithm.
    pub fn new(algorithm: Algorithm, jwk: &Jwk) -> Result<Self, SigningError> {
        if let Some(pinned) = jwk.alg.filter(|pinned| *pinned != algorithm) {
            return Err(SigningError::AlgorithmPinned(pinned));
        }
        let verifying = jwk.verifying_key(algorithm.scheme())?;
        let signer = Signer::new(algorithm, jwk)?;
        let mut jwk = signer::copy(jwk)?;
        jwk.alg = Some(algorithm);
        if jwk.kid.is_none() {
            jwk.kid = Some(match jwk.kty() {
                "oct" => random_id()?.into(),
                _ => jwk.thumbprint().into(),
            });
        }
        Ok(Self {
            algorithm,
            signer,
            verifying,
            jwk,
        })
    }

    /// A key whose private half stays where it is, as in a hardware module, and is asked to sign. `public` is its
    /// public half.
    ///
    /// # Errors
    /// [`SigningError`] where the public half is refused, or is for another algorithm.
    pub fn remote(
        algorithm: Algorithm,
        public: &Jwk,
        signer: Box<dyn RemoteSigner>,
    ) -> Result<Self, SigningError> {
        if let Some(pinned) = public.alg.filter(|pinned| *pinned != algorithm) {
            return Err(SigningError::AlgorithmPinned(pinned));
        }
        let verifying = public.verifying_key(algorithm.scheme())?;
        let json = public.to_public_json();
        let json = json.ok_or(SigningError::Private("a secret has no public half"))?;
        let mut jwk = Jwk::parse(json.as_bytes())
            .map_err(|_| SigningError::Private("the JWK cannot be read again"))?;
        jwk.alg = Some(algorithm);
        if jwk.kid.is_none() {
            jwk.kid = Some(jwk.thumbprint().into());
        }
        Ok(Self {
            algorithm,
            signer: Signer::Remote(signer),
            verifying,
            jwk,
        })
    }

    /// Renames the key; `None` leaves `kid` out of its tokens.
    ///
    /// # Errors
    /// [`SigningError::KidTooLong`].
    pub fn with_kid(mut self, kid: Option<&str>) -> Result<Self, SigningError> {
        if kid.is_some_and(|kid| kid.len() > limits::KID_BYTES_MAX) {
            return Err(SigningError::KidTooLong);
        }
        self.jwk.kid = kid.map(Into::into);
        Ok(self)
    }

    /// The one algorithm of this key.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The name of this key in the headers of its tokens.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.jwk.kid.as_deref()
    }

    /// The public half as a JWK, with `kid`, `alg` and `use`; `None` for a secret, which has none.
    #[must_use]
    pub fn public_jwk(&self) -> Option<String> {
        self.jwk.to_public_json()
    }

    /// Signs a payload as a compact JWS (RFC 7515 §3.1, §5.1).
    ///
    /// # Errors
    /// [`SigningError::Reserved`] for a header member that is not the caller's to write,
    /// [`SigningError::Faulty`] where the signature does not verify.
    pub fn sign(&self, header: &ProtectedHeader, payload: &[u8]) -> Result<String, SigningError> {
        let header = self.header_json(header)?;
        let capacity = base64url::encoded_len(header.len())
            + base64url::encoded_len(payload.len())
            + base64url::encoded_len(limits::SIGNATURE_BYTES_MAX)
            + 2;
        let mut token = Vec::with_capacity(capacity);
        base64url::encode(header.as_bytes(), &mut token);
        token.push(b'.');
        base64url::encode(payload, &mut token);
        let signature = self.signer.sign(&token)?;
        if self.signer.leaks_when_faulty() {
            self.check(&token, &signature)?;
        }
        token.push(b'.');
        base64url::encode(&signature, &mut token);
        Ok(String::from_utf8(token).expect("base64url and dots are ASCII"))
    }

    /// Signs claims as a token issued at `now`, in seconds since the epoch.
    ///
    /// # Errors
    /// As [`Self::sign`]; also [`SigningError::Reserved`] for an extra claim that is written already, and
    /// [`SigningError::Library`] without randomness for the `jti`.
    pub fn mint(&self, claims: &Claims, now: i64) -> Result<String, SigningError> {
        self.sign(&claims.header, claims.to_json(now)?.as_bytes())
    }

    fn header_json(&self, header: &ProtectedHeader) -> Result<String, SigningError> {
        let mut json = ObjectWriter::new();
        json.member("alg", self.algorithm.name());
        if let Some(kid) = self.kid() {
            json.member("kid", kid);
        }
        if let Some(typ) = &header.typ {
            json.member("typ", typ);
        }
        for (name, value) in &header.extra {
            if matches!(name.as_str(), "alg" | "kid" | "typ") {
                return Err(SigningError::Reserved(name.clone()));
            }
            json.member(name, value);
        }
        Ok(json.finish())
    }

    /// A signature made by a faulty machine can give the private key away: it is checked before anyone
    /// sees it.
    fn check(&self, signing_input: &[u8], signature: &[u8]) -> Result<(), SigningError> {
        let mut outcomes = Vec::with_capacity(1);
        let check = Check {
            key: &self.verifying,
            message: signing_input,
            signature,
        };
        verify_batch(&[check], &mut outcomes);
        if outcomes.as_slice() == [Outcome::Genuine] {
            Ok(())
        } else {
            Err(SigningError::Faulty)
        }
    }
}

impl ProtectedHeader {
    /// A header with this `typ` and nothing more.
    #[must_use]
    pub fn typ(typ: &str) -> Self {
        Self {
            typ: Some(typ.to_owned()),
            extra: Map::new(),
        }
    }
}

impl Default for ProtectedHeader {
    fn default() -> Self {
        Self::typ("JWT")
    }
}

/// Says which key it is, never what it is made of.
impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid())
            .finish_non_exhaustive()
    }
}

/// 128 random bits in base64url: an identifier that nobody guesses and that does not repeat.
fn random_id() -> Result<String, SigningError> {
    let mut octets = Zeroizing::new([0; 16]);
    aws_lc_rs::rand::fill(octets.as_mut_slice()).map_err(|_| SigningError::Library)?;
    Ok(base64url::encode_string(octets.as_slice()))
}

#[cfg(test)]
mod tests;

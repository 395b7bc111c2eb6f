//! Keys that stay in a hardware module, reached through its PKCS#11 library and named by an RFC 7512 URI.
//!
//! A library is the operator's choice and runs in this process; it is loaded by the commands that sign and never by
//! the daemon, which verifies with public keys alone. Keys that are made here are sensitive and cannot be
//! taken out; none is ever destroyed.

mod material;
mod module;
mod uri;

pub use uri::Pkcs11Uri;

use super::{Environment, VaultError};
use crate::issuer::{RemoteSigner, SigningError, SigningKey};
use crate::jose::{Algorithm, Jwk};
use cryptoki::object::ObjectHandle;
use module::Session;
use std::sync::{Mutex, PoisonError};

/// A key that was made in a module.
pub(super) struct Made {
    /// It.
    pub(super) key: SigningKey,
    /// Where it is, so that it is found again.
    pub(super) uri: Pkcs11Uri,
}

/// The key that a URI names, to sign with where it is. Without an algorithm, it is the one that its kind has; an RSA
/// key must be told.
///
/// # Errors
/// [`VaultError`] where the module, the token or the key is not there, or there are several.
pub fn signing_key(
    uri: &Pkcs11Uri,
    algorithm: Option<Algorithm>,
    environment: Environment<'_>,
) -> Result<SigningKey, VaultError> {
    let session = Session::open(uri, environment)?;
    let private = session.private_key(uri)?;
    let public = session.public_half(private)?;
    remote(session, private, &public, algorithm)
}

/// Makes a key pair in the token that a URI names.
pub(super) fn generate(
    uri: &Pkcs11Uri,
    algorithm: Algorithm,
    bits: Option<usize>,
    environment: Environment<'_>,
) -> Result<Made, VaultError> {
    let session = Session::open(uri, environment)?;
    let id = module::random_id()?;
    let label = uri.object().unwrap_or("jotd");
    let private = session.generate(algorithm, bits, &id, label)?;
    let uri = uri.clone().of_key(label, &id);
    let public = session.public_half(private)?;
    let key = remote(session, private, &public, Some(algorithm))?;
    Ok(Made { key, uri })
}

fn remote(
    session: Session,
    private: ObjectHandle,
    public: &Jwk,
    algorithm: Option<Algorithm>,
) -> Result<SigningKey, VaultError> {
    let algorithm = algorithm.or(match public.kty() {
        "OKP" => Some(Algorithm::EdDsa),
        "EC" => Algorithm::ALL
            .into_iter()
            .find(|algorithm| public.schemes().contains(&algorithm.scheme())),
        _ => None,
    });
    let fault = |cause: SigningError| VaultError::Pkcs11(cause.to_string());
    let algorithm = algorithm.ok_or_else(|| fault(SigningError::AlgorithmMissing))?;
    let signer = TokenKey {
        session: Mutex::new(session),
        private,
        algorithm,
    };
    SigningKey::remote(algorithm, public, Box::new(signer)).map_err(fault)
}

/// A key in a token. A session does one thing at a time.
struct TokenKey {
    session: Mutex<Session>,
    private: ObjectHandle,
    algorithm: Algorithm,
}

impl RemoteSigner for TokenKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        session
            .sign(self.private, self.algorithm, message)
            .map_err(|error| SigningError::Remote(error.to_string().into()))
    }
}

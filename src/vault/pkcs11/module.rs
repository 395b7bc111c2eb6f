//! A session with a token of a module.

use super::material;
use super::uri::Pkcs11Uri;
use crate::jose::{Algorithm, Jwk};
use crate::vault::{Environment, VaultError};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::UserType;
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// A session, logged in where a PIN was given.
pub(super) struct Session {
    session: cryptoki::session::Session,
}

impl Session {
    /// Opens a session with the one token that the URI fits.
    pub(super) fn open(uri: &Pkcs11Uri, environment: Environment<'_>) -> Result<Self, VaultError> {
        let module = load(uri.module_path())?;
        let slot = slot(&module, uri)?;
        let session = module.open_rw_session(slot);
        let session = session.map_err(|error| said("no session could be opened", &error))?;
        if let Some(source) = uri.pin_source() {
            let pin = source.read(environment)?;
            let text = std::str::from_utf8(&pin).map_err(|_| fault("the PIN is not text"))?;
            let logged_in = session.login(UserType::User, Some(&AuthPin::from(text)));
            match logged_in {
                Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
                Err(error) => return Err(said("the token does not take the PIN", &error)),
            }
        }
        Ok(Self { session })
    }

    /// The one private key that the URI fits.
    pub(super) fn private_key(&self, uri: &Pkcs11Uri) -> Result<ObjectHandle, VaultError> {
        let mut wanted = vec![Attribute::Class(ObjectClass::PRIVATE_KEY)];
        wanted.extend(uri.id().map(|id| Attribute::Id(id.to_vec())));
        wanted.extend(uri.object().map(|label| Attribute::Label(label.into())));
        let found = self.session.find_objects(&wanted);
        let found = found.map_err(|error| said("the token could not be searched", &error))?;
        match (found[..].split_first(), uri.pin_source()) {
            (Some((key, [])), _) => Ok(*key),
            (Some(_), _) => Err(fault("several keys of the token fit the URI; add id=")),
            (None, Some(_)) => Err(fault("no private key of the token fits the URI")),
            (None, None) => Err(fault(
                "no private key of the token fits the URI; without a pin-source, the token shows \
                 none that wants a login",
            )),
        }
    }

    /// The public half of a private key, from the object of the same id.
    pub(super) fn public_half(&self, private: ObjectHandle) -> Result<Jwk, VaultError> {
        let kinds = self.attributes(private, &[AttributeType::KeyType, AttributeType::Id])?;
        let mut is_rsa = false;
        let mut same_id = vec![Attribute::Class(ObjectClass::PUBLIC_KEY)];
        for attribute in kinds {
            match attribute {
                Attribute::KeyType(kind) => is_rsa = kind == KeyType::RSA,
                Attribute::Id(id) => same_id.push(Attribute::Id(id)),
                _ => {}
            }
        }
        let found = self.session.find_objects(&same_id);
        let found = found.map_err(|error| said("the token could not be searched", &error))?;
        // An RSA key's private object knows its public half.
        let public = match found[..] {
            [public] => public,
            [] if is_rsa => private,
            [] => return Err(fault("the token has no public key of the same id")),
            _ => return Err(fault("several public keys of the token have the key's id")),
        };
        let wanted = if is_rsa {
            [AttributeType::Modulus, AttributeType::PublicExponent]
        } else {
            [AttributeType::EcParams, AttributeType::EcPoint]
        };
        let [mut first, mut second] = [Vec::new(), Vec::new()];
        for attribute in self.attributes(public, &wanted)? {
            match attribute {
                Attribute::Modulus(octets) | Attribute::EcParams(octets) => first = octets,
                Attribute::PublicExponent(octets) | Attribute::EcPoint(octets) => second = octets,
                _ => {}
            }
        }
        if is_rsa {
            material::rsa(&first, &second)
        } else {
            material::elliptic(&first, &second)
        }
    }

    /// Makes a key pair that stays in the token, and whose private half cannot be taken out.
    pub(super) fn generate(
        &self,
        algorithm: Algorithm,
        bits: Option<usize>,
        id: &[u8],
        label: &str,
    ) -> Result<ObjectHandle, VaultError> {
        let mut public = vec![
            Attribute::Token(true),
            Attribute::Private(false),
            Attribute::Verify(true),
            Attribute::Id(id.to_vec()),
            Attribute::Label(label.into()),
        ];
        let private = [
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
            Attribute::Id(id.to_vec()),
            Attribute::Label(label.into()),
        ];
        let mechanism = match material::curve_parameters(algorithm) {
            Some(parameters) => {
                if bits.is_some() {
                    return Err(fault("the algorithm fixes the curve"));
                }
                public.push(Attribute::EcParams(parameters.to_vec()));
                match algorithm {
                    Algorithm::EdDsa | Algorithm::Ed25519 => Mechanism::EccEdwardsKeyPairGen,
                    _ => Mechanism::EccKeyPairGen,
                }
            }
            None if algorithm.scheme().is_hmac() => {
                return Err(fault("secrets are not kept in modules"));
            }
            None => {
                let bits = bits.unwrap_or(2048);
                if ![2048, 3072, 4096].contains(&bits) {
                    return Err(fault("RSA keys have 2048, 3072 or 4096 bits"));
                }
                let bits = u64::try_from(bits).unwrap_or(2048);
                public.push(Attribute::ModulusBits(bits.into()));
                public.push(Attribute::PublicExponent(vec![1, 0, 1]));
                Mechanism::RsaPkcsKeyPairGen
            }
        };
        let made = self
            .session
            .generate_key_pair(&mechanism, &public, &private)
            .map_err(|error| said("the token did not make a key pair", &error))?;
        Ok(made.1)
    }

    /// The JOSE signature of a message.
    pub(super) fn sign(
        &self,
        private: ObjectHandle,
        algorithm: Algorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        let (mechanism, input) = material::mechanism(algorithm, message)?;
        self.session
            .sign(&mechanism, private, &input)
            .map_err(|error| said("the token did not sign", &error))
    }

    fn attributes(
        &self,
        object: ObjectHandle,
        wanted: &[AttributeType],
    ) -> Result<Vec<Attribute>, VaultError> {
        let read = self.session.get_attributes(object, wanted);
        read.map_err(|error| said("the key's public half could not be read", &error))
    }
}

/// What the URI does not say is not looked at; what it says must be so, and of one token only.
fn slot(module: &Pkcs11, uri: &Pkcs11Uri) -> Result<Slot, VaultError> {
    let slots = module.get_slots_with_initialized_token();
    let slots = slots.map_err(|error| said("the module shows no slots", &error))?;
    let mut fitting = Vec::new();
    for slot in slots {
        let Ok(token) = module.get_token_info(slot) else {
            continue;
        };
        let is = |wanted: &Option<String>, there: &str| {
            wanted
                .as_deref()
                .is_none_or(|wanted| wanted == there.trim_end())
        };
        if is(&uri.token, token.label())
            && is(&uri.manufacturer, token.manufacturer_id())
            && is(&uri.model, token.model())
            && is(&uri.serial, token.serial_number())
            && uri.slot_id.is_none_or(|id| id == slot.id())
        {
            fitting.push(slot);
        }
    }
    match fitting[..] {
        [slot] => Ok(slot),
        [] => Err(fault("no token of the module fits the URI")),
        _ => Err(fault(
            "several tokens of the module fit the URI; add token= or serial=",
        )),
    }
}

/// Loads a module once: it would not be initialised a second time in one process.
fn load(path: &Path) -> Result<Pkcs11, VaultError> {
    static MODULES: OnceLock<Mutex<HashMap<PathBuf, Pkcs11>>> = OnceLock::new();
    let modules = MODULES.get_or_init(Mutex::default);
    let mut modules = modules.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(module) = modules.get(path) {
        return Ok(module.clone());
    }
    let place = path.display();
    let module = Pkcs11::new(path)
        .map_err(|error| said(&format!("{place} cannot be loaded as a module"), &error))?;
    let threads = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
    match module.initialize(threads) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(error) => return Err(said(&format!("{place} does not start"), &error)),
    }
    modules.insert(path.to_owned(), module.clone());
    Ok(module)
}

/// An id that no other key of any token has.
pub(super) fn random_id() -> Result<[u8; 16], VaultError> {
    let mut id = [0; 16];
    aws_lc_rs::rand::fill(&mut id).map_err(|_| fault("the system gave no randomness"))?;
    Ok(id)
}

pub(super) fn fault(what: &str) -> VaultError {
    VaultError::Pkcs11(what.to_owned())
}

fn said(what: &str, error: &Error) -> VaultError {
    // The names of the standard's codes say as much as the library's paragraphs about them.
    let why = match error {
        Error::Pkcs11(code, function) => format!("{code:?} ({function:?})"),
        other => other.to_string(),
    };
    VaultError::Pkcs11(format!("{what}: {why}"))
}

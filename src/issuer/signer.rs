//! aws-lc-rs' key pairs, each with the one way it signs (RFC 7518 §3, RFC 8037 §3.1, RFC 8812 §3.2).
#![forbid(unsafe_code)]

use super::{SigningError, danger};
use crate::jose::danger::{PrivateKey, private_key, to_private_json};
use crate::jose::{Algorithm, Curve, Jwk};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPairComponents, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, RsaKeyPair, RsaSignatureEncoding,
};
use aws_lc_rs::{hmac, rand};
use zeroize::Zeroizing;

/// Signs where the private key stays, as in a hardware module.
pub trait RemoteSigner: Send + Sync {
    /// The signature of a message, in its JOSE form (RFC 7518 §3, RFC 8037 §3.1). It is verified before anyone sees
    /// it.
    ///
    /// # Errors
    /// [`SigningError::Remote`], with what the module said.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError>;
}

/// A key pair or secret, ready to sign.
pub(super) enum Signer {
    Remote(Box<dyn RemoteSigner>),
    Hmac(Box<hmac::Key>),
    Rsa(Box<RsaKeyPair>, &'static RsaSignatureEncoding),
    Ec(Box<EcdsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

impl Signer {
    /// The private part of a JWK whose public part has been accepted for the algorithm.
    pub(super) fn new(algorithm: Algorithm, jwk: &Jwk) -> Result<Self, SigningError> {
        match (
            private_key(jwk).ok_or(SigningError::PublicOnly)?,
            kind(algorithm),
        ) {
            (PrivateKey::Oct(secret), Kind::Hmac(digest)) => {
                Ok(Self::Hmac(Box::new(hmac::Key::new(digest, secret))))
            }
            (PrivateKey::Rsa { n, e, d, crt }, Kind::Rsa(encoding)) => {
                // RFC 7518 §6.3.2 makes these optional; without them each signature would cost four times
                // as much, and nobody stores keys so.
                let [p, q, dp, dq, qi] =
                    crt.ok_or(SigningError::Private("p, q, dp, dq and qi are missing"))?;
                let pair = RsaKeyPair::from_components(&KeyPairComponents {
                    public_key: PublicKeyComponents { n, e },
                    d,
                    p,
                    q,
                    dP: dp,
                    dQ: dq,
                    qInv: qi,
                });
                Ok(Self::Rsa(Box::new(pair.map_err(mismatch)?), encoding))
            }
            (PrivateKey::Ec { curve, x, y, d }, Kind::Ec(wanted)) if curve == wanted => {
                let point = [&[4], x, y].concat();
                let pair = EcdsaKeyPair::from_private_key_and_public_key(ecdsa(curve), d, &point);
                Ok(Self::Ec(Box::new(pair.map_err(mismatch)?)))
            }
            (PrivateKey::Ed25519 { x, d }, Kind::Ed25519) => {
                let pair = Ed25519KeyPair::from_seed_and_public_key(d, x);
                Ok(Self::Ed25519(Box::new(pair.map_err(mismatch)?)))
            }
            _ => Err(SigningError::Key(crate::crypto::KeyError::WrongKind)),
        }
    }

    /// The signature in its JOSE form.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let random = SystemRandom::new();
        match self {
            Self::Remote(signer) => signer.sign(message),
            Self::Hmac(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            Self::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, message, &mut signature)
                    .map_err(|_| SigningError::Library)?;
                Ok(signature)
            }
            Self::Ec(pair) => pair
                .sign(&random, message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| SigningError::Library),
            Self::Ed25519(pair) => pair
                .try_sign(message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| SigningError::Library),
        }
    }

    /// Whether a miscalculated signature gives the key away: RSA by its Chinese remainders (Boneh, DeMillo
    /// and Lipton 1997), Ed25519 because its nonce repeats with the message. ECDSA draws a fresh nonce, and a
    /// wrong signature of it says nothing. Of a module elsewhere we do not know how it signs.
    pub(super) fn leaks_when_faulty(&self) -> bool {
        matches!(self, Self::Rsa(..) | Self::Ed25519(_) | Self::Remote(_))
    }

    /// The key pair as PKCS#8; `None` for a secret.
    pub(super) fn to_pkcs8(&self) -> Result<Option<Zeroizing<Vec<u8>>>, SigningError> {
        match self {
            Self::Remote(_) => Err(SigningError::PublicOnly),
            Self::Hmac(_) => Ok(None),
            Self::Rsa(pair, _) => rsa_pkcs8(pair).map(Some),
            Self::Ec(pair) => ec_pkcs8(pair).map(Some),
            Self::Ed25519(pair) => ed25519_pkcs8(pair).map(Some),
        }
    }
}

/// Fresh material for an algorithm.
pub(super) fn generate(algorithm: Algorithm, bits: Option<usize>) -> Result<Jwk, SigningError> {
    let size = |offered| SigningError::Size {
        algorithm,
        bits: bits.unwrap_or_default(),
        offered,
    };
    let pkcs8 = match kind(algorithm) {
        Kind::Hmac(digest) => {
            let mut secret = Zeroizing::new(vec![0; digest.tag_len()]);
            if bits.is_some_and(|bits| bits != 8 * secret.len()) {
                return Err(size("a secret is as long as the digest"));
            }
            rand::fill(&mut secret).map_err(|_| SigningError::Library)?;
            return Ok(Jwk::from_secret(&secret));
        }
        Kind::Rsa(_) => {
            let size = match bits {
                None | Some(2048) => KeySize::Rsa2048,
                Some(3072) => KeySize::Rsa3072,
                Some(4096) => KeySize::Rsa4096,
                Some(_) => return Err(size("2048, 3072 or 4096")),
            };
            rsa_pkcs8(&RsaKeyPair::generate(size).map_err(|_| SigningError::Library)?)?
        }
        Kind::Ec(curve) => {
            if bits.is_some_and(|bits| bits != curve_bits(curve)) {
                return Err(size("the algorithm fixes the curve"));
            }
            ec_pkcs8(&EcdsaKeyPair::generate(ecdsa(curve)).map_err(|_| SigningError::Library)?)?
        }
        Kind::Ed25519 => {
            if bits.is_some_and(|bits| bits != 256) {
                return Err(size("the algorithm fixes the curve"));
            }
            ed25519_pkcs8(&Ed25519KeyPair::generate().map_err(|_| SigningError::Library)?)?
        }
    };
    Jwk::from_pem(&danger::pem(&pkcs8)?).map_err(|_| SigningError::Library)
}

/// A second copy of a private key, which erases itself like the first.
pub(super) fn copy(jwk: &Jwk) -> Result<Jwk, SigningError> {
    let json = to_private_json(jwk).ok_or(SigningError::PublicOnly)?;
    Jwk::parse(json.as_bytes()).map_err(|_| SigningError::Private("the JWK cannot be read again"))
}

/// What an algorithm signs with.
enum Kind {
    Hmac(hmac::Algorithm),
    Rsa(&'static RsaSignatureEncoding),
    Ec(Curve),
    Ed25519,
}

fn kind(algorithm: Algorithm) -> Kind {
    match algorithm {
        Algorithm::Hs256 => Kind::Hmac(hmac::HMAC_SHA256),
        Algorithm::Hs384 => Kind::Hmac(hmac::HMAC_SHA384),
        Algorithm::Hs512 => Kind::Hmac(hmac::HMAC_SHA512),
        Algorithm::Rs256 => Kind::Rsa(&signature::RSA_PKCS1_SHA256),
        Algorithm::Rs384 => Kind::Rsa(&signature::RSA_PKCS1_SHA384),
        Algorithm::Rs512 => Kind::Rsa(&signature::RSA_PKCS1_SHA512),
        // RFC 7518 §3.5: "The size of the salt value is the same size as the hash function output."
        Algorithm::Ps256 => Kind::Rsa(&signature::RSA_PSS_SHA256),
        Algorithm::Ps384 => Kind::Rsa(&signature::RSA_PSS_SHA384),
        Algorithm::Ps512 => Kind::Rsa(&signature::RSA_PSS_SHA512),
        Algorithm::Es256 => Kind::Ec(Curve::P256),
        Algorithm::Es384 => Kind::Ec(Curve::P384),
        Algorithm::Es512 => Kind::Ec(Curve::P521),
        Algorithm::Es256k => Kind::Ec(Curve::Secp256k1),
        Algorithm::EdDsa | Algorithm::Ed25519 => Kind::Ed25519,
    }
}

fn ecdsa(curve: Curve) -> &'static EcdsaSigningAlgorithm {
    match curve {
        Curve::P256 => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        Curve::P384 => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
        Curve::P521 => &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
        Curve::Secp256k1 => &signature::ECDSA_P256K1_SHA256_FIXED_SIGNING,
    }
}

fn curve_bits(curve: Curve) -> usize {
    match curve {
        Curve::P256 | Curve::Secp256k1 => 256,
        Curve::P384 => 384,
        Curve::P521 => 521,
    }
}

fn rsa_pkcs8(pair: &RsaKeyPair) -> Result<Zeroizing<Vec<u8>>, SigningError> {
    let der = pair.as_der().map_err(|_| SigningError::Library)?;
    Ok(Zeroizing::new(der.as_ref().to_vec()))
}

fn ec_pkcs8(pair: &EcdsaKeyPair) -> Result<Zeroizing<Vec<u8>>, SigningError> {
    let der = pair.to_pkcs8v1().map_err(|_| SigningError::Library)?;
    Ok(Zeroizing::new(der.as_ref().to_vec()))
}

fn ed25519_pkcs8(pair: &Ed25519KeyPair) -> Result<Zeroizing<Vec<u8>>, SigningError> {
    let der = pair.to_pkcs8v1().map_err(|_| SigningError::Library)?;
    Ok(Zeroizing::new(der.as_ref().to_vec()))
}

fn mismatch<E>(_: E) -> SigningError {
    SigningError::Private("its private and public parts do not belong together")
}

//! aws-lc-rs called directly, with the key parsed once: what every kernel is measured against. It shares
//! no code with the crypto room on purpose.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents};
use jotd::crypto::Scheme;
use jotd::jose::Jwk;
use jotd::jose::danger::{PrivateKey, private_key};

/// A key in the library's own parsed form.
pub(super) enum Reference {
    Hmac(Box<hmac::Key>),
    Public(Box<ParsedPublicKey>),
}

impl Reference {
    /// The key of a private JWK, for one scheme; `None` where the two do not fit.
    pub(super) fn new(scheme: Scheme, jwk: &Jwk) -> Option<Self> {
        let public = |parsed| Some(Self::Public(Box::new(parsed)));
        match private_key(jwk)? {
            PrivateKey::Oct(secret) => {
                let key = hmac::Key::new(hmac_algorithm(scheme)?, secret);
                Some(Self::Hmac(Box::new(key)))
            }
            PrivateKey::Rsa { n, e, .. } => {
                let components = RsaPublicKeyComponents { n, e };
                public(
                    components
                        .to_parsed_public_key(rsa_parameters(scheme)?)
                        .ok()?,
                )
            }
            PrivateKey::Ec { x, y, .. } => {
                let algorithm = match scheme {
                    Scheme::EcdsaP256Sha256 => &signature::ECDSA_P256_SHA256_FIXED,
                    Scheme::EcdsaP384Sha384 => &signature::ECDSA_P384_SHA384_FIXED,
                    Scheme::EcdsaP521Sha512 => &signature::ECDSA_P521_SHA512_FIXED,
                    Scheme::EcdsaSecp256k1Sha256 => &signature::ECDSA_P256K1_SHA256_FIXED,
                    _ => return None,
                };
                public(ParsedPublicKey::new(algorithm, [&[4], x, y].concat()).ok()?)
            }
            PrivateKey::Ed25519 { x, .. } => {
                public(ParsedPublicKey::new(&signature::ED25519, x).ok()?)
            }
        }
    }

    /// Whether the signature is this key's over the message.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Hmac(key) => hmac::verify(key, message, signature).is_ok(),
            Self::Public(key) => key.verify_sig(message, signature).is_ok(),
        }
    }
}

fn hmac_algorithm(scheme: Scheme) -> Option<hmac::Algorithm> {
    Some(match scheme {
        Scheme::HmacSha256 => hmac::HMAC_SHA256,
        Scheme::HmacSha384 => hmac::HMAC_SHA384,
        Scheme::HmacSha512 => hmac::HMAC_SHA512,
        _ => return None,
    })
}

fn rsa_parameters(scheme: Scheme) -> Option<&'static RsaParameters> {
    Some(match scheme {
        Scheme::RsaPkcs1Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Scheme::RsaPkcs1Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Scheme::RsaPkcs1Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Scheme::RsaPssSha256 => &signature::RSA_PSS_2048_8192_SHA256,
        Scheme::RsaPssSha384 => &signature::RSA_PSS_2048_8192_SHA384,
        Scheme::RsaPssSha512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

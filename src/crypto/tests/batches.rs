//! Every check of a batch gets its own outcome, whatever stands beside it.

use crate::crypto::{Check, Outcome, Scheme, VerifyingKey, verify_batch};
use aws_lc_rs::{hmac, rand::SystemRandom, signature as sig, signature::KeyPair as _};

/// A key of some scheme, and a message it signed.
pub(super) struct Signed {
    pub(super) key: VerifyingKey,
    pub(super) message: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

impl Signed {
    pub(super) fn check(&self) -> Check<'_> {
        Check {
            key: &self.key,
            message: &self.message,
            signature: &self.signature,
        }
    }

    /// A fresh key of the scheme, and its signature over the message.
    pub(super) fn new(scheme: Scheme, message: &[u8]) -> Self {
        let (key, signature) = match scheme {
            Scheme::HmacSha256 => hmac(scheme, hmac::HMAC_SHA256, message),
            Scheme::HmacSha384 => hmac(scheme, hmac::HMAC_SHA384, message),
            Scheme::HmacSha512 => hmac(scheme, hmac::HMAC_SHA512, message),
            Scheme::RsaPkcs1Sha256 => rsa(scheme, &sig::RSA_PKCS1_SHA256, message),
            Scheme::RsaPkcs1Sha384 => rsa(scheme, &sig::RSA_PKCS1_SHA384, message),
            Scheme::RsaPkcs1Sha512 => rsa(scheme, &sig::RSA_PKCS1_SHA512, message),
            Scheme::RsaPssSha256 => rsa(scheme, &sig::RSA_PSS_SHA256, message),
            Scheme::RsaPssSha384 => rsa(scheme, &sig::RSA_PSS_SHA384, message),
            Scheme::RsaPssSha512 => rsa(scheme, &sig::RSA_PSS_SHA512, message),
            Scheme::EcdsaP256Sha256 => ec(scheme, &sig::ECDSA_P256_SHA256_FIXED_SIGNING, message),
            Scheme::EcdsaP384Sha384 => ec(scheme, &sig::ECDSA_P384_SHA384_FIXED_SIGNING, message),
            Scheme::EcdsaP521Sha512 => ec(scheme, &sig::ECDSA_P521_SHA512_FIXED_SIGNING, message),
            Scheme::EcdsaSecp256k1Sha256 => {
                ec(scheme, &sig::ECDSA_P256K1_SHA256_FIXED_SIGNING, message)
            }
            Scheme::Ed25519 => {
                let pair = sig::Ed25519KeyPair::generate().unwrap();
                let key = VerifyingKey::ed25519(pair.public_key().as_ref()).unwrap();
                (key, pair.sign(message).as_ref().to_vec())
            }
        };
        Self {
            key,
            message: message.to_vec(),
            signature,
        }
    }
}

fn hmac(scheme: Scheme, algorithm: hmac::Algorithm, message: &[u8]) -> (VerifyingKey, Vec<u8>) {
    let secret: [u8; 64] = aws_lc_rs::rand::generate(&SystemRandom::new())
        .unwrap()
        .expose();
    let tag = hmac::sign(&hmac::Key::new(algorithm, &secret), message);
    let key = VerifyingKey::hmac(scheme, &secret).unwrap();
    (key, tag.as_ref().to_vec())
}

fn rsa(
    scheme: Scheme,
    encoding: &'static sig::RsaSignatureEncoding,
    message: &[u8],
) -> (VerifyingKey, Vec<u8>) {
    let pair = sig::RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let components = sig::RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), message, &mut signature)
        .unwrap();
    let key = VerifyingKey::rsa(scheme, &components.n, &components.e).unwrap();
    (key, signature)
}

fn ec(
    scheme: Scheme,
    algorithm: &'static sig::EcdsaSigningAlgorithm,
    message: &[u8],
) -> (VerifyingKey, Vec<u8>) {
    let pair = sig::EcdsaKeyPair::generate(algorithm).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(pair.public_key().as_ref().len() / 2);
    let key = VerifyingKey::ec(scheme, x, y).unwrap();
    let signature = pair.sign(&SystemRandom::new(), message).unwrap();
    (key, signature.as_ref().to_vec())
}

#[test]
fn every_scheme_knows_its_own_signature() {
    let mut outcomes = Vec::new();
    for scheme in Scheme::ALL {
        let mut signed = Signed::new(scheme, b"header.payload");
        assert_eq!(signed.key.scheme(), scheme);
        verify_batch(&[signed.check()], &mut outcomes);
        assert_eq!(outcomes, [Outcome::Genuine], "{scheme:?}");
        signed.message.push(b'.');
        verify_batch(&[signed.check()], &mut outcomes);
        assert_eq!(outcomes, [Outcome::Forged], "{scheme:?}");
    }
}

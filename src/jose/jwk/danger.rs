//! The doors through which private keys leave. Nothing on a verifier's path has business here: only the
//! issuer, which signs, and tools that write key files.

use super::Curve;
use super::Jwk;
use super::material::{Ec, Material, Rsa};
use zeroize::Zeroizing;

/// Private material, borrowed from a key that erases it when dropped.
pub enum PrivateKey<'k> {
    /// RFC 7518 §6.3.
    Rsa {
        /// Modulus.
        n: &'k [u8],
        /// Public exponent.
        e: &'k [u8],
        /// Private exponent.
        d: &'k [u8],
        /// `p`, `q`, `dp`, `dq`, `qi`, where given.
        crt: Option<[&'k [u8]; 5]>,
    },
    /// RFC 7518 §6.2.
    Ec {
        /// The curve.
        curve: Curve,
        /// Affine x.
        x: &'k [u8],
        /// Affine y.
        y: &'k [u8],
        /// The private scalar.
        d: &'k [u8],
    },
    /// RFC 8037 §2.
    Ed25519 {
        /// The public key.
        x: &'k [u8; 32],
        /// The seed (RFC 8032 §5.1.5).
        d: &'k [u8],
    },
    /// An HMAC secret.
    Oct(&'k [u8]),
}

/// The private part; `None` for a public key, and for one that can only agree on keys.
#[must_use]
pub fn private_key(jwk: &Jwk) -> Option<PrivateKey<'_>> {
    Some(match &jwk.material {
        Material::Rsa(Rsa { n, e, private }) => {
            let private = private.as_ref()?;
            PrivateKey::Rsa {
                n,
                e,
                d: &private.d,
                crt: private
                    .crt
                    .as_ref()
                    .map(|crt| crt.each_ref().map(|value| value.as_slice())),
            }
        }
        Material::Ec(Ec { curve, x, y, d }) => PrivateKey::Ec {
            curve: *curve,
            x,
            y,
            d: d.as_ref()?,
        },
        Material::Ed25519 { x, d } => PrivateKey::Ed25519 { x, d: d.as_ref()? },
        Material::X25519 { .. } => return None,
        Material::Oct { k } => PrivateKey::Oct(k),
    })
}

/// The whole key as a JWK, private members included, for a key file that only its owner can read.
/// `None` for a public key.
#[must_use]
pub fn to_private_json(jwk: &Jwk) -> Option<Zeroizing<String>> {
    let private = jwk.material.private_members()?;
    let mut members = jwk.material.public_members().unwrap_or_default();
    members.extend(private);
    Some(jwk.json_of(&members))
}

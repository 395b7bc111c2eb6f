//! Elliptic-curve Diffie-Hellman with an ephemeral key, and what is made of its result (RFC 7518 §4.6, RFC 8037 §3.2).
//!
//! Points off their curve are refused, and so is X25519's all-zero result, which a point of low order gives.
#![forbid(unsafe_code)]

use super::{KeyError, NotDecrypted};
use aws_lc_rs::agreement::{self, Algorithm, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::kdf::{SskdfDigestAlgorithmId, get_sskdf_digest_algorithm, sskdf_digest};
use zeroize::Zeroizing;

/// A curve on which keys are agreed upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the registered names are the documentation")]
pub enum AgreementCurve {
    P256,
    P384,
    P521,
    X25519,
}

/// A public key to agree with, not known to be on its curve until it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgreementPoint {
    curve: AgreementCurve,
    /// SEC 1's uncompressed form, or RFC 7748's u.
    octets: Vec<u8>,
}

impl AgreementCurve {
    /// Every curve.
    pub const ALL: [Self; 4] = [Self::P256, Self::P384, Self::P521, Self::X25519];

    /// The registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
            Self::X25519 => "X25519",
        }
    }

    /// The key type that it belongs to.
    #[must_use]
    pub const fn kty(self) -> &'static str {
        match self {
            Self::X25519 => "OKP",
            _ => "EC",
        }
    }

    /// Octets of a coordinate, and of a private key.
    #[must_use]
    pub const fn coordinate_bytes(self) -> usize {
        match self {
            Self::P256 | Self::X25519 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    pub(super) fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::P256 => &agreement::ECDH_P256,
            Self::P384 => &agreement::ECDH_P384,
            Self::P521 => &agreement::ECDH_P521,
            Self::X25519 => &agreement::X25519,
        }
    }
}

impl AgreementPoint {
    /// A point by its affine coordinates, or by its one coordinate for X25519.
    ///
    /// # Errors
    /// [`KeyError::InvalidPoint`] where a length is not the curve's.
    pub fn new(curve: AgreementCurve, x: &[u8], y: Option<&[u8]>) -> Result<Self, KeyError> {
        let is_full = |coordinate: &[u8]| coordinate.len() == curve.coordinate_bytes();
        let octets = match (curve, y) {
            (AgreementCurve::X25519, None) if is_full(x) => x.to_vec(),
            (AgreementCurve::X25519, _) => return Err(KeyError::InvalidPoint),
            (_, Some(y)) if is_full(x) && is_full(y) => [&[4], x, y].concat(),
            _ => return Err(KeyError::InvalidPoint),
        };
        Ok(Self { curve, octets })
    }

    pub(super) fn of(curve: AgreementCurve, private: &PrivateKey) -> Result<Self, Unspecified> {
        Ok(Self {
            curve,
            octets: private.compute_public_key()?.as_ref().to_vec(),
        })
    }

    /// Its curve.
    #[must_use]
    pub fn curve(&self) -> AgreementCurve {
        self.curve
    }

    /// Its coordinates; X25519 has one.
    #[must_use]
    pub fn coordinates(&self) -> (&[u8], Option<&[u8]>) {
        match self.curve {
            AgreementCurve::X25519 => (&self.octets, None),
            _ => {
                let (x, y) = self.octets[1..].split_at(self.curve.coordinate_bytes());
                (x, Some(y))
            }
        }
    }
}

/// What both parties put into the key besides the agreed secret (RFC 7518 §4.6.2).
#[derive(Clone, Copy)]
pub(super) struct OtherInfo<'i> {
    /// The name of what the key is for.
    pub(super) algorithm_id: &'i str,
    pub(super) party_u: &'i [u8],
    pub(super) party_v: &'i [u8],
}

/// Agrees with a public key, and derives a key of this length from the secret.
pub(super) fn derive(
    private: &PrivateKey,
    public: &AgreementPoint,
    info: OtherInfo<'_>,
    key_bytes: usize,
) -> Result<Zeroizing<Vec<u8>>, NotDecrypted> {
    if private.algorithm() != public.curve.algorithm() {
        return Err(NotDecrypted);
    }
    let peer = UnparsedPublicKey::new(public.curve.algorithm(), &public.octets);
    agreement::agree(private, peer, NotDecrypted, |secret| {
        concat_kdf(secret, info, key_bytes).map_err(|_| NotDecrypted)
    })
}

/// The Concat KDF of NIST SP 800-56A §5.8.1 with SHA-256, which SP 800-56C calls the one-step key derivation.
pub(super) fn concat_kdf(
    secret: &[u8],
    info: OtherInfo<'_>,
    key_bytes: usize,
) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
    let mut other_info = Vec::new();
    for part in [info.algorithm_id.as_bytes(), info.party_u, info.party_v] {
        let length = u32::try_from(part.len()).map_err(|_| Unspecified)?;
        other_info.extend_from_slice(&length.to_be_bytes());
        other_info.extend_from_slice(part);
    }
    // SuppPubInfo: "the keydatalen represented as a 32-bit big-endian integer", in bits. SuppPrivInfo is empty.
    let key_bits = u32::try_from(key_bytes * 8).map_err(|_| Unspecified)?;
    other_info.extend_from_slice(&key_bits.to_be_bytes());
    let mut key = Zeroizing::new(vec![0; key_bytes]);
    let sha256 = get_sskdf_digest_algorithm(SskdfDigestAlgorithmId::Sha256).ok_or(Unspecified)?;
    sskdf_digest(sha256, secret, &other_info, &mut key)?;
    Ok(key)
}

//! The two encodings of a digest that RSA signs (RFC 8017 §9), each with one of three digests.
#![forbid(unsafe_code)]

use crate::crypto::Scheme;
use crate::crypto::sha2::{
    self, Kernel, SHA256_INITIAL, SHA384_INITIAL, SHA512_INITIAL, Sha256State, Sha512State,
    digest_window_plain,
};

/// What a scheme of RSA signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Encoding {
    pub(super) padding: Padding,
    pub(super) hash: Hash,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Padding {
    /// EMSA-PKCS1-v1_5 (RFC 8017 §9.2).
    Pkcs1,
    /// EMSA-PSS (RFC 8017 §9.1) with MGF1 over the same digest, and a salt as long as it (RFC 7518 §3.5).
    Pss,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// A digest, at the beginning of as many bytes as the longest has.
pub(super) type Digest = [u8; DIGEST_BYTES_MAX];

pub(super) const DIGEST_BYTES_MAX: usize = 64;

impl Encoding {
    pub(super) const fn of(scheme: Scheme) -> Option<Self> {
        let (padding, hash) = match scheme {
            Scheme::RsaPkcs1Sha256 => (Padding::Pkcs1, Hash::Sha256),
            Scheme::RsaPkcs1Sha384 => (Padding::Pkcs1, Hash::Sha384),
            Scheme::RsaPkcs1Sha512 => (Padding::Pkcs1, Hash::Sha512),
            Scheme::RsaPssSha256 => (Padding::Pss, Hash::Sha256),
            Scheme::RsaPssSha384 => (Padding::Pss, Hash::Sha384),
            Scheme::RsaPssSha512 => (Padding::Pss, Hash::Sha512),
            _ => return None,
        };
        Some(Self { padding, hash })
    }
}

impl Hash {
    /// How long its digests are.
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// EMSA-PKCS1-v1_5 in so many bytes, with zeros where the digest goes.
    pub(super) fn pkcs1_around_digest(self, encoded_bytes: usize) -> Vec<u8> {
        let digest_info = self.digest_info();
        let mut encoded = vec![0xff; encoded_bytes];
        // RFC 8017 §9.2: "EM = 0x00 || 0x01 || PS || 0x00 || T", and PS is all 0xff.
        let (above, digest) = encoded.split_at_mut(encoded_bytes - self.bytes());
        digest.fill(0);
        let (above, prefix) = above.split_at_mut(above.len() - digest_info.len());
        prefix.copy_from_slice(&digest_info);
        if let [first, second, .., last] = above {
            (*first, *second, *last) = (0, 1, 0);
        }
        encoded
    }

    /// What stands before the digest in a DigestInfo (RFC 8017 §9.2, note 1).
    const fn digest_info(self) -> [u8; 19] {
        // The last byte of an identifier of the algorithm is its number below 2.16.840.1.101.3.4.2.
        let algorithm = match self {
            Self::Sha256 => 1,
            Self::Sha384 => 2,
            Self::Sha512 => 3,
        };
        let bytes = self.bytes() as u8;
        [
            0x30,
            17 + bytes,
            0x30,
            0x0d,
            0x06,
            0x09,
            0x60,
            0x86,
            0x48,
            0x01,
            0x65,
            0x03,
            0x04,
            0x02,
            algorithm,
            0x05,
            0x00,
            0x04,
            bytes,
        ]
    }

    /// The digest of each message, side by side where the CPU can. `message` gives the one at an index, and may
    /// be asked more than once.
    pub(super) fn digest_many<'a>(
        self,
        message: impl Fn(usize) -> &'a [u8],
        digests: &mut [Digest],
    ) {
        for (window, digests) in digests.chunks_mut(sha2::WINDOW).enumerate() {
            let message = |index: usize| (&[], message(window * sha2::WINDOW + index));
            match self {
                Self::Sha256 => {
                    let mut short = [[0; 32]; sha2::WINDOW];
                    let short = &mut short[..digests.len()];
                    let initial: Sha256State = SHA256_INITIAL;
                    digest_window_plain(Kernel::best(), initial, message, short);
                    for (digest, short) in digests.iter_mut().zip(short) {
                        digest[..short.len()].copy_from_slice(short);
                    }
                }
                Self::Sha384 => {
                    let initial: Sha512State = SHA384_INITIAL;
                    digest_window_plain(Kernel::best(), initial, message, digests);
                }
                Self::Sha512 => {
                    let initial: Sha512State = SHA512_INITIAL;
                    digest_window_plain(Kernel::best(), initial, message, digests);
                }
            }
        }
    }
}

//! Contents (RFC 7518 §5): AES-GCM, and AES-CBC with HMAC, which is checked before anything is decrypted.
#![forbid(unsafe_code)]

use super::{ContentEncryption, NotDecrypted, NotEncrypted, Sealed, SealedText};
use crate::os;
use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{
    self, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey,
    UnboundCipherKey,
};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use zeroize::Zeroizing;

impl ContentEncryption {
    /// Every one, in the order of RFC 7518 §5.1.
    pub const ALL: [Self; 6] = [
        Self::A128CbcHs256,
        Self::A192CbcHs384,
        Self::A256CbcHs512,
        Self::A128Gcm,
        Self::A192Gcm,
        Self::A256Gcm,
    ];

    /// The registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::A128CbcHs256 => "A128CBC-HS256",
            Self::A192CbcHs384 => "A192CBC-HS384",
            Self::A256CbcHs512 => "A256CBC-HS512",
            Self::A128Gcm => "A128GCM",
            Self::A192Gcm => "A192GCM",
            Self::A256Gcm => "A256GCM",
        }
    }

    /// The one with this registered name, compared exactly.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// Octets of the key.
    #[must_use]
    pub const fn key_bytes(self) -> usize {
        match self {
            Self::A128Gcm => 16,
            Self::A192Gcm => 24,
            Self::A128CbcHs256 | Self::A256Gcm => 32,
            Self::A192CbcHs384 => 48,
            Self::A256CbcHs512 => 64,
        }
    }

    /// Octets of the initialization vector.
    #[must_use]
    pub const fn iv_bytes(self) -> usize {
        match self {
            // RFC 7518 §5.3: "Use of an IV of size 96 bits is REQUIRED with this algorithm."
            Self::A128Gcm | Self::A192Gcm | Self::A256Gcm => 12,
            Self::A128CbcHs256 | Self::A192CbcHs384 | Self::A256CbcHs512 => 16,
        }
    }

    /// Octets of the authentication tag.
    #[must_use]
    pub const fn tag_bytes(self) -> usize {
        match self {
            // RFC 7518 §5.3: "The requested size of the Authentication Tag output MUST be 128 bits".
            Self::A128Gcm | Self::A192Gcm | Self::A256Gcm | Self::A128CbcHs256 => 16,
            Self::A192CbcHs384 => 24,
            Self::A256CbcHs512 => 32,
        }
    }

    /// The plaintext, if all of it was made by whoever has the key.
    pub(super) fn open(
        self,
        key: &[u8],
        sealed: &Sealed<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, NotDecrypted> {
        if key.len() != self.key_bytes()
            || sealed.iv.len() != self.iv_bytes()
            || sealed.tag.len() != self.tag_bytes()
        {
            return Err(NotDecrypted);
        }
        match self.kind() {
            Kind::Gcm(algorithm) => open_gcm(algorithm, key, sealed),
            Kind::Cbc(suite) => suite.open(key, sealed),
        }
    }

    /// Encrypts under a fresh initialization vector.
    pub(super) fn seal(
        self,
        key: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<SealedText, NotEncrypted> {
        let mut iv = vec![0; self.iv_bytes()];
        os::fill_random(&mut iv);
        self.seal_under(key, iv, aad, plaintext)
    }

    /// The same under a given vector, which must never come twice with one key.
    pub(super) fn seal_under(
        self,
        key: &[u8],
        iv: Vec<u8>,
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<SealedText, NotEncrypted> {
        match self.kind() {
            Kind::Gcm(algorithm) => {
                let key = UnboundKey::new(algorithm, key).map_err(|_| NotEncrypted)?;
                let nonce = Nonce::try_assume_unique_for_key(&iv).map_err(|_| NotEncrypted)?;
                let mut ciphertext = plaintext.to_vec();
                let tag = LessSafeKey::new(key)
                    .seal_in_place_separate_tag(nonce, Aad::from(aad), &mut ciphertext)
                    .map_err(|_| NotEncrypted)?;
                Ok(SealedText {
                    iv,
                    ciphertext,
                    tag: tag.as_ref().to_vec(),
                })
            }
            Kind::Cbc(suite) => suite.seal(key, iv, aad, plaintext),
        }
    }

    fn kind(self) -> Kind {
        let suite = |cipher, digest| {
            Kind::Cbc(Suite {
                cipher,
                digest,
                tag_bytes: self.tag_bytes(),
            })
        };
        match self {
            Self::A128Gcm => Kind::Gcm(&aead::AES_128_GCM),
            Self::A192Gcm => Kind::Gcm(&aead::AES_192_GCM),
            Self::A256Gcm => Kind::Gcm(&aead::AES_256_GCM),
            Self::A128CbcHs256 => suite(&cipher::AES_128, hmac::HMAC_SHA256),
            Self::A192CbcHs384 => suite(&cipher::AES_192, hmac::HMAC_SHA384),
            Self::A256CbcHs512 => suite(&cipher::AES_256, hmac::HMAC_SHA512),
        }
    }
}

enum Kind {
    Gcm(&'static aead::Algorithm),
    Cbc(Suite),
}

fn open_gcm(
    algorithm: &'static aead::Algorithm,
    key: &[u8],
    sealed: &Sealed<'_>,
) -> Result<Zeroizing<Vec<u8>>, NotDecrypted> {
    let key = UnboundKey::new(algorithm, key).map_err(|_| NotDecrypted)?;
    let nonce = Nonce::try_assume_unique_for_key(sealed.iv).map_err(|_| NotDecrypted)?;
    let mut plaintext = Zeroizing::new(vec![0; sealed.ciphertext.len()]);
    LessSafeKey::new(key)
        .open_separate_gather(
            nonce,
            Aad::from(sealed.aad),
            sealed.ciphertext,
            sealed.tag,
            &mut plaintext,
        )
        .map_err(|_| NotDecrypted)?;
    Ok(plaintext)
}

/// One of `AES_CBC_HMAC_SHA2` (RFC 7518 §5.2.2).
struct Suite {
    cipher: &'static cipher::Algorithm,
    digest: hmac::Algorithm,
    tag_bytes: usize,
}

impl Suite {
    //= https://www.rfc-editor.org/rfc/rfc7518#section-5.2.2.2
    //# The integrity and authenticity of A and E are checked [...] If they do not match, then decryption
    //# is halted
    fn open(&self, key: &[u8], sealed: &Sealed<'_>) -> Result<Zeroizing<Vec<u8>>, NotDecrypted> {
        let (mac_key, encryption_key) = key.split_at(key.len() / 2);
        let expected = self.tag(mac_key, sealed.aad, sealed.iv, sealed.ciphertext);
        let expected = expected
            .as_ref()
            .get(..self.tag_bytes)
            .ok_or(NotDecrypted)?;
        verify_slices_are_equal(expected, sealed.tag).map_err(|_| NotDecrypted)?;
        let iv: [u8; 16] = sealed.iv.try_into().map_err(|_| NotDecrypted)?;
        let key = UnboundCipherKey::new(self.cipher, encryption_key).map_err(|_| NotDecrypted)?;
        let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).map_err(|_| NotDecrypted)?;
        let mut plaintext = Zeroizing::new(sealed.ciphertext.to_vec());
        let context = DecryptionContext::Iv128(FixedLength::from(&iv));
        let length = key
            .decrypt(&mut plaintext, context)
            .map_err(|_| NotDecrypted)?
            .len();
        plaintext.truncate(length);
        Ok(plaintext)
    }

    fn seal(
        &self,
        key: &[u8],
        iv: Vec<u8>,
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<SealedText, NotEncrypted> {
        let (mac_key, encryption_key) = key.split_at(key.len() / 2);
        let vector: [u8; 16] = iv.as_slice().try_into().map_err(|_| NotEncrypted)?;
        let key = UnboundCipherKey::new(self.cipher, encryption_key).map_err(|_| NotEncrypted)?;
        let key = PaddedBlockEncryptingKey::cbc_pkcs7(key).map_err(|_| NotEncrypted)?;
        // Room for the padding, so that no copy of the plaintext is left behind by growing.
        let mut ciphertext = Vec::with_capacity(plaintext.len() + 16);
        ciphertext.extend_from_slice(plaintext);
        let context = EncryptionContext::Iv128(FixedLength::from(&vector));
        key.less_safe_encrypt(&mut ciphertext, context)
            .map_err(|_| NotEncrypted)?;
        let tag = self.tag(mac_key, aad, &iv, &ciphertext);
        let tag = tag
            .as_ref()
            .get(..self.tag_bytes)
            .ok_or(NotEncrypted)?
            .to_vec();
        Ok(SealedText {
            iv,
            ciphertext,
            tag,
        })
    }

    /// The whole MAC over A, IV, E and AL; the tag is the first part of it.
    fn tag(&self, mac_key: &[u8], aad: &[u8], iv: &[u8], ciphertext: &[u8]) -> hmac::Tag {
        let mut mac = hmac::Context::with_key(&hmac::Key::new(self.digest, mac_key));
        mac.update(aad);
        mac.update(iv);
        mac.update(ciphertext);
        // AL: "the number of bits in the Additional Authenticated Data A expressed as a 64-bit unsigned big-endian
        // integer".
        mac.update(&(aad.len() as u64 * 8).to_be_bytes());
        mac.sign()
    }
}

//! SHA-256 with a secret prefix, one message or many at a time: the digest that names a cached verdict.
#![forbid(unsafe_code)]

/// SHA-256 state after one 64-byte block of secret prefix; the prefix costs nothing per message.
#[derive(Clone)]
pub struct KeyedSha256 {
    // helper: midstate [u32; 8]
}

impl KeyedSha256 {
    /// Absorbs the secret, one whole block.
    #[must_use]
    pub fn new(_secret: &[u8; 64]) -> Self {
        todo!()
    }
    /// SHA-256(secret || prefix || message).
    #[must_use]
    pub fn digest_with(&self, _prefix: [u8; 8], _message: &[u8]) -> [u8; 32] {
        todo!()
    }
    /// [`Self::digest_with`] of each prefix and message.
    pub fn digest_many_with(&self, _messages: &[([u8; 8], &[u8])], _digests: &mut Vec<[u8; 32]>) {
        todo!()
    }
    /// SHA-256(secret || message).
    #[must_use]
    pub fn digest(&self, _message: &[u8]) -> [u8; 32] {
        todo!()
    }
    /// [`Self::digest`] of each message, in lanes where the CPU has them.
    pub fn digest_many(&self, _messages: &[&[u8]], _digests: &mut Vec<[u8; 32]>) {
        todo!()
    }
}

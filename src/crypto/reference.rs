//! The reference: aws-lc-rs with keys parsed once. What every other kernel is held against.
//!
//! It refuses nothing on policy. Key rules stand in [`rsa`](super::rsa), [`ecdsa`](super::ecdsa) and
//! [`ed25519`](super::ed25519), which are the only ones to make a [`PublicKey`].
#![forbid(unsafe_code)]

use super::batch::Outcome;
use aws_lc_rs::signature::ParsedPublicKey;

/// A public key in aws-lc-rs' parsed form, with the one length its signatures have.
pub(super) struct PublicKey {
    parsed: ParsedPublicKey,
    signature_bytes: usize,
}

impl PublicKey {
    pub(super) fn new(parsed: ParsedPublicKey, signature_bytes: usize) -> Self {
        Self {
            parsed,
            signature_bytes,
        }
    }

    /// Whether the signature is this key's over the message.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Outcome {
        // The length comes first: it is fixed by the key (RFC 7518 §3.3 to §3.5, RFC 8032 §5.1.6), and it
        // bounds the work that a garbage signature can cause.
        if signature.len() != self.signature_bytes {
            return Outcome::Forged;
        }
        match self.parsed.verify_sig(message, signature) {
            Ok(()) => Outcome::Genuine,
            Err(_) => Outcome::Forged,
        }
    }
}

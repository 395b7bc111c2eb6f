//! SHA-2 with a secret first block, one message or many at a time: the digest that names a cached verdict,
//! and what HMAC is made of.
//!
//! [`KeyedSha256`] is not a MAC: whoever sees a digest could extend its message. The digests are compared inside the process
//! and never leave it; the secret is there so that nobody outside can look for two messages with one digest,
//! or choose where their digests fall.

#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(not(target_arch = "x86_64"))]
#[path = "no_avx512.rs"]
mod avx512;
mod function;
mod lanes;
mod padded;

pub(super) use function::{
    Midstate, SHA256_INITIAL, SHA384_INITIAL, SHA512_INITIAL, Sha256State, Sha512State, State,
    digest_window, digest_window_plain,
};
pub use lanes::Kernel;

/// SHA-256 state after one 64-byte block of secret prefix; the prefix costs nothing per message.
#[derive(Clone)]
pub struct KeyedSha256 {
    midstate: Midstate<Sha256State>,
    kernel: Kernel,
}

/// Messages are taken this many at a time: the widest kernel's lanes several times over, and little enough
/// for the stack.
pub(super) const WINDOW: usize = 64;

impl KeyedSha256 {
    /// Absorbs the secret, one whole block, for the best kernel of this CPU.
    #[must_use]
    pub fn new(secret: &[u8; 64]) -> Self {
        Self::with_kernel(secret, Kernel::best())
    }

    /// Absorbs the secret for the kernel given, so that tests and benches can compare them.
    #[must_use]
    pub fn with_kernel(secret: &[u8; 64], kernel: Kernel) -> Self {
        Self {
            midstate: Midstate::new(SHA256_INITIAL, secret),
            kernel,
        }
    }

    /// SHA-256(secret || message).
    #[must_use]
    pub fn digest(&self, message: &[u8]) -> [u8; 32] {
        self.midstate.digest(&[], message)
    }

    /// SHA-256(secret || prefix || message): a few fixed bytes that say what the message is, without a copy
    /// of it.
    #[must_use]
    pub fn digest_with(&self, prefix: [u8; 8], message: &[u8]) -> [u8; 32] {
        self.midstate.digest(&prefix, message)
    }

    /// [`Self::digest`] of each message, in lanes where the CPU has them. What `digests` held before is
    /// cleared.
    pub fn digest_many(&self, messages: &[&[u8]], digests: &mut Vec<[u8; 32]>) {
        digests.clear();
        digests.resize(messages.len(), [0; 32]);
        for (messages, digests) in messages.chunks(WINDOW).zip(digests.chunks_mut(WINDOW)) {
            let each = |index: usize| (&self.midstate, &[], messages[index]);
            digest_window(self.kernel, each, digests);
        }
    }

    /// [`Self::digest_with`] of each prefix and message, in lanes where the CPU has them. What `digests` held
    /// before is cleared.
    pub fn digest_many_with(&self, messages: &[([u8; 8], &[u8])], digests: &mut Vec<[u8; 32]>) {
        digests.clear();
        digests.resize(messages.len(), [0; 32]);
        for (messages, digests) in messages.chunks(WINDOW).zip(digests.chunks_mut(WINDOW)) {
            let each = |index: usize| (&self.midstate, &messages[index].0, messages[index].1);
            digest_window(self.kernel, each, digests);
        }
    }
}

/// SHA-256 of each message (FIPS 180-4 §6.2), in lanes where the CPU has them. `message` gives the one at an
/// index, and may be asked more than once.
pub(super) fn sha256_many<'a>(message: impl Fn(usize) -> &'a [u8], digests: &mut [[u8; 32]]) {
    let kernel = Kernel::best();
    for (window, digests) in digests.chunks_mut(WINDOW).enumerate() {
        let message = |index: usize| message(window * WINDOW + index);
        digest_window_plain(kernel, SHA256_INITIAL, message, digests);
    }
}

/// Prints nothing of the state: it stands for the secret.
impl std::fmt::Debug for KeyedSha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyedSha256")
            .field("kernel", &self.kernel)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

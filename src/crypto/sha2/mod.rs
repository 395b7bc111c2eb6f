//! SHA-256 with a secret prefix, one message or many at a time: the digest that names a cached verdict.
//!
//! Not a MAC: whoever sees a digest could extend its message. The digests are compared inside the process
//! and never leave it; the secret is there so that nobody outside can look for two messages with one digest,
//! or choose where their digests fall.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod lanes;
mod padded;

pub use lanes::Kernel;

use lanes::Lane;
use padded::{BLOCK_BYTES, Padded, block_count};
use sha2::block_api::compress256;
use zeroize::Zeroize as _;

/// SHA-256 state after one 64-byte block of secret prefix; the prefix costs nothing per message.
#[derive(Clone)]
pub struct KeyedSha256 {
    midstate: Midstate,
    kernel: Kernel,
}

/// The eight words of a SHA-256 state (FIPS 180-4 §6.2).
type State = [u32; 8];

/// The initial state (FIPS 180-4 §5.3.3).
const INITIAL: State = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

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
            midstate: Midstate::after(secret),
            kernel,
        }
    }

    /// SHA-256(secret || message).
    #[must_use]
    pub fn digest(&self, message: &[u8]) -> [u8; 32] {
        self.midstate.digest_after(&[], message)
    }

    /// SHA-256(secret || prefix || message): a few fixed bytes that say what the message is, without a copy
    /// of it.
    #[must_use]
    pub fn digest_with(&self, prefix: [u8; 8], message: &[u8]) -> [u8; 32] {
        self.midstate.digest_after(&prefix, message)
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

/// A state after one block of secret, erased when dropped.
#[derive(Clone)]
pub(super) struct Midstate(State);

impl Midstate {
    pub(super) fn after(secret: &[u8; BLOCK_BYTES]) -> Self {
        let mut midstate = Self(INITIAL);
        compress256(&mut midstate.0, std::slice::from_ref(secret));
        midstate
    }

    /// SHA-256(secret || prefix || message).
    pub(super) fn digest_after<const PREFIX_BYTES: usize>(
        &self,
        prefix: &[u8; PREFIX_BYTES],
        message: &[u8],
    ) -> [u8; 32] {
        self.lane(prefix, message).digest_from(0)
    }

    /// A message that follows the secret.
    fn lane<'a, const PREFIX_BYTES: usize>(
        &self,
        prefix: &[u8; PREFIX_BYTES],
        message: &'a [u8],
    ) -> Lane<'a> {
        Lane::new(self.0, Padded::new(BLOCK_BYTES, prefix, message))
    }
}

impl Drop for Midstate {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Digests up to [`WINDOW`] messages into their places. `each` says what stands at an index: a secret, a
/// prefix, and the message after it; it may be asked more than once.
pub(super) fn digest_window<'a, const PREFIX_BYTES: usize>(
    kernel: Kernel,
    each: impl Fn(usize) -> (&'a Midstate, &'a [u8; PREFIX_BYTES], &'a [u8]),
    digests: &mut [[u8; 32]],
) {
    kernel.digest_window(
        |index| {
            let (midstate, prefix, message) = each(index);
            midstate.lane(prefix, message)
        },
        |index| block_count(PREFIX_BYTES + each(index).2.len()),
        digests,
    );
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

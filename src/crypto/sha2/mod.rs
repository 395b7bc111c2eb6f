//! SHA-2, one message or many at a time: with a secret first block it is what HMAC is made of, without one it
//! digests signing inputs.
//!
//! By itself it is not a MAC: whoever sees a digest could extend its message. HMAC sees to that.

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

/// Messages are taken this many at a time: the widest kernel's lanes several times over, and little enough
/// for the stack.
pub(super) const WINDOW: usize = 64;

/// SHA-256 of each message (FIPS 180-4 §6.2), in lanes where the CPU has them. `message` gives the one at an
/// index, and may be asked more than once.
pub(super) fn sha256_many<'a>(message: impl Fn(usize) -> &'a [u8], digests: &mut [[u8; 32]]) {
    let kernel = Kernel::best();
    for (window, digests) in digests.chunks_mut(WINDOW).enumerate() {
        let message = |index: usize| (&[], message(window * WINDOW + index));
        digest_window_plain(kernel, SHA256_INITIAL, message, digests);
    }
}

/// SHA-384 of each message (FIPS 180-4 §6.5), as [`sha256_many`].
pub(super) fn sha384_many<'a>(message: impl Fn(usize) -> &'a [u8], digests: &mut [[u8; 48]]) {
    let kernel = Kernel::best();
    let mut states = [[0; 64]; WINDOW];
    for (window, digests) in digests.chunks_mut(WINDOW).enumerate() {
        let message = |index: usize| (&[], message(window * WINDOW + index));
        let states = &mut states[..digests.len()];
        digest_window_plain(kernel, SHA384_INITIAL, message, states);
        for (digest, state) in digests.iter_mut().zip(states) {
            digest.copy_from_slice(&state[..48]);
        }
    }
}

/// SHA-512 of each prefix and the message after it (FIPS 180-4 §6.4), as [`sha256_many`] digests.
pub(super) fn sha512_prefixed_many<'a, const PREFIX_BYTES: usize>(
    each: impl Fn(usize) -> (&'a [u8; PREFIX_BYTES], &'a [u8]),
    digests: &mut [[u8; 64]],
) {
    let kernel = Kernel::best();
    for (window, digests) in digests.chunks_mut(WINDOW).enumerate() {
        let each = |index: usize| each(window * WINDOW + index);
        digest_window_plain(kernel, SHA512_INITIAL, each, digests);
    }
}

#[cfg(test)]
mod tests;

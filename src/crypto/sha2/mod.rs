//! SHA-2 with a secret first block, one message or many at a time: what HMAC is made of.
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
    digest_window,
};
pub use lanes::Kernel;

/// Messages are taken this many at a time: the widest kernel's lanes several times over, and little enough
/// for the stack.
pub(super) const WINDOW: usize = 64;

#[cfg(test)]
mod tests;

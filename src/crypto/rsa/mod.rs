//! RSA signatures with PKCS#1 v1.5 and PSS: which keys are accepted, and many signatures at a time.
//!
//! Keys of 2048, 3072 and 4096 bits with the exponent 65537 have a kernel of eight vector lanes, a signature and
//! its key in each; other keys, other machines, and a signature alone are left to the reference.
//!
//! The kernel is not trusted to refuse: what it does not find genuine is asked of the reference again. And it
//! combines nothing: a finding stands for its signature alone.

mod block;
mod constants;
mod encoding;
#[cfg(target_arch = "x86_64")]
mod ifma;
#[cfg(not(target_arch = "x86_64"))]
#[path = "no_ifma.rs"]
mod ifma;
mod kernel;
mod key;
mod lanes;
mod montgomery;
mod number;
mod pss;
mod room;
mod run;
mod verify;

pub(super) use constants::Constants;
pub(super) use key::parse;
pub(super) use run::find;

#[cfg(test)]
mod tests;

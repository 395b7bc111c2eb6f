//! ECDSA for keys that are used again and again, on curves of the short Weierstrass form: many signatures at a time,
//! each with its own finding.
//!
//! A key is prepared once: a table of its multiples, which takes hundreds of KiB and about a millisecond, and is built
//! only when its owner asks for it, never by a message. A prepared key's signatures are then sums of table points.
//! [`Kernel`] says which code adds them: the same source over eight vector lanes or over words of 64 bits, and over
//! each [`Curve`].
//!
//! It is not trusted to refuse: what it does not find genuine is asked of the reference again. And it combines
//! nothing: a finding stands for its signature alone.
//!
//! [`Curve`]: curve::Curve
//! [`Kernel`]: kernel::Kernel

mod curve;
mod field;
#[cfg(target_arch = "x86_64")]
mod ifma;
#[cfg(not(target_arch = "x86_64"))]
#[path = "no_ifma.rs"]
mod ifma;
mod invert;
mod kernel;
mod lanes;
mod modulus;
mod p256;
mod p384;
mod portable;
mod projective;
mod recode;
mod run;
mod scratch;
mod secp256k1;
mod table;
mod tree;
mod verify;

pub(super) use run::{Key, find};

#[cfg(test)]
mod tests;

//! What RFC 7515, 7516, 7517, 7518, 7519 and 8037 say about the shape of tokens and keys.
//!
//! This room parses. It never decides, has no clock, and holds no keys of ours.
#![forbid(unsafe_code)]

mod algorithm;
mod claims;
mod compact;
#[doc(hidden)]
pub mod fuzz;
mod header;
mod inspect;
mod jwe;
mod jwk;

#[cfg(test)]
mod tests;

pub use crate::crypto::encryption::{ContentEncryption, KeyManagement};
pub use algorithm::Algorithm;
pub use claims::{Claims, NumericDate};
pub use compact::CompactJws;
pub use header::Header;
pub use inspect::{Inspection, inspect};
pub use jwe::{CompactJwe, JweHeader, JweParts};
pub use jwk::{Curve, EncryptionAlg, Jwk, JwkSet, KeyUse, Skipped, danger};

/// Why a token could not be read. `verify` maps each to its refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoseError {
    /// A structural rule is broken; the text names it.
    #[error("{0}")]
    Malformed(&'static str),
    /// A part is longer than its limit.
    #[error("the {what} is longer than {limit_bytes} bytes")]
    TooLarge {
        /// Which part.
        what: &'static str,
        /// The limit.
        limit_bytes: usize,
    },
    /// `alg` is `none`, unregistered, or not one jotd verifies.
    #[error("the algorithm is not supported")]
    UnsupportedAlg,
    /// `crit` is malformed or names an extension that is not understood (RFC 7515 §4.1.11).
    #[error("crit is malformed or names an unknown extension")]
    UnknownCritical,
}

//! The binary protocol as pure functions over byte slices. `docs/protocol.md` defines it byte for byte.
//!
//! Everything is little-endian and bounded; a decoder borrows from the frame it reads, never allocates
//! in proportion to a number it was told, and never panics. No I/O here, no time, no engine.
#![forbid(unsafe_code)]

mod ask;
mod bytes;
mod fault;
mod frame;
mod hello;
mod remote;
mod verdicts;

#[doc(hidden)]
pub mod fuzz;
#[cfg(test)]
mod vectors;

pub use ask::{Ask, Tokens, TooLong};
pub use fault::{Fault, FaultCode, FaultReport};
pub use frame::{FrameKind, Framing, HEAD_BYTES, Head, encode_bare, next_frame};
pub use hello::{
    FEATURE_MIN_REVISION, FEATURES, HELLO_BYTES, HELLO_BYTES_MAX, Hello, MAGIC, VERSION,
};
pub use remote::{RemoteSigner, RemoteVerdict, VerdictRecord, Verdicts};
pub use verdicts::{Standing, encode_verdicts};

/// Bytes that do not follow `docs/protocol.md`. The text names the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadBytes(pub &'static str);

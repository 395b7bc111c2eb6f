//! Strict, bounded readers of what a token is written in: base64url and JSON.
//!
//! They know no token and no claim. They refuse whatever has two readings, so that everyone who looks at
//! the same bytes sees the same text.

pub mod base64url;
#[doc(hidden)]
pub mod fuzz;
mod hex;
pub mod json;

pub use hex::hex;

//! Strict, bounded readers of what a token is written in: base64url and JSON.
#![forbid(unsafe_code)]

pub mod base64url;
pub mod json;

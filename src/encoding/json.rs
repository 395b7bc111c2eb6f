//! Strict, bounded JSON (RFC 8259): UTF-8, no duplicate members, limits on depth, length and count.
#![forbid(unsafe_code)]

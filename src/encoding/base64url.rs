//! base64url without padding (RFC 7515 §2), strictly: the alphabet, no `=`, zero trailing bits.
#![forbid(unsafe_code)]

//! Brings issuers' keys in: from files, which are watched, and from the issuers over HTTPS. It never
//! decides about a token, and it never takes away good keys for bad ones: a source that breaks leaves
//! the keys as they were last known.
#![forbid(unsafe_code)]

mod source;
mod uri;

pub use source::{
    Endpoint, FileError, FileFault, Files, NoUsableKey, Remote, Source, pin, read_secret_bytes,
};
pub use uri::{UriFault, check_uri, is_public};

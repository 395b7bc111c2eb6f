//! The closed set of outcomes. A refusal is a value, never an error, and nothing here can hold a token.
//!
//! This room writes the JSON of `docs/protocol.md` and owns the numbers of the binary protocol, so that
//! every transport says the same thing in the same words.
#![forbid(unsafe_code)]

mod json;
mod refusal;

pub use refusal::{Cause, Reason, Refusal, Unavailable};

use std::sync::Arc;

/// What jotd answers about one token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The token may be trusted now, under the policy it was asked for.
    Valid(Trusted),
    /// It may not, for exactly one stated reason.
    Invalid(Refusal),
    /// The daemon cannot say. Never to be read as either of the other two.
    Unavailable(Unavailable),
}

/// What a trusted token vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted {
    /// Who vouches: issuer, algorithm and key. Shared by all tokens of that key.
    pub signer: Arc<Signer>,
    /// The claims set as JSON text without insignificant line breaks; empty when not asked for.
    pub claims: ClaimsJson,
    /// `exp` (RFC 7519 §4.1.4) in seconds since the epoch; `None` only where the policy does not
    /// require it.
    pub expires_at: Option<i64>,
    /// Seconds from the decision to `exp`; negative within the leeway.
    pub expires_in: Option<i64>,
    /// Whether signature and static policy came from the cache.
    pub cached: bool,
    /// How fresh the knowledge of revocations was.
    pub revocation: Freshness,
}

/// How much is known about revocations at some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// Whether anything can have been missed.
    pub state: RevocationState,
    /// How old the knowledge is, in milliseconds; `u32::MAX` where there never was any, or as long ago.
    pub age_ms: u32,
}

/// Whether revocations are followed, as callers see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RevocationState {
    /// No revocation is configured.
    #[default]
    Off = 0,
    /// Every order acknowledged up to the knowledge's age ago is known, and that is within the lease.
    Live = 1,
    /// Orders may have been missed since.
    Stale = 2,
}

impl RevocationState {
    /// The stable name, as in the JSON verdict.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Live => "live",
            Self::Stale => "stale",
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// Issuer, algorithm and key behind a trusted token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The issuer's configured name, not its `iss` URL.
    pub issuer: Arc<str>,
    /// The tenant the issuer belongs to; `default` where none is configured.
    pub tenant: Arc<str>,
    /// The JWS `alg` the key is pinned to, as registered by IANA.
    pub alg: &'static str,
    /// The key's `kid`, when it has one.
    pub kid: Option<Arc<str>>,
}

/// A claims set as JSON text, kept as the issuer wrote it. Debug prints its length only: claims are
/// personal data.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ClaimsJson(Option<Box<[u8]>>);

impl ClaimsJson {
    /// Wraps the JSON text of an object that has been parsed and verified.
    #[must_use]
    pub fn new(json: Box<[u8]>) -> Self {
        Self(Some(json))
    }

    /// The JSON text, or `None` when the caller did not ask for claims.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        self.0.as_deref()
    }
}

impl std::fmt::Debug for ClaimsJson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Some(json) => write!(f, "ClaimsJson({} bytes)", json.len()),
            None => f.write_str("ClaimsJson(not asked for)"),
        }
    }
}

impl Verdict {
    /// Whether the token may be trusted.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        matches!(self, Self::Valid(_))
    }

    /// The reason, for anything but a valid token.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Valid(_) => None,
            Self::Invalid(refusal) => Some(refusal.reason()),
            Self::Unavailable(_) => Some(Reason::Unavailable),
        }
    }
}

impl From<Refusal> for Verdict {
    fn from(refusal: Refusal) -> Self {
        Self::Invalid(refusal)
    }
}

impl From<Unavailable> for Verdict {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

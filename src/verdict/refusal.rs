//! Why a token was refused, or why the daemon cannot say.

use std::borrow::Cow;
use std::fmt;

/// The reason as callers see it: a closed set, with its stable name and its number on the wire.
///
/// The order is the order of precedence among claims checks; numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[allow(
    missing_docs,
    reason = "the names are the documentation; docs/protocol.md has the table"
)]
pub enum Reason {
    Malformed = 1,
    UnsupportedAlg = 2,
    AlgNotAllowed = 3,
    UnknownIssuer = 4,
    UnknownKid = 5,
    KeyUnusable = 6,
    BadSignature = 7,
    DecryptFailed = 8,
    Expired = 9,
    NotYetValid = 10,
    IssuedInFuture = 11,
    TooOld = 12,
    WrongIssuer = 13,
    WrongAudience = 14,
    WrongType = 15,
    MissingClaim = 16,
    InvalidClaim = 17,
    UnknownCritical = 18,
    TooLarge = 19,
    Revoked = 20,
    Replayed = 21,
    BindingMismatch = 22,
    InsufficientScope = 23,
    Forbidden = 24,
    Unavailable = 25,
}

impl Reason {
    /// Every reason, in wire order.
    pub const ALL: [Self; 25] = [
        Self::Malformed,
        Self::UnsupportedAlg,
        Self::AlgNotAllowed,
        Self::UnknownIssuer,
        Self::UnknownKid,
        Self::KeyUnusable,
        Self::BadSignature,
        Self::DecryptFailed,
        Self::Expired,
        Self::NotYetValid,
        Self::IssuedInFuture,
        Self::TooOld,
        Self::WrongIssuer,
        Self::WrongAudience,
        Self::WrongType,
        Self::MissingClaim,
        Self::InvalidClaim,
        Self::UnknownCritical,
        Self::TooLarge,
        Self::Revoked,
        Self::Replayed,
        Self::BindingMismatch,
        Self::InsufficientScope,
        Self::Forbidden,
        Self::Unavailable,
    ];

    /// The stable name, as in the JSON verdict.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnsupportedAlg => "unsupported_alg",
            Self::AlgNotAllowed => "alg_not_allowed",
            Self::UnknownIssuer => "unknown_issuer",
            Self::UnknownKid => "unknown_kid",
            Self::KeyUnusable => "key_unusable",
            Self::BadSignature => "bad_signature",
            Self::DecryptFailed => "decrypt_failed",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::IssuedInFuture => "issued_in_future",
            Self::TooOld => "too_old",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::WrongType => "wrong_type",
            Self::MissingClaim => "missing_claim",
            Self::InvalidClaim => "invalid_claim",
            Self::UnknownCritical => "unknown_critical",
            Self::TooLarge => "too_large",
            Self::Revoked => "revoked",
            Self::Replayed => "replayed",
            Self::BindingMismatch => "binding_mismatch",
            Self::InsufficientScope => "insufficient_scope",
            Self::Forbidden => "forbidden",
            Self::Unavailable => "unavailable",
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The reason with this number on the wire.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A refusal with what an operator needs to understand it. `Display` is the verdict's `detail`.
///
/// Variants decided before the signature is checked carry nothing of the token's claims: an
/// unverified token reveals nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not a JWS in compact serialization, or its JSON breaks a rule. The text names the rule.
    Malformed(&'static str),
    /// The `alg` is `none`, unregistered, or one jotd does not verify.
    UnsupportedAlg,
    /// The `alg` is supported, but neither the issuer's policy nor the key allows it.
    AlgNotAllowed {
        /// The header's `alg`.
        alg: &'static str,
    },
    /// No configured issuer has this token's `iss`.
    UnknownIssuer,
    /// The issuer has no key with this token's `kid`, or several keys fit a token without one.
    UnknownKid,
    /// The issuer has the key, but it cannot be used for this.
    KeyUnusable(&'static str),
    /// The signature is not the key's over this token.
    BadSignature,
    /// The token is encrypted and could not be decrypted.
    DecryptFailed,
    /// `exp` has passed, leeway included.
    Expired {
        /// `exp`, seconds since the epoch.
        expired_at: i64,
        /// Seconds since `exp`.
        ago_seconds: i64,
    },
    /// `nbf` has not come yet, leeway included.
    NotYetValid {
        /// `nbf`, seconds since the epoch.
        not_before: i64,
    },
    /// `iat` lies in the future, leeway included.
    IssuedInFuture {
        /// `iat`, seconds since the epoch.
        issued_at: i64,
    },
    /// Issued longer ago, or for longer, than the policy allows.
    TooOld(&'static str),
    /// `iss` is not one the caller accepts.
    WrongIssuer,
    /// `aud` names none of the audiences the policy accepts.
    WrongAudience,
    /// `typ` is not one the policy accepts.
    WrongType,
    /// A claim the policy requires is absent.
    MissingClaim(Cow<'static, str>),
    /// A claim has the wrong JSON type or an impossible value.
    InvalidClaim(Cow<'static, str>),
    /// `crit` is malformed, or names an extension jotd does not understand (RFC 7515 §4.1.11).
    UnknownCritical,
    /// The token or one of its parts is longer than its limit.
    TooLarge {
        /// Which part.
        what: &'static str,
        /// The limit, in bytes.
        limit_bytes: usize,
    },
    /// An order revokes it.
    Revoked,
    /// It may be used once, and was.
    Replayed,
    /// The token is bound to a key or a client by `cnf`, and was presented as a plain bearer token.
    BindingMismatch,
    /// A scope that the policy requires was not granted.
    InsufficientScope,
    /// The peer or policy may not ask this.
    Forbidden(&'static str),
}

impl Refusal {
    /// The closed-set reason of this refusal.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Malformed(_) => Reason::Malformed,
            Self::UnsupportedAlg => Reason::UnsupportedAlg,
            Self::AlgNotAllowed { .. } => Reason::AlgNotAllowed,
            Self::UnknownIssuer => Reason::UnknownIssuer,
            Self::UnknownKid => Reason::UnknownKid,
            Self::KeyUnusable(_) => Reason::KeyUnusable,
            Self::BadSignature => Reason::BadSignature,
            Self::DecryptFailed => Reason::DecryptFailed,
            Self::Expired { .. } => Reason::Expired,
            Self::NotYetValid { .. } => Reason::NotYetValid,
            Self::IssuedInFuture { .. } => Reason::IssuedInFuture,
            Self::TooOld(_) => Reason::TooOld,
            Self::WrongIssuer => Reason::WrongIssuer,
            Self::WrongAudience => Reason::WrongAudience,
            Self::WrongType => Reason::WrongType,
            Self::MissingClaim(_) => Reason::MissingClaim,
            Self::InvalidClaim(_) => Reason::InvalidClaim,
            Self::UnknownCritical => Reason::UnknownCritical,
            Self::TooLarge { .. } => Reason::TooLarge,
            Self::Revoked => Reason::Revoked,
            Self::Replayed => Reason::Replayed,
            Self::BindingMismatch => Reason::BindingMismatch,
            Self::InsufficientScope => Reason::InsufficientScope,
            Self::Forbidden(_) => Reason::Forbidden,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(rule) => f.write_str(rule),
            Self::UnsupportedAlg => f.write_str("the header's alg is none or not supported"),
            Self::AlgNotAllowed { alg } => {
                write!(f, "{alg} is not allowed for this issuer and key")
            }
            Self::UnknownIssuer => f.write_str("no configured issuer has this token's iss"),
            Self::UnknownKid => f.write_str("the issuer has no single key that fits the header"),
            Self::KeyUnusable(why) => write!(f, "the issuer's key cannot be used: {why}"),
            Self::BadSignature => f.write_str("the signature does not verify"),
            Self::DecryptFailed => f.write_str("the token could not be decrypted"),
            Self::Expired {
                expired_at,
                ago_seconds,
            } => write!(f, "expired {ago_seconds} s ago (exp {expired_at})"),
            Self::NotYetValid { not_before } => write!(f, "not valid before nbf {not_before}"),
            Self::IssuedInFuture { issued_at } => {
                write!(f, "issued in the future (iat {issued_at})")
            }
            Self::TooOld(rule) => f.write_str(rule),
            Self::WrongIssuer => f.write_str("iss is not an accepted issuer"),
            Self::WrongAudience => f.write_str("aud names no accepted audience"),
            Self::WrongType => f.write_str("typ is not an accepted token type"),
            Self::MissingClaim(name) => write!(f, "the required claim {name} is missing"),
            Self::InvalidClaim(name) => write!(f, "the claim {name} has an invalid value"),
            Self::UnknownCritical => {
                f.write_str("crit is malformed or names an extension that is not understood")
            }
            Self::TooLarge { what, limit_bytes } => {
                write!(f, "the {what} is longer than {limit_bytes} bytes")
            }
            Self::Revoked => f.write_str("an order revokes the token"),
            Self::Replayed => f.write_str("the token may be used once, and was"),
            Self::BindingMismatch => {
                f.write_str("the token is bound by cnf and cannot pass as a bearer token")
            }
            Self::InsufficientScope => f.write_str("a required scope was not granted"),
            Self::Forbidden(why) => f.write_str(why),
        }
    }
}

/// "I could not check" with what would make it worth asking again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable {
    /// What stands in the way.
    pub cause: Cause,
    /// When asking again may help, in milliseconds.
    pub retry_after_ms: u32,
}

/// What keeps the daemon from deciding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Cause {
    /// Queues are full, or the daemon is draining.
    Overloaded = 1,
    /// The issuer's keys are being fetched.
    KeysRefreshing = 2,
    /// Revocations may have been missed, and the policy is strict.
    RevocationStale = 3,
    /// The caller's deadline passed before the work was done.
    Deadline = 4,
    /// The token may be used once, and whether it was cannot be said.
    ReplayUnknown = 5,
}

impl Cause {
    /// Every cause, in wire order.
    pub const ALL: [Self; 5] = [
        Self::Overloaded,
        Self::KeysRefreshing,
        Self::RevocationStale,
        Self::Deadline,
        Self::ReplayUnknown,
    ];

    /// The stable name, as in the JSON verdict.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Overloaded => "overloaded",
            Self::KeysRefreshing => "keys_refreshing",
            Self::RevocationStale => "revocation_stale",
            Self::Deadline => "deadline",
            Self::ReplayUnknown => "replay_unknown",
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The cause with this number on the wire.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }
}

impl Unavailable {
    /// Full queues; asking again soon may help.
    pub const OVERLOADED: Self = Self {
        cause: Cause::Overloaded,
        retry_after_ms: 50,
    };
    /// The deadline passed; the caller knows best when to ask again.
    pub const DEADLINE: Self = Self {
        cause: Cause::Deadline,
        retry_after_ms: 0,
    };
    /// Revocations may have been missed; asking again helps once the feed is back.
    pub const REVOCATION_STALE: Self = Self {
        cause: Cause::RevocationStale,
        retry_after_ms: 100,
    };
    /// Where uses are shared is out of reach, or there is no room to remember one more.
    pub const REPLAY_UNKNOWN: Self = Self {
        cause: Cause::ReplayUnknown,
        retry_after_ms: 100,
    };
    /// The issuer's keys have not arrived yet.
    pub const KEYS_REFRESHING: Self = Self {
        cause: Cause::KeysRefreshing,
        retry_after_ms: 200,
    };
}

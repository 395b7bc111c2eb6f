//! The decision: a function of tokens, record snapshots and a given `now`.
//!
//! The same inputs give the same verdicts, which makes it replayable, fuzzable and benchable with no
//! daemon. A batch of one takes the same path as a batch of many.
#![forbid(unsafe_code)]

use crate::cache::{Digest, Entry};
use crate::clock::Now;
use crate::keys::KeySet;
use crate::policy::{Narrowing, Policy};
use crate::verdict::Verdict;
use std::sync::Arc;

/// One question: a token, and under which terms.
#[derive(Clone, Copy)]
pub struct Question<'t> {
    /// The compact serialization as it arrived.
    pub token: &'t [u8],
    /// The request policy's number in the records; [`PolicyId::DEFAULT`] for none.
    pub policy: PolicyId,
    /// Which claims the answer should carry.
    pub want: &'t Want,
}

/// Which claims a caller wants back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Want {
    /// The verdict only.
    #[default]
    Verdict,
    /// The whole claims set.
    Claims,
    /// These top-level members only.
    Members(Box<[Box<str>]>),
}

/// A request policy's number in one [`Records`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PolicyId(pub u32);

impl PolicyId {
    /// No narrowing beyond the issuer's own policy.
    pub const DEFAULT: Self = Self(0);
}

/// An answer, with what the cache may remember of it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The verdict.
    pub verdict: Verdict,
    /// Present only for a verified token whose policy allows caching.
    pub remember: Option<Remember>,
}

/// What the cache may remember of a verified token.
#[derive(Clone, Copy, Debug)]
pub struct Remember {
    /// The entry to insert.
    pub entry: Entry,
    /// The tenant's number, for its share of the cache.
    pub share: u32,
}

/// Everything a decision rests on besides the token and the time: an immutable snapshot.
pub struct Records {}

/// A trusted issuer: its name, its rules, its keys.
#[derive(Clone)]
pub struct Issuer {
    /// The configured name, unique in the records.
    pub name: Arc<str>,
    /// The tenant it belongs to.
    pub tenant: Arc<str>,
    /// Which `iss` it answers to.
    pub iss: IssuerMatch,
    /// Its rules.
    pub policy: Policy,
    /// Its keys.
    pub keys: IssuerKeys,
    /// Longest token accepted, in bytes.
    pub token_bytes_max: usize,
}

/// Which `iss` an issuer answers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerMatch {
    /// Exactly this string (RFC 9068 §4).
    Exact(Box<str>),
    /// Any `iss` or none, because the operator wrote so. At most one issuer of the records may.
    Any,
}

/// An issuer's keys, or why there are none.
#[derive(Clone)]
pub enum IssuerKeys {
    /// The keys as last known.
    Known(Arc<KeySet>),
    /// They have not arrived yet: tokens of this issuer are `unavailable/keys_refreshing`.
    Awaited,
}

/// Two issuers or policies of one snapshot contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordsError {
    /// Two issuers have the same name, or answer to the same `iss`.
    #[error("two issuers have the same {what}: {value}")]
    DuplicateIssuer {
        /// `name` or `iss`.
        what: &'static str,
        /// The value.
        value: String,
    },
    /// A policy names an issuer that is not configured.
    #[error("policy {policy} names the issuer {issuer}, which is not configured")]
    UnknownIssuer {
        /// The policy.
        policy: String,
        /// The name.
        issuer: String,
    },
}

/// Reused buffers of one verifying thread.
#[derive(Default)]
pub struct Scratch {}

/// Verifies a batch and appends one answer a question to `answers`, in order.
pub fn verify_batch(
    _records: &Arc<Records>,
    _questions: &[Question<'_>],
    _now: Now,
    _scratch: &mut Scratch,
    _answers: &mut Vec<Answer>,
) {
    todo!()
}

/// What a cached entry says about the token it was found under, at `now`.
pub enum Recalled {
    /// The entry still holds: this is the verdict (claims re-read from the caller's own token).
    Answer(Verdict),
    /// Keys or policy changed, or a time check needs the token itself: verify it again.
    Stale,
}

impl Records {
    /// A snapshot of these issuers and named request policies.
    ///
    /// # Errors
    /// [`RecordsError`] where they contradict each other.
    pub fn new(
        _issuers: Vec<Issuer>,
        _policies: Vec<(Box<str>, Narrowing)>,
    ) -> Result<Self, RecordsError> {
        todo!()
    }
    /// The same snapshot with other keys for one issuer, which gets a new generation; the others keep
    /// theirs, and with it their cached verdicts. `None` where no issuer has that name.
    #[must_use]
    pub fn with_keys(&self, _issuer: &str, _keys: Arc<KeySet>) -> Option<Self> {
        todo!()
    }
    /// The issuers, in configured order.
    #[must_use]
    pub fn issuers(&self) -> &[Issuer] {
        todo!()
    }
    /// Turns a cache hit into a verdict, holding generation, `exp` and `nbf` against `now`.
    #[must_use]
    pub fn recall(&self, _question: Question<'_>, _entry: &Entry, _now: Now) -> Recalled {
        todo!()
    }
    /// The number of the named request policy.
    #[must_use]
    pub fn policy(&self, _name: &str) -> Option<PolicyId> {
        todo!()
    }
    /// Estimated verification cost in nanoseconds from the token's header and signature length alone; the
    /// refusal where the token is not even a JWS with a supported algorithm.
    ///
    /// # Errors
    /// The refusal that verification would give too: structure comes first in the order of precedence.
    pub fn estimate_cost_ns(&self, _token: &[u8]) -> Result<u64, crate::verdict::Refusal> {
        todo!()
    }
}

/// Computes cache digests: SHA-256 under a per-process secret over version, policy and the whole token.
pub struct DigestKey {}

impl DigestKey {
    /// A key from fresh random bytes.
    #[must_use]
    pub fn random() -> Self {
        todo!()
    }
    /// Digests of a batch of questions, in order.
    pub fn digest_many(&self, _questions: &[Question<'_>], _digests: &mut Vec<Digest>) {
        todo!()
    }
}

//! Each issuer's rules, and the named policies by which a caller narrows them. Plain values: where they
//! come from is the configuration's business.
#![forbid(unsafe_code)]

mod check;

pub(crate) use check::expired;
pub use check::{Scope, Window};

use crate::crypto::Scheme;
use crate::limits::LEEWAY_SECONDS_DEFAULT;

/// What an issuer's tokens must satisfy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The schemes allowed (RFC 8725 §3.1). Order matters where a key names no algorithm of its own: it is
    /// pinned to the first that fits it.
    pub schemes: Vec<Scheme>,
    /// Accepted values of `aud`.
    pub audiences: Accepted,
    /// Accepted values of `typ`.
    pub types: TokenTypes,
    /// Clock leeway on `exp`, `nbf` and `iat`, in seconds.
    pub leeway_seconds: i64,
    /// Claims that must be present besides those the other fields imply.
    pub required_claims: Vec<Box<str>>,
    /// Claims that must have one of some values.
    pub claims: Vec<ClaimRule>,
    /// Whether `exp` must be present. On unless spelled out.
    pub expiry_required: bool,
    /// Longest accepted life, `exp - iat`, in seconds; requires `iat`.
    pub lifetime_seconds_max: Option<i64>,
    /// Longest accepted age, `now - iat`, in seconds; requires `iat`.
    pub age_seconds_max: Option<i64>,
    /// Whether a token bound to a key by `cnf` (RFC 7800) may pass as a plain bearer token. Off unless
    /// spelled out.
    pub bound_tokens_as_bearer: bool,
    /// Whether a token passes once only, by its `jti`, which must then be present, and `exp` too.
    pub single_use: bool,
    /// Where status lists may be fetched: what their addresses begin with. Empty: a token's `status` is not looked at.
    pub status_lists: Vec<Box<str>>,
    /// How much older than it says of itself a status list may be.
    pub status_grace_seconds: u32,
    /// Most tokens found genuine in a second, on average; others are `unavailable` then. Answers of the cache do not
    /// count, and neither does what is forged: nobody can use up another's.
    pub verifications_per_second_max: Option<u32>,
}

/// Which `typ` headers are accepted, compared as media types (RFC 7515 §4.1.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenTypes {
    /// Unchecked, because the operator wrote so.
    Any,
    /// No `typ`, `JWT`, or `at+jwt`: what access tokens look like in practice. A token that says it is
    /// something else (a logout token, a DPoP proof, a security event) never passes for one (RFC 8725
    /// §3.11).
    AccessToken,
    /// One of these, and it must be written in the token.
    OneOf(Vec<Box<str>>),
}

/// A set of accepted strings. That anything goes must be written out; it is never what is left when a
/// list is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Unchecked, because the operator wrote so.
    Any,
    /// One of these. An empty list accepts nothing.
    OneOf(Vec<Box<str>>),
}

/// A claim that must have one of some values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRule {
    /// The claim, a top-level member.
    pub name: Box<str>,
    /// The values, one of which it must be or hold: each whole, or with a `*` at its end what it must begin with.
    pub accepted: Vec<Box<str>>,
}

/// How a named request policy narrows the issuers' own rules. It can never widen them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Narrowing {
    /// Accepted issuers by configured name; `None` for every issuer.
    pub issuers: Option<Vec<Box<str>>>,
    /// `aud` must name one of these as well; `None` adds nothing.
    pub audiences: Option<Vec<Box<str>>>,
    /// `typ` must be one of these as well; `None` adds nothing.
    pub types: Option<Vec<Box<str>>>,
    /// Claims that must be present as well.
    pub required_claims: Vec<Box<str>>,
    /// Scopes (RFC 8693 §4.2, space-delimited `scope`, or the arrays `scope` and `scp`) that must all be
    /// granted.
    pub scopes: Vec<Box<str>>,
    /// Longest accepted age, `now - iat`, in seconds.
    pub age_seconds_max: Option<i64>,
    /// Whether a token passes once only, as in [`Policy::single_use`].
    pub single_use: bool,
    /// Accepted tenants by name, in order; `None` for every tenant.
    pub tenants: Option<Box<[Box<str>]>>,
}

impl Narrowing {
    /// Whether tokens of this tenant may be asked about at all.
    #[must_use]
    pub fn admits_tenant(&self, tenant: &str) -> bool {
        let tenants = self.tenants.as_ref();
        tenants.is_none_or(|tenants| tenants.binary_search_by(|one| (**one).cmp(tenant)).is_ok())
    }
}

impl Default for Policy {
    /// The safe defaults: no algorithm and no audience is accepted until some are named.
    fn default() -> Self {
        Self {
            schemes: Vec::new(),
            audiences: Accepted::OneOf(Vec::new()),
            types: TokenTypes::AccessToken,
            leeway_seconds: LEEWAY_SECONDS_DEFAULT,
            required_claims: Vec::new(),
            claims: Vec::new(),
            expiry_required: true,
            lifetime_seconds_max: None,
            age_seconds_max: None,
            bound_tokens_as_bearer: false,
            single_use: false,
            status_lists: Vec::new(),
            status_grace_seconds: 0,
            verifications_per_second_max: None,
        }
    }
}

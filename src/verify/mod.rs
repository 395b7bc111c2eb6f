//! The decision: a function of tokens, record snapshots and a given `now`.
//!
//! The same inputs give the same verdicts, which makes it replayable, fuzzable and benchable with no
//! daemon. A batch of one takes the same path as a batch of many.
#![forbid(unsafe_code)]

mod batch;
mod digest;
mod entry;
mod header_memo;
mod hearing;
mod issuer;
mod key_numbers;
mod opening;
mod persistent;
mod place;
mod policies;
mod quota;
mod recall;
mod records;
mod revoking;
mod spending;
mod statement;
mod statuses;
mod template;
mod tenants;
#[cfg(test)]
mod tests;

pub use batch::{Scratch, verify_batch};
pub use digest::DigestKey;
pub use hearing::{Feed, FeedKind, Heard, NotHeard};
pub use issuer::{Issuer, IssuerKeys, IssuerMatch};
pub use opening::SameName;
pub use policies::Tenants;
pub use recall::Recalled;
pub use records::{Records, RecordsError};
pub use revoking::{Outlook, Revocation};
pub use spending::{Replay, Unsettled};
pub use template::{HOLE, IssTemplate, TemplateFault, fill, names_meet};
pub use tenants::{LacksKey, TenantLoaded, TenantSought};

use crate::cache::Entry;
use crate::jose::{Claims, CompactJwe, CompactJws, JoseError};
use crate::verdict::{ClaimsJson, Refusal, Verdict};

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

/// A request policy's number: the same name has the same number in every [`Records`] of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PolicyId(pub u32);

impl PolicyId {
    /// No narrowing beyond the issuer's own policy.
    pub const DEFAULT: Self = Self(0);
}

/// An answer, with what is worth remembering of it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The verdict.
    pub verdict: Verdict,
    /// Present only for a token whose signature and static policy are fine; it may be revoked all the same.
    pub remember: Option<Remember>,
    /// The issuer, by its number in the records, whose keys should be looked at again: the token names a
    /// `kid` that they do not have, or they are awaited.
    pub missing_key_of: Option<u32>,
    /// The `iss` of a tenant that a template would bring, and that is not loaded.
    pub missing_tenant: Option<Box<str>>,
}

/// What the cache may remember of a verified token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remember {
    /// The entry to insert.
    pub entry: Entry,
    /// The tenant's number, for its share of the cache.
    pub share: u32,
}

impl Answer {
    fn plain(verdict: impl Into<Verdict>) -> Self {
        Self {
            verdict: verdict.into(),
            remember: None,
            missing_key_of: None,
            missing_tenant: None,
        }
    }
}

/// Estimates what verifying a token will cost, in nanoseconds of one core, from its structure and header
/// alone: no key is looked up, and nothing of the payload is decoded.
///
/// # Errors
/// The refusal that verification would give as well, for structure comes first in the order of
/// precedence.
pub fn estimate_cost_ns(token: &[u8], token_bytes_max: usize) -> Result<u64, Refusal> {
    let jws = match CompactJws::parse(token, token_bytes_max) {
        Err(_) if CompactJwe::is_one(token) && token.len() <= token_bytes_max => {
            return Ok(opening::estimate_cost_ns(token, token_bytes_max));
        }
        jws => jws.map_err(refusal)?,
    };
    let header = header_memo::parse(jws.header_segment()).map_err(refusal)?;
    let signature_bytes = jws.signature_segment().len() * 3 / 4;
    let reading_ns = 500 + token.len() as u64;
    Ok(reading_ns + crate::crypto::estimated_cost_ns(header.alg.scheme(), signature_bytes))
}

/// The `kid` that a token's protected header names, if it is a signed token and names one. A look-up hint and no more:
/// nothing about it has been verified.
#[must_use]
pub fn key_id(token: &[u8]) -> Option<std::sync::Arc<str>> {
    let jws = CompactJws::parse(token, token.len()).ok()?;
    let header = header_memo::parse(jws.header_segment()).ok()?;
    header.kid.clone()
}

/// The one place where a fault of a token's form becomes a refusal.
fn refusal(error: JoseError) -> Refusal {
    match error {
        JoseError::Malformed(rule) => Refusal::Malformed(rule),
        JoseError::TooLarge { what, limit_bytes } => Refusal::TooLarge { what, limit_bytes },
        JoseError::UnsupportedAlg => Refusal::UnsupportedAlg,
        JoseError::UnknownCritical => Refusal::UnknownCritical,
    }
}

/// The claims a caller wants, from a claims set it may see.
fn wanted_claims(want: &Want, claims: &Claims<'_>) -> ClaimsJson {
    match want {
        Want::Verdict => ClaimsJson::default(),
        Want::Claims => ClaimsJson::new(claims.to_json()),
        Want::Members(names) => {
            let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
            ClaimsJson::new(claims.project(&names))
        }
    }
}

//! A trusted issuer: its name, its rules, its keys.

use super::IssTemplate;
use crate::keys::{KeySet, KeySlot};
use crate::policy::Policy;
use std::sync::Arc;

/// A trusted issuer.
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
    /// Any that fits this template, each a tenant of its own. The issuer's `tenant` is then the pattern of their
    /// names; its keys, if they are [`IssuerKeys::Known`], are those of every tenant.
    Template(Arc<IssTemplate>),
}

/// An issuer's keys, or why there are none.
#[derive(Clone)]
pub enum IssuerKeys {
    /// The keys as last known.
    Known(Arc<KeySet>),
    /// They have not arrived yet: tokens of this issuer are `unavailable/keys_refreshing`.
    Awaited,
}

impl IssuerKeys {
    /// The keys, in the order of the set; none while they are awaited.
    #[must_use]
    pub fn slots(&self) -> &[KeySlot] {
        match self {
            Self::Known(keys) => keys.slots(),
            Self::Awaited => &[],
        }
    }
}

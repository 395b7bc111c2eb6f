//! Which single-use tokens have been used: for policies that let a `jti` (RFC 7519 §4.1.7) pass once.
//!
//! A use is remembered until its token can pass nowhere any more, and never given up before: a tenant that has more
//! of them than it may is told that nothing can be said, not that a token is new. What is here lives as long as the
//! process; where daemons share a store, [`SharedUses`] is the way to it, and the store decides.
#![forbid(unsafe_code)]

mod used;

pub use used::{TENANT_USES_DEFAULT, TenantUses, UsedTokens};

/// Names one token of one tenant: a keyed hash, 4 bytes of the tenant and 16 of `iss` and `jti`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UseId(pub [u8; 20]);

/// What became of an attempt to use a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It was the first. Nobody else is told so, ever.
    First,
    /// It was used before.
    Again,
    /// It cannot be said: no room, or no answer from where uses are shared.
    Unknown,
}

/// An attempt to use a token where others may try the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedUse {
    /// Which token.
    pub id: UseId,
    /// How long it must be remembered from now on, in seconds.
    pub keep_seconds: u64,
}

/// Takes what became of each of some uses, in their order.
pub type Done = Box<dyn FnOnce(Vec<Claim>) + Send>;

/// Where uses are shared between daemons.
pub trait SharedUses: Send + Sync {
    /// Claims these uses one after the other, and tells `done` on whatever thread it likes; it returns at once. One
    /// that is dropped untold counts as [`Claim::Unknown`].
    fn claim(&self, uses: Vec<SharedUse>, done: Done);
}

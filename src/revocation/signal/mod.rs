//! What others' statements revoke: logout tokens (OpenID Connect Back-Channel Logout 1.0) and security events
//! (RFC 8417, OpenID CAEP 1.0). A statement becomes orders here, and only such as its sender may give.
//!
//! Whether it is genuine is not this room's business: signature, key and `typ` have been checked by then.

mod event;
mod logout;
mod subject;
#[cfg(test)]
mod tests;

pub use event::security_event;
pub use logout::logout;

use super::{Issued, Member, Order};
use crate::clock::Now;
use crate::jose::Claims;
use crate::limits::LEEWAY_SECONDS_MAX;

/// Who may say what, to whom.
#[derive(Clone, Copy, Debug)]
pub struct Listening<'l> {
    /// The `iss` that statements must have.
    pub from: &'l str,
    /// Whom they may be meant for: `aud` must name one.
    pub audiences: &'l [Box<str>],
    /// Whose tokens they may revoke.
    pub concerns: &'l [Concern],
}

/// An issuer whose tokens may be revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concern {
    /// Its tenant.
    pub tenant: Box<str>,
    /// Its `iss`.
    pub iss: Box<str>,
}

/// What a statement says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// What to revoke; nothing, where it speaks of what tokens have no part in.
    pub orders: Vec<Order>,
    /// Its `jti`.
    pub id: Box<str>,
    /// Events of kinds that revoke nothing here.
    pub ignored: usize,
}

/// Why a statement is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignalFault {
    /// It is not what it should be; the text names the rule.
    #[error("{0}")]
    Invalid(&'static str),
    /// Somebody else's.
    #[error("iss is not the configured sender's")]
    Issuer,
    /// Meant for others.
    #[error("aud names no configured audience")]
    Audience,
    /// It concerns tokens that its sender has no say in.
    #[error("the subject is of an issuer that this sender may not speak for")]
    NotItsOwn,
}

/// What every statement must have: the right `iss` and `aud`, a `jti`, and an `iat` that has come.
struct Envelope {
    id: Box<str>,
    issued_at: i64,
}

impl Envelope {
    fn read(claims: &Claims<'_>, listening: &Listening<'_>, now: Now) -> Result<Self, SignalFault> {
        if claims.iss.as_deref() != Some(listening.from) {
            return Err(SignalFault::Issuer);
        }
        let is_ours = |aud: &str| listening.audiences.iter().any(|ours| **ours == *aud);
        if !claims.audiences().any(|aud| is_ours(&aud)) {
            return Err(SignalFault::Audience);
        }
        if claims.invalid.is_some() {
            return Err(SignalFault::Invalid(
                "a registered claim has the wrong type",
            ));
        }
        let id = claims.jti.as_deref().filter(|jti| !jti.is_empty());
        let id = id.ok_or(SignalFault::Invalid("jti is missing"))?;
        let iat = claims.iat.ok_or(SignalFault::Invalid("iat is missing"))?;
        if iat.ceil > now.latest.saturating_add(LEEWAY_SECONDS_MAX) {
            return Err(SignalFault::Invalid("iat lies in the future"));
        }
        Ok(Self {
            id: id.into(),
            issued_at: iat.ceil,
        })
    }
}

/// Orders against what has these members, one for each issuer concerned.
fn orders(
    listening: &Listening<'_>,
    iss: Option<&str>,
    member: Member,
    value: &str,
    issued: Issued,
) -> Result<Vec<Order>, SignalFault> {
    let concerned = listening
        .concerns
        .iter()
        .filter(|concern| iss.is_none_or(|iss| *concern.iss == *iss));
    let orders: Vec<Order> = concerned
        .map(|concern| {
            Order::everything(&concern.tenant)
                .naming(Member::Issuer, &concern.iss)?
                .naming(member, value)
                .map(|order| order.issued(issued))
        })
        .collect::<Result<_, _>>()
        .map_err(|_| SignalFault::Invalid("the subject is empty or longer than 1024 bytes"))?;
    if orders.is_empty() {
        return Err(SignalFault::NotItsOwn);
    }
    Ok(orders)
}

/// Tokens issued up to this moment, or up to now where it has not come: clocks differ.
fn up_to(moment: i64, now: Now) -> Issued {
    let second = moment.min(now.latest);
    // Times beyond what a record holds lie before 1970, or long after all of us.
    u32::try_from(second.max(0))
        .ok()
        .filter(|second| *second < u32::MAX)
        .map_or(Issued::Now, Issued::UpTo)
}

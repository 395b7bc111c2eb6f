//! From what a feed brings to the records it becomes: who signed it, what it says, and whether they may say so.

use super::{IssuerMatch, Records};
use crate::clock::Now;
use crate::jose::Claims;
use crate::limits::TOKEN_BYTES_MAX;
use crate::revocation::signal::{self, Concern, Listening, SignalFault};
use crate::revocation::{IdKey, Order, Record};
use crate::verdict::{Reason, Verdict};
use std::sync::Arc;

/// Somebody elsewhere who says what is revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// What audit lines and addresses call it.
    pub name: Arc<str>,
    /// What it brings.
    pub kind: FeedKind,
    /// The issuer, by its configured name, whose keys sign it.
    pub issuer: Arc<str>,
    /// Whom it may be meant for.
    pub audiences: Vec<Box<str>>,
    /// The issuers, by their configured names, whose tokens it may revoke.
    pub concerns: Vec<Arc<str>>,
}

/// What a feed brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedKind {
    /// Logout tokens (OpenID Connect Back-Channel Logout 1.0).
    Logout,
    /// Security event tokens (RFC 8417).
    Events,
}

/// What was understood.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// The orders, and the record of each.
    pub orders: Vec<(Order, Record)>,
    /// The statement's `jti`.
    pub id: Box<str>,
    /// Events that revoke nothing here.
    pub ignored: usize,
}

/// Why a statement is not followed, in words for whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotHeard {
    /// An error code of RFC 8935 §2.4; `None` where the same statement may be fine later.
    pub code: Option<&'static str>,
    /// What is wrong.
    pub detail: String,
    /// Whether the issuer's keys should be looked at again: it names one that we do not have.
    pub names_missing_key: bool,
}

impl FeedKind {
    /// The `typ` of its statements.
    #[must_use]
    pub const fn typ(self) -> &'static str {
        match self {
            Self::Logout => "logout+jwt",
            Self::Events => "secevent+jwt",
        }
    }
}

impl Records {
    /// Reads one statement of a feed, taken now. It runs kernels, which takes a stack of some size.
    ///
    /// # Errors
    /// [`NotHeard`]; nothing of the statement is followed then.
    pub fn hear(
        &self,
        feed: &Feed,
        statement: &[u8],
        ids: &IdKey,
        now: Now,
    ) -> Result<Heard, NotHeard> {
        let payload = self
            .read_statement(&feed.issuer, feed.kind.typ(), statement, TOKEN_BYTES_MAX)
            .map_err(|verdict| NotHeard::from_verdict(&verdict))?;
        let claims = Claims::parse(&payload)
            .map_err(|_| NotHeard::new("invalid_request", "the payload is no claims set"))?;
        let from = self.iss_of(&feed.issuer);
        let from = from.ok_or_else(|| {
            NotHeard::new("invalid_issuer", "this feed's issuer is not configured")
        })?;
        let concerns = feed.concerns.iter().filter_map(|name| {
            let issuer = self.issuer_named(name)?;
            Some(Concern {
                tenant: (&*issuer.tenant).into(),
                iss: self.iss_of(name)?.into(),
            })
        });
        let concerns: Vec<Concern> = concerns.collect();
        let listening = Listening {
            from,
            audiences: &feed.audiences,
            concerns: &concerns,
        };
        let said = match feed.kind {
            FeedKind::Logout => signal::logout(&claims, &listening, now),
            FeedKind::Events => signal::security_event(&claims, &listening, now),
        };
        let said = said.map_err(NotHeard::from_fault)?;
        let lifetimes = self.lifetimes();
        let orders = said.orders.into_iter().filter_map(|order| {
            let lifetime = lifetimes.get(order.tenant()).copied().flatten();
            // An order that cannot be taken any more is over: nothing that it means can still pass.
            let record = order.record(ids, lifetime, now).ok()?;
            Some((order, record))
        });
        Ok(Heard {
            orders: orders.collect(),
            id: said.id,
            ignored: said.ignored,
        })
    }

    /// The `iss` of an issuer by its configured name.
    fn iss_of(&self, name: &str) -> Option<&str> {
        match &self.issuer_named(name)?.iss {
            IssuerMatch::Exact(iss) => Some(iss),
            IssuerMatch::Any | IssuerMatch::Template(_) => None,
        }
    }
}

impl NotHeard {
    fn new(code: &'static str, detail: &str) -> Self {
        Self {
            code: Some(code),
            detail: detail.to_owned(),
            names_missing_key: false,
        }
    }

    /// That it is not what such a feed brings.
    #[must_use]
    pub fn invalid(detail: &str) -> Self {
        Self::new("invalid_request", detail)
    }

    /// That the same statement should come again.
    #[must_use]
    pub fn later(detail: &str) -> Self {
        Self {
            code: None,
            ..Self::new("", detail)
        }
    }

    fn from_fault(fault: SignalFault) -> Self {
        let code = match fault {
            SignalFault::Invalid(_) => "invalid_request",
            SignalFault::Issuer => "invalid_issuer",
            SignalFault::Audience => "invalid_audience",
            SignalFault::NotItsOwn => "access_denied",
        };
        Self::new(code, &fault.to_string())
    }

    fn from_verdict(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Invalid(refusal) => {
                let reason = refusal.reason();
                let code = match reason {
                    Reason::UnknownKid
                    | Reason::AlgNotAllowed
                    | Reason::UnsupportedAlg
                    | Reason::KeyUnusable => "invalid_key",
                    Reason::UnknownIssuer => "invalid_issuer",
                    Reason::BadSignature => "authentication_failed",
                    _ => "invalid_request",
                };
                Self {
                    names_missing_key: reason == Reason::UnknownKid,
                    ..Self::new(code, &refusal.to_string())
                }
            }
            _ => Self::later("the issuer's keys are being fetched"),
        }
    }
}

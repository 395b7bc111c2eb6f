//! Security event tokens (RFC 8417) with events of OpenID CAEP 1.0.

use super::subject::{self, About, Subject};
use super::{Envelope, Listening, Said, SignalFault, orders, up_to};
use crate::clock::Now;
use crate::encoding::json::Object;
use crate::jose::Claims;
use crate::limits::LEEWAY_SECONDS_MAX;
use crate::revocation::{Issued, Member, Order};

/// Most events of one token: each may be several orders.
const EVENTS_MAX: usize = 16;

/// What concerns tokens already issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    SessionRevoked,
    CredentialChange,
    TokenClaimsChange,
}

impl Kind {
    fn of(uri: &str) -> Option<Self> {
        match uri.strip_prefix("https://schemas.openid.net/secevent/caep/event-type/")? {
            "session-revoked" => Some(Self::SessionRevoked),
            "credential-change" => Some(Self::CredentialChange),
            "token-claims-change" => Some(Self::TokenClaimsChange),
            _ => None,
        }
    }

    fn about(self) -> About {
        match self {
            Self::SessionRevoked => About::Session,
            Self::CredentialChange | Self::TokenClaimsChange => About::User,
        }
    }
}

/// What a security event token revokes. Events of other kinds are none of our business, and no fault.
///
/// # Errors
/// [`SignalFault`]. Nothing of it is followed then.
pub fn security_event(
    claims: &Claims<'_>,
    listening: &Listening<'_>,
    now: Now,
) -> Result<Said, SignalFault> {
    let envelope = Envelope::read(claims, listening, now)?;
    // OpenID SSF 1.0 §4.1: so that no event passes for another kind of token, or one for an event.
    if claims.sub.is_some() || claims.exp.is_some() {
        return Err(SignalFault::Invalid(
            "sub and exp must not stand in an event",
        ));
    }
    let events = claims.get("events").and_then(|events| events.as_object());
    let events = events.ok_or(SignalFault::Invalid("events is missing, or no object"))?;
    if events.is_empty() || events.len() > EVENTS_MAX {
        return Err(SignalFault::Invalid("events has none, or more than 16"));
    }
    let mut said = Said {
        id: envelope.id,
        ..Said::default()
    };
    for (uri, event) in events.members() {
        let event = event
            .as_object()
            .ok_or(SignalFault::Invalid("an event is not an object"))?;
        match Kind::of(&uri) {
            Some(kind) => {
                let event = Event {
                    kind,
                    event: &event,
                    issued_at: envelope.issued_at,
                };
                match event.orders(claims, listening, now)? {
                    orders if orders.is_empty() => said.ignored += 1,
                    orders => said.orders.extend(orders),
                }
            }
            None => said.ignored += 1,
        }
    }
    Ok(said)
}

struct Event<'e, 'j> {
    kind: Kind,
    event: &'e Object<'j>,
    issued_at: i64,
}

impl Event<'_, '_> {
    fn orders(
        &self,
        claims: &Claims<'_>,
        listening: &Listening<'_>,
        now: Now,
    ) -> Result<Vec<Order>, SignalFault> {
        if self.kind == Kind::CredentialChange && !self.ends_trust()? {
            return Ok(Vec::new());
        }
        // Where drafts of SSF had it, and where it stands now.
        let subject = claims.get("sub_id").or_else(|| self.event.get("subject"));
        let subject = subject.ok_or(SignalFault::Invalid("sub_id is missing"))?;
        let happened = up_to(self.happened_at(now), now);
        let mut all = Vec::new();
        for subject in subject::read(subject, self.kind.about())? {
            let (iss, member, value, issued) = match &subject {
                Subject::User { iss, sub } => (Some(&**iss), Member::Subject, sub, happened),
                // A session that is over issues no more tokens: those of the moment are meant too.
                Subject::Session(sid) if self.kind == Kind::SessionRevoked => {
                    (None, Member::Session, sid, Issued::Now)
                }
                Subject::Session(sid) => (None, Member::Session, sid, happened),
                Subject::Token { iss, jti } => {
                    (Some(&**iss), Member::TokenId, jti, Issued::Fitting)
                }
            };
            all.extend(orders(listening, iss, member, value, issued)?);
        }
        Ok(all)
    }

    /// CAEP 1.0 §3.3: `create`, `revoke`, `update` or `delete`. Who got one more credential loses nothing; whatever
    /// else happened to one may be the end of trust.
    fn ends_trust(&self) -> Result<bool, SignalFault> {
        let change = self
            .event
            .get("change_type")
            .and_then(|value| value.as_str());
        let change = change.ok_or(SignalFault::Invalid("change_type is missing"))?;
        Ok(change != "create")
    }

    /// When it happened, as far as that is said in seconds; else when it was told.
    fn happened_at(&self, now: Now) -> i64 {
        self.event
            .get("event_timestamp")
            .and_then(|value| value.as_number()?.as_i64())
            .filter(|at| *at <= now.latest.saturating_add(LEEWAY_SECONDS_MAX))
            .unwrap_or(self.issued_at)
    }
}

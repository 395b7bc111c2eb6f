//! Logout tokens: OpenID Connect Back-Channel Logout 1.0.

use super::{Envelope, Listening, Said, SignalFault, orders, up_to};
use crate::clock::Now;
use crate::encoding::json::Kind;
use crate::jose::Claims;
use crate::limits::LEEWAY_SECONDS_DEFAULT;
use crate::revocation::{Issued, Member};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// What a logout token revokes: the tokens of a session, or all of a user issued up to then.
///
/// # Errors
/// [`SignalFault`], where a rule of §2.6 is broken.
pub fn logout(
    claims: &Claims<'_>,
    listening: &Listening<'_>,
    now: Now,
) -> Result<Said, SignalFault> {
    //= https://openid.net/specs/openid-connect-backchannel-1_0.html#Validation
    //# Validate the iss, aud, iat, and exp Claims in the same way they are validated in ID Tokens.
    let envelope = Envelope::read(claims, listening, now)?;
    let exp = claims.exp.ok_or(SignalFault::Invalid("exp is missing"))?;
    if now.latest >= exp.floor.saturating_add(LEEWAY_SECONDS_DEFAULT) {
        return Err(SignalFault::Invalid("exp has passed"));
    }
    //# Verify that the Logout Token does not contain a nonce Claim.
    if claims.get("nonce").is_some() {
        return Err(SignalFault::Invalid(
            "nonce must not stand in a logout token",
        ));
    }
    //# Verify that the Logout Token contains an events Claim whose value is JSON object containing the
    //# member name http://schemas.openid.net/event/backchannel-logout.
    let events = claims.get("events").and_then(|events| events.as_object());
    let event = events.as_ref().and_then(|events| events.get(EVENT));
    if event.is_none_or(|event| event.kind() != Kind::Object) {
        return Err(SignalFault::Invalid("events holds no back-channel logout"));
    }
    //# Verify that the Logout Token contains a sub Claim, a sid Claim, or both.
    let session = match claims.get("sid") {
        None => None,
        Some(sid) => Some(
            sid.as_str()
                .ok_or(SignalFault::Invalid("sid is not a string"))?,
        ),
    };
    // Whoever configured which issuers this sender speaks for has said that they share its users and sessions.
    let orders = match (&session, &claims.sub) {
        (Some(session), _) => orders(listening, None, Member::Session, session, Issued::Now),
        (None, Some(sub)) => {
            let issued = up_to(envelope.issued_at, now);
            orders(listening, None, Member::Subject, sub, issued)
        }
        (None, None) => Err(SignalFault::Invalid("neither sub nor sid is there")),
    };
    Ok(Said {
        orders: orders?,
        id: envelope.id,
        ignored: 0,
    })
}

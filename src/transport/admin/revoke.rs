//! `POST /revoke`: OAuth 2.0 Token Revocation (RFC 7009), for clients that hand in the token itself.
//!
//! The token is verified first: whoever passes on what users send must not revoke by a forgery. It is then revoked
//! by `iss` and `jti`, or without a `jti` by the digest of what was signed.
#![forbid(unsafe_code)]

use super::orders::{self, Tenants};
use super::{Connection, revocations};
use crate::encoding::hex;
use crate::engine::Call;
use crate::jose::{Claims, CompactJws};
use crate::revocation::{Member, Order, Progress, Wait};
use crate::transport::http::Body;
use crate::verdict::{Cause, Reason, Verdict};
use crate::verify::{PolicyId, Want};
use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::json;
use tokio::sync::oneshot;

/// Answers one request.
pub(super) async fn answer(
    connection: &Connection,
    headers: &HeaderMap,
    body: &Bytes,
) -> Response<Body> {
    let Some(token) = token(headers, body) else {
        // RFC 6749 §5.2
        let detail = "the body must be application/x-www-form-urlencoded with one `token`";
        return oauth(StatusCode::BAD_REQUEST, "invalid_request", detail);
    };
    let Some(verdict) = verify(connection, token.clone()).await else {
        return later("the token could not be verified in time");
    };
    match verdict {
        // Verified and within every rule; only that it may be revoked already is not known, and it will be now.
        Verdict::Unavailable(unavailable) if unavailable.cause == Cause::RevocationStale => {}
        //= https://www.rfc-editor.org/rfc/rfc7009#section-2.2.1
        //# If the server responds with HTTP status code 503, the client must assume the token still exists
        //# and may retry after a reasonable delay.
        Verdict::Unavailable(_) => return later("the token cannot be verified now"),
        //= https://www.rfc-editor.org/rfc/rfc7009#section-2.2
        //# invalid tokens do not cause an error response
        Verdict::Invalid(refusal) if !is_genuine(refusal.reason()) => return done(None),
        Verdict::Invalid(_) | Verdict::Valid(_) => {}
    }
    let Some(order) = order_for(connection, &token) else {
        return done(None);
    };
    let asked = match orders::record(connection, &Tenants::of(connection), order) {
        Ok(asked) => asked,
        // Nothing is left to revoke of a token that is over.
        Err(_over) => return done(None),
    };
    match revocations::submit(connection, &connection.caller, &[asked], Wait::Accepted).await {
        Ok(receipt) => done(Some(receipt.progress)),
        Err(why) => revocations::not_taken(why),
    }
}

/// The one `token` of the form. `token_type_hint` may be ignored (RFC 7009 §2.1), and so is what is not known.
fn token(headers: &HeaderMap, body: &Bytes) -> Option<Bytes> {
    let essence = headers
        .get(CONTENT_TYPE)?
        .as_bytes()
        .split(|byte| *byte == b';')
        .next()?;
    if !essence
        .trim_ascii()
        .eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
    {
        return None;
    }
    let mut tokens = form_urlencoded::parse(body).filter(|(name, _)| name == "token");
    match (tokens.next(), tokens.next()) {
        (Some((_, token)), None) if !token.is_empty() => Some(Bytes::from(token.into_owned())),
        _ => None,
    }
}

/// What the engine says of the token; `None` where it did not say in time.
async fn verify(connection: &Connection, token: Bytes) -> Option<Verdict> {
    let context = &connection.context;
    let now = context.engine.clock().now();
    let timeout = context.limits.deadline_default;
    let call = Call {
        peer: context.engine.peer("admin", None),
        tokens: vec![token],
        policy: PolicyId::DEFAULT,
        want: Want::Verdict,
        min_revision: 0,
        deadline: Some(now.since_boot + timeout),
    };
    let (reply, answer) = oneshot::channel();
    let at_once = context.engine.ask(call, now, move |verdicts| {
        // An error means that the caller has gone.
        let _ = reply.send(verdicts);
    });
    let verdicts = match at_once {
        Some(verdicts) => verdicts,
        None => tokio::time::timeout(timeout, answer).await.ok()?.ok()?,
    };
    verdicts.into_iter().next()
}

/// Whether a token refused for this reason was signed by its issuer, and could be good elsewhere or later: rules are
/// judged only once the signature is verified. An expired or revoked one needs no order.
fn is_genuine(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::NotYetValid
            | Reason::IssuedInFuture
            | Reason::TooOld
            | Reason::WrongIssuer
            | Reason::WrongAudience
            | Reason::WrongType
            | Reason::MissingClaim
            | Reason::InvalidClaim
            | Reason::BindingMismatch
            | Reason::InsufficientScope
            | Reason::Replayed
    )
}

/// The order against a genuine token; `None` for one that names itself in no way an order can.
fn order_for(connection: &Connection, token: &Bytes) -> Option<Order> {
    let records = connection.context.engine.records();
    let token = records.signed_token(token).ok()?;
    let jws = CompactJws::parse(&token, records.token_bytes_max()).ok()?;
    let mut payload = Vec::new();
    jws.decode_payload(&mut payload).ok()?;
    let claims = Claims::parse(&payload).ok()?;
    let tenant = records.tenant_of(claims.iss.as_deref())?;
    let order = Order::everything(tenant);
    let by_id = claims.jti.as_deref().and_then(|jti| {
        let order = order.clone().naming(Member::TokenId, jti).ok()?;
        match claims.iss.as_deref() {
            Some(iss) => order.naming(Member::Issuer, iss).ok(),
            None => Some(order),
        }
    });
    let order = match by_id {
        Some(order) => order,
        // No `jti`, or one that is too long to be named.
        None => order
            .naming(Member::Digest, &digest(jws.signing_input()))
            .ok()?,
    };
    let expires = claims.exp.and_then(|exp| u32::try_from(exp.ceil).ok());
    Some(match expires.filter(|exp| *exp < u32::MAX) {
        Some(exp) => order.until(exp),
        None => order,
    })
}

/// SHA-256 of a signing input, as orders write it.
fn digest(signing_input: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, signing_input);
    hex(digest.as_ref())
}

/// RFC 7009 §2.2: the content of the answer is ignored, the status says all. It does not say whether the token was
/// one of ours.
fn done(progress: Option<Progress>) -> Response<Body> {
    match progress {
        // Held on this host's disk, and still on its way elsewhere.
        Some(Progress::Pending) => {
            later("the revocation is on its way to the logs; ask again to be sure")
        }
        _ => revocations::json_reply(StatusCode::OK, &json!({})),
    }
}

fn later(detail: &str) -> Response<Body> {
    let mut reply = oauth(
        StatusCode::SERVICE_UNAVAILABLE,
        "temporarily_unavailable",
        detail,
    );
    reply
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(1));
    reply
}

/// An error as RFC 6749 §5.2 writes it.
fn oauth(status: StatusCode, error: &str, detail: &str) -> Response<Body> {
    let body = json!({"error": error, "error_description": detail});
    revocations::json_reply(status, &body)
}

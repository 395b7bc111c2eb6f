//! `POST /v1/feeds/NAME`: what others say is revoked. Logout tokens come as OpenID Connect Back-Channel Logout 1.0
//! has it, security events as RFC 8935 has it.
//!
//! Whoever delivers need not be known: a statement counts by the signature of the feed's issuer, for the feed's
//! audience, about the issuers that the feed may speak of. A feed may ask for a secret besides.
#![forbid(unsafe_code)]

use super::caller::{Caller, bears};
use super::orders::Asked;
use super::{BearerSecret, Connection, guard, revocations};
use crate::engine::aside;
use crate::metrics::FeedLabels;
use crate::revocation::{NotTaken, Wait, audit};
use crate::transport::http::{Body, Unread, read_body};
use crate::verify::{self, FeedKind, Heard, NotHeard};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Request, Response, StatusCode};
use serde_json::json;
use std::fmt;
use std::sync::Arc;

/// Where the addresses of feeds begin.
pub(super) const PATH: &str = "/v1/feeds/";

/// A feed that is delivered here.
#[derive(Clone)]
pub struct Feed {
    /// Whose it is, and what it may say.
    pub feed: Arc<verify::Feed>,
    /// What whoever delivers it must bear, if anything.
    pub secret: Option<BearerSecret>,
}

/// Answers one delivery.
pub(super) async fn answer(connection: &Connection, request: Request<Incoming>) -> Response<Body> {
    let Some(revocation) = &connection.admin.revocation else {
        return revocations::off();
    };
    if let Err(why) = guard::check(&request, &connection.admin.hosts) {
        return revocations::fault(StatusCode::FORBIDDEN, "forbidden", why);
    }
    let name = request.uri().path().strip_prefix(PATH).unwrap_or_default();
    let Some(Feed { feed, secret }) = revocation
        .feeds
        .iter()
        .find(|feed| *feed.feed.name == *name)
    else {
        let detail = "no feed of this name is delivered here";
        return revocations::fault(StatusCode::NOT_FOUND, "unknown_feed", detail);
    };
    let by = Deliverer {
        feed: &feed.name,
        caller: connection.caller,
    };
    if let Some(secret) = secret
        && !bears(&request, secret)
    {
        return unauthenticated(connection, feed.kind, by);
    }
    let (head, incoming) = request.into_parts();
    let read = read_body(incoming, &connection.context.limits, &connection.budget).await;
    // What the body takes of the budget is given back when the call has been answered.
    let (body, _held) = match read {
        Ok(read) => read,
        Err(Unread::Fault(fault)) => {
            return revocations::fault(fault.status, fault.error, &fault.detail);
        }
        Err(Unread::Overloaded) => return refuse(feed.kind, &NotHeard::later("too much at once")),
    };
    let delivered = deliver(connection, feed, by, &head.headers, &body).await;
    let outcome = match &delivered {
        Ok(()) => "taken",
        Err(Undelivered::NotHeard(why)) if why.code.is_some() => "invalid",
        Err(_) => "later",
    };
    let labels = FeedLabels {
        feed: Arc::clone(&feed.name),
        outcome,
    };
    let counter = &connection.context.metrics.feed_statements;
    counter.get_or_create(&labels).inc();
    match delivered {
        Ok(()) => accept(feed.kind),
        Err(Undelivered::NotHeard(why)) => {
            revocations::refused(connection, "invalid", 1);
            audit::faulty(&by, 1);
            refuse(feed.kind, &why)
        }
        Err(Undelivered::NotTaken(why)) => refuse(feed.kind, &NotHeard::later(&why.to_string())),
    }
}

enum Undelivered {
    NotHeard(NotHeard),
    NotTaken(NotTaken),
}

async fn deliver(
    connection: &Connection,
    feed: &Arc<verify::Feed>,
    by: Deliverer<'_>,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<(), Undelivered> {
    let statement = statement(feed.kind, headers, body).map_err(Undelivered::NotHeard)?;
    let heard = hear(connection, feed, statement).await;
    let heard = heard.map_err(Undelivered::NotHeard)?;
    let orders: Vec<Asked> = heard
        .orders
        .into_iter()
        .map(|(order, record)| Asked { order, record })
        .collect();
    if orders.is_empty() {
        tracing::debug!(
            feed = &*feed.name,
            ignored = heard.ignored,
            "nothing to revoke"
        );
        return Ok(());
    }
    let submitted = revocations::submit(connection, &by, &orders, Wait::Accepted).await;
    submitted.map(drop).map_err(Undelivered::NotTaken)
}

async fn hear(
    connection: &Connection,
    feed: &Arc<verify::Feed>,
    statement: Bytes,
) -> Result<Heard, NotHeard> {
    let Some(revocation) = &connection.admin.revocation else {
        return Err(NotHeard::later("nothing can be revoked"));
    };
    let engine = &connection.context.engine;
    let (records, now) = (engine.records(), engine.clock().now());
    let (feed, ids) = (Arc::clone(feed), Arc::clone(&revocation.ids));
    let issuer = Arc::clone(&feed.issuer);
    let heard = aside(move || records.hear(&feed, &statement, &ids, now)).await;
    let heard = heard.unwrap_or_else(|| Err(NotHeard::later("there is no thread to verify it on")));
    if let Err(why) = &heard
        && why.names_missing_key
    {
        engine.look_for_key(&issuer);
    }
    heard
}

/// The statement in a body of the kind's type.
fn statement(kind: FeedKind, headers: &HeaderMap, body: &Bytes) -> Result<Bytes, NotHeard> {
    let essence = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let essence = essence.and_then(|value| value.split(|byte| *byte == b';').next());
    let essence = essence.unwrap_or_default().trim_ascii();
    match kind {
        //= https://openid.net/specs/openid-connect-backchannel-1_0.html#BCRequest
        //# The POST body uses the application/x-www-form-urlencoded encoding and must include a logout_token
        //# parameter
        FeedKind::Logout => {
            let is_form = essence.eq_ignore_ascii_case(b"application/x-www-form-urlencoded");
            let mut tokens =
                form_urlencoded::parse(body).filter(|(name, _)| name == "logout_token");
            match (tokens.next(), tokens.next()) {
                (Some((_, token)), None) if is_form => Ok(Bytes::from(token.into_owned())),
                _ => Err(NotHeard::invalid(
                    "the body must be application/x-www-form-urlencoded with one `logout_token`",
                )),
            }
        }
        //= https://www.rfc-editor.org/rfc/rfc8935#section-2.1
        //# The Content-Type header field of this request MUST be "application/secevent+jwt"
        FeedKind::Events => {
            if essence.eq_ignore_ascii_case(b"application/secevent+jwt") {
                Ok(body.clone())
            } else {
                Err(NotHeard::invalid(
                    "the body must be application/secevent+jwt",
                ))
            }
        }
    }
}

fn accept(kind: FeedKind) -> Response<Body> {
    match kind {
        FeedKind::Logout => revocations::json_reply(StatusCode::OK, &json!({})),
        //= https://www.rfc-editor.org/rfc/rfc8935#section-2.2
        //# the SET Recipient SHALL respond with an HTTP Response Status Code of 202 (Accepted). The body of
        //# the response MUST be empty.
        FeedKind::Events => {
            let mut reply = Response::new(Body::whole(Bytes::new()));
            *reply.status_mut() = StatusCode::ACCEPTED;
            reply
        }
    }
}

fn refuse(kind: FeedKind, why: &NotHeard) -> Response<Body> {
    match (kind, why.code) {
        //= https://openid.net/specs/openid-connect-backchannel-1_0.html#BCResponse
        //# If the logout request was invalid or the logout failed, the RP MUST respond with HTTP 400 Bad Request.
        (FeedKind::Logout, code) => {
            let error = code.map_or("temporarily_unavailable", |_| "invalid_request");
            let body = json!({"error": error, "error_description": why.detail});
            revocations::json_reply(StatusCode::BAD_REQUEST, &body)
        }
        (FeedKind::Events, Some(code)) => {
            let body = json!({"err": code, "description": why.detail});
            revocations::json_reply(StatusCode::BAD_REQUEST, &body)
        }
        // RFC 8935 §2.4 knows no error for it; whoever sends sends again.
        (FeedKind::Events, None) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let mut reply = revocations::fault(status, "later", &why.detail);
            let seconds = HeaderValue::from(1);
            reply.headers_mut().insert(RETRY_AFTER, seconds);
            reply
        }
    }
}

fn unauthenticated(connection: &Connection, kind: FeedKind, by: Deliverer<'_>) -> Response<Body> {
    audit::unauthorized(&by);
    revocations::refused(connection, "unauthorized", 1);
    let detail = "this takes Authorization: Bearer with the secret of the feed's token_file";
    let mut reply = match kind {
        FeedKind::Logout => revocations::fault(StatusCode::UNAUTHORIZED, "unauthorized", detail),
        FeedKind::Events => revocations::json_reply(
            StatusCode::UNAUTHORIZED,
            &json!({"err": "authentication_failed", "description": detail}),
        ),
    };
    let challenge = HeaderValue::from_static("Bearer realm=\"jotd feeds\"");
    reply.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    reply
}

/// As audit lines name whoever delivers.
#[derive(Clone, Copy)]
struct Deliverer<'f> {
    feed: &'f str,
    caller: Caller,
}

impl fmt::Display for Deliverer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.caller {
            Caller::Address(address) => write!(f, "feed:{}@{address}", self.feed),
            process @ Caller::Process { .. } => write!(f, "feed:{}@{process}", self.feed),
        }
    }
}

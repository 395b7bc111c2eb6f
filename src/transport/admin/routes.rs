//! Which path of the admin listener does what.
#![forbid(unsafe_code)]

use super::caller::Unauthorized;
use super::{Connection, feeds, guard, keys, revocations, revoke};
use crate::revocation::audit;
use crate::transport::http::{Body, Unread, read_body, without_body};
use crate::verdict::Unavailable;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Method, Request, Response, StatusCode};

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Answers one request. Only orders have a body that is read.
pub(super) async fn answer(connection: &Connection, request: Request<Incoming>) -> Response<Body> {
    let is_head = *request.method() == Method::HEAD;
    let reply = route(connection, request).await;
    if is_head {
        return without_body(reply);
    }
    reply
}

async fn route(connection: &Connection, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path();
    let known = match path {
        "/metrics" | "/livez" | "/readyz" | "/buildinfo" => "GET, HEAD",
        "/v1/revocations" => "GET, POST",
        "/v1/revocations/watch" => "GET",
        "/v1/keys" => "GET",
        "/reload" | "/revoke" | "/v1/keys/refresh" => "POST",
        feed if feed.starts_with(feeds::PATH) => "POST",
        _ => {
            let known = "/metrics /livez /readyz /buildinfo /v1/keys /v1/revocations /v1/revocations/watch, and POST \
                         /reload /revoke /v1/keys/refresh /v1/feeds/NAME";
            return reply(
                StatusCode::NOT_FOUND,
                TEXT,
                format!("not found; known are {known}\n"),
            );
        }
    };
    let fits = match *request.method() {
        Method::GET => known.contains("GET"),
        Method::HEAD => known.contains("HEAD"),
        Method::POST => known.contains("POST"),
        _ => false,
    };
    if !fits {
        let mut refusal = reply(
            StatusCode::METHOD_NOT_ALLOWED,
            TEXT,
            format!("this path takes {known}\n"),
        );
        let methods = HeaderValue::from_static(known);
        refusal.headers_mut().insert(ALLOW, methods);
        return refusal;
    }
    match path {
        "/metrics" => {
            if let Some(revocation) = &connection.admin.revocation {
                (revocation.report)();
            }
            let metrics = connection.context.metrics.render();
            reply(StatusCode::OK, OPEN_METRICS, metrics)
        }
        "/livez" => reply(StatusCode::OK, TEXT, "ok\n"),
        "/readyz" => ready(connection),
        "/buildinfo" => build_info(),
        "/v1/revocations" | "/v1/revocations/watch" | "/revoke" => {
            revocation(connection, request).await
        }
        "/v1/keys" => keys::list(connection, request.uri().query()),
        feed if feed.starts_with(feeds::PATH) => feeds::answer(connection, request).await,
        _ => match guard::check(&request, &connection.admin.hosts) {
            Ok(()) if path == "/v1/keys/refresh" => {
                keys::refresh(connection, request.uri().query()).await
            }
            Ok(()) => reload(connection).await,
            Err(why) => reply(StatusCode::FORBIDDEN, TEXT, format!("{why}\n")),
        },
    }
}

/// What concerns revocation is for those who may revoke.
async fn revocation(connection: &Connection, request: Request<Incoming>) -> Response<Body> {
    let Connection { admin, caller, .. } = connection;
    let Some(revocation) = &admin.revocation else {
        return revocations::off();
    };
    match caller.authorize(&request, &admin.hosts, revocation.secret.as_ref()) {
        Ok(()) => {}
        Err(Unauthorized::Forbidden(why)) => {
            return revocations::fault(StatusCode::FORBIDDEN, "forbidden", why);
        }
        Err(Unauthorized::Unauthenticated) => return unauthenticated(connection),
    }
    let (head, incoming) = request.into_parts();
    let query = head.uri.query();
    match (head.uri.path(), head.method) {
        ("/v1/revocations/watch", _) => return revocations::watch(connection),
        (_, Method::GET) => return revocations::list(connection, query),
        _ => {}
    }
    let read = read_body(incoming, &connection.context.limits, &connection.budget).await;
    // What the body takes of the budget is given back when the call has been answered.
    let (body, _held) = match read {
        Ok(read) => read,
        Err(Unread::Fault(fault)) => {
            return revocations::fault(fault.status, fault.error, &fault.detail);
        }
        Err(Unread::Overloaded) => {
            let detail = Unavailable::OVERLOADED.cause.name();
            return revocations::fault(StatusCode::SERVICE_UNAVAILABLE, "busy", detail);
        }
    };
    match head.uri.path() {
        "/revoke" => revoke::answer(connection, &head.headers, &body).await,
        _ => revocations::take(connection, query, &body).await,
    }
}

/// RFC 6750 §3: no error code for a request that shows nothing of value.
fn unauthenticated(connection: &Connection) -> Response<Body> {
    audit::unauthorized(&connection.caller);
    revocations::refused(connection, "unauthorized", 1);
    let detail = "this takes Authorization: Bearer with the secret of [revocation] token_file";
    let mut reply = revocations::fault(StatusCode::UNAUTHORIZED, "unauthorized", detail);
    let challenge = HeaderValue::from_static("Bearer realm=\"jotd admin\"");
    reply.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    reply
}

fn ready(connection: &Connection) -> Response<Body> {
    let report = connection.admin.readiness.report();
    let status = if report.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let json = serde_json::to_vec(&report).expect("strings and numbers are always JSON");
    reply(status, JSON, json)
}

fn build_info() -> Response<Body> {
    let info = serde_json::json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "target_arch": std::env::consts::ARCH,
        "target_os": std::env::consts::OS,
        "profile": if cfg!(debug_assertions) { "debug" } else { "release" },
    });
    reply(StatusCode::OK, JSON, info.to_string())
}

async fn reload(connection: &Connection) -> Response<Body> {
    match (connection.admin.reload)().await {
        Ok(done) => reply(StatusCode::OK, TEXT, done),
        Err(faults) => reply(StatusCode::BAD_REQUEST, TEXT, faults),
    }
}

pub(super) fn reply(
    status: StatusCode,
    content_type: HeaderValue,
    body: impl Into<bytes::Bytes>,
) -> Response<Body> {
    let mut reply = Response::new(Body::whole(body));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

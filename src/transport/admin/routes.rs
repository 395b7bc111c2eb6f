//! Which path of the admin listener does what.
#![forbid(unsafe_code)]

use super::{Connection, guard};
use crate::transport::http::{Body, without_body};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Answers one request. No path reads a body.
pub(super) async fn answer<B>(connection: &Connection, request: Request<B>) -> Response<Body> {
    let reply = route(connection, &request).await;
    if *request.method() == Method::HEAD {
        return without_body(reply);
    }
    reply
}

async fn route<B>(connection: &Connection, request: &Request<B>) -> Response<Body> {
    let path = request.uri().path();
    let known = match path {
        "/metrics" | "/livez" | "/readyz" | "/buildinfo" => "GET, HEAD",
        "/reload" => "POST",
        _ => {
            let known = "/metrics /livez /readyz /buildinfo, and POST /reload";
            return reply(
                StatusCode::NOT_FOUND,
                TEXT,
                format!("not found; known are {known}\n"),
            );
        }
    };
    let fits = match *request.method() {
        Method::GET | Method::HEAD => known != "POST",
        Method::POST => known == "POST",
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
        "/metrics" => reply(
            StatusCode::OK,
            OPEN_METRICS,
            connection.context.metrics.render(),
        ),
        "/livez" => reply(StatusCode::OK, TEXT, "ok\n"),
        "/readyz" => ready(connection),
        "/buildinfo" => build_info(),
        _ => match guard::check(request, &connection.admin.hosts) {
            Ok(()) => reload(connection).await,
            Err(why) => reply(StatusCode::FORBIDDEN, TEXT, format!("{why}\n")),
        },
    }
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

fn reply(
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

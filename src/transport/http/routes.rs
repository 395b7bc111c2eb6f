//! Which path is answered by whom.
#![forbid(unsafe_code)]

use super::json::Shape;
use super::{Body, Connection, Fault, jwks, reply, verify};
use crate::transport::grpc;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::{Method, Request, Response, StatusCode, Version};
use std::sync::Arc;
use tracing::Instrument;

/// Answers one request.
pub(super) async fn answer(
    connection: &Arc<Connection>,
    request: Request<Incoming>,
) -> Response<Body> {
    // In flight from here until the reply's body has been handed over.
    let called = connection.activity.begin();
    let is_head = request.method() == Method::HEAD;
    let reply = match trace_parent(request.headers()) {
        None => route(connection, request).await,
        Some(traceparent) => {
            let span = tracing::debug_span!("call", traceparent);
            route(connection, request).instrument(span).await
        }
    };
    let reply = if is_head {
        reply::without_body(reply)
    } else {
        reply
    };
    reply.map(|body| body.of_call(called))
}

async fn route(connection: &Arc<Connection>, request: Request<Incoming>) -> Response<Body> {
    if is_grpc(request.headers()) {
        return if request.version() == Version::HTTP_2 {
            grpc::answer(connection, request).await
        } else {
            reply::fault(&GRPC_NEEDS_HTTP2)
        };
    }
    let answered = match (request.uri().path(), request.method()) {
        ("/v1/verify", &Method::POST) => verify::answer(connection, request, Shape::One).await,
        ("/v1/verify/batch", &Method::POST) => {
            verify::answer(connection, request, Shape::Many).await
        }
        ("/.well-known/jwks.json", &Method::GET | &Method::HEAD) => {
            jwks::answer(&connection.context.engine.records(), &request)
        }
        ("/v1/verify" | "/v1/verify/batch", _) => Ok(reply::not_allowed("POST")),
        ("/.well-known/jwks.json", _) => Ok(reply::not_allowed("GET, HEAD")),
        _ => Err(NOT_FOUND),
    };
    answered.unwrap_or_else(|fault| reply::fault(&fault))
}

const NOT_FOUND: Fault = Fault::new(
    StatusCode::NOT_FOUND,
    "not_found",
    "there is nothing here; ask POST /v1/verify, POST /v1/verify/batch or GET /.well-known/jwks.json",
);

const GRPC_NEEDS_HTTP2: Fault = Fault::new(
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    "unsupported_media_type",
    "gRPC needs HTTP/2",
);

fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// The `traceparent` (W3C Trace Context §3.2), if it is one: what is logged must not be free text.
fn trace_parent(headers: &HeaderMap) -> Option<&str> {
    const BYTES: usize = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".len();
    let value = headers.get("traceparent")?.to_str().ok()?;
    let is_one = value.len() == BYTES
        && value.bytes().enumerate().all(|(index, byte)| match index {
            2 | 35 | 52 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        });
    is_one.then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn only_a_real_traceparent_reaches_the_logs() {
        let parse = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", HeaderValue::from_static(value));
            trace_parent(&headers).map(str::to_owned)
        };
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(parse(good).as_deref(), Some(good));
        for bad in [
            "",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJlc2ln",
            "00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}

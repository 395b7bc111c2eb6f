//! Writes replies: the body type of both HTTP and gRPC, and the few heads there are.
#![forbid(unsafe_code)]

use super::{Called, Fault};
use crate::verdict::{Unavailable, Verdict};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Verdicts hold for the moment, and claims are personal data.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// A reply's body. Holds its call in flight until it has been handed over.
pub(in crate::transport) struct Body {
    kind: Kind,
    /// Whether it is written little by little, so that taking long is no fault of the peer.
    lasts: bool,
    called: Option<Called>,
}

enum Kind {
    Whole(Full<Bytes>),
    Grpc(tonic::body::Body),
    Chunks(mpsc::Receiver<Bytes>),
}

impl Body {
    /// Bytes that are all there.
    pub(in crate::transport) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self {
            kind: Kind::Whole(Full::new(bytes.into())),
            lasts: false,
            called: None,
        }
    }

    /// What a gRPC service replies: at once, or in a stream that `lasts`.
    pub(in crate::transport) fn grpc(body: tonic::body::Body, lasts: bool) -> Self {
        Self {
            kind: Kind::Grpc(body),
            lasts,
            called: None,
        }
    }

    /// What is sent, piece by piece as it comes, until the sender is gone.
    pub(in crate::transport) fn chunks(chunks: mpsc::Receiver<Bytes>) -> Self {
        Self {
            kind: Kind::Chunks(chunks),
            lasts: true,
            called: None,
        }
    }

    /// The same, keeping `called` in flight until it has been handed over.
    pub(in crate::transport) fn of_call(self, mut called: Called) -> Self {
        if !self.lasts {
            called.replied();
        }
        Self {
            called: Some(called),
            ..self
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let frame = match &mut self.kind {
            Kind::Whole(whole) => Pin::new(whole)
                .poll_frame(cx)
                .map_err(|never| match never {}),
            Kind::Grpc(body) => Pin::new(body).poll_frame(cx),
            Kind::Chunks(chunks) => chunks
                .poll_recv(cx)
                .map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk)))),
        };
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.called = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Whole(whole) => whole.is_end_stream(),
            Kind::Grpc(body) => body.is_end_stream(),
            Kind::Chunks(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole(whole) => whole.size_hint(),
            Kind::Grpc(body) => body.size_hint(),
            Kind::Chunks(_) => SizeHint::default(),
        }
    }
}

/// The reply to HEAD: what GET would get, but for the body (RFC 9110 §9.3.2). hyper leaves a body out by
/// itself in HTTP/1 only.
pub(in crate::transport) fn without_body(mut reply: Response<Body>) -> Response<Body> {
    let length = reply.body().size_hint().exact().map(HeaderValue::from);
    *reply.body_mut() = Body::whole(Bytes::new());
    if let Some(length) = length {
        reply.headers_mut().insert(CONTENT_LENGTH, length);
    }
    reply
}

/// One verdict. Undecided is 503, so that no client library takes it for an answer.
pub(super) fn verdict(verdict: &Verdict) -> Response<Body> {
    let mut reply = json(verdict.to_json());
    if let Verdict::Unavailable(unavailable) = verdict {
        *reply.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        let seconds = HeaderValue::from(retry_after_seconds(*unavailable));
        reply.headers_mut().insert(RETRY_AFTER, seconds);
    }
    reply
}

/// Verdicts in order. The call was answered even where some token could not be decided.
pub(super) fn verdicts(verdicts: &[Verdict]) -> Response<Body> {
    const VERDICT_BYTES: usize = 256;
    let mut out = Vec::with_capacity(16 + verdicts.len() * VERDICT_BYTES);
    out.extend_from_slice(br#"{"results":["#);
    for (index, verdict) in verdicts.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        verdict.write_json(&mut out);
    }
    out.extend_from_slice(b"]}");
    json(out)
}

/// What is wrong with a request.
pub(super) fn fault(fault: &Fault) -> Response<Body> {
    let mut reply = json(fault.to_json());
    *reply.status_mut() = fault.status;
    reply
}

/// A method that the path does not know.
pub(super) fn not_allowed(methods: &'static str) -> Response<Body> {
    let mut reply = fault(&Fault::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this path takes another method; the Allow header names it",
    ));
    reply
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(methods));
    reply
}

/// JSON with status 200.
pub(super) fn json(body: Vec<u8>) -> Response<Body> {
    let mut reply = Response::new(Body::whole(body));
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(CACHE_CONTROL, NO_STORE);
    reply
}

/// `Retry-After` knows whole seconds only (RFC 9110 §10.2.3), and zero would invite a storm.
fn retry_after_seconds(unavailable: Unavailable) -> u32 {
    unavailable.retry_after_ms.div_ceil(1000).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks V-42.
    #[test]
    fn undecided_is_neither_valid_nor_invalid() {
        let reply = verdict(&Verdict::from(Unavailable::OVERLOADED));
        assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(reply.headers()[RETRY_AFTER], "1");
    }

    #[test]
    fn waits_are_rounded_up_to_seconds() {
        let after = |retry_after_ms| {
            retry_after_seconds(Unavailable {
                retry_after_ms,
                ..Unavailable::DEADLINE
            })
        };
        assert_eq!(
            [0, 1, 999, 1000, 1001, u32::MAX].map(after),
            [1, 1, 1, 1, 2, 4_294_968]
        );
    }
}

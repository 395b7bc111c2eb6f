//! The echo of HTTP/1.1, HTTP/2 and gRPC: bare hyper that reads a request to its end and answers with one
//! constant body.
#![forbid(unsafe_code)]

use super::uds::valid_verdict;
use crate::options::{Endpoint, Transport};
use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

/// Serves an endpoint until it is killed.
pub(super) async fn serve(
    listen: &Endpoint,
    transport: Transport,
    reply: Option<Vec<u8>>,
) -> io::Result<()> {
    let body = match (reply, transport) {
        (Some(message), Transport::Grpc) => grpc_frame(&message),
        (Some(body), _) => body.into(),
        (None, Transport::Grpc) => grpc_frame(&[]),
        (None, _) => valid_verdict().to_json().into(),
    };
    match listen {
        Endpoint::Tcp(address) => {
            let listener = TcpListener::bind(address).await?;
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                tokio::spawn(answer_requests(stream, transport, body.clone()));
            }
        }
        Endpoint::Unix(path) => {
            let listener = UnixListener::bind(path)?;
            loop {
                let (stream, _) = listener.accept().await?;
                tokio::spawn(answer_requests(stream, transport, body.clone()));
            }
        }
    }
}

async fn answer_requests<S>(stream: S, transport: Transport, body: Bytes)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let io = TokioIo::new(stream);
    // A client that goes away ends its connection; the echo has nobody to tell.
    let _ = match transport {
        Transport::Grpc => {
            let service = service_fn(move |request| answer_grpc(request, body.clone()));
            let server = http2::Builder::new(TokioExecutor::new());
            server.serve_connection(io, service).await
        }
        Transport::H2 => {
            let service = service_fn(move |request| answer(request, body.clone()));
            let server = http2::Builder::new(TokioExecutor::new());
            server.serve_connection(io, service).await
        }
        Transport::H1 | Transport::Uds => {
            let service = service_fn(move |request| answer(request, body.clone()));
            http1::Builder::new().serve_connection(io, service).await
        }
    };
}

async fn answer(request: Request<Incoming>, body: Bytes) -> hyper::Result<Response<Full<Bytes>>> {
    request.into_body().collect().await?;
    let mut response = Response::new(Full::new(body));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(response)
}

async fn answer_grpc(
    request: Request<Incoming>,
    body: Bytes,
) -> hyper::Result<Response<impl Body<Data = Bytes, Error = Infallible>>> {
    request.into_body().collect().await?;
    let trailers = async {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        Some(Ok(trailers))
    };
    let mut response = Response::new(Full::new(body).with_trailers(trailers));
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(CONTENT_TYPE, grpc);
    Ok(response)
}

/// A message as gRPC frames it: not compressed, its length, itself.
fn grpc_frame(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grpc_message_follows_its_length() {
        assert_eq!(grpc_frame(b"abc"), &b"\0\0\0\0\x03abc"[..]);
        assert_eq!(grpc_frame(b""), &b"\0\0\0\0\0"[..]);
    }
}

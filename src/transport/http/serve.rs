//! Drives one connection to its end, with whatever service, and sets the bounds of HTTP/1 and HTTP/2.
#![forbid(unsafe_code)]

use super::watched::{Activity, Version, Watched};
use super::{Body, ask};
use crate::transport::{Limits, Shutdown};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

/// Longest request head, in bytes: HTTP/1.1's as sent, HTTP/2's as RFC 9113 §6.5.2 counts it.
const HEAD_BYTES_MAX: u32 = 16 * 1024;

/// Flow-control window of one HTTP/2 stream: the longest token fits four times.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;

/// Flow-control window of an HTTP/2 connection.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// Streams a peer may open and reset before they were looked at (CVE-2023-44487).
const PENDING_RESETS_MAX: usize = 20;

/// Streams that we may have to reset for the peer's errors (RUSTSEC-2024-0003).
const ERROR_RESETS_MAX: usize = 64;

/// Reply bytes that may wait for the window of one HTTP/2 stream.
const SEND_BUFFER_BYTES: usize = 256 * 1024;

/// What a service must be to answer on a connection.
pub(in crate::transport) trait Answer<C>:
    Fn(Arc<C>, Request<Incoming>) -> Self::Future
{
    /// The reply to come.
    type Future: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static;
}

impl<C, F, R> Answer<C> for F
where
    F: Fn(Arc<C>, Request<Incoming>) -> R,
    R: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
{
    type Future = R;
}

/// What [`serve`] must know of a connection, whoever answers on it.
pub(in crate::transport) trait Attended {
    /// What goes on on it.
    fn activity(&self) -> &Arc<Activity>;
    /// When to finish.
    fn shutdown(&self) -> Shutdown;
}

/// Serves HTTP on a stream with whatever service; the admin listener has another. An error is a fault of
/// the peer, as [`FaultLabels`] names it.
pub(in crate::transport) async fn serve<S, C, A>(
    stream: S,
    connection: Arc<C>,
    limits: &Limits,
    answer: A,
) -> Result<(), &'static str>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    C: Attended + Send + Sync + 'static,
    A: Answer<C>,
{
    let activity = Arc::clone(connection.activity());
    let mut stream = Watched::new(stream, Arc::clone(&activity), limits);
    let mut shutdown = connection.shutdown();
    let opened = tokio::select! {
        biased;
        opened = tokio::time::timeout(limits.handshake_timeout, stream.version()) => opened,
        () = shutdown.begun() => return Ok(()),
    };
    let version = match opened {
        Err(_elapsed) => return Err("slow"),
        // The peer left before it asked anything.
        Ok(Err(_) | Ok(None)) => return Ok(()),
        Ok(Ok(Some(version))) => version,
    };
    let service = service_fn(move |request| answer(Arc::clone(&connection), request));
    let io = TokioIo::new(stream);
    match version {
        Version::Http1 => {
            let serving = http1(limits).serve_connection(io, service);
            drive(pin!(serving), &activity, limits, shutdown).await
        }
        Version::Http2 => {
            let serving = http2(limits).serve_connection(io, service);
            drive(pin!(serving), &activity, limits, shutdown).await
        }
    }
}

fn http1(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // `Watched` bounds the time for a head, and `drive` the idle time; hyper's one timeout would
        // have to serve for both.
        .header_read_timeout(None)
        .max_header_size(HEAD_BYTES_MAX as usize)
        .max_buf_size((HEAD_BYTES_MAX as usize).max(limits.body_bytes_max.min(64 * 1024)))
        .half_close(true);
    builder
}

fn http2(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.calls_in_flight_max)
        .max_header_list_size(HEAD_BYTES_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(ERROR_RESETS_MAX)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .keep_alive_interval(limits.idle_timeout / 2)
        .keep_alive_timeout(limits.stall_timeout);
    builder
}

/// A hyper connection of either version.
trait Serving: Future<Output = hyper::Result<()>> {
    fn finish(self: Pin<&mut Self>);
}

impl<I, S> Serving for http1::Connection<TokioIo<I>, S>
where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
    S: hyper::service::Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S> Serving for http2::Connection<TokioIo<I>, S, TokioExecutor>
where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
    S: hyper::service::Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Polls a connection to its end. It is finished (GOAWAY, or `connection: close`) when shutdown begins or
/// when it has been idle for long, and dropped when it then does not end, or when the peer takes none of
/// the replies that wait for it: HTTP/2 lets a peer close its window, whatever TCP says.
async fn drive(
    mut serving: Pin<&mut impl Serving>,
    activity: &Activity,
    limits: &Limits,
    mut shutdown: Shutdown,
) -> Result<(), &'static str> {
    let mut shutdown = pin!(shutdown.begun());
    let mut finishing_since = None;
    let pause = limits.stall_timeout.min(limits.idle_timeout / 2);
    let mut look = pin!(tokio::time::sleep(pause));
    let mut seen = Seen::new(activity);
    loop {
        tokio::select! {
            biased;
            ended = serving.as_mut() => return ended.map_err(|error| fault_of(&error)).or_else(excused),
            () = shutdown.as_mut(), if finishing_since.is_none() => {
                finishing_since = Some(Instant::now());
                serving.as_mut().finish();
            }
            () = look.as_mut() => {
                let idle = seen.look(activity)? + pause;
                match finishing_since {
                    None if idle >= limits.idle_timeout => {
                        finishing_since = Some(Instant::now());
                        seen = Seen::new(activity);
                        serving.as_mut().finish();
                    }
                    None => {}
                    Some(since) => {
                        // No call takes longer than that, unless its peer lets nothing through.
                        let all_said = since.elapsed() >= ask::TIMEOUT_MAX + limits.stall_timeout;
                        if all_said || idle >= limits.stall_timeout {
                            return Ok(());
                        }
                    }
                }
                look.as_mut().reset(Instant::now() + pause);
            }
        }
    }
}

/// What was seen of a connection when it was last looked at.
struct Seen {
    active_at: Instant,
    calls: u32,
    replies_waiting: u32,
    replies_taken: u32,
}

impl Seen {
    fn new(activity: &Activity) -> Self {
        Self {
            active_at: Instant::now(),
            calls: activity.calls(),
            replies_waiting: activity.replies_waiting(),
            replies_taken: activity.replies_taken(),
        }
    }

    /// For how long nothing has been asked or answered; an error when replies have waited since the last
    /// look, and not one was taken.
    fn look(&mut self, activity: &Activity) -> Result<Duration, &'static str> {
        let now = Self {
            active_at: self.active_at,
            ..Self::new(activity)
        };
        let stuck = now.replies_waiting > 0
            && self.replies_waiting > 0
            && now.replies_taken == self.replies_taken;
        if stuck {
            return Err("slow");
        }
        let active = !activity.is_idle() || now.calls != self.calls;
        *self = now;
        if active {
            self.active_at = Instant::now();
        }
        Ok(self.active_at.elapsed())
    }
}

/// What went wrong, in a word for [`FaultLabels`]; empty where the peer merely left.
fn fault_of(error: &hyper::Error) -> &'static str {
    if error.is_timeout() {
        return "slow";
    }
    if error.is_incomplete_message() {
        return "";
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            let slow = io.kind() == std::io::ErrorKind::TimedOut;
            return if slow { "slow" } else { "" };
        }
        cause = error.source();
    }
    "protocol"
}

fn excused(fault: &'static str) -> Result<(), &'static str> {
    if fault.is_empty() { Ok(()) } else { Err(fault) }
}

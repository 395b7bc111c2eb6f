//! A stream that does not wait for ever, and the count of what goes on on it.
#![forbid(unsafe_code)]

use crate::transport::Limits;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// What an HTTP/2 client says first (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The version of HTTP that a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// HTTP/1.1 or 1.0.
    Http1,
    /// HTTP/2 with prior knowledge (RFC 9113 §3.3) or by ALPN.
    Http2,
}

/// Counts the calls of one connection.
#[derive(Debug, Default)]
pub(in crate::transport) struct Activity {
    calls: AtomicU32,
    in_flight: AtomicU32,
    replies_waiting: AtomicU32,
    replies_taken: AtomicU32,
}

/// One call in flight, until its reply has been handed over.
#[derive(Debug)]
pub(in crate::transport) struct Called {
    activity: Arc<Activity>,
    replied: bool,
}

impl Activity {
    /// Notes that a call has begun.
    pub(in crate::transport) fn begin(self: &Arc<Self>) -> Called {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Called {
            activity: Arc::clone(self),
            replied: false,
        }
    }

    /// How many calls ever began, wrapping around: for "has anything begun since?".
    pub(super) fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }

    /// How many replies are ready but not taken by the peer.
    pub(super) fn replies_waiting(&self) -> u32 {
        self.replies_waiting.load(Ordering::Relaxed)
    }

    /// How many replies ever were taken, wrapping around.
    pub(super) fn replies_taken(&self) -> u32 {
        self.replies_taken.load(Ordering::Relaxed)
    }

    /// Whether no call is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) == 0
    }
}

impl Called {
    /// The whole reply waits to be taken. Not for replies that last, like those of a stream.
    pub(super) fn replied(&mut self) {
        self.replied = true;
        let waiting = &self.activity.replies_waiting;
        waiting.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Called {
    fn drop(&mut self) {
        if self.replied {
            let waiting = &self.activity.replies_waiting;
            waiting.fetch_sub(1, Ordering::Relaxed);
            let taken = &self.activity.replies_taken;
            taken.fetch_add(1, Ordering::Relaxed);
        }
        self.activity.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream that fails with [`io::ErrorKind::TimedOut`] where its peer takes too long to finish an HTTP/1
/// request head that it began, or to take bytes that we send.
pub(super) struct Watched<S> {
    stream: S,
    /// What [`Self::version`] read, still to be read again.
    opening: Opening,
    activity: Arc<Activity>,
    head: Patience,
    /// The number of calls when a head began to arrive; once another call has begun, it is complete.
    calls_at_head: u32,
    watches_heads: bool,
    write: Patience,
}

#[derive(Default)]
struct Opening {
    bytes: [u8; PREFACE.len()],
    filled: usize,
    taken: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Watched<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>, limits: &Limits) -> Self {
        Self {
            stream,
            opening: Opening::default(),
            activity,
            head: Patience::new(limits.handshake_timeout),
            calls_at_head: 0,
            watches_heads: false,
            write: Patience::new(limits.stall_timeout),
        }
    }

    /// Reads as far as it takes to tell the versions apart: usually one byte, as no method of HTTP/1
    /// begins with the preface. What was read will be read again. `None`: the peer left without a word.
    pub(super) async fn version(&mut self) -> io::Result<Option<Version>> {
        loop {
            let Opening { bytes, filled, .. } = &mut self.opening;
            let unfilled = bytes.get_mut(*filled..).unwrap_or_default();
            let read = self.stream.read(unfilled).await?;
            if read == 0 && *filled == 0 {
                return Ok(None);
            }
            *filled += read;
            let seen = bytes.get(..*filled).unwrap_or_default();
            if *seen == *PREFACE {
                return Ok(Some(Version::Http2));
            }
            if read == 0 || !PREFACE.starts_with(seen) {
                self.watches_heads = true;
                self.calls_at_head = self.activity.calls();
                self.head.begin();
                return Ok(Some(Version::Http1));
            }
        }
    }

    /// Bytes have come: if no call is under way, a head has begun.
    fn note_head(&mut self) {
        if self.watches_heads && !self.head.is_tried() && self.activity.is_idle() {
            self.calls_at_head = self.activity.calls();
            self.head.begin();
        }
    }

    fn poll_head_overdue(&mut self, cx: &mut Context<'_>) -> bool {
        if self.head.is_tried() && self.activity.calls() != self.calls_at_head {
            self.head.end();
        }
        self.head.poll_is_over(cx)
    }

    /// Passes on what a write said, unless it has been saying "later" for too long.
    fn bounded<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write.end();
            return written;
        }
        self.write.begin();
        if self.write.poll_is_over(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.opening.replay(into) {
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, into) {
            Poll::Ready(read) => {
                if into.filled().len() > before {
                    this.note_head();
                }
                Poll::Ready(read)
            }
            Poll::Pending if this.poll_head_overdue(cx) => {
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.bounded(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.bounded(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.bounded(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.bounded(cx, closed)
    }
}

impl Opening {
    /// Hands out what is still to be read again; false when there is nothing left.
    fn replay(&mut self, into: &mut ReadBuf<'_>) -> bool {
        let left = self.bytes.get(self.taken..self.filled).unwrap_or_default();
        let now = left
            .get(..left.len().min(into.remaining()))
            .unwrap_or_default();
        into.put_slice(now);
        self.taken += now.len();
        !now.is_empty()
    }
}

/// A wait with an end. The timer is made when the first wait lasts, which for most connections is never.
struct Patience {
    length: Duration,
    tried_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    fn new(length: Duration) -> Self {
        Self {
            length,
            tried_since: None,
            timer: None,
        }
    }

    fn is_tried(&self) -> bool {
        self.tried_since.is_some()
    }

    fn begin(&mut self) {
        self.tried_since.get_or_insert_with(Instant::now);
    }

    fn end(&mut self) {
        self.tried_since = None;
    }

    fn poll_is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(since) = self.tried_since else {
            return false;
        };
        let end = since + self.length;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        if timer.deadline() != end {
            timer.as_mut().reset(end);
        }
        timer.as_mut().poll(cx).is_ready()
    }
}

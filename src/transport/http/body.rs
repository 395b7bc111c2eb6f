//! Reading bodies: bounded in bytes and in time.
#![forbid(unsafe_code)]

use super::Fault;
use crate::transport::Limits;
use crate::transport::budget::{Budget, Held};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Why a body was not read.
#[derive(Debug)]
pub(in crate::transport) enum Unread {
    /// Something is wrong with it.
    Fault(Fault),
    /// The peer makes us hold too much already.
    Overloaded,
}

impl From<Fault> for Unread {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Reads a whole body. The common case, one chunk, is not copied. All but the first chunk is taken from
/// the peer's budget for as long as what is returned beside the body is kept.
pub(in crate::transport) async fn read(
    body: Incoming,
    limits: &Limits,
    budget: &Arc<Budget>,
) -> Result<(Bytes, Held), Unread> {
    // What declares itself too long is refused before a byte of it is kept.
    if body.size_hint().lower() > limits.body_bytes_max as u64 {
        return Err(Fault::too_large(limits.body_bytes_max).into());
    }
    let mut held = budget.hold_nothing();
    let collected = collect(body, limits.body_bytes_max, &mut held);
    match tokio::time::timeout(limits.stall_timeout, collected).await {
        Ok(collected) => Ok((collected?, held)),
        Err(_elapsed) => Err(SLOW.into()),
    }
}

const SLOW: Fault = Fault::new(
    StatusCode::REQUEST_TIMEOUT,
    "slow_body",
    "the body did not arrive in time",
);

const BROKEN: Fault = Fault::bad("broken_body", "the body ended before it was complete");

async fn collect(mut body: Incoming, bytes_max: usize, held: &mut Held) -> Result<Bytes, Unread> {
    let first = loop {
        match next_chunk(&mut body).await? {
            None => return Ok(Bytes::new()),
            Some(chunk) if chunk.is_empty() => {}
            Some(chunk) => break chunk,
        }
    };
    if first.len() > bytes_max {
        return Err(Fault::too_large(bytes_max).into());
    }
    if body.is_end_stream() {
        return Ok(first);
    }
    let mut whole = BytesMut::from(first);
    while let Some(chunk) = next_chunk(&mut body).await? {
        if whole.len() + chunk.len() > bytes_max {
            return Err(Fault::too_large(bytes_max).into());
        }
        if !held.add(chunk.len()) {
            return Err(Unread::Overloaded);
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

/// The next data; trailers are read past.
async fn next_chunk(body: &mut Incoming) -> Result<Option<Bytes>, Fault> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|_broken| BROKEN)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// A body that fails when its next frame is too long in coming, or more than the peer's budget allows:
/// for services that read it themselves.
pub(in crate::transport) struct Paced {
    body: Incoming,
    arriving: Arriving,
    pace: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

/// What has arrived of a [`Paced`] body and is not answered yet.
#[derive(Clone)]
pub(in crate::transport) struct Arriving {
    budget: Arc<Budget>,
    held: Arc<Mutex<Held>>,
}

impl Arriving {
    pub(in crate::transport) fn new(budget: &Arc<Budget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            held: Arc::new(Mutex::new(budget.hold_nothing())),
        }
    }

    /// What has arrived until now, to be kept with the question it became.
    pub(in crate::transport) fn take(&self) -> Held {
        std::mem::replace(&mut self.lock(), self.budget.hold_nothing())
    }

    /// Nothing that could panic is done under the lock.
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Paced {
    /// `body`, of which each frame may take `pace`.
    pub(in crate::transport) fn new(body: Incoming, arriving: Arriving, pace: Duration) -> Self {
        Self {
            body,
            arriving,
            pace,
            timer: None,
            waiting: false,
        }
    }

    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> bool {
        let end = || Instant::now() + self.pace;
        let timer = match &mut self.timer {
            Some(timer) => {
                if !self.waiting {
                    timer.as_mut().reset(end());
                }
                timer
            }
            None => self.timer.insert(Box::pin(tokio::time::sleep_until(end()))),
        };
        self.waiting = true;
        timer.as_mut().poll(cx).is_ready()
    }
}

/// tonic's own error, which it hands on as it is.
fn too_slow() -> tonic::Status {
    tonic::Status::deadline_exceeded("the request did not arrive in time")
}

/// The peer makes us hold too much already.
fn too_much() -> tonic::Status {
    tonic::Status::resource_exhausted("overloaded: too much is unanswered; ask again later")
}

impl Body for Paced {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                self.waiting = false;
                let data = frame
                    .as_ref()
                    .and_then(|frame| frame.as_ref().ok()?.data_ref());
                if data.is_some_and(|data| !self.arriving.lock().add(data.len())) {
                    return Poll::Ready(Some(Err(too_much().into())));
                }
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending if self.poll_overdue(cx) => Poll::Ready(Some(Err(too_slow().into()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

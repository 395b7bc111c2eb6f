//! `VerifyStream`: many questions over one stream, answered as they are ready.
//!
//! A question holds a permit from when it is read until its answer has been taken, so a client that asks
//! faster than it listens is slowed down by flow control, and what it can make us keep is bounded.
#![forbid(unsafe_code)]

use super::terms::{asking, error_of};
use super::v1;
use crate::transport::budget::Held;
use crate::transport::http::ask::{TIMEOUT_MAX, ask};
use crate::transport::http::{Arriving, Connection};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout_at};
use tonic::codegen::tokio_stream::Stream;
use tonic::{Status, Streaming};

/// The answers of one stream.
pub(super) struct Answers(mpsc::UnboundedReceiver<Answered>);

/// An answer with what its question took, or how the stream ends.
type Answered = Result<(v1::VerifyStreamResponse, Taken), Status>;

/// What a question takes until its answer has been taken.
struct Taken {
    _permit: OwnedSemaphorePermit,
    _held: Held,
}

impl Answers {
    /// Answers `questions` until they end, `timeout` has passed, or shutdown begins; what was read by
    /// then is answered.
    pub(super) fn to(
        questions: Streaming<v1::VerifyStreamRequest>,
        arriving: Arriving,
        connection: Arc<Connection>,
        timeout: Option<Duration>,
    ) -> Self {
        // The permits bound the channel.
        let (answers, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let end = timeout.map(|timeout| Instant::now() + timeout);
            if let Err(status) = read(questions, &arriving, &connection, end, &answers).await {
                // An error means that the client has gone.
                let _ = answers.send(Err(status));
            }
        });
        Self(receiver)
    }
}

impl Stream for Answers {
    type Item = Result<v1::VerifyStreamResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0
            .poll_recv(cx)
            .map(|answered| answered.map(|answered| answered.map(|(answer, _taken)| answer)))
    }
}

/// Reads questions, and returns when the last one read has been answered.
async fn read(
    mut questions: Streaming<v1::VerifyStreamRequest>,
    arriving: &Arriving,
    connection: &Arc<Connection>,
    end: Option<Instant>,
    answers: &mpsc::UnboundedSender<Answered>,
) -> Result<(), Status> {
    let permits_max = connection.context.limits.calls_in_flight_max.max(1);
    let permits = Arc::new(Semaphore::new(permits_max as usize));
    let mut shutdown = connection.context.shutdown.clone();
    let ended = loop {
        let permit = tokio::select! {
            biased;
            () = answers.closed() => return Ok(()),
            () = shutdown.begun() => break Err(draining()),
            permit = Arc::clone(&permits).acquire_owned() => permit,
        };
        let Ok(permit) = permit else { break Ok(()) };
        let question = tokio::select! {
            biased;
            () = answers.closed() => return Ok(()),
            () = shutdown.begun() => break Err(draining()),
            question = before(end, questions.message()) => question,
        };
        match question {
            Ok(Some(question)) => {
                let taken = Taken {
                    _permit: permit,
                    _held: arriving.take(),
                };
                answer(question, taken, connection, end, answers);
            }
            Ok(None) => break Ok(()),
            Err(status) => break Err(status),
        }
    };
    // All permits are back once every answer has been taken; `closed` when nobody takes them any more. A
    // client that stops taking them does not keep the daemon from going down.
    let patience = TIMEOUT_MAX + connection.context.limits.stall_timeout;
    tokio::select! {
        () = answers.closed() => {}
        _ = permits.acquire_many(permits_max) => {}
        () = tokio::time::sleep(patience) => {}
    }
    ended
}

fn draining() -> Status {
    Status::unavailable("draining: what was not answered was not read; ask again elsewhere")
}

async fn before<T>(
    end: Option<Instant>,
    message: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    let Some(end) = end else {
        return message.await;
    };
    match timeout_at(end, message).await {
        Ok(message) => message,
        Err(_elapsed) => Err(Status::deadline_exceeded("grpc-timeout has passed")),
    }
}

/// Answers one question on a task of its own, so that a slow one holds up no other.
fn answer(
    question: v1::VerifyStreamRequest,
    taken: Taken,
    connection: &Arc<Connection>,
    end: Option<Instant>,
    answers: &mpsc::UnboundedSender<Answered>,
) {
    let (connection, answers) = (Arc::clone(connection), answers.clone());
    tokio::spawn(async move {
        let v1::VerifyStreamRequest {
            id,
            tokens,
            policy,
            want,
            min_revision,
        } = question;
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        let answered = match asking(tokens, &policy, &want, left, min_revision) {
            Ok(asking) => ask(&connection, asking).await,
            Err(fault) => Err(fault),
        };
        let mut answer = v1::VerifyStreamResponse {
            id,
            ..Default::default()
        };
        match answered {
            Ok(verdicts) => answer.results = verdicts.into_iter().map(Into::into).collect(),
            Err(fault) => answer.error = Some(error_of(fault)),
        }
        // An error means that the client has gone.
        let _ = answers.send(Ok((answer, taken)));
    });
}

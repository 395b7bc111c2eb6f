//! HTTP/1.1 and HTTP/2 on any stream of bytes, with gRPC on the same port (`docs/http.md`).
//!
//! One service answers every connection, whatever it came over. Who asks is known from the socket before
//! the first byte is read, and no header can change it. Every wait here has an end: for the first byte,
//! for a request head, for a body, for a reader that takes its reply, and for a connection that asks
//! nothing.
#![forbid(unsafe_code)]

pub(super) mod ask;
mod body;
mod fault;
mod json;
mod jwks;
mod reply;
mod routes;
mod serve;
mod verify;
mod watched;

pub(super) use body::{Arriving, Paced, Unread, read as read_body};
pub(super) use fault::Fault;
pub(super) use reply::{Body, without_body};
pub(super) use serve::{Attended, serve};
pub(super) use watched::{Activity, Called};

use crate::metrics::FaultLabels;
use crate::transport::peers::Admission;
use crate::transport::tally::Tally;
use crate::transport::{Context, Shutdown};
use crate::verdict::Verdict;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite};

/// One connection, as every call on it sees it.
pub(super) struct Connection {
    pub(super) context: Context,
    pub(super) admission: Arc<Admission>,
    pub(super) activity: Arc<Activity>,
    /// Counts verdicts, by the protocol they were asked in.
    tallies: [Mutex<Tally>; 3],
}

/// What a call was asked in, for the count of verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.
    H1,
    /// HTTP/2.
    H2,
    /// gRPC.
    Grpc,
}

impl Protocol {
    const ALL: [Self; 3] = [Self::H1, Self::H2, Self::Grpc];

    /// The name in [`crate::metrics::VerificationLabels`].
    const fn name(self) -> &'static str {
        match self {
            Self::H1 => "h1",
            Self::H2 => "h2",
            Self::Grpc => "grpc",
        }
    }
}

impl Connection {
    /// Counts what is answered.
    fn count(&self, protocol: Protocol, verdicts: &[Verdict]) {
        let tally = &self.tallies[protocol as usize];
        // A panic while it was held leaves at worst a verdict uncounted.
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.count(verdicts);
    }
}

/// Serves one connection to its end: until the peer leaves, breaks a rule or falls silent, or until
/// shutdown, when what was accepted is answered first.
pub async fn serve_connection<S>(stream: S, admission: Arc<Admission>, context: Context)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let limits = Arc::clone(&context.limits);
    let metrics = Arc::clone(&context.metrics);
    let transport = admission.transport();
    let tally = |protocol: Protocol| Mutex::new(Tally::new(Arc::clone(&metrics), protocol.name()));
    let connection = Arc::new(Connection {
        context,
        admission,
        activity: Arc::default(),
        tallies: Protocol::ALL.map(tally),
    });
    let answer = |connection: Arc<Connection>, request| async move {
        Ok(routes::answer(&connection, request).await)
    };
    if let Err(fault) = serve(stream, connection, &limits, answer).await {
        tracing::debug!(transport, fault, "connection closed for a fault");
        let labels = FaultLabels { transport, fault };
        metrics.connection_faults.get_or_create(&labels).inc();
    }
}

impl Attended for Connection {
    fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    fn shutdown(&self) -> Shutdown {
        self.context.shutdown.clone()
    }
}

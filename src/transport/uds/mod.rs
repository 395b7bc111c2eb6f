//! The Unix socket: who connects (`SO_PEERCRED`), what it speaks, and the binary protocol.
//!
//! A connection that does not open with a hello is HTTP, and is handed to the HTTP transport with the
//! identity the kernel vouched for. Whoever the socket's file mode lets in may connect; rules in
//! [`Peers`] narrow that. Nothing here decides about a token.
#![forbid(unsafe_code)]

mod connection;
mod outbox;
mod patience;
mod refusal;
mod session;

use super::peers::{Peers, Refused};
use super::sniff::{Opening, Replayed, sniff};
use super::wire::FaultCode;
use super::{Context, Shutdown};
use crate::metrics::FaultLabels;
use bytes::BytesMut;
use refusal::Refusals;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// What a connection reads at first. It grows with what the peer sends, so that a crowd of silent
/// connections costs next to nothing.
const READ_BYTES_MIN: usize = 4 * 1024;

/// How long accepting pauses when the system has no descriptor or memory to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How the socket is served.
#[derive(Clone)]
pub struct Options {
    /// Who may connect and how much.
    pub peers: Arc<Peers>,
}

/// Serves the listener until shutdown begins and every connection has been answered what it was owed.
///
/// Several threads may each serve a clone of one listener, each on its own runtime.
pub async fn serve(listener: UnixListener, options: Arc<Options>, context: Context) {
    let mut shutdown = context.shutdown.clone();
    let refusals = Refusals::default();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.begun() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let opened = open(
                    stream,
                    Arc::clone(&options),
                    context.clone(),
                    refusals.clone(),
                );
                connections.spawn(opened);
            }
            Err(error) => {
                count_fault(&context, "accept");
                if !is_of_one_connection(&error) {
                    tracing::warn!(%error, "accepting on the Unix socket pauses");
                    pause(&mut shutdown).await;
                }
            }
        }
    }
    // Whoever is still in the backlog stays there for the successor that inherits the socket.
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Whether the failure is of the connection that was about to be accepted, and the next may do better.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// The listener stays readable while descriptors are short, so only time keeps this from spinning.
async fn pause(shutdown: &mut Shutdown) {
    tokio::select! {
        () = sleep(ACCEPT_PAUSE) => {}
        () = shutdown.begun() => {}
    }
}

async fn open(mut stream: UnixStream, options: Arc<Options>, context: Context, refusals: Refusals) {
    // A peer without credentials has already gone.
    let Ok(credentials) = stream.peer_cred() else {
        return;
    };
    let admitted = options
        .peers
        .admit_user(credentials.uid(), credentials.gid());
    let admission = match admitted {
        Ok(admission) => Arc::new(admission),
        Err(refused) => return refusals.refuse(stream, FaultCode::from(refused)).await,
    };
    let mut buffer = BytesMut::with_capacity(READ_BYTES_MIN);
    let mut shutdown = context.shutdown.clone();
    let opening = tokio::select! {
        biased;
        opening = timeout(context.limits.handshake_timeout, sniff(&mut stream, &mut buffer)) => opening,
        () = shutdown.begun() => return,
    };
    match opening {
        Ok(Ok(Some(Opening::Binary))) => {
            connection::run(stream, buffer, &admission, &context).await;
        }
        Ok(Ok(Some(Opening::Http))) => {
            let stream = Replayed::new(buffer.freeze(), stream);
            super::http::serve_connection(stream, admission, context).await;
        }
        // It left without a word, which is how probes look whether somebody listens.
        Ok(Ok(None) | Err(_)) => {}
        Err(_) => count_fault(&context, "slow"),
    }
}

fn count_fault(context: &Context, fault: &'static str) {
    let labels = FaultLabels {
        transport: "uds",
        fault,
    };
    context
        .metrics
        .connection_faults
        .get_or_create(&labels)
        .inc();
}

impl From<Refused> for FaultCode {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::PeerRefused => Self::PeerRefused,
            Refused::TooManyConnections => Self::TooManyConnections,
        }
    }
}

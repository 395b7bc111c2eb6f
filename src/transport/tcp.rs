//! The TCP listener: HTTP and gRPC, in TLS where it is configured.
//!
//! A peer is its address, or its certificate where it shows one; what it writes into headers changes
//! neither.
#![forbid(unsafe_code)]

use super::peers::{Admission, Peers};
use super::tls::{Acceptor, client_name};
use super::{Context, http};
use crate::metrics::FaultLabels;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How long to wait when the system has no descriptor left for a new connection. Trying again at once
/// would burn a core and free nothing.
pub(super) const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until shutdown begins, and returns when the last of them has ended.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Acceptor>,
    peers: Arc<Peers>,
    context: Context,
) {
    let mut shutdown = context.shutdown.clone();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.begun() => break,
            accepted = listener.accept() => accepted,
            // Ended connections are let go of as they end.
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, address)) => {
                // Refused and counted: closing is the whole answer, as it must stay cheap.
                if let Ok(admission) = peers.admit_address(address.ip()) {
                    let tls = tls.clone();
                    connections.spawn(connection(stream, address, tls, admission, context.clone()));
                }
            }
            Err(error) => after(&error).await,
        }
    }
    // No longer accepting: whoever comes now is sent elsewhere at once.
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// What to do when no connection could be accepted: nothing, if it was that connection's own end; else
/// wait for descriptors or memory to come free.
pub(super) async fn after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    match error.kind() {
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted => {}
        _ => {
            tracing::warn!(%error, "no connection can be accepted; waiting");
            tokio::time::sleep(EXHAUSTED_PAUSE).await;
        }
    }
}

async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<Acceptor>,
    admission: Admission,
    context: Context,
) {
    // Replies are written whole; waiting for more to send would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%address, %error, "the connection ended before it began");
        return;
    }
    let Some(tls) = tls else {
        return http::serve_connection(stream, Arc::new(admission), context).await;
    };
    let mut shutdown = context.shutdown.clone();
    let handshake = tokio::time::timeout(context.limits.handshake_timeout, tls.accept(stream));
    let shaken = tokio::select! {
        biased;
        shaken = handshake => shaken,
        // Nothing was asked yet, so nothing is owed.
        () = shutdown.begun() => return,
    };
    let fault = match shaken {
        Ok(Ok(stream)) => {
            let admission = match client_name(&stream) {
                Some(name) => admission.certified(&name),
                None => admission,
            };
            return http::serve_connection(stream, Arc::new(admission), context).await;
        }
        Ok(Err(error)) => {
            tracing::debug!(%address, %error, "no TLS connection could be made");
            "tls"
        }
        Err(_elapsed) => "slow",
    };
    let transport = admission.transport();
    let labels = FaultLabels { transport, fault };
    let faults = &context.metrics.connection_faults;
    faults.get_or_create(&labels).inc();
}

//! The doors: the binary protocol on the Unix socket, HTTP/1.1, HTTP/2 and gRPC on TCP and on that same
//! socket, and the admin listener. A transport carries questions to the engine and verdicts back; it never
//! decides, and it cannot choose a laxer path.
#![forbid(unsafe_code)]

pub mod admin;
mod budget;
pub mod client;
pub mod grpc;
pub mod http;
pub mod peers;
pub mod sniff;
mod tally;
pub mod tcp;
pub mod tls;
pub mod uds;
pub mod wire;

use crate::engine::Engine;
use crate::metrics::Metrics;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What every connection needs. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// Where questions go.
    pub engine: Engine,
    /// Where things are counted.
    pub metrics: Arc<Metrics>,
    /// The limits of connections.
    pub limits: Arc<Limits>,
    /// Tells connections to finish.
    pub shutdown: Shutdown,
}

/// Limits of connections and requests, every one bounded (defaults in `docs/defaults.md`).
#[derive(Clone, Debug)]
pub struct Limits {
    /// Most open connections over all transports.
    pub connections_max: usize,
    /// Most open connections of one peer (uid, or address).
    pub connections_per_peer_max: usize,
    /// Most calls one connection may have in flight: the credits of the binary protocol.
    pub calls_in_flight_max: u32,
    /// Time for a peer to finish its hello, TLS handshake or request head.
    pub handshake_timeout: Duration,
    /// Time for a peer to finish sending a frame or body it began, and to take a reply.
    pub stall_timeout: Duration,
    /// Time an idle connection is kept.
    pub idle_timeout: Duration,
    /// Largest HTTP body, in bytes.
    pub body_bytes_max: usize,
    /// Deadline of a question that names none.
    pub deadline_default: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            connections_per_peer_max: 4_096,
            calls_in_flight_max: 128,
            handshake_timeout: Duration::from_secs(5),
            stall_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            body_bytes_max: 4 * 1024 * 1024,
            deadline_default: Duration::from_secs(1),
        }
    }
}

/// Tells every connection that the daemon is going down: finish what was accepted, take nothing more.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// The other end of [`Shutdown`].
#[derive(Debug)]
pub struct ShutdownTrigger(watch::Sender<bool>);

impl Shutdown {
    /// A trigger and what it triggers.
    #[must_use]
    pub fn new() -> (ShutdownTrigger, Self) {
        let (sender, receiver) = watch::channel(false);
        (ShutdownTrigger(sender), Self(receiver))
    }

    /// Whether shutdown has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves when shutdown begins; also when the trigger is gone.
    pub async fn begun(&mut self) {
        // An error means that the trigger was dropped, which is a shutdown too.
        let _ = self.0.wait_for(|begun| *begun).await;
    }
}

impl ShutdownTrigger {
    /// Begins the shutdown.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }
}

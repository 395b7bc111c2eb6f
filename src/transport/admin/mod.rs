//! The admin listener: metrics, probes, build information and reload, for the operator on this host.
//!
//! It speaks HTTP like the other listeners, under the same limits, but answers no question about tokens.
//! What changes something takes no request that a browser could be tricked into sending.
#![forbid(unsafe_code)]

mod guard;
mod readiness;
mod routes;

pub use readiness::Readiness;

use super::http::{Activity, Attended, serve as serve_http};
use super::tcp::after;
use super::{Context, Shutdown};
use crate::metrics::{FaultLabels, TransportLabels};
use std::pin::Pin;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Loads the configuration again: what was done, or the text of all its faults. Reading files is the
/// work of whoever it calls; here it is only waited for.
pub type Reload = Arc<dyn Fn() -> Reloading + Send + Sync>;

/// A reload that has begun.
pub type Reloading = Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;

/// What the admin listener shows and does.
#[derive(Clone)]
pub struct Admin {
    /// Whether the daemon is ready, and why not.
    pub readiness: Readiness,
    /// What `POST /reload` does.
    pub reload: Reload,
    /// Host names, besides the loopback addresses and `localhost`, by which the listener may be called.
    pub hosts: Arc<[Box<str>]>,
}

/// Most open connections; scrapers and probes need few, and they must not be crowded out by clients.
const CONNECTIONS_MAX: usize = 64;

/// Accepts connections until shutdown begins, and returns when the last of them has ended.
pub async fn serve(listener: TcpListener, admin: Admin, context: Context) {
    let mut shutdown = context.shutdown.clone();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.begun() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => accepted,
        };
        match accepted {
            Ok((stream, _address)) => {
                connections.spawn(connection(stream, admin.clone(), context.clone()));
            }
            Err(error) => after(&error).await,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// One admin connection, as every call on it sees it.
struct Connection {
    admin: Admin,
    context: Context,
    activity: Arc<Activity>,
}

impl Attended for Connection {
    fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    fn shutdown(&self) -> Shutdown {
        self.context.shutdown.clone()
    }
}

async fn connection(stream: TcpStream, admin: Admin, context: Context) {
    const TRANSPORT: &str = "admin";
    let metrics = Arc::clone(&context.metrics);
    let limits = Arc::clone(&context.limits);
    let connection = Arc::new(Connection {
        admin,
        context,
        activity: Arc::default(),
    });
    let open = TransportLabels {
        transport: TRANSPORT,
    };
    metrics.connections.get_or_create(&open).inc();
    let answer = |connection: Arc<Connection>, request| async move {
        let called = connection.activity.begin();
        let reply = routes::answer(&connection, request).await;
        Ok(reply.map(|body| body.of_call(called)))
    };
    if let Err(fault) = serve_http(stream, connection, &limits, answer).await {
        let labels = FaultLabels {
            transport: TRANSPORT,
            fault,
        };
        metrics.connection_faults.get_or_create(&labels).inc();
    }
    metrics.connections.get_or_create(&open).dec();
}

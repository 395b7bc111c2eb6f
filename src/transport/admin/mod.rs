//! The admin listener: metrics, probes, build information, reload and revocation, for the operator on this host.
//!
//! It speaks HTTP like the other listeners, under the same limits, but answers no question about tokens.
//! What changes something takes no request that a browser could be tricked into sending, and revoking takes a
//! secret besides, or the admin socket.
#![forbid(unsafe_code)]

mod caller;
mod feeds;
mod guard;
mod keys;
mod orders;
mod readiness;
mod revocations;
mod revoke;
mod routes;

pub use caller::BearerSecret;
pub use feeds::Feed;
pub use keys::{Keys, KeysQuery, Refreshing};
pub use readiness::{Logs, Readiness};

use super::budget::Budget;
use super::http::{Activity, Attended, serve as serve_http};
use super::tcp::after;
use super::{Context, Shutdown};
use crate::metrics::{FaultLabels, TransportLabels};
use crate::revocation::{Arrival, IdKey, NotTaken, Receipt, Record, Register, Wait};
use caller::Caller;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::broadcast;
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
    /// What knows about issuers' keys, if anything does.
    pub keys: Option<Keys>,
    /// How tokens are revoked; `None` where they cannot be.
    pub revocation: Option<Revocation>,
    /// Host names, besides the loopback addresses and `localhost`, by which the listener may be called.
    pub hosts: Arc<[Box<str>]>,
}

/// Most open connections; scrapers and probes need few, and they must not be crowded out by clients.
const CONNECTIONS_MAX: usize = 64;

/// Makes records safe, and says how safe. Logs are the work of whoever it calls; here it is only waited for.
pub type Submit = Arc<dyn Fn(Vec<Record>, Wait) -> Submitting + Send + Sync>;

/// A submission that has begun.
pub type Submitting = Pin<Box<dyn Future<Output = Result<Receipt, NotTaken>> + Send>>;

/// How tokens are revoked.
#[derive(Clone)]
pub struct Revocation {
    /// What orders are handed to.
    pub submit: Submit,
    /// What arrives from now on, whoever gave the order.
    pub watch: Arc<dyn Fn() -> broadcast::Receiver<Arrival> + Send + Sync>,
    /// Brings metrics up to date before they are printed.
    pub report: Arc<dyn Fn() + Send + Sync>,
    /// What is revoked.
    pub register: Arc<Register>,
    /// Makes ids of what orders name.
    pub ids: Arc<IdKey>,
    /// What callers over TCP must bear; without it, only the admin socket can revoke.
    pub secret: Option<BearerSecret>,
    /// Who else says what is revoked, and delivers it here.
    pub feeds: Arc<[Feed]>,
}

/// Accepts connections until shutdown begins, and returns when the last of them has ended.
pub async fn serve(listener: TcpListener, admin: Admin, context: Context) {
    accept_from(listener, admin, context).await;
}

/// The same on a Unix socket: whoever could connect may revoke.
pub async fn serve_socket(listener: UnixListener, admin: Admin, context: Context) {
    accept_from(listener, admin, context).await;
}

/// Where connections come from.
trait Door {
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Caller)>> + Send;
}

impl Door for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, Caller)> {
        let (stream, address) = Self::accept(self).await?;
        Ok((stream, Caller::Address(address.ip())))
    }
}

impl Door for UnixListener {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<(UnixStream, Caller)> {
        let (stream, _address) = Self::accept(self).await?;
        let credentials = stream.peer_cred()?;
        let (uid, pid) = (credentials.uid(), credentials.pid());
        Ok((stream, Caller::Process { uid, pid }))
    }
}

async fn accept_from<D: Door>(door: D, admin: Admin, context: Context) {
    let budget = Arc::new(Budget::new(&context.limits));
    let mut shutdown = context.shutdown.clone();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.begun() => break,
            Some(_) = connections.join_next() => continue,
            accepted = Door::accept(&door), if connections.len() < CONNECTIONS_MAX => accepted,
        };
        match accepted {
            Ok((stream, caller)) => {
                let connection = Connection {
                    admin: admin.clone(),
                    context: context.clone(),
                    activity: Arc::default(),
                    budget: Arc::clone(&budget),
                    caller,
                };
                connections.spawn(drive(stream, connection));
            }
            Err(error) => after(&error).await,
        }
    }
    drop(door);
    while connections.join_next().await.is_some() {}
}

/// One admin connection, as every call on it sees it.
struct Connection {
    admin: Admin,
    context: Context,
    activity: Arc<Activity>,
    /// What bodies may make us hold.
    budget: Arc<Budget>,
    caller: Caller,
}

impl Attended for Connection {
    fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    fn shutdown(&self) -> Shutdown {
        self.context.shutdown.clone()
    }
}

async fn drive<S>(stream: S, connection: Connection)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    const TRANSPORT: &str = "admin";
    let metrics = Arc::clone(&connection.context.metrics);
    let limits = Arc::clone(&connection.context.limits);
    let connection = Arc::new(connection);
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

//! A daemon's doors on loopback and on a Unix socket, and clients to knock.

use crate::tokens;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jotd::clock::Clock;
use jotd::crypto::Scheme;
use jotd::engine::{self, Engine};
use jotd::jose::JwkSet;
use jotd::keys::{KeySet, Owner};
use jotd::metrics::Metrics;
use jotd::policy::{Accepted, Narrowing, Policy};
use jotd::transport::peers::{Peers, UnixRule};
use jotd::transport::tls::Acceptor;
use jotd::transport::{Context, Limits, Shutdown, ShutdownTrigger, tcp, uds};
use jotd::verify::{Issuer, IssuerKeys, IssuerMatch, Records};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// Long enough that only a hang reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The running doors.
pub(crate) struct House {
    /// Where TCP is served.
    pub(crate) address: SocketAddr,
    /// Where the Unix socket is.
    pub(crate) socket: PathBuf,
    /// What connections are given.
    pub(crate) context: Context,
    /// The open connections.
    pub(crate) peers: Arc<Peers>,
    trigger: ShutdownTrigger,
    doors: [JoinHandle<()>; 2],
    _directory: tempfile::TempDir,
}

/// What is not as usual.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) limits: Limits,
    pub(crate) rules: Vec<UnixRule>,
    pub(crate) tls: Option<Acceptor>,
}

impl House {
    /// Doors with the usual limits.
    pub(crate) async fn open() -> Self {
        Self::with(Plan::default()).await
    }

    /// Doors with these limits.
    pub(crate) async fn limited(limits: Limits) -> Self {
        Self::with(Plan {
            limits,
            ..Plan::default()
        })
        .await
    }

    /// Doors after a plan.
    pub(crate) async fn with(plan: Plan) -> Self {
        let metrics = Arc::new(Metrics::new());
        let options = engine::Options {
            cpus: Vec::new(),
            ..engine::Options::default()
        };
        let clock = Clock::fixed(tokens::NOW);
        let engine =
            Engine::start(&options, Arc::new(records()), clock, Arc::clone(&metrics)).unwrap();
        let (trigger, shutdown) = Shutdown::new();
        let limits = Arc::new(plan.limits);
        let peers = Peers::new(
            engine.clone(),
            Arc::clone(&metrics),
            Arc::clone(&limits),
            plan.rules,
        );
        let context = Context {
            engine,
            metrics,
            limits,
            shutdown,
        };
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("jotd.sock");
        let on_tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = on_tcp.local_addr().unwrap();
        let on_unix = UnixListener::bind(&socket).unwrap();
        let options = uds::Options {
            peers: Arc::clone(&peers),
        };
        let doors = [
            tokio::spawn(tcp::serve(
                on_tcp,
                plan.tls,
                Arc::clone(&peers),
                context.clone(),
            )),
            tokio::spawn(uds::serve(on_unix, Arc::new(options), context.clone())),
        ];
        Self {
            address,
            socket,
            context,
            peers,
            trigger,
            doors,
            _directory: directory,
        }
    }

    /// Begins the shutdown.
    pub(crate) fn begin_shutdown(&self) {
        self.trigger.begin();
    }

    /// Waits until every connection has ended after [`Self::begin_shutdown`].
    pub(crate) async fn closed(self) {
        for door in self.doors {
            within(door).await.unwrap();
        }
        assert_eq!(self.peers.connections(), 0, "a place was not given back");
    }

    /// A TCP connection.
    pub(crate) async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A connection over the Unix socket.
    pub(crate) async fn unix(&self) -> UnixStream {
        UnixStream::connect(&self.socket).await.unwrap()
    }

    /// A client on each of the four ways in, with its name.
    pub(crate) async fn ways_in(&self) -> [(&'static str, Client); 4] {
        [
            ("HTTP/1.1 on TCP", Client::h1(self.tcp().await).await),
            ("HTTP/2 on TCP", Client::h2(self.tcp().await).await),
            (
                "HTTP/1.1 on the socket",
                Client::h1(self.unix().await).await,
            ),
            ("HTTP/2 on the socket", Client::h2(self.unix().await).await),
        ]
    }

    /// Waits until this many connections of a transport were closed for a fault.
    pub(crate) async fn faulted(&self, transport: &'static str, fault: &'static str) {
        let labels = jotd::metrics::FaultLabels { transport, fault };
        let faults = &self.context.metrics.connection_faults;
        within(async {
            while faults.get_or_create(&labels).get() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}

/// Waits, but not for ever.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(PATIENCE, future).await;
    waited.expect("it takes far too long")
}

/// A client's connection, of either version.
pub(crate) enum Client {
    H1(http1::SendRequest<Full<Bytes>>),
    H2(http2::SendRequest<Full<Bytes>>),
}

/// A whole reply.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Client {
    /// Speaks HTTP/1.1 on a stream.
    pub(crate) async fn h1(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self::H1(sender)
    }

    /// Speaks HTTP/2 on a stream, with prior knowledge.
    pub(crate) async fn h2(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let executor = TokioExecutor::new();
        let connected = http2::handshake(executor, TokioIo::new(stream)).await;
        let (sender, connection) = connected.unwrap();
        tokio::spawn(connection);
        Self::H2(sender)
    }

    /// Sends a request and takes the whole reply.
    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Reply> {
        let response: Response<Incoming> = match self {
            Self::H1(sender) => {
                within(sender.ready()).await?;
                within(sender.send_request(request)).await?
            }
            Self::H2(sender) => {
                within(sender.ready()).await?;
                within(sender.send_request(request)).await?
            }
        };
        let (head, body) = response.into_parts();
        let body = within(body.collect()).await?.to_bytes();
        Ok(Reply {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        })
    }

    /// Posts JSON.
    pub(crate) async fn post(&mut self, path: &str, json: impl Into<Bytes>) -> Reply {
        self.send(post(path, json)).await.unwrap()
    }

    /// Posts a token to `/v1/verify`.
    pub(crate) async fn verify(&mut self, token: &str) -> Reply {
        let body = serde_json::json!({"token": token}).to_string();
        self.post("/v1/verify", body).await
    }
}

/// A POST of JSON.
pub(crate) fn post(path: &str, json: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post(format!("http://localhost{path}"))
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(Full::new(json.into()))
        .unwrap()
}

/// A request without a body.
pub(crate) fn bare(method: &str, path: &str) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(format!("http://localhost{path}"))
        .header("host", "localhost")
        .body(Full::default())
        .unwrap()
}

/// One issuer with keys, one without, and a policy that asks for a scope.
fn records() -> Records {
    let name: Arc<str> = "acme".into();
    let tenant: Arc<str> = "default".into();
    let owner = Owner {
        issuer: Arc::clone(&name),
        tenant: Arc::clone(&tenant),
    };
    let schemes = vec![Scheme::HmacSha256, Scheme::EcdsaP256Sha256];
    let jwks = JwkSet::parse(tokens::jwks().as_bytes()).unwrap();
    let (keys, skipped) = KeySet::pin(&owner, &jwks, &schemes);
    assert!(skipped.is_empty(), "{skipped:?}");
    let policy = Policy {
        schemes,
        audiences: Accepted::OneOf(vec!["payments".into()]),
        ..Policy::default()
    };
    let acme = Issuer {
        name,
        tenant,
        iss: IssuerMatch::Exact(tokens::ISS.into()),
        policy: policy.clone(),
        keys: IssuerKeys::Known(Arc::new(keys)),
        token_bytes_max: 16 * 1024,
    };
    let late = Issuer {
        name: "late".into(),
        tenant: "north".into(),
        iss: IssuerMatch::Exact(tokens::ISS_AWAITED.into()),
        policy,
        keys: IssuerKeys::Awaited,
        token_bytes_max: 16 * 1024,
    };
    let admins = Narrowing {
        scopes: vec!["admin".into()],
        ..Narrowing::default()
    };
    Records::new(vec![acme, late], vec![("admins".into(), admins)]).unwrap()
}

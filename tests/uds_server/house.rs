//! A daemon's socket in a directory of its own, tokens for it, and a client that speaks in raw frames.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::BytesMut;
use jotd::clock::Clock;
use jotd::crypto::Scheme;
use jotd::engine::{self, Engine};
use jotd::jose::JwkSet;
use jotd::keys::{KeySet, Owner};
use jotd::metrics::{FaultLabels, Metrics};
use jotd::policy::{Accepted, Narrowing, Policy};
use jotd::transport::client::{self, Client};
use jotd::transport::peers::{Peers, UnixRule};
use jotd::transport::wire::{
    Ask, FaultCode, FaultReport, FrameKind, Framing, Head, Hello, RemoteVerdict, Verdicts,
    next_frame,
};
use jotd::transport::{Context, Limits, Shutdown, ShutdownTrigger, uds};
use jotd::verify::{Issuer, IssuerKeys, IssuerMatch, Records};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// Long enough that only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

/// When the tests' clock stands still.
pub const NOW: i64 = 1_800_000_000;

const ISS: &str = "https://acme.example";
const ISS_AWAITED: &str = "https://late.example";
const SECRET: [u8; 32] = [7; 32];

/// The served socket.
pub struct House {
    pub socket: PathBuf,
    pub context: Context,
    pub peers: Arc<Peers>,
    /// The listening socket itself, for who wants to serve it too.
    pub listener: std::os::unix::net::UnixListener,
    trigger: ShutdownTrigger,
    door: JoinHandle<()>,
    _directory: tempfile::TempDir,
}

impl House {
    pub async fn open() -> Self {
        Self::with(Limits::default(), Vec::new()).await
    }

    pub async fn with(limits: Limits, rules: Vec<UnixRule>) -> Self {
        let metrics = Arc::new(Metrics::new());
        let clock = Clock::fixed(NOW);
        let records = Arc::new(records());
        let engine = Engine::start(
            &engine::Options::default(),
            records,
            clock,
            Arc::clone(&metrics),
        )
        .unwrap();
        let (trigger, shutdown) = Shutdown::new();
        let limits = Arc::new(limits);
        let peers = Peers::new(
            engine.clone(),
            Arc::clone(&metrics),
            Arc::clone(&limits),
            rules,
        );
        let context = Context {
            engine,
            metrics,
            limits,
            shutdown,
        };
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("jotd.sock");
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        listener.set_nonblocking(true).unwrap();
        let served = UnixListener::from_std(listener.try_clone().unwrap()).unwrap();
        let options = uds::Options {
            peers: Arc::clone(&peers),
        };
        let door = tokio::spawn(uds::serve(served, Arc::new(options), context.clone()));
        Self {
            socket,
            context,
            peers,
            listener,
            trigger,
            door,
            _directory: directory,
        }
    }

    pub async fn client(&self) -> Client {
        within(Client::connect(&self.socket)).await.unwrap()
    }

    /// A stream that has said nothing yet.
    pub async fn stream(&self) -> UnixStream {
        UnixStream::connect(&self.socket).await.unwrap()
    }

    /// A connection after both hellos.
    pub async fn raw(&self) -> Raw {
        self.raw_with(Hello::CLIENT).await
    }

    pub async fn raw_with(&self, wishes: Hello) -> Raw {
        let mut raw = Raw::new(self.stream().await);
        let shaken = client::handshake(&mut raw.stream, wishes, &mut raw.buffer);
        within(shaken).await.unwrap();
        raw
    }

    pub fn begin_shutdown(&self) {
        self.trigger.begin();
    }

    /// Waits until every connection has ended after [`Self::begin_shutdown`].
    pub async fn closed(self) {
        drop(self.listener);
        within(self.door).await.unwrap();
        within(async {
            // Another thread that serves the socket ends in its own time.
            while self.peers.connections() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }

    /// Waits until this many connections are open.
    pub async fn connections(&self, count: usize) {
        within(async {
            while self.peers.connections() != count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }

    pub fn faults(&self, fault: &'static str) -> u64 {
        let labels = FaultLabels {
            transport: "uds",
            fault,
        };
        let faults = &self.context.metrics.connection_faults;
        faults.get_or_create(&labels).get()
    }
}

/// Waits, but not for ever.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(PATIENCE, future).await;
    waited.expect("it takes far too long")
}

/// A client that can say anything.
pub struct Raw {
    pub stream: UnixStream,
    pub buffer: BytesMut,
}

/// What the daemon said.
#[derive(Debug)]
pub enum Said {
    Verdicts(u64, Vec<RemoteVerdict>),
    Pong(u64),
    Error(FaultReport),
    Goaway,
}

impl Raw {
    pub fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
        }
    }

    /// The daemon's hello.
    pub async fn hello(&mut self) -> Hello {
        within(async {
            loop {
                if let Some((hello, bytes)) = Hello::decode(&self.buffer).unwrap() {
                    let _ = self.buffer.split_to(bytes);
                    return hello;
                }
                let bytes = self.stream.read_buf(&mut self.buffer).await.unwrap();
                assert!(bytes > 0, "it ends before its hello");
            }
        })
        .await
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        within(self.stream.write_all(bytes)).await.unwrap();
    }

    /// The next frame; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Said> {
        within(async {
            loop {
                if let Framing::Complete(head, bytes) = next_frame(&self.buffer, 1 << 24).unwrap() {
                    let frame = self.buffer.split_to(bytes);
                    return Some(understand(head, &frame));
                }
                // A reset is an end too: the daemon may close with our bytes unread.
                if self.stream.read_buf(&mut self.buffer).await.unwrap_or(0) == 0 {
                    assert!(self.buffer.is_empty(), "it ends within a frame");
                    return None;
                }
            }
        })
        .await
    }

    /// The next frame, which must be verdicts.
    pub async fn verdicts(&mut self) -> (u64, Vec<RemoteVerdict>) {
        match self.next().await {
            Some(Said::Verdicts(request_id, verdicts)) => (request_id, verdicts),
            other => panic!("verdicts, not {other:?}"),
        }
    }

    /// The next frame, which must be an error.
    pub async fn error(&mut self) -> (u64, FaultCode) {
        match self.next().await {
            Some(Said::Error(report)) => {
                let code = FaultCode::from_number(report.code).unwrap();
                assert_eq!(report.closes, code.closes());
                (report.request_id, code)
            }
            other => panic!("an error, not {other:?}"),
        }
    }

    /// Asks whether the connection still works.
    pub async fn works(&mut self) {
        let mut ping = Vec::new();
        jotd::transport::wire::encode_bare(&mut ping, FrameKind::Ping, 99);
        self.send(&ping).await;
        assert!(matches!(self.next().await, Some(Said::Pong(99))));
    }
}

fn understand(head: Head, frame: &[u8]) -> Said {
    match FrameKind::from_code(head.kind) {
        Some(FrameKind::Verdicts) => {
            let verdicts = Verdicts::decode(frame).unwrap();
            Said::Verdicts(verdicts.request_id, verdicts.to_remote().unwrap())
        }
        Some(FrameKind::Pong) => Said::Pong(head.request_id),
        Some(FrameKind::Error) => Said::Error(FaultReport::decode(frame).unwrap()),
        Some(FrameKind::Goaway) => Said::Goaway,
        other => panic!("the daemon does not send {other:?}"),
    }
}

/// A VERIFY frame without terms.
pub fn asking<T: AsRef<[u8]>>(request_id: u64, tokens: &[T]) -> Vec<u8> {
    let ask = Ask {
        request_id,
        ..Ask::default()
    };
    asking_with(&ask, tokens)
}

pub fn asking_with<T: AsRef<[u8]>>(ask: &Ask<'_>, tokens: &[T]) -> Vec<u8> {
    let mut frame = Vec::new();
    ask.encode(tokens, 1 << 24, &mut frame).unwrap();
    frame
}

/// `valid`, `unavailable`, or the reason.
pub fn word(verdict: &RemoteVerdict) -> &'static str {
    match verdict {
        RemoteVerdict::Valid { .. } => "valid",
        RemoteVerdict::Invalid { reason, .. } => reason.name(),
        RemoteVerdict::Unavailable(_) => "unavailable",
    }
}

pub fn words(verdicts: &[RemoteVerdict]) -> Vec<&'static str> {
    verdicts.iter().map(word).collect()
}

fn claims() -> Value {
    json!({"iss": ISS, "aud": "payments", "sub": "alice", "exp": NOW + 812, "iat": NOW})
}

/// A good token.
pub fn good() -> String {
    signed(&claims())
}

/// A good token that differs from every other number's.
pub fn good_number(number: u64) -> String {
    let mut claims = claims();
    claims["jti"] = number.to_string().into();
    signed(&claims)
}

pub fn expired() -> String {
    let mut claims = claims();
    claims["exp"] = (NOW - 100).into();
    signed(&claims)
}

pub fn forged() -> String {
    let mut token = good();
    let last = token.split_off(token.len() - 6);
    token + if last == "AAAAAA" { "BBBBBA" } else { "AAAAAA" }
}

/// A token of the issuer whose keys have not arrived.
pub fn undecidable() -> String {
    let mut claims = claims();
    claims["iss"] = ISS_AWAITED.into();
    signed(&claims)
}

/// One of every kind, and what is to be said of it.
pub fn assorted() -> (Vec<String>, Vec<&'static str>) {
    let all = [
        (good(), "valid"),
        (expired(), "expired"),
        (forged(), "bad_signature"),
        ("no token".into(), "malformed"),
        (String::new(), "malformed"),
        (undecidable(), "unavailable"),
        (good(), "valid"),
    ];
    all.into_iter().unzip()
}

fn signed(claims: &Value) -> String {
    let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let input = format!(
        "{}.{}",
        encode(&json!({"alg": "HS256", "kid": "h1"})),
        encode(claims)
    );
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &SECRET);
    let tag = aws_lc_rs::hmac::sign(&key, input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
}

/// One issuer with a key, one without, and a policy that asks for a scope nobody has.
fn records() -> Records {
    let name: Arc<str> = "acme".into();
    let tenant: Arc<str> = "default".into();
    let owner = Owner {
        issuer: Arc::clone(&name),
        tenant: Arc::clone(&tenant),
    };
    let schemes = vec![Scheme::HmacSha256];
    let jwks = json!({"keys": [{
        "kty": "oct", "kid": "h1", "alg": "HS256", "k": URL_SAFE_NO_PAD.encode(SECRET),
    }]});
    let jwks = JwkSet::parse(jwks.to_string().as_bytes()).unwrap();
    let (keys, skipped) = KeySet::pin(&owner, &jwks, &schemes);
    assert!(skipped.is_empty(), "{skipped:?}");
    let policy = Policy {
        schemes,
        audiences: Accepted::OneOf(vec!["payments".into()]),
        ..Policy::default()
    };
    let acme = Issuer {
        name,
        tenant: Arc::clone(&tenant),
        iss: IssuerMatch::Exact(ISS.into()),
        policy: policy.clone(),
        keys: IssuerKeys::Known(Arc::new(keys)),
        token_bytes_max: 16 * 1024,
    };
    let late = Issuer {
        name: "late".into(),
        tenant,
        iss: IssuerMatch::Exact(ISS_AWAITED.into()),
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

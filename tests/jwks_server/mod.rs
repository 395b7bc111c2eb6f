//! An HTTPS server on loopback that answers as it is told, byte for byte.
#![allow(dead_code, reason = "each story uses a part")]

pub(crate) mod issuer;
pub(crate) mod world;

use http::Uri;
use jotd::issuer::SigningKey;
use jotd::jose::Algorithm;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

/// A request as it arrived.
pub(crate) struct Asked {
    pub(crate) path: String,
    headers: Vec<(String, String)>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What to do with a request.
pub(crate) enum Answer {
    /// Send this.
    Whole {
        status: &'static str,
        headers: Vec<String>,
        body: String,
    },
    /// Begin a good answer, and go on a byte at a time without end.
    Drip,
    /// Begin a good answer, and go on as fast as possible without end.
    Endless,
    /// Close the connection.
    Hangup,
}

impl Answer {
    pub(crate) fn new(status: &'static str, body: impl Into<String>) -> Self {
        Self::Whole {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    pub(crate) fn ok(body: impl Into<String>) -> Self {
        Self::new("200 OK", body)
    }

    pub(crate) fn with(mut self, header: &str) -> Self {
        if let Self::Whole { headers, .. } = &mut self {
            headers.push(header.to_owned());
        }
        self
    }
}

type Script = Arc<Mutex<dyn FnMut(&Asked) -> Answer + Send>>;

/// A thread that turns a runtime until it is dropped.
pub(crate) struct Background {
    pub(crate) handle: Handle,
    _stop: oneshot::Sender<()>,
}

impl Background {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            // An error is the sender's end, which is what is waited for.
            let _ = runtime.block_on(stopped);
            runtime.shutdown_background();
        });
        Self {
            handle,
            _stop: stop,
        }
    }
}

/// The running server. Stops when dropped.
pub(crate) struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    ca_file: PathBuf,
    _folder: tempfile::TempDir,
    _background: Background,
}

impl Server {
    pub(crate) fn start(script: impl FnMut(&Asked) -> Answer + Send + 'static) -> Self {
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
        let certified = certified.expect("a certificate");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, certified.cert.pem()).expect("writable");
        let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![certified.cert.der().clone()],
                PrivateKeyDer::Pkcs8(key),
            )
            .expect("a key that fits");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let background = Background::start();
        // "localhost" may resolve to ::1 first; the client tries both.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("an address");
        listener.set_nonblocking(true).expect("it need not block");
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        let script: Script = Arc::new(Mutex::new(script));
        background.handle.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let (acceptor, script) = (acceptor.clone(), script.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        // However the client ends it is the test's business.
                        let _ = serve(stream, script).await;
                    }
                });
            }
        });
        Self {
            address,
            connections,
            ca_file,
            _folder: folder,
            _background: background,
        }
    }

    pub(crate) fn uri(&self, path: &str) -> Uri {
        let uri = format!("https://localhost:{}{path}", self.address.port());
        uri.parse().expect("a URL")
    }

    pub(crate) fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn serve<S>(mut stream: S, script: Script) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.lines();
    let path = lines.next().and_then(|line| line.split(' ').nth(1));
    let asked = Asked {
        path: path.unwrap_or_default().to_owned(),
        headers: lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect(),
    };
    let answer = (script.lock().expect("no panic"))(&asked);
    match answer {
        Answer::Hangup => Ok(()),
        Answer::Whole {
            status,
            headers,
            body,
        } => {
            let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
            let length = body.len();
            let reply =
                format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}");
            stream.write_all(reply.as_bytes()).await?;
            stream.shutdown().await
        }
        Answer::Drip | Answer::Endless => {
            let begin = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            stream.write_all(begin).await?;
            let is_slow = matches!(answer, Answer::Drip);
            loop {
                if is_slow {
                    stream.write_all(b"1\r\n \r\n").await?;
                    stream.flush().await?;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                } else {
                    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
                    stream.write_all(chunk.as_bytes()).await?;
                }
            }
        }
    }
}

pub(crate) fn signing_key(kid: &str) -> SigningKey {
    let key = SigningKey::generate(Algorithm::Es256, None).expect("a key");
    key.with_kid(Some(kid)).expect("a good kid")
}

pub(crate) fn jwks(keys: &[&SigningKey]) -> String {
    let keys: Vec<String> = keys.iter().filter_map(|key| key.public_jwk()).collect();
    format!("{{\"keys\":[{}]}}", keys.join(","))
}

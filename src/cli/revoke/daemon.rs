//! Asks a running daemon's admin socket or listener, over HTTP/1.1.

use crate::cli::exit::Failure;
use crate::cli::files;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use zeroize::Zeroizing;

/// Largest answer, in bytes: a page of a thousand records is a quarter of it.
const ANSWER_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct DaemonArgs {
    /// Address of the admin listener; it takes --secret-file
    #[arg(
        long,
        value_name = "ADDR",
        env = "JOTD_LISTEN__ADMIN",
        hide_env_values = true,
        default_value = "127.0.0.1:8485"
    )]
    admin: SocketAddr,
    /// Path of the admin socket, to be asked instead; its permissions say who may
    #[arg(
        long,
        value_name = "PATH",
        env = "JOTD_LISTEN__ADMIN_SOCKET",
        hide_env_values = true
    )]
    socket: Option<PathBuf>,
    /// File with the secret that the admin listener wants, as in token_file
    #[arg(
        long,
        value_name = "FILE",
        env = "JOTD_REVOCATION__TOKEN_FILE",
        hide_env_values = true
    )]
    secret_file: Option<PathBuf>,
    /// How long to wait for an answer
    #[arg(long, value_name = "MS", default_value_t = 10_000,
          value_parser = clap::value_parser!(u64).range(1..=600_000))]
    timeout_ms: u64,
}

/// A question.
pub(in crate::cli) struct Ask<'a> {
    method: &'static str,
    path: &'a str,
    content_type: &'static str,
    body: Zeroizing<Vec<u8>>,
}

impl<'a> Ask<'a> {
    pub(in crate::cli) fn get(path: &'a str) -> Self {
        Self::json("GET", path, String::new())
    }

    pub(in crate::cli) fn json(method: &'static str, path: &'a str, body: String) -> Self {
        Self {
            method,
            path,
            content_type: "application/json",
            body: Zeroizing::new(body.into_bytes()),
        }
    }

    pub(in crate::cli) fn form(path: &'a str, body: Zeroizing<Vec<u8>>) -> Self {
        Self {
            method: "POST",
            path,
            content_type: "application/x-www-form-urlencoded",
            body,
        }
    }
}

/// What the daemon said.
pub(in crate::cli) struct Answer {
    status: StatusCode,
    body: Bytes,
}

impl Answer {
    /// The JSON object of a good answer.
    pub(in crate::cli) fn object(&self) -> Result<Value, Failure> {
        let object: Option<Value> = serde_json::from_slice(&self.body).ok();
        let object = object.unwrap_or(Value::Null);
        if self.status.is_success() && object.is_object() {
            return Ok(object);
        }
        Err(failure(self.status, &object))
    }
}

/// What went wrong, and who can mend it.
fn failure(status: StatusCode, object: &Value) -> Failure {
    let text = |name: &str| object[name].as_str().map(str::to_owned);
    let detail = text("detail").or_else(|| text("error_description"));
    let mut message = detail
        .unwrap_or_else(|| format!("the daemon answered with HTTP status {}", status.as_u16()));
    for fault in object["faults"].as_array().into_iter().flatten() {
        message.push_str(&format!("\n  {}", fault["fault"].as_str().unwrap_or("?")));
    }
    match status {
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Failure::usage(message)
        }
        _ => Failure::fault(message),
    }
}

impl DaemonArgs {
    /// Asks, and takes the whole answer.
    pub(in crate::cli) fn ask(&self, ask: Ask<'_>) -> Result<Answer, Failure> {
        let patience = Duration::from_millis(self.timeout_ms);
        self.block_on(async {
            let asked = async {
                let response = self.send(ask).await?;
                let status = response.status();
                let body = http_body_util::Limited::new(response.into_body(), ANSWER_BYTES_MAX);
                let body = body
                    .collect()
                    .await
                    .map_err(|error| self.trouble(&error))?
                    .to_bytes();
                Ok(Answer { status, body })
            };
            let in_time = tokio::time::timeout(patience, asked).await;
            in_time.unwrap_or_else(|_| Err(self.trouble(&"it did not answer in time")))
        })
    }

    /// Asks, and hands every line of the answer to `each` for as long as lines come.
    pub(in crate::cli) fn follow(
        &self,
        ask: Ask<'_>,
        mut each: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let patience = Duration::from_millis(self.timeout_ms);
        self.block_on(async {
            let begun = tokio::time::timeout(patience, self.send(ask)).await;
            let response =
                begun.unwrap_or_else(|_| Err(self.trouble(&"it did not answer in time")))?;
            let status = response.status();
            let mut body = response.into_body();
            let mut pending = Vec::new();
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| self.trouble(&error))?;
                let Ok(data) = frame.into_data() else {
                    continue;
                };
                pending.extend_from_slice(&data);
                if pending.len() > ANSWER_BYTES_MAX {
                    return Err(self.trouble(&"a line is too long"));
                }
                if !status.is_success() {
                    continue;
                }
                while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = pending.drain(..=end).collect();
                    if !line.trim_ascii().is_empty() {
                        each(line.trim_ascii())?;
                    }
                }
            }
            if status.is_success() {
                return Ok(());
            }
            let object = serde_json::from_slice(&pending).unwrap_or(Value::Null);
            Err(failure(status, &object))
        })
    }

    async fn send(&self, ask: Ask<'_>) -> Result<Response<Incoming>, Failure> {
        match &self.socket {
            Some(path) => {
                let stream = UnixStream::connect(path).await;
                self.send_on(stream.map_err(|error| self.trouble(&error))?, ask)
                    .await
            }
            None => {
                let stream = TcpStream::connect(self.admin).await;
                self.send_on(stream.map_err(|error| self.trouble(&error))?, ask)
                    .await
            }
        }
    }

    async fn send_on<S>(&self, stream: S, mut ask: Ask<'_>) -> Result<Response<Incoming>, Failure>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let connected = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = connected.map_err(|error| self.trouble(&error))?;
        // Its error is the answer's error as well.
        tokio::spawn(connection);
        let host = match &self.socket {
            Some(_) => "localhost".to_owned(),
            None => self.admin.to_string(),
        };
        let body = Full::new(Bytes::from(std::mem::take(&mut *ask.body)));
        let mut request = Request::new(body);
        *request.method_mut() = ask.method.parse().expect("GET and POST are methods");
        let uri = ask.path.parse();
        *request.uri_mut() =
            uri.map_err(|_| Failure::usage("what is asked for makes no address"))?;
        let headers = request.headers_mut();
        let host = HeaderValue::from_str(&host).expect("an address is plain text");
        headers.insert(HOST, host);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(ask.content_type));
        if let Some(bearer) = self.bearer()? {
            headers.insert(AUTHORIZATION, bearer);
        }
        let answered = sender.send_request(request).await;
        answered.map_err(|error| self.trouble(&error))
    }

    fn bearer(&self) -> Result<Option<HeaderValue>, Failure> {
        const SECRET_BYTES_MAX: usize = 4 * 1024;
        let (Some(path), None) = (&self.secret_file, &self.socket) else {
            return Ok(None);
        };
        let secret = files::read(path, SECRET_BYTES_MAX)?;
        let mut bearer = Zeroizing::new(b"Bearer ".to_vec());
        bearer.extend_from_slice(secret.trim_ascii());
        let bearer = HeaderValue::from_bytes(&bearer);
        let mut bearer = bearer.map_err(|_| Failure::file(path, "is no secret of one line"))?;
        bearer.set_sensitive(true);
        Ok(Some(bearer))
    }

    fn trouble(&self, what: &dyn std::fmt::Display) -> Failure {
        let place = match &self.socket {
            Some(path) => path.display().to_string(),
            None => self.admin.to_string(),
        };
        Failure::fault(format!("{place}: {what}"))
    }

    fn block_on<T>(&self, asking: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| Failure::fault(error.to_string()))?;
        runtime.block_on(asking)
    }
}

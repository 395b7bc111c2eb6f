//! JSON over HTTP/1.1 and HTTP/2 through hyper's own client connections: no pool, no redirects, nothing
//! between a worker and its stream.
#![forbid(unsafe_code)]

use super::crew::{Caller, work};
use super::stream::{Stream, authority};
use super::{DriveError, Island, Job};
use crate::answer::Answer;
use crate::corpus::Corpus;
use crate::options::{Endpoint, Transport, Wanted};
use crate::record::Record;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioExecutor;
use jotd::verdict::Reason;
use serde::Deserialize;
use std::borrow::Cow;

/// Drives this thread's connections until the time is over.
pub(super) async fn run(island: Island<'_>) -> Result<Record, DriveError> {
    let connected = connect(island.job, island.connections).await;
    let start = island.start.wait();
    let callers = connected?;
    work(island, start, callers).await
}

/// The bodies that answer some frames.
pub(super) async fn probe(job: &Job<'_>, frames: &[Vec<u32>]) -> Result<Vec<Vec<u8>>, DriveError> {
    let mut callers = connect(job, 1).await?;
    let caller = callers.first_mut().expect("one connection has a caller");
    let mut bodies = Vec::new();
    for frame in frames {
        bodies.push(caller.exchange(job.corpus, frame).await?.to_vec());
    }
    Ok(bodies)
}

async fn connect(job: &Job<'_>, connections: usize) -> Result<Vec<HttpCaller>, DriveError> {
    let mut callers = Vec::new();
    for _ in 0..connections {
        let stream = Stream::connect(job.endpoint).await?;
        let failed = DriveError::of::<hyper::Error>("the HTTP handshake");
        let template = Template::new(job.endpoint, job.frame_tokens, job.want)?;
        // A connection that ends early shows in the next request on it.
        if job.transport == Transport::H1 {
            let (sender, connection) = http1::handshake(stream).await.map_err(failed)?;
            tokio::spawn(connection);
            callers.push(HttpCaller {
                sender: Sender::H1(sender),
                template,
            });
            continue;
        }
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream)
            .await
            .map_err(failed)?;
        tokio::spawn(connection);
        callers.extend((0..job.in_flight).map(|_| HttpCaller {
            sender: Sender::H2(sender.clone()),
            template: template.clone(),
        }));
    }
    Ok(callers)
}

/// A stream of an HTTP/2 connection, or a whole HTTP/1.1 connection.
struct HttpCaller {
    sender: Sender,
    template: Template,
}

enum Sender {
    H1(http1::SendRequest<Full<Bytes>>),
    H2(http2::SendRequest<Full<Bytes>>),
}

impl Sender {
    async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::H1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::H2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }
}

impl HttpCaller {
    /// Asks about one frame, and returns the answer's body.
    async fn exchange(&mut self, corpus: &Corpus, tokens: &[u32]) -> Result<Bytes, DriveError> {
        let request = self.template.request(corpus, tokens);
        let response = self
            .sender
            .send(request)
            .await
            .map_err(DriveError::of("asking"))?;
        let status = response.status();
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(DriveError::of("reading an answer"))?
            .to_bytes();
        // An undecided verdict travels with 503 (docs/protocol.md); anything else is no verdict.
        if status != StatusCode::OK && status != StatusCode::SERVICE_UNAVAILABLE {
            return Err(DriveError::new(
                "asking",
                format!("the server answered {status}"),
            ));
        }
        Ok(body)
    }
}

impl Caller for HttpCaller {
    async fn ask(
        &mut self,
        corpus: &Corpus,
        tokens: &[u32],
        answers: &mut Vec<Answer>,
    ) -> Result<(), DriveError> {
        let body = self.exchange(corpus, tokens).await?;
        read_answers(&body, self.template.batch, answers)
    }
}

/// Everything of a request but its tokens.
#[derive(Clone)]
struct Template {
    uri: Uri,
    host: HeaderValue,
    batch: bool,
    tail: &'static str,
}

impl Template {
    fn new(endpoint: &Endpoint, frame_tokens: usize, want: Wanted) -> Result<Self, DriveError> {
        let batch = frame_tokens > 1;
        let path = if batch {
            "/v1/verify/batch"
        } else {
            "/v1/verify"
        };
        let authority = authority(endpoint);
        Ok(Self {
            uri: format!("http://{authority}{path}")
                .parse()
                .map_err(DriveError::of("naming the server"))?,
            host: authority
                .parse()
                .map_err(DriveError::of("naming the server"))?,
            batch,
            tail: match want {
                Wanted::Verdict => "}",
                Wanted::Claims => r#","want":["claims"]}"#,
            },
        })
    }

    fn request(&self, corpus: &Corpus, tokens: &[u32]) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body(corpus, tokens)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request
    }

    /// The body. Tokens, the garbage among them too, are minted without a character that JSON would
    /// escape, so they go in as they are.
    fn body(&self, corpus: &Corpus, tokens: &[u32]) -> Bytes {
        let (open, close) = if self.batch {
            (r#"{"tokens":["#, "]")
        } else {
            (r#"{"token":"#, "")
        };
        let token_bytes: usize = tokens.iter().map(|&t| corpus.token(t).len() + 3).sum();
        let mut body = Vec::with_capacity(open.len() + token_bytes + close.len() + self.tail.len());
        body.extend_from_slice(open.as_bytes());
        for (index, &token) in tokens.iter().enumerate() {
            body.extend_from_slice(if index > 0 { b",\"" } else { b"\"" });
            body.extend_from_slice(corpus.token(token));
            body.push(b'"');
        }
        body.extend_from_slice(close.as_bytes());
        body.extend_from_slice(self.tail.as_bytes());
        body.into()
    }
}

/// A verdict as `docs/protocol.md` prints it, as far as it is checked.
#[derive(Deserialize)]
struct JsonVerdict<'b> {
    valid: Option<bool>,
    #[serde(borrow)]
    reason: Option<Cow<'b, str>>,
    #[serde(default)]
    cached: bool,
}

#[derive(Deserialize)]
struct JsonBatch<'b> {
    #[serde(borrow)]
    results: Vec<JsonVerdict<'b>>,
}

fn read_answers(body: &[u8], batch: bool, answers: &mut Vec<Answer>) -> Result<(), DriveError> {
    let failed = DriveError::of::<serde_json::Error>("reading an answer");
    if batch {
        let batch: JsonBatch<'_> = serde_json::from_slice(body).map_err(failed)?;
        answers.extend(batch.results.iter().map(JsonVerdict::answer));
    } else {
        let verdict: JsonVerdict<'_> = serde_json::from_slice(body).map_err(failed)?;
        answers.push(verdict.answer());
    }
    Ok(())
}

impl JsonVerdict<'_> {
    fn answer(&self) -> Answer {
        let reason = self.reason.as_deref();
        match (self.valid, reason) {
            (Some(true), None) => Answer::Valid {
                cached: self.cached,
            },
            (Some(false), Some(name)) => Reason::ALL
                .into_iter()
                .find(|reason| reason.name() == name)
                .map_or(Answer::Unknown, Answer::Invalid),
            (None, Some("unavailable")) => Answer::Unavailable,
            _ => Answer::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mix::Class;

    fn answers(body: &str, batch: bool) -> Result<Vec<Answer>, String> {
        let mut answers = Vec::new();
        read_answers(body.as_bytes(), batch, &mut answers)
            .map(|()| answers)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn verdicts_are_read_and_nothing_else_is_taken_for_one() {
        let valid =
            r#"{"valid":true,"issuer":"a","claims":{"cached":true,"reason":"x"},"cached":false}"#;
        assert_eq!(
            answers(valid, false),
            Ok(vec![Answer::Valid { cached: false }])
        );
        let expired = r#"{"valid":false,"reason":"expired","detail":"x","expired_at":1}"#;
        assert_eq!(
            answers(expired, false),
            Ok(vec![Answer::Invalid(Reason::Expired)])
        );
        let undecided = r#"{"valid":null,"reason":"unavailable","cause":"overloaded"}"#;
        assert_eq!(answers(undecided, false), Ok(vec![Answer::Unavailable]));
        for contradiction in [
            r#"{"valid":true,"reason":"expired"}"#,
            r#"{"valid":false}"#,
            r#"{"valid":false,"reason":"bored"}"#,
            r#"{"valid":null}"#,
            r#"{"error":"not a request"}"#,
        ] {
            assert_eq!(
                answers(contradiction, false),
                Ok(vec![Answer::Unknown]),
                "{contradiction}"
            );
        }
        for broken in ["", "valid", r#"{"valid":1}"#] {
            assert!(answers(broken, false).is_err(), "{broken}");
        }
        let batch = format!(r#"{{"results":[{valid},{expired}]}}"#);
        assert_eq!(answers(&batch, true).map(|answers| answers.len()), Ok(2));
        assert!(answers(valid, true).is_err());
    }

    #[test]
    fn bodies_are_the_contract_s() {
        let mut corpus = Corpus::default();
        let tokens = [
            corpus.push(Class::Good, b"a.b.c"),
            corpus.push(Class::Good, b"d"),
        ];
        let endpoint = Endpoint::Tcp("127.0.0.1:1".to_owned());
        let body = |frame_tokens, want, tokens: &[u32]| {
            let template = Template::new(&endpoint, frame_tokens, want).expect("a plain URL");
            (
                template.uri.path().to_owned(),
                template.body(&corpus, tokens),
            )
        };
        let (path, one) = body(1, Wanted::Claims, &tokens[..1]);
        assert_eq!(path, "/v1/verify");
        assert_eq!(one, &br#"{"token":"a.b.c","want":["claims"]}"#[..]);
        let (path, two) = body(2, Wanted::Verdict, &tokens);
        assert_eq!(path, "/v1/verify/batch");
        assert_eq!(two, &br#"{"tokens":["a.b.c","d"]}"#[..]);
    }
}

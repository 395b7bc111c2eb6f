//! `jotd.v1.Verifier` through tonic's generated client, straight on a hyper HTTP/2 connection: tonic's
//! channel would add a queue and a task between a worker and its stream.
#![forbid(unsafe_code)]

use super::crew::{Caller, work};
use super::stream::{Stream, authority};
use super::{DriveError, Island, Job};
use crate::answer::Answer;
use crate::corpus::Corpus;
use crate::options::{GrpcCall, Wanted};
use crate::record::Record;
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::TokioExecutor;
use jotd::transport::grpc::v1::verdict::Outcome;
use jotd::transport::grpc::v1::verifier_client::VerifierClient;
use jotd::transport::grpc::v1::{
    Verdict, VerifyBatchRequest, VerifyBatchResponse, VerifyRequest, VerifyResponse,
    VerifyStreamRequest, VerifyStreamResponse,
};
use jotd::verdict::Reason;
use prost::Message as _;
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::sync::{mpsc, oneshot};
use tonic::Streaming;
use tower_service::Service;

/// Drives this thread's connections until the time is over.
pub(super) async fn run(island: Island<'_>) -> Result<Record, DriveError> {
    // Streams are read by tasks of this thread that share its memory without locks.
    tokio::task::LocalSet::new()
        .run_until(async {
            let connected = connect(island.job, island.connections).await;
            let start = island.start.wait();
            let callers = connected?;
            work(island, start, callers).await
        })
        .await
}

/// The messages that answer some frames.
pub(super) async fn probe(job: &Job<'_>, frames: &[Vec<u32>]) -> Result<Vec<Vec<u8>>, DriveError> {
    if job.grpc_call == GrpcCall::Stream {
        return Err(DriveError::new(
            "asking",
            "the echo does not speak gRPC streams",
        ));
    }
    let mut callers = connect(job, 1).await?;
    let caller = callers.first_mut().expect("one connection has a caller");
    let mut messages = Vec::new();
    for frame in frames {
        messages.push(match caller.way {
            Way::Unary => caller.verify(job.corpus, frame).await?.encode_to_vec(),
            _ => caller
                .verify_batch(job.corpus, frame)
                .await?
                .encode_to_vec(),
        });
    }
    Ok(messages)
}

async fn connect(job: &Job<'_>, connections: usize) -> Result<Vec<GrpcCaller>, DriveError> {
    let origin: Uri = format!("http://{}", authority(job.endpoint))
        .parse()
        .map_err(DriveError::of("naming the server"))?;
    let want = match job.want {
        Wanted::Verdict => Vec::new(),
        Wanted::Claims => vec!["claims".to_owned()],
    };
    let mut callers = Vec::new();
    for _ in 0..connections {
        let stream = Stream::connect(job.endpoint).await?;
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream)
            .await
            .map_err(DriveError::of("the HTTP handshake"))?;
        tokio::spawn(connection);
        let mut client = VerifierClient::with_origin(Direct(sender), origin.clone())
            .max_decoding_message_size(usize::MAX);
        let shared = match job.grpc_call {
            GrpcCall::Stream => Some(Rc::new(SharedStream::open(&mut client).await?)),
            GrpcCall::Unary | GrpcCall::Batch => None,
        };
        callers.extend((0..job.in_flight).map(|_| GrpcCaller {
            client: client.clone(),
            want: want.clone(),
            way: match &shared {
                Some(stream) => Way::Stream(Rc::clone(stream)),
                None if job.grpc_call == GrpcCall::Unary => Way::Unary,
                None => Way::Batch,
            },
        }));
    }
    Ok(callers)
}

struct GrpcCaller {
    client: VerifierClient<Direct>,
    want: Vec<String>,
    way: Way,
}

enum Way {
    Unary,
    Batch,
    Stream(Rc<SharedStream>),
}

impl GrpcCaller {
    async fn verify(
        &mut self,
        corpus: &Corpus,
        tokens: &[u32],
    ) -> Result<VerifyResponse, DriveError> {
        let request = VerifyRequest {
            token: texts(corpus, tokens).next().unwrap_or_default(),
            policy: String::new(),
            want: self.want.clone(),
            min_revision: 0,
        };
        let response = self.client.verify(request).await;
        response.map(tonic::Response::into_inner).map_err(refused)
    }

    async fn verify_batch(
        &mut self,
        corpus: &Corpus,
        tokens: &[u32],
    ) -> Result<VerifyBatchResponse, DriveError> {
        let request = VerifyBatchRequest {
            tokens: texts(corpus, tokens).collect(),
            policy: String::new(),
            want: self.want.clone(),
            min_revision: 0,
        };
        let response = self.client.verify_batch(request).await;
        response.map(tonic::Response::into_inner).map_err(refused)
    }
}

impl Caller for GrpcCaller {
    async fn ask(
        &mut self,
        corpus: &Corpus,
        tokens: &[u32],
        answers: &mut Vec<Answer>,
    ) -> Result<(), DriveError> {
        match &self.way {
            Way::Unary => {
                let response = self.verify(corpus, tokens).await?;
                answers.extend(response.verdict.as_ref().map(answer));
            }
            Way::Batch => {
                let response = self.verify_batch(corpus, tokens).await?;
                answers.extend(response.results.iter().map(answer));
            }
            Way::Stream(stream) => {
                let request = VerifyStreamRequest {
                    id: 0,
                    tokens: texts(corpus, tokens).collect(),
                    policy: String::new(),
                    want: self.want.clone(),
                    min_revision: 0,
                };
                let response = stream.ask(request).await?;
                if let Some(error) = response.error {
                    return Err(DriveError::new("asking", error.error));
                }
                answers.extend(response.results.iter().map(answer));
            }
        }
        Ok(())
    }
}

fn refused(status: tonic::Status) -> DriveError {
    DriveError::new(
        "asking",
        format!(
            "the server answered {}: {}",
            status.code(),
            status.message()
        ),
    )
}

/// Tokens are minted in ASCII, the garbage among them too.
fn texts(corpus: &Corpus, tokens: &[u32]) -> impl Iterator<Item = String> {
    tokens
        .iter()
        .map(|&token| String::from_utf8_lossy(corpus.token(token)).into_owned())
}

fn answer(verdict: &Verdict) -> Answer {
    match &verdict.outcome {
        Some(Outcome::Valid(valid)) => Answer::Valid {
            cached: valid.cached,
        },
        Some(Outcome::Invalid(invalid)) => u8::try_from(invalid.reason)
            .ok()
            .and_then(Reason::from_code)
            .map_or(Answer::Unknown, Answer::Invalid),
        Some(Outcome::Unavailable(_)) => Answer::Unavailable,
        None => Answer::Unknown,
    }
}

/// One `VerifyStream` call that the workers of a connection share.
struct SharedStream {
    questions: mpsc::UnboundedSender<VerifyStreamRequest>,
    waiting: Rc<RefCell<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    next_id: u64,
    by_id: HashMap<u64, oneshot::Sender<VerifyStreamResponse>>,
}

impl SharedStream {
    async fn open(client: &mut VerifierClient<Direct>) -> Result<Self, DriveError> {
        let (questions, receiver) = mpsc::unbounded_channel();
        let answers = client
            .verify_stream(Questions(receiver))
            .await
            .map_err(DriveError::of("opening a stream"))?
            .into_inner();
        let waiting = Rc::new(RefCell::new(Waiting::default()));
        tokio::task::spawn_local(deliver(answers, Rc::clone(&waiting)));
        Ok(Self { questions, waiting })
    }

    async fn ask(&self, question: VerifyStreamRequest) -> Result<VerifyStreamResponse, DriveError> {
        let (sender, receiver) = oneshot::channel();
        let id = {
            let mut waiting = self.waiting.borrow_mut();
            waiting.next_id += 1;
            let id = waiting.next_id;
            waiting.by_id.insert(id, sender);
            id
        };
        let ended = || DriveError::new("asking", "the server ended the stream");
        self.questions
            .send(VerifyStreamRequest { id, ..question })
            .map_err(|_| ended())?;
        receiver.await.map_err(|_| ended())
    }
}

/// Hands each answer to whoever asked. When the stream ends, everybody still waiting is let go.
async fn deliver(mut answers: Streaming<VerifyStreamResponse>, waiting: Rc<RefCell<Waiting>>) {
    while let Ok(Some(answer)) = answers.message().await {
        let asked = waiting.borrow_mut().by_id.remove(&answer.id);
        if let Some(sender) = asked {
            // Whoever stopped waiting does not want it.
            let _ = sender.send(answer);
        }
    }
    waiting.borrow_mut().by_id.clear();
}

/// The questions of a stream, as they are asked.
struct Questions(mpsc::UnboundedReceiver<VerifyStreamRequest>);

impl futures_util::Stream for Questions {
    type Item = VerifyStreamRequest;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

/// A hyper connection as the service that tonic's client calls.
#[derive(Clone)]
struct Direct(SendRequest<tonic::body::Body>);

impl Service<Request<tonic::body::Body>> for Direct {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = hyper::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

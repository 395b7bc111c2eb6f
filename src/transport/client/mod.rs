//! A client of the binary protocol: for `jotd health`, the load test, the tests, and services in Rust.
//!
//! [`Client`] is a handle that many tasks may share: each call gets its own request id, calls are
//! pipelined, and answers find their callers in whatever order they come. It never sends more than the
//! daemon gave credits for. Who wants to drive raw frames takes [`handshake`] and [`super::wire`].
#![forbid(unsafe_code)]

use super::wire::{
    Ask, BadBytes, FEATURES, FaultReport, FrameKind, Framing, Head, Hello, RemoteVerdict, TooLong,
    Verdicts, encode_bare, next_frame,
};
use crate::limits::FRAME_BYTES_MAX;
use crate::verify::Want;
use bytes::BytesMut;
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;

/// Bytes gathered from several callers into one write.
const WRITE_BYTES_MAX: usize = 256 * 1024;

/// Why a call has no verdicts.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClientError {
    /// The socket failed.
    #[error("the socket failed: {0}")]
    Socket(#[from] Arc<io::Error>),
    /// The daemon closed the connection before it answered.
    #[error("the daemon closed the connection")]
    Closed,
    /// The daemon said no.
    #[error("the daemon refused: {0}")]
    Refused(FaultReport),
    /// What came is not this protocol.
    #[error("the answer is not of this protocol: {0}")]
    BadBytes(#[from] BadBytes),
    /// The question does not fit a frame.
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        Self::Socket(Arc::new(error))
    }
}

/// What a call may ask for besides verdicts.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallOptions<'a> {
    /// The request policy; `None` for the peer's own.
    pub policy: Option<&'a str>,
    /// How long to wait for the verdicts, in milliseconds; 0 for the daemon's default.
    pub deadline_ms: u32,
    /// The `traceparent` of W3C Trace Context.
    pub traceparent: Option<&'a str>,
    /// The revocation revision that the verdicts must know; 0 for none. Until the daemon does, it answers
    /// `unavailable/revocation_stale`.
    pub min_revision: u64,
}

/// A connection to the daemon. Clones share it; the last one closes it.
#[derive(Clone, Debug)]
pub struct Client(Arc<Connection>);

#[derive(Debug)]
struct Connection {
    terms: Hello,
    frames: mpsc::UnboundedSender<Vec<u8>>,
    credits: Arc<Semaphore>,
    next_request_id: AtomicU64,
    shared: Arc<Shared>,
    reader: AbortHandle,
}

/// What callers and the reading task share.
#[derive(Debug, Default)]
struct Shared(Mutex<Pending>);

#[derive(Debug, Default)]
struct Pending {
    callers: HashMap<u64, Caller>,
    /// Set once, when the connection ends.
    over: Option<ClientError>,
    going_away: bool,
}

/// Who waits for an answer. It holds its credit until the daemon has answered, even if it gives up.
#[derive(Debug)]
struct Caller {
    answer: oneshot::Sender<Result<Reply, ClientError>>,
    _credit: OwnedSemaphorePermit,
}

#[derive(Debug)]
enum Reply {
    Verdicts(Vec<RemoteVerdict>),
    Pong,
}

/// Says hello with these wishes and returns what the daemon granted. Whatever it sent after its hello is
/// left in `buffer`.
///
/// # Errors
/// [`ClientError`]; a daemon that refuses the connection says so here.
pub async fn handshake(
    stream: &mut UnixStream,
    wishes: Hello,
    buffer: &mut BytesMut,
) -> Result<Hello, ClientError> {
    let mut hello = Vec::new();
    wishes.encode(&mut hello);
    // A daemon that refuses may close before it reads; its reason is still there to be read.
    let sent = stream.write_all(&hello).await;
    let granted = loop {
        match Hello::decode(buffer) {
            Ok(Some((granted, bytes))) => {
                let _ = buffer.split_to(bytes);
                break granted;
            }
            Ok(None) => {}
            Err(_) => return Err(BadBytes("the peer does not say hello").into()),
        }
        if stream.read_buf(buffer).await? == 0 {
            sent?;
            return Err(ClientError::Closed);
        }
    };
    if granted.credits == 0 {
        // No credits, no connection: the reason follows.
        loop {
            if let Some(frame) = split_frame(buffer)? {
                return Err(ClientError::Refused(FaultReport::decode(&frame)?));
            }
            if stream.read_buf(buffer).await? == 0 {
                return Err(ClientError::Closed);
            }
        }
    }
    Ok(granted)
}

impl Client {
    /// Connects to the socket at `path`. Needs a tokio runtime, on which two small tasks will run.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn connect(path: impl AsRef<Path>) -> Result<Self, ClientError> {
        let wished = Hello {
            features: FEATURES,
            ..Hello::CLIENT
        };
        Self::over(UnixStream::connect(path).await?, wished).await
    }

    /// Speaks over an open stream, with these wishes.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn over(mut stream: UnixStream, wishes: Hello) -> Result<Self, ClientError> {
        let mut buffer = BytesMut::with_capacity(64 * 1024);
        let terms = handshake(&mut stream, wishes, &mut buffer).await?;
        let (from_daemon, to_daemon) = stream.into_split();
        let (frames, queued) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        tokio::spawn(write_frames(to_daemon, queued));
        let reader = tokio::spawn(read_frames(from_daemon, buffer, Arc::clone(&shared)));
        Ok(Self(Arc::new(Connection {
            terms,
            frames,
            credits: Arc::new(Semaphore::new(terms.credits as usize)),
            next_request_id: AtomicU64::new(1),
            shared,
            reader: reader.abort_handle(),
        })))
    }

    /// The limits the daemon granted.
    #[must_use]
    pub fn terms(&self) -> Hello {
        self.0.terms
    }

    /// Whether the daemon has said that it is going down: time to connect anew.
    #[must_use]
    pub fn is_going_away(&self) -> bool {
        self.0.shared.lock().going_away
    }

    /// Asks about tokens; one verdict each, in order.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn verify<T: AsRef<[u8]>>(
        &self,
        tokens: &[T],
        want: &Want,
    ) -> Result<Vec<RemoteVerdict>, ClientError> {
        self.verify_with(tokens, want, CallOptions::default()).await
    }

    /// Asks about tokens under these options.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn verify_with<T: AsRef<[u8]>>(
        &self,
        tokens: &[T],
        want: &Want,
        options: CallOptions<'_>,
    ) -> Result<Vec<RemoteVerdict>, ClientError> {
        let request_id = self.request_id();
        let ask = Ask {
            request_id,
            deadline_ms: options.deadline_ms,
            want: want.clone(),
            policy: options.policy,
            min_revision: options.min_revision,
            traceparent: options.traceparent,
        };
        let mut frame = Vec::new();
        ask.encode(tokens, self.0.terms.frame_bytes_max as usize, &mut frame)?;
        match self.call(request_id, frame).await? {
            Reply::Verdicts(verdicts) if verdicts.len() == tokens.len() => Ok(verdicts),
            _ => Err(BadBytes("another number of verdicts than of tokens").into()),
        }
    }

    /// Asks whether the daemon is there.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn ping(&self) -> Result<(), ClientError> {
        let request_id = self.request_id();
        let mut frame = Vec::new();
        encode_bare(&mut frame, FrameKind::Ping, request_id);
        self.call(request_id, frame).await.map(|_| ())
    }

    fn request_id(&self) -> u64 {
        self.0.next_request_id.fetch_add(1, Ordering::Relaxed)
    }

    async fn call(&self, request_id: u64, frame: Vec<u8>) -> Result<Reply, ClientError> {
        let credits = Arc::clone(&self.0.credits);
        let credit = credits
            .acquire_owned()
            .await
            .map_err(|_| ClientError::Closed)?;
        let answered = self.0.shared.expect(request_id, credit)?;
        if self.0.frames.send(frame).is_err() {
            // The writing task ends only with the connection, and the reading task knows why.
            tracing::trace!(request_id, "the connection ended before the question left");
        }
        answered.await.unwrap_or(Err(ClientError::Closed))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Shared {
    /// Registers a caller.
    fn expect(
        &self,
        request_id: u64,
        credit: OwnedSemaphorePermit,
    ) -> Result<oneshot::Receiver<Result<Reply, ClientError>>, ClientError> {
        let mut pending = self.lock();
        if let Some(over) = &pending.over {
            return Err(over.clone());
        }
        let (answer, receiver) = oneshot::channel();
        let caller = Caller {
            answer,
            _credit: credit,
        };
        pending.callers.insert(request_id, caller);
        Ok(receiver)
    }

    fn answer(&self, request_id: u64, answer: Result<Reply, ClientError>) {
        // A caller that gave up is no fault of the connection's.
        if let Some(caller) = self.lock().callers.remove(&request_id) {
            let _ = caller.answer.send(answer);
        }
    }

    fn end(&self, why: &ClientError) {
        let mut pending = self.lock();
        pending.over = Some(why.clone());
        for (_, caller) in pending.callers.drain() {
            let _ = caller.answer.send(Err(why.clone()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write_frames(mut to_daemon: OwnedWriteHalf, mut queued: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(mut bytes) = queued.recv().await {
        while bytes.len() < WRITE_BYTES_MAX
            && let Ok(more) = queued.try_recv()
        {
            bytes.extend_from_slice(&more);
        }
        // The reading task learns of a broken connection too, and tells the callers.
        if to_daemon.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn read_frames(mut from_daemon: OwnedReadHalf, mut buffer: BytesMut, shared: Arc<Shared>) {
    let why = loop {
        match read_some(&mut from_daemon, &mut buffer, &shared).await {
            Ok(()) => {}
            Err(why) => break why,
        }
    };
    shared.end(&why);
}

async fn read_some(
    from_daemon: &mut OwnedReadHalf,
    buffer: &mut BytesMut,
    shared: &Shared,
) -> Result<(), ClientError> {
    while let Some(frame) = split_frame(buffer)? {
        take_frame(&frame, shared)?;
    }
    if from_daemon.read_buf(buffer).await? == 0 {
        return Err(ClientError::Closed);
    }
    Ok(())
}

fn split_frame(buffer: &mut BytesMut) -> Result<Option<BytesMut>, ClientError> {
    match next_frame(buffer, FRAME_BYTES_MAX) {
        Ok(Framing::Complete(_, bytes)) => Ok(Some(buffer.split_to(bytes))),
        Ok(Framing::Incomplete(_)) => Ok(None),
        Err(_) => Err(BadBytes("a frame's length is out of bounds").into()),
    }
}

fn take_frame(frame: &[u8], shared: &Shared) -> Result<(), ClientError> {
    let head = Head::decode(frame).ok_or(BadBytes("a frame has no head"))?;
    match FrameKind::from_code(head.kind) {
        Some(FrameKind::Verdicts) => {
            let verdicts = Verdicts::decode(frame)?.to_remote()?;
            shared.answer(head.request_id, Ok(Reply::Verdicts(verdicts)));
        }
        Some(FrameKind::Pong) => shared.answer(head.request_id, Ok(Reply::Pong)),
        Some(FrameKind::Goaway) => shared.lock().going_away = true,
        Some(FrameKind::Error) => {
            let report = FaultReport::decode(frame)?;
            if report.closes {
                return Err(ClientError::Refused(report));
            }
            shared.answer(head.request_id, Err(ClientError::Refused(report)));
        }
        _ => return Err(BadBytes("a frame of a type the daemon does not send").into()),
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! Drives a server over one transport: connects, keeps frames in flight at the given pace, and holds
//! every answer against what it must be.
//!
//! The client must be cheaper than the server it measures, so each thread is its own island: pinned, with
//! its own connections, its own share of the fresh tokens and its own record, and no lock between them.
#![forbid(unsafe_code)]

mod crew;
mod grpc;
mod http;
mod stream;
mod uds;

use crate::corpus::Corpus;
use crate::cpu::CpuList;
use crate::mix::Picker;
use crate::options::{Endpoint, GrpcCall, Transport, Wanted};
use crate::pace::{Pace, Timetable};
use crate::record::Record;
use std::fmt;
use std::ops::Range;
use std::sync::{Barrier, OnceLock};
use std::time::{Duration, Instant};

/// What to drive, with what, and how hard.
pub(crate) struct Job<'a> {
    /// The tokens.
    pub(crate) corpus: &'a Corpus,
    /// The way in.
    pub(crate) transport: Transport,
    /// Where it is.
    pub(crate) endpoint: &'a Endpoint,
    /// How gRPC is called.
    pub(crate) grpc_call: GrpcCall,
    /// What the answers carry.
    pub(crate) want: Wanted,
    /// Tokens in a frame.
    pub(crate) frame_tokens: usize,
    /// Open connections, over all threads.
    pub(crate) connections: usize,
    /// Frames in flight on one connection.
    pub(crate) in_flight: usize,
    /// Closed or open loop.
    pub(crate) pace: Pace,
    /// How long frames are sent.
    pub(crate) duration: Duration,
    /// Where the client's threads run.
    pub(crate) cpus: &'a CpuList,
    /// Whether the server sends frames back as they came, instead of verdicts (Unix socket only).
    pub(crate) echoes_frames: bool,
    /// Seed of an open loop's timetable.
    pub(crate) seed: u64,
}

/// Where a thread's tokens come from.
#[derive(Clone)]
pub(crate) enum Feed {
    /// A mix, until the fresh tokens run out.
    Mix(Picker),
    /// Each of these once, to make them known to the server.
    Once(Range<u32>),
}

/// Why a run could not go on. Names the transport's fault, never what was sent.
#[derive(Debug)]
pub(crate) struct DriveError {
    doing: &'static str,
    cause: String,
}

/// How long after the last frame answers are still waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What one thread needs besides the job.
struct Island<'a> {
    job: &'a Job<'a>,
    feed: &'a mut Feed,
    timetable: Option<Timetable>,
    connections: usize,
    start: &'a Start,
}

/// The moment at which all threads begin, once all are connected.
struct Start {
    barrier: Barrier,
    moment: OnceLock<Instant>,
}

/// Drives a server with one thread a feed, and returns what they saw together.
///
/// # Errors
/// [`DriveError`] where a connection fails or the server breaks the protocol: the figures of such a run
/// would mean nothing.
pub(crate) fn drive(job: &Job<'_>, feeds: &mut [Feed]) -> Result<Record, DriveError> {
    let threads = feeds.len().min(job.connections).max(1);
    let start = Start {
        barrier: Barrier::new(threads),
        moment: OnceLock::new(),
    };
    let records: Vec<Result<Record, DriveError>> = std::thread::scope(|scope| {
        let handles: Vec<_> = feeds
            .iter_mut()
            .take(threads)
            .enumerate()
            .map(|(index, feed)| {
                let island = Island {
                    job,
                    feed,
                    timetable: job
                        .pace
                        .timetable(job.frame_tokens, index, threads, job.seed),
                    connections: share_of(job.connections, index, threads),
                    start: &start,
                };
                scope.spawn(move || island.run(index))
            })
            .collect();
        handles
            .into_iter()
            .map(|handle| match handle.join() {
                Ok(record) => record,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    });
    let mut all = Record::new();
    for record in records {
        all.join(&record?);
    }
    Ok(all)
}

/// An answer as the server sends it, byte for byte, for the echo to repeat. Of several frames' answers, the
/// one of middling length.
///
/// # Errors
/// As [`drive`]; also for gRPC streams, which the echo does not speak.
pub(crate) fn probe(job: &Job<'_>, feed: &mut Feed) -> Result<Vec<u8>, DriveError> {
    const FRAMES: usize = 15;
    let mut frames = Vec::new();
    for _ in 0..FRAMES {
        let mut frame = Vec::new();
        if feed.fill(job.frame_tokens, &mut frame) {
            frames.push(frame);
        }
    }
    let mut replies = match job.transport {
        Transport::Uds => uds::probe(job, &frames)?,
        Transport::H1 | Transport::H2 => on_one_thread(http::probe(job, &frames))?,
        Transport::Grpc => on_one_thread(grpc::probe(job, &frames))?,
    };
    replies.sort_by_key(Vec::len);
    let middle = replies.len() / 2;
    if replies.is_empty() {
        return Err(DriveError::new(
            "asking",
            "there are no tokens to ask about",
        ));
    }
    Ok(replies.swap_remove(middle))
}

impl Island<'_> {
    fn run(self, index: usize) -> Result<Record, DriveError> {
        if let Some(cpu) = self.job.cpus.nth(index) {
            // A CPU outside what the process may use leaves the thread where it is.
            let _ = core_affinity::set_for_current(core_affinity::CoreId { id: cpu });
        }
        // The default slack of 50 µs would show in every latency of an open loop.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
        match self.job.transport {
            Transport::Uds => uds::run(self),
            Transport::H1 | Transport::H2 => on_one_thread(http::run(self)),
            Transport::Grpc => on_one_thread(grpc::run(self)),
        }
    }
}

impl Start {
    /// Waits until every thread has connected, or has failed to.
    fn wait(&self) -> Instant {
        self.barrier.wait();
        *self.moment.get_or_init(Instant::now)
    }
}

impl Feed {
    /// The same tokens to come, but only one part in `parts` of the fresh ones.
    pub(crate) fn lend(&self, parts: u32) -> Self {
        match self {
            Self::Mix(picker) => Self::Mix(picker.lend(parts)),
            Self::Once(range) => Self::Once(range.clone()),
        }
    }

    /// Goes on where the span ended that this was lent to.
    pub(crate) fn resume(&mut self, lent: Self) {
        match (self, lent) {
            (Self::Mix(picker), Self::Mix(lent)) => picker.resume(lent),
            (feed, lent) => *feed = lent,
        }
    }

    /// The same tokens to come, for a server that remembers nothing.
    pub(crate) fn recycling(&self) -> Self {
        match self {
            Self::Mix(picker) => Self::Mix(picker.clone().recycling()),
            Self::Once(range) => Self::Once(range.clone()),
        }
    }

    /// Puts the next frame's tokens into `frame`. False when there are no more.
    fn fill(&mut self, count: usize, frame: &mut Vec<u32>) -> bool {
        match self {
            Self::Mix(picker) => picker.fill(count, frame),
            Self::Once(range) => {
                frame.clear();
                frame.extend(range.by_ref().take(count));
                !frame.is_empty()
            }
        }
    }
}

/// How many of `all` fall to the `index`th of `of`: every one of them falls to somebody.
fn share_of(all: usize, index: usize, of: usize) -> usize {
    all * (index + 1) / of - all * index / of
}

fn on_one_thread<T>(driving: impl Future<Output = Result<T, DriveError>>) -> Result<T, DriveError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(DriveError::of("starting a runtime"))?
        .block_on(driving)
}

impl DriveError {
    /// Wraps what went wrong while `doing` something.
    fn of<E: fmt::Display>(doing: &'static str) -> impl FnOnce(E) -> Self {
        move |cause| Self {
            doing,
            cause: cause.to_string(),
        }
    }

    fn new(doing: &'static str, cause: impl Into<String>) -> Self {
        Self {
            doing,
            cause: cause.into(),
        }
    }
}

impl fmt::Display for DriveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, self.cause)
    }
}

impl std::error::Error for DriveError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connection_falls_to_exactly_one_thread() {
        for all in 1..20 {
            for of in 1..=all {
                let shares: Vec<usize> = (0..of).map(|index| share_of(all, index, of)).collect();
                assert_eq!(shares.iter().sum::<usize>(), all);
                assert!(shares.iter().all(|&share| share >= 1), "{shares:?}");
            }
        }
    }

    #[test]
    fn a_feed_of_each_token_once_ends_with_a_shorter_frame() {
        let mut feed = Feed::Once(0..5);
        let mut frame = Vec::new();
        assert!(feed.fill(4, &mut frame) && frame == [0, 1, 2, 3]);
        assert!(feed.fill(4, &mut frame) && frame == [4]);
        assert!(!feed.fill(4, &mut frame));
    }
}

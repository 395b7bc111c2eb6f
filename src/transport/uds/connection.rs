//! One connection of the binary protocol: a single task that reads, asks, and answers.
//!
//! Every whole frame that a read brought is answered, as far as the engine can at once, before anything is
//! written, so a busy connection pays two system calls for many frames. Reading stops while the peer owes
//! us attention: too much unanswered, or too much unread. Memory is bounded whatever the peer does.
#![forbid(unsafe_code)]

use super::super::peers::{Admission, PolicyRefused};
use super::super::tally::Tally;
use super::super::wire::{
    self, Ask, FEATURES, Fault, FaultCode, FrameKind, Framing, Head, Hello, Standing, VERSION,
};
use super::super::{Context, Limits};
use super::refusal::discard_unread;
use super::{READ_BYTES_MIN, count_fault};
use crate::clock::{self, Now};
use crate::engine::Call;
use crate::limits::{FRAME_BYTES_MAX, FRAME_TOKENS_MAX};
use crate::verdict::Verdict;
use bytes::{Bytes, BytesMut};
use std::pin::{Pin, pin};
use std::task::{self, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::{Sleep, sleep};

/// Most that is read at once: a little more than a Unix socket holds by default.
const READ_BYTES_MAX: usize = 256 * 1024;

/// Reading pauses while more than this waits to be written.
const UNREAD_BYTES_MAX: usize = 1024 * 1024;

/// Reading pauses while questions of more than this are with the engine. A frame always fits.
const UNANSWERED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What an answer takes besides what its question took: a record, a signer, a line of detail.
const ANSWER_BYTES_PER_TOKEN: usize = 256;

/// Frames and reads after which other connections of this thread get their turn.
const FRAMES_PER_TURN: usize = 64;
const READS_PER_TURN: usize = 4;

/// Reads after GOAWAY; a peer that keeps asking does not keep the daemon up.
const FAREWELL_READS: u32 = 64;

/// Output buffers that have grown beyond this are given back once they are empty.
const OUTPUT_KEPT_BYTES: usize = 256 * 1024;

/// The longest deadline a client may ask for: what it asks is kept in memory until then.
const DEADLINE_MAX: Duration = Duration::from_secs(60);

const _: () = assert!(FRAME_BYTES_MAX < UNANSWERED_BYTES_MAX);

/// Serves one connection until it ends. `input` holds what was read to find out what it speaks.
pub(super) async fn run(
    stream: UnixStream,
    input: BytesMut,
    admission: &Admission,
    context: &Context,
) {
    let mut shutdown = context.shutdown.clone();
    let mut shutdown = pin!(shutdown.begun());
    let mut timer = pin!(Timer::new());
    let mut connection = Connection::new(stream, input, admission, context);
    std::future::poll_fn(|cx| {
        if !connection.shutting_down {
            connection.shutting_down = shutdown.as_mut().poll(cx).is_ready();
        }
        connection.poll(cx, timer.as_mut())
    })
    .await;
    if connection.ending == Ending::Faulted {
        discard_unread(&connection.stream);
    }
}

struct Connection<'c> {
    stream: UnixStream,
    admission: &'c Admission,
    context: &'c Context,
    tally: Tally,

    input: BytesMut,
    /// Bytes the frame at the front of `input` needs in all, as far as that is known.
    frame_bytes: usize,
    /// How much to make room for; follows what the peer sends.
    read_bytes: usize,

    output: Vec<u8>,
    written: usize,

    /// What the two hellos agreed on; `None` before.
    terms: Option<Terms>,
    answers: mpsc::UnboundedReceiver<Answer>,
    answer_sender: mpsc::UnboundedSender<Answer>,
    /// Questions with the engine, and their charge in bytes.
    in_flight: u32,
    unanswered_bytes: usize,

    ending: Ending,
    shutting_down: bool,
    /// Reads left after GOAWAY to tell questions that crossed it on the way that they were not taken.
    farewell_reads: u32,
    /// When the unfinished frame or hello began, as time since boot.
    incomplete_since: Option<Duration>,
    /// When the peer last stopped taking output.
    stuck_since: Option<Duration>,
}

#[derive(Clone, Copy)]
struct Terms {
    frame_bytes_max: usize,
    frame_tokens_max: usize,
    credits: u32,
    /// The largest frame the client takes.
    answer_bytes_max: usize,
}

/// How far the connection is from its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// It goes on.
    Open,
    /// GOAWAY was sent: what was taken is answered, nothing more is taken.
    GoingAway,
    /// The peer will send no more: what was taken is answered.
    HalfClosed,
    /// The peer broke a rule: what is in the output goes out, and that is all.
    Faulted,
}

/// What the engine said, on its way back to the connection's task.
struct Answer {
    request_id: u64,
    verdicts: Vec<Verdict>,
    charge_bytes: usize,
}

impl<'c> Connection<'c> {
    fn new(
        stream: UnixStream,
        input: BytesMut,
        admission: &'c Admission,
        context: &'c Context,
    ) -> Self {
        let (answer_sender, answers) = mpsc::unbounded_channel();
        Self {
            stream,
            admission,
            context,
            tally: Tally::new(context.metrics.clone(), "uds"),
            input,
            frame_bytes: wire::HELLO_BYTES,
            read_bytes: READ_BYTES_MIN,
            output: Vec::new(),
            written: 0,
            terms: None,
            answers,
            answer_sender,
            in_flight: 0,
            unanswered_bytes: 0,
            ending: Ending::Open,
            shutting_down: false,
            farewell_reads: FAREWELL_READS,
            incomplete_since: None,
            stuck_since: None,
        }
    }

    /// Does all that can be done now.
    fn poll(&mut self, cx: &mut task::Context<'_>, mut timer: Pin<&mut Timer>) -> Poll<()> {
        for _ in 0..READS_PER_TURN {
            let all_taken = self.take_frames();
            // After the frames, so that whatever is in flight now will wake this task.
            self.take_answers(cx);
            if self.shutting_down && self.ending == Ending::Open {
                self.go_away();
            }
            if self.flush(cx).is_err() || self.is_done(all_taken) {
                return Poll::Ready(());
            }
            if !all_taken && self.may_take() {
                break;
            }
            let nothing_came = !self.may_read() || self.read(cx).is_pending();
            if nothing_came {
                if self.ending == Ending::GoingAway && self.is_settled() {
                    return Poll::Ready(());
                }
                return self.wait(cx, timer.as_mut());
            }
        }
        // There is more to do, but others wait too.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn take_answers(&mut self, cx: &mut task::Context<'_>) {
        while self.in_flight > 0 {
            let Poll::Ready(Some(answer)) = self.answers.poll_recv(cx) else {
                return;
            };
            self.in_flight -= 1;
            self.unanswered_bytes -= answer.charge_bytes;
            self.answer(answer.request_id, &answer.verdicts);
        }
    }

    /// Takes whole frames from the input; false if it stopped before they ran out.
    fn take_frames(&mut self) -> bool {
        // One reading of the clock serves all that arrived together.
        let mut now = None;
        for _ in 0..FRAMES_PER_TURN {
            if !self.may_take() {
                // While we make the peer wait, it is not the peer that is slow.
                self.incomplete_since = None;
                return self.ending == Ending::Faulted;
            }
            match self.take_frame(&mut now) {
                Ok(true) => self.incomplete_since = None,
                Ok(false) => {
                    if self.input.is_empty() && self.terms.is_some() {
                        self.incomplete_since = None;
                    } else {
                        self.incomplete_since.get_or_insert_with(clock::since_boot);
                    }
                    return true;
                }
                Err(fault) => {
                    self.fail(fault);
                    return true;
                }
            }
        }
        false
    }

    /// Takes one frame, if there is a whole one.
    fn take_frame(&mut self, now: &mut Option<Now>) -> Result<bool, Fault> {
        let Some(terms) = self.terms else {
            return self.take_hello();
        };
        match wire::next_frame(&self.input, terms.frame_bytes_max)? {
            Framing::Incomplete(frame_bytes) => {
                self.frame_bytes = frame_bytes;
                Ok(false)
            }
            Framing::Complete(head, frame_bytes) => {
                let frame = self.input.split_to(frame_bytes).freeze();
                if frame_bytes > READ_BYTES_MAX {
                    // An exceptional frame's room is not kept for the ordinary ones that follow.
                    self.input = BytesMut::from(&self.input[..]);
                }
                match FrameKind::from_code(head.kind) {
                    Some(FrameKind::Verify) => self.take_verify(terms, head, frame, now)?,
                    Some(FrameKind::Ping) => self.take_ping(head, frame.len())?,
                    _ => return Err(Fault::of_connection(FaultCode::UnknownFrameType)),
                }
                Ok(true)
            }
        }
    }

    fn take_hello(&mut self) -> Result<bool, Fault> {
        let Some((wished, hello_bytes)) = Hello::decode(&self.input)? else {
            self.frame_bytes = self.input.len() + 1;
            return Ok(false);
        };
        let _ = self.input.split_to(hello_bytes);
        let own = own_hello(&self.context.limits);
        let agreed = own.agree(wished);
        agreed.encode(&mut self.output);
        let answer_bytes_max = match wished.frame_bytes_max {
            0 => FRAME_BYTES_MAX,
            wished => FRAME_BYTES_MAX.min(wished as usize),
        };
        self.terms = Some(Terms {
            frame_bytes_max: agreed.frame_bytes_max as usize,
            frame_tokens_max: agreed.frame_tokens_max as usize,
            credits: agreed.credits,
            answer_bytes_max,
        });
        Ok(true)
    }

    fn take_ping(&mut self, head: Head, frame_bytes: usize) -> Result<(), Fault> {
        if frame_bytes != wire::HEAD_BYTES || head.flags != 0 || head.count != 0 {
            return Err(Fault::of_connection(FaultCode::BadFrame));
        }
        wire::encode_bare(&mut self.output, FrameKind::Pong, head.request_id);
        Ok(())
    }

    fn take_verify(
        &mut self,
        terms: Terms,
        head: Head,
        frame: Bytes,
        now: &mut Option<Now>,
    ) -> Result<(), Fault> {
        let asked = Ask::decode(head, &frame, terms.frame_tokens_max)
            .and_then(|(ask, tokens)| Ok((self.policy_of(terms, &ask)?, ask, tokens)));
        let (policy, ask, tokens) = match asked {
            Ok(asked) => asked,
            Err(fault) if fault.code.closes() => return Err(fault),
            Err(fault) => {
                fault.encode(&mut self.output);
                return Ok(());
            }
        };
        let now = *now.get_or_insert_with(|| self.context.engine.clock().now());
        let patience = match ask.deadline_ms {
            0 => self.context.limits.deadline_default,
            asked => Duration::from_millis(asked.into()),
        };
        let request_id = ask.request_id;
        let charge_bytes = frame.len() + tokens.len() * ANSWER_BYTES_PER_TOKEN;
        let call = Call {
            peer: self.admission.peer().clone(),
            tokens: tokens.slices_of(&frame),
            policy,
            want: ask.want,
            deadline: Some(now.since_boot + patience.min(DEADLINE_MAX)),
        };
        let sender = self.answer_sender.clone();
        let reply = move |verdicts| {
            // The connection may have gone; then nobody waits for this.
            let _ = sender.send(Answer {
                request_id,
                verdicts,
                charge_bytes,
            });
        };
        match self.context.engine.ask(call, now, reply) {
            Some(verdicts) => self.answer(request_id, &verdicts),
            None => {
                self.in_flight += 1;
                self.unanswered_bytes += charge_bytes;
            }
        }
        Ok(())
    }

    /// What a question needs before the engine sees it.
    fn policy_of(&self, terms: Terms, ask: &Ask<'_>) -> Result<crate::verify::PolicyId, Fault> {
        let fault = |code| Fault::of_request(code, ask.request_id);
        if self.ending == Ending::GoingAway {
            return Err(fault(FaultCode::GoingAway));
        }
        if self.in_flight >= terms.credits {
            return Err(fault(FaultCode::TooManyInFlight));
        }
        // No revision is known here yet, so none can be waited for; pretending would be a lie.
        if ask.min_revision != 0 {
            return Err(fault(FaultCode::UnsupportedFeature));
        }
        self.admission.policy(ask.policy).map_err(|refused| {
            fault(match refused {
                PolicyRefused::Unknown => FaultCode::UnknownPolicy,
                PolicyRefused::Forbidden => FaultCode::PolicyForbidden,
            })
        })
    }

    fn answer(&mut self, request_id: u64, verdicts: &[Verdict]) {
        self.tally.count(verdicts);
        let bytes_max = self.terms.map_or(0, |terms| terms.answer_bytes_max);
        let standing = Standing::default();
        let out = &mut self.output;
        if let Err(fault) = wire::encode_verdicts(out, request_id, verdicts, standing, bytes_max) {
            fault.encode(out);
        }
    }

    fn go_away(&mut self) {
        self.ending = match self.terms {
            Some(_) => {
                wire::encode_bare(&mut self.output, FrameKind::Goaway, 0);
                Ending::GoingAway
            }
            // It has not even said hello: nothing was taken.
            None => Ending::Faulted,
        };
    }

    fn fail(&mut self, fault: Fault) {
        let label = match fault.code {
            FaultCode::TooSlow => "slow",
            _ => "frame",
        };
        count_fault(self.context, label);
        tracing::debug!(peer = ?self.admission, fault = fault.code.name(), "connection closed");
        if self.terms.is_none() {
            own_hello(&self.context.limits).encode(&mut self.output);
        }
        fault.encode(&mut self.output);
        self.ending = Ending::Faulted;
    }

    /// Writes as much as the peer takes.
    fn flush(&mut self, cx: &mut task::Context<'_>) -> std::io::Result<()> {
        while let Some(unwritten) = self
            .output
            .get(self.written..)
            .filter(|out| !out.is_empty())
        {
            match Pin::new(&mut self.stream).poll_write(cx, unwritten) {
                Poll::Ready(Ok(0)) => return Err(std::io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(bytes)) => {
                    self.written += bytes;
                    self.stuck_since = None;
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => {
                    self.stuck_since.get_or_insert_with(clock::since_boot);
                    // Else a peer that always leaves a rest would let the buffer grow without end.
                    if self.written >= UNREAD_BYTES_MAX {
                        self.output.drain(..self.written);
                        self.written = 0;
                    }
                    return Ok(());
                }
            }
        }
        self.output.clear();
        self.output.shrink_to(OUTPUT_KEPT_BYTES);
        self.written = 0;
        Ok(())
    }

    /// Reads once. Ready when something came, be it the end.
    fn read(&mut self, cx: &mut task::Context<'_>) -> Poll<()> {
        if self.ending == Ending::GoingAway {
            self.farewell_reads = self.farewell_reads.saturating_sub(1);
        }
        self.make_room();
        let room = self.input.capacity() - self.input.len();
        let read = pin!(self.stream.read_buf(&mut self.input)).poll(cx);
        match ready!(read) {
            Ok(bytes) if bytes > 0 => {
                if bytes == room {
                    self.read_bytes = (self.read_bytes * 4).min(READ_BYTES_MAX);
                }
            }
            // A peer that is gone altogether will show when it is written to.
            Ok(_) | Err(_) => self.ending = Ending::HalfClosed,
        }
        Poll::Ready(())
    }

    /// Makes room for the rest of the frame, as far as the peer has earned it: a length prefix alone
    /// gets no megabytes. Where all earlier frames are answered, their room is used again.
    fn make_room(&mut self) {
        let room = self.input.capacity() - self.input.len();
        let rest = self.frame_bytes.saturating_sub(self.input.len()).max(1);
        let earned = self.read_bytes.max(self.input.len());
        if room < rest.min(earned) || (self.input.is_empty() && room < self.read_bytes / 2) {
            self.input.reserve(earned.min(self.read_bytes.max(rest)));
        }
    }

    /// Whether another frame may be taken to the engine.
    fn may_take(&self) -> bool {
        self.ending != Ending::Faulted
            && self.unanswered_bytes < UNANSWERED_BYTES_MAX
            && self.output.len() - self.written < UNREAD_BYTES_MAX
    }

    fn may_read(&self) -> bool {
        let reading = match self.ending {
            Ending::Open => true,
            Ending::GoingAway => self.in_flight > 0 || self.farewell_reads > 0,
            Ending::HalfClosed | Ending::Faulted => false,
        };
        reading && self.may_take()
    }

    /// Whether everything taken is answered and everything answered is written.
    fn is_settled(&self) -> bool {
        self.in_flight == 0 && self.output.is_empty()
    }

    fn is_done(&self, all_taken: bool) -> bool {
        match self.ending {
            Ending::Open | Ending::GoingAway => false,
            Ending::HalfClosed => all_taken && self.is_settled(),
            Ending::Faulted => self.output.is_empty(),
        }
    }

    /// Sleeps until something happens, or until the peer has been slow for too long.
    fn wait(&mut self, cx: &mut task::Context<'_>, mut timer: Pin<&mut Timer>) -> Poll<()> {
        loop {
            let Some(deadline) = self.deadline() else {
                return Poll::Pending;
            };
            let now = clock::since_boot();
            if now < deadline {
                ready!(timer.as_mut().poll_until(cx, deadline, now));
                continue;
            }
            if self.stuck_since.is_some() {
                // It does not read, so it would not read an error either.
                count_fault(self.context, "slow");
                return Poll::Ready(());
            }
            self.fail(Fault::of_connection(FaultCode::TooSlow));
            if self.flush(cx).is_err() || self.output.is_empty() {
                return Poll::Ready(());
            }
        }
    }

    /// When the peer's slowness ends the connection, as time since boot.
    fn deadline(&self) -> Option<Duration> {
        let limits = &self.context.limits;
        let patience = match self.terms {
            Some(_) => limits.stall_timeout,
            None => limits.handshake_timeout,
        };
        let reading = matches!(self.ending, Ending::Open | Ending::GoingAway);
        let incomplete = self.incomplete_since.filter(|_| reading);
        let stuck = self.stuck_since.map(|since| since + limits.stall_timeout);
        let slow = incomplete.map(|since| since + patience);
        stuck.into_iter().chain(slow).min()
    }
}

fn own_hello(limits: &Limits) -> Hello {
    let clamped = |limit: usize| u32::try_from(limit).unwrap_or(u32::MAX);
    Hello {
        version: VERSION,
        frame_bytes_max: clamped(FRAME_BYTES_MAX),
        frame_tokens_max: clamped(FRAME_TOKENS_MAX),
        credits: limits.calls_in_flight_max,
        features: FEATURES,
    }
}

/// One timer that is set only while somebody is slow, and set anew only after it rang: a connection in
/// good order never touches the runtime's wheel.
struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    fn new() -> Self {
        Self(None)
    }

    /// Ready when it rang, which may be before `deadline` if that has moved since: look and wait again.
    fn poll_until(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        deadline: Duration,
        now: Duration,
    ) -> Poll<()> {
        let sleep = self
            .0
            .get_or_insert_with(|| Box::pin(sleep(deadline.saturating_sub(now))));
        ready!(sleep.as_mut().poll(cx));
        self.0 = None;
        Poll::Ready(())
    }
}

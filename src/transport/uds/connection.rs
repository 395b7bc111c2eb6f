//! One connection of the binary protocol: a single task that reads, asks, and answers.
//!
//! Every whole frame that a read brought is answered, as far as the engine can at once, before anything is
//! written, so a busy connection pays two system calls for many frames. Reading stops while the peer owes
//! us attention: too much unanswered, or too much unread. Memory is bounded whatever the peer does.
#![forbid(unsafe_code)]

use super::super::Context;
use super::super::budget::Held;
use super::super::peers::Admission;
use super::super::wire::{Fault, FaultCode};
use super::patience::Timer;
use super::refusal::discard_unread;
use super::session::{Ending, Session, Taken};
use super::{READ_BYTES_MIN, count_fault};
use crate::clock;
use bytes::BytesMut;
use std::pin::{Pin, pin};
use std::task::{self, Poll, ready};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

/// Most that is read at once: a little more than a Unix socket holds by default.
const READ_BYTES_MAX: usize = 256 * 1024;

/// An unfinished frame up to this is free; what it takes beyond is taken from the peer's budget.
const FREE_BYTES: usize = 64 * 1024;

/// Reads after which other connections of this thread get their turn.
const READS_PER_TURN: usize = 4;

/// Reads after GOAWAY, to tell questions that crossed it on the way that they were not taken. A peer that
/// keeps asking does not keep the daemon up.
const FAREWELL_READS: u32 = 64;

/// How soon is looked again whether the peer's budget has room.
const STARVED_PAUSE: Duration = Duration::from_millis(10);

/// How long a connection must be idle before its buffers are given back.
const IDLE_AFTER: Duration = Duration::from_secs(1);

/// Serves one connection until it ends. `input` holds what was read to find out what it speaks.
pub(super) async fn run(
    stream: UnixStream,
    input: BytesMut,
    admission: &Admission,
    context: &Context,
) {
    let mut shutdown = context.shutdown.clone();
    let mut shutdown = pin!(shutdown.begun());
    let mut connection = Connection {
        stream,
        session: Session::new(input, admission, context),
        context,
        read_bytes: READ_BYTES_MIN,
        held: admission.budget().hold_nothing(),
        starved: false,
        shutting_down: false,
        farewell_reads: FAREWELL_READS,
        incomplete_since: None,
        stuck_since: None,
        timer: Timer::default(),
        frames_when_idle_was_asked: 0,
    };
    std::future::poll_fn(|cx| {
        if !connection.shutting_down {
            connection.shutting_down = shutdown.as_mut().poll(cx).is_ready();
        }
        connection.poll(cx)
    })
    .await;
    if connection.session.ending == Ending::Faulted {
        discard_unread(&connection.stream);
    }
}

struct Connection<'c> {
    stream: UnixStream,
    session: Session<'c>,
    context: &'c Context,
    /// How much to make room for; follows what the peer sends.
    read_bytes: usize,
    /// What an exceptional frame takes of the peer's budget, and whether it needs more than there is.
    held: Held,
    starved: bool,
    shutting_down: bool,
    farewell_reads: u32,
    /// When the unfinished frame or hello began, as time since boot.
    incomplete_since: Option<Duration>,
    /// When the peer last stopped taking output.
    stuck_since: Option<Duration>,
    timer: Timer,
    frames_when_idle_was_asked: u64,
}

impl Connection<'_> {
    /// Does all that can be done now; ready when the connection has ended.
    fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<()> {
        for _ in 0..READS_PER_TURN {
            let taken = self.session.take_frames();
            self.note_progress(taken);
            // After the frames, so that whatever is in flight now will wake this task.
            self.session.take_answers(cx);
            if self.shutting_down && self.session.ending == Ending::Open {
                self.session.go_away();
            }
            if self.flush(cx).is_err() || self.is_done(taken) {
                return Poll::Ready(());
            }
            if taken == Taken::Stopped && self.session.may_take() {
                break;
            }
            let nothing_came = !self.may_read() || self.read(cx).is_pending();
            if nothing_came {
                let is_farewell = self.session.ending == Ending::GoingAway;
                if is_farewell && self.session.is_settled() {
                    return Poll::Ready(());
                }
                return self.wait(cx);
            }
        }
        // There is more to do, but others wait too.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn note_progress(&mut self, taken: Taken) {
        match taken {
            Taken::Incomplete => {
                self.incomplete_since.get_or_insert_with(clock::since_boot);
            }
            // Where we make the peer wait, it is not the peer that is slow.
            Taken::All | Taken::Stopped => self.incomplete_since = None,
        }
        if taken == Taken::All && self.held.bytes() > 0 {
            // The exceptional frame was taken, and its room is not kept for the ordinary ones.
            self.session.input = BytesMut::new();
            self.held.release();
        }
    }

    /// Writes as much as the peer takes.
    fn flush(&mut self, cx: &mut task::Context<'_>) -> std::io::Result<()> {
        let mut took = false;
        let stream = Pin::new(&mut self.stream);
        let flushed = self.session.output.poll_flush(cx, stream, &mut took);
        if took || flushed.is_ready() {
            self.stuck_since = None;
        }
        match flushed {
            Poll::Ready(flushed) => flushed,
            Poll::Pending => {
                self.stuck_since.get_or_insert_with(clock::since_boot);
                Ok(())
            }
        }
    }

    /// Reads once. Ready when something came, be it the end.
    fn read(&mut self, cx: &mut task::Context<'_>) -> Poll<()> {
        self.starved = !self.make_room();
        if self.starved {
            return Poll::Pending;
        }
        let input = &mut self.session.input;
        let room = input.capacity() - input.len();
        let read = pin!(self.stream.read_buf(input)).poll(cx);
        let bytes = ready!(read).unwrap_or(0);
        if bytes == 0 {
            // A peer that is gone altogether will show when it is written to.
            self.session.ending = Ending::HalfClosed;
        } else if bytes == room {
            self.read_bytes = (self.read_bytes * 4).min(READ_BYTES_MAX);
        }
        if self.session.ending == Ending::GoingAway {
            self.farewell_reads = self.farewell_reads.saturating_sub(1);
        }
        Poll::Ready(())
    }

    /// Makes room for the rest of the frame, as far as the peer has earned it: a length prefix alone
    /// gets no megabytes. Where all earlier frames are answered, their room is used again. False where
    /// the peer's budget has no room left.
    fn make_room(&mut self) -> bool {
        let input = &mut self.session.input;
        let room = input.capacity() - input.len();
        let rest = self.session.frame_bytes.saturating_sub(input.len()).max(1);
        let earned = self.read_bytes.max(input.len());
        if room < rest.min(earned) || (input.is_empty() && room < self.read_bytes / 2) {
            let wanted = earned.min(self.read_bytes.max(rest));
            let held = (input.len() + wanted).saturating_sub(READ_BYTES_MAX + FREE_BYTES);
            if !self.held.grow_to(held) {
                return false;
            }
            input.reserve(wanted);
        }
        true
    }

    fn may_read(&self) -> bool {
        let reading = match self.session.ending {
            Ending::Open => true,
            Ending::GoingAway => self.session.is_waiting() || self.farewell_reads > 0,
            Ending::HalfClosed | Ending::Faulted => false,
        };
        reading && self.session.may_take()
    }

    fn is_done(&self, taken: Taken) -> bool {
        match self.session.ending {
            Ending::Open | Ending::GoingAway => false,
            Ending::HalfClosed => taken != Taken::Stopped && self.session.is_settled(),
            Ending::Faulted => self.session.output.unwritten().is_empty(),
        }
    }

    /// Sleeps until something happens, or until the peer has been slow for too long.
    fn wait(&mut self, cx: &mut task::Context<'_>) -> Poll<()> {
        while let Some(look_after) = self.look_after() {
            if look_after.is_zero() {
                if self.stuck_since.is_some() {
                    // It does not read, so it would not read an error either.
                    count_fault(self.context, "slow");
                    return Poll::Ready(());
                }
                self.session.fail(Fault::of_connection(FaultCode::TooSlow));
                self.starved = false;
                if self.flush(cx).is_err() || self.is_done(Taken::All) {
                    return Poll::Ready(());
                }
                continue;
            }
            ready!(self.timer.poll_after(cx, look_after));
            if self.starved {
                // There may be room now.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.release_if_idle();
        }
        Poll::Pending
    }

    /// When to look at this connection again though nothing happens: zero when its patience is over now,
    /// `None` when it may wait for ever.
    fn look_after(&self) -> Option<Duration> {
        let limits = &self.context.limits;
        let stalled = self.stuck_since.map(|since| since + limits.stall_timeout);
        let reading = matches!(self.session.ending, Ending::Open | Ending::GoingAway);
        let patience = match self.session.has_terms() {
            true => limits.stall_timeout,
            false => limits.handshake_timeout,
        };
        let incomplete = self.incomplete_since.filter(|_| reading);
        let deadlines = [stalled, incomplete.map(|since| since + patience)];
        match deadlines.into_iter().flatten().min() {
            Some(deadline) => {
                let rest = deadline.saturating_sub(clock::since_boot());
                Some(if self.starved {
                    rest.min(STARVED_PAUSE)
                } else {
                    rest
                })
            }
            None => (self.read_bytes > READ_BYTES_MIN).then_some(IDLE_AFTER),
        }
    }

    /// Gives large buffers back if nothing was asked since this was last looked at.
    fn release_if_idle(&mut self) {
        let frames_taken = self.session.frames_taken;
        let was_idle = self.frames_when_idle_was_asked == frames_taken;
        self.frames_when_idle_was_asked = frames_taken;
        if was_idle && self.session.input.is_empty() && self.session.is_settled() {
            self.session.input = BytesMut::new();
            self.session.output.release();
            self.read_bytes = READ_BYTES_MIN;
        }
    }
}

//! The binary protocol on the Unix socket, on plain non-blocking sockets and `ppoll`.
//!
//! A frame leaves as a head of its own and slices of the corpus, in one gathering write together with
//! every other frame that is due: no token is copied, and no runtime stands in between. Of an answer
//! only status and reason are read.
#![forbid(unsafe_code)]

mod lane;
mod protocol;

use super::{DriveError, Island, Job, PATIENCE};
use crate::record::Record;
use lane::Lane;
use protocol::{connect, exchange, template};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Drives this thread's connections until the time is over and every answer is in.
pub(super) fn run(island: Island<'_>) -> Result<Record, DriveError> {
    let connected: Result<Vec<UnixStream>, DriveError> = (0..island.connections)
        .map(|_| connect(island.job))
        .collect();
    let start = island.start.wait();
    let streams = connected?;
    let template = template(island.job.want);
    let lanes = streams
        .iter()
        .map(|stream| Lane::new(stream, island.job, &template))
        .collect();
    Driver {
        start,
        sending: true,
        last_answer: Duration::ZERO,
        record: Record::new(),
        turn: 0,
        lanes,
        island,
    }
    .run()
}

/// The answers to some frames, byte for byte.
pub(super) fn probe(job: &Job<'_>, frames: &[Vec<u32>]) -> Result<Vec<Vec<u8>>, DriveError> {
    let stream = connect(job)?;
    stream
        .set_nonblocking(false)
        .map_err(DriveError::of("connecting"))?;
    let template = template(job.want);
    frames
        .iter()
        .map(|frame| exchange(&stream, job.corpus, &template, frame))
        .collect()
}

/// One thread's work.
struct Driver<'a> {
    island: Island<'a>,
    lanes: Vec<Lane<'a>>,
    record: Record,
    start: Instant,
    /// Whether frames are still to be sent.
    sending: bool,
    last_answer: Duration,
    /// The lane whose turn it is in an open loop.
    turn: usize,
}

impl Driver<'_> {
    fn run(mut self) -> Result<Record, DriveError> {
        loop {
            let now = self.start.elapsed();
            self.top_up(now);
            for lane in &mut self.lanes {
                lane.flush()?;
            }
            let idle = self.lanes.iter().all(Lane::is_idle);
            if !self.sending && idle {
                break;
            }
            if now > self.island.job.duration + PATIENCE {
                self.give_up(now, idle)?;
                break;
            }
            self.wait(now)?;
        }
        let open = self.island.timetable.is_some();
        let duration = self.island.job.duration;
        self.record.settle(open, duration, self.last_answer);
        Ok(self.record)
    }

    /// Puts every frame that may go now into a lane.
    fn top_up(&mut self, now: Duration) {
        let duration = self.island.job.duration;
        while self.sending {
            let Some(lane) = self.free_lane() else { return };
            let due = match &mut self.island.timetable {
                None => now,
                Some(timetable) => timetable.due(),
            };
            if due >= duration {
                self.sending = false;
                return;
            }
            if due > now {
                return;
            }
            let count = self.island.job.frame_tokens;
            let feed = &mut *self.island.feed;
            if !self.lanes[lane].enqueue(due, |tokens| feed.fill(count, tokens)) {
                self.record.exhausted = true;
                self.sending = false;
                return;
            }
            if let Some(timetable) = &mut self.island.timetable {
                timetable.advance();
            }
        }
    }

    /// A lane with a free place, in turns.
    fn free_lane(&mut self) -> Option<usize> {
        let lanes = self.lanes.len();
        let lane = (0..lanes)
            .map(|step| (self.turn + step) % lanes)
            .find(|&lane| self.lanes[lane].has_room())?;
        self.turn = lane + 1;
        Some(lane)
    }

    /// Waits for answers, for room to write, or for the next frame to be due.
    fn wait(&mut self, now: Duration) -> Result<(), DriveError> {
        let mut fds: Vec<PollFd<'_>> = self
            .lanes
            .iter()
            .map(|lane| {
                let room = if lane.blocked {
                    PollFlags::OUT
                } else {
                    PollFlags::empty()
                };
                PollFd::new(lane.stream, PollFlags::IN | room)
            })
            .collect();
        match poll(&mut fds, Some(&self.timeout(now))) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(DriveError::of("waiting for the server")(error)),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        for (lane, _) in self.lanes.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            lane.blocked = false;
            lane.receive()?;
            let at = self.start.elapsed();
            let open = self.island.timetable.is_some();
            let measured = open || at <= self.island.job.duration;
            if lane.take_answers(&mut self.record, at, measured)? {
                self.last_answer = at;
            }
        }
        Ok(())
    }

    fn timeout(&self, now: Duration) -> Timespec {
        let has_room = self.lanes.iter().any(Lane::has_room);
        let next = match &self.island.timetable {
            Some(timetable) if self.sending && has_room => timetable.due(),
            _ => self.island.job.duration + PATIENCE,
        };
        // Never asleep for so long that the end of the run is missed.
        let wait = next.saturating_sub(now).min(Duration::from_millis(100));
        Timespec::try_from(wait).expect("a tenth of a second fits")
    }

    /// The server is too far behind. What was due and never sent still counts: it is what waited longest.
    fn give_up(&mut self, now: Duration, idle: bool) -> Result<(), DriveError> {
        if self.sending
            && let Some(timetable) = &mut self.island.timetable
        {
            while timetable.due() < self.island.job.duration {
                let waited = now.saturating_sub(timetable.due());
                self.record.never_sent(self.island.job.frame_tokens, waited);
                timetable.advance();
            }
            return Ok(());
        }
        if idle {
            return Ok(());
        }
        Err(DriveError::new(
            "waiting for the last answers",
            format!("none came for {PATIENCE:?}"),
        ))
    }
}

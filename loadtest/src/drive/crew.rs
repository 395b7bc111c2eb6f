//! The workers of one thread over HTTP: each keeps one frame in flight, all share one feed, one timetable
//! and one record.
#![forbid(unsafe_code)]

use super::{DriveError, Feed, Island, Job, PATIENCE};
use crate::answer::Answer;
use crate::corpus::Corpus;
use crate::pace::Timetable;
use crate::record::Record;
use futures_util::future::try_join_all;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;
use tokio::sync::Mutex;

/// Asks a server about one frame at a time.
pub(super) trait Caller {
    /// Puts one answer a token into `answers`, in order.
    async fn ask(
        &mut self,
        corpus: &Corpus,
        tokens: &[u32],
        answers: &mut Vec<Answer>,
    ) -> Result<(), DriveError>;
}

/// Lets every caller ask until the time is over, and returns what they saw.
pub(super) async fn work<C: Caller>(
    island: Island<'_>,
    start: Instant,
    callers: Vec<C>,
) -> Result<Record, DriveError> {
    let crew = Crew {
        job: island.job,
        start,
        open: island.timetable.is_some(),
        feed: RefCell::new(island.feed),
        pacer: match island.timetable {
            None => None,
            Some(timetable) => Some(Mutex::new(Pacer::new(timetable)?)),
        },
        record: RefCell::new(Record::new()),
        last_answer: RefCell::new(Duration::ZERO),
    };
    // Every caller stops asking at the end of its time, so only an answer that never comes is cut off.
    let limit = island.job.duration + PATIENCE * 2;
    tokio::time::timeout(
        limit,
        try_join_all(callers.into_iter().map(|c| crew.serve(c))),
    )
    .await
    .map_err(|_| {
        DriveError::new(
            "waiting for the last answers",
            format!("none came for {PATIENCE:?}"),
        )
    })??;
    Ok(crew.close().await)
}

struct Crew<'a> {
    job: &'a Job<'a>,
    start: Instant,
    open: bool,
    feed: RefCell<&'a mut Feed>,
    pacer: Option<Mutex<Pacer>>,
    record: RefCell<Record>,
    last_answer: RefCell<Duration>,
}

impl Crew<'_> {
    async fn serve<C: Caller>(&self, mut caller: C) -> Result<(), DriveError> {
        let mut tokens = Vec::with_capacity(self.job.frame_tokens);
        let mut answers = Vec::with_capacity(self.job.frame_tokens);
        while let Some(intended) = self.next(&mut tokens).await? {
            answers.clear();
            caller.ask(self.job.corpus, &tokens, &mut answers).await?;
            if answers.len() != tokens.len() {
                return Err(DriveError::new(
                    "reading an answer",
                    "it has not one verdict a token",
                ));
            }
            let at = self.start.elapsed();
            *self.last_answer.borrow_mut() = at;
            self.record.borrow_mut().frame(
                self.job.corpus,
                &tokens,
                answers.drain(..),
                at,
                at.saturating_sub(intended),
                self.open || at <= self.job.duration,
            );
        }
        Ok(())
    }

    /// The next frame's tokens and its intended start; `None` when there is nothing more to ask.
    async fn next(&self, tokens: &mut Vec<u32>) -> Result<Option<Duration>, DriveError> {
        let now = self.start.elapsed();
        let Some(pacer) = &self.pacer else {
            return Ok((now < self.job.duration && self.fill(tokens)).then_some(now));
        };
        // Who holds the pacer sleeps until the next frame is due; the others wait behind it in order.
        let mut pacer = pacer.lock().await;
        let due = pacer.timetable.due();
        let late = self.start.elapsed() > self.job.duration + PATIENCE;
        if late || due >= self.job.duration {
            return Ok(None);
        }
        pacer.sleep_until(due, self.start).await?;
        if !self.fill(tokens) {
            return Ok(None);
        }
        pacer.timetable.advance();
        Ok(Some(due))
    }

    fn fill(&self, tokens: &mut Vec<u32>) -> bool {
        let mut record = self.record.borrow_mut();
        let filled =
            !record.exhausted && self.feed.borrow_mut().fill(self.job.frame_tokens, tokens);
        record.exhausted |= !filled;
        filled
    }

    async fn close(self) -> Record {
        let mut record = self.record.into_inner();
        if let Some(pacer) = self.pacer
            && !record.exhausted
        {
            let mut timetable = pacer.into_inner().timetable;
            let now = self.start.elapsed();
            while timetable.due() < self.job.duration {
                let waited = now.saturating_sub(timetable.due());
                record.never_sent(self.job.frame_tokens, waited);
                timetable.advance();
            }
        }
        record.settle(self.open, self.job.duration, self.last_answer.into_inner());
        record
    }
}

/// A timetable and a timer that keeps to it. Tokio's own timers tick once a millisecond, which is many
/// times the latency that is measured here.
struct Pacer {
    timetable: Timetable,
    timer: AsyncFd<OwnedFd>,
}

impl Pacer {
    fn new(timetable: Timetable) -> Result<Self, DriveError> {
        let doing = "making a timer";
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )
        .map_err(DriveError::of(doing))?;
        #[expect(
            deprecated,
            reason = "what is deprecated is to trust any type with a descriptor; an OwnedFd keeps its own"
        )]
        let timer = AsyncFd::new(timer).map_err(DriveError::of(doing))?;
        Ok(Self { timetable, timer })
    }

    async fn sleep_until(&self, due: Duration, start: Instant) -> Result<(), DriveError> {
        let wait = due.saturating_sub(start.elapsed());
        if wait.is_zero() {
            return Ok(());
        }
        let expiry = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: Timespec::try_from(wait).map_err(DriveError::of("setting a timer"))?,
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &expiry)
            .map_err(DriveError::of("setting a timer"))?;
        let mut ready = self
            .timer
            .readable()
            .await
            .map_err(DriveError::of("waiting for a timer"))?;
        let mut expirations = [0; 8];
        // Reading clears the timer; that it had expired is why we are here.
        let _ = rustix::io::read(&self.timer, &mut expirations);
        ready.clear_ready();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::{Arrivals, Pace};

    #[test]
    fn the_timer_never_wakes_early() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime starts");
        runtime.block_on(async {
            let pace = Pace::Open {
                tokens_per_second: 1_000,
                arrivals: Arrivals::Even,
            };
            let timetable = pace.timetable(1, 0, 1, 1).expect("an open loop has one");
            let pacer = Pacer::new(timetable).expect("Linux has timers");
            let start = Instant::now();
            for us in [0, 300, 301, 2_000] {
                let due = Duration::from_micros(us);
                pacer
                    .sleep_until(due, start)
                    .await
                    .expect("the timer works");
                assert!(start.elapsed() >= due);
            }
        });
    }
}

//! The one place that reads time. All else is given a [`Now`].
//!
//! A wall clock can step. A backward step must not resurrect an expired token, and a forward step must
//! not make a future one valid, so a [`Now`] is an interval: from the earlier to the later of the wall
//! clock and an anchored clock that counts time since boot. When the two disagree for
//! [`SETTLE_SECONDS`], the wall clock has really been set and becomes the new anchor.
#![forbid(unsafe_code)]

use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// How long wall and anchored clocks must disagree before the wall clock is believed, in seconds.
pub const SETTLE_SECONDS: i64 = 60;

/// A disagreement of up to this many seconds is rounding and slewing, not a step.
const STEP_SECONDS: i64 = 2;

/// A moment, as everything that decides about tokens sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The latest it can be, in seconds since the epoch: what `exp` is held against.
    pub latest: i64,
    /// The earliest it can be, in seconds since the epoch: what `nbf` and `iat` are held against.
    pub earliest: i64,
    /// Time since boot; never steps. For deadlines and durations.
    pub since_boot: Duration,
}

impl Now {
    /// A moment that wall and anchored clock agree on; for tests and `--now`.
    #[must_use]
    pub fn at(unix_seconds: i64) -> Self {
        Self {
            latest: unix_seconds,
            earliest: unix_seconds,
            since_boot: Duration::ZERO,
        }
    }
}

/// Where a [`Now`] comes from. Cheap to clone; all clones share one anchor.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System(Arc<Anchor>),
    Fixed(i64),
    /// The machine's, with a wall clock that a test steps by seconds.
    #[cfg(test)]
    Stepped(Arc<Anchor>, Arc<AtomicI64>),
}

/// The wall clock as it was believed at some time since boot.
#[derive(Debug)]
struct Anchor {
    /// Wall seconds minus seconds since boot.
    offset: AtomicI64,
    /// Seconds since boot at which a disagreement was first seen; [`AGREE`] while there is none.
    disagrees_since: AtomicI64,
}

const AGREE: i64 = i64::MIN;

impl Clock {
    /// The machine's clocks.
    #[must_use]
    pub fn system() -> Self {
        let offset = wall_seconds() - since_boot().as_secs().cast_signed();
        Self(Source::System(Arc::new(Anchor {
            offset: AtomicI64::new(offset),
            disagrees_since: AtomicI64::new(AGREE),
        })))
    }

    /// A clock whose calendar stands still, for `--now`; durations still pass.
    #[must_use]
    pub fn fixed(unix_seconds: i64) -> Self {
        Self(Source::Fixed(unix_seconds))
    }

    /// The machine's clocks, with a wall clock that is off by so many seconds from the start, and by others later.
    #[cfg(test)]
    pub(crate) fn off_by(seconds: i64) -> (Self, Arc<AtomicI64>) {
        let off = Arc::new(AtomicI64::new(seconds));
        let anchor = Anchor {
            offset: AtomicI64::new(wall_seconds() + seconds - since_boot().as_secs().cast_signed()),
            disagrees_since: AtomicI64::new(AGREE),
        };
        (
            Self(Source::Stepped(Arc::new(anchor), Arc::clone(&off))),
            off,
        )
    }

    /// Reads the time.
    #[must_use]
    pub fn now(&self) -> Now {
        let since_boot = since_boot();
        match &self.0 {
            Source::Fixed(seconds) => Now {
                since_boot,
                ..Now::at(*seconds)
            },
            Source::System(anchor) => anchor.reconcile(wall_seconds(), since_boot),
            #[cfg(test)]
            Source::Stepped(anchor, off) => {
                anchor.reconcile(wall_seconds() + off.load(Ordering::Relaxed), since_boot)
            }
        }
    }
}

impl Anchor {
    fn reconcile(&self, wall: i64, since_boot: Duration) -> Now {
        let boot_seconds = since_boot.as_secs().cast_signed();
        let anchored = self.offset.load(Ordering::Relaxed) + boot_seconds;
        if (wall - anchored).abs() <= STEP_SECONDS {
            // Slewing moves the anchor along, so that it never adds up to a step.
            self.disagrees_since.store(AGREE, Ordering::Relaxed);
            self.offset.store(wall - boot_seconds, Ordering::Relaxed);
            return Now {
                latest: wall,
                earliest: wall,
                since_boot,
            };
        }
        let since = self.disagrees_since.load(Ordering::Relaxed);
        if since == AGREE {
            self.disagrees_since.store(boot_seconds, Ordering::Relaxed);
        } else if boot_seconds - since >= SETTLE_SECONDS {
            self.offset.store(wall - boot_seconds, Ordering::Relaxed);
            self.disagrees_since.store(AGREE, Ordering::Relaxed);
        }
        Now {
            latest: wall.max(anchored),
            earliest: wall.min(anchored),
            since_boot,
        }
    }
}

/// Time since boot, suspension included: a suspended host must not stretch a token's life.
#[must_use]
pub fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

fn wall_seconds() -> i64 {
    clock_gettime(ClockId::Realtime).tv_sec
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchored_at(wall: i64, boot: i64) -> Anchor {
        Anchor {
            offset: AtomicI64::new(wall - boot),
            disagrees_since: AtomicI64::new(AGREE),
        }
    }

    fn boot(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_steady_clock_is_a_point() {
        let anchor = anchored_at(1_000, 0);
        let now = anchor.reconcile(1_005, boot(5));
        assert_eq!((now.earliest, now.latest), (1_005, 1_005));
    }

    #[test]
    fn a_step_widens_the_moment_in_both_directions() {
        let day = 86_400;
        let back = anchored_at(100_000, 0).reconcile(100_000 - day, boot(0));
        assert_eq!((back.earliest, back.latest), (100_000 - day, 100_000));
        let forth = anchored_at(100_000, 0).reconcile(100_000 + day, boot(0));
        assert_eq!((forth.earliest, forth.latest), (100_000, 100_000 + day));
    }

    #[test]
    fn a_step_that_stays_is_believed_after_it_has_settled() {
        let anchor = anchored_at(100_000, 0);
        let _ = anchor.reconcile(200_000, boot(0));
        let _ = anchor.reconcile(200_000 + SETTLE_SECONDS, boot(60));
        let now = anchor.reconcile(200_000 + SETTLE_SECONDS + 1, boot(61));
        assert_eq!(now.earliest, now.latest);
    }

    #[test]
    fn a_step_that_is_undone_leaves_no_trace() {
        let anchor = anchored_at(100_000, 0);
        let _ = anchor.reconcile(200_000, boot(0));
        let now = anchor.reconcile(100_030, boot(30));
        assert_eq!((now.earliest, now.latest), (100_030, 100_030));
        let _ = anchor.reconcile(200_000, boot(59));
        let now = anchor.reconcile(200_002, boot(61));
        assert_eq!(now.earliest, 100_061, "the settling time starts over");
    }
}

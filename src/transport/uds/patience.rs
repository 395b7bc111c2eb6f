//! A timer that a connection in good order hardly ever touches.
#![forbid(unsafe_code)]

use crate::clock;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// Rings at the latest when it was asked to, and perhaps sooner: whoever waits looks again and asks anew.
/// So it is set once and left alone while deadlines move further away.
#[derive(Default)]
pub(super) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    /// As time since boot.
    rings_at: Duration,
}

impl Timer {
    pub(super) fn poll_after(&mut self, cx: &mut Context<'_>, after: Duration) -> Poll<()> {
        if self.sleep.is_none() || self.rings_at > clock::since_boot() + after {
            self.rings_at = clock::since_boot() + after;
            self.sleep = Some(Box::pin(sleep(after)));
        }
        if let Some(sleep) = &mut self.sleep {
            ready!(sleep.as_mut().poll(cx));
            self.sleep = None;
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test]
    async fn a_later_wish_leaves_the_timer_alone_and_an_earlier_one_sets_it_anew() {
        let mut timer = Timer::default();
        let far = Duration::from_secs(3_600);
        let near = Duration::from_millis(1);
        let mut wishes = [far, far, near, far].into_iter();
        poll_fn(|cx| {
            for wish in wishes.by_ref() {
                // The last wish is later than what the timer is set to, and must not push it back.
                assert!(timer.poll_after(cx, wish).is_pending());
            }
            timer.poll_after(cx, far)
        })
        .await;
        assert!(timer.sleep.is_none(), "it rang and has to be set again");
    }
}

//! What keeps one issuer's keys current over the network: a loop of its own, which nobody else's trouble holds up.
//!
//! It looks at the set when the last answer has grown old, and sooner when tokens name keys that are not there or an
//! operator asks. Keys outlive any trouble of their issuer, up to a limit that the operator sets: whoever can keep us
//! from the issuer for that long must not be able to keep a withdrawn key alive for ever.
#![forbid(unsafe_code)]

use super::Feed;
use super::fetch::Fetcher;
use super::kept::{KeptSets, is_young};
use super::ledger::Alarm;
use super::looking::{Ended, Looked, Looking};
use super::publish::{Lease, Publisher};
use super::shared::SharedSets;
use super::source::Remote;
use super::supply::{Supplied, Supply};
use crate::clock;
use bytes::Bytes;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Shortest time that a server may ask us to come back after.
const FRESH_MIN: Duration = Duration::from_secs(30);

/// Longest time between attempts while fetches fail.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// How often trust is held against the clock at least: timers stand still while the host sleeps.
const TRUST_LOOK_MAX: Duration = Duration::from_secs(30);

/// Follows one issuer until it is aborted.
pub(super) struct Follower {
    pub(super) feed: Feed,
    pub(super) remote: Remote,
    pub(super) lease: Arc<Lease>,
    /// Told when an operator wants a look.
    pub(super) nudge: Arc<Notify>,
    pub(super) looking: Arc<Looking>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) kept: Option<Arc<KeptSets>>,
    pub(super) shared: Option<Arc<SharedSets>>,
}

/// What the loop knows from one look to the next.
struct State {
    supply: Supply,
    failures: u32,
    /// When what is kept on disk was dated, as time since boot; `None` if it was not by us.
    kept_at: Option<Duration>,
}

/// What a look came to.
struct Found {
    outcome: &'static str,
    why: Option<String>,
    is_changed: bool,
    /// Whether a key that is not there does not exist: the issuer was asked since the look began.
    is_proof: bool,
    wait: Duration,
}

/// Why a rest is over.
enum Rested {
    /// The next look is due; `true` if for somebody's sake.
    Look(bool),
    /// Another host has brought something.
    News(Box<Supplied>),
}

impl Follower {
    pub(super) async fn run(self) {
        let now = clock::since_boot();
        let trust_left = self
            .looking
            .trusted_until()
            .map(|until| until.saturating_sub(now));
        let has_since = trust_left.map(|left| self.remote.keys_max_age.saturating_sub(left));
        let fetcher = Fetcher::new(self.remote.clone());
        let shared = self.shared.clone();
        let mut state = State {
            supply: Supply::new(fetcher, self.remote.clone(), shared, has_since),
            failures: 0,
            kept_at: None,
        };
        // What another host has fetched is had before anybody has to ask for it.
        let mut rested = Rested::Look(false);
        if let Some(news) = state.supply.news().await {
            let wait = self.hear(&mut state, news).await;
            self.looking.preloaded();
            rested = self.rest(&mut state, clock::since_boot() + wait).await;
        }
        loop {
            let wait = match rested {
                Rested::Look(is_sought) => {
                    let turn = self.publisher.take_fetch().await;
                    let wait = self.look(&mut state, is_sought).await;
                    drop(turn);
                    wait
                }
                Rested::News(news) => self.hear(&mut state, *news).await,
            };
            rested = self.rest(&mut state, clock::since_boot() + wait).await;
        }
    }

    /// Looks once; returns when to look again.
    async fn look(&self, state: &mut State, is_sought: bool) -> Duration {
        let issuer = &self.feed.owner.issuer;
        let began = self.looking.begin(is_sought);
        let found = match state.supply.fetch(is_sought).await {
            Ok(supplied) => self.take(state, supplied, began).await,
            Err(error) => {
                state.failures = state.failures.saturating_add(1);
                let wait = backoff(state.failures, &self.remote);
                tracing::warn!(
                    issuer = &**issuer,
                    source = %self.remote.endpoint,
                    failures = state.failures,
                    again_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                    "keys could not be fetched, and stay as they were: {error}"
                );
                Found {
                    outcome: error.outcome(),
                    why: Some(error.to_string()),
                    is_changed: false,
                    is_proof: false,
                    wait,
                }
            }
        };
        self.publisher.count_outcome(issuer, found.outcome);
        let how = match found.outcome {
            "ok" | "not_modified" | "shared" if found.is_proof => Ended::Well,
            "shared" => Ended::Unproven,
            _ => Ended::Badly(found.wait),
        };
        let looked = Looked {
            began,
            outcome: found.outcome,
            why: found.why,
        };
        self.looking.end(looked, how);
        if !matches!(how, Ended::Badly(_)) {
            state.failures = 0;
        }
        if how == Ended::Well || found.is_changed {
            // What was not asked of the issuer since then is an answer to nobody but those whose keys have come.
            let since = if found.is_proof {
                began
            } else {
                Duration::ZERO
            };
            let engine = self.publisher.engine();
            engine.keys_looked_at(issuer, since, found.is_changed);
        }
        found.wait
    }

    /// Takes what another host has brought; returns when to look.
    async fn hear(&self, state: &mut State, news: Supplied) -> Duration {
        let issuer = &self.feed.owner.issuer;
        let found = self.take(state, news, clock::since_boot()).await;
        self.publisher.count_outcome(issuer, found.outcome);
        if found.is_changed {
            let engine = self.publisher.engine();
            engine.keys_looked_at(issuer, Duration::ZERO, true);
        }
        found.wait
    }

    /// Takes what was brought. It is among the records when this returns.
    async fn take(&self, state: &mut State, mut supplied: Supplied, began: Duration) -> Found {
        let issuer = &self.feed.owner.issuer;
        if let Some(server_time) = supplied.server_time {
            self.publisher.note_time(issuer, server_time);
        }
        let trusted_until = (began + self.remote.keys_max_age).saturating_sub(supplied.age);
        let mut found = Found {
            outcome: match (supplied.is_shared, &supplied.set) {
                (true, _) => "shared",
                (false, Some(_)) => "ok",
                (false, None) => "not_modified",
            },
            why: None,
            is_changed: false,
            is_proof: supplied.is_proof,
            wait: fresh(supplied.fresh_for, &self.remote),
        };
        let Some((jwks, body)) = supplied.set.take() else {
            // What was withdrawn for its age is not here to be confirmed.
            if !self.publisher.has_keys(issuer) {
                state.supply.forget();
                found.outcome = "invalid";
                found.why = Some("the issuer says that nothing has changed since never".to_owned());
                found.wait = Duration::ZERO;
                return found;
            }
            self.looking.trust_until(Some(trusted_until));
            self.keep(state, None, Duration::ZERO).await;
            return found;
        };
        match self.feed.pin_noting(&jwks, &self.publisher) {
            Ok(keys) => {
                tracing::debug!(issuer = &**issuer, keys = keys.len(), "keys fetched");
                found.is_changed = self.publisher.publish(&self.lease, issuer, keys);
                self.looking.trust_until(Some(trusted_until));
                state.supply.settle(&mut supplied, true).await;
                self.keep(state, Some((body, found.is_changed)), supplied.age)
                    .await;
            }
            Err(error) => {
                state.supply.settle(&mut supplied, false).await;
                // Not remembered: the same broken set again must not pass for "not modified".
                state.supply.forget();
                state.failures = state.failures.saturating_add(1);
                tracing::warn!(issuer = &**issuer, "the keys stay as they were: {error}");
                found.outcome = "empty";
                found.why = Some(error.to_string());
                found.wait = backoff(state.failures, &self.remote);
            }
        }
        found
    }

    /// Waits for the next look, or for news.
    async fn rest(&self, state: &mut State, until: Duration) -> Rested {
        let news_every = state.supply.news_every();
        let mut news_at = news_every.map(|every| clock::since_boot() + every);
        loop {
            let now = clock::since_boot();
            let trusted = self.trust(now);
            let nap = [Some(until), news_at]
                .into_iter()
                .flatten()
                .map(|at| at.saturating_sub(now))
                .chain(trusted)
                .fold(TRUST_LOOK_MAX, Duration::min);
            tokio::select! {
                () = tokio::time::sleep(nap) => {
                    let now = clock::since_boot();
                    if now >= until {
                        return Rested::Look(false);
                    }
                    if news_at.is_some_and(|at| now >= at) {
                        if let Some(news) = state.supply.news().await {
                            return Rested::News(Box::new(news));
                        }
                        news_at = news_every.map(|every| clock::since_boot() + every);
                    }
                }
                () = self.looking.until_due() => return Rested::Look(true),
                () = self.nudge.notified() => {
                    tokio::time::sleep(self.looking.allowed_in()).await;
                    return Rested::Look(true);
                }
            }
        }
    }

    /// For how long the keys are trusted still; when that is over they are taken away.
    fn trust(&self, now: Duration) -> Option<Duration> {
        let until = self.looking.trusted_until()?;
        if until > now {
            return Some(until - now);
        }
        self.looking.trust_until(None);
        let issuer = &self.feed.owner.issuer;
        tracing::error!(
            issuer = &**issuer,
            "the issuer has not confirmed its keys for so long that they are not trusted any more"
        );
        self.publisher.withdraw(&self.lease, issuer);
        self.publisher.note(issuer, Alarm::TrustRanOut);
        None
    }

    /// Keeps a set on disk, or notes that what is kept there holds still.
    async fn keep(&self, state: &mut State, fetched: Option<(Bytes, bool)>, age: Duration) {
        let Some(kept) = self.kept.clone() else {
            return;
        };
        let now = clock::since_boot();
        let is_changed = fetched.as_ref().is_some_and(|(_, is_changed)| *is_changed);
        if is_young(state.kept_at, &self.remote, now) && !is_changed {
            return;
        }
        let (issuer, remote) = (Arc::clone(&self.feed.owner.issuer), self.remote.clone());
        let age_seconds = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        let seen_at = self.publisher.now().saturating_sub(age_seconds);
        #[expect(
            clippy::disallowed_methods,
            reason = "this runtime carries no connections, and writing a file is seldom"
        )]
        let written = tokio::task::spawn_blocking(move || match fetched {
            Some((body, _)) => kept.save(&issuer, &remote, seen_at, &body),
            None => kept.renew(&issuer, &remote, seen_at),
        });
        let written = written.await.unwrap_or_else(|error| Err(error.into()));
        match written {
            Ok(()) => state.kept_at = Some(now),
            Err(error) => {
                // Only a whole set can be kept, so that the next one is to be sent whole.
                state.supply.forget();
                let issuer = &*self.feed.owner.issuer;
                tracing::warn!(issuer, %error, "the keys are not kept on disk");
            }
        }
    }
}

/// When to come back after a good fetch: as the server asks, within bounds, and a little earlier, so that
/// a fleet that started together does not stay together.
pub(super) fn fresh(asked: Option<Duration>, remote: &Remote) -> Duration {
    let refresh = asked.map_or(remote.refresh, |asked| {
        asked.clamp(FRESH_MIN.min(remote.refresh), remote.refresh)
    });
    refresh.mul_f64(1.0 - 0.1 * random_fraction())
}

/// When to come back after a failed fetch: after 1 s, 2 s, 4 s and so on, each half of it by chance.
pub(super) fn backoff(failures: u32, remote: &Remote) -> Duration {
    let doubled = Duration::from_secs(1) * (1 << failures.saturating_sub(1).min(10));
    let wait = doubled.min(BACKOFF_MAX).min(remote.refresh);
    wait.mul_f64(0.5 + 0.5 * random_fraction())
}

/// From 0 to 1. Spreads load, protects nothing: the hasher's random seed is good enough.
fn random_fraction() -> f64 {
    let bits = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(bits >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Endpoint;

    fn remote(refresh_seconds: u64) -> Remote {
        Remote {
            refresh: Duration::from_secs(refresh_seconds),
            ..Remote::new(Endpoint::Jwks(
                "https://idp.example/jwks".parse().expect("a URL"),
            ))
        }
    }

    #[test]
    fn a_server_asks_to_come_back_within_our_bounds_only() {
        let remote = remote(300);
        for (asked, least, most) in [
            (None, 270, 300),
            (Some(0), 27, 30),
            (Some(60), 54, 60),
            (Some(86_400), 270, 300),
        ] {
            for _ in 0..50 {
                let wait = fresh(asked.map(Duration::from_secs), &remote);
                assert!(wait >= Duration::from_secs(least) && wait <= Duration::from_secs(most));
            }
        }
    }

    #[test]
    fn failures_wait_longer_and_longer_and_never_too_long() {
        let remote = remote(300);
        for (failures, most) in [(1, 1), (2, 2), (3, 4), (7, 60), (u32::MAX, 60)] {
            for _ in 0..50 {
                let wait = backoff(failures, &remote);
                assert!(wait <= Duration::from_secs(most) && wait * 2 >= Duration::from_secs(most));
            }
        }
    }
}

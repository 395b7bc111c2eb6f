//! What keeps one issuer's keys current: a loop that fetches or reads, and keeps the last good keys when
//! what it finds is broken or empty.
#![forbid(unsafe_code)]

use super::fetch::{Fetched, Fetcher};
use super::publish::{Lease, Publisher};
use super::source::{Files, NoUsableKey, Remote, Source, pin};
use crate::clock;
use crate::crypto::Scheme;
use crate::jose::JwkSet;
use crate::keys::{KeySet, Owner};
use crate::verify::IssuerKeys;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// An issuer's keys: whose they are, what they may be used for, and where they come from.
#[derive(Clone, Debug)]
pub struct Feed {
    /// Whose.
    pub owner: Owner,
    /// The schemes allowed, to one of which each key is pinned.
    pub schemes: Vec<Scheme>,
    /// Where from.
    pub source: Source,
}

/// Shortest time that a server may ask us to come back after.
const FRESH_MIN: Duration = Duration::from_secs(30);

/// Longest time between attempts while fetches fail.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// How often files are looked at although nothing told us that they changed: network file systems and
/// some container mounts tell nobody.
const POLL_INTERVAL: Duration = Duration::from_secs(30);

/// Files that change together are read together.
const SETTLE: Duration = Duration::from_millis(50);

/// The keys that are at hand before anything is fetched.
pub(super) struct AtHand {
    pub(super) keys: IssuerKeys,
    /// What files held, so that the loop reads on from there.
    pub(super) fingerprint: Option<[u8; 32]>,
}

impl Feed {
    /// Whether the other brings the very same keys.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.owner.issuer == other.owner.issuer
            && self.owner.tenant == other.owner.tenant
            && self.schemes == other.schemes
            && self.source == other.source
    }

    /// Reads what is at hand; a remote set is awaited.
    ///
    /// # Errors
    /// Why files or an inline set cannot be used, as a sentence.
    pub(super) fn read_at_hand(&self) -> Result<AtHand, String> {
        let (jwks, fingerprint) = match &self.source {
            Source::Remote(_) => {
                return Ok(AtHand {
                    keys: IssuerKeys::Awaited,
                    fingerprint: None,
                });
            }
            Source::Files(files) => {
                let read = files.read().map_err(|error| error.to_string())?;
                (read.jwks, Some(read.fingerprint))
            }
            Source::Inline(json) => {
                let jwks = JwkSet::parse(json.as_bytes()).map_err(|error| error.to_string())?;
                (jwks, None)
            }
            Source::Given(given) => (given.jwks(), None),
        };
        let keys = self.pin(&jwks).map_err(|error| error.to_string())?;
        Ok(AtHand {
            keys: IssuerKeys::Known(Arc::new(keys)),
            fingerprint,
        })
    }

    /// Pins what can be used, and says once what cannot.
    fn pin(&self, jwks: &JwkSet) -> Result<KeySet, NoUsableKey> {
        const SHOWN_MAX: usize = 8;
        if jwks.keys.is_empty() && jwks.skipped.is_empty() && self.source.may_be_empty() {
            return Ok(KeySet::empty());
        }
        let (keys, skipped) = pin(&self.owner, jwks, &self.schemes)?;
        if !skipped.is_empty() {
            let shown = &skipped[..skipped.len().min(SHOWN_MAX)];
            tracing::info!(
                issuer = &*self.owner.issuer,
                skipped = skipped.len(),
                "keys that cannot be used were left out: {}",
                shown.join("; ")
            );
        }
        Ok(keys)
    }
}

/// Keeps one feed current until it is aborted. `nudge` asks for an early look.
pub(super) async fn run(
    feed: Feed,
    fingerprint: Option<[u8; 32]>,
    lease: Arc<Lease>,
    nudge: Arc<Notify>,
    publisher: Arc<Publisher>,
) {
    match &feed.source {
        Source::Inline(_) | Source::Given(_) => {}
        Source::Files(files) => {
            let reader = Reader {
                files: Arc::new(files.clone()),
                seen: fingerprint,
                complained: None,
            };
            follow_files(&feed, reader, &lease, &nudge, &publisher).await;
        }
        Source::Remote(remote) => {
            let remote = remote.clone();
            follow_remote(&feed, &remote, &lease, &nudge, &publisher).await;
        }
    }
}

/// Reads an issuer's files, and knows what it has seen of them.
struct Reader {
    files: Arc<Files>,
    seen: Option<[u8; 32]>,
    complained: Option<String>,
}

async fn follow_files(
    feed: &Feed,
    mut reader: Reader,
    lease: &Lease,
    nudge: &Notify,
    publisher: &Publisher,
) {
    loop {
        match tokio::time::timeout(POLL_INTERVAL, nudge.notified()).await {
            Ok(()) => tokio::time::sleep(SETTLE).await,
            Err(_elapsed) => {}
        }
        let files = reader.files.clone();
        #[expect(
            clippy::disallowed_methods,
            reason = "this runtime carries no connections, and reading a file is seldom"
        )]
        let Ok(read) = tokio::task::spawn_blocking(move || files.read()).await else {
            continue;
        };
        let issuer = &feed.owner.issuer;
        let complaint = match read {
            Ok(read) if reader.seen == Some(read.fingerprint) => {
                reader.complained = None;
                continue;
            }
            Ok(read) => match feed.pin(&read.jwks) {
                Ok(keys) => {
                    tracing::info!(issuer = &**issuer, keys = keys.len(), "keys read anew");
                    publisher.publish(lease, issuer, keys);
                    publisher.count_outcome(issuer, "ok");
                    reader.seen = Some(read.fingerprint);
                    reader.complained = None;
                    continue;
                }
                Err(error) => (error.to_string(), "empty"),
            },
            Err(error) => (error.to_string(), "invalid"),
        };
        let (why, outcome) = complaint;
        publisher.count_outcome(issuer, outcome);
        // Said once, not at every look.
        if reader.complained.as_ref() != Some(&why) {
            tracing::warn!(issuer = &**issuer, "the keys stay as they were: {why}");
            reader.complained = Some(why);
        }
    }
}

async fn follow_remote(
    feed: &Feed,
    remote: &Remote,
    lease: &Lease,
    nudge: &Notify,
    publisher: &Publisher,
) {
    let issuer = &feed.owner.issuer;
    let mut fetcher = Fetcher::new(remote.clone());
    let mut failures = 0_u32;
    loop {
        let began = clock::since_boot();
        let (outcome, wait) = match fetcher.fetch().await {
            Ok(Fetched::NotModified(fresh_for)) => ("not_modified", fresh(fresh_for, remote)),
            Ok(Fetched::Set(jwks, fresh_for)) => match feed.pin(&jwks) {
                Ok(keys) => {
                    tracing::debug!(issuer = &**issuer, keys = keys.len(), "keys fetched");
                    publisher.publish(lease, issuer, keys);
                    ("ok", fresh(fresh_for, remote))
                }
                Err(error) => {
                    // Not remembered: the same broken set again must not pass for "not modified".
                    fetcher.forget();
                    failures = failures.saturating_add(1);
                    tracing::warn!(issuer = &**issuer, "the keys stay as they were: {error}");
                    ("empty", backoff(failures, remote))
                }
            },
            Err(error) => {
                failures = failures.saturating_add(1);
                let wait = backoff(failures, remote);
                tracing::warn!(
                    issuer = &**issuer,
                    source = %remote.endpoint,
                    failures,
                    again_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                    "keys could not be fetched, and stay as they were: {error}"
                );
                (error.outcome(), wait)
            }
        };
        publisher.count_outcome(issuer, outcome);
        if matches!(outcome, "ok" | "not_modified") {
            failures = 0;
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = nudge.notified() => {
                // However many tokens ask, it is one fetch, and not before its time.
                let passed = clock::since_boot().saturating_sub(began);
                tokio::time::sleep(remote.refetch_min.saturating_sub(passed)).await;
            }
        }
    }
}

/// When to come back after a good fetch: as the server asks, within bounds, and a little earlier, so that
/// a fleet that started together does not stay together.
fn fresh(asked: Option<Duration>, remote: &Remote) -> Duration {
    let refresh = asked.map_or(remote.refresh, |asked| {
        asked.clamp(FRESH_MIN.min(remote.refresh), remote.refresh)
    });
    refresh.mul_f64(1.0 - 0.1 * random_fraction())
}

/// When to come back after a failed fetch: after 1 s, 2 s, 4 s and so on, each half of it by chance.
fn backoff(failures: u32, remote: &Remote) -> Duration {
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
    use crate::upstream::{Endpoint, Remote};

    fn remote(refresh_seconds: u64) -> Remote {
        Remote {
            endpoint: Endpoint::Jwks("https://idp.example/jwks".parse().expect("a URL")),
            refresh: Duration::from_secs(refresh_seconds),
            refetch_min: crate::upstream::REFETCH_MIN,
            timeout: Duration::from_secs(5),
            ca_file: None,
            allow_redirect: false,
            allow_private_address: false,
            allow_insecure_loopback: false,
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

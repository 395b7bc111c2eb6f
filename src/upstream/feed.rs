//! An issuer's keys: those at hand, and a loop that reads its files again, and keeps the last good keys when what it
//! finds is broken or empty.
#![forbid(unsafe_code)]

use super::follow::Follower;
use super::kept::KeptSets;
use super::looking::Looking;
use super::publish::{Lease, Publisher};
use super::shared::SharedSets;
use super::source::{Files, NoUsableKey, Source, pin};
use crate::clock::{self, Now};
use crate::crypto::Scheme;
use crate::jose::JwkSet;
use crate::keys::{KeySet, Owner};
use crate::verify::IssuerKeys;
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
    /// Until when keys that were fetched once are trusted, as time since boot.
    pub(super) trusted_until: Option<Duration>,
}

impl AtHand {
    const NOTHING: Self = Self {
        keys: IssuerKeys::Awaited,
        fingerprint: None,
        trusted_until: None,
    };
}

impl Feed {
    /// Whether the other brings the very same keys.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.owner.issuer == other.owner.issuer
            && self.owner.tenant == other.owner.tenant
            && self.schemes == other.schemes
            && self.source == other.source
    }

    /// Reads what is at hand; a remote set that has not been kept is awaited.
    ///
    /// # Errors
    /// Why files or an inline set cannot be used, as a sentence.
    pub(super) fn read_at_hand(&self, kept: Option<(&KeptSets, Now)>) -> Result<AtHand, String> {
        let (jwks, fingerprint) = match &self.source {
            Source::Tenants(_) => return Ok(AtHand::NOTHING),
            Source::Remote(remote) => {
                let kept = kept.and_then(|(kept, now)| {
                    // The later the time, the less is still trusted.
                    kept.load(&self.owner.issuer, remote, now.latest)
                });
                let Some(kept) = kept else {
                    return Ok(AtHand::NOTHING);
                };
                let keys = JwkSet::parse(&kept.body).ok();
                let Some(keys) = keys.and_then(|jwks| self.pin(&jwks).ok()) else {
                    return Ok(AtHand::NOTHING);
                };
                tracing::info!(
                    issuer = &*self.owner.issuer,
                    keys = keys.len(),
                    trusted_seconds = kept.trust_left.as_secs(),
                    "keys taken from disk until they are fetched"
                );
                return Ok(AtHand {
                    keys: IssuerKeys::Known(Arc::new(keys)),
                    fingerprint: None,
                    trusted_until: Some(clock::since_boot() + kept.trust_left),
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
            trusted_until: None,
        })
    }

    /// Whether the other brings keys from the same place, for the same use, if perhaps on other terms.
    pub(super) fn is_same_source(&self, other: &Self) -> bool {
        let is_same = match (&self.source, &other.source) {
            (Source::Remote(one), Source::Remote(other)) => one.endpoint == other.endpoint,
            (one, other) => one == other,
        };
        is_same
            && self.owner.issuer == other.owner.issuer
            && self.owner.tenant == other.owner.tenant
            && self.schemes == other.schemes
    }

    /// Pins what can be used, and notes what cannot.
    pub(super) fn pin_noting(
        &self,
        jwks: &JwkSet,
        publisher: &Publisher,
    ) -> Result<KeySet, NoUsableKey> {
        if self.means_to_be_empty(jwks) {
            publisher.note_unusable(&self.owner.issuer, Vec::new());
            return Ok(KeySet::empty());
        }
        let pinned = pin(&self.owner, jwks, &self.schemes);
        let skipped = match &pinned {
            Ok((_, skipped)) | Err(NoUsableKey(skipped)) => skipped.clone(),
        };
        publisher.note_unusable(&self.owner.issuer, skipped);
        pinned.map(|(keys, _)| keys)
    }

    /// Whether there are no keys by the word of whoever has them, and not by accident.
    fn means_to_be_empty(&self, jwks: &JwkSet) -> bool {
        jwks.keys.is_empty() && jwks.skipped.is_empty() && self.source.may_be_empty()
    }

    /// Pins what can be used, and says what cannot.
    fn pin(&self, jwks: &JwkSet) -> Result<KeySet, NoUsableKey> {
        const SHOWN_MAX: usize = 8;
        if self.means_to_be_empty(jwks) {
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

/// What keeps a feed current needs besides the feed itself.
pub(super) struct Keeping {
    pub(super) fingerprint: Option<[u8; 32]>,
    pub(super) lease: Arc<Lease>,
    /// Asks for an early look.
    pub(super) nudge: Arc<Notify>,
    /// Of a feed that is fetched.
    pub(super) looking: Option<Arc<Looking>>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) kept: Option<Arc<KeptSets>>,
    pub(super) shared: Option<Arc<SharedSets>>,
}

/// Keeps one feed current until it is aborted.
pub(super) async fn run(feed: Feed, keeping: Keeping) {
    let Keeping {
        fingerprint,
        lease,
        nudge,
        looking,
        publisher,
        kept,
        shared,
    } = keeping;
    match (feed.source.clone(), looking) {
        (Source::Files(files), _) => {
            let reader = Reader {
                files: Arc::new(files),
                seen: fingerprint,
                complained: None,
            };
            follow_files(&feed, reader, &lease, &nudge, &publisher).await;
        }
        (Source::Remote(remote), Some(looking)) => {
            let follower = Follower {
                feed,
                remote,
                lease,
                nudge,
                looking,
                publisher,
                kept,
                shared,
            };
            follower.run().await;
        }
        _ => {}
    }
}

/// Waits until files may have changed.
pub(super) async fn changed(nudge: &Notify) {
    match tokio::time::timeout(POLL_INTERVAL, nudge.notified()).await {
        Ok(()) => tokio::time::sleep(SETTLE).await,
        Err(_elapsed) => {}
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
        changed(nudge).await;
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
            Ok(read) => match feed.pin_noting(&read.jwks, publisher) {
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

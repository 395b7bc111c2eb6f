//! What brings an issuer's set: the issuer, or whichever host that shares with this one has asked it last.
#![forbid(unsafe_code)]

use super::fetch::{FetchError, Fetched, Fetcher, Tag, Way};
use super::shared::{AHEAD_MS_MAX, Head, Lying, Mark, SharedSet, SharedSets, milliseconds};
use super::source::Remote;
use crate::clock;
use crate::jose::JwkSet;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// How often a host looks for what another is just fetching.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How much longer than a fetch may take a turn to fetch lasts.
const TURN_MORE: Duration = Duration::from_secs(1);

/// Brings one issuer's set, again and again.
pub(super) struct Supply {
    fetcher: Fetcher,
    remote: Remote,
    shared: Option<Shared>,
}

/// What this host has of the sets that are shared.
struct Shared {
    sets: Arc<SharedSets>,
    /// What the set is called there.
    source: String,
    /// Of the newest set that came here; nothing older is taken.
    stamp: u64,
    /// What lay there when it was last looked at.
    mark: Mark,
    is_followed: bool,
}

/// What was brought.
pub(super) struct Supplied {
    /// The set, and its text; `None` where the one we have is still the current one.
    pub(super) set: Option<(JwkSet, Bytes)>,
    /// How long it stays good from now on.
    pub(super) fresh_for: Option<Duration>,
    /// What time it is at the issuer, in seconds since the epoch.
    pub(super) server_time: Option<i64>,
    /// How long ago the issuer said so.
    pub(super) age: Duration,
    /// Whether the issuer was asked since this was wanted: only then a key that is not in it does not exist.
    pub(super) is_proof: bool,
    /// Whether another host asked.
    pub(super) is_shared: bool,
    /// For others, if it turns out to be good.
    offer: Option<SharedSet>,
}

impl Supply {
    /// From the issuer alone, or with others. The set that is here already was confirmed so long ago.
    pub(super) fn new(
        fetcher: Fetcher,
        remote: Remote,
        sets: Option<Arc<SharedSets>>,
        has_since: Option<Duration>,
    ) -> Self {
        let shared = sets.map(|sets| {
            let stamp = has_since.map(|age| sets.now().saturating_sub(milliseconds(age)));
            Shared {
                source: remote.endpoint.identity(),
                stamp: stamp.unwrap_or(0),
                mark: Mark::new(),
                is_followed: false,
                sets,
            }
        });
        Self {
            fetcher,
            remote,
            shared,
        }
    }

    /// How it went, for the next.
    pub(super) fn into_parts(self) -> (Way, Option<Tag>) {
        self.fetcher.into_parts()
    }

    /// Forgets the entity tag, so that the next fetch brings the whole set.
    pub(super) fn forget(&mut self) {
        self.fetcher.forget();
    }

    /// How often to look for [`Self::news`]; `None` where there are never any.
    pub(super) fn news_every(&mut self) -> Option<Duration> {
        let shared = self.shared.as_mut()?;
        if !shared.is_followed {
            shared.is_followed = true;
            shared.sets.count_follower(true);
        }
        Some(shared.sets.news_every())
    }

    /// What another host has brought since. It proves nothing of keys that are not in it.
    pub(super) async fn news(&mut self) -> Option<Supplied> {
        let shared = self.shared.as_mut()?;
        if shared.sets.mark(&shared.source).await? == shared.mark {
            return None;
        }
        let lying = shared.look().await?;
        let set = lying.set.filter(|set| shared.is_newer(set, &self.remote))?;
        shared.take(set, false)
    }

    /// Brings the set; past every cache on the way, if what these know was not enough.
    ///
    /// # Errors
    /// Why the issuer could not be asked, where no other host has either.
    pub(super) async fn fetch(&mut self, is_sought: bool) -> Result<Supplied, FetchError> {
        let Some(shared) = &mut self.shared else {
            let fetched = self.fetcher.fetch(is_sought).await?;
            return Ok(of_issuer(fetched, None));
        };
        let (lying, has_turn) = match shared.await_turn(&self.remote, is_sought).await {
            Turn::Over(supplied) => return Ok(*supplied),
            Turn::Ours(lying) => (Some(lying), true),
            Turn::Nobodys(lying) => (lying, false),
        };
        let asked_at = lying.as_ref().map(|lying| lying.now);
        let known = lying.and_then(|lying| lying.set);
        // Only what can be given to others in whole need not be sent.
        self.fetcher.set_tag(known.as_ref().and_then(tag_of));
        let began = shared.sets.now();
        match self.fetcher.fetch(is_sought).await {
            Ok(mut fetched) => {
                if let (None, Some(known)) = (&fetched.set, &known) {
                    // The one that lies there is still the current one, and perhaps not the one that is here.
                    let jwks = JwkSet::parse(&known.body);
                    let jwks = jwks.map_err(|error| FetchError::Invalid(error.to_string()))?;
                    fetched.set = Some((jwks, known.body.clone()));
                }
                let body = fetched.set.as_ref().map(|(_, body)| body.clone());
                let newest = known.map_or(0, |known| known.head.stamp);
                let newest = Some(newest).filter(|newest| *newest <= began + AHEAD_MS_MAX);
                let newest = newest.max(Some(shared.stamp)).unwrap_or(0);
                let offer = body.zip(asked_at).map(|(body, asked_at)| SharedSet {
                    head: Head {
                        source: shared.source.clone(),
                        stamp: began.max(newest + 1),
                        asked_at,
                        fresh_ms: fetched.fresh_for.map(milliseconds),
                        tag: self.fetcher.tag().and_then(|(uri, tag)| {
                            Some((uri.to_string(), tag.to_str().ok()?.to_owned()))
                        }),
                    },
                    body,
                });
                Ok(of_issuer(fetched, offer))
            }
            Err(error) => {
                if has_turn {
                    shared.sets.end_turn(&shared.source).await;
                }
                // What another host could fetch is better than nothing, however long ago.
                let set = known.filter(|known| shared.is_newer(known, &self.remote));
                set.and_then(|set| shared.take(set, false)).ok_or(error)
            }
        }
    }

    /// Tells the others of what was brought, if it `is_good` here: an empty or broken set must not replace theirs.
    pub(super) async fn settle(&mut self, supplied: &mut Supplied, is_good: bool) {
        let (Some(shared), Some(offer)) = (&mut self.shared, supplied.offer.take()) else {
            return;
        };
        if !is_good {
            return shared.sets.end_turn(&shared.source).await;
        }
        shared.stamp = offer.head.stamp;
        if let Some(mark) = shared.sets.offer(&offer, self.remote.keys_max_age).await {
            shared.mark = mark;
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.is_followed {
            self.sets.count_follower(false);
        }
    }
}

/// Who asks the issuer.
enum Turn {
    /// Nobody: another host just has.
    Over(Box<Supplied>),
    /// This host. So it was before.
    Ours(Lying),
    /// Whoever likes: Redis does not say, or somebody takes too long.
    Nobodys(Option<Lying>),
}

impl Shared {
    /// What lies there now. It is no news any more.
    async fn look(&mut self) -> Option<Lying> {
        let (lying, mark) = self.sets.look(&self.source).await?;
        self.mark = mark;
        Some(lying)
    }

    /// Waits until it is this host's turn, or another has asked.
    async fn await_turn(&mut self, remote: &Remote, is_sought: bool) -> Turn {
        let at_most = remote.timeout + TURN_MORE;
        let give_up_at = clock::since_boot() + at_most;
        let mut wanted_at = None;
        loop {
            let Some(lying) = self.look().await else {
                return Turn::Nobodys(None);
            };
            let wanted_at = *wanted_at.get_or_insert(lying.now);
            // A missing key may be in whatever is newer; should it not be, it is sought again, and then in nothing older.
            let taken = lying.set.clone().filter(|set| {
                let is_proof = set.head.asked_at >= wanted_at;
                self.is_newer(set, remote)
                    && (is_proof || is_sought || !self.fresh_for(set, remote).is_zero())
            });
            if let Some(set) = taken {
                let is_proof = set.head.asked_at >= wanted_at;
                if let Some(supplied) = self.take(set, is_proof) {
                    return Turn::Over(Box::new(supplied));
                }
            }
            match self.sets.take_turn(&self.source, at_most).await {
                Some(true) => return Turn::Ours(lying),
                Some(false) if clock::since_boot() < give_up_at => {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                _ => return Turn::Nobodys(Some(lying)),
            }
        }
    }

    /// Whether a set is newer than what is here, and may be trusted.
    fn is_newer(&self, set: &SharedSet, remote: &Remote) -> bool {
        let (now, stamp) = (self.sets.now(), set.head.stamp);
        stamp > self.stamp
            && stamp <= now.saturating_add(AHEAD_MS_MAX)
            && now.saturating_sub(stamp) < milliseconds(remote.keys_max_age)
    }

    fn age(&self, set: &SharedSet) -> Duration {
        Duration::from_millis(self.sets.now().saturating_sub(set.head.stamp))
    }

    /// How long the set stays good, as the issuer says or else as long as it would be left alone here.
    fn fresh_for(&self, set: &SharedSet, remote: &Remote) -> Duration {
        let asked = set.head.fresh_ms.map(Duration::from_millis);
        let asked = asked.unwrap_or(remote.refresh).min(remote.refresh);
        asked.saturating_sub(self.age(set))
    }

    /// Takes a set, if it can be read, and nothing older from now on.
    fn take(&mut self, set: SharedSet, is_proof: bool) -> Option<Supplied> {
        self.stamp = set.head.stamp;
        let jwks = JwkSet::parse(&set.body).ok()?;
        self.sets.count_taken();
        let age = self.age(&set);
        let fresh_for = set.head.fresh_ms.map(Duration::from_millis);
        Some(Supplied {
            fresh_for: fresh_for.map(|fresh| fresh.saturating_sub(age)),
            set: Some((jwks, set.body)),
            server_time: None,
            age,
            is_proof,
            is_shared: true,
            offer: None,
        })
    }
}

fn of_issuer(fetched: Fetched, offer: Option<SharedSet>) -> Supplied {
    Supplied {
        set: fetched.set,
        fresh_for: fetched.fresh_for,
        server_time: fetched.server_time,
        age: Duration::ZERO,
        is_proof: true,
        is_shared: false,
        offer,
    }
}

fn tag_of(set: &SharedSet) -> Option<Tag> {
    let (uri, tag) = set.head.tag.as_ref()?;
    Some((uri.parse().ok()?, tag.parse().ok()?))
}

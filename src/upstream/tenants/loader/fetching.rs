//! One fetch of one tenant's keys, and what becomes of it.

use super::super::TenantFeed;
use super::super::rest::ABSENT_FOR;
use super::{Known, Loader, keeping};
use crate::clock;
use crate::keys::{Changes, KeySet, Owner};
use crate::upstream::fetch::{FetchError, Fetcher, Tag, Way};
use crate::upstream::follow::{backoff, fresh};
use crate::upstream::kept::is_young;
use crate::upstream::source::{Remote, pin};
use crate::upstream::supply::{Supplied, Supply};
use crate::verify::TenantSought;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// A fetch that has ended.
pub(super) struct Done {
    pub(super) iss: Arc<str>,
    feed: Arc<TenantFeed>,
    pub(super) sought: TenantSought,
    pub(super) remote: Remote,
    brought: Result<Brought, FetchError>,
    way: Way,
    tag: Option<Tag>,
    was_loaded: bool,
    began: Duration,
}

/// What a fetch brought.
pub(super) struct Brought {
    pub(super) content: Content,
    pub(super) fresh_for: Option<Duration>,
    /// How long ago the issuer said so.
    pub(super) age: Duration,
    /// Whether the issuer was asked since the fetch began.
    pub(super) is_proof: bool,
    /// As metrics call it.
    pub(super) outcome: &'static str,
    /// What is other than in the set that the tenant had.
    pub(super) changes: Option<(Arc<KeySet>, Changes)>,
}

pub(super) enum Content {
    /// The set's keys, and its text.
    Keys(Arc<KeySet>, Bytes),
    /// The keys are those we have.
    Same,
    /// Nothing in it can be used.
    Unusable,
}

impl Loader {
    /// Begins to fetch a tenant's keys; `is_sought` if for the sake of one that the tenant lacks.
    pub(super) fn fetch(
        &mut self,
        iss: &Arc<str>,
        feed: &Arc<TenantFeed>,
        now: Duration,
        is_sought: bool,
    ) {
        let sought = self.publisher.records().seek_tenant_of(iss);
        let remote = sought
            .as_ref()
            .and_then(|sought| feed.keys.as_ref()?.remote_of(&sought.tenant));
        let (Some(sought), Some(remote)) = (sought, remote) else {
            return self.forget(iss);
        };
        let way = self.shared_of(feed, now).way.clone();
        let known = self
            .known
            .entry(Arc::clone(iss))
            .or_insert_with(|| Known::new(feed, now));
        self.due.remove(&(known.due, Arc::clone(iss)));
        known.is_fetching = true;
        let was_loaded = sought.is_loaded;
        self.loads += usize::from(!was_loaded);
        // Whoever is not loaded has no use for hearing that nothing has changed, nor has one whose set is to be written
        // to disk: always a whole one, for what lies there may be what could not be written over.
        let is_to_be_kept =
            self.kept.is_some() && sought.is_used && !is_young(known.kept_at, &remote, now);
        let tag = known.tag.take();
        let tag = tag.filter(|_| was_loaded && !is_to_be_kept);
        let has_since = known.fetched_at.map(|at| now.saturating_sub(at));
        let fetcher = Fetcher::resumed(remote.clone(), way, tag);
        let (sets, kept) = (self.sets.clone(), self.kept.clone());
        // Nobody else changes it meanwhile.
        let old = self.publisher.records().keys_of_tenant(iss).cloned();
        let mut supply = Supply::new(fetcher, remote.clone(), sets, has_since);
        self.asked.searches.begin(iss, is_sought, now);
        let publisher = Arc::clone(&self.publisher);
        let (iss, feed) = (Arc::clone(iss), Arc::clone(feed));
        self.fetches.spawn(async move {
            let turn = publisher.take_fetch().await;
            let supplied = supply.fetch(is_sought).await;
            drop(turn);
            let brought = match supplied {
                Ok(supplied) => Ok(bring(&mut supply, supplied, old, (&sought.owner, &feed)).await),
                Err(error) if was_loaded => Err(error),
                Err(error) => {
                    let wanted = (&iss, &remote, publisher.now());
                    keeping::kept_or(error, kept, wanted, &sought.owner, &feed).await
                }
            };
            let (way, tag) = supply.into_parts();
            Done {
                iss,
                feed,
                sought,
                remote,
                brought,
                way,
                tag,
                was_loaded,
                began: now,
            }
        });
    }

    pub(super) fn ended(&mut self, done: Option<Done>) {
        let Some(done) = done else {
            // A fetch that panicked is nobody's; its tenant is known as fetching, and forgotten here.
            self.loads = 0;
            self.known.retain(|_, known| !known.is_fetching);
            return;
        };
        self.loads = self.loads.saturating_sub(usize::from(!done.was_loaded));
        if !self.known.contains_key(&done.iss) {
            // It was let go of meanwhile, and its place may be another's.
            return;
        }
        let now = clock::since_boot();
        let current = self.asked.feeds.load().get(&done.feed.issuer).cloned();
        let is_same = |feed: &Arc<TenantFeed>| {
            feed.keys == done.feed.keys && feed.schemes == done.feed.schemes
        };
        if !current.as_ref().is_some_and(is_same) {
            // The configuration has moved on; should the tenant still be wanted, it is asked for again.
            return self.unload(&done.iss, &done.feed, "untrusted");
        }
        self.shared_of(&done.feed, now).way = done.way.clone();
        let mut is_changed = false;
        let (outcome, brought) = match &done.brought {
            Ok(brought) => match &brought.content {
                Content::Unusable => (brought.outcome, None),
                Content::Same => (brought.outcome, Some(brought)),
                Content::Keys(keys, _) => match self.publish(&done, Arc::clone(keys)) {
                    Some(changed) => {
                        is_changed = changed;
                        if let (true, Some((old, changes))) = (changed, &brought.changes) {
                            let tenant = (&done.feed.issuer, &*done.iss);
                            self.publisher.note_tenant(tenant, (old, keys), changes);
                        }
                        (brought.outcome, Some(brought))
                    }
                    // It has another name now, or is not ours any more.
                    None => return self.unload(&done.iss, &done.feed, "untrusted"),
                },
            },
            Err(error) => (error.outcome(), None),
        };
        self.publisher
            .count_tenant_fetch(&done.feed.issuer, outcome);
        match brought {
            Some(brought) => {
                self.asked.rest().forget(&done.iss);
                // Before anybody is called back: what the look has shown is known to those who come.
                let searches = &self.asked.searches;
                searches.succeed(&done.iss, &done.remote, done.began, now, brought.is_proof);
                let due = now + fresh(brought.fresh_for, &done.remote);
                let confirmed_at = now.saturating_sub(brought.age);
                self.schedule(&done, due, Some(confirmed_at), 0);
                if brought.outcome != "kept" {
                    self.keep(&done, brought, is_changed, now);
                }
                let since = if brought.is_proof {
                    done.began
                } else {
                    Duration::ZERO
                };
                self.call_back(&done.feed, &done.iss, since, is_changed);
            }
            None => self.failed(&done, now),
        }
    }

    fn failed(&mut self, done: &Done, now: Duration) {
        if done.was_loaded {
            let known = self.known.get(&done.iss);
            let failures = known.map_or(0, |known| known.failures).saturating_add(1);
            let fetched_at = known.and_then(|known| known.fetched_at);
            let wait = backoff(failures, &done.remote);
            self.asked.searches.fail(&done.iss, wait, now);
            return self.schedule(done, now + wait, fetched_at, failures);
        }
        self.forget(&done.iss);
        let says_no = matches!(&done.brought, Err(error) if error.says_no());
        if says_no {
            self.asked.rest().absent(&done.iss, now);
            self.publisher.count_tenant(&done.feed.issuer, "absent");
            self.change(|records| Some(records.with_absent(&done.iss, true)));
        } else {
            let failures = self.asked.rest().failures(&done.iss).saturating_add(1);
            let wait = backoff(failures, &done.remote).min(ABSENT_FOR);
            self.asked.rest().failed(&done.iss, wait, now);
        }
        // They are told that it does not exist, or when asking again will help.
        self.call_back(&done.feed, &done.iss, done.began, true);
    }

    /// Publishes a tenant's keys, unless they are those it has. Whether they are others; `None` where they were fetched
    /// for somebody whom the records do not know so.
    fn publish(&self, done: &Done, keys: Arc<KeySet>) -> Option<bool> {
        let turn = self.publisher.take_turn();
        let records = turn.records();
        let owner = &done.sought.owner;
        let current = records.seek_tenant_of(&done.iss);
        if !current.is_some_and(|current| {
            current.owner.issuer == owner.issuer && current.owner.tenant == owner.tenant
        }) {
            return None;
        }
        let known = records.keys_of_tenant(&done.iss);
        if known.is_some_and(|known| known.is_same(&keys)) {
            return Some(false);
        }
        let next = records.with_tenant(&done.iss, Some(keys))?;
        turn.replace(next);
        if !done.was_loaded {
            self.publisher.count_tenant(&done.feed.issuer, "loaded");
        }
        Some(true)
    }

    fn schedule(
        &mut self,
        done: &Done,
        due: Duration,
        fetched_at: Option<Duration>,
        failures: u32,
    ) {
        if let Some(known) = self.known.get_mut(&done.iss) {
            known.is_fetching = false;
            known.fetched_at = fetched_at;
            known.failures = failures;
            known.refresh_at = due;
            known.tag.clone_from(&done.tag);
            // Somebody may have missed a key since the fetch began.
            let wanted = self.asked.searches.due_at(&done.iss, clock::since_boot());
            known.due = wanted.map_or(due, |wanted| wanted.min(due));
            self.due.insert((known.due, Arc::clone(&done.iss)));
        }
    }
}

/// What a tenant's keys are by what was brought; others are told of them if they are good.
async fn bring(
    supply: &mut Supply,
    mut supplied: Supplied,
    old: Option<Arc<KeySet>>,
    (owner, feed): (&Owner, &TenantFeed),
) -> Brought {
    let mut changes = None;
    let content = match supplied.set.take() {
        None => Content::Same,
        Some((jwks, body)) => match pin(owner, &jwks, &feed.schemes) {
            Ok((mut keys, _)) => {
                changes = old.map(|old| {
                    let changes = keys.follow(&old);
                    (old, changes)
                });
                Content::Keys(Arc::new(keys), body)
            }
            Err(_) => Content::Unusable,
        },
    };
    let is_good = !matches!(content, Content::Unusable);
    let outcome = match content {
        Content::Unusable => "empty",
        _ if supplied.is_shared => "shared",
        Content::Same => "not_modified",
        Content::Keys(..) => "ok",
    };
    supply.settle(&mut supplied, is_good).await;
    Brought {
        content,
        fresh_for: supplied.fresh_for,
        age: supplied.age,
        is_proof: supplied.is_proof,
        outcome,
        changes,
    }
}

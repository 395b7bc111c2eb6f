//! One fetch of one tenant's keys, and what becomes of it.

use super::super::TenantFeed;
use super::super::rest::ABSENT_FOR;
use super::{Known, Loader};
use crate::clock;
use crate::keys::KeySet;
use crate::upstream::client::HttpClient;
use crate::upstream::feed::{backoff, fresh};
use crate::upstream::fetch::{FetchError, Fetched, Fetcher, Tag};
use crate::upstream::source::{Remote, pin};
use crate::verify::TenantSought;
use std::sync::Arc;
use std::time::Duration;

/// A fetch that has ended.
pub(super) struct Done {
    iss: Arc<str>,
    feed: Arc<TenantFeed>,
    sought: TenantSought,
    remote: Remote,
    fetched: Result<Fetched, FetchError>,
    client: Option<HttpClient>,
    tag: Option<Tag>,
    was_loaded: bool,
}

impl Loader {
    pub(super) fn fetch(&mut self, iss: &Arc<str>, feed: &Arc<TenantFeed>, now: Duration) {
        let sought = self.publisher.records().seek_tenant_of(iss);
        let remote = sought
            .as_ref()
            .and_then(|sought| feed.keys.as_ref()?.remote_of(&sought.tenant));
        let (Some(sought), Some(remote)) = (sought, remote) else {
            return self.forget(iss);
        };
        let client = self.shared_of(feed, now).client.clone();
        let known = self
            .known
            .entry(Arc::clone(iss))
            .or_insert_with(|| Known::new(feed, now));
        self.due.remove(&(known.due, Arc::clone(iss)));
        known.is_fetching = true;
        let was_loaded = sought.is_loaded;
        self.loads += usize::from(!was_loaded);
        // Whoever is not loaded has no use for hearing that nothing has changed.
        let tag = known.tag.take().filter(|_| was_loaded);
        let mut fetcher = Fetcher::resumed(remote.clone(), client, tag);
        let (iss, feed) = (Arc::clone(iss), Arc::clone(feed));
        self.fetches.spawn(async move {
            let fetched = fetcher.fetch().await;
            let (client, tag) = fetcher.into_parts();
            Done {
                iss,
                feed,
                sought,
                remote,
                fetched,
                client,
                tag,
                was_loaded,
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
        let now = clock::since_boot();
        let current = self.feeds.load().get(&done.feed.issuer).cloned();
        let is_same = |feed: &Arc<TenantFeed>| {
            feed.keys == done.feed.keys && feed.schemes == done.feed.schemes
        };
        if !current.as_ref().is_some_and(is_same) {
            // The configuration has moved on; should the tenant still be wanted, it is asked for again.
            return self.unload(&done.iss, &done.feed, "untrusted");
        }
        self.shared_of(&done.feed, now).client = done.client.clone();
        let (outcome, fresh_for) = match &done.fetched {
            Ok(Fetched::NotModified(fresh_for)) => ("not_modified", Some(*fresh_for)),
            Ok(Fetched::Set(jwks, fresh_for)) => {
                match pin(&done.sought.owner, jwks, &done.feed.schemes) {
                    Ok((keys, _)) => {
                        if !self.publish(&done, keys) {
                            // It has another name now, or is not ours any more.
                            return self.unload(&done.iss, &done.feed, "untrusted");
                        }
                        ("ok", Some(*fresh_for))
                    }
                    Err(_) => ("empty", None),
                }
            }
            Err(error) => (error.outcome(), None),
        };
        self.publisher
            .count_tenant_fetch(&done.feed.issuer, outcome);
        match fresh_for {
            Some(fresh_for) => {
                self.rest.forget(&done.iss);
                self.schedule(&done, now + fresh(fresh_for, &done.remote), Some(now), 0);
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
            return self.schedule(done, now + wait, fetched_at, failures);
        }
        self.forget(&done.iss);
        let says_no = matches!(&done.fetched, Err(FetchError::Status(status))
            if status.is_client_error() && !matches!(status.as_u16(), 408 | 425 | 429));
        if says_no {
            self.rest.absent(&done.iss, now);
            self.publisher.count_tenant(&done.feed.issuer, "absent");
            self.change(|records| Some(records.with_absent(&done.iss, true)));
        } else {
            let wait = backoff(
                self.rest.failures(&done.iss).saturating_add(1),
                &done.remote,
            );
            self.rest.failed(&done.iss, wait.min(ABSENT_FOR), now);
        }
    }

    /// Publishes a tenant's keys, unless they are those it has: a new generation would cost its cached verdicts. False
    /// where they were fetched for somebody whom the records do not know so.
    fn publish(&self, done: &Done, keys: KeySet) -> bool {
        let turn = self.publisher.take_turn();
        let records = turn.records();
        let owner = &done.sought.owner;
        let current = records.seek_tenant_of(&done.iss);
        if !current.is_some_and(|current| {
            current.owner.issuer == owner.issuer && current.owner.tenant == owner.tenant
        }) {
            return false;
        }
        let known = records.keys_of_tenant(&done.iss);
        if known.is_some_and(|known| known.is_same(&keys)) {
            return true;
        }
        let Some(next) = records.with_tenant(&done.iss, Some(Arc::new(keys))) else {
            return false;
        };
        turn.replace(next);
        if !done.was_loaded {
            self.publisher.count_tenant(&done.feed.issuer, "loaded");
        }
        true
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
            known.due = due;
            known.tag.clone_from(&done.tag);
            self.due.insert((due, Arc::clone(&done.iss)));
        }
    }
}

//! The loop that loads tenants, keeps their keys current, and lets go of those that nobody uses.

mod fetching;
mod keeping;

use super::bucket::Bucket;
use super::{Asked, Feeds, TenantFeed};
use crate::clock;
use crate::upstream::fetch::{Tag, Way};
use crate::upstream::kept::KeptSets;
use crate::upstream::publish::Publisher;
use crate::upstream::shared::SharedSets;
use crate::verify::{Records, TenantSought};
use fetching::Done;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Most fetches at a time.
const FETCHES_MAX: usize = 16;

/// Of those, most for tenants that are not loaded: those that are must not wait behind a flood.
const LOADS_MAX: usize = 12;

/// Shortest time between two rounds: however fast names come, this is all that they cost.
const ROUND_MIN: Duration = Duration::from_millis(5);

/// Longest time between two rounds.
const ROUND_MAX: Duration = Duration::from_secs(30);

/// How long a loaded tenant that no token has proved stays at least, and at most.
const UNPROVEN_MIN: Duration = Duration::from_secs(2);
const UNPROVEN_MAX: Duration = Duration::from_secs(60);

/// How long one must have been unused to make room for another.
const UNUSED_MIN: Duration = Duration::from_secs(10);

/// Time between two looks for who is unused.
const SWEEP: Duration = Duration::from_secs(10);

/// See the module.
pub(super) struct Loader {
    asked: Arc<Asked>,
    publisher: Arc<Publisher>,
    /// What other hosts have fetched.
    sets: Option<Arc<SharedSets>>,
    /// What was fetched before this start.
    kept: Option<Arc<KeptSets>>,
    /// By template: what its fetches share.
    shared: HashMap<Arc<str>, Shared>,
    /// Tenants that are loaded, or about to be, by `iss`.
    known: HashMap<Arc<str>, Known>,
    /// When each is next looked at.
    due: BTreeSet<(Duration, Arc<str>)>,
    fetches: JoinSet<Done>,
    /// How many of those are for tenants that are not loaded.
    loads: usize,
    /// The templates that all this was held against last.
    reconciled: Arc<Feeds>,
    swept_at: Duration,
}

struct Shared {
    bucket: Bucket,
    way: Way,
}

struct Known {
    template: Arc<str>,
    loaded_at: Duration,
    /// When it is next looked at.
    due: Duration,
    /// When that is so whether or not anybody misses a key of it.
    refresh_at: Duration,
    /// When its keys were last fetched well; `None` while it is not loaded.
    fetched_at: Option<Duration>,
    failures: u32,
    tag: Option<Tag>,
    /// When what is kept on disk was dated; `None` if it was not by us.
    kept_at: Option<Duration>,
    is_fetching: bool,
}

impl Known {
    fn new(feed: &TenantFeed, now: Duration) -> Self {
        Self {
            template: Arc::clone(&feed.issuer),
            loaded_at: now,
            due: now,
            refresh_at: now,
            fetched_at: None,
            failures: 0,
            tag: None,
            kept_at: None,
            is_fetching: false,
        }
    }
}

impl Loader {
    pub(super) fn new(
        asked: Arc<Asked>,
        publisher: Arc<Publisher>,
        (sets, kept): (Option<Arc<SharedSets>>, Option<Arc<KeptSets>>),
    ) -> Self {
        Self {
            asked,
            publisher,
            sets,
            kept,
            shared: HashMap::new(),
            known: HashMap::new(),
            due: BTreeSet::new(),
            fetches: JoinSet::new(),
            loads: 0,
            reconciled: Arc::default(),
            swept_at: Duration::ZERO,
        }
    }

    pub(super) async fn run(mut self) {
        let mut wait = ROUND_MAX;
        loop {
            tokio::select! {
                () = self.asked.wishes.woken() => {}
                Some(done) = self.fetches.join_next() => self.ended(done.ok()),
                () = tokio::time::sleep(wait) => {}
            }
            while let Some(done) = self.fetches.try_join_next() {
                self.ended(done.ok());
            }
            wait = self.round(clock::since_boot());
            tokio::time::sleep(ROUND_MIN).await;
        }
    }

    /// Does what is to be done now; returns how long nothing will be.
    fn round(&mut self, now: Duration) -> Duration {
        let feeds = self.asked.feeds.load_full();
        if !Arc::ptr_eq(&feeds, &self.reconciled) {
            self.reconcile(&feeds);
            self.reconciled = Arc::clone(&feeds);
        }
        let over = self.asked.rest().over(now);
        self.are_absent_no_longer(&over);
        let wanted = std::mem::take(&mut *self.asked.to_refresh());
        self.refresh(&wanted, now);
        self.look_after_due(&feeds, now);
        if now >= self.swept_at + SWEEP {
            self.swept_at = now;
            self.let_go_of_idle(&feeds, now);
        }
        let refilled_in = self.grant_wishes(&feeds, now);
        let due_in = self.due.first().map(|(at, _)| at.saturating_sub(now));
        [refilled_in, due_in, Some(ROUND_MAX)]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(ROUND_MAX)
    }

    /// Forgets tenants that a reload has put out, and what was said of others before something changed.
    fn reconcile(&mut self, feeds: &Feeds) {
        let is_kept = |(name, feed): (&Arc<str>, &Arc<TenantFeed>)| {
            let before = self.reconciled.get(name);
            before.is_none_or(|before| before.keys == feed.keys)
        };
        if !feeds.iter().all(is_kept) {
            let absent = self.asked.rest().clear();
            self.are_absent_no_longer(&absent);
        }
        // Whom a client trusts, and how fast a bucket fills, is the configuration's word, and that has changed.
        self.shared.retain(|name, _| {
            let (now, before) = (feeds.get(name), self.reconciled.get(name));
            now.zip(before)
                .is_some_and(|(now, before)| Arc::ptr_eq(now, before))
        });
        let records = self.publisher.records();
        let gone: Vec<Arc<str>> = self
            .known
            .iter()
            .filter(|(iss, known)| {
                let is_loaded = || records.seek_tenant_of(iss).is_some_and(|it| it.is_loaded);
                !feeds.contains_key(&known.template)
                    || (known.fetched_at.is_some() && !known.is_fetching && !is_loaded())
            })
            .map(|(iss, _)| Arc::clone(iss))
            .collect();
        for iss in gone {
            self.forget(&iss);
        }
    }

    /// Sees to it that every loaded tenant of these templates is looked at now.
    fn refresh(&mut self, templates: &BTreeSet<Arc<str>>, now: Duration) {
        if templates.is_empty() {
            return;
        }
        for (iss, known) in &mut self.known {
            if templates.contains(&known.template) && known.fetched_at.is_some() {
                known.refresh_at = now;
                if !known.is_fetching {
                    self.due.remove(&(known.due, Arc::clone(iss)));
                    known.due = now;
                    self.due.insert((now, Arc::clone(iss)));
                }
            }
        }
    }

    fn are_absent_no_longer(&self, tenants: &[Arc<str>]) {
        for iss in tenants {
            self.change(|records| Some(records.with_absent(iss, false)));
        }
    }

    /// Fetches again whose time has come, and lets go of who is not used.
    fn look_after_due(&mut self, feeds: &Feeds, now: Duration) {
        while let Some((at, iss)) = self.due.first().cloned() {
            if at > now || self.fetches.len() >= FETCHES_MAX {
                return;
            }
            self.due.remove(&(at, Arc::clone(&iss)));
            let Some(known) = self.known.get(&iss).filter(|known| !known.is_fetching) else {
                continue;
            };
            let Some(feed) = feeds.get(&known.template) else {
                continue;
            };
            let is_refresh = now >= known.refresh_at;
            let trusted_for = feed.keys.as_ref().map(|keys| keys.remote.keys_max_age);
            let trusted = known
                .fetched_at
                .zip(trusted_for)
                .is_none_or(|(at, trusted_for)| now < at + trusted_for);
            if !trusted {
                tracing::warn!(
                    issuer = &*feed.issuer,
                    "a tenant's keys are trusted no longer: nobody confirmed them"
                );
                self.unload(&iss, feed, "untrusted");
                continue;
            }
            let feed = Arc::clone(feed);
            // For the sake of a key, the bucket has to allow it; to stay current it has not.
            if !is_refresh && let Err(wait) = self.shared_of(&feed, now).bucket.take(now) {
                self.look_at(&iss, now + wait.max(ROUND_MIN));
                continue;
            }
            self.fetch(&iss, &feed, now, !is_refresh);
        }
    }

    fn let_go_of_idle(&mut self, feeds: &Feeds, now: Duration) {
        let records = self.publisher.records();
        let idle: Vec<(Arc<str>, Arc<TenantFeed>)> = records
            .tenants()
            .filter_map(|tenant| {
                let feed = feeds.get(tenant.template)?;
                let is_idle = match (self.known.get(tenant.iss), tenant.used_at) {
                    // Nobody would keep its keys current.
                    (None, _) => true,
                    (Some(_), Some(at)) => now > Duration::from_secs(at.into()) + feed.terms.idle,
                    (Some(known), None) => {
                        now > known.loaded_at + feed.terms.idle.min(UNPROVEN_MAX)
                    }
                };
                is_idle.then(|| (Arc::clone(tenant.iss), Arc::clone(feed)))
            })
            .collect();
        for (iss, feed) in idle {
            self.unload(&iss, &feed, "idle");
        }
    }

    /// Loads who is asked for, as far as bucket and room go; returns when there will be more.
    fn grant_wishes(&mut self, feeds: &Feeds, now: Duration) -> Option<Duration> {
        let mut dry: Vec<Arc<str>> = Vec::new();
        let mut refilled_in: Option<Duration> = None;
        loop {
            let records = self.publisher.records();
            if self.loads >= LOADS_MAX || self.fetches.len() >= FETCHES_MAX {
                // The end of a fetch is the next round's beginning.
                return refilled_in;
            }
            let is_dry = |iss: &str| {
                let template = || records.template_of(iss);
                !dry.is_empty() && template().is_some_and(|template| dry.contains(template))
            };
            let Some(iss) = self.asked.wishes.take(|iss| !is_dry(iss)) else {
                return refilled_in;
            };
            let iss: Arc<str> = iss.into();
            let Some(sought) = records.seek_tenant_of(&iss) else {
                continue;
            };
            let Some(feed) = feeds.get(&sought.owner.issuer).cloned() else {
                continue;
            };
            if self.is_answered(&iss, &sought, &feed, now) {
                continue;
            }
            if sought.shares_keys {
                if self.make_room(&feed, now) {
                    self.change(|records| records.with_tenant(&iss, None));
                    self.publisher.count_tenant(&feed.issuer, "loaded");
                    self.call_back(&feed, &iss, now, true);
                    self.known.insert(iss, Known::new(&feed, now));
                }
                continue;
            }
            if sought.is_loaded && self.known.contains_key(&iss) {
                // At the end of a fetch that is under way, it is seen whether another is wanted.
                if let Some(at) = self.asked.searches.due_at(&iss, now) {
                    self.look_at(&iss, at);
                }
                continue;
            }
            let shared = self.shared_of(&feed, now);
            if let Err(wait) = shared.bucket.take(now) {
                refilled_in = refilled_in.into_iter().chain([wait]).min();
                // It is asked for again if somebody still wants it; others of this template wait as well.
                self.asked.wishes.wish_quietly(&iss);
                dry.push(Arc::clone(&feed.issuer));
                if dry.len() == feeds.len() {
                    return refilled_in;
                }
                continue;
            }
            if !sought.is_loaded && !self.make_room(&feed, now) {
                self.publisher.count_tenant(&feed.issuer, "full");
                continue;
            }
            self.fetch(&iss, &feed, now, false);
        }
    }

    /// Whether nothing need be done about a wish: it was granted lately, or cannot be yet.
    fn is_answered(
        &self,
        iss: &str,
        sought: &TenantSought,
        feed: &TenantFeed,
        now: Duration,
    ) -> bool {
        if sought.shares_keys || feed.keys.is_none() {
            // Where all have the template's keys and those have not come, nothing can be done about one.
            return sought.is_loaded || !sought.shares_keys;
        }
        let known = self.known.get(iss);
        self.asked.rest().holds(iss, now) || known.is_some_and(|known| known.is_fetching)
    }

    /// Sees to it that one more tenant of a template may be loaded. Whoever has not been proved by a token goes first,
    /// then whoever is unused for longest; one in use never goes.
    fn make_room(&mut self, feed: &TenantFeed, now: Duration) -> bool {
        let records = self.publisher.records();
        let mine = || {
            records
                .tenants()
                .filter(|tenant| *tenant.template == feed.issuer)
        };
        if mine().count() + self.loads < feed.terms.tenants_max {
            return true;
        }
        let loaded_at = |iss: &str| self.known.get(iss).map(|known| known.loaded_at);
        let unproven = mine()
            .filter(|tenant| tenant.used_at.is_none())
            .map(|tenant| (loaded_at(tenant.iss).unwrap_or_default(), tenant.iss))
            .filter(|(since, _)| now >= *since + UNPROVEN_MIN)
            .min();
        let unused = || {
            let used = mine().filter_map(|tenant| {
                Some((Duration::from_secs(tenant.used_at?.into()), tenant.iss))
            });
            used.filter(|(since, _)| now >= *since + UNUSED_MIN).min()
        };
        let Some((_, iss)) = unproven.or_else(unused) else {
            return false;
        };
        let iss = Arc::clone(iss);
        self.unload(&iss, feed, "evicted");
        true
    }

    fn unload(&mut self, iss: &Arc<str>, feed: &TenantFeed, why: &'static str) {
        self.change(|records| records.without_tenant(iss));
        self.publisher.count_tenant(&feed.issuer, why);
        self.forget(iss);
    }

    fn forget(&mut self, iss: &Arc<str>) {
        self.asked.searches.forget(iss);
        if let Some(known) = self.known.remove(iss) {
            self.due.remove(&(known.due, Arc::clone(iss)));
        }
    }

    /// Sees to it that a tenant is looked at no later than this.
    fn look_at(&mut self, iss: &Arc<str>, at: Duration) {
        let Some(known) = self.known.get_mut(iss).filter(|known| !known.is_fetching) else {
            return;
        };
        self.due.remove(&(known.due, Arc::clone(iss)));
        known.due = at.min(known.refresh_at);
        self.due.insert((known.due, Arc::clone(iss)));
    }

    /// Calls back the tokens that wait for a tenant.
    fn call_back(&self, feed: &TenantFeed, iss: &str, began: Duration, is_changed: bool) {
        let engine = self.publisher.engine();
        engine.tenant_looked_at(&feed.issuer, iss, began, is_changed);
    }

    fn shared_of(&mut self, feed: &TenantFeed, now: Duration) -> &mut Shared {
        self.shared
            .entry(Arc::clone(&feed.issuer))
            .or_insert_with(|| Shared {
                bucket: Bucket::full(feed.terms.fetches_per_second, now),
                way: Way::default(),
            })
    }

    fn change(&self, change: impl FnOnce(&Records) -> Option<Records>) {
        let turn = self.publisher.take_turn();
        if let Some(next) = change(&turn.records()) {
            turn.replace(next);
        }
    }
}

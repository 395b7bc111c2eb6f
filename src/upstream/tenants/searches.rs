//! When the set of a loaded tenant is looked at for the sake of keys that it lacks, and what a look has shown.

use crate::engine::{MissingTenant, Sought};
use crate::upstream::search::Search;
use crate::upstream::source::Remote;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One search for each tenant that is loaded, by its `iss`.
#[derive(Default)]
pub(super) struct Searches {
    by_iss: Mutex<HashMap<Arc<str>, Search>>,
    /// Names keys to the searches; keyed, so that nobody can choose names that meet.
    names: RandomState,
}

impl Searches {
    /// What can be said of a key that a tenant lacks, and whether its set is to be looked at; `None` where nothing is
    /// known of the tenant.
    pub(super) fn seek(&self, tenant: &MissingTenant<'_>, now: Duration) -> Option<(Sought, bool)> {
        let key = self.names.hash_one(tenant.kid);
        let mut all = self.lock();
        let search = all.get_mut(&**tenant.iss)?;
        let sought = search.seek(key, tenant.asked_at, now);
        Some((sought, search.due_at(now).is_some()))
    }

    /// When a tenant's set is to be looked at for the sake of a key; `None` where nobody wants that.
    pub(super) fn due_at(&self, iss: &str, now: Duration) -> Option<Duration> {
        self.lock().get(iss)?.due_at(now)
    }

    /// A look at a loaded tenant's set begins; `is_sought` if it does for the sake of a key.
    pub(super) fn begin(&self, iss: &str, is_sought: bool, now: Duration) {
        if let Some(search) = self.lock().get_mut(iss) {
            search.begin(is_sought, now);
        }
    }

    /// It was answered, and what it brought is in the records; a proof of what is not in it only if the issuer was asked
    /// since. The first of a tenant began at this time.
    pub(super) fn succeed(
        &self,
        iss: &Arc<str>,
        remote: &Remote,
        began: Duration,
        now: Duration,
        is_proof: bool,
    ) {
        let mut all = self.lock();
        let search = all.entry(Arc::clone(iss)).or_insert_with(|| {
            let mut search = Search::new(remote.refetch_min, remote.key_wait, began);
            search.begin(false, began);
            search
        });
        if is_proof {
            search.succeed(now);
        } else {
            search.end_unproven(now);
        }
    }

    /// It brought nothing.
    pub(super) fn fail(&self, iss: &str, again_in: Duration, now: Duration) {
        if let Some(search) = self.lock().get_mut(iss) {
            search.fail(again_in, now);
        }
    }

    /// The tenant is not loaded any more.
    pub(super) fn forget(&self, iss: &str) {
        self.lock().remove(iss);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Search>> {
        self.by_iss.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! One issuer's looks, as those see them who wait for one: tokens by their missing keys, and operators.
#![forbid(unsafe_code)]

use super::search::Search;
use super::source::Remote;
use crate::clock;
use crate::engine::{MissingKey, Sought};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// What the loop that fetches an issuer's set shares with others.
pub(super) struct Looking {
    search: Mutex<Search>,
    /// Names keys to the search; keyed, so that nobody can choose names that meet.
    names: RandomState,
    /// Told when the search may want something.
    wanted: Notify,
    /// The last look that has ended.
    ended: watch::Sender<Looked>,
    /// Until when the keys that are there are trusted; `None` while there are none.
    trusted_until: Mutex<Option<Duration>>,
}

/// A look that has ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Looked {
    /// When it began, as time since boot.
    pub(super) began: Duration,
    /// How it ended, as metrics call it; empty before the first.
    pub(super) outcome: &'static str,
    /// Why it brought nothing.
    pub(super) why: Option<String>,
}

/// How a look ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The issuer answered, and its keys are among the records.
    Well,
    /// Another host asked it before the look began: keys are there, and of those that are not nothing is known.
    Unproven,
    /// It did not, and will be asked again after so long.
    Badly(Duration),
}

impl Looking {
    /// Of an issuer that has not been looked at, whose keys at hand are trusted until then.
    pub(super) fn new(remote: &Remote, trusted_until: Option<Duration>) -> Self {
        let now = clock::since_boot();
        Self {
            search: Mutex::new(Search::new(remote.refetch_min, remote.key_wait, now)),
            names: RandomState::new(),
            wanted: Notify::new(),
            ended: watch::Sender::new(Looked::default()),
            trusted_until: Mutex::new(trusted_until),
        }
    }

    /// What other hosts have is about to be looked at: keys may come of it.
    pub(super) fn preload(&self) {
        self.search().begin(false, clock::since_boot());
    }

    /// They have come.
    pub(super) fn preloaded(&self) {
        self.search().end_unproven(clock::since_boot());
    }

    /// What can be said of a missing key. Returns whether it makes a surge of them as well.
    pub(super) fn seek(&self, key: &MissingKey<'_>) -> (Sought, bool) {
        // They came after the token was held against the records: it will find them there, and need not have them sought.
        if key.is_awaited && self.trusted_until().is_some() {
            return (Sought::Absent, false);
        }
        let now = clock::since_boot();
        let (sought, is_due, is_surge) = {
            let mut search = self.search();
            let is_surge = !key.is_awaited && search.is_surge(now);
            let was_due = search.due_at(now).is_some();
            let sought = if key.is_awaited {
                search.await_keys(key.asked_at, now)
            } else {
                search.seek(self.names.hash_one(key.kid), key.asked_at, now)
            };
            (sought, !was_due && search.due_at(now).is_some(), is_surge)
        };
        if is_due {
            self.wanted.notify_one();
        }
        (sought, is_surge)
    }

    /// Waits until a look for the sake of a key is due.
    pub(super) async fn until_due(&self) {
        loop {
            let now = clock::since_boot();
            let due = self.search().due_at(now);
            match due {
                Some(due) if due <= now => return,
                Some(due) => tokio::time::sleep(due - now).await,
                None => self.wanted.notified().await,
            }
        }
    }

    /// Waits until an operator may have a look as well: they take from the same bucket.
    pub(super) fn allowed_in(&self) -> Duration {
        let now = clock::since_boot();
        self.search().allowed_at(now).saturating_sub(now)
    }

    /// A look begins; `is_sought` if it does for somebody's sake.
    pub(super) fn begin(&self, is_sought: bool) -> Duration {
        let now = clock::since_boot();
        self.search().begin(is_sought, now);
        now
    }

    /// A look has ended. If well, what it brought must be among the records already.
    pub(super) fn end(&self, looked: Looked, how: Ended) {
        let now = clock::since_boot();
        match how {
            Ended::Well => {
                let _ = self.search().succeed(now);
            }
            Ended::Unproven => self.search().end_unproven(now),
            Ended::Badly(again_in) => self.search().fail(again_in, now),
        }
        self.ended.send_replace(looked);
    }

    /// The first look to end that begins from now on.
    pub(super) async fn next(&self) -> Looked {
        let now = clock::since_boot();
        let mut ended = self.ended.subscribe();
        match ended.wait_for(|looked| looked.began >= now).await {
            Ok(looked) => looked.clone(),
            // The sender is ours, and we are here.
            Err(_) => Looked::default(),
        }
    }

    /// The last look that has ended.
    pub(super) fn last(&self) -> Looked {
        self.ended.borrow().clone()
    }

    /// Until when the keys that are there are trusted.
    pub(super) fn trusted_until(&self) -> Option<Duration> {
        *self.trust()
    }

    pub(super) fn trust_until(&self, until: Option<Duration>) {
        *self.trust() = until;
    }

    fn trust(&self) -> MutexGuard<'_, Option<Duration>> {
        self.trusted_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn search(&self) -> MutexGuard<'_, Search> {
        self.search.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Endpoint;
    use std::sync::Arc;

    /// A token that was held against the records just before the keys came has them all the same, and costs no look.
    #[test]
    fn keys_that_have_come_are_awaited_by_nobody() {
        let uri = "https://idp.example/jwks.json".parse().expect("a URL");
        let looking = Looking::new(&Remote::new(Endpoint::Jwks(uri)), None);
        let issuer: Arc<str> = "acme".into();
        let key = MissingKey {
            issuer: &issuer,
            kid: Some("k1"),
            asked_at: clock::since_boot(),
            is_awaited: true,
        };
        let is_due = || looking.search().due_at(clock::since_boot()).is_some();

        looking.preload();
        assert!(matches!(looking.seek(&key).0, Sought::Soon { .. }));
        looking.preloaded();
        looking.trust_until(Some(clock::since_boot() + Duration::from_secs(60)));
        assert_eq!(looking.seek(&key).0, Sought::Absent);
        assert!(!is_due(), "nobody has to ask the issuer");

        looking.trust_until(None);
        assert!(matches!(looking.seek(&key).0, Sought::Soon { .. }));
        assert!(is_due(), "where they are not, somebody has");
    }
}

//! Tenants that are not asked about for a while: those their issuer does not know, and those it could not answer for.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Most names kept; the oldest go first, and may then be asked about again.
const NAMES_MAX: usize = 4_096;

/// How long a tenant is taken not to exist after its issuer said so.
pub(super) const ABSENT_FOR: Duration = Duration::from_secs(300);

/// Names at rest.
#[derive(Default)]
pub(super) struct Rest {
    names: HashMap<Arc<str>, Resting>,
    /// In the order they came; one that came again stands here more than once.
    order: VecDeque<(Arc<str>, Duration)>,
}

#[derive(Clone, Copy)]
struct Resting {
    since: Duration,
    until: Duration,
    failures: u32,
    is_absent: bool,
}

impl Rest {
    /// Until when it is not to be asked about, if that is yet to come.
    pub(super) fn until(&self, iss: &str, now: Duration) -> Option<Duration> {
        let until = self.names.get(iss)?.until;
        (now < until).then_some(until)
    }

    /// Whether it is not to be asked about yet.
    pub(super) fn holds(&self, iss: &str, now: Duration) -> bool {
        self.until(iss, now).is_some()
    }

    /// How often in a row it could not be answered for.
    pub(super) fn failures(&self, iss: &str) -> u32 {
        self.names.get(iss).map_or(0, |name| name.failures)
    }

    /// Lets a tenant rest whose issuer could not answer.
    pub(super) fn failed(&mut self, iss: &Arc<str>, wait: Duration, now: Duration) {
        let resting = Resting {
            since: now,
            until: now + wait,
            failures: self.failures(iss).saturating_add(1),
            is_absent: false,
        };
        self.insert(iss, resting);
    }

    /// Lets a tenant rest that its issuer does not know.
    pub(super) fn absent(&mut self, iss: &Arc<str>, now: Duration) {
        let resting = Resting {
            since: now,
            until: now + ABSENT_FOR,
            failures: 0,
            is_absent: true,
        };
        self.insert(iss, resting);
    }

    /// It answered.
    pub(super) fn forget(&mut self, iss: &str) {
        self.names.remove(iss);
    }

    /// The absent ones that are so no longer: their time is over, or there are too many.
    pub(super) fn over(&mut self, now: Duration) -> Vec<Arc<str>> {
        let mut over = Vec::new();
        while let Some((iss, since)) = self.order.front() {
            let current = self.names.get(iss).filter(|name| name.since == *since);
            let is_due = self.order.len() > NAMES_MAX;
            match current {
                Some(name) if now < name.until.max(name.since + ABSENT_FOR) && !is_due => break,
                Some(name) => {
                    if name.is_absent {
                        over.push(Arc::clone(iss));
                    }
                    self.names.remove(iss);
                }
                None => {}
            }
            self.order.pop_front();
        }
        over
    }

    /// Forgets all; returns the absent ones.
    pub(super) fn clear(&mut self) -> Vec<Arc<str>> {
        self.order.clear();
        let absent = self.names.drain().filter(|(_, name)| name.is_absent);
        absent.map(|(iss, _)| iss).collect()
    }

    fn insert(&mut self, iss: &Arc<str>, resting: Resting) {
        self.order.push_back((Arc::clone(iss), resting.since));
        self.names.insert(Arc::clone(iss), resting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn who_is_absent_is_not_asked_about_until_its_time_is_over() {
        let mut rest = Rest::default();
        let iss: Arc<str> = "a".into();
        rest.absent(&iss, at(0));
        assert!(rest.holds("a", at(299)) && !rest.holds("b", at(0)));
        assert!(rest.over(at(299)).is_empty());
        assert_eq!(rest.over(at(300)), [iss]);
        assert!(!rest.holds("a", at(300)));
    }

    #[test]
    fn failures_count_until_it_answers() {
        let mut rest = Rest::default();
        let iss: Arc<str> = "a".into();
        rest.failed(&iss, at(1), at(0));
        rest.failed(&iss, at(2), at(1));
        assert!(rest.failures("a") == 2 && rest.holds("a", at(2)) && !rest.holds("a", at(3)));
        rest.forget("a");
        assert_eq!(rest.failures("a"), 0);
        assert!(
            rest.over(at(10_000)).is_empty(),
            "nobody is told of what was never absent"
        );
    }

    #[test]
    fn many_names_make_the_oldest_go() {
        let mut rest = Rest::default();
        let mut over = Vec::new();
        for number in 0..3 * NAMES_MAX {
            rest.absent(&number.to_string().into(), at(1));
            over.extend(rest.over(at(1)));
        }
        assert!(rest.names.len() <= NAMES_MAX && rest.order.len() <= NAMES_MAX);
        assert_eq!(
            over.len() + rest.names.len(),
            3 * NAMES_MAX,
            "each is told of once"
        );
        assert_eq!(over.first().map(AsRef::as_ref), Some("0"));
    }
}

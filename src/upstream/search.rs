//! When an issuer's set is looked at for the sake of a key that it lacks, and what a look proves.
//!
//! However many tokens name however many missing keys, they share one look at a time, and no more looks than a bucket
//! gives. That a key does not exist is said only of one that a look has shown to be absent: a look that began after
//! the token came, or one that began after the same key was first missed, and not long ago. So a rotation is seen as
//! soon as the bucket allows, whatever else is asked for, and nobody can have a key that does not exist yet refused
//! for longer than [`ABSENT_FOR`] by asking for it early.
//!
//! A function of the times it is given; it waits for nothing.
#![forbid(unsafe_code)]

use crate::engine::Sought;
use crate::limits::ABSENT_KEYS_MAX;
use hashbrown::HashMap;
use std::time::Duration;

/// For how long a look proves that a key is absent to those who ask for it later.
pub(super) const ABSENT_FOR: Duration = Duration::from_secs(5);

/// Looks that the bucket holds when it is full.
const BURST: u32 = 3;

/// What a first look is thought to take.
const TOOK_AT_FIRST: Duration = Duration::from_millis(100);

/// A surge is so many missed keys within [`SURGE_WINDOW`].
const SURGE: u32 = 1_000;
const SURGE_WINDOW: Duration = Duration::from_secs(10);

/// What is known about missing keys of one issuer.
pub(super) struct Search {
    bucket: Bucket,
    asked: Asked,
    /// When the look under way began.
    looking_since: Option<Duration>,
    /// When the last look that was answered began.
    seen_at: Option<Duration>,
    /// When the last token came that is to be answered by a look that has not begun.
    wanted_at: Option<Duration>,
    /// While looks fail, the next one for the sake of a key is not before this.
    not_before: Duration,
    /// What looks take.
    took: Duration,
    /// How long a token waits at most.
    patience: Duration,
    surge: Surge,
}

impl Search {
    /// A search that allows one look in so long a time, and a few more after a rest.
    pub(super) fn new(interval: Duration, patience: Duration, now: Duration) -> Self {
        Self {
            bucket: Bucket::full(interval, now),
            asked: Asked::default(),
            looking_since: None,
            seen_at: None,
            wanted_at: None,
            not_before: Duration::ZERO,
            took: TOOK_AT_FIRST,
            patience,
            surge: Surge::default(),
        }
    }

    /// What can be said of a key that a token named at `asked_at` and that is missing; `key` stands for its name.
    pub(super) fn seek(&mut self, key: u64, asked_at: Duration, now: Duration) -> Sought {
        if self.has_seen(asked_at) || self.is_known_absent(key, asked_at, now) {
            return Sought::Absent;
        }
        self.expect(asked_at, now)
    }

    /// What can be said to a token that came at `asked_at` to an issuer whose keys are awaited: whichever look brings
    /// them will do.
    pub(super) fn await_keys(&mut self, asked_at: Duration, now: Duration) -> Sought {
        let until = asked_at + self.patience;
        match self.looking_since {
            Some(began) if until > now => Sought::Soon {
                until,
                retry_at: (began + self.took).max(now),
                news_at: (began + self.took).max(now),
            },
            _ => self.expect(asked_at, now),
        }
    }

    fn expect(&mut self, asked_at: Duration, now: Duration) -> Sought {
        let looking = self.looking_since;
        let retry_at = match looking {
            Some(began) if began > asked_at => (began + self.took).max(now),
            _ => {
                self.wanted_at = self.wanted_at.max(Some(asked_at));
                let free_at = looking.map_or(now, |began| (began + self.took).max(now));
                self.next_at(free_at) + self.took
            }
        };
        let until = asked_at + self.patience;
        // The first of two looks may bring the key already.
        let news_at = looking.map_or(retry_at, |began| (began + self.took).max(now));
        if until > now && (looking.is_some() || retry_at <= until) {
            Sought::Soon {
                until,
                retry_at,
                news_at,
            }
        } else {
            Sought::Later { retry_at: news_at }
        }
    }

    /// When the next look for the sake of a key is to begin; `None` while nobody wants one.
    pub(super) fn due_at(&self, now: Duration) -> Option<Duration> {
        self.wanted_at.map(|_| self.next_at(now))
    }

    /// When a look for anybody's sake would be allowed.
    pub(super) fn allowed_at(&self, now: Duration) -> Duration {
        self.bucket.next_at(now)
    }

    /// A look begins; `is_sought` if it does for the sake of a key.
    pub(super) fn begin(&mut self, is_sought: bool, now: Duration) {
        if is_sought {
            self.bucket.take(now);
        }
        self.looking_since = Some(now);
    }

    /// The look was answered, and what it brought is in the records. Returns when it began.
    pub(super) fn succeed(&mut self, now: Duration) -> Duration {
        let began = self.end(now);
        self.not_before = Duration::ZERO;
        self.seen_at = Some(began);
        if self.wanted_at.is_some_and(|wanted| wanted < began) {
            self.wanted_at = None;
        }
        began
    }

    /// The look brought what somebody else had seen before: whoever wants to know of a key still does.
    pub(super) fn end_unproven(&mut self, now: Duration) {
        self.end(now);
        self.not_before = Duration::ZERO;
    }

    /// The look brought nothing that counts; the next one for the sake of a key comes no sooner than this.
    pub(super) fn fail(&mut self, again_in: Duration, now: Duration) {
        self.end(now);
        self.not_before = now + again_in.min(ABSENT_FOR);
        // Whoever wants to know still does, and says so.
        self.wanted_at = None;
    }

    /// Whether, with this missed key, they have become a surge that has not been told of lately.
    pub(super) fn is_surge(&mut self, now: Duration) -> bool {
        self.surge.count(now)
    }

    fn end(&mut self, now: Duration) -> Duration {
        let began = self.looking_since.take().unwrap_or(now);
        let took = now.saturating_sub(began);
        // Halfway to the last one: a single slow answer is not the rule yet.
        self.took = (self.took + took) / 2;
        began
    }

    fn has_seen(&self, asked_at: Duration) -> bool {
        self.seen_at.is_some_and(|seen| seen > asked_at)
    }

    fn is_known_absent(&mut self, key: u64, asked_at: Duration, now: Duration) -> bool {
        let first = self.asked.first(key, asked_at);
        let seen = self.seen_at.filter(|&seen| seen > first);
        seen.is_some_and(|seen| now.saturating_sub(seen) < ABSENT_FOR)
    }

    fn next_at(&self, free_at: Duration) -> Duration {
        free_at
            .max(self.not_before)
            .max(self.bucket.next_at(free_at))
    }
}

/// One look an interval, and up to [`BURST`] that were saved.
struct Bucket {
    interval: Duration,
    /// When the bucket would have been empty, had it never run over.
    empty_at: Duration,
}

impl Bucket {
    fn full(interval: Duration, now: Duration) -> Self {
        Self {
            interval,
            empty_at: now.saturating_sub(interval * BURST),
        }
    }

    /// The earliest time from `now` on at which there is a look to take.
    fn next_at(&self, now: Duration) -> Duration {
        now.max(self.empty_at + self.interval)
    }

    fn take(&mut self, now: Duration) {
        let oldest = now.saturating_sub(self.interval * BURST);
        self.empty_at = self.empty_at.max(oldest) + self.interval;
    }
}

/// When keys were first missed: the later half of many, so that a flood of invented names costs neither memory nor time.
#[derive(Default)]
struct Asked {
    young: HashMap<u64, Duration>,
    old: HashMap<u64, Duration>,
}

impl Asked {
    /// When this key was first missed: now, if it is not known.
    fn first(&mut self, key: u64, now: Duration) -> Duration {
        if let Some(&first) = self.young.get(&key) {
            return first;
        }
        let first = self.old.remove(&key).unwrap_or(now);
        if self.young.len() >= ABSENT_KEYS_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, first);
        first
    }
}

/// Counts missed keys, to tell of many once in a window.
#[derive(Default)]
struct Surge {
    since: Duration,
    missed: u32,
}

impl Surge {
    fn count(&mut self, now: Duration) -> bool {
        if now.saturating_sub(self.since) > SURGE_WINDOW {
            *self = Self {
                since: now,
                missed: 0,
            };
        }
        self.missed = self.missed.saturating_add(1);
        self.missed == SURGE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);
    const START: Duration = Duration::from_secs(1_000);
    const PATIENCE: Duration = Duration::from_millis(500);

    fn search() -> Search {
        let mut search = Search::new(SECOND, PATIENCE, START);
        search.begin(false, START);
        search.succeed(START + 20 * MS);
        search
    }

    /// A look that is wanted, from its beginning to its end 20 ms later.
    fn look(search: &mut Search, now: Duration) -> Duration {
        let due = search.due_at(now).expect("somebody wants a look");
        search.begin(true, due);
        search.succeed(due + 20 * MS);
        due
    }

    #[test]
    fn only_a_look_that_began_after_the_token_came_says_that_a_key_is_absent() {
        let mut search = search();
        let came = START + SECOND;
        // A look that was under way when it came proves nothing.
        search.begin(false, came - MS);
        assert!(matches!(search.seek(7, came, came), Sought::Soon { .. }));
        search.succeed(came + MS);
        assert!(matches!(
            search.seek(7, came, came + 2 * MS),
            Sought::Soon { .. }
        ));
        let began = look(&mut search, came + 2 * MS);
        assert!(began > came);
        assert_eq!(search.seek(7, came, began + 21 * MS), Sought::Absent);
        assert_eq!(
            search.due_at(began + 21 * MS),
            None,
            "nobody waits any more"
        );
    }

    #[test]
    fn what_was_shown_absent_stays_so_for_a_while_and_no_longer() {
        let mut search = search();
        let came = START + SECOND;
        let _ = search.seek(7, came, came);
        let seen = look(&mut search, came + MS);
        let soon = seen + ABSENT_FOR - MS;
        assert_eq!(search.seek(7, soon, soon), Sought::Absent);
        // Another key was not asked for when that look was taken.
        assert!(matches!(search.seek(8, soon, soon), Sought::Soon { .. }));
        let late = seen + ABSENT_FOR;
        assert!(matches!(search.seek(7, late, late), Sought::Soon { .. }));
    }

    #[test]
    fn a_flood_gets_the_buckets_looks_and_a_rotation_waits_for_the_next_one_only() {
        let mut search = search();
        let mut looks = 0;
        let mut longest = Duration::ZERO;
        let mut last = START;
        // Ten seconds of ten thousand invented keys each.
        for tick in 0..100_000_u64 {
            let now = START + SECOND + Duration::from_micros(100 * tick);
            let _ = search.seek(tick, now, now);
            if search.due_at(now).is_some_and(|due| due <= now) {
                search.begin(true, now);
                search.succeed(now + MS);
                looks += 1;
                longest = longest.max(now - last);
                last = now;
            }
        }
        assert!(looks <= 10 + BURST, "{looks}");
        assert!(longest <= SECOND + 2 * MS, "{longest:?}");
        assert!(search.asked.young.len() + search.asked.old.len() <= ABSENT_KEYS_MAX);
    }

    #[test]
    fn who_would_wait_in_vain_is_told_when_to_come_back() {
        let mut search = search();
        let mut now = START + SECOND;
        for key in 0..u64::from(BURST) {
            let _ = search.seek(key, now, now);
            now = look(&mut search, now) + 30 * MS;
        }
        let Sought::Later { retry_at } = search.seek(99, now, now) else {
            panic!("the bucket is empty");
        };
        let due = search.due_at(now).expect("it is wanted");
        assert!(due > now + PATIENCE && retry_at >= due && retry_at < due + SECOND);
    }

    #[test]
    fn who_comes_during_a_look_is_told_when_it_ends_too() {
        let mut search = search();
        let came = START + SECOND;
        search.begin(true, came - MS);
        let Sought::Soon {
            retry_at, news_at, ..
        } = search.seek(7, came, came)
        else {
            panic!("it may wait for the look");
        };
        assert!(
            came < news_at && news_at < retry_at,
            "the next look is the evidence"
        );
    }

    #[test]
    fn while_looks_fail_they_come_no_sooner_than_the_issuer_is_asked_anyway() {
        let mut search = search();
        let now = START + SECOND;
        let _ = search.seek(1, now, now);
        search.begin(true, now);
        search.fail(4 * SECOND, now + MS);
        assert_eq!(search.due_at(now + MS), None);
        assert!(matches!(
            search.seek(1, now + MS, now + MS),
            Sought::Later { .. }
        ));
        assert_eq!(search.due_at(now + MS), Some(now + MS + 4 * SECOND));
    }

    #[test]
    fn a_surge_is_told_of_once_a_window() {
        let mut search = search();
        let told = (0..10 * SURGE).filter(|_| search.is_surge(START)).count();
        assert_eq!(told, 1);
        let later = START + SURGE_WINDOW + MS;
        let told = (0..SURGE).filter(|_| search.is_surge(later)).count();
        assert_eq!(told, 1);
    }
}

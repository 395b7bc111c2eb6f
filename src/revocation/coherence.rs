//! How a reader knows at a glance that nothing it relies on was revoked since it last looked.
//!
//! A counter, the *generation*, is raised after every change; whoever remembers a generation and finds it
//! unchanged need not look. Orders come a thousand a second, though, and nearly all of them concern others. So each
//! change also leaves the new generation in one of many *buckets*, picked by a mark of who is meant, and a reader
//! whose generation is old looks only at the buckets of its own marks, after a glance at a [`Sieve`] of them that is
//! nearer.
//!
//! The order of things is all that matters here. A writer first puts its records where readers find them, then
//! marks their buckets, and raises the generation last. A reader first loads the generation, then looks, and
//! remembers the generation *it loaded*. `tests` has the model that tries every interleaving, with each order of
//! steps that would be wrong.

use super::sieve::{self, Sieve};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Number of buckets, a power of two: a megabyte, which stays near the cores that use it. A token looked at a second
/// ago, of a thousand orders a second, finds one of its buckets changed by a stranger once in 260 times.
pub(super) const BUCKETS: usize = 1 << 18;

/// A number that threads share: the standard library's, or the model checker's.
pub(super) trait Word<T> {
    fn holding(value: T) -> Self;
    fn load(&self, order: Ordering) -> T;
    fn store(&self, value: T, order: Ordering);
    fn fence(order: Ordering);
}

/// The generation and its buckets.
pub(super) struct Coherence<G = AtomicU64, B = AtomicU32> {
    generation: G,
    /// The generation of the last change that left its mark here, its low half.
    buckets: Box<[B]>,
    sieve: Sieve<G, B>,
}

/// Not 0, so that a zeroed word never passes for a generation.
const FIRST: u64 = 1;

impl<G: Word<u64>, B: Word<u32>> Coherence<G, B> {
    /// Nothing has changed yet.
    pub(super) fn new(buckets: usize) -> Self {
        Self::with_sieve(buckets, Sieve::new(sieve::WORDS, sieve::MARKS, FIRST))
    }

    fn with_sieve(buckets: usize, sieve: Sieve<G, B>) -> Self {
        Self {
            generation: G::holding(FIRST),
            buckets: (0..buckets).map(|_| B::holding(0)).collect(),
            sieve,
        }
    }

    /// The generation: load it before looking at anything, and remember no other.
    #[inline]
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The generation that the change being made will have. Only for the one writer.
    pub(super) fn next(&self) -> u64 {
        self.generation.load(Ordering::Relaxed) + 1
    }

    /// Marks a bucket as changed by the [`Self::next`] generation. Only for the one writer, after the change can be
    /// found and before [`Self::raise`].
    pub(super) fn mark(&self, bucket: usize, next: u64) {
        if let Some(place) = self.buckets.get(bucket) {
            place.store(low(next), Ordering::Relaxed);
            self.sieve.mark(bucket, next);
        }
    }

    /// Raises the generation to the [`Self::next`]: all that was put and marked before is to be seen by whoever
    /// loads it. Only for the one writer.
    pub(super) fn raise(&self, next: u64) {
        self.generation.store(next, Ordering::Release);
    }

    /// Whether a bucket may have changed after `since`, for one who has loaded the generation `now`. Only half of a
    /// generation is kept: what changed longer ago than that can count may seem to be new, never the reverse.
    #[inline]
    pub(super) fn may_have_changed(&self, bucket: usize, since: u64, now: u64) -> bool {
        let Some(place) = self.buckets.get(bucket) else {
            return true;
        };
        if self.sieve.is_unchanged(bucket, since) {
            return false;
        }
        let age = now.wrapping_sub(since);
        let changed = place.load(Ordering::Relaxed);
        // A change that is not raised yet counts as a very old one: it is told apart by the next generation.
        let changed_age = low(now).wrapping_sub(changed);
        u64::from(changed_age) < age || age > u64::from(u32::MAX >> 1)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half is what is kept"
)]
fn low(generation: u64) -> u32 {
    generation as u32
}

macro_rules! words {
    ($fence:path: $($atomic:ty => $number:ty),*) => {$(
        impl Word<$number> for $atomic {
            fn holding(value: $number) -> Self {
                Self::new(value)
            }
            #[inline]
            fn load(&self, order: Ordering) -> $number {
                <$atomic>::load(self, order)
            }
            #[inline]
            fn store(&self, value: $number, order: Ordering) {
                <$atomic>::store(self, value, order);
            }
            #[inline]
            fn fence(order: Ordering) {
                $fence(order);
            }
        }
    )*};
}
words!(std::sync::atomic::fence: AtomicU64 => u64, AtomicU32 => u32);

#[cfg(test)]
mod tests {
    use super::*;
    use loom::sync::Arc;
    use loom::sync::atomic as model;
    use loom::thread;

    words!(model::fence: model::AtomicU64 => u64, model::AtomicU32 => u32);

    /// What a writer does, step by step.
    #[derive(Clone, Copy, PartialEq, Debug)]
    enum Write {
        Put,
        Mark,
        Raise,
    }
    use Write::{Mark, Put, Raise};

    /// When a reader that looks again loads what it will remember.
    #[derive(Clone, Copy)]
    enum Stamp {
        BeforeLooking,
        AfterLooking,
    }

    /// The set of records, with the one record that matters; and one cached token that it revokes.
    struct Model {
        set: model::AtomicU32,
        coherence: Coherence<model::AtomicU64, model::AtomicU32>,
    }

    impl Model {
        /// What is next is known before: a writer that loaded it here would hide from the model checker that its
        /// store competes with the reader's loads.
        fn write(&self, steps: [Write; 3], next: u64) {
            for step in steps {
                match step {
                    Put => self.set.store(1, Ordering::Relaxed),
                    Mark => self.coherence.mark(0, next),
                    Raise => self.coherence.raise(next),
                }
            }
        }

        /// A hit on the cached token: whether it is revoked, and its new stamp if it is not.
        fn hit(&self, stamp: u64, order: Stamp) -> Result<u64, ()> {
            let generation = self.coherence.generation();
            if generation == stamp {
                return Ok(stamp);
            }
            if !self.coherence.may_have_changed(0, stamp, generation) {
                return Ok(generation);
            }
            if self.set.load(Ordering::Relaxed) == 1 {
                return Err(());
            }
            match order {
                Stamp::BeforeLooking => Ok(generation),
                Stamp::AfterLooking => Ok(self.coherence.generation()),
            }
        }
    }

    /// Tries every interleaving of one order with two hits, and then asks once more: from when the order is
    /// acknowledged, which is here when the writer has ended, no hit may find the token good. Whether that held.
    fn holds(steps: [Write; 3], order: Stamp) -> bool {
        let explore = move || {
            loom::model(move || {
                let shared = Arc::new(Model {
                    set: model::AtomicU32::new(0),
                    coherence: Coherence::with_sieve(1, Sieve::new(1, 8, FIRST)),
                });
                let before = shared.coherence.generation();
                // A stranger's change in the same bucket, so that the token must look again.
                shared.coherence.mark(0, before + 1);
                shared.coherence.raise(before + 1);
                let writer = Arc::clone(&shared);
                let writer = thread::spawn(move || writer.write(steps, before + 2));
                let first = shared.hit(before, order);
                let second = first.and_then(|stamp| shared.hit(stamp, order));
                writer.join().expect("the writer does not panic");
                let last = second.and_then(|stamp| shared.hit(stamp, order));
                assert_eq!(last, Err(()), "a revoked token was found good");
            });
        };
        // The model checker keeps its state by thread, and a failure leaves it behind.
        std::thread::spawn(explore).join().is_ok()
    }

    /// Checks I-21.
    #[test]
    fn no_interleaving_lets_a_revoked_token_pass() {
        assert!(holds([Put, Mark, Raise], Stamp::BeforeLooking));
        // Within one generation it does not matter which of the two comes first.
        assert!(holds([Mark, Put, Raise], Stamp::BeforeLooking));
    }

    #[test]
    fn the_model_catches_every_wrong_order() {
        let wrong = [
            ([Raise, Put, Mark], Stamp::BeforeLooking),
            ([Mark, Raise, Put], Stamp::BeforeLooking),
            ([Put, Raise, Mark], Stamp::BeforeLooking),
            ([Raise, Mark, Put], Stamp::BeforeLooking),
            ([Put, Mark, Raise], Stamp::AfterLooking),
        ];
        for (steps, order) in wrong {
            assert!(!holds(steps, order), "{steps:?}");
        }
    }

    #[test]
    fn a_bucket_counts_in_half_a_generation_and_errs_towards_looking() {
        // The sieve is full at once, and knows nothing.
        let coherence: Coherence = Coherence::with_sieve(2, Sieve::new(1, 8, u64::MAX));
        let half = u64::from(u32::MAX >> 1);
        let changed = |since, now| coherence.may_have_changed(0, since, now);
        assert!(!changed(1, 1) && !changed(1, 5), "never marked");
        let marked = coherence.next();
        coherence.mark(0, marked);
        coherence.raise(marked);
        assert!(changed(marked - 1, marked) && changed(marked - 1, marked + half));
        assert!(!changed(marked, marked) && !changed(marked, marked + 9));
        assert!(changed(marked, marked + half + 1), "too long ago to count");
        coherence.mark(0, coherence.next());
        assert!(!changed(marked, marked), "marked, and not raised yet");
        assert!(
            !coherence.may_have_changed(1, marked - 1, marked),
            "another's bucket"
        );
        assert!(
            coherence.may_have_changed(2, marked, marked),
            "no such bucket"
        );
    }
}

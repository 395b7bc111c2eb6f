//! Which buckets changed lately, in so few bytes that they stay in the cache nearest to a core.
//!
//! A bucket of [`coherence`](super::coherence) lies in a megabyte that has gone cold by the time a token comes again;
//! two reads of it cost more than the rest of a hit. So the last few thousand changes also leave two bits each in a
//! Bloom filter (Bloom, 1970). It has two halves: marks go into one until it is full, then the other, which holds the
//! oldest, is wiped and takes over. Nearly every token finds its bits unset and is done.
//!
//! A reader may be looking while a half is wiped, and must not take that for "nothing has changed". So the writer first
//! says that less is covered, and wipes then; the reader looks first, and asks then what was covered. `tests` has the
//! model that tries every interleaving, with each order of steps that would be wrong.
#![forbid(unsafe_code)]

use super::coherence::Word;
use std::sync::atomic::Ordering;

/// Words of a half: 8 KiB.
pub(super) const WORDS: usize = 2_048;

/// Marks that a half takes. With two bits each, a sixteenth of its bits are set then, and one mark in 270 that was never
/// made seems to be there.
pub(super) const MARKS: u32 = 2_048;

pub(super) struct Sieve<G, B> {
    /// Every change after this generation has left its bits.
    covered_after: G,
    halves: [Half<G, B>; 2],
    /// The half that takes marks: its number. The writer's own, as all below is.
    current: B,
    marks_left: B,
    marks_max: u32,
}

struct Half<G, B> {
    bits: Box<[B]>,
    /// The generation with the first mark. Another half may have some of the same.
    began: G,
}

impl<G: Word<u64>, B: Word<u32>> Sieve<G, B> {
    /// Nothing has changed after this generation.
    pub(super) fn new(words: usize, marks_max: u32, generation: u64) -> Self {
        debug_assert!(words.is_power_of_two());
        let half = || Half {
            bits: (0..words).map(|_| B::holding(0)).collect(),
            began: G::holding(generation),
        };
        Self {
            covered_after: G::holding(generation),
            halves: [half(), half()],
            current: B::holding(0),
            marks_left: B::holding(marks_max),
            marks_max,
        }
    }

    /// Leaves the bits of a bucket that the `next` generation changes. Only for the one writer, before that is raised.
    pub(super) fn mark(&self, bucket: usize, next: u64) {
        let marks_left = match self.marks_left.load(Ordering::Relaxed) {
            0 => {
                self.turn(next);
                self.marks_max
            }
            some => some,
        };
        self.marks_left.store(marks_left - 1, Ordering::Relaxed);
        let [half, _] = self.by_age();
        for (word, bit) in half.places(bucket) {
            let bits = word.load(Ordering::Relaxed);
            word.store(bits | bit, Ordering::Relaxed);
        }
    }

    /// Whether a bucket has surely not changed after `since`, for one who has loaded the generation.
    #[inline]
    pub(super) fn is_unchanged(&self, bucket: usize, since: u64) -> bool {
        let is_clear = |half: &Half<G, B>| {
            half.places(bucket)
                .into_iter()
                .any(|(word, bit)| word.load(Ordering::Relaxed) & bit == 0)
        };
        if !self.halves.iter().all(is_clear) {
            return false;
        }
        // Whoever saw a wiped bit sees what was said before the wiping.
        G::fence(Ordering::Acquire);
        since >= self.covered_after.load(Ordering::Relaxed)
    }

    /// Wipes the older half, and marks go there from now on.
    fn turn(&self, next: u64) {
        let [full, oldest] = self.by_age();
        self.covered_after
            .store(full.began.load(Ordering::Relaxed), Ordering::Relaxed);
        G::fence(Ordering::Release);
        for word in &oldest.bits {
            word.store(0, Ordering::Relaxed);
        }
        oldest.began.store(next, Ordering::Relaxed);
        let current = self.current.load(Ordering::Relaxed);
        self.current.store(1 - current, Ordering::Relaxed);
    }

    fn by_age(&self) -> [&Half<G, B>; 2] {
        let [even, odd] = &self.halves;
        match self.current.load(Ordering::Relaxed) {
            0 => [even, odd],
            _ => [odd, even],
        }
    }
}

impl<G, B> Half<G, B> {
    /// Where a bucket leaves its two bits.
    #[inline]
    fn places(&self, bucket: usize) -> [(&B, u32); 2] {
        // Neighbours must not share both; the constant is 2^32 over the golden ratio (Knuth, volume 3, §6.4).
        let other = bucket.wrapping_mul(0x9e37_79b9) >> 13;
        [bucket, other].map(|number| {
            let word = (number / 32) & (self.bits.len() - 1);
            (&self.bits[word], 1 << (number % 32))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use loom::sync::Arc;
    use loom::sync::atomic as model;
    use loom::thread;
    use std::sync::atomic::{AtomicU32, AtomicU64};

    type Real = Sieve<AtomicU64, AtomicU32>;

    /// No change is ever overlooked, however the halves turn; and most that did not change are known not to have.
    #[test]
    fn what_changed_is_never_called_unchanged() {
        let sieve = Real::new(64, 128, 1);
        let mut changed = Vec::new();
        let mut spared = 0;
        for next in 2..2_000_u64 {
            let bucket = usize::try_from(next.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 46);
            let bucket = bucket.expect("18 bits");
            sieve.mark(bucket, next);
            changed.push((bucket, next));
            for (bucket, at) in &changed {
                assert!(!sieve.is_unchanged(*bucket, at - 1), "{bucket} at {next}");
            }
            let stranger = usize::try_from(next).expect("small") * 131;
            let is_changed = changed.iter().any(|(bucket, _)| *bucket == stranger);
            spared += u32::from(!is_changed && sieve.is_unchanged(stranger, next.max(65) - 64));
        }
        assert!(spared > 1_400, "{spared}");
    }

    #[test]
    fn marks_of_one_generation_may_lie_in_both_halves() {
        let sieve = Real::new(64, 2, 1);
        for bucket in 0..3 {
            sieve.mark(bucket, 2);
        }
        for bucket in 0..3 {
            assert!(!sieve.is_unchanged(bucket, 1));
        }
        sieve.mark(3, 3);
        // The third half: the first two marks are gone, and whoever has not looked since cannot know.
        sieve.mark(4, 3);
        assert!(!sieve.is_unchanged(0, 1) && !sieve.is_unchanged(200, 1));
        assert!(!sieve.is_unchanged(2, 1) && sieve.is_unchanged(200, 2));
    }

    type Shared = Sieve<model::AtomicU64, model::AtomicU32>;

    /// Tries every interleaving of a reader with the marks of three strange changes, of which the last wipes what the
    /// first has left. Whether the reader, who has loaded the first change's generation, never overlooked it.
    fn holds(wipe: fn(&Shared), is_unchanged: fn(&Shared) -> bool) -> bool {
        let explore = move || {
            loom::model(move || {
                let shared = Arc::new((model::AtomicU64::new(1), Shared::new(1, 1, 1)));
                let writer = Arc::clone(&shared);
                let writer = thread::spawn(move || {
                    let (generation, sieve) = &*writer;
                    for (bucket, next) in [(0, 2), (7, 3)] {
                        sieve.mark(bucket, next);
                        generation.store(next, Ordering::Release);
                    }
                    wipe(sieve);
                    generation.store(4, Ordering::Release);
                });
                let (generation, sieve) = &*shared;
                if generation.load(Ordering::Acquire) >= 2 {
                    assert!(!is_unchanged(sieve), "overlooked");
                }
                writer.join().expect("the writer does not panic");
            });
        };
        // The model checker keeps its state by thread, and a failure leaves it behind.
        std::thread::spawn(explore).join().is_ok()
    }

    fn mark_third(sieve: &Shared) {
        sieve.mark(9, 4);
    }

    fn ask(sieve: &Shared) -> bool {
        sieve.is_unchanged(0, 1)
    }

    /// Checks I-21.
    #[test]
    fn no_interleaving_hides_a_change_that_is_wiped() {
        assert!(holds(mark_third, ask));
    }

    #[test]
    fn the_model_catches_every_wrong_order() {
        fn say(sieve: &Shared) {
            sieve.covered_after.store(3, Ordering::Relaxed);
        }
        fn wipe(sieve: &Shared) {
            sieve.halves[0].bits[0].store(0, Ordering::Relaxed);
        }
        let wiped_first: fn(&Shared) = |sieve| {
            wipe(sieve);
            model::fence(Ordering::Release);
            say(sieve);
        };
        let without_fence: fn(&Shared) = |sieve| {
            say(sieve);
            wipe(sieve);
        };
        assert!(!holds(wiped_first, ask) && !holds(without_fence, ask));
        let asked_first: fn(&Shared) -> bool = |sieve| {
            let is_covered = 1 >= sieve.covered_after.load(Ordering::Relaxed);
            model::fence(Ordering::Acquire);
            is_covered && sieve.halves[0].bits[0].load(Ordering::Relaxed) & 1 == 0
        };
        assert!(!holds(mark_third, asked_first));
    }
}

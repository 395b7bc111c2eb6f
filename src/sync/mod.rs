//! A place that many threads read without waiting while one thread changes what stands in it.
//!
//! It is `crossbeam`'s epochs with one promise added: only whole values go in and out, so that no caller needs
//! unsafe code.
#![allow(
    unsafe_code,
    reason = "epochs hand out raw pointers; the promises that make them references are kept here"
)]

use crossbeam_epoch::{Atomic, Owned, Shared};
use std::sync::atomic::Ordering;

pub use crossbeam_epoch::{Guard, pin};

/// Holds one value or none. A reader pins itself, and what it then sees stays as long as its pin.
pub struct Place<T>(Atomic<T>);

impl<T: Send + Sync> Place<T> {
    /// A place with nothing in it.
    #[must_use]
    pub fn empty() -> Self {
        Self(Atomic::null())
    }

    /// What stands here now.
    #[must_use]
    #[inline]
    pub fn get<'g>(&self, pinned: &'g Guard) -> Option<&'g T> {
        let shared = self.0.load(Ordering::Acquire, pinned);
        // SAFETY: what is not null was put here whole by `replace`, which frees it only once no pin from before
        // is left; `pinned` is one, and the reference does not outlive it. Nobody gets a `&mut T`.
        unsafe { shared.as_ref() }
    }

    /// Puts another value here, or none. What stood here is dropped once nobody can be reading it.
    pub fn replace(&self, value: Option<T>) {
        let pinned = pin();
        let new = match value {
            Some(value) => Owned::new(value).into_shared(&pinned),
            None => Shared::null(),
        };
        let old = self.0.swap(new, Ordering::AcqRel, &pinned);
        if !old.is_null() {
            // SAFETY: the swap took it out of the only place that pointed to it, so only readers pinned by now
            // can still have it, and those are waited for. `T: Send` lets any thread drop it.
            unsafe { pinned.defer_destroy(old) };
        }
    }
}

impl<T> Drop for Place<T> {
    fn drop(&mut self) {
        let last = std::mem::replace(&mut self.0, Atomic::null());
        // SAFETY: `&mut self` says that nobody reads any more, and what is here was never handed out as owned.
        drop(unsafe { last.try_into_owned() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn a_reader_keeps_what_it_saw_while_another_takes_it_away() {
        let place = Place::empty();
        let before = pin();
        assert!(place.get(&before).is_none());
        let held = Arc::new(1);
        place.replace(Some(Arc::clone(&held)));
        let seen = place.get(&before).expect("put there just now");
        place.replace(Some(Arc::new(2)));
        assert_eq!((**seen, Arc::strong_count(&held)), (1, 2), "still alive");
        assert_eq!(place.get(&pin()).map(|value| **value), Some(2));
        place.replace(None);
        assert!(place.get(&pin()).is_none());
    }

    #[test]
    fn what_was_put_in_is_dropped_with_the_place() {
        let held = Arc::new(());
        let place = Place::empty();
        place.replace(Some(Arc::clone(&held)));
        drop(place);
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[test]
    fn readers_on_other_threads_never_see_a_torn_value() {
        let place = Place::empty();
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !ended.load(Ordering::Relaxed) {
                        let pinned = pin();
                        if let Some([first, rest @ ..]) =
                            place.get(&pinned).map(|value: &[u64; 8]| value)
                        {
                            assert!(rest.iter().all(|word| word == first));
                        }
                    }
                });
            }
            for value in 0..2_000 {
                place.replace((value % 7 != 0).then_some([value; 8]));
            }
            ended.store(true, Ordering::Relaxed);
        });
    }
}

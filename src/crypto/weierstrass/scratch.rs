//! What a thread keeps between batches: one value of each type that asks for room.
//!
//! A `static` cannot be generic, and each curve and each kernel has a type of its own.
#![forbid(unsafe_code)]

use std::any::Any;
use std::cell::RefCell;

thread_local! {
    static SCRATCH: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// Lends this thread's value of the type, which begins as its default. Must not be called within itself.
pub(super) fn with<T: Default + 'static>(use_it: impl FnOnce(&mut T)) {
    SCRATCH.with_borrow_mut(|values| {
        let at = values.iter().position(|value| value.is::<T>());
        let at = at.unwrap_or_else(|| {
            values.push(Box::<T>::default());
            values.len() - 1
        });
        if let Some(value) = values[at].downcast_mut() {
            use_it(value);
        }
    });
}

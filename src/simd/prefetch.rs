//! Asking the cache for what will be read soon.
#![allow(unsafe_code, reason = "the prefetch intrinsic takes a raw pointer")]

/// Asks for a value's first and last cache line, where the architecture can be asked. It changes nothing but time.
#[inline(always)]
pub(crate) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let start = std::ptr::from_ref(value).cast::<i8>();
        // SAFETY: SSE is part of the architecture, a prefetch reads nothing that it could fault on, and both
        // addresses lie in the value, which has a size.
        unsafe {
            const { assert!(size_of::<T>() > 0) };
            _mm_prefetch::<_MM_HINT_T0>(start);
            _mm_prefetch::<_MM_HINT_T0>(start.add(size_of::<T>() - 1));
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

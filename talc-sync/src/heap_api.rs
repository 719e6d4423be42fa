//! What the wrappers show of their driver's heaps: the same methods for all of them.

/// Defines the heap API on a type with a method `with_driver` that calls a closure with the
/// driver, and reports broken rules without the lock held.
///
/// `$($reference)+` is `&` or `&mut`: how the type is borrowed for it.
macro_rules! heap_api {
    ($($reference:tt)+) => {
        /// Establishes a heap. See [`RawTalc::claim`](talc_sources::talc_core::RawTalc::claim).
        ///
        /// # Safety
        /// That of [`Talc::claim`].
        #[cfg_attr(debug_assertions, track_caller)]
        pub unsafe fn claim($($reference)+ self, base: *mut u8, size: usize) -> Option<NonNull<u8>> {
            // SAFETY: required of the caller.
            self.with_driver(|talc| unsafe {
                talc.claim(base, size)
            })
        }

        /// Extends a heap. See [`RawTalc::extend`](talc_sources::talc_core::RawTalc::extend).
        ///
        /// # Safety
        /// That of [`Talc::extend`].
        #[cfg_attr(debug_assertions, track_caller)]
        pub unsafe fn extend(
            $($reference)+ self,
            heap_end: NonNull<u8>,
            new_end: *mut u8,
        ) -> NonNull<u8> {
            // SAFETY: required of the caller.
            self.with_driver(|talc| unsafe {
                talc.extend(heap_end, new_end)
            })
        }

        /// Truncates a heap. See [`RawTalc::truncate`](talc_sources::talc_core::RawTalc::truncate).
        ///
        /// # Safety
        /// That of [`Talc::truncate`].
        #[cfg_attr(debug_assertions, track_caller)]
        pub unsafe fn truncate(
            $($reference)+ self,
            heap_end: NonNull<u8>,
            new_end: *mut u8,
        ) -> Option<NonNull<u8>> {
            // SAFETY: required of the caller.
            self.with_driver(|talc| unsafe {
                talc.truncate(heap_end, new_end)
            })
        }

        /// Extends or truncates a heap. See
        /// [`RawTalc::resize`](talc_sources::talc_core::RawTalc::resize).
        ///
        /// # Safety
        /// That of [`Talc::resize`].
        #[cfg_attr(debug_assertions, track_caller)]
        pub unsafe fn resize(
            $($reference)+ self,
            heap_end: NonNull<u8>,
            new_end: *mut u8,
        ) -> Option<NonNull<u8>> {
            // SAFETY: required of the caller.
            self.with_driver(|talc| unsafe {
                talc.resize(heap_end, new_end)
            })
        }
    };
}

pub(crate) use heap_api;

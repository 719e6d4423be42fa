//! The methods of wrappers that manage heaps, the same for all of them.

/// Defines the heap API on a type with a method `with_driver`, which calls a closure with the driver
/// and reports broken rules without holding the lock.
///
/// `$($reference)+` is `&` or `&mut`: how the methods borrow the type.
macro_rules! heap_api {
    ($($reference:tt)+) => {
        /// Makes a heap of a region of memory, and returns the heap end; returns `None` if the region
        /// is too small. See [`RawTalc::claim`](talc_sources::talc_core::RawTalc::claim).
        ///
        /// # Safety
        /// As for [`Talc::claim`].
        #[cfg_attr(debug_assertions, track_caller)]
        pub unsafe fn claim($($reference)+ self, base: *mut u8, size: usize) -> Option<NonNull<u8>> {
            // SAFETY: required of the caller.
            self.with_driver(|talc| unsafe {
                talc.claim(base, size)
            })
        }

        /// Moves a heap end up, and returns the new heap end. See
        /// [`RawTalc::extend`](talc_sources::talc_core::RawTalc::extend).
        ///
        /// # Safety
        /// As for [`Talc::extend`].
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

        /// Moves a heap end down, and returns the new heap end; returns `None` if the heap is gone. See
        /// [`RawTalc::truncate`](talc_sources::talc_core::RawTalc::truncate).
        ///
        /// # Safety
        /// As for [`Talc::truncate`].
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

        /// Extends or truncates a heap, and returns the new heap end; returns `None` if the heap is
        /// gone. See [`RawTalc::resize`](talc_sources::talc_core::RawTalc::resize).
        ///
        /// # Safety
        /// As for [`Talc::resize`].
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

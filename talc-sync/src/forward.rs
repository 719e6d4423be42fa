//! Methods that the wrappers have of their driver: one list for each, and what a forwarded method
//! looks like.

/// Defines methods that call those of [`Talc`](talc_sources::Talc) of the same name, on a type whose
/// `with_driver` calls a closure with the driver.
///
/// `$receiver` is `&Self` or `&mut Self`.
macro_rules! forward {
    (
        $receiver:ty;
        safe { $($safe:tt)* }
        unsafe { $($unsafe:tt)* }
    ) => {
        forward! { @safe $receiver; $($safe)* }
        forward! { @unsafe $receiver; $($unsafe)* }
    };
    (@safe $receiver:ty; $(
        $(#[$attribute:meta])*
        fn $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;
    )*) => {$(
        $(#[$attribute])*
        #[doc = concat!(" See [`Talc::", stringify!($name), "`].")]
        #[inline]
        #[cfg_attr(debug_assertions, track_caller)]
        pub fn $name(self: $receiver $(, $argument: $type)*) $(-> $result)? {
            self.with_driver(|talc| talc.$name($($argument),*))
        }
    )*};
    (@unsafe $receiver:ty; $(
        $(#[$attribute:meta])*
        fn $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;
    )*) => {$(
        $(#[$attribute])*
        #[doc = concat!(" See [`Talc::", stringify!($name), "`].")]
        ///
        /// # Safety
        #[doc = concat!("As for [`Talc::", stringify!($name), "`].")]
        #[inline]
        #[cfg_attr(debug_assertions, track_caller)]
        pub unsafe fn $name(self: $receiver $(, $argument: $type)*) $(-> $result)? {
            // SAFETY: required of the caller.
            self.with_driver(|talc| unsafe { talc.$name($($argument),*) })
        }
    )*};
}

/// Defines the methods for heaps by hand.
macro_rules! heap_methods {
    ($receiver:ty) => {
        $crate::forward::forward! {
            $receiver;
            safe {
                /// Gives slabs back that are empty but kept, and offers the source each heap whose top becomes
                /// free.
                fn trim();
                /// Sets a function that is called with each broken rule that is found, before the panic.
                fn set_report_hook(hook: Option<ReportHook>);
                /// Sets how many of the blocks that were freed last are kept back, with the feature `hardened-full`.
                fn set_quarantine(blocks: usize);
                /// Forgets the peaks in the statistics.
                #[cfg(feature = "counters")]
                #[cfg_attr(docsrs, doc(cfg(feature = "counters")))]
                fn reset_peaks();
            }
            unsafe {
                /// Establishes a heap.
                fn claim(base: *mut u8, size: usize) -> Option<NonNull<u8>>;
                /// Extends a heap.
                fn extend(heap_end: NonNull<u8>, new_end: *mut u8) -> NonNull<u8>;
                /// Truncates a heap.
                fn truncate(heap_end: NonNull<u8>, new_end: *mut u8) -> Option<NonNull<u8>>;
                /// Extends or truncates a heap.
                fn resize(heap_end: NonNull<u8>, new_end: *mut u8) -> Option<NonNull<u8>>;
            }
        }
    };
}

pub(crate) use forward;
pub(crate) use heap_methods;

//! Being called when there is no memory left: [`OomHook`].

use core::alloc::Layout;
use core::cell::Cell;
use core::fmt;
use core::ptr::NonNull;

use talc_sources::talc_core::Misuse;

use crate::glue::{self, Allocates};

/// An allocator that calls a function, the hook, when it finds no memory, and tries again if the hook says so.
///
/// `A` is one of the wrappers of this crate, or `Regions`, or [`Having`](https://docs.rs/talc/latest/talc/sync/struct.Having.html)
/// of some of them. The hook is called after every region was tried and the source was asked, if there is one to ask,
/// and with nothing locked. It may free what the program can do without, add memory to a heap, restart
/// the machine, or take note.
///
/// It is given the layout that found no memory, and how often this allocation was tried again already: 0 at first,
/// unless the allocator inside has a hook, too, which is called first. If it returns `true`, the allocation is tried
/// again, and the hook is called again if there is still no memory: return `false` when nothing is left to be done, as
/// the caller waits. If it returns `false`, the allocation is refused, and counted among the
/// [`failures`](Self::failures).
///
/// - **Allocations that do without the hook** are those through [`inner`](Self::inner), and through whatever that
///   lends, such as a region.
/// - **While the hook runs**, it is not called again: allocations that find no memory meanwhile are refused, be they
///   made by the hook, an interrupt handler or another thread.
/// - If the hook panics, so does the allocation. `GlobalAlloc` aborts instead.
///
/// # Example
///
/// ```
/// use core::sync::atomic::{AtomicPtr, Ordering};
/// use talc_sources::Claim;
/// use talc_sync::{OomHook, RawSpinlock, TalcLock};
///
/// static mut HEAP: [u8; 32 << 10] = [0; 32 << 10];
///
/// /// Memory for the hour of need.
/// static RESERVE: AtomicPtr<[u8; 4096]> = AtomicPtr::new(core::ptr::null_mut());
///
/// #[global_allocator]
/// static TALC: OomHook<TalcLock<RawSpinlock, Claim>> = OomHook::new(
///     // SAFETY: nothing else uses `HEAP`.
///     TalcLock::new(unsafe { Claim::array(&raw mut HEAP) }),
///     |_layout, _attempts| {
///         let reserve = RESERVE.swap(core::ptr::null_mut(), Ordering::Acquire);
///         if reserve.is_null() {
///             return false;
///         }
///         // SAFETY: it comes from `into_raw`.
///         drop(unsafe { Box::from_raw(reserve) });
///         true
///     },
/// );
///
/// RESERVE.store(Box::into_raw(Box::new([0; 4096])), Ordering::Release);
/// let mut blocks = Vec::with_capacity(40);
/// while !RESERVE.load(Ordering::Acquire).is_null() {
///     blocks.push(vec![0_u8; 1000]); // The last one has the memory of the reserve.
/// }
/// assert_eq!(TALC.failures().count, 0);
/// ```
pub struct OomHook<A> {
    allocator: A,
    hook: fn(Layout, usize) -> bool,
    /// Only used in [`Allocates::alone`].
    state: Cell<State>,
}

#[derive(Clone, Copy)]
struct State {
    is_running: bool,
    failures: Failures,
}

/// Allocations that were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failures {
    /// How many.
    pub count: usize,
    /// The layout of the last one.
    pub last: Option<Layout>,
}

// SAFETY: whoever uses `state` is alone in doing so.
unsafe impl<A: Sync> Sync for OomHook<A> {}

impl<A: Allocates> OomHook<A> {
    /// Creates an allocator with a hook around another one.
    #[inline]
    pub const fn new(allocator: A, hook: fn(Layout, usize) -> bool) -> Self {
        let failures = Failures { count: 0, last: None };
        Self { allocator, hook, state: Cell::new(State { is_running: false, failures }) }
    }

    /// Returns the allocator inside: for its own methods, and for allocations that do without the hook.
    ///
    /// What it allocates may be freed through the allocator with the hook, and the reverse.
    #[inline]
    pub const fn inner(&self) -> &A {
        &self.allocator
    }

    /// Unwraps the allocator inside.
    #[inline]
    pub fn into_inner(self) -> A {
        self.allocator
    }

    /// Returns how many allocations were refused, after the hook was called or while it ran, and the layout of the
    /// last one. Those through [`inner`](Self::inner) are not counted.
    pub fn failures(&self) -> Failures {
        match self.alone(|| self.state.get().failures) {
            Some(failures) => failures,
            None => glue::refuse(),
        }
    }

    /// Changes the state, if the allocator is not in use, and returns it as it was.
    fn update(&self, change: impl FnOnce(&mut State)) -> Option<State> {
        self.alone(|| {
            let before = self.state.get();
            let mut after = before;
            change(&mut after);
            self.state.set(after);
            before
        })
    }

    fn fails(&self, layout: Layout) -> bool {
        self.update(|state| {
            let count = state.failures.count.wrapping_add(1);
            state.failures = Failures { count, last: Some(layout) };
        });
        false
    }
}

/// Notes that the hook has returned, or unwinds.
struct Running<'a, A: Allocates>(&'a OomHook<A>);

impl<A: Allocates> Drop for Running<'_, A> {
    fn drop(&mut self) {
        self.0.update(|state| state.is_running = false);
    }
}

impl<A: Allocates> Allocates for OomHook<A> {
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn try_obtain(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.allocator.try_obtain(layout)
    }

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    unsafe fn give_back(&self, ptr: NonNull<u8>, layout: Layout) {
        // SAFETY: required of the caller.
        unsafe { self.allocator.give_back(ptr, layout) };
    }

    #[cfg(any(feature = "allocator-api2", feature = "allocator-api2-02", feature = "nightly"))]
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    unsafe fn give_back_moved(&self, ptr: NonNull<u8>, layout: Layout) {
        // SAFETY: required of the caller.
        unsafe { self.allocator.give_back_moved(ptr, layout) };
    }

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    unsafe fn try_resize_allocation(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        unsafe { self.allocator.try_resize_allocation(ptr, old, new) }
    }

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn alone<T>(&self, f: impl FnOnce() -> T) -> Option<T> {
        self.allocator.alone(f)
    }

    #[cold]
    #[cfg_attr(debug_assertions, track_caller)]
    fn report_misuse(&self, misuse: Misuse, address: usize) {
        self.allocator.report_misuse(misuse, address);
    }

    #[cold]
    #[inline(never)]
    fn is_rescued(&self, layout: Layout, attempts: usize) -> bool {
        // It may have a hook of its own.
        if self.allocator.is_rescued(layout, attempts) {
            return true;
        }
        // One that is in use is that of a source which has called back.
        let is_running = self.update(|state| state.is_running = true);
        if is_running.map_or(true, |before| before.is_running) {
            return self.fails(layout);
        }
        let running = Running(self);
        let tries_again = (self.hook)(layout, attempts);
        drop(running);
        tries_again || self.fails(layout)
    }
}

impl<A: fmt::Debug> fmt::Debug for OomHook<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OomHook").field("inner", &self.allocator).finish_non_exhaustive()
    }
}

//! Being called when there is no memory left: [`OomHook`].

use core::alloc::Layout;
use core::cell::Cell;
use core::fmt;
use core::ptr::NonNull;

use talc_sources::Talc;

use crate::glue::{self, Wrapper};

/// An allocator that calls a function, the hook, when it finds no memory, and tries again if the hook says so.
///
/// `W` is one of the wrappers of this crate. The hook is called after the source was asked, if there is one to ask,
/// and with the allocator not locked. It may free what the program can do without, add memory to a heap, restart
/// the machine, or take note.
///
/// It is given the layout that found no memory, and how often this allocation was tried again already: 0 at first,
/// unless the wrapper had something to try by itself, as a [`TinyTalc`](https://docs.rs/talc/latest/talc/struct.TinyTalc.html)
/// has before its first allocation. If it returns `true`, the allocation is tried again, and the hook is called again if there is still no memory: return
/// `false` when nothing is left to be done, as the caller waits. If it returns `false`, the allocation is
/// refused, and counted among the [`failures`](Self::failures).
///
/// - **Allocations that do without the hook** are those through [`inner`](Self::inner).
/// - **While the hook runs**, it is not called again: allocations that find no memory meanwhile are refused, be they
///   made by the hook, an interrupt handler or another thread.
/// - A layout that no memory suffices for, beyond `isize::MAX` bytes, is refused without the hook.
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
pub struct OomHook<W> {
    wrapper: W,
    hook: fn(Layout, usize) -> bool,
    /// Only used with the driver of the wrapper lent out, which it is to one caller at a time.
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

// SAFETY: whoever uses `state` has the driver, and nobody else has it then.
unsafe impl<W: Sync> Sync for OomHook<W> {}

impl<W: Wrapper> OomHook<W> {
    /// Creates an allocator with a hook around a wrapper.
    #[inline]
    pub const fn new(wrapper: W, hook: fn(Layout, usize) -> bool) -> Self {
        let failures = Failures { count: 0, last: None };
        Self { wrapper, hook, state: Cell::new(State { is_running: false, failures }) }
    }

    /// Returns the wrapper: for its own methods, and for allocations that do without the hook.
    ///
    /// What it allocates may be freed through the allocator with the hook, and the reverse.
    #[inline]
    pub const fn inner(&self) -> &W {
        &self.wrapper
    }

    /// Unwraps the wrapper.
    #[inline]
    pub fn into_inner(self) -> W {
        self.wrapper
    }

    /// Returns how many allocations were refused, after the hook was called or while it ran, and the layout of the
    /// last one. Those through [`inner`](Self::inner) are not counted.
    pub fn failures(&self) -> Failures {
        glue::with(self, |_| self.state.get().failures)
    }

    /// Changes the state, if the driver is not lent out, and returns it as it was.
    fn update(&self, change: impl FnOnce(&mut State)) -> Option<State> {
        self.wrapper.with(|_| {
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
struct Running<'a, W: Wrapper>(&'a OomHook<W>);

impl<W: Wrapper> Drop for Running<'_, W> {
    fn drop(&mut self) {
        self.0.update(|state| state.is_running = false);
    }
}

impl<W: Wrapper> Wrapper for OomHook<W> {
    type Source = W::Source;
    type Binning = W::Binning;

    #[inline]
    fn copied_at_once(&self) -> usize {
        self.wrapper.copied_at_once()
    }

    #[inline]
    fn with<T>(&self, f: impl FnOnce(&mut Talc<W::Source, W::Binning>) -> T) -> Option<T> {
        self.wrapper.with(f)
    }

    #[cold]
    #[inline(never)]
    fn is_rescued(&self, layout: Layout, attempts: usize) -> bool {
        // It may have memory that it has not touched yet, or a hook of its own.
        if self.wrapper.is_rescued(layout, attempts) {
            return true;
        }
        // A driver that is lent out is that of a source which has called back.
        let is_running = self.update(|state| state.is_running = true);
        if is_running.map_or(true, |before| before.is_running) {
            return self.fails(layout);
        }
        let running = Running(self);
        let tries_again = (self.hook)(layout, attempts);
        drop(running);
        tries_again || self.fails(layout)
    }

    #[inline]
    fn rounded(layout: Layout) -> Layout {
        W::rounded(layout)
    }

    #[inline]
    fn is_quick(layout: Layout) -> bool {
        W::is_quick(layout)
    }

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn was_resized(&self, talc: &mut Talc<W::Source, W::Binning>, old: Layout, new: Layout) {
        self.wrapper.was_resized(talc, old, new);
    }

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.wrapper.allocate(layout)
    }

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) {
        // SAFETY: required of the caller.
        unsafe { self.wrapper.deallocate(ptr, layout) };
    }

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    unsafe fn deallocate_moved(&self, ptr: NonNull<u8>, layout: Layout) {
        // SAFETY: required of the caller.
        unsafe { self.wrapper.deallocate_moved(ptr, layout) };
    }
}

impl<W: Wrapper + fmt::Debug> fmt::Debug for OomHook<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OomHook").field("inner", &self.wrapper).finish_non_exhaustive()
    }
}

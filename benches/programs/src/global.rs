//! Any contender that manages an arena, as a global allocator.

use benches::arena::Region;
use benches::contender::Contender;
use spinning_top::Spinlock;
use std::alloc::{GlobalAlloc, Layout};
use talc::base::RawTalc;
use talc::source::{OutOfMemory, Source};
use talc::DefaultBinning;

/// Address space that is set aside; pages count only once they are touched.
const ARENA: usize = 2 << 30;

struct Slot<C>(Option<C>);

// SAFETY: the allocator is only used under the lock around it, and none of them is bound to the
// thread that made it.
unsafe impl<C> Send for Slot<C> {}

/// A contender over an arena of its own, behind a spin lock: the same lock for everyone.
pub struct OverArena<C>(Spinlock<Slot<C>>);

impl<C: Contender> OverArena<C> {
    /// The arena is mapped when the first request arrives.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self(Spinlock::new(Slot(None)))
    }

    #[inline]
    fn with(&self, call: impl FnOnce(&mut C) -> *mut u8) -> *mut u8 {
        let mut slot = self.0.lock();
        match &mut slot.0 {
            Some(contender) => call(contender),
            empty => map().map_or(std::ptr::null_mut(), |contender| call(empty.insert(contender))),
        }
    }
}

#[cold]
fn map<C: Contender>() -> Option<C> {
    // SAFETY: a fresh private mapping, used by this allocator alone until the process ends.
    unsafe { C::over(mapped()?) }
}

/// A source of the same arena, for allocators that bring locks of their own.
#[derive(Debug)]
pub struct Mapped;

// SAFETY: what is claimed is mapped until the process ends.
unsafe impl Source<DefaultBinning> for Mapped {
    const RELEASES: bool = false;

    unsafe fn acquire(
        &mut self,
        talc: &mut RawTalc<DefaultBinning>,
        _: Layout,
    ) -> Result<(), OutOfMemory> {
        if talc.has_heaps() {
            return Err(OutOfMemory);
        }
        let Region { base, size } = mapped().ok_or(OutOfMemory)?;
        // SAFETY: as in `map`.
        unsafe { talc.claim(base, size) }.map(|_| ()).ok_or(OutOfMemory)
    }
}

fn mapped() -> Option<Region> {
    // SAFETY: a fresh private mapping.
    unsafe {
        let base = libc::mmap(
            std::ptr::null_mut(),
            ARENA,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        );
        if base == libc::MAP_FAILED {
            return None;
        }
        Some(Region { base: base.cast(), size: ARENA })
    }
}

// SAFETY: contenders keep the rules of `GlobalAlloc`, and the lock serialises calls.
unsafe impl<C: Contender> GlobalAlloc for OverArena<C> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on.
        self.with(|contender| unsafe { contender.alloc(layout) })
    }

    #[inline]
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        self.with(|contender| {
            // SAFETY: passed on.
            unsafe { contender.dealloc(ptr, layout) };
            ptr
        });
    }

    #[inline]
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: passed on.
        self.with(|contender| unsafe { contender.realloc(ptr, layout, new_size) })
    }
}

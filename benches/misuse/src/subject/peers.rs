//! Talc's peers that are not global allocators by themselves.

use super::Subject;
use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::ptr::{null_mut, slice_from_raw_parts_mut, NonNull};

/// An allocator that needs a mutable reference. There is one thread.
struct Alone<A>(UnsafeCell<A>);

/// The calls of an allocator with a mutable reference; for their safety see [`GlobalAlloc`] and [`Subject`].
trait Calls {
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8;
    unsafe fn free(&mut self, ptr: *mut u8, layout: Layout);
    unsafe fn resize(&mut self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8;
    unsafe fn claim(&mut self, base: *mut u8, size: usize) -> Option<NonNull<u8>>;
}

// SAFETY: passed on to an allocator.
unsafe impl<A: Calls> GlobalAlloc for Alone<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: one thread uses it, and no call calls another one.
        unsafe { (*self.0.get()).allocate(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { (*self.0.get()).free(ptr, layout) };
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe { (*self.0.get()).resize(ptr, layout, new_size) }
    }
}

impl<A: Calls> Subject for Alone<A> {
    unsafe fn claim(&self, base: *mut u8, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: as above.
        unsafe { (*self.0.get()).claim(base, size) }
    }
}

impl Subject for linked_list_allocator::LockedHeap {
    unsafe fn claim(&self, base: *mut u8, size: usize) -> Option<NonNull<u8>> {
        let mut heap = self.lock();
        // SAFETY: as above.
        unsafe { heap.init(base, size) };
        NonNull::new(heap.top())
    }
}

type Talc5 = talc5::TalcLock<talc::RawSpinlock, talc5::source::Manual>;

impl Subject for Talc5 {
    unsafe fn claim(&self, base: *mut u8, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: as above.
        unsafe { self.lock().claim(base, size) }
    }
}

/// As in the other figures.
type Rlsf = rlsf::Tlsf<'static, u64, u32, 59, 32>;

impl Calls for Rlsf {
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        Rlsf::allocate(self, layout).map_or(null_mut(), NonNull::as_ptr)
    }

    unsafe fn free(&mut self, ptr: *mut u8, layout: Layout) {
        // SAFETY: passed on.
        unsafe { self.deallocate(NonNull::new_unchecked(ptr), layout.align()) };
    }

    unsafe fn resize(&mut self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: passed on.
        unsafe {
            let new_layout = Layout::from_size_align_unchecked(new_size, layout.align());
            let moved = self.reallocate(NonNull::new_unchecked(ptr), new_layout);
            moved.map_or(null_mut(), NonNull::as_ptr)
        }
    }

    unsafe fn claim(&mut self, base: *mut u8, size: usize) -> Option<NonNull<u8>> {
        let block = NonNull::new(slice_from_raw_parts_mut(base, size))?;
        // SAFETY: passed on.
        unsafe { self.insert_free_block_ptr(block) }?;
        NonNull::new(base.wrapping_add(size))
    }
}

impl Calls for dlmalloc::Dlmalloc {
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on.
        unsafe { self.malloc(layout.size(), layout.align()) }
    }

    unsafe fn free(&mut self, ptr: *mut u8, layout: Layout) {
        // SAFETY: passed on.
        unsafe { dlmalloc::Dlmalloc::free(self, ptr, layout.size(), layout.align()) };
    }

    unsafe fn resize(&mut self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: passed on.
        unsafe { self.realloc(ptr, layout.size(), layout.align(), new_size) }
    }

    unsafe fn claim(&mut self, _: *mut u8, _: usize) -> Option<NonNull<u8>> {
        // It asks the system for memory.
        None
    }
}

/// Returns an allocator by its name, over a region if it is one for regions.
pub(super) fn named(name: &str, base: *mut u8, size: usize) -> Option<&'static dyn Subject> {
    fn over<S: Subject + 'static>(subject: S, base: *mut u8, size: usize) -> &'static dyn Subject {
        // SAFETY: nothing else uses the region.
        unsafe { subject.claim(base, size) };
        Box::leak(Box::new(subject))
    }
    Some(match name {
        "talc5" => over(Talc5::new(talc5::source::Manual), base, size),
        "rlsf" => over(Alone(UnsafeCell::new(Rlsf::new())), base, size),
        "dlmalloc" => over(Alone(UnsafeCell::new(dlmalloc::Dlmalloc::new())), base, size),
        "linked-list" => over(linked_list_allocator::LockedHeap::empty(), base, size),
        _ => return None,
    })
}

//! The allocators. Calls of them are not inlined, as those of a global allocator mostly are not.

use core::alloc::{GlobalAlloc, Layout};

#[cfg(any(feature = "talc", feature = "small"))]
mod chosen {
    use talc::cell::{TalcCell, TalcSyncCell};
    use talc::source::Manual;

    #[cfg(feature = "talc")]
    type Binning = talc::DefaultBinning;
    #[cfg(feature = "small")]
    type Binning = talc::SmallBinning;

    pub static HEAP: TalcSyncCell<Manual, Binning> =
        unsafe { TalcSyncCell::new(TalcCell::new(Manual)) };

    pub fn init(base: *mut u8, size: usize) {
        let _ = unsafe { HEAP.claim(base, size) };
    }
}

#[cfg(any(feature = "tlsf", feature = "embedded-linked-list"))]
mod chosen {
    #[cfg(feature = "embedded-linked-list")]
    use embedded_alloc::LlffHeap as Heap;
    #[cfg(feature = "tlsf")]
    use embedded_alloc::TlsfHeap as Heap;

    pub static HEAP: Heap = Heap::empty();

    pub fn init(base: *mut u8, size: usize) {
        unsafe { HEAP.init(base as usize, size) };
    }
}

#[cfg(any(
    feature = "rlsf",
    feature = "linked-list",
    feature = "talc5",
    not(any(
        feature = "talc",
        feature = "small",
        feature = "tlsf",
        feature = "embedded-linked-list",
    ))
))]
mod chosen {
    use core::alloc::{GlobalAlloc, Layout};
    use core::cell::UnsafeCell;
    use core::ptr::null_mut;
    #[cfg(any(feature = "rlsf", feature = "linked-list", feature = "talc5"))]
    use core::ptr::NonNull;

    #[cfg(feature = "rlsf")]
    type Heap = rlsf::Tlsf<'static, u32, u32, 28, 32>;
    #[cfg(feature = "linked-list")]
    type Heap = linked_list_allocator::Heap;
    #[cfg(feature = "talc5")]
    type Heap = talc5::base::Talc<talc5::source::Manual, talc5::DefaultBinning>;
    /// What is free, from here to the end.
    #[cfg(not(any(feature = "rlsf", feature = "linked-list", feature = "talc5")))]
    struct Heap(usize, usize);

    /// One thread uses it.
    pub struct Alone(UnsafeCell<Heap>);

    unsafe impl Sync for Alone {}

    #[cfg(feature = "rlsf")]
    pub static HEAP: Alone = Alone(UnsafeCell::new(Heap::new()));
    #[cfg(feature = "linked-list")]
    pub static HEAP: Alone = Alone(UnsafeCell::new(Heap::empty()));
    // It wants to be the global one.
    #[cfg(feature = "talc5")]
    #[global_allocator]
    pub static HEAP: Alone = Alone(UnsafeCell::new(Heap::new(talc5::source::Manual)));
    #[cfg(not(any(feature = "rlsf", feature = "linked-list", feature = "talc5")))]
    pub static HEAP: Alone = Alone(UnsafeCell::new(Heap(0, 0)));

    pub fn init(base: *mut u8, size: usize) {
        let heap = unsafe { &mut *HEAP.0.get() };
        #[cfg(feature = "rlsf")]
        unsafe {
            let block = core::ptr::slice_from_raw_parts_mut(base, size);
            heap.insert_free_block_ptr(NonNull::new_unchecked(block));
        }
        #[cfg(feature = "linked-list")]
        unsafe {
            heap.init(base, size);
        }
        #[cfg(feature = "talc5")]
        unsafe {
            let _ = heap.claim(base, size);
        }
        #[cfg(not(any(feature = "rlsf", feature = "linked-list", feature = "talc5")))]
        {
            *heap = Heap(base as usize, base as usize + size);
        }
    }

    unsafe impl GlobalAlloc for Alone {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            let heap = &mut *self.0.get();
            #[cfg(feature = "rlsf")]
            return heap.allocate(layout).map_or(null_mut(), NonNull::as_ptr);
            #[cfg(feature = "linked-list")]
            return heap.allocate_first_fit(layout).map_or(null_mut(), NonNull::as_ptr);
            #[cfg(feature = "talc5")]
            return heap.allocate(layout).map_or(null_mut(), NonNull::as_ptr);
            #[cfg(not(any(feature = "rlsf", feature = "linked-list", feature = "talc5")))]
            {
                let start = (heap.0 + layout.align() - 1) & !(layout.align() - 1);
                if heap.1 - start < layout.size() {
                    return null_mut();
                }
                heap.0 = start + layout.size();
                start as *mut u8
            }
        }

        unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
            let _heap = &mut *self.0.get();
            let _ = (ptr, layout);
            #[cfg(feature = "rlsf")]
            _heap.deallocate(NonNull::new_unchecked(ptr), layout.align());
            #[cfg(feature = "linked-list")]
            _heap.deallocate(NonNull::new_unchecked(ptr), layout);
            #[cfg(feature = "talc5")]
            _heap.deallocate(ptr, layout);
        }

        #[cfg(feature = "talc5")]
        unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
            let heap = &mut *self.0.get();
            if heap.try_realloc_in_place(ptr, layout, new_size) {
                return ptr;
            }
            let new = Layout::from_size_align_unchecked(new_size, layout.align());
            let moved = self.alloc(new);
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(ptr, layout.size().min(new_size));
                self.dealloc(ptr, layout);
            }
            moved
        }

        #[cfg(feature = "rlsf")]
        unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
            let heap = &mut *self.0.get();
            let new = Layout::from_size_align_unchecked(new_size, layout.align());
            let moved = heap.reallocate(NonNull::new_unchecked(ptr), new);
            moved.map_or(null_mut(), NonNull::as_ptr)
        }
    }
}

pub fn init(base: *mut u8, size: usize) {
    chosen::init(base, size);
}

#[inline(never)]
pub unsafe fn alloc(layout: Layout) -> *mut u8 {
    chosen::HEAP.alloc(layout)
}

#[inline(never)]
pub unsafe fn dealloc(ptr: *mut u8, layout: Layout) {
    chosen::HEAP.dealloc(ptr, layout);
}

#[inline(never)]
pub unsafe fn realloc(ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
    chosen::HEAP.realloc(ptr, layout, new_size)
}

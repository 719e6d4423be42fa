//! Sources that users write: a short one, one that recovers memory instead of bringing new memory,
//! one that panics, one that maps and unmaps; and what the driver tells them.
#![allow(clippy::undocumented_unsafe_blocks)] // Regions are local, frees of what was allocated.

mod common;

use std::alloc::Layout;
use std::cell::Cell;
use std::ops::Range;
use std::ptr::{null_mut, NonNull};

use common::{bytes, in_a_process_that_aborts, panic_message, rounds, Random};
use talc_sources::talc_core::{RawTalc, SmallBinning};
use talc_sources::{Binning, Manual, OutOfMemory, RawTalcExt, Source, Talc};

type Region = Box<[u8; 8000]>;

fn region() -> Region {
    Box::new([0; 8000])
}

/// Brings what it has, one region at a time. For the default binning only, as users begin.
struct Regions(Vec<NonNull<[u8; 8000]>>);

unsafe impl Source for Regions {
    unsafe fn acquire(&mut self, talc: &mut RawTalc, _: Layout) -> Result<(), OutOfMemory> {
        let region = self.0.pop().ok_or(OutOfMemory)?;
        unsafe { talc.claim(region.as_ptr().cast(), 8000) }.map(|_| ()).ok_or(OutOfMemory)
    }
}

#[test]
fn a_source_in_ten_lines() {
    let mut regions = [region(), region(), region()];
    let mut talc =
        Talc::<_>::new(Regions(regions.iter_mut().map(|r| NonNull::from(&mut **r)).collect()));
    for left in [2, 1, 0] {
        assert!(talc.allocate(bytes(5000)).is_some());
        assert_eq!(talc.source().0.len(), left);
    }
    assert!(talc.allocate(bytes(5000)).is_none());
    assert_eq!(talc.audit(), Ok(()));

    // A layout that never fits makes the source bring all it has, and then fails, without looping.
    let mut more = [region(), region()];
    let mut talc =
        Talc::<_>::new(Regions(more.iter_mut().map(|r| NonNull::from(&mut **r)).collect()));
    assert!(talc.allocate(bytes(9000)).is_none());
    assert_eq!(talc.source().0.len(), 0);
}

/// Frees the contents of a cache into the allocator, oldest first. Generic over the binning.
struct Cache<'a>(&'a Cell<Vec<(*mut u8, Layout)>>);

unsafe impl<B: Binning> Source<B> for Cache<'_> {
    unsafe fn acquire(&mut self, talc: &mut RawTalc<B>, _: Layout) -> Result<(), OutOfMemory> {
        let mut cached = self.0.take();
        if cached.is_empty() {
            return Err(OutOfMemory);
        }
        let (block, layout) = cached.remove(0);
        self.0.set(cached);
        // What the core returns is for sources that truncate heaps: nothing to do here.
        let _touched = unsafe { talc.deallocate(block, layout) };
        Ok(())
    }
}

#[test]
fn a_source_that_recovers_memory() {
    fn check<B: Binning>() {
        let mut memory = region();
        let cache = Cell::new(Vec::new());
        let mut talc = Talc::<_, B>::new(Cache(&cache));
        unsafe { talc.claim(memory.as_mut_ptr(), memory.len()) }.unwrap();

        // Everything goes into the cache, until a request finds the heap full.
        let mut cached = Vec::new();
        while let Some(block) = talc.try_allocate(bytes(500)) {
            cached.push((block.as_ptr(), bytes(500)));
        }
        let count = cached.len();
        cache.set(cached);
        // Three neighbours are freed for it, and no more than that.
        let large = talc.allocate(bytes(1400)).unwrap();
        let left = cache.take();
        assert_eq!(left.len(), count - 3);
        assert_eq!(talc.audit(), Ok(()));
        cache.set(left);

        // All of it is not enough for this, but nothing is lost.
        assert!(talc.allocate(bytes(100_000)).is_none());
        assert!(cache.take().is_empty());
        unsafe { talc.deallocate(large.as_ptr(), bytes(1400)) };
        assert_eq!(talc.audit(), Ok(()));
        assert!(talc.allocate(bytes(500 * count)).is_some());
    }
    check::<talc_sources::talc_core::DefaultBinning>();
    check::<SmallBinning>();
}

/// Panics when it is called, once for each time that a switch is set.
struct Panics<'a> {
    regions: Regions,
    on_acquire: &'a Cell<bool>,
    on_release: &'a Cell<bool>,
}

unsafe impl Source for Panics<'_> {
    unsafe fn acquire(&mut self, talc: &mut RawTalc, layout: Layout) -> Result<(), OutOfMemory> {
        assert!(!self.on_acquire.take(), "no acquire");
        unsafe { self.regions.acquire(talc, layout) }
    }

    unsafe fn release(&mut self, _: &mut RawTalc, _: NonNull<u8>) {
        assert!(!self.on_release.take(), "no release");
    }
}

#[test]
#[cfg_attr(panic = "abort", ignore = "panics do not unwind here")]
fn a_source_may_panic() {
    let mut regions = [region(), region()];
    let regions = Regions(regions.iter_mut().map(|r| NonNull::from(&mut **r)).collect());
    let (on_acquire, on_release) = (&Cell::new(false), &Cell::new(false));
    let mut talc = Talc::<_>::new(Panics { regions, on_acquire, on_release });
    let mut live = Vec::new();
    for _ in 0..2 {
        on_acquire.set(true);
        let message = panic_message(|| talc.allocate(bytes(5000)));
        assert_eq!(message, "no acquire");
        assert_eq!(talc.audit(), Ok(()));
        // The same request works, as soon as the source does.
        live.push(talc.allocate(bytes(5000)).unwrap());
    }
    // What becomes of the free space is up to the source; the allocation is freed.
    on_release.set(true);
    let top = live.pop().unwrap().as_ptr();
    let message = panic_message(|| unsafe { talc.deallocate(top, bytes(5000)) });
    assert_eq!(message, "no release");
    assert_eq!(talc.audit(), Ok(()));
    assert_eq!(talc.try_allocate(bytes(5000)).unwrap().as_ptr(), top, "it was freed");
    unsafe { talc.deallocate(top, bytes(5000)) };
    assert_eq!(talc.audit(), Ok(()));
}

/// The owner of an allocation that is resized must learn of it, so a panic aborts.
#[test]
fn a_source_that_panics_while_resizing_aborts() {
    let resizes: [fn(&mut Talc<Panics<'_>>, *mut u8); 3] = [
        |talc, block| unsafe { talc.shrink(block, bytes(5000), 10) },
        |talc, block| assert!(unsafe { talc.try_realloc_in_place(block, bytes(5000), 10) }),
        |talc, block| unsafe { talc.deallocate_moved(block, bytes(5000)) },
    ];
    for (n, resize) in resizes.into_iter().enumerate() {
        let said = in_a_process_that_aborts(n, || {
            let mut region = region();
            let regions = Regions(vec![NonNull::from(&mut *region)]);
            let (on_acquire, on_release) = (&Cell::new(false), &Cell::new(false));
            let mut talc = Talc::<_>::new(Panics { regions, on_acquire, on_release });
            let block = talc.allocate(bytes(5000)).unwrap().as_ptr();
            on_release.set(true);
            resize(&mut talc, block);
        });
        if let Some(said) = said {
            assert!(said.contains("no release"), "{said}");
            assert!(said.contains("must not panic while an allocation is being resized"), "{said}");
        }
    }
}

/// Like an operating system: brings pages at the heap end and takes them back.
struct Pages {
    base: *mut u8,
    reserved: usize,
    end: Option<NonNull<u8>>,
    mapped: usize,
}

const PAGE: usize = 512;

/// Rounds up. No request of the tests is so large that this overflows.
fn whole_pages(bytes: usize) -> usize {
    (bytes + PAGE - 1) & !(PAGE - 1)
}

unsafe impl<B: Binning> Source<B> for Pages {
    const MANUAL_HEAPS: bool = false;

    unsafe fn acquire(&mut self, talc: &mut RawTalc<B>, layout: Layout) -> Result<(), OutOfMemory> {
        let more = match self.end {
            None => talc.claim_size(layout),
            Some(end) => unsafe { talc.extend_size(end, layout) },
        };
        let pages = whole_pages(more.ok_or(OutOfMemory)?.max(1));
        let mapped = pages.checked_add(self.mapped);
        self.mapped = mapped.filter(|&mapped| mapped <= self.reserved).ok_or(OutOfMemory)?;
        let top = self.base.wrapping_add(self.mapped);
        self.end = match self.end {
            None => unsafe { talc.claim(self.base, self.mapped) },
            Some(end) => Some(unsafe { talc.extend(end, top) }),
        };
        Ok(())
    }

    unsafe fn release(&mut self, talc: &mut RawTalc<B>, end: NonNull<u8>) {
        assert_eq!(Some(end), self.end, "there is one heap, and this is its end");
        let reserved = unsafe { talc.reserved(end) };
        assert!(reserved.up_to <= end);
        let used = reserved.up_to.as_ptr() as usize - self.base as usize;
        let needed = whole_pages(used);
        // One page is kept, so that a pair at the edge costs nothing.
        if needed + PAGE < self.mapped {
            let top = self.base.wrapping_add(needed);
            self.end = unsafe { talc.truncate(end, top) };
            let end = self.end.expect("the table stays").as_ptr() as usize;
            self.mapped = whole_pages(end - self.base as usize);
        }
    }
}

#[test]
fn a_source_that_extends_and_truncates() {
    let mut memory = vec![0_u8; 1 << 16];
    let base = memory.as_mut_ptr();
    let source = Pages { base, reserved: memory.len(), end: None, mapped: 0 };
    let mut talc = Talc::<_, SmallBinning>::new(source);
    let mut random = Random(99);
    let mut live = Vec::new();
    let mut most = 0;
    for step in 0..rounds(3000) {
        if random.below(2 + step / 500 % 2) == 0 {
            let layout = Layout::from_size_align(random.size(11), 8 << random.below(3)).unwrap();
            if let Some(block) = talc.allocate(layout) {
                live.push((block.as_ptr(), layout));
            }
        } else if !live.is_empty() {
            let (block, layout) = live.swap_remove(random.below(live.len()));
            unsafe { talc.deallocate(block, layout) };
        }
        most = most.max(talc.source().mapped);
        assert_eq!(talc.audit(), Ok(()));
    }
    for (block, layout) in live {
        unsafe { talc.deallocate(block, layout) };
    }
    assert_eq!(talc.audit(), Ok(()));
    assert!(
        most > 6 * PAGE && talc.source().mapped <= 4 * PAGE,
        "pages were given back: {most}, {}",
        talc.source().mapped
    );
}

#[test]
fn manual_brings_nothing_and_heaps_are_the_users() {
    let mut memory = region();
    let Range { start: base, end: top } = memory.as_mut_ptr_range();
    let mut talc = Talc::<_>::new(Manual);
    unsafe {
        assert!(talc.allocate(bytes(1)).is_none());
        let end = talc.claim(base, 4000).unwrap();
        assert!(talc.allocate(bytes(4500)).is_none());
        let more = talc.extend_size(end, bytes(4500)).unwrap();
        assert!(more <= memory.len() - 4000, "{more}");
        let end = talc.resize(end, end.as_ptr().add(more)).unwrap();
        let block = talc.allocate(bytes(4500)).expect("exactly what it takes").as_ptr();
        assert_eq!(talc.extend(end, base), end, "not an extension");
        assert_eq!(talc.truncate(end, top), Some(end), "not a truncation");
        let reserved = talc.reserved(end);
        assert!(reserved.any && reserved.up_to.as_ptr() > block.add(4499));
        talc.deallocate(block, bytes(4500));
        assert!(talc.resize(end, null_mut()).unwrap() < end);
    }
    assert_eq!(talc.audit(), Ok(()));
    assert_eq!(OutOfMemory.to_string(), "out of memory");
}

//! Bytes held by an allocator that takes blocks from another one and returns them.

use crate::arena::Region;
use crate::contender::Contender;
use crate::replay::{layout, run, Slots};
use crate::workload::{Op, OpKind, Workload};
use allocator_api2::alloc::{AllocError, Allocator};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::{null_mut, NonNull};

/// The system's allocator, counting what each thread holds of it: replays on two threads do not
/// disturb each other. A type without size, so that it may be moved while memory of it is in use.
#[derive(Clone, Copy, Debug)]
pub struct Counted;

/// What [`Counted`] counts.
#[derive(Clone, Copy, Debug)]
struct Count {
    /// Bytes that are held now. Negative if more came back than was handed out.
    held: isize,
    peak: isize,
    fetched: usize,
    returned: usize,
}

thread_local! {
    static COUNT: Cell<Count> = const { Cell::new(Count::ZERO) };
}

impl Count {
    const ZERO: Self = Self { held: 0, peak: 0, fetched: 0, returned: 0 };

    fn now() -> Self {
        COUNT.get()
    }

    fn reset() {
        COUNT.set(Self::ZERO);
    }
}

const PAGE: usize = 4096;

/// All blocks are aligned to this. talc 5.1.1 allocates with an alignment of 1 and, when it is
/// dropped, frees with one of 32.
const ALIGN: usize = 16;

/// How far above a page the next block begins, on which it depends how slabs fit into a block. The
/// system places blocks anywhere; here each run must find the same.
fn offset(fetched: usize) -> usize {
    ALIGN * (1 + fetched * 37 % (PAGE / ALIGN))
}

/// What is asked of the system for a block.
fn roomy(block: Layout) -> Layout {
    let size = block.size() + PAGE;
    Layout::from_size_align(size, PAGE).expect("a block far smaller than all memory")
}

// SAFETY: a block lies within an allocation of the system, whose base is kept below it; it is freed
// with the layout that it was allocated with.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() > ALIGN {
            return null_mut();
        }
        // SAFETY: the size is not zero.
        let base = unsafe { System.alloc(roomy(layout)) };
        if base.is_null() {
            return base;
        }
        let mut count = COUNT.get();
        // SAFETY: the offset is at least `ALIGN` and at most what was asked for in addition.
        let block = unsafe {
            let block = base.add(offset(count.fetched));
            block.cast::<*mut u8>().sub(1).write(base);
            block
        };
        count.held += layout.size() as isize;
        count.peak = count.peak.max(count.held);
        count.fetched += 1;
        COUNT.set(count);
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let mut count = COUNT.get();
        count.held -= layout.size() as isize;
        count.returned += 1;
        COUNT.set(count);
        // SAFETY: required of the caller: the block was allocated above, with the same size.
        unsafe { System.dealloc(block.cast::<*mut u8>().sub(1).read(), roomy(layout)) };
    }
}

// SAFETY: as above; the type has no state, so that each value of it is a copy of each other.
unsafe impl Allocator for Counted {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        assert!(layout.size() > 0, "a block without bytes");
        // SAFETY: the size is not zero.
        let block = NonNull::new(unsafe { self.alloc(layout) }).ok_or(AllocError)?;
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: required of the caller.
        unsafe { self.dealloc(block.as_ptr(), layout) };
    }
}

/// What was held during a replay.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// The largest sum of the sizes of live blocks.
    pub peak_live: usize,
    /// The most bytes held at any time.
    pub peak: isize,
    /// Bytes held once everything is freed.
    pub after: isize,
    /// Bytes held once the allocator is dropped.
    pub dropped: isize,
    /// How many blocks were fetched.
    pub fetched: usize,
    /// How many blocks were given back before the allocator was dropped.
    pub returned: usize,
    /// Bytes held after each so many calls, as many as asked for at most.
    pub samples: Vec<f64>,
}

/// The arena of an allocator that brings its own memory.
const NOWHERE: Region = Region { base: null_mut(), size: 0 };

/// Calls between two samples.
fn sample_step(workload: &Workload, samples: usize) -> usize {
    (workload.ops.len() + workload.cleanup.len()).div_ceil(samples).max(1)
}

/// All calls until nothing is live any more.
fn all_calls(workload: &Workload) -> Vec<Op> {
    [&workload.ops[..], &workload.cleanup].concat()
}

/// Replays a workload and frees what is left; `None` if a call fails. `C` must take its memory from
/// [`Counted`].
pub fn replay<C: Contender>(
    workload: &Workload,
    slots: &mut Slots,
    samples: usize,
) -> Option<Held> {
    let slots = slots.for_workload(workload);
    Count::reset();
    let mut held = Held { peak_live: workload.peak_bytes, ..Held::default() };
    // SAFETY: there is no memory to be valid.
    let mut contender = unsafe { C::over(NOWHERE) }?;
    for calls in all_calls(workload).chunks(sample_step(workload, samples)) {
        // SAFETY: the workload is consistent from its first call on, and `slots` long enough.
        unsafe { run(&mut contender, calls, slots) }.ok()?;
        held.samples.push(Count::now().held as f64);
    }
    held.conclude(contender);
    Some(held)
}

/// Bytes live at the same moments as the samples of [`replay`].
pub fn live_samples(workload: &Workload, samples: usize) -> Vec<f64> {
    let mut live = 0;
    let calls = all_calls(workload);
    let sums = calls.chunks(sample_step(workload, samples)).map(|calls| {
        for call in calls {
            live += match call.kind {
                OpKind::Alloc => i64::from(call.size),
                OpKind::Free => -i64::from(call.size),
                OpKind::Realloc => i64::from(call.new_size) - i64::from(call.size),
            };
        }
        live as f64
    });
    sums.collect()
}

/// How large an object is if this is a block's size.
pub type ObjectSize = fn(usize) -> usize;

/// Allocates objects until a second block is fetched for one; then frees and allocates that one
/// `pairs` times. What is counted as fetched and returned is what these pairs do.
pub fn edge<C: Contender>(size: ObjectSize, pairs: usize) -> Option<Held> {
    let layout = layout(size(block_size::<C>()?) as u32, 3);
    Count::reset();
    // SAFETY: there is no memory to be valid.
    let mut contender = unsafe { C::over(NOWHERE) }?;
    let mut objects = Objects { layout, live: Vec::new() };
    while Count::now().fetched < 2 {
        objects.allocate(&mut contender)?;
    }
    let before = Count::now();
    for _ in 0..pairs {
        objects.free(&mut contender);
        objects.allocate(&mut contender)?;
    }
    let after = Count::now();
    let mut held = Held { peak_live: objects.live.len() * layout.size(), ..Held::default() };
    while !objects.live.is_empty() {
        objects.free(&mut contender);
    }
    held.conclude(contender);
    held.fetched = after.fetched - before.fetched;
    held.returned = after.returned - before.returned;
    Some(held)
}

/// What is fetched for a first small object.
fn block_size<C: Contender>() -> Option<usize> {
    Count::reset();
    // SAFETY: there is no memory to be valid.
    let mut contender = unsafe { C::over(NOWHERE) }?;
    let mut objects = Objects { layout: layout(8, 3), live: Vec::new() };
    objects.allocate(&mut contender)?;
    let size = Count::now().held as usize;
    objects.free(&mut contender);
    Some(size)
}

impl Held {
    /// Looks at what is held when everything is freed, and drops the allocator.
    fn conclude<C: Contender>(&mut self, contender: C) {
        let Count { held, peak, fetched, returned } = Count::now();
        (self.after, self.peak, self.fetched, self.returned) = (held, peak, fetched, returned);
        drop(contender);
        self.dropped = Count::now().held;
    }
}

/// Live objects of one layout.
struct Objects {
    layout: Layout,
    live: Vec<*mut u8>,
}

impl Objects {
    /// Allocates one more.
    fn allocate<C: Contender>(&mut self, contender: &mut C) -> Option<()> {
        // SAFETY: no object is without bytes.
        let object = unsafe { contender.alloc(self.layout) };
        self.live.push(NonNull::new(object)?.as_ptr());
        Some(())
    }

    /// Frees the last one.
    fn free<C: Contender>(&mut self, contender: &mut C) {
        let object = self.live.pop().expect("a live object");
        // SAFETY: allocated above with this layout, by the same allocator, and no longer kept.
        unsafe { contender.dealloc(object, self.layout) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::{Talc5Api, Talc5Global, TalcApi, TalcGlobal, USUAL};
    use crate::replay::{verify, Verdict};
    use crate::workload::passing;
    use std::time::Duration;

    /// Payloads stay as they are, in blocks of the usual size and in small ones.
    fn keeps_payloads<C: Contender, D: Contender>() {
        let workload = passing::mixed(20_000, 500);
        let mut slots = Slots::default();
        let limit = Duration::from_secs(60);
        for verify in [verify::<C>, verify::<D>] {
            let verdict = verify(&workload, NOWHERE, &mut slots, limit);
            assert_eq!(verdict, Verdict::Sound);
        }
    }

    #[test]
    fn payloads_are_kept() {
        keeps_payloads::<TalcGlobal<USUAL>, TalcGlobal<8192>>();
        keeps_payloads::<TalcApi<USUAL>, TalcApi<8192>>();
        keeps_payloads::<Talc5Global<USUAL>, Talc5Global<8192>>();
        keeps_payloads::<Talc5Api<USUAL>, Talc5Api<8192>>();
    }

    #[test]
    fn live_bytes_end_at_nothing() {
        let workload = passing::layers(1000, 10, true);
        let samples = live_samples(&workload, 10_000);
        let most = samples.iter().copied().fold(0.0, f64::max);
        assert_eq!((most as usize, samples.len()), (workload.peak_bytes, workload.ops.len()));
        assert_eq!(samples.last(), Some(&0.0));
    }
}

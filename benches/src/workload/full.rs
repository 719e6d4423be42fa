//! Heaps without room, and requests that they must refuse: what it costs to find out.

use super::adversarial::{apart, GAPS};
use super::{BlockId, Builder, Op, OpKind, Workload};
use fastrand::Rng;

/// A heap that is brought to refuse.
pub struct FullHeap {
    /// The calls before [`Workload::warm`] allocate; then the rest of the arena is filled, which
    /// takes different calls for each allocator; the calls after that leave gaps.
    pub workload: Workload,
    /// What is then asked for, each into the workload's last slot.
    pub requests: Vec<Op>,
}

/// All of them. The arenas are those that suit the workloads.
pub fn all() -> Vec<FullHeap> {
    vec![no_gap(), too_small(), over_aligned(), large(), scattered_small()]
}

/// The workload with one more slot, for the requests.
fn full(mut workload: Workload, requests: impl Iterator<Item = (u32, u8)>) -> FullHeap {
    let slot = workload.slots as u32;
    workload.slots += 1;
    let request =
        |(size, align_log2)| Op { slot, size, new_size: 0, kind: OpKind::Alloc, align_log2 };
    FullHeap { workload, requests: requests.map(request).collect() }
}

/// Gaps of these sizes between live blocks, and nothing else that is free.
fn with_gaps(name: &str, sizes: impl Iterator<Item = u32>) -> Workload {
    let mut builder = Builder::default();
    let doomed = apart(&mut builder, sizes);
    builder.begin();
    doomed.into_iter().for_each(|block| builder.free(block));
    builder.finish(name)
}

/// Nothing is free.
fn no_gap() -> FullHeap {
    let sizes = (0..24).map(|index| (64 << (index % 10), 3));
    full(with_gaps("no gap", std::iter::empty()), sizes)
}

/// Thousands of gaps, each just too small.
fn too_small() -> FullHeap {
    let sizes = (0..GAPS).map(|index| 1024 + 16 * (index % 4));
    let requests = (0..24).map(|index| (1024 + 16 * (4 + index % 8), 3));
    full(with_gaps("gaps just too small", sizes), requests)
}

/// Thousands of gaps that are long enough for the requests, none at a fitting address.
fn over_aligned() -> FullHeap {
    let requests = (0..24).map(|index| (960 + index, 17 + (index % 4) as u8));
    full(with_gaps("over-aligned", (0..GAPS).map(|_| 1024)), requests)
}

/// Large gaps of many sizes, which few bins must hold, all of them too small.
fn large() -> FullHeap {
    let mut rng = Rng::with_seed(3);
    let sizes: Vec<u32> = (0..GAPS / 20).map(|_| rng.u32(400_000..900_000)).collect();
    let requests = (0..24).map(|index| (900_000 + 2000 * index, 3));
    full(with_gaps("large gaps too small", sizes.into_iter()), requests)
}

/// Small blocks of all sizes, nine of ten freed in random order: many slabs with few slots in
/// use, and some without any, if there are slabs.
fn scattered_small() -> FullHeap {
    let mut builder = Builder::default();
    let mut blocks: Vec<BlockId> =
        (0..8 * GAPS).map(|index| builder.alloc(1 + index % 256, 3)).collect();
    Rng::with_seed(11).shuffle(&mut blocks);
    builder.begin();
    blocks.drain(GAPS as usize..).for_each(|block| builder.free(block));
    full(builder.finish("scattered small blocks"), (0..24).map(|index| (1 << 16, index % 8)))
}

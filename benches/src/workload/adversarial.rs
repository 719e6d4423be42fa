//! Heaps that are hard on purpose, for the worst single operation.
//!
//! Each workload first prepares its heap, unmeasured, and then makes calls that are slow if a
//! search has no bound.

use super::{BlockId, Builder, Workload};
use fastrand::Rng;

/// How many gaps the heaps hold.
pub(super) const GAPS: u32 = 4000;

/// All of them. They need an arena of [`ARENA`] bytes, most of which is never touched.
pub fn all() -> Vec<Workload> {
    let [too_small, over_aligned, last_bin] = searched(pairs);
    vec![too_small, over_aligned, last_bin, comb(), scattered_small(), grown_vectors()]
}

/// The same for reallocations: blocks of `size` bytes that have to move in order to grow.
pub fn moving(size: u32) -> Vec<Workload> {
    let [too_small, over_aligned, last_bin] =
        searched(|builder, requests| moves(builder, size, requests));
    vec![too_small, over_aligned, last_bin, moving_comb(size), grown_vectors()]
}

/// Heaps in which requests are searched for among many gaps. What is done with the requests is up to `calls`.
fn searched(calls: impl Fn(&mut Builder, &mut dyn Iterator<Item = (u32, u8)>)) -> [Workload; 3] {
    [too_small(&calls), over_aligned(&calls), last_bin(&calls)]
}

/// Enough for each of [`all`] and of [`moving`].
pub const ARENA: usize = 3 << 30;

/// What keeps gaps apart: too large for anyone's slabs, which would put it elsewhere.
const SEPARATOR: u32 = 600;

/// Blocks of the given sizes, each between two others that stay, in a random order.
pub(super) fn apart(builder: &mut Builder, sizes: impl Iterator<Item = u32>) -> Vec<BlockId> {
    let mut blocks = Vec::new();
    for size in sizes {
        blocks.push(builder.alloc(size, 3));
        builder.alloc(SEPARATOR, 3);
    }
    Rng::with_seed(7).shuffle(&mut blocks);
    blocks
}

/// Leaves gaps of the given sizes, each between two live blocks.
fn gaps(builder: &mut Builder, sizes: impl Iterator<Item = u32>) {
    for block in apart(builder, sizes) {
        builder.free(block);
    }
}

/// Allocates and frees each of the sizes, twice in a row.
fn pairs(builder: &mut Builder, requests: &mut dyn Iterator<Item = (u32, u8)>) {
    builder.begin();
    for (size, align_log2) in requests {
        let first = builder.alloc(size, align_log2);
        let second = builder.alloc(size, align_log2);
        builder.free(first);
        builder.free(second);
    }
}

/// Grows a block of `size` bytes to each of the sizes, with another block right above it.
fn moves(builder: &mut Builder, size: u32, requests: &mut dyn Iterator<Item = (u32, u8)>) {
    builder.begin();
    for (new_size, align_log2) in requests {
        let block = builder.alloc(size, align_log2);
        let above = builder.alloc(size, align_log2);
        builder.realloc(block, new_size);
        builder.free(block);
        builder.free(above);
    }
}

/// Thousands of gaps in the same bin as the requests, each just too small.
fn too_small(calls: impl Fn(&mut Builder, &mut dyn Iterator<Item = (u32, u8)>)) -> Workload {
    let mut builder = Builder::default();
    gaps(&mut builder, (0..GAPS).map(|index| 1024 + 16 * (index % 4)));
    calls(&mut builder, &mut (0..200).map(|index| (1024 + 16 * (4 + index % 3), 3)));
    builder.finish("gaps just too small")
}

/// Gaps that are long enough for the requests but not at a fitting address.
fn over_aligned(calls: impl Fn(&mut Builder, &mut dyn Iterator<Item = (u32, u8)>)) -> Workload {
    let mut builder = Builder::default();
    gaps(&mut builder, (0..GAPS).map(|index| 560 + 16 * (index % 32)));
    calls(&mut builder, &mut (0..200).map(|index| (500 + index, 9 + (index % 4) as u8)));
    builder.finish("over-aligned")
}

/// Large gaps of many sizes, which few bins must hold, and requests larger than most of them.
fn last_bin(calls: impl Fn(&mut Builder, &mut dyn Iterator<Item = (u32, u8)>)) -> Workload {
    let mut builder = Builder::default();
    let mut rng = Rng::with_seed(3);
    gaps(&mut builder, (0..GAPS / 2).map(|_| rng.u32(400_000..900_000)));
    calls(&mut builder, &mut (0..200).map(|index| (800_000 + 500 * index, 3)));
    builder.finish("last bin of large gaps")
}

/// Every second block of a full heap freed, then the rest: each free finds gaps on both sides.
fn comb() -> Workload {
    let mut builder = Builder::default();
    let mut rng = Rng::with_seed(5);
    let blocks: Vec<BlockId> = (0..GAPS).map(|_| builder.alloc(rng.u32(300..2000), 3)).collect();
    for pair in blocks.chunks(2) {
        builder.free(pair[0]);
    }
    builder.begin();
    for pair in blocks.chunks(2) {
        builder.free(pair[1]);
    }
    builder.finish("comb")
}

/// Every second block of `size` bytes freed, and the others grown beyond the gaps on both sides of them, among gaps that
/// are just too small.
fn moving_comb(size: u32) -> Workload {
    let mut builder = Builder::default();
    gaps(&mut builder, (0..GAPS).map(|index| 1024 + 16 * (index % 4)));
    let blocks: Vec<BlockId> = (0..GAPS / 4).map(|_| builder.alloc(size, 3)).collect();
    for pair in blocks.chunks(2) {
        builder.free(pair[0]);
    }
    builder.begin();
    for (index, pair) in (0..).zip(blocks.chunks(2)) {
        builder.realloc(pair[1], 1024 + 16 * (4 + index % 3));
    }
    builder.finish("comb")
}

/// Small blocks of all sizes, nine of ten freed in random order, then allocated once more: many
/// slabs with few slots in use, if there are slabs.
fn scattered_small() -> Workload {
    let mut builder = Builder::default();
    let mut rng = Rng::with_seed(11);
    let mut blocks: Vec<BlockId> =
        (0..8 * GAPS).map(|index| builder.alloc(1 + index % 256, 3)).collect();
    rng.shuffle(&mut blocks);
    for block in blocks.drain(GAPS as usize..) {
        builder.free(block);
    }
    builder.begin();
    for index in 0..1000 {
        let small = builder.alloc(1 + index * 7 % 256, 3);
        let large = builder.alloc(4096 + index, 3);
        builder.free(small);
        builder.free(large);
    }
    for block in blocks {
        builder.free(block);
    }
    builder.finish("scattered small blocks")
}

/// Vectors that grow side by side over a heap full of gaps, each step too large for most gaps.
fn grown_vectors() -> Workload {
    let mut builder = Builder::default();
    gaps(&mut builder, (0..GAPS).map(|index| 64 + 8 * (index % 64)));
    builder.begin();
    let mut sizes = [32_u32; 16];
    let vectors: Vec<BlockId> = sizes.iter().map(|&size| builder.alloc(size, 3)).collect();
    for round in 0..24 {
        for (size, &vector) in sizes.iter_mut().zip(&vectors) {
            *size += 32 + 8 * (round % 5);
            builder.realloc(vector, *size);
        }
    }
    builder.finish("vectors growing among gaps")
}

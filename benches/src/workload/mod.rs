//! Sequences of allocator calls, fixed before anything is measured.
//!
//! Random actions and recorded programs are the same thing here: a list of [`Op`]s over numbered
//! slots. Nothing in a list depends on the allocator that it is replayed against.

pub mod adversarial;
pub mod churn;
pub mod device;
pub mod fill;
pub mod full;
pub mod passing;
pub mod random;
pub mod threads;

/// What an [`Op`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum OpKind {
    /// Allocate `size` bytes into an empty slot.
    Alloc,
    /// Free the block in a slot, which has `size` bytes.
    Free,
    /// Resize the block in a slot from `size` to `new_size` bytes.
    Realloc,
}

/// One call.
#[derive(Clone, Copy, Debug)]
pub struct Op {
    /// Which entry of the slot table it is about.
    pub slot: u32,
    /// Size of the block (before the call, for a realloc).
    pub size: u32,
    /// Size afterwards, for a realloc.
    pub new_size: u32,
    /// What is done.
    pub kind: OpKind,
    /// Binary logarithm of the alignment.
    pub align_log2: u8,
}

/// A named list of calls and what is known about it.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Short name, as in tables.
    pub name: String,
    /// The calls.
    pub ops: Vec<Op>,
    /// How many of them, at the beginning, only prepare the heap and are not measured.
    pub warm: usize,
    /// Frees of what is live after the last call.
    pub cleanup: Vec<Op>,
    /// Length of the slot table.
    pub slots: usize,
    /// The largest sum of the sizes of live blocks.
    pub peak_bytes: usize,
    /// The largest number of live blocks.
    pub peak_blocks: usize,
}

impl Workload {
    /// Calls that are measured.
    pub fn measured(&self) -> &[Op] {
        &self.ops[self.warm..]
    }

    /// The sum of the sizes of live blocks before call number `index`.
    pub fn live_bytes_at(&self, index: usize) -> usize {
        self.ops[..index].iter().fold(0, |live, op| match op.kind {
            OpKind::Alloc => live + op.size as usize,
            OpKind::Free => live - op.size as usize,
            OpKind::Realloc => live - op.size as usize + op.new_size as usize,
        })
    }

    /// An arena in which every sensible allocator has room to spare.
    pub fn roomy_arena(&self) -> usize {
        (self.peak_bytes * 3 + self.peak_blocks * 64 + (1 << 20)).next_multiple_of(1 << 20)
    }

    /// Only the calls up to number `warm + measured`, the first `warm` of them unmeasured.
    pub fn window(&self, warm: usize, measured: usize) -> Self {
        let mut builder = Builder::default();
        let mut blocks = vec![None; self.slots];
        for (index, op) in self.ops.iter().take(warm + measured).enumerate() {
            if index == warm {
                builder.begin();
            }
            let block = &mut blocks[op.slot as usize];
            match op.kind {
                OpKind::Alloc => *block = Some(builder.alloc(op.size, op.align_log2)),
                OpKind::Free => builder.free(block.take().expect("live")),
                OpKind::Realloc => builder.realloc(block.expect("live"), op.new_size),
            }
        }
        builder.finish(self.name.clone())
    }
}

/// A block of a [`Builder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockId(usize);

#[derive(Clone, Copy)]
struct Block {
    slot: u32,
    size: u32,
    align_log2: u8,
    live: bool,
}

/// Writes a [`Workload`] call by call.
#[derive(Default)]
pub struct Builder {
    ops: Vec<Op>,
    warm: usize,
    blocks: Vec<Block>,
    free_slots: Vec<u32>,
    slots: u32,
    live_bytes: usize,
    live_blocks: usize,
    peak_bytes: usize,
    peak_blocks: usize,
}

impl Builder {
    /// Allocates a block.
    pub fn alloc(&mut self, size: u32, align_log2: u8) -> BlockId {
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.slots += 1;
            self.slots - 1
        });
        self.ops.push(Op { slot, size, new_size: 0, kind: OpKind::Alloc, align_log2 });
        self.blocks.push(Block { slot, size, align_log2, live: true });
        self.live_blocks += 1;
        self.live_bytes += size as usize;
        self.note_peak();
        BlockId(self.blocks.len() - 1)
    }

    /// Frees a live block.
    pub fn free(&mut self, id: BlockId) {
        let block = &mut self.blocks[id.0];
        assert!(block.live, "freed twice");
        block.live = false;
        let Block { slot, size, align_log2, .. } = *block;
        self.ops.push(Op { slot, size, new_size: 0, kind: OpKind::Free, align_log2 });
        self.free_slots.push(slot);
        self.live_blocks -= 1;
        self.live_bytes -= size as usize;
    }

    /// Resizes a live block.
    pub fn realloc(&mut self, id: BlockId, new_size: u32) {
        let block = &mut self.blocks[id.0];
        assert!(block.live, "resized after being freed");
        let Block { slot, size, align_log2, .. } = *block;
        block.size = new_size;
        self.ops.push(Op { slot, size, new_size, kind: OpKind::Realloc, align_log2 });
        self.live_bytes = self.live_bytes - size as usize + new_size as usize;
        self.note_peak();
    }

    /// What comes from here on is measured.
    pub fn begin(&mut self) {
        self.warm = self.ops.len();
    }

    /// The sum of the sizes of live blocks.
    pub fn live_bytes(&self) -> usize {
        self.live_bytes
    }

    fn note_peak(&mut self) {
        self.peak_bytes = self.peak_bytes.max(self.live_bytes);
        self.peak_blocks = self.peak_blocks.max(self.live_blocks);
    }

    /// The finished list.
    pub fn finish(mut self, name: impl Into<String>) -> Workload {
        let measured_to = self.ops.len();
        let live: Vec<_> =
            (0..self.blocks.len()).filter(|&index| self.blocks[index].live).collect();
        for index in live {
            self.free(BlockId(index));
        }
        let cleanup = self.ops.split_off(measured_to);
        Workload {
            name: name.into(),
            ops: self.ops,
            warm: self.warm,
            cleanup,
            slots: self.slots as usize,
            peak_bytes: self.peak_bytes,
            peak_blocks: self.peak_blocks,
        }
    }
}

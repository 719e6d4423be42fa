//! The numbers that were found by measuring, and what each one trades.
//!
//! They were chosen with these figures of `benches`: `smallest` for the memory that a program needs;
//! `traces`, `random` and `counts` for its time.

/// While heaps are roomy, a block that doubles and has to move is put into a gap of at least this many times its new size.
/// Vectors that are filled one after another and dropped at random are moved a quarter as much then (`tests/growth.rs`); with
/// 4, 0.4 as much; with 12 to 48, and with 256, mostly 0.5 to 0.8, as holes that vectors left are not used again, and heaps are
/// less often roomy; with 64, in that test hardly at all.
pub(crate) const ROOM_TO_GROW: usize = 8;

/// The minimum size for [`ROOM_TO_GROW`]. Moving smaller blocks from magazine to magazine is less work than what growing in
/// place takes: with 288, a program with many vectors (`counts`, `graph`) takes 10% more instructions.
pub(crate) const GROWS_FROM: usize = 1 << 10;

/// Maximum number of candidate gaps inspected before an allocation fails.
pub const SEARCH_LIMIT: usize = 32;

/// With [`CompactBins`](crate::CompactBins), maximum number of gaps of a bin that are inspected. What is beyond the range of
/// the bins shares the last one: with 1, a heap that grows as needed grows more and more where such blocks are replaced at
/// random (`growth` in `tests/large.rs`). It also bounds the time for small requests.
pub const COMPACT_SEARCH_LIMIT: usize = 16;

/// Minimum size of a chunk for which gaps of almost its size are inspected first. That keeps memory
/// together, and costs little beside what is done with so much memory. If it were done for smaller
/// chunks, too, random sizes would take 7% longer.
pub(crate) const LARGE: usize = 32 << 10;

/// Maximum number of gaps that are inspected first.
pub(crate) const PROBES: usize = 4;

/// As [`PROBES`], for an over-aligned layout, which takes more for each. With 4, the worst allocation of all is one of
/// these, with 410 instructions; with 3, they take 386.
pub(crate) const PROBES_ALIGNED: usize = 3;

/// Maximum number of gaps that [`RawTalc::has_gap_for`](crate::RawTalc::has_gap_for) inspects.
pub(crate) const GAPS_FOR_HAS: usize = 8;

/// A class gets a slab as long as slabs with free slots take less than one part in this many of the
/// heaps. With twice this number, heaps of a few MiB are up to 50% slower, and tight ones 0.5% smaller.
pub(crate) const OPEN_PART: usize = 32;

/// As [`OPEN_PART`] while heaps are roomy. Then slabs are hardly ever missing: a queue of 200 small objects beside others,
/// in 2 MiB, takes a quarter of the time.
pub(crate) const OPEN_PART_ROOMY: usize = 28;

/// Larger slots than this are in slabs only while heaps are roomy. Such slabs are not counted as open ones: small objects, of
/// which there are more, would miss them.
pub(crate) const SMALL_SLOT: usize = 256;

/// Their classes get a slab at once in heaps of at least as many bytes as this many slabs.
pub(crate) const MIDDLING_CHEAP: usize = 1024;

/// In smaller heaps, chunks of their size must fill this many.
pub(crate) const MIDDLING_WANTED: usize = 2;

/// The first slab of all may take one part in this many. So a tiny heap gets none, but one of 64 KiB,
/// a page of WebAssembly, does.
pub(crate) const FIRST_PART: usize = 15;

/// A class also gets a slab if it has this many chunks more than fill a slab; while heaps are roomy, as soon as they
/// fill one. With this many there, too, `counts --room 3` is 5% more.
pub(crate) const WANTED: usize = 64;

/// Maximum number of spare slabs. It bounds walks over them: with 32, the worst deallocation of a
/// recorded program takes 1415 instructions, with 8 it takes 776, and all else is the same. With 4, one
/// of the programs takes 3% more instructions.
pub(crate) const MAX_SPARES: u16 = 8;

/// How many slots that were never used are put into the free list at a time: few, so that memory is
/// not touched before it is needed; enough to be worth the call.
pub(crate) const FRESH_AT_ONCE: usize = 8;

/// As [`FRESH_AT_ONCE`], of a slab that has just been opened, for which the worst allocation has 10 instructions less.
pub(crate) const FRESH_AT_FIRST: usize = 6;

/// The table is complete in a heap of at least this many times its size. In a smaller one it has only
/// the heads that the heap needs, and moves when a larger heap comes.
pub(crate) const COMPLETE_BESIDE: usize = 24;

/// There are magazines of chunks in heaps of at least this many times their size.
pub(crate) const KEPT_BESIDE: usize = 112;

/// A magazine of slots may have one byte for each this many of the heaps.
pub(crate) const MAGAZINE_PART: usize = 1024;

/// A magazine of chunks may have this many times as many bytes as one of slots. With 1, random sizes up to 1,000 in an
/// arena of 2 MiB take 1.5 times as long.
pub(crate) const KEPT_TIMES: usize = 4;

/// Maximum number of slots in a magazine.
pub(crate) const MAX_READY: usize = 32;

/// Maximum number of chunks in a magazine.
pub(crate) const MAX_KEPT: usize = 8;

/// Heaps are roomy, and chunks kept, as long as there is a gap of this many sixteenths of them. With 5, the smallest heaps
/// are 0.3% larger.
pub(crate) const ROOMY_SIXTEENTHS: usize = 7;

/// When there is a gap of this many sixteenths of the heaps, they are roomy again.
pub(crate) const ROOMY_AGAIN_SIXTEENTHS: usize = 9;

/// Maximum number of closed magazines of chunks that are looked at in one call, for one chunk to give back.
pub(crate) const CLOSED_AT_ONCE: usize = 8;

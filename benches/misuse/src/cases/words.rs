//! Stray writes to an allocator's own words that are not next to a block: those of Talc.

use std::ops::Range;

use super::cases;
use crate::memory::{region, REGION};
use crate::scene::{Scene, GARBAGE};

cases! { "Stray writes to the allocator's words":
    "the current slab, first link" => |scene| to_slab(scene, 0),
    "the current slab, second link" => |scene| to_slab(scene, 8),
    "the current slab, free list" => |scene| to_slab(scene, 16),
    "the current slab, counts and class" => |scene| to_slab(scene, 24),
    "the current slab, tag" => |scene| to_slab(scene, 32),
    "the current slab, its header" => |scene| to_slab(scene, -8),
    "a partial slab, first link" => |scene| to_partial_slab(scene, 0),
    "a partial slab, second link" => |scene| to_partial_slab(scene, 8),
    "a partial slab, free list" => |scene| to_partial_slab(scene, 16),
    "a partial slab, counts and class" => |scene| to_partial_slab(scene, 24),
    "a partial slab, tag" => |scene| to_partial_slab(scene, 32),
    "a partial slab, its header" => |scene| to_partial_slab(scene, -8),
    "the table, first eighth" => |scene| to_table(scene, 0),
    "the table, second eighth" => |scene| to_table(scene, 1),
    "the table, third eighth" => |scene| to_table(scene, 2),
    "the table, fourth eighth" => |scene| to_table(scene, 3),
    "the table, fifth eighth" => |scene| to_table(scene, 4),
    "the table, sixth eighth" => |scene| to_table(scene, 5),
    "the table, seventh eighth" => |scene| to_table(scene, 6),
    "the table, last eighth" => |scene| to_table(scene, 7),
    "the table, the first address of a slab" => |scene| {
        to_table_where(scene, 0..8, |word| word != 0 && word % SLAB as u64 == 0)
    },
    "the heap base, and another heap is claimed" => |scene| {
        let base = scene.subject.words()?.base;
        write(scene, base)?;
        // SAFETY: nothing else uses that region.
        unsafe { scene.subject.claim(region(1), REGION) };
        Some(())
    },
    "the sentinel" => |scene| {
        let end = scene.subject.words()?.end;
        write(scene, end.wrapping_sub(8))
    },
}

fn write(scene: &mut Scene, word: *mut u8) -> Option<()> {
    scene.write_wrongly(word, &GARBAGE.to_ne_bytes());
    Some(())
}

/// The size of slabs of the default binning.
const SLAB: usize = 4096;

/// Writes to the slab that the block is in, if it is in one: the current one of its class.
fn to_slab(scene: &mut Scene, offset: isize) -> Option<()> {
    scene.subject.words()?;
    if (scene.block as usize).is_multiple_of(16) {
        return None;
    }
    let slab = scene.block.wrapping_sub(scene.block as usize % SLAB);
    write(scene, slab.wrapping_offset(offset))
}

/// As above, but that slab has free slots, as many others have, which are then allocated.
fn to_partial_slab(scene: &mut Scene, offset: isize) -> Option<()> {
    const MANY: usize = 600;
    let others: Vec<_> = (0..MANY).flat_map(|_| scene.allocate(scene.layout)).collect();
    others.into_iter().step_by(2).for_each(|other| scene.free(other));
    scene.free(scene.above);
    to_slab(scene, offset)?;
    for _ in 0..MANY {
        scene.allocate(scene.layout);
    }
    Some(())
}

/// Writes to the first word of an eighth of the table that is not zero.
fn to_table(scene: &mut Scene, eighth: usize) -> Option<()> {
    to_table_where(scene, eighth..eighth + 1, |word| word != 0)
}

/// Writes to the first word in some eighths of the table that is as wanted.
fn to_table_where(
    scene: &mut Scene,
    eighths: Range<usize>,
    is_wanted: fn(u64) -> bool,
) -> Option<()> {
    // So that there is something in it.
    scene.do_other_things(32);
    scene.free(scene.highest);
    let (table, size) = scene.subject.words()?.table;
    let words = (eighths.start * size / 8..eighths.end * size / 8).step_by(8);
    let mut words = words.map(|offset| table.wrapping_add(offset & !7));
    // SAFETY: the table is readable.
    let word = words.find(|word| is_wanted(unsafe { word.cast::<u64>().read() }))?;
    write(scene, word)
}

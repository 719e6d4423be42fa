//! Pointers that no allocation is at.

use super::cases;
use crate::memory::{closed, open, region, REGION};
use crate::scene::{Own, Scene};
use std::alloc::Layout;
use std::ptr::{addr_of_mut, null_mut};

cases! { "Not an allocation":
    "null" => |scene| at(scene, null_mut()),
    "memory of the stack" => |scene| of_own(scene, scene.stack, false),
    "memory of a static" => |scene| of_own(scene, addr_of_mut!(OWN), false),
    "memory of a static, behind a copied header" => |scene| {
        of_own(scene, addr_of_mut!(OWN), true)
    },
    "a block of another heap" => of_other_heap,
    "unmapped memory" => |scene| at(scene, like_block(scene, closed(3))),
    "unmapped memory between two heaps" => |scene| {
        claim_other_side(scene)?;
        at(scene, like_block(scene, closed(0).wrapping_add(REGION)))
    },
    "foreign memory between two heaps" => |scene| {
        claim_other_side(scene)?;
        open(closed(0).wrapping_add(REGION), REGION);
        at(scene, like_block(scene, closed(0).wrapping_add(REGION)))
    },
    "in the middle of a block, by 8" => |scene| at(scene, scene.block.wrapping_add(8)),
    "in the middle of a block, by 16" => |scene| at(scene, scene.block.wrapping_add(16)),
    "in the middle of a block, behind a copied header" => of_middle_with_header,
    "one byte into a block" => |scene| at(scene, scene.block.wrapping_add(1)),
    "memory that was not allocated yet" => of_unused,
}

fn at(scene: &mut Scene, ptr: *mut u8) -> Option<()> {
    scene.free_wrongly(ptr, scene.layout);
    Some(())
}

/// An address in the first page of a region that is aligned as the block is.
fn like_block(scene: &Scene, region: *mut u8) -> *mut u8 {
    region.wrapping_add(scene.block as usize % 4096)
}

static mut OWN: Own = Own::ZERO;

/// Frees a part of the program's own memory, which is in use and stays so.
fn of_own(scene: &mut Scene, own: *mut Own, has_header: bool) -> Option<()> {
    let ptr = like_block(scene, own.cast());
    if has_header {
        copy_header(scene, ptr);
    }
    scene.ledger.enter(ptr, scene.layout);
    at(scene, ptr)
}

/// Puts a copy of the word in front of the block in front of `ptr`.
fn copy_header(scene: &Scene, ptr: *mut u8) {
    // SAFETY: what is in front of a block between two neighbours is readable; the other is the caller's.
    unsafe { ptr.wrapping_sub(8).copy_from(scene.block.wrapping_sub(8), 8) };
}

fn of_middle_with_header(scene: &mut Scene) -> Option<()> {
    let middle = scene.block.wrapping_add(16);
    let rest = Layout::from_size_align(scene.layout.size() - 16, 8).ok()?;
    // All of it stays in use, but no more is said of its contents than of the part that is freed.
    scene.ledger.strike(scene.block);
    copy_header(scene, middle);
    scene.ledger.enter(middle, rest);
    at(scene, middle)
}

/// Frees a block of another allocator, which then goes on as well.
fn of_other_heap(scene: &mut Scene) -> Option<()> {
    let other = scene.other_heap()?;
    let layout = scene.layout;
    // SAFETY: the size is not zero.
    let blocks = [(); 24].map(|()| unsafe { other.alloc(layout) });
    for ptr in blocks {
        scene.ledger.enter(ptr, layout);
    }
    scene.ledger.strike(blocks[12]);
    at(scene, blocks[12])?;
    for _ in 0..24 {
        // SAFETY: as above.
        let ptr = unsafe { other.alloc(layout) };
        scene.ledger.enter(ptr, layout);
    }
    Some(())
}

/// Makes the allocator's heaps lie on both sides of a region that is not its own.
fn claim_other_side(scene: &mut Scene) -> Option<()> {
    scene.subject.words()?;
    // SAFETY: nothing else uses that region.
    unsafe { scene.subject.claim(region(1), REGION) }?;
    Some(())
}

/// Some way above the highest block of its size.
fn of_unused(scene: &mut Scene) -> Option<()> {
    let distance = scene.above as usize - scene.block as usize;
    at(scene, scene.highest.wrapping_add(3 * distance))
}

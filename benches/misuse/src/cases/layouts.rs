//! Blocks that are freed, or resized, with another layout than their own.

use super::cases;
use crate::scene::Scene;
use std::alloc::Layout;

cases! { "Another layout":
    "larger by 16" => |scene| of_size(scene, scene.layout.size() + 16),
    "larger by 200" => |scene| of_size(scene, scene.layout.size() + 200),
    "smaller by 16" => |scene| of_size(scene, scene.layout.size() - 16),
    "smaller by 200" => |scene| of_size(scene, scene.layout.size().checked_sub(200)?),
    "a larger alignment" => larger_alignment,
    "grown, with a layout larger by 16" => |scene| resized(scene, 16),
    "grown, with a layout larger by 200" => |scene| resized(scene, 200),
}

/// Frees the block with a layout. Its owner gives it up.
fn with(scene: &mut Scene, layout: Layout) -> Option<()> {
    scene.ledger.strike(scene.block);
    scene.free_wrongly(scene.block, layout);
    Some(())
}

fn of_size(scene: &mut Scene, size: usize) -> Option<()> {
    with(scene, Layout::from_size_align(size, scene.layout.align()).ok()?)
}

/// The least one that the block does not have by chance.
fn larger_alignment(scene: &mut Scene) -> Option<()> {
    let by_chance = 1 << (scene.block as usize).trailing_zeros();
    with(scene, Layout::from_size_align(scene.layout.size(), (2 * by_chance).max(32)).ok()?)
}

fn resized(scene: &mut Scene, more: usize) -> Option<()> {
    let (ptr, size) = (scene.block, scene.layout.size());
    let wrong = Layout::from_size_align(size + more, scene.layout.align()).ok()?;
    let new = Layout::from_size_align(2 * size + more, scene.layout.align()).ok()?;
    scene.ledger.strike(ptr);
    scene.misuse(|scene| {
        // SAFETY: none: that is what this is for.
        let moved = unsafe { scene.subject.realloc(ptr, wrong, new.size()) };
        if moved.is_null() {
            scene.ledger.enter(ptr, scene.layout);
        } else {
            scene.ledger.enter(moved, new);
        }
    });
    Some(())
}

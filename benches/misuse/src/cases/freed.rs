//! Memory that is written to, or resized, after it was freed.

use super::cases;
use crate::memory::region;
use crate::scene::{Scene, GARBAGE};
use std::alloc::Layout;

cases! { "Used after it was freed":
    "first word" => |scene| written(scene, 0, GARBAGE),
    "second word" => |scene| written(scene, 8, GARBAGE),
    "a word in the middle" => |scene| written(scene, scene.layout.size() / 16 * 8, GARBAGE),
    "last word" => |scene| written(scene, scene.layout.size() - 8, GARBAGE),
    "all of it" => |scene| {
        let bytes = vec![GARBAGE as u8; scene.layout.size()];
        scene.free(scene.block);
        scene.write_wrongly(scene.block, &bytes);
        Some(())
    },
    "first word, zero" => |scene| written(scene, 0, 0),
    "second word, zero" => |scene| written(scene, 8, 0),
    "first word, the address of a block in use" => |scene| {
        written(scene, 0, scene.below as u64)
    },
    "second word, the address of a block in use" => |scene| {
        written(scene, 8, scene.below as u64)
    },
    "first word, an address elsewhere" => |scene| {
        let elsewhere = region(3).wrapping_add(scene.block as usize % 4096);
        scene.ledger.enter(elsewhere, scene.layout);
        written(scene, 0, elsewhere as u64)
    },
    "first word, after 20 other blocks of its size were freed" => |scene| {
        let others: Vec<_> = (0..20).flat_map(|_| scene.allocate(scene.layout)).collect();
        let ptr = scene.block;
        scene.free(ptr);
        others.into_iter().for_each(|other| scene.free(other));
        scene.write_wrongly(ptr, &GARBAGE.to_ne_bytes());
        Some(())
    },
    "grown" => |scene| resized(scene, 2 * scene.layout.size()),
    "shrunk" => |scene| resized(scene, scene.layout.size() / 2),
}

/// Frees the block, and then writes to it.
fn written(scene: &mut Scene, offset: usize, word: u64) -> Option<()> {
    scene.free(scene.block);
    scene.write_wrongly(scene.block.wrapping_add(offset), &word.to_ne_bytes());
    Some(())
}

/// Frees the block, and then resizes it.
fn resized(scene: &mut Scene, new_size: usize) -> Option<()> {
    let ptr = scene.block;
    let new = Layout::from_size_align(new_size, scene.layout.align()).ok()?;
    scene.free(ptr);
    scene.misuse(|scene| {
        // SAFETY: none: that is what this is for.
        let moved = unsafe { scene.subject.realloc(ptr, scene.layout, new_size) };
        if !moved.is_null() {
            scene.ledger.enter(moved, new);
        }
    });
    Some(())
}

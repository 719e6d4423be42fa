//! Memory that is freed twice.

use super::cases;
use crate::scene::Scene;
use std::alloc::Layout;

cases! { "Freed twice":
    "at once" => |scene| again(scene, |_| {}),
    "after 100 other operations" => |scene| again(scene, |scene| scene.do_other_things(100)),
    "after another block of its size was freed" => |scene| again(scene, |scene| {
        scene.free(scene.highest);
    }),
    "after 60 other blocks of its size were freed" => after_many,
    "after the block below was freed" => |scene| again(scene, |scene| scene.free(scene.below)),
    "after the block above was freed" => |scene| again(scene, |scene| scene.free(scene.above)),
    "after both neighbours were freed" => |scene| again(scene, |scene| {
        scene.free(scene.below);
        scene.free(scene.above);
    }),
    "the block below was freed before" => |scene| {
        scene.free(scene.below);
        again(scene, |_| {})
    },
    "the block above was freed before" => |scene| {
        scene.free(scene.above);
        again(scene, |_| {})
    },
    "both neighbours were freed before" => |scene| {
        scene.free(scene.below);
        scene.free(scene.above);
        again(scene, |_| {})
    },
    "after it became part of a larger block" => in_larger_block,
    "after another owner got it" => after_new_owner,
    "after another owner got it and freed it" => |scene| {
        change_owner(scene)?;
        again(scene, |_| {})
    },
}

/// Frees the block, then what else is freed in between, then the block once more.
fn again(scene: &mut Scene, between: impl FnOnce(&mut Scene)) -> Option<()> {
    let ptr = scene.block;
    scene.free(ptr);
    between(scene);
    scene.free_wrongly(ptr, scene.layout);
    Some(())
}

/// Enough others to fill whatever keeps freed blocks for a while.
fn after_many(scene: &mut Scene) -> Option<()> {
    let others: Vec<_> = (0..60).flat_map(|_| scene.allocate(scene.layout)).collect();
    again(scene, |scene| others.into_iter().for_each(|other| scene.free(other)))
}

/// Frees the block, and allocates the same size until it comes again.
fn change_owner(scene: &mut Scene) -> Option<*mut u8> {
    scene.free(scene.block);
    let ptr = scene.allocate_over_block(scene.layout)?;
    (ptr == scene.block).then_some(ptr)
}

fn after_new_owner(scene: &mut Scene) -> Option<()> {
    let ptr = change_owner(scene)?;
    scene.free_wrongly(ptr, scene.layout);
    Some(())
}

/// The three blocks are joined, and allocated as one.
fn in_larger_block(scene: &mut Scene) -> Option<()> {
    for ptr in [scene.below, scene.block, scene.above] {
        scene.free(ptr);
    }
    let large = Layout::from_size_align(scene.layout.size() * 2, scene.layout.align()).ok()?;
    let ptr = scene.allocate_over_block(large)?;
    if ptr == scene.block {
        return None;
    }
    scene.free_wrongly(scene.block, scene.layout);
    Some(())
}

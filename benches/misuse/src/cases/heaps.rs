//! Heaps that are there twice, or not any more.

use super::cases;
use crate::memory::{close, region, REGION};
use crate::scene::Scene;
use std::alloc::Layout;

cases! { "Heaps":
    "a heap claimed twice" => |scene| claim_again(scene, 0, REGION),
    "the upper half of a heap claimed" => |scene| claim_again(scene, REGION / 2, REGION / 2),
    "freed after its heap is gone" => |scene| {
        after_heap(scene, |_, _| {})
    },
    "freed after its heap is gone, which is in use otherwise" => |scene| {
        after_heap(scene, |scene, base| scene.ledger.enter(base, WHOLE))
    },
    "freed after its heap is gone and unmapped" => |scene| {
        after_heap(scene, |_, base| close(base, REGION))
    },
}

const WHOLE: Layout = match Layout::from_size_align(REGION, 1) {
    Ok(layout) => layout,
    Err(_) => unreachable!(),
};

/// Claims a part of the heap that there is.
fn claim_again(scene: &mut Scene, offset: usize, size: usize) -> Option<()> {
    let base = region(0);
    let is_there = (base as usize..base as usize + REGION).contains(&(scene.block as usize));
    if !is_there {
        return None;
    }
    // SAFETY: none: that is what this is for.
    scene.misuse(|scene| _ = unsafe { scene.subject.claim(base.wrapping_add(offset), size) });
    Some(())
}

/// Frees a block once more whose heap was taken away. Its memory is the program's again.
fn after_heap(scene: &mut Scene, reuse: fn(&mut Scene, *mut u8)) -> Option<()> {
    scene.subject.words()?;
    let base = region(1);
    // SAFETY: nothing else uses that region.
    let end = unsafe { scene.subject.claim(base, REGION) }?;
    let is_in_it = |ptr: *mut u8| ptr >= base && ptr < end.as_ptr();
    // Whatever is left of the other heap is allocated first, in smaller and smaller pieces.
    let sizes = [1 << 20, 1 << 16, 1 << 12, 1 << 8].into_iter().chain([scene.layout.size()]);
    let mut ptr = std::ptr::null_mut();
    for size in sizes {
        let layout = Layout::from_size_align(size, scene.layout.align()).ok()?;
        // SAFETY: the size is not zero; a block in the new heap is freed once.
        unsafe {
            while !is_in_it(ptr) {
                ptr = scene.subject.alloc(layout);
            }
            scene.subject.dealloc(ptr, layout);
            if size != scene.layout.size() {
                ptr = std::ptr::null_mut();
            }
        }
    }
    // SAFETY: nothing in it is in use.
    if !unsafe { scene.subject.retire(base, end) } {
        return None;
    }
    reuse(scene, base);
    scene.free_wrongly(ptr, scene.layout);
    Some(())
}

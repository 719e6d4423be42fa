//! Writes in front of a block and beyond its end, before it is freed.

use super::cases;
use crate::scene::{Scene, GARBAGE};

cases! { "Written beyond a block":
    "1 byte, a zero" => |scene| beyond(scene, &[0]),
    "1 byte" => |scene| beyond(scene, &garbage::<1>()),
    "8 bytes" => |scene| beyond(scene, &garbage::<8>()),
    "16 bytes" => |scene| beyond(scene, &garbage::<16>()),
    "32 bytes" => |scene| beyond(scene, &garbage::<32>()),
    "16 bytes, and the block above is freed first" => |scene| {
        write_beyond(scene, &garbage::<16>());
        scene.free(scene.above);
        Some(())
    },
    "16 bytes, and the block is grown" => |scene| {
        write_beyond(scene, &garbage::<16>());
        scene.resize(scene.block, 2 * scene.layout.size());
        Some(())
    },
    "16 bytes, and the block is shrunk" => |scene| {
        write_beyond(scene, &garbage::<16>());
        scene.resize(scene.block, scene.layout.size() / 2);
        Some(())
    },
    "32 bytes, into a free block" => |scene| {
        scene.free(scene.above);
        beyond(scene, &garbage::<32>())
    },
    "32 bytes, into a free block, which is allocated again" => |scene| {
        scene.free(scene.above);
        write_beyond(scene, &garbage::<32>());
        Some(())
    },
    "8 bytes in front" => |scene| in_front(scene, |_| GARBAGE),
    "8 bytes in front, zero" => |scene| in_front(scene, |_| 0),
    "the word in front, lowest bit" => |scene| in_front(scene, |word| word ^ 1),
    "the word in front, second bit" => |scene| in_front(scene, |word| word ^ 2),
    "the word in front, larger by 16" => |scene| in_front(scene, |word| word.wrapping_add(16)),
    "the word in front, larger by 4096" => |scene| in_front(scene, |word| word.wrapping_add(4096)),
}

fn garbage<const N: usize>() -> [u8; N] {
    [GARBAGE as u8; N]
}

fn write_beyond(scene: &mut Scene, bytes: &[u8]) {
    scene.write_wrongly(scene.block.wrapping_add(scene.layout.size()), bytes);
}

/// Writes beyond the block, and frees it.
fn beyond(scene: &mut Scene, bytes: &[u8]) -> Option<()> {
    write_beyond(scene, bytes);
    scene.free(scene.block);
    Some(())
}

/// Makes another word of the one in front of the block, and frees it.
fn in_front(scene: &mut Scene, change: fn(u64) -> u64) -> Option<()> {
    let word = scene.block.wrapping_sub(8);
    // SAFETY: what is in front of a block between two neighbours is readable.
    let old = unsafe { word.cast::<u64>().read() };
    scene.write_wrongly(word, &change(old).to_ne_bytes());
    scene.free(scene.block);
    Some(())
}

//! What a small device does with its heap: settings that stay, connections with buffers, messages that pass through a queue,
//! a buffer that grows, and records that are kept, until the heap is full.

use super::{BlockId, Builder, Workload};
use fastrand::Rng;
use std::collections::VecDeque;

/// Writes down calls until `bytes` are live.
pub fn device(bytes: usize, seed: u64) -> Workload {
    let mut rng = Rng::with_seed(seed);
    let mut builder = Builder::default();
    let mut live = 0;
    let alloc = |builder: &mut Builder, live: &mut usize, size: u32| {
        *live += size as usize;
        (builder.alloc(size, 2), size)
    };
    let free = |builder: &mut Builder, live: &mut usize, (block, size): (BlockId, u32)| {
        *live -= size as usize;
        builder.free(block);
    };
    for _ in 0..10 {
        alloc(&mut builder, &mut live, rng.u32(6..40));
    }
    let mut messages = VecDeque::new();
    let mut connections: VecDeque<Vec<(BlockId, u32)>> = VecDeque::new();
    let (log, mut log_size) = alloc(&mut builder, &mut live, 32);
    while live < bytes {
        match rng.u32(0..10) {
            0..=5 => {
                messages.push_back(alloc(&mut builder, &mut live, rng.u32(12..120)));
                if messages.len() > rng.usize(2..8) {
                    free(&mut builder, &mut live, messages.pop_front().expect("there is one"));
                }
            }
            6 => {
                let sizes = [rng.u32(60..130), 128, rng.u32(64..257)];
                let blocks = sizes.map(|size| alloc(&mut builder, &mut live, size));
                connections.push_back(blocks.to_vec());
                if connections.len() > 2 {
                    let closed = connections.remove(rng.usize(0..3)).expect("there are three");
                    for block in closed {
                        free(&mut builder, &mut live, block);
                    }
                }
            }
            7 if log_size < 512 => {
                let grown = log_size + log_size / 2;
                builder.realloc(log, grown);
                live += (grown - log_size) as usize;
                log_size = grown;
            }
            _ => {
                alloc(&mut builder, &mut live, rng.u32(16..48));
            }
        }
    }
    builder.finish(format!("device {seed}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_when_so_much_is_live() {
        let workload = device(10_000, 1);
        assert!((10_000..10_600).contains(&workload.peak_bytes), "{}", workload.peak_bytes);
        assert!(workload.ops.iter().all(|op| op.size <= 600));
    }
}

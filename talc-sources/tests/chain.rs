//! Chain: the region first, then the other source, which is told of its own heaps only.
#![allow(clippy::undocumented_unsafe_blocks)] // Regions are local, frees of what was allocated.

mod common;

use std::alloc::Layout;
use std::cell::RefCell;
use std::ptr::NonNull;
use std::rc::Rc;

use common::{bytes, rounds, Backing, BlockSource, OfGlobalAlloc, Random};
use talc_sources::talc_core::RawTalc;
use talc_sources::{Chain, Claim, Manual, OutOfMemory, Source, Talc};

const REGION: usize = 8 << 10;

fn region() -> (Vec<u128>, Claim) {
    let mut memory = vec![0_u128; REGION / 16];
    let claim = unsafe { Claim::new(memory.as_mut_ptr().cast(), REGION) };
    (memory, claim)
}

fn is_in(memory: &[u128], block: NonNull<u8>) -> bool {
    let start = memory.as_ptr() as usize;
    (start..start + REGION).contains(&(block.as_ptr() as usize))
}

#[test]
fn the_region_comes_first() {
    let (first, first_claim) = region();
    let (second, second_claim) = region();
    let mut talc = Talc::<_>::new(Chain::new(first_claim, Chain::new(second_claim, Manual)));
    let blocks: Vec<_> = std::iter::from_fn(|| talc.allocate(bytes(1000))).collect();
    let split = blocks.iter().position(|&block| !is_in(&first, block)).unwrap();
    assert!(split >= 5 && blocks.len() >= split + 7, "{split} of {}", blocks.len());
    assert!(blocks[..split].iter().all(|&block| is_in(&first, block)));
    assert!(blocks[split..].iter().all(|&block| is_in(&second, block)));
    for block in blocks {
        unsafe { talc.deallocate(block.as_ptr(), bytes(1000)) };
    }
    assert!(talc.largest_gap().unwrap() >= REGION - 100);
}

#[test]
fn blocks_go_back_and_the_region_stays() {
    let backing = Backing::new();
    let (memory, claim) = region();
    {
        let then = OfGlobalAlloc::over(&backing, 4096);
        let mut talc = Talc::<_>::new(Chain::new(claim, then));
        let mut random = Random(5);
        for _ in 0..3 {
            let mut live = Vec::new();
            for _ in 0..rounds(400).max(40) {
                let layout = bytes(1 + random.below(700));
                live.push((talc.allocate(layout).expect("the backing has more"), layout));
            }
            assert!(live.iter().any(|&(block, _)| is_in(&memory, block)));
            assert!(backing.bytes() > 0);
            while !live.is_empty() {
                let (block, layout) = live.swap_remove(random.below(live.len()));
                unsafe { talc.deallocate(block.as_ptr(), layout) };
            }
            assert!(backing.bytes() <= 4096, "{} bytes are kept", backing.bytes());
        }
    }
    assert_eq!(backing.bytes(), 0);
}

#[test]
fn too_small_a_region_is_passed_over() {
    let backing = Backing::new();
    let mut few = [0_u128; 2];
    let claim = unsafe { Claim::new(few.as_mut_ptr().cast(), 32) };
    let then = OfGlobalAlloc::over(&backing, 4096);
    let mut talc = Talc::<_>::new(Chain::new(claim, then));
    let block = talc.allocate(bytes(100)).unwrap();
    assert!(backing.owns(block.as_ptr(), 100));
    unsafe { talc.deallocate(block.as_ptr(), bytes(100)) };
    // Nothing to claim at all.
    let mut talc = Talc::<_>::new(Chain::new(Claim::standby(), Manual));
    assert!(talc.allocate(bytes(1)).is_none());
}

/// Claims one region, and notes the ends of heaps that it is told of.
struct Noting(Option<(*mut u8, usize)>, Rc<RefCell<Vec<usize>>>);

unsafe impl Source for Noting {
    unsafe fn acquire(&mut self, talc: &mut RawTalc, _: Layout) -> Result<(), OutOfMemory> {
        let (base, size) = self.0.take().ok_or(OutOfMemory)?;
        unsafe { talc.claim(base, size) }.map(|_| ()).ok_or(OutOfMemory)
    }

    unsafe fn release(&mut self, _: &mut RawTalc, end: NonNull<u8>) {
        self.1.borrow_mut().push(end.as_ptr() as usize);
    }
}

#[test]
fn each_is_told_of_its_own_heaps() {
    // Next to each other: the end of one heap is where the other one begins.
    let mut memory = vec![0_u128; 2 * REGION / 16];
    let low = memory.as_mut_ptr().cast::<u8>();
    let high = unsafe { low.add(REGION) };
    for (first, second) in [(low, high), (high, low)] {
        let told = Rc::new(RefCell::new(Vec::new()));
        let claim = unsafe { Claim::new(first, REGION) };
        let mut talc =
            Talc::<_>::new(Chain::new(claim, Noting(Some((second, REGION)), told.clone())));
        let blocks: Vec<_> = std::iter::from_fn(|| talc.allocate(bytes(1000))).collect();
        for block in blocks {
            unsafe { talc.deallocate(block.as_ptr(), bytes(1000)) };
        }
        let end = second as usize + REGION;
        assert!(!told.borrow().is_empty());
        assert!(told.borrow().iter().all(|&told| told > end - 16 && told <= end));
    }
}

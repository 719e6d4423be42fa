//! Collections through allocator-api2 0.2, which hashbrown builds on.
#![cfg(feature = "allocator-api2-02")]
#![allow(clippy::undocumented_unsafe_blocks)] // Each arena is used by one allocator alone.

use allocator_api2_02::boxed::Box;
use allocator_api2_02::vec::Vec;
use hashbrown::{DefaultHashBuilder, HashMap, HashSet};
use talc::source::Claim;
use talc::TalcCell;

/// An allocator over memory that is never freed.
fn cell(bytes: usize) -> TalcCell<Claim> {
    let memory = vec![0_u64; bytes / 8].leak();
    TalcCell::new(unsafe { Claim::new(memory.as_mut_ptr().cast(), bytes) })
}

#[test]
fn maps_grow_and_shrink() {
    let talc = cell(1 << 19);
    let mut squares = HashMap::new_in(&talc);
    for n in 0..3000_u64 {
        squares.insert(n, n * n);
    }
    for n in (0..3000).filter(|n| n % 7 != 0) {
        assert_eq!(squares.remove(&n), Some(n * n));
    }
    squares.shrink_to_fit();
    assert_eq!(squares.len(), 429);
    assert!(squares.iter().all(|(n, square)| n % 7 == 0 && n * n == *square));
    let cloned = squares.clone();
    drop(squares);
    assert_eq!(cloned[&700], 490_000);
}

#[test]
fn maps_of_vectors() {
    let talc = cell(1 << 19);
    let mut words: HashMap<Vec<u8, _>, Box<[u32], _>, _, _> =
        HashMap::with_hasher_in(DefaultHashBuilder::default(), &talc);
    for n in 0..200_u32 {
        let mut key = Vec::new_in(&talc);
        key.extend_from_slice(n.to_string().as_bytes());
        let mut value = Vec::new_in(&talc);
        value.extend(0..n);
        words.insert(key, value.into_boxed_slice());
    }
    for n in 0..200_u32 {
        let mut key = Vec::new_in(&talc);
        key.extend_from_slice(n.to_string().as_bytes());
        assert!(words[&key].iter().copied().eq(0..n));
    }
}

#[test]
fn an_empty_map_needs_no_memory_and_a_full_heap_is_an_error() {
    let talc = cell(1 << 13);
    let mut set = HashSet::<u64, DefaultHashBuilder, _>::new_in(&talc);
    assert!(!set.contains(&1));
    assert!(talc.largest_gap().is_none(), "nothing was claimed");
    assert!(set.try_reserve(10_000).is_err());
    set.extend(0..100);
    assert!(set.try_reserve(10_000).is_err());
    assert_eq!(set.len(), 100);
}

#[cfg(feature = "spinning_top")]
#[test]
fn maps_that_threads_share_an_allocator_for() {
    use talc::source::GlobalAllocSource;
    type Talc = talc::TalcLock<talc::RawSpinlock, GlobalAllocSource<std::alloc::System>>;
    static TALC: Talc = Talc::new(GlobalAllocSource::new(std::alloc::System));
    let threads = [0, 1, 2, 3].map(|thread| {
        std::thread::spawn(move || {
            let mut map = HashMap::new_in(&TALC);
            map.extend((0..500).map(|n| (n, n ^ thread)));
            map
        })
    });
    for (thread, map) in threads.into_iter().enumerate() {
        let map = map.join().unwrap();
        assert!((0..500).all(|n| map[&n] == n ^ thread));
    }
}

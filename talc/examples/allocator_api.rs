//! A private heap: a `TalcCell` over a piece of memory, and collections that allocate from it.
//!
//! ```text
//! cargo run --example allocator_api
//! ```
//!
//! A word count builds a tree of boxes and vectors. Its heap begins with half of the memory, is
//! extended while the tree lives in it, gives back what it does not need, and is empty at the end. The
//! global allocator has no part in it.

mod common;

use std::cmp::Ordering;
use std::mem::MaybeUninit;
use std::ops::Range;

use allocator_api2::{boxed::Box, vec::Vec};
use common::{show, Bytes, Picture};
use talc::{source::Manual, TalcCell};

const TEXT: &str = include_str!("../LICENSE");
const MEMORY: usize = 48 << 10;

type Heap = TalcCell<Manual>;

/// A binary tree of words, all of whose memory comes from one heap.
type Tree<'h> = Option<Box<Node<'h>, &'h Heap>>;

struct Node<'h> {
    word: Vec<u8, &'h Heap>,
    /// Where in the text the word occurs.
    places: Vec<u32, &'h Heap>,
    children: [Tree<'h>; 2],
}

fn main() {
    let mut memory = [MaybeUninit::<u8>::uninit(); MEMORY];
    let region = memory.as_ptr_range();
    let region = region.start.cast::<u8>()..region.end.cast::<u8>();
    let base = memory.as_mut_ptr().cast::<u8>();

    let talc = TalcCell::new(Manual);
    // SAFETY: nothing else uses `memory` while the allocator does.
    let end = unsafe { talc.claim(base, MEMORY / 2) }.expect("enough for a first heap");
    println!("Claimed {} of {}.", Bytes(end.as_ptr() as usize - base as usize), Bytes(MEMORY));

    let mut tree = None;
    for (place, word) in (0..).zip(words()) {
        add(&mut tree, word.as_bytes(), place, &talc);
    }
    show_heap("A tree of all words", &talc, &region);

    // SAFETY: `end` is the heap's end, and the memory up to the new one is for this heap alone.
    let end = unsafe { talc.extend(end, base.wrapping_add(MEMORY)) };
    println!(
        "\nExtended to {}; the tree is where it was.",
        Bytes(end.as_ptr() as usize - base as usize)
    );
    let mut copies = Vec::new_in(&talc);
    for word in words() {
        let mut copy = Vec::new_in(&talc);
        copy.extend_from_slice(word.as_bytes());
        copies.push(Box::new_in(copy, &talc));
    }
    // Remove every other copy, which leaves holes in the heap.
    let mut number = 0;
    copies.retain(|_| {
        number += 1;
        number % 2 == 0
    });
    show_heap("The tree, and copies of every other word", &talc, &region);

    drop(copies);
    // Makes the memory of empty slabs available to other sizes. What follows does not need it:
    // `reserved` and `truncate` treat empty slabs as free.
    talc.trim();
    // SAFETY: `end` is the heap's end, here and below.
    let reserved = unsafe { talc.reserved(end) };
    let used = reserved.up_to.as_ptr() as usize - base as usize;
    println!("\nThe copies are gone; the tree needs the first {}.", Bytes(used));
    // SAFETY: as above. Some room is left for what comes next.
    let end = unsafe { talc.truncate(end, reserved.up_to.as_ptr().wrapping_add(8 << 10)) };
    let end = end.expect("the first heap stays");
    println!(
        "Truncated to {}; what is above may serve something else.",
        Bytes(end.as_ptr() as usize - base as usize)
    );
    show_heap("The tree alone", &talc, &region);

    println!("\nMost frequent words:");
    for (word, places) in most_frequent(&tree, &talc).iter().take(5) {
        println!("  {:<10} {places:>3}", String::from_utf8_lossy(word));
    }
    drop(tree);
    println!("\nWith the tree dropped:\n{}", talc.counters());
    assert_eq!(talc.counters().allocation_count, 0);
}

fn words() -> impl Iterator<Item = &'static str> {
    TEXT.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Adds a word of the text to a tree.
fn add<'h>(tree: &mut Tree<'h>, word: &[u8], place: u32, heap: &'h Heap) {
    let node = tree.get_or_insert_with(|| {
        let mut bytes = Vec::new_in(heap);
        bytes.extend_from_slice(word);
        let node = Node { word: bytes, places: Vec::new_in(heap), children: [None, None] };
        Box::new_in(node, heap)
    });
    match word.cmp(&node.word) {
        Ordering::Less => add(&mut node.children[0], word, place, heap),
        Ordering::Equal => node.places.push(place),
        Ordering::Greater => add(&mut node.children[1], word, place, heap),
    }
}

/// Returns all words of a tree and how often they occur, most frequent first.
fn most_frequent<'t, 'h>(tree: &'t Tree<'h>, heap: &'h Heap) -> Vec<(&'t [u8], usize), &'h Heap> {
    let mut all = Vec::new_in(heap);
    let mut open = Vec::new_in(heap);
    open.extend(tree);
    while let Some(node) = open.pop() {
        all.push((&node.word[..], node.places.len()));
        open.extend(node.children.iter().flatten());
    }
    all.sort_unstable_by_key(|&(word, count)| (std::cmp::Reverse(count), word));
    all
}

fn show_heap(title: &str, talc: &Heap, region: &Range<*const u8>) {
    let mut picture = Picture::<2>::of(region.clone());
    // SAFETY: the picture is an array, so adding to it allocates nothing.
    unsafe { talc.visit(|part| picture.add(part)) };
    show(title, &picture, &talc.counters());
}

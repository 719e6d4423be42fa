//! Recorded programs that do not get their memory: they go on without it, and nothing is lost.

#[path = "../../talc-sources/tests/common/support.rs"]
#[allow(dead_code, unreachable_pub)]
mod support;

use std::alloc::Layout;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr::NonNull;

use fuzz::program::{recorded, Player, Step};
use fuzz::{Backing, Config, How, Site, Tested};
use support::rounds;
use talc::base::Part;

const HOW: How = How { by_global: true, zeroed: false };

/// Runs a program, whose backing fails from its n-th call on: until the first refusal, or for ever.
/// Returns how often the backing was called.
fn run_with_failures(
    config: Config,
    steps: &[Step],
    fail_after: Option<usize>,
    once: bool,
) -> usize {
    let site = Site::new(config, Backing::default(), 16 << 10);
    let backing = &site.ground().backing;
    let mut player = Player::default();
    backing.fail_after(fail_after);
    let mut refusals = 0;
    for &step in steps {
        if !player.step(site.talc(), step) {
            refusals += 1;
            if once || refusals == 1 {
                site.talc().check();
                player.verify_all();
            }
            if once {
                backing.fail_after(None);
            }
        }
    }
    let calls = backing.calls();
    site.talc().check();
    player.verify_all();
    // Once the backing works again, so does everything.
    backing.fail_after(None);
    let large = Layout::new::<[u64; 5000]>();
    let block = site.talc().allocate(large, HOW).expect("there is memory again");
    // SAFETY: just allocated.
    unsafe { site.talc().deallocate(block.cast(), large, HOW) };
    player.free_all(site.talc());
    site.check_all_is_free();
    site.finish();
    assert!(
        fail_after.is_some() || refusals == 0,
        "{config}: {refusals} refusals without a reason"
    );
    calls
}

/// For every n, in each wrapper over each source of blocks.
#[test]
fn a_backing_that_fails_at_the_nth_call() {
    let steps = recorded("server");
    let steps = &steps[..rounds(2000)];
    let configs = Config::all().into_iter().filter(|config| config.uses_backing());
    let mut tried = 0;
    // With `error-scanning-std`, each step looks at everything.
    let is_slow = steps.len() < 2000 || cfg!(feature = "error-scanning-std");
    // The binnings take turns.
    for (number, config) in configs.enumerate().filter(|(number, _)| number % 3 == number / 3 % 3) {
        let calls = run_with_failures(config, steps, None, false);
        assert!(calls > 20 || steps.len() < 2000, "{config}: {calls} calls");
        for n in (0..=calls).step_by(if is_slow { 7 } else { 1 }) {
            run_with_failures(config, steps, Some(n), (n + number) % 2 == 0);
            tried += 1;
        }
    }
    println!("{tried} runs");
}

/// Allocates and frees over a backing that panics at its n-th allocation. Returns whether it did.
fn run_with_panic(config: Config, n: usize) -> bool {
    const BY_ALLOCATOR: How = How { by_global: false, zeroed: false };
    let site = Site::new(config, Backing::in_region(), 4096);
    let backing = &site.ground().backing;
    let mut live: Vec<(NonNull<u8>, Layout, u8)> = Vec::new();
    let mut has_panicked = false;
    backing.panic_after(n);
    let call = |size: usize| {
        let layout = Layout::from_size_align(size, 8).unwrap();
        let talc = AssertUnwindSafe(site.talc());
        (layout, catch_unwind(move || talc.allocate(layout, BY_ALLOCATOR)))
    };
    for round in 0..60_usize {
        // Slots, chunks, and what is larger than a block.
        let size = [24, 24, 200, 1500, 24, 3000, 700, 9000][round % 8] + round;
        let (mut layout, mut block) = call(size);
        if block.is_err() {
            has_panicked = true;
            site.talc().check();
            // It goes on panicking, and then there is memory.
            assert!(call(size).1.is_err(), "{config}: nothing is kept of a call that unwound");
            backing.fail_after(None);
            (layout, block) = call(size);
        }
        let block = block.unwrap().expect("there is memory").cast::<u8>();
        // SAFETY: just allocated.
        unsafe { block.as_ptr().write_bytes(round as u8, layout.size()) };
        live.push((block, layout, round as u8));
        if round % 3 == 2 {
            free_filled(&site, live.swap_remove(round % live.len()), BY_ALLOCATOR);
        }
    }
    site.talc().check();
    for block in live {
        free_filled(&site, block, BY_ALLOCATOR);
    }
    backing.fail_after(None);
    site.check_all_is_free();
    site.finish();
    has_panicked
}

/// Frees a block in which each byte must be that one.
fn free_filled(site: &Site, (block, layout, byte): (NonNull<u8>, Layout, u8), how: How) {
    // SAFETY: live until here.
    unsafe {
        let contents = std::slice::from_raw_parts(block.as_ptr(), layout.size());
        assert!(contents.iter().all(|found| *found == byte));
        site.talc().deallocate(block, layout, how);
    }
}

/// A wrapper is not locked afterwards, nothing is lost, and the program goes on.
#[test]
fn a_backing_that_panics_at_the_nth_call() {
    for config in Config::all().into_iter().filter(|config| config.uses_backing()) {
        let panics = (0..).take_while(|&n| run_with_panic(config, n)).count();
        assert!(panics > 1, "{config}: {panics}");
    }
}

/// Allocates all that there is, also the free slots of each class.
fn fill_up(talc: &dyn Tested) -> Vec<(NonNull<u8>, Layout)> {
    let mut fillers = Vec::new();
    for size in [8192, 2048, 512].into_iter().chain((1..=16).rev().map(|class| 16 * class)) {
        let layout = Layout::from_size_align(size, 1).unwrap();
        while let Some(block) = talc.allocate(layout, HOW) {
            fillers.push((block.cast(), layout));
        }
    }
    fillers
}

fn free(talc: &dyn Tested, blocks: Vec<(NonNull<u8>, Layout)>) {
    for (block, layout) in blocks.into_iter().rev() {
        // SAFETY: allocated by `fill_up`.
        unsafe { talc.deallocate(block, layout, HOW) };
    }
}

fn largest_gap(talc: &dyn Tested) -> usize {
    talc.trim();
    let mut largest = 0;
    talc.visit(&mut |part| {
        if let Part::Gap { size, .. } = part {
            largest = largest.max(size);
        }
    });
    largest
}

/// At each step of a program, everything is allocated that there is. The step is refused, and then done
/// with the memory back.
#[test]
fn memory_that_is_exhausted_at_every_step() {
    for (name, count) in [("templates", 300), ("entities", 300)] {
        let steps = recorded(name);
        let steps = &steps[..rounds(count)];
        for config in Config::all().into_iter().filter(|config| !config.uses_backing()) {
            if config.takes_claims() {
                continue;
            }
            let site = Site::new(config, Backing::default(), 16 << 10);
            let talc = site.talc();
            free(talc, fill_up(talc));
            let first = largest_gap(talc);
            let mut player = Player::default();
            for (number, &step) in steps.iter().enumerate() {
                if matches!(step, Step::Allocate { .. }) {
                    let fillers = fill_up(talc);
                    let refused = !Player::default().step(talc, step);
                    assert!(
                        refused,
                        "{config}: step {number} of {name} has memory when there is none"
                    );
                    if number % 16 == 0 {
                        talc.check();
                    }
                    free(talc, fillers);
                }
                if let Step::Resize { .. } = step {
                    // It may have room in place.
                    let fillers = fill_up(talc);
                    player.step(talc, step);
                    free(talc, fillers);
                }
                player.step(talc, step);
                if number % 16 == 0 {
                    talc.check();
                    player.verify_all();
                }
            }
            player.free_all(talc);
            assert_eq!(largest_gap(talc), first, "{config}: the largest gap is not what it was");
            site.check_all_is_free();
            site.finish();
        }
    }
}

/// A heap of each size up to what the program needs: so, the first step that fails is any that can.
#[test]
fn heaps_of_every_size() {
    let steps = recorded("sql");
    let steps = &steps[..rounds(1500)];
    let all = Config::all();
    let mut first_refusals = std::collections::BTreeSet::new();
    for size in (600..48 << 10).step_by(if steps.len() < 1500 { 4096 } else { 112 }) {
        let manual: Vec<_> = all.iter().filter(|config| config.takes_claims()).collect();
        let config = *manual[size / 112 % manual.len()];
        let site = Site::new(config, Backing::default(), 16 << 10);
        let (base, all) = site.ground().region(size % 4);
        // SAFETY: nobody else's.
        if !unsafe { site.talc().claim(base, size.min(all)) } {
            continue;
        }
        let first = largest_gap(site.talc());
        let mut player = Player::default();
        for (number, &step) in steps.iter().enumerate() {
            if !player.step(site.talc(), step) && first_refusals.insert(number) {
                site.talc().check();
            }
        }
        site.talc().check();
        player.verify_all();
        player.free_all(site.talc());
        assert_eq!(largest_gap(site.talc()), first, "{config}: {size} bytes");
        site.check_all_is_free();
        site.finish();
    }
    assert!(steps.len() < 1500 || first_refusals.len() > 100, "{} steps", first_refusals.len());
}

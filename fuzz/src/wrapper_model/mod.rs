//! A wrapper through both of its allocation traits, over any source.

mod config;
mod ground;
mod site;
mod tested;

use std::alloc::Layout;
use std::ptr::NonNull;

use arbitrary::Arbitrary;

pub use config::{Config, From, Shape, Wrapper};
pub use ground::Ground;
pub use site::Site;
pub use tested::{How, Inspect, Tested};

use crate::action::{layout, Align, Pick, Size};
use crate::reference::Reference;
use crate::{Backing, Shadow};

/// Bytes in a block, at least.
const BLOCK_SIZE: usize = 8 << 10;

/// Up to this size and alignment, what a backing brings must suffice.
const USUAL: usize = 1 << 17;

/// The layout of the block that the hook frees.
const RESERVE: Layout = Layout::new::<[u64; 70]>();

/// A call of a wrapper.
#[derive(Debug, Clone, Copy, Arbitrary)]
#[allow(missing_docs)]
pub enum Call {
    /// Allocate.
    Allocate { size: Size, align: Align, how: How },
    /// Free an allocation.
    Deallocate { block: Pick, how: How },
    /// Grow or shrink one. The alignment stays the same through `GlobalAlloc`.
    Resize { block: Pick, to: Size, align: Align, how: How },
    /// Give back what is kept.
    Trim,
    /// Claim a region, where heaps are managed by hand.
    Claim { region: Pick, size: Size },
    /// Make the backing allocator fail from the n-th call on, or no longer.
    FailAfter { calls: Option<u8> },
}

/// A wrapper, checked as often as wanted.
pub struct WrapperModel {
    site: Site,
    shadow: Shadow,
    /// Which regions have been claimed by hand.
    claimed: [bool; ground::REGIONS],
    fails: bool,
    /// Whether the blocks come from a small region.
    is_tight: bool,
}

impl WrapperModel {
    /// Makes the wrapper, over blocks of the system.
    pub fn new(config: Config) -> Self {
        Self::over(config, Backing::default(), false)
    }

    /// Makes the wrapper, over blocks of a region. So, what an input does follows from it alone.
    pub fn in_region(config: Config) -> Self {
        Self::over(config, Backing::in_region(), true)
    }

    fn over(config: Config, backing: Backing, is_tight: bool) -> Self {
        let site = Site::new(config, backing, BLOCK_SIZE);
        let claimed = [false; ground::REGIONS];
        Self { site, shadow: Shadow::default(), claimed, fails: false, is_tight }
    }

    /// Makes one call and checks everything.
    ///
    /// # Panics
    /// Panics if the allocator does anything that it must not do.
    pub fn step(&mut self, call: &Call) {
        self.act(call);
        self.check();
    }

    /// Makes one call, and checks what it returns.
    ///
    /// # Panics
    /// Panics if the allocator does anything that it must not do.
    pub fn act(&mut self, call: &Call) {
        match *call {
            Call::Allocate { size, align, how } => {
                if let Some(layout) = layout(size, align) {
                    self.keep_reserve();
                    self.allocate(layout, how);
                }
            }
            Call::Deallocate { block, how } => {
                if let Some((ptr, _)) = self.shadow.pick(block) {
                    self.deallocate(ptr, how);
                }
            }
            Call::Resize { block, to, align, how } => {
                self.keep_reserve();
                self.resize(block, to, align, how);
            }
            Call::Trim => self.talc().trim(),
            Call::Claim { region, size } => self.claim(region, size),
            Call::FailAfter { calls } => {
                self.fails = calls.is_some();
                self.site.ground().backing.fail_after(calls.map(usize::from));
            }
        }
    }

    /// Checks every invariant, the number of allocations, and all contents.
    ///
    /// # Panics
    /// Panics if anything is not as it must be.
    pub fn check(&self) {
        #[cfg(feature = "audit")]
        self.talc().check();
        #[cfg(feature = "counters")]
        {
            let reserves = usize::from(config::has_reserve());
            assert_eq!(self.talc().count(), self.shadow.len() + reserves);
        }
        self.shadow.verify();
    }

    /// Frees everything; checks that nothing is lost: heaps are one gap each, and blocks go back.
    ///
    /// # Panics
    /// Panics if anything is not as it must be.
    pub fn finish(mut self) {
        let how = How { by_global: true, zeroed: false };
        if let Some(reserve) = config::take_reserve() {
            // SAFETY: live until here.
            unsafe { self.talc().deallocate(reserve.block, reserve.layout, how) };
        }
        for (ptr, layout) in self.shadow.drain() {
            // SAFETY: live until here.
            unsafe { self.talc().deallocate(to_block(ptr), layout, how) };
        }
        self.check();
        self.site.check_all_is_free();
        self.site.finish();
    }

    fn talc(&self) -> &(dyn Tested + 'static) {
        self.site.talc()
    }

    /// Allocates what the hook is to free, if there is a hook.
    fn keep_reserve(&mut self) {
        if !self.site.config().is_hooked() || config::has_reserve() {
            return;
        }
        let how = How { by_global: false, zeroed: false };
        if let Some(block) = self.talc().allocate(RESERVE, how) {
            let reserve =
                config::Reserve { talc: self.talc(), block: block.cast(), layout: RESERVE };
            config::set_reserve(reserve);
        }
    }

    fn allocate(&mut self, layout: Layout, how: How) {
        let Some(block) = self.talc().allocate(layout, how) else {
            return self.check_refusal(layout);
        };
        check_block(block, layout);
        let (ptr, size) = (block.cast::<u8>().as_ptr(), layout.size());
        if size == 0 {
            // Nothing is allocated yet.
            let new = Layout::new::<[u16; 9]>();
            let how = How { by_global: false, ..how };
            // SAFETY: an allocation of this layout, for which any aligned pointer stands.
            if let Some(grown) = unsafe { self.talc().resize(block.cast(), layout, new, how) } {
                check_block(grown, new);
                self.add(grown, new);
            }
            return;
        }
        if how.zeroed {
            check_zeroed(ptr, 0, size);
        }
        self.add(block, layout);
    }

    fn add(&mut self, block: NonNull<[u8]>, layout: Layout) {
        let heaps = self.site.memory();
        self.shadow.add(block.cast::<u8>().as_ptr(), layout, &heaps);
    }

    /// Checks that there was no memory, as far as a wrapper can know.
    fn check_refusal(&self, layout: Layout) {
        if self.site.config().uses_backing() {
            let is_usual = layout.size() <= USUAL && layout.align() <= 4096;
            assert!(self.fails || self.is_tight || !is_usual, "there is memory for {layout:?}");
            return;
        }
        // What was asked for may be larger: whole words, or whole cache lines.
        let size = layout.size().saturating_add(127) & !127;
        let align = layout.align().max(128);
        if let Ok(layout) = Layout::from_size_align(size, align) {
            let mut reference = Reference::default();
            self.talc().visit(&mut |part| reference.add(part));
            assert!(!reference.surely_fits(layout), "there is room for {layout:?}");
        }
    }

    fn deallocate(&mut self, ptr: *mut u8, how: How) {
        let layout = self.shadow.remove(ptr);
        // SAFETY: live until here.
        unsafe { self.talc().deallocate(to_block(ptr), layout, how) };
    }

    fn resize(&mut self, block: Pick, to: Size, align: Align, how: How) {
        let Some((ptr, old)) = self.shadow.pick(block) else { return };
        let align = if how.by_global { old.align() } else { align.bytes() };
        let Ok(new) = Layout::from_size_align(to.bytes(), align) else { return };
        if how.by_global && new.size() == 0 {
            return;
        }
        // SAFETY: live.
        let resized = unsafe { self.talc().resize(to_block(ptr), old, new, how) };
        let Some(block) = resized else {
            if new.size() > old.size() {
                self.check_refusal(new);
            }
            return;
        };
        check_block(block, new);
        let moved = block.cast::<u8>().as_ptr();
        if new.size() == 0 {
            self.shadow.remove_moved(ptr);
            // SAFETY: an allocation of this layout.
            unsafe { self.talc().deallocate(block.cast(), new, how) };
            return;
        }
        if how.zeroed && !how.by_global {
            check_zeroed(moved, old.size().min(new.size()), new.size());
        }
        let heaps = self.site.memory();
        self.shadow.moved(ptr, moved, new, &heaps);
    }

    fn claim(&mut self, region: Pick, size: Size) {
        let index = usize::from(region.0) % ground::REGIONS;
        if !self.site.config().takes_claims() || self.claimed[index] {
            return;
        }
        let (base, all) = self.site.ground().region(index);
        let offset = usize::from(region.0) % 512;
        let size = size.small_bytes().min(all - offset);
        // SAFETY: nobody else's, and claimed once.
        self.claimed[index] = unsafe { self.talc().claim(base.wrapping_add(offset), size) };
    }
}

fn to_block(ptr: *mut u8) -> NonNull<u8> {
    NonNull::new(ptr).expect("no block is at address 0")
}

fn check_block(block: NonNull<[u8]>, layout: Layout) {
    let addr = block.cast::<u8>().as_ptr() as usize;
    assert_eq!(addr % layout.align(), 0, "{block:p} is not aligned for {layout:?}");
    assert!(block.len() >= layout.size(), "{} bytes for {layout:?}", block.len());
}

/// Checks that bytes of a live allocation are zero.
fn check_zeroed(block: *mut u8, from: usize, to: usize) {
    static ZEROS: [u8; 1024] = [0; 1024];
    for start in (from..to).step_by(ZEROS.len()) {
        let zeros = &ZEROS[..ZEROS.len().min(to - start)];
        // SAFETY: inside of a live allocation, and said to be written.
        let found = unsafe { core::slice::from_raw_parts(block.add(start), zeros.len()) };
        if found != zeros {
            let at = start + found.iter().position(|&byte| byte != 0).unwrap();
            panic!("byte {at} of {to} is not zero");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;

    #[test]
    fn what_is_not_zero_is_noticed() {
        for at in [0, 1, 1023, 1024, 2999] {
            let mut memory = vec![0_u8; 3000];
            let ptr = memory.as_mut_ptr();
            check_zeroed(ptr, 0, 3000);
            memory[at] = 1;
            check_zeroed(memory.as_mut_ptr(), at + 1, 3000);
            catch_unwind(|| check_zeroed(memory.as_ptr().cast_mut(), 0, 3000)).unwrap_err();
            catch_unwind(|| check_zeroed(memory.as_ptr().cast_mut(), at, 3000)).unwrap_err();
        }
    }
}

//! The allocators whose rules are broken, each over a region of its own, or over what the system gives.

#[cfg(feature = "peers")]
mod peers;

use crate::memory::{region, REGION};
use std::alloc::{GlobalAlloc, System};
use std::ptr::NonNull;
use talc::base::Part;
use talc::source::Claim;
use talc::sync::TalcLock;
use talc::RawSpinlock;

/// An allocator, and what else can be done wrong with some of them.
pub trait Subject: GlobalAlloc {
    /// Makes a heap of a region, in addition to those that there are. Returns where it ends.
    ///
    /// # Safety
    /// None: it may be a heap already.
    unsafe fn claim(&self, _base: *mut u8, _size: usize) -> Option<NonNull<u8>> {
        None
    }

    /// Takes a heap away of which nothing is in use.
    ///
    /// # Safety
    /// `end` must be what `claim` has returned, for a heap at `base`.
    unsafe fn retire(&self, _base: *mut u8, _end: NonNull<u8>) -> bool {
        false
    }

    /// Returns the allocator's own words that are not in front of or in blocks.
    fn words(&self) -> Option<Words> {
        None
    }
}

/// Where an allocator's own words are.
pub struct Words {
    /// The heap.
    pub base: *mut u8,
    pub end: *mut u8,
    /// The table, and its size.
    pub table: (*mut u8, usize),
}

type Talc = TalcLock<RawSpinlock, Claim>;

impl Subject for Talc {
    unsafe fn claim(&self, base: *mut u8, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: as above.
        unsafe { self.lock().claim(base, size) }
    }

    unsafe fn retire(&self, base: *mut u8, end: NonNull<u8>) -> bool {
        let mut talc = self.lock();
        talc.trim();
        // SAFETY: required of the caller.
        unsafe { talc.truncate(end, base) }.is_none()
    }

    fn words(&self) -> Option<Words> {
        let (mut first, mut last, mut found) = (None, None, None);
        self.lock().visit(|part| match part {
            Part::Base(base) => first = Some(base.as_ptr()),
            Part::Table { payload, size } => found = Some((payload.as_ptr(), size)),
            Part::End(end) => last = Some(end.as_ptr()),
            _ => {}
        });
        Some(Words { base: first?, end: last?, table: found? })
    }
}

impl Subject for System {}

#[cfg(feature = "mimalloc")]
impl Subject for mimalloc::MiMalloc {}

/// How many freed blocks are kept back by "talc-quarantine", in builds that can.
const QUARANTINE: usize = 256;

/// Returns an allocator by its name: the first one, or another one of its kind. There is one system's only.
pub fn named(name: &str, number: usize) -> Option<&'static dyn Subject> {
    match name {
        "talc" | "talc-quarantine" => {
            // SAFETY: nothing else uses the region.
            let claim = unsafe { Claim::new(region(number), REGION) };
            let talc = Talc::new(claim);
            talc.lock().set_quarantine(if name == "talc" { 0 } else { QUARANTINE });
            Some(Box::leak(Box::new(talc)))
        }
        "system" if number == 0 => Some(&System),
        #[cfg(feature = "mimalloc")]
        "mimalloc" if number == 0 => Some(&mimalloc::MiMalloc),
        #[cfg(feature = "peers")]
        _ => peers::named(name, region(number), REGION),
        #[cfg(not(feature = "peers"))]
        _ => None,
    }
}

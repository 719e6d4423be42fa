//! Address space of this process, of which only what is touched takes memory.

use std::io::{Error, ErrorKind};
use std::ptr::null_mut;

/// Memory that reads as zeroes.
pub struct Mapping {
    pub base: *mut u8,
    pub size: usize,
}

impl Mapping {
    /// Maps `size` bytes anywhere.
    pub fn new(size: usize) -> Result<Self, Error> {
        Self::map(null_mut(), size, 0)
    }

    /// Maps `size` bytes at `addr`. Fails if not all of them are free, or if the system keeps them to itself.
    pub fn at(addr: usize, size: usize) -> Result<Self, Error> {
        let mapping = Self::map(addr as *mut u8, size, libc::MAP_FIXED_NOREPLACE)?;
        // Systems that do not know the flag map something elsewhere, if it is not free there.
        if mapping.base as usize == addr {
            Ok(mapping)
        } else {
            Err(ErrorKind::AddrInUse.into())
        }
    }

    fn map(addr: *mut u8, size: usize, flags: i32) -> Result<Self, Error> {
        let flags = flags | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: nothing that is mapped already is replaced.
        let base = unsafe {
            libc::mmap(addr.cast(), size, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        if base == libc::MAP_FAILED {
            Err(Error::last_os_error())
        } else {
            Ok(Self { base: base.cast(), size })
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped above; the allocator is not used any more.
        unsafe { libc::munmap(self.base.cast(), self.size) };
    }
}

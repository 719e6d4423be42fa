//! Tells valgrind or AddressSanitizer which memory the allocator has no business with: live allocations, as long as they
//! are their owner's. They then report each access of the allocator to them: valgrind to the byte, AddressSanitizer to
//! the byte at the start and to 8 bytes at the end.
//!
//! Elsewhere, these are a few instructions that do nothing. For valgrind, they are described in `valgrind.h` and
//! `memcheck.h`, which are part of its interface. For AddressSanitizer, which is a matter of compiling, the flag
//! `--cfg asan` says that it is there.

/// Makes any access to memory an error.
pub(crate) fn hide(start: *mut u8, size: usize) {
    const MAKE_MEM_NOACCESS: usize = MEMCHECK;
    request([MAKE_MEM_NOACCESS, start as usize, size, 0, 0, 0]);
    #[cfg(asan)]
    // SAFETY: the memory is only marked.
    unsafe {
        asan::__asan_poison_memory_region(start.cast(), size);
    }
}

/// Undoes what [`hide`] did. What is there counts as written.
pub(crate) fn show(start: *mut u8, size: usize) {
    const MAKE_MEM_DEFINED: usize = MEMCHECK + 2;
    request([MAKE_MEM_DEFINED, start as usize, size, 0, 0, 0]);
    #[cfg(asan)]
    // SAFETY: as above.
    unsafe {
        asan::__asan_unpoison_memory_region(start.cast(), size);
    }
}

#[cfg(asan)]
mod asan {
    use core::ffi::c_void;

    extern "C" {
        pub(super) fn __asan_poison_memory_region(start: *const c_void, size: usize);
        pub(super) fn __asan_unpoison_memory_region(start: *const c_void, size: usize);
        #[cfg(test)]
        pub(super) fn __asan_address_is_poisoned(start: *const c_void) -> i32;
    }
}

/// The first of memcheck's own requests.
const MEMCHECK: usize = (b'M' as usize) << 24 | (b'C' as usize) << 16;

/// Sends a request, which is a number with up to five arguments. Returns 0 if there is no valgrind.
#[cfg(all(target_arch = "x86_64", not(miri)))]
fn request(arguments: [usize; 6]) -> usize {
    let mut result = 0_usize;
    // SAFETY: the rotations are 128 bits together, so that no register changes. Under valgrind, this sequence is a
    // request that reads the arguments and writes the result.
    unsafe {
        core::arch::asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") arguments.as_ptr(),
            inout("rdx") result,
            options(nostack),
        );
    }
    result
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
fn request(_: [usize; 6]) -> usize {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what memcheck says of memory: 1 if all of it may be accessed, 3 if not; 0 without valgrind.
    fn state(start: *mut u8, size: usize) -> usize {
        const GET_VBITS: usize = MEMCHECK + 8;
        let mut bits = vec![0_u8; size];
        request([GET_VBITS, start as usize, bits.as_mut_ptr() as usize, size, 0, 0])
    }

    #[test]
    fn valgrind_knows_what_is_hidden() {
        const RUNNING_ON_VALGRIND: usize = 0x1001;
        let mut memory = [1_u8; 64];
        let start = memory.as_mut_ptr();
        let is_there = request([RUNNING_ON_VALGRIND, 0, 0, 0, 0, 0]) != 0;
        let expected = |state: usize| if is_there { state } else { 0 };
        assert_eq!(state(start, 64), expected(1));
        hide(start.wrapping_add(8), 41);
        assert_eq!(state(start, 8), expected(1));
        assert_eq!(state(start.wrapping_add(8), 1), expected(3));
        assert_eq!(state(start.wrapping_add(48), 1), expected(3));
        assert_eq!(state(start.wrapping_add(49), 15), expected(1));
        show(start.wrapping_add(8), 41);
        assert_eq!(state(start, 64), expected(1));
        println!("under valgrind: {is_there}");
    }

    #[cfg(asan)]
    #[test]
    fn address_sanitizer_knows_what_is_hidden() {
        // SAFETY: nothing is accessed.
        let is_hidden = |at: *mut u8| unsafe { asan::__asan_address_is_poisoned(at.cast()) != 0 };
        let mut memory = [0_u64; 8];
        let start = memory.as_mut_ptr().cast::<u8>();
        hide(start.wrapping_add(8), 40);
        let hidden = |at: usize| is_hidden(start.wrapping_add(at));
        assert!(!hidden(7) && hidden(8) && hidden(47) && !hidden(48));
        show(start.wrapping_add(8), 40);
        assert!((0..64).all(|at| !hidden(at)));
    }
}

//! Which shard a caller tries first.

/// Tells on which core or thread it is called, so that callers that run at the same time use different
/// shards.
///
/// The hint may be wrong: it decides how fast a call is, not whether it is right. So it may be read without
/// disabling preemption.
///
/// It must not allocate if the allocator is the global one.
///
/// # Example
///
/// ```
/// use talc_sync::sharded::ShardHint;
///
/// struct Cpu;
///
/// impl ShardHint for Cpu {
///     fn hint() -> usize {
/// #       let my_cpu_number = || 0;
///         my_cpu_number()
///     }
/// }
/// ```
pub trait ShardHint {
    /// Returns the number of the core or thread. Numbers that differ by a multiple of the number of shards
    /// mean the same shard.
    fn hint() -> usize;
}

/// Gives each thread a number, in the order in which they first allocate.
///
/// The number is in a thread-local value that needs neither memory nor a destructor, on all targets on which
/// compilers support such values themselves. Elsewhere, std allocates memory for it, so that a global
/// allocator needs a hint of its own.
#[cfg(feature = "std")]
#[cfg_attr(docsrs, doc(cfg(feature = "std")))]
#[derive(Debug, Clone, Copy)]
pub struct ByThread;

#[cfg(feature = "std")]
impl ShardHint for ByThread {
    #[inline]
    fn hint() -> usize {
        use std::cell::Cell;
        use std::sync::atomic::{AtomicUsize, Ordering};

        static THREADS: AtomicUsize = AtomicUsize::new(0);
        std::thread_local! {
            /// Zero until the thread has a number.
            static NUMBER: Cell<usize> = const { Cell::new(0) };
        }

        #[cold]
        fn next() -> usize {
            THREADS.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
        }

        NUMBER
            .try_with(|number| {
                if number.get() == 0 {
                    number.set(next());
                }
                number.get()
            })
            .unwrap_or(0)
    }
}

//! The programs with `TalcSharded` as their global allocator, and the locks that the others have.

use talc::sync::ByThread;
use talc::{RawSpinlock, TalcSharded};

#[global_allocator]
static GLOBAL: TalcSharded<RawSpinlock, programs::Mapped, ByThread> =
    TalcSharded::new(programs::Mapped);

fn main() -> anyhow::Result<()> {
    programs::main()
}

//! The programs with the system's allocator as their global allocator.

#[global_allocator]
static GLOBAL: std::alloc::System = std::alloc::System;

fn main() -> anyhow::Result<()> {
    programs::main()
}

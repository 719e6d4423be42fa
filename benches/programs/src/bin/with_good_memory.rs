//! The programs with good_memory_allocator as their global allocator.

#[global_allocator]
static GLOBAL: programs::OverArena<benches::contender::Good> = programs::OverArena::new();

fn main() -> anyhow::Result<()> {
    programs::main()
}

//! The programs with dlmalloc as their global allocator.

#[global_allocator]
static GLOBAL: programs::OverArena<benches::contender::Dl> = programs::OverArena::new();

fn main() -> anyhow::Result<()> {
    programs::main()
}

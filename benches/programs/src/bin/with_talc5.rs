//! The programs with talc 5.1.1 as their global allocator.

#[global_allocator]
static GLOBAL: programs::OverArena<benches::contender::Talc5> = programs::OverArena::new();

fn main() -> anyhow::Result<()> {
    programs::main()
}

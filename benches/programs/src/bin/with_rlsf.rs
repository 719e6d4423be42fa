//! The programs with rlsf as their global allocator.

#[global_allocator]
static GLOBAL: programs::OverArena<benches::contender::Rlsf> = programs::OverArena::new();

fn main() -> anyhow::Result<()> {
    programs::main()
}

//! The programs with Talc as their global allocator.

#[global_allocator]
static GLOBAL: programs::OverArena<benches::contender::Talc> = programs::OverArena::new();

fn main() -> anyhow::Result<()> {
    programs::main()
}

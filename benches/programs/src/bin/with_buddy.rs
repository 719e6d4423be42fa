//! The programs with buddy-alloc as their global allocator.

#[global_allocator]
static GLOBAL: programs::OverArena<benches::contender::Buddy> = programs::OverArena::new();

fn main() -> anyhow::Result<()> {
    programs::main()
}

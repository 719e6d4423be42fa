//! The programs with linked_list_allocator as their global allocator.

#[global_allocator]
static GLOBAL: programs::OverArena<benches::contender::LinkedList> = programs::OverArena::new();

fn main() -> anyhow::Result<()> {
    programs::main()
}

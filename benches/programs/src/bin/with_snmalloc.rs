//! The programs with snmalloc as their global allocator.

#[global_allocator]
static GLOBAL: snmalloc_rs::SnMalloc = snmalloc_rs::SnMalloc;

fn main() -> anyhow::Result<()> {
    programs::main()
}

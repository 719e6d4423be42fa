//! Heaps: claiming them, moving their ends, how large they must be, and the table in one of them.

mod books;
mod claim;
pub(crate) mod reserved;
pub(crate) mod sizing;
mod table;
mod truncate;

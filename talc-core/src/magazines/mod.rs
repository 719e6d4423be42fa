//! Free blocks that are kept ready: slots and chunks of middling sizes, in magazines.
//!
//! Seen from slabs and from the lists of gaps, what is in a magazine is allocated. Seen from the user, it
//! is free.

mod drain;
mod keep;
mod room;

//! Free blocks that are kept ready: slots and chunks of middling sizes, in magazines.
//!
//! Seen from slabs and from the lists of gaps, what is in a magazine is allocated. Seen from the user, it
//! is free. The same goes for what is in the quarantine, from which it comes back as late as possible.

mod drain;
mod keep;
mod kept;
mod quarantine;
mod room;

pub(crate) use self::kept::Keeping;

#![doc = include_str!("guide/links.md")]
#![doc = include_str!("guide/README.md")]
// The pages are files of their own, so that they can also be read in the repository. There, their links
// lead to other files and to docs.rs; here, to items. `links.md` stands in front of each page for that: of
// several definitions of a link, the first one counts.

#[doc = include_str!("guide/links.md")]
#[doc = include_str!("guide/choosing.md")]
pub mod choosing {}

#[doc = include_str!("guide/links.md")]
#[doc = include_str!("guide/global_allocator.md")]
pub mod global_allocator {}

#[doc = include_str!("guide/links.md")]
#[doc = include_str!("guide/private_heap.md")]
pub mod private_heap {}

#[doc = include_str!("guide/links.md")]
#[doc = include_str!("guide/heaps_by_hand.md")]
pub mod heaps_by_hand {}

#[doc = include_str!("guide/links.md")]
#[doc = include_str!("guide/sources.md")]
pub mod sources {}

#[doc = include_str!("guide/links.md")]
#[doc = include_str!("guide/firmware.md")]
pub mod firmware {}

#[doc = include_str!("guide/links.md")]
#[doc = include_str!("guide/kernel.md")]
pub mod kernel {}

#[doc = include_str!("guide/links.md")]
#[doc = include_str!("guide/several_memories.md")]
pub mod several_memories {}

#[doc = include_str!("guide/links.md")]
#[doc = include_str!("guide/out_of_memory.md")]
pub mod out_of_memory {}

#[doc = include_str!("guide/links.md")]
#[doc = include_str!("guide/locks.md")]
pub mod locks {}

#[doc = include_str!("guide/links.md")]
#[doc = include_str!("guide/sizes.md")]
pub mod sizes {}

#[doc = include_str!("guide/links.md")]
#[doc = include_str!("guide/inspecting.md")]
pub mod inspecting {}

#[doc = include_str!("guide/links.md")]
#[doc = include_str!("guide/hardening.md")]
pub mod hardening {}

#[doc = include_str!("guide/links.md")]
#[doc = include_str!("guide/features.md")]
pub mod features {}

#[doc = include_str!("guide/links.md")]
#[doc = include_str!("guide/what_goes_wrong.md")]
pub mod what_goes_wrong {}

//! The global allocator, and what is where in its heap.

use std::ptr::addr_of_mut;
use talc::base::Part;
use talc::wasm::{new_wasm_dynamic_allocator, WasmDynamicTalc};

#[global_allocator]
static TALC: WasmDynamicTalc = new_wasm_dynamic_allocator();

/// A part as the page reads it: what it is, its address, its bytes, and for a slab the size of a
/// slot, how many slots there are, and how many are free.
#[repr(C)]
struct Entry {
    kind: u32,
    address: usize,
    size: usize,
    slot_size: usize,
    slots: usize,
    free_slots: usize,
}

const TABLE: u32 = 0;
const CHUNK: u32 = 1;
const SLAB: u32 = 2;
const GAP: u32 = 3;

/// As many parts as the page can ask for; more are left out.
const ENTRIES: usize = 1 << 16;

/// This is a static because the heap must not change while it is visited.
static mut MAP: [Entry; ENTRIES] = {
    const EMPTY: Entry =
        Entry { kind: TABLE, address: 0, size: 0, slot_size: 0, slots: 0, free_slots: 0 };
    [EMPTY; ENTRIES]
};

/// Where [`map`] writes.
#[no_mangle]
extern "C" fn map_entries() -> *const u32 {
    addr_of_mut!(MAP).cast()
}

/// Looks at the heap. Returns the number of its parts.
#[no_mangle]
extern "C" fn map() -> usize {
    let mut count = 0;
    let mut add = |entry| {
        if count < ENTRIES {
            // SAFETY: the module has one thread, and nothing else has a reference to the map.
            unsafe { addr_of_mut!(MAP).cast::<Entry>().add(count).write(entry) };
            count += 1;
        }
    };
    let plain = |kind, payload: *mut u8, size| Entry {
        kind,
        address: payload as usize,
        size,
        slot_size: 0,
        slots: 0,
        free_slots: 0,
    };
    // SAFETY: the visitor does not allocate.
    unsafe {
        TALC.visit(|part| match part {
            Part::Table { payload, size } => add(plain(TABLE, payload.as_ptr(), size)),
            Part::Allocated { payload, size } => add(plain(CHUNK, payload.as_ptr(), size)),
            Part::Gap { payload, size } => add(plain(GAP, payload.as_ptr(), size)),
            Part::Slab { payload, size, slot_size, slots, free_slots } => {
                let address = payload.as_ptr() as usize;
                add(Entry { kind: SLAB, address, size, slot_size, slots, free_slots });
            }
            _ => {}
        });
    }
    count
}

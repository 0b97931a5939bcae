//! Does what `bench-accept` does, in an instance that costs the host as little as Rust allows: built for
//! wasm32-unknown-unknown it imports no WASI, and its allocator is an arena that touches the same few pages in every call.
use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use sharemill_handler::{Outcome, Record, handler};

#[path = "../../bench-accept/src/fold.rs"]
mod fold;

#[handler]
fn handle(record: Record) -> Outcome {
    fold::every_field(&record);
    Outcome::accept()
}

/// Enough for a record of 1 MiB with its copies.
const CAPACITY: usize = 4 << 20;

/// Hands out memory in order and starts anew when everything is given back, as it is at the end of every call.
struct Arena {
    bytes: UnsafeCell<[u8; CAPACITY]>,
    used: AtomicUsize,
    live: AtomicUsize,
}

// SAFETY: the target has no threads. Elsewhere, where tests may have some, the arena is not the allocator.
unsafe impl Sync for Arena {}

// SAFETY: a block lies behind all live ones, aligned and inside of `bytes`; `used` falls only when no block is live.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = self.bytes.get() as usize;
        let start = (base + self.used.load(Relaxed)).next_multiple_of(layout.align()) - base;
        let Some(end) = start.checked_add(layout.size()).filter(|&end| end <= CAPACITY) else {
            return std::ptr::null_mut();
        };
        self.used.store(end, Relaxed);
        self.live.fetch_add(1, Relaxed);
        // SAFETY: `start` is within `bytes`.
        unsafe { self.bytes.get().cast::<u8>().add(start) }
    }

    unsafe fn dealloc(&self, _block: *mut u8, _layout: Layout) {
        if self.live.fetch_sub(1, Relaxed) == 1 {
            self.used.store(0, Relaxed);
        }
    }
}

#[cfg_attr(target_arch = "wasm32", global_allocator)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    expect(dead_code, reason = "only components use the arena")
)]
static ARENA: Arena = Arena {
    bytes: UnsafeCell::new([0; CAPACITY]),
    used: AtomicUsize::new(0),
    live: AtomicUsize::new(0),
};

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

/// Enough for most records with their copies. The host looks through all of an instance's memory for what the instance has written,
/// so that memory which is seldom used costs every call.
const CAPACITY: usize = 64 << 10;

/// Hands out memory in order and starts anew when everything is given back, as it is at the end of every call. What does not fit lies in
/// memory that is asked for when it is needed.
struct Arena {
    bytes: UnsafeCell<[u8; CAPACITY]>,
    used: AtomicUsize,
    more: AtomicUsize,
    more_len: AtomicUsize,
    more_used: AtomicUsize,
    live: AtomicUsize,
}

// SAFETY: the target has no threads. Elsewhere, where tests may have some, the arena is not the allocator.
unsafe impl Sync for Arena {}

/// The place of a block behind `used` bytes of a region, and what is used with it.
fn place(base: usize, len: usize, used: usize, layout: Layout) -> Option<(usize, usize)> {
    let start = base.checked_add(used)?.checked_next_multiple_of(layout.align())?;
    let used = start.checked_add(layout.size())? - base;
    (used <= len).then_some((start, used))
}

// SAFETY: a block lies behind all live ones of its region, aligned and inside of it; what is used falls only when no block is live, and
// a region that is left behind is not used again.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let own = self.bytes.get() as usize;
        let found = if let Some((start, used)) = place(own, CAPACITY, self.used.load(Relaxed), layout) {
            self.used.store(used, Relaxed);
            start
        } else {
            let (base, len) = (self.more.load(Relaxed), self.more_len.load(Relaxed));
            let mut fit = place(base, len, self.more_used.load(Relaxed), layout);
            if fit.is_none() {
                // Larger each time, so that a reused instance soon has one that holds all that a call needs.
                let pages = (layout.size() + layout.align()).div_ceil(PAGE).max(2 * len / PAGE);
                let Some(base) = grow(pages) else {
                    return std::ptr::null_mut();
                };
                self.more.store(base, Relaxed);
                self.more_len.store(pages * PAGE, Relaxed);
                fit = place(base, pages * PAGE, 0, layout);
            }
            let Some((start, used)) = fit else {
                return std::ptr::null_mut();
            };
            self.more_used.store(used, Relaxed);
            start
        };
        self.live.fetch_add(1, Relaxed);
        std::ptr::with_exposed_provenance_mut(found)
    }

    unsafe fn dealloc(&self, _block: *mut u8, _layout: Layout) {
        if self.live.fetch_sub(1, Relaxed) == 1 {
            self.used.store(0, Relaxed);
            self.more_used.store(0, Relaxed);
        }
    }
}

/// The address of so many new pages.
fn grow(pages: usize) -> Option<usize> {
    let old = memory_grow(pages);
    (old != usize::MAX).then(|| old * PAGE)
}

#[cfg(target_arch = "wasm32")]
fn memory_grow(pages: usize) -> usize {
    std::arch::wasm32::memory_grow(0, pages)
}

#[cfg(not(target_arch = "wasm32"))]
fn memory_grow(_: usize) -> usize {
    usize::MAX
}

const PAGE: usize = 64 << 10;

#[cfg_attr(target_arch = "wasm32", global_allocator)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    expect(dead_code, reason = "only components use the arena")
)]
static ARENA: Arena = Arena {
    bytes: UnsafeCell::new([0; CAPACITY]),
    used: AtomicUsize::new(0),
    more: AtomicUsize::new(0),
    more_len: AtomicUsize::new(0),
    more_used: AtomicUsize::new(0),
    live: AtomicUsize::new(0),
};

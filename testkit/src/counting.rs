//! An allocator that counts, for tests of what a process holds.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

/// The system's allocator; it counts the bytes in use. A test's binary makes one its `#[global_allocator]`.
#[derive(Debug, Default)]
pub struct Counting {
    in_use_bytes: AtomicIsize,
}

impl Counting {
    /// Nothing in use.
    pub const fn new() -> Counting {
        Counting { in_use_bytes: AtomicIsize::new(0) }
    }

    /// The bytes in use now.
    pub fn in_use_bytes(&self) -> isize {
        self.in_use_bytes.load(Ordering::Relaxed)
    }

    fn grow(&self, bytes: isize) {
        self.in_use_bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

// SAFETY: every call is passed on to the system's allocator as it is; counting touches only an atomic.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.grow(layout.size() as isize);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.grow(layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.grow(size as isize - layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.grow(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

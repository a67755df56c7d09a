//! An allocator that refuses memory when it is asked to, for the program that tortures.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;

thread_local! {
    static REFUSING: Cell<bool> = const { Cell::new(false) };
}

/// The system's allocator, but for threads inside [`refuse`]. A program makes it its `#[global_allocator]`.
#[derive(Debug)]
pub struct Allocator;

/// Runs `body`, in which this thread is given no memory if [`Allocator`] is the program's.
pub(crate) fn refuse<R>(body: impl FnOnce() -> R) -> R {
    REFUSING.set(true);
    let result = body();
    end();
    result
}

/// From here on this thread is given memory: also where a panic has left [`refuse`].
pub(crate) fn end() {
    REFUSING.set(false);
}

#[cfg(test)]
pub(crate) fn is_on() -> bool {
    REFUSING.get()
}

// SAFETY: every call that is not refused is passed on to the system's allocator as it is; a refusal is a null pointer.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise, passed on.
        if REFUSING.get() { ptr::null_mut() } else { unsafe { System.alloc(layout) } }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        if REFUSING.get() { ptr::null_mut() } else { unsafe { System.alloc_zeroed(layout) } }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        if REFUSING.get() { ptr::null_mut() } else { unsafe { System.realloc(block, layout, size) } }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

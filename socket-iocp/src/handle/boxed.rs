//! Boxes whose memory may be refused.

use std::alloc::{self, Layout};
use std::ptr::NonNull;

/// A box, unless memory is refused.
pub(crate) fn boxed<T>(value: T) -> Option<Box<T>> {
    let layout = Layout::new::<T>();
    if layout.size() == 0 {
        // Such a box has no memory.
        return Some(Box::new(value));
    }
    // SAFETY: the size is not zero.
    let memory = NonNull::new(unsafe { alloc::alloc(layout) })?.cast::<T>();
    // SAFETY: the memory is new, of the layout that a box of a `T` has.
    unsafe {
        memory.write(value);
        Some(Box::from_raw(memory.as_ptr()))
    }
}

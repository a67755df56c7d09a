//! A copy of a send's bytes, in a carrier.

use super::carrier::Carrier;
use crate::planted::planted;
use std::alloc::Layout;
use std::ptr::NonNull;
use std::slice;

pub(super) struct Copied {
    /// Its content is the bytes.
    carrier: Carrier,
    len: usize,
}

impl Copied {
    /// Copies the bytes behind so much room; `None` when memory is refused.
    pub(super) fn new(bytes: &[u8], room: Layout) -> Option<Copied> {
        let carrier = Carrier::allocate(room, Layout::for_value(bytes))?;
        // SAFETY: the content is new, and as long as the bytes.
        unsafe { carrier.content().copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
        if planted!(CopyIsWrong) && !bytes.is_empty() {
            // SAFETY: as above.
            unsafe { *carrier.content().add(bytes.len() - 1).as_ptr() ^= 1 };
        }
        Some(Copied { carrier, len: bytes.len() })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: the content is so many bytes, written by `new`, and this value owns it.
        unsafe { slice::from_raw_parts(self.carrier.content().as_ptr(), self.len) }
    }

    pub(super) fn carrier(&self) -> Carrier {
        self.carrier
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        // SAFETY: this value owned the block, whose content has the layout of its bytes. A node in its room is gone: its
        // content was this value.
        unsafe { self.carrier.free(Layout::for_value(self.bytes())) };
    }
}

//! Several buffers that are one send, in a carrier.

use super::SendBuffer;
use super::carrier::Carrier;
use std::alloc::Layout;
use std::mem;
use std::ptr::{self, NonNull};

pub(super) struct Parts {
    /// Its content is the buffers.
    carrier: Carrier,
    count: usize,
}

impl Parts {
    /// Moves the buffers behind so much room, and leaves empty ones; `None` when memory is refused, and they are as they were.
    pub(super) fn take(from: &mut [SendBuffer], room: Layout) -> Option<Parts> {
        let carrier = Carrier::allocate(room, Layout::for_value(from))?;
        for (index, part) in from.iter_mut().enumerate() {
            // SAFETY: the content is as long as the slice, and new.
            unsafe { carrier.content().cast::<SendBuffer>().add(index).write(mem::take(part)) };
        }
        Some(Parts { carrier, count: from.len() })
    }

    fn content(&self) -> NonNull<[SendBuffer]> {
        NonNull::slice_from_raw_parts(self.carrier.content().cast(), self.count)
    }

    pub(super) fn all(&self) -> &[SendBuffer] {
        // SAFETY: the content is so many buffers, written by `take`, and this value owns it.
        unsafe { self.content().as_ref() }
    }

    pub(super) fn all_mut(&mut self) -> &mut [SendBuffer] {
        // SAFETY: as above, and `&mut self` makes the access exclusive.
        unsafe { self.content().as_mut() }
    }

    pub(super) fn carrier(&self) -> Carrier {
        self.carrier
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        let content = self.content();
        // SAFETY: this value owned the buffers and the block, whose content has the layout of them. A node in its room is gone:
        // its content was this value.
        unsafe {
            let layout = Layout::for_value(content.as_ref());
            ptr::drop_in_place(content.as_ptr());
            self.carrier.free(layout);
        }
    }
}

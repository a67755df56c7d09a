//! Bytes that are a value's of the program's, which is kept in a carrier and dropped with the buffer.

use super::carrier::Carrier;
use crate::planted::planted;
use std::alloc::Layout;
use std::ptr::NonNull;
use std::slice;

pub(super) struct Owned {
    /// Its content begins with a [`Head`].
    carrier: Carrier,
    /// Of the bytes.
    len: usize,
}

struct Head {
    data: *const u8,
    /// Drops the owner and frees the block.
    ///
    /// # Safety
    /// Called once, with the block that it stands in, of which nothing is used any more.
    free: unsafe fn(Carrier),
}

#[repr(C)]
struct Content<O> {
    head: Head,
    owner: O,
}

impl Owned {
    /// Keeps the owner behind so much room; it comes back when memory is refused.
    pub(super) fn new<O: AsRef<[u8]> + Send + Sync + 'static>(owner: O, room: Layout) -> Result<Owned, O> {
        let Some(carrier) = Carrier::allocate(room, Layout::new::<Content<O>>()) else { return Err(owner) };
        let content = carrier.content().cast::<Content<O>>();
        let head = Head { data: NonNull::dangling().as_ptr(), free: free::<O> };
        // SAFETY: the content is new, and has this layout.
        unsafe { content.write(Content { head, owner }) };
        let mut owned = Owned { carrier, len: 0 };
        // Asked once, where the owner stays: it may have its bytes within itself, and may answer otherwise another time.
        // SAFETY: the owner is in the content, and nobody has `&mut` to it before it is dropped.
        let bytes = unsafe { (*content.as_ptr()).owner.as_ref() };
        let (data, len) = (bytes.as_ptr(), bytes.len());
        // SAFETY: as above; nobody else refers to the head.
        unsafe { (*content.as_ptr()).head.data = data };
        owned.len = len;
        Ok(owned)
    }

    fn head(&self) -> &Head {
        // SAFETY: the content begins with it, and is this value's.
        unsafe { self.carrier.content().cast().as_ref() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: the owner gave these bytes out against a shared reference to where it lies, and neither moves nor goes before
        // this value does: they stay as long as that reference could.
        unsafe { slice::from_raw_parts(self.head().data, self.len) }
    }

    pub(super) fn carrier(&self) -> Carrier {
        self.carrier
    }
}

/// See [`Head::free`].
///
/// # Safety
/// As there; the content is one of this owner's.
unsafe fn free<O>(carrier: Carrier) {
    // SAFETY: the caller's promise. The owner is moved out, so that the block is freed whatever its drop does.
    let content = unsafe {
        let content = carrier.content().cast::<Content<O>>().read();
        carrier.free(Layout::new::<Content<O>>());
        content
    };
    drop(content.owner);
}

impl Drop for Owned {
    fn drop(&mut self) {
        if planted!(OwnerForgotten) {
            return;
        }
        // SAFETY: this value owned the block, in which `new` has put this function. A node in its room is gone: its content was
        // this value.
        unsafe { (self.head().free)(self.carrier) };
    }
}

//! Carriers: what a send buffer needs of the heap in one block, with room for the node of its send, so that an async send
//! of it allocates nothing more.
//!
//! ```text
//! | room | offset of the content | content |
//! ```
//! A carrier has one owner, its send buffer. The room is used by the node of an async send, whose content is that buffer: so
//! the node is gone when the buffer has been taken out of it, and a buffer that comes back can be sent again from its block.

use std::alloc::{self, Layout};
use std::ptr::NonNull;

/// The least alignment of a block, and so of its room.
const ALIGN: usize = 8;

/// A block, named by the address of its content. Not freed on drop: its owner knows what the content is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Carrier(NonNull<u8>);

impl Carrier {
    /// A block with at least so much room, and memory for a content, which is not initialised. `None` when memory is refused.
    pub(super) fn allocate(room: Layout, content: Layout) -> Option<Carrier> {
        let room = Layout::from_size_align(room.size(), ALIGN).ok()?;
        let (with_offset, _) = room.extend(Layout::new::<usize>()).ok()?;
        let (_, offset) = with_offset.extend(content).ok()?;
        // SAFETY: the block has room for its offset at least.
        let block = NonNull::new(unsafe { alloc::alloc(block(offset, content)?) })?;
        // SAFETY: the content is within the block, and the offset right before it, aligned as what comes before the content is.
        let content = unsafe {
            let content = block.add(offset);
            content.cast::<usize>().sub(1).write(offset);
            content
        };
        Some(Carrier(content))
    }

    /// Where the content is.
    pub(super) fn content(self) -> NonNull<u8> {
        self.0
    }

    /// The room, if something of this layout fits there.
    ///
    /// # Safety
    /// The block has not been freed.
    pub(super) unsafe fn room_for(self, wanted: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise; `allocate` has written the offset.
        let offset = unsafe { self.0.cast::<usize>().sub(1).read() };
        let fits = wanted.size() <= offset - size_of::<usize>() && wanted.align() <= ALIGN;
        // SAFETY: the block begins there.
        fits.then(|| unsafe { self.0.sub(offset) })
    }

    /// Frees the block.
    ///
    /// # Safety
    /// It came from `allocate` with this layout of the content, is freed once, and nothing in it is used any more.
    pub(super) unsafe fn free(self, content: Layout) {
        // SAFETY: as in `room_for`.
        let offset = unsafe { self.0.cast::<usize>().sub(1).read() };
        if let Some(layout) = block(offset, content) {
            // SAFETY: `allocate` made the block with this layout, and it begins there.
            unsafe { alloc::dealloc(self.0.sub(offset).as_ptr(), layout) };
        }
    }
}

/// The layout of a block.
fn block(offset: usize, content: Layout) -> Option<Layout> {
    Layout::from_size_align(offset.checked_add(content.size())?, content.align().max(ALIGN)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_and_content_are_apart_and_aligned() {
        for room in [0, 1, 8, 56, 64, 72, 100] {
            for (size, align) in [(0, 1), (1, 1), (64, 1), (24, 8), (48, 16), (64, 64)] {
                let content = Layout::from_size_align(size, align).expect("a layout");
                let wanted = Layout::from_size_align(room, ALIGN).expect("a layout");
                let carrier = Carrier::allocate(wanted, content).expect("memory");
                let start = carrier.content().addr().get();
                assert_eq!(start % align, 0);
                // SAFETY: the block has just been made.
                let place = unsafe { carrier.room_for(wanted) }.expect("as much as was asked for");
                assert_eq!(place.addr().get() % ALIGN, 0);
                assert!(place.addr().get() + room + size_of::<usize>() <= start);
                let much = Layout::from_size_align(start, ALIGN).expect("a layout");
                let wide = Layout::from_size_align(1, 2 * ALIGN).expect("a layout");
                // SAFETY: as above.
                assert_eq!(unsafe { (carrier.room_for(much), carrier.room_for(wide)) }, (None, None));
                // SAFETY: all of it is the test's until it is freed, once.
                unsafe {
                    place.write_bytes(1, room);
                    carrier.content().write_bytes(2, size);
                    carrier.free(content);
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_a_block_is_refused() {
        let huge = Layout::from_size_align(isize::MAX as usize & !7, 1).expect("a layout");
        assert_eq!(Carrier::allocate(huge, Layout::new::<u64>()), None);
        assert_eq!(Carrier::allocate(Layout::new::<u64>(), huge), None);
    }
}

//! A datagram's buffer with the address that it goes to, in a carrier.
//!
//! A send has no room for an address, nor has a slot: so the two are in one block behind the send's node, and to the send queue the
//! block is a buffer like any other. A datagram socket keeps one in its slot, for its sync sends.

use super::SendBuffer;
use super::carrier::Carrier;
use crate::sys::Segments;
use socket2::SockAddr;
use std::alloc::Layout;
use std::mem;
use std::ptr::NonNull;

/// The block. It belongs to an async send, or to a datagram socket between two of its sync sends.
#[derive(Debug)]
pub(crate) struct Addressed {
    /// Its content is a [`Content`].
    carrier: Carrier,
}

struct Content {
    address: Option<SockAddr>,
    segments: Option<Segments>,
    buffer: SendBuffer,
}

/// Where a datagram goes, and as how many. It stays where it is until its send has ended.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Destination<'b> {
    /// None: where the socket is connected to.
    pub(crate) address: Option<&'b SockAddr>,
    /// None: as one.
    pub(crate) segments: Option<&'b Segments>,
}

// SAFETY: it owns its block, which holds an address and a buffer, and neither is any thread's.
unsafe impl Send for Addressed {}
// SAFETY: through `&Addressed` both can only be read.
unsafe impl Sync for Addressed {}

impl Addressed {
    /// A block with so much room; `None` when memory is refused.
    pub(crate) fn new(room: Layout) -> Option<Addressed> {
        let carrier = Carrier::allocate(room, Layout::new::<Content>())?;
        let content = Content { address: None, segments: None, buffer: SendBuffer::default() };
        // SAFETY: the content is new, and has this layout.
        unsafe { carrier.content().cast::<Content>().write(content) };
        Some(Addressed { carrier })
    }

    fn place(&self) -> NonNull<Content> {
        self.carrier.content().cast()
    }

    fn content(&self) -> &Content {
        // SAFETY: `new` has written the content, and this value owns it.
        unsafe { self.place().as_ref() }
    }

    fn content_mut(&mut self) -> &mut Content {
        // SAFETY: as above, and `&mut self` makes the access exclusive.
        unsafe { self.place().as_mut() }
    }

    /// Puts a buffer in, and where it goes.
    pub(super) fn put(&mut self, address: Option<&SockAddr>, segments: Option<Segments>, buffer: SendBuffer) {
        *self.content_mut() = Content { address: address.cloned(), segments, buffer };
    }

    /// Takes the buffer out.
    pub(super) fn take(&mut self) -> SendBuffer {
        mem::take(&mut self.content_mut().buffer)
    }

    pub(super) fn buffer(&self) -> &SendBuffer {
        &self.content().buffer
    }

    pub(super) fn destination(&self) -> Destination<'_> {
        let content = self.content();
        Destination { address: content.address.as_ref(), segments: content.segments.as_ref() }
    }

    pub(super) fn carrier(&self) -> Carrier {
        self.carrier
    }
}

impl Drop for Addressed {
    fn drop(&mut self) {
        // SAFETY: this value owned the block, whose content `new` has written and nobody uses any more. A node in its room is gone:
        // its content was this value. The buffer is dropped last, whatever its drop does.
        let content = unsafe {
            let content = self.place().read();
            self.carrier.free(Layout::new::<Content>());
            content
        };
        drop(content);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle::NodeRef;
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::Arc;

    fn address(port: u16) -> SockAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()
    }

    fn text(buffer: &SendBuffer) -> Vec<u8> {
        buffer.slices().flatten().copied().collect()
    }

    #[test]
    fn a_buffer_goes_with_its_address_and_comes_back() {
        let shared: Arc<[u8]> = Arc::from(&b"bytes"[..]);
        let mut parts = [SendBuffer::from(&b"in "[..]), shared.clone().into()];
        let parts = SendBuffer::gathered(&mut parts, NodeRef::<u64>::LAYOUT).expect("memory");
        for (buffer, bytes) in [(shared.clone().into(), &b"bytes"[..]), (parts, b"in bytes")] {
            let addressed = buffer.addressed(&address(7), None, NodeRef::<u64>::LAYOUT).expect("memory");
            assert_eq!((addressed.destination().address, addressed.len()), (Some(&address(7)), bytes.len()));
            assert_eq!(text(&addressed), bytes);
            // The node lies in the block, and goes with it.
            let sent = NodeRef::allocate(1, addressed, 2_u64).expect("memory").finish();
            assert_eq!((sent.buffer.destination().address, text(&sent.buffer)), (None, bytes.to_vec()));
            // Nor is anything left of one that never went.
            let again = sent.buffer.addressed(&address(8), None, NodeRef::<[u64; 20]>::LAYOUT).expect("memory");
            drop(NodeRef::allocate(1, again, [2_u64; 20]).expect("memory"));
        }
        assert_eq!(Arc::strong_count(&shared), 1);
    }

    #[test]
    fn a_block_is_used_again() {
        let mut block = Addressed::new(Layout::new::<()>()).expect("memory");
        for port in 1..4 {
            let to = (port % 2 == 1).then(|| address(port));
            let mut buffer = SendBuffer::in_block(block, to.as_ref(), vec![1; usize::from(port)].into());
            assert_eq!((buffer.destination().address, buffer.len()), (to.as_ref(), usize::from(port)));
            block = buffer.take_address().expect("what was put in");
            assert_eq!(buffer.into_vec().expect("a vector"), vec![1; usize::from(port)]);
        }
    }
}

//! What a datagram socket has beside its slot: one block, made when it is added.

use super::{SocketMemory, platform};
use crate::Error;
use crate::handle::boxed;
use std::cell::Cell;
use std::net::SocketAddr;
use std::ops::Deref;
use std::ptr::NonNull;

/// What the kernel writes to while a recv of the socket is under way, and what it has told then. Only the socket's worker touches
/// it, but for the kernel.
#[derive(Debug)]
pub(crate) struct DatagramMemory {
    pub(super) envelope: platform::Envelope,
    /// Why the recv that is about to be reported has failed.
    failure: Cell<Option<Error>>,
}

impl DatagramMemory {
    /// Where the datagram received came from; `None` if the system does not tell.
    pub(crate) fn sender(&self) -> Option<SocketAddr> {
        self.envelope.sender()
    }

    /// Whether it was longer than its buffer.
    pub(crate) fn is_truncated(&self, memory: &SocketMemory) -> bool {
        self.envelope.is_truncated(memory)
    }

    /// How long each of several datagrams is that it has brought together; 0 for one.
    pub(crate) fn segment_size(&self) -> u32 {
        self.envelope.segment_size()
    }

    pub(crate) fn set_failure(&self, error: Error) {
        self.failure.set(Some(error));
    }

    pub(crate) fn take_failure(&self) -> Option<Error> {
        self.failure.take()
    }
}

/// Owns a block. It does not move, and no reference to it is unique, since the kernel has its address.
#[derive(Debug)]
pub(crate) struct DatagramBlock(NonNull<DatagramMemory>);

// SAFETY: the block is of no thread: whoever owns it is the only one to touch it, but for the kernel.
unsafe impl Send for DatagramBlock {}

impl DatagramBlock {
    /// `None` when memory is refused.
    pub(crate) fn new() -> Option<DatagramBlock> {
        let memory = DatagramMemory { envelope: platform::Envelope::new(), failure: Cell::new(None) };
        boxed(memory).map(|memory| DatagramBlock(NonNull::from(Box::leak(memory))))
    }
}

impl Deref for DatagramBlock {
    type Target = DatagramMemory;

    fn deref(&self) -> &DatagramMemory {
        // SAFETY: the block is this value's, and stays until it is dropped. What the kernel writes to is in an `UnsafeCell`.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for DatagramBlock {
    fn drop(&mut self) {
        // SAFETY: it came from a box in `new`. The kernel is done with it: a socket goes when its operations have ended.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

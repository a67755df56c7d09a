//! What recvmsg(2) reads and writes beside the bytes of a datagram.

use super::Coalesced;
use crate::buffer::Destination;
use crate::sys::SocketMemory;
use socket2::{SockAddr, SockAddrStorage};
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::net::SocketAddr;

pub(crate) struct Envelope {
    header: UnsafeCell<libc::msghdr>,
    vector: UnsafeCell<libc::iovec>,
    name: UnsafeCell<SockAddrStorage>,
    coalesced: Coalesced,
}

impl std::fmt::Debug for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Envelope").finish_non_exhaustive()
    }
}

/// Puts a datagram's destination into the header of its send.
pub(in crate::sys) fn address(header: &mut libc::msghdr, to: Destination<'_>) {
    if let Some(address) = to.address {
        header.msg_name = address.as_ptr().cast_mut().cast();
        header.msg_namelen = address.len();
    }
    if let Some(segments) = to.segments {
        segments.put_into(header);
    }
}

impl Envelope {
    pub(in crate::sys) fn new() -> Envelope {
        // SAFETY: zeros are a header with nothing in it, and a vector of no bytes.
        let (header, vector) = unsafe { (MaybeUninit::zeroed().assume_init(), MaybeUninit::zeroed().assume_init()) };
        Envelope {
            header: UnsafeCell::new(header),
            vector: UnsafeCell::new(vector),
            name: UnsafeCell::new(SockAddrStorage::zeroed()),
            coalesced: Coalesced::new(),
        }
    }

    /// The header for a recv of so many bytes to this place; no other recv of the socket is under way. It is the kernel's until this
    /// one has ended.
    pub(in crate::sys) fn prepare(&self, data: *mut u8, capacity: usize) -> *mut libc::msghdr {
        // SAFETY: no recv is under way, so that all of it is ours, and only the socket's worker is here.
        unsafe {
            *self.vector.get() = libc::iovec { iov_base: data.cast(), iov_len: capacity };
            let header = &mut *self.header.get();
            header.msg_name = self.name.get().cast();
            header.msg_namelen = size_of::<SockAddrStorage>() as libc::socklen_t;
            header.msg_iov = self.vector.get();
            header.msg_iovlen = 1;
            header.msg_flags = 0;
            self.coalesced.put_into(header);
        }
        self.header.get()
    }

    fn header(&self) -> &libc::msghdr {
        // SAFETY: it is read between a recv that has ended and the next one.
        unsafe { &*self.header.get() }
    }

    pub(in crate::sys) fn sender(&self) -> Option<SocketAddr> {
        // SAFETY: the storage has what the kernel, or `tell`, has written, of that length; before that zeros, which are no address.
        let name = unsafe { SockAddr::new(self.name.get().read(), self.header().msg_namelen) };
        name.as_socket()
    }

    pub(in crate::sys) fn is_truncated(&self, _: &SocketMemory) -> bool {
        self.header().msg_flags & libc::MSG_TRUNC != 0
    }

    pub(in crate::sys) fn segment_size(&self) -> u32 {
        self.coalesced.segment_size(self.header())
    }

    /// Tells of a datagram of the simulated network.
    #[cfg(feature = "sim")]
    pub(in crate::sys) fn tell(&self, sender: SocketAddr, truncated: bool) {
        let sender = SockAddr::from(sender);
        // SAFETY: no recv of a kernel's is under way on a simulated socket.
        unsafe {
            let header = &mut *self.header.get();
            header.msg_namelen = sender.len();
            header.msg_flags = if truncated { libc::MSG_TRUNC } else { 0 };
            *self.name.get() = sender.as_storage();
        }
    }
}

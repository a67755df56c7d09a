//! What WSARecvFrom writes beside the bytes of a datagram.

use crate::RawSocket;
use crate::sys::{Direction, SocketMemory};
use socket2::{SockAddr, SockAddrStorage};
use std::cell::{Cell, UnsafeCell};
use std::net::SocketAddr;
use std::ptr;
use windows_sys::Win32::Networking::WinSock::{SIO_UDP_CONNRESET, SOCKADDR, SOCKET, WSAIoctl};

pub(crate) struct Envelope {
    name: UnsafeCell<SockAddrStorage>,
    name_len: UnsafeCell<i32>,
    flags: UnsafeCell<u32>,
    /// Told by the call itself, or by the simulated network.
    truncated: Cell<bool>,
}

/// What a recv is given to write to.
pub(in crate::sys) struct Places {
    pub(in crate::sys) name: *mut SOCKADDR,
    pub(in crate::sys) name_len: *mut i32,
    pub(in crate::sys) flags: *mut u32,
}

impl std::fmt::Debug for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Envelope").field("truncated", &self.truncated).finish_non_exhaustive()
    }
}

impl Envelope {
    pub(in crate::sys) fn new() -> Envelope {
        Envelope {
            name: UnsafeCell::new(SockAddrStorage::zeroed()),
            name_len: UnsafeCell::new(0),
            flags: UnsafeCell::new(0),
            truncated: Cell::new(false),
        }
    }

    /// Where a recv writes to; no other one of the socket is under way. They are the kernel's until this one has ended.
    pub(in crate::sys) fn prepare(&self) -> Places {
        self.truncated.set(false);
        // SAFETY: no recv is under way, so that all of it is ours, and only the socket's worker is here.
        unsafe {
            *self.name_len.get() = size_of::<SockAddrStorage>() as i32;
            *self.flags.get() = 0;
        }
        Places { name: self.name.get().cast(), name_len: self.name_len.get(), flags: self.flags.get() }
    }

    /// The call said at once that there was more than the buffer holds.
    pub(in crate::sys) fn note_truncated(&self) {
        self.truncated.set(true);
    }

    pub(in crate::sys) fn sender(&self) -> Option<SocketAddr> {
        // SAFETY: it is read between a recv that has ended and the next one. The storage has what the kernel, or `tell`, has
        // written, of that length; before that zeros, which are no address.
        let name = unsafe { SockAddr::new(self.name.get().read(), *self.name_len.get()) };
        name.as_socket()
    }

    pub(in crate::sys) fn is_truncated(&self, memory: &SocketMemory) -> bool {
        self.truncated.get() || memory.has_overflowed(Direction::Recv)
    }

    /// Nothing is put together.
    pub(in crate::sys) fn segment_size(&self) -> u32 {
        0
    }

    /// Tells of a datagram of the simulated network.
    #[cfg(feature = "sim")]
    pub(in crate::sys) fn tell(&self, sender: SocketAddr, truncated: bool) {
        let sender = SockAddr::from(sender);
        self.truncated.set(truncated);
        // SAFETY: no recv of a kernel's is under way on a simulated socket.
        unsafe {
            *self.name_len.get() = sender.len();
            *self.name.get() = sender.as_storage();
        }
    }
}

/// The system's own way takes a call of another kind, and is not used: there are none.
#[derive(Debug)]
pub(crate) enum Segments {}

impl Segments {
    pub(crate) fn new(_: u16) -> Option<Segments> {
        None
    }

    #[cfg(feature = "sim")]
    pub(in crate::sys) fn size(&self) -> u16 {
        match *self {}
    }
}

/// An answer of the net's to a datagram that went to nobody would fail the next recv with WSAECONNRESET, which tells nothing of
/// which one it was. A provider that does not know of it has no such failure.
pub(super) fn turn_off_resets(socket: RawSocket) {
    let (off, mut bytes) = (0u32, 0);
    // SAFETY: the call reads one BOOL.
    unsafe {
        WSAIoctl(
            socket as SOCKET,
            SIO_UDP_CONNRESET,
            (&raw const off).cast(),
            size_of_val(&off) as u32,
            ptr::null_mut(),
            0,
            &mut bytes,
            ptr::null_mut(),
            None,
        )
    };
}

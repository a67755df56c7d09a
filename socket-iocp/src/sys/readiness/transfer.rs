//! The system calls that move bytes. None of them waits and none raises SIGPIPE; EINTR stays inside.

use crate::RawSocket;
use crate::buffer::Destination;
use crate::sys::{MAX_GATHER, unix};
use std::mem::MaybeUninit;
use std::{io, ptr};

/// The most bytes in one send. Above INT_MAX macOS and FreeBSD refuse a send and Linux cuts it; and no socket buffer
/// takes as much.
const MAX_SEND_BYTES: usize = 1 << 30;

#[cfg(not(target_vendor = "apple"))]
const SEND_FLAGS: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
// Older systems of Apple's lack MSG_NOSIGNAL; `enter` has set SO_NOSIGPIPE.
#[cfg(target_vendor = "apple")]
const SEND_FLAGS: libc::c_int = libc::MSG_DONTWAIT;

/// What a call that moves bytes came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Moved {
    Bytes(usize),
    WouldBlock,
    Failed(i32),
}

/// Receives up to `capacity` bytes into the memory at `data`.
///
/// # Safety
/// `data` is valid for writes of `capacity` bytes.
pub(super) unsafe fn receive(socket: RawSocket, data: *mut u8, capacity: usize) -> Moved {
    // SAFETY: the caller's promise covers what the kernel writes.
    repeat(|| unsafe { system::recv(socket, data, capacity, libc::MSG_DONTWAIT) })
}

/// Receives one message.
///
/// # Safety
/// `header` is a whole header, which names memory that is valid for writes.
pub(super) unsafe fn receive_message(socket: RawSocket, header: *mut libc::msghdr) -> Moved {
    // SAFETY: the caller's promise covers what the kernel reads and writes.
    repeat(|| unsafe { libc::recvmsg(socket, header, libc::MSG_DONTWAIT) })
}

/// The slices of one send, gathered on the stack.
pub(super) struct Gather<'q> {
    slices: [MaybeUninit<io::IoSlice<'q>>; MAX_GATHER],
    count: usize,
    bytes: usize,
}

impl<'q> Gather<'q> {
    /// Takes as many slices as one send may have, and of the last of them as many bytes.
    pub(super) fn new(slices: impl Iterator<Item = &'q [u8]>) -> Gather<'q> {
        let mut gather = Gather { slices: [const { MaybeUninit::uninit() }; MAX_GATHER], count: 0, bytes: 0 };
        for (place, slice) in gather.slices.iter_mut().zip(slices) {
            let slice = &slice[..slice.len().min(MAX_SEND_BYTES - gather.bytes)];
            place.write(io::IoSlice::new(slice));
            gather.count += 1;
            gather.bytes += slice.len();
            if gather.bytes == MAX_SEND_BYTES {
                break;
            }
        }
        gather
    }

    /// How many bytes [`send`](Gather::send) asks the system to take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn send(&self, socket: RawSocket) -> Moved {
        if self.count == 1 {
            // One slice, the usual case, spares the kernel the import of a header and a vector.
            // SAFETY: `new` has written the first `count` slices.
            let slice = unsafe { self.slices[0].assume_init_ref() };
            // SAFETY: the slice is borrowed for `'q`; the kernel only reads it.
            return repeat(|| unsafe { system::send(socket, slice.as_ptr(), slice.len(), SEND_FLAGS) });
        }
        self.send_to(socket, Destination::default())
    }

    /// As [`send`](Gather::send), also of no slices, to this destination.
    pub(super) fn send_to(&self, socket: RawSocket, to: Destination<'_>) -> Moved {
        // SAFETY: zeros are a header with no name, no slices, no control data.
        let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
        unix::address(&mut header, to);
        // An `IoSlice` has the layout of an `iovec`, as std documents.
        header.msg_iov = self.slices.as_ptr().cast::<libc::iovec>().cast_mut();
        header.msg_iovlen = self.count as _;
        // SAFETY: the header names the destination and the first `count` slices, which `new` has written; the kernel only reads them.
        repeat(|| unsafe { libc::sendmsg(socket, ptr::from_ref(&header), SEND_FLAGS) })
    }
}

/// Makes a call until it is not interrupted.
fn repeat(mut call: impl FnMut() -> libc::ssize_t) -> Moved {
    loop {
        let result = call();
        if result >= 0 {
            return Moved::Bytes(result as usize);
        }
        match io::Error::last_os_error().raw_os_error().unwrap_or(0) {
            libc::EINTR => {}
            error if error == libc::EAGAIN || error == libc::EWOULDBLOCK => return Moved::WouldBlock,
            error => return Moved::Failed(error),
        }
    }
}

/// The two calls that are made for nearly every message. The C library's are points at which a thread can be cancelled, and
/// each notes so before it and after it; no thread of ours is, and the kernel's own calls are the same without that.
#[cfg(all(any(target_os = "linux", target_os = "android"), target_pointer_width = "64"))]
mod system {
    use super::RawSocket;
    use std::ptr::null;

    /// # Safety
    /// `data` is valid for writes of `len` bytes.
    pub(super) unsafe fn recv(socket: RawSocket, data: *mut u8, len: usize, flags: libc::c_int) -> libc::ssize_t {
        // SAFETY: the caller's promise; no address is asked for.
        unsafe { libc::syscall(libc::SYS_recvfrom, socket, data, len, flags, null::<u8>(), null::<u8>()) as _ }
    }

    /// # Safety
    /// `data` is valid for reads of `len` bytes.
    pub(super) unsafe fn send(socket: RawSocket, data: *const u8, len: usize, flags: libc::c_int) -> libc::ssize_t {
        // SAFETY: the caller's promise; no address is given.
        unsafe { libc::syscall(libc::SYS_sendto, socket, data, len, flags, null::<u8>(), 0_usize) as _ }
    }
}

#[cfg(not(all(any(target_os = "linux", target_os = "android"), target_pointer_width = "64")))]
mod system {
    use super::RawSocket;

    /// # Safety
    /// `data` is valid for writes of `len` bytes.
    pub(super) unsafe fn recv(socket: RawSocket, data: *mut u8, len: usize, flags: libc::c_int) -> libc::ssize_t {
        // SAFETY: the caller's promise.
        unsafe { libc::recv(socket, data.cast(), len, flags) }
    }

    /// # Safety
    /// `data` is valid for reads of `len` bytes.
    pub(super) unsafe fn send(socket: RawSocket, data: *const u8, len: usize, flags: libc::c_int) -> libc::ssize_t {
        // SAFETY: the caller's promise.
        unsafe { libc::send(socket, data.cast(), len, flags) }
    }
}

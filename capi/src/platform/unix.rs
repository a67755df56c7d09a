//! POSIX: `errno`, descriptors.

use crate::abi;
use crate::handler::CHandler;
use engine::{Error, ErrorCode, PortHandle, SendFile, Socket};
use socket2::{SockAddr, SockRef};
use std::ffi::c_int;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd};

/// `struct sockaddr`.
pub(crate) type SocketAddress = libc::sockaddr;

fn errno_location() -> *mut c_int {
    // SAFETY: the function has no precondition.
    #[cfg(any(target_os = "linux", target_os = "emscripten", target_os = "dragonfly"))]
    unsafe {
        libc::__errno_location()
    }
    // SAFETY: the function has no precondition.
    #[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
    unsafe {
        libc::__error()
    }
    // SAFETY: the function has no precondition.
    #[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
    unsafe {
        libc::__errno()
    }
    // SAFETY: the function has no precondition.
    #[cfg(any(target_os = "illumos", target_os = "solaris"))]
    unsafe {
        libc::___errno()
    }
}

/// The bytes of an address.
pub(crate) fn length_of(address: &SockAddr) -> u32 {
    address.len()
}

/// The calling thread's `errno`.
pub(crate) fn os_error() -> c_int {
    // SAFETY: the location is the calling thread's own, and valid as long as the thread.
    unsafe { *errno_location() }
}

pub(crate) fn set_os_error(os: c_int) {
    // SAFETY: as in `os_error`.
    unsafe { *errno_location() = os }
}

/// A number from C as the engine takes it. A number that is no open descriptor passes too, if it could be one: the
/// engine looks before it owns. Whatever it refuses goes to [`disown`], never to a drop.
pub(crate) fn socket_of(number: abi::Socket) -> Result<Socket, Error> {
    if number < 0 {
        return Err(ErrorCode::BadSocket.into());
    }
    // SAFETY: the number is not -1. By the header the caller gives the socket away when the call succeeds; until then
    // nothing is done with the value that the caller could not do itself, and on a refusal it is disowned.
    Ok(unsafe { Socket::from_raw_fd(number) })
}

/// A file of C's as the engine takes it, not to be closed.
///
/// # Safety
/// It stays open until the value is dropped.
pub(crate) unsafe fn file_of(file: abi::File) -> Result<SendFile, Error> {
    if file < 0 {
        return Err(Error::with_os(ErrorCode::BadSocket, libc::EBADF));
    }
    // SAFETY: the caller's promise; it is not -1.
    Ok(unsafe { SendFile::from_raw(file) })
}

/// Leaves a socket to C, open.
pub(crate) fn disown(socket: Socket) {
    into_number(socket);
}

/// Leaves a socket to C, open, which has its number from here.
pub(crate) fn into_number(socket: Socket) -> abi::Socket {
    socket.into_fd().map_or(-1, IntoRawFd::into_raw_fd)
}

/// A number from C for the time of a call. One that is no open descriptor passes too, if it could be one: the system refuses it.
pub(crate) fn borrow<'call>(number: abi::Socket) -> Result<BorrowedFd<'call>, Error> {
    if number < 0 {
        return Err(ErrorCode::BadSocket.into());
    }
    // SAFETY: the number is not -1. That it stays open until the call returns is the caller's promise, by the header.
    Ok(unsafe { BorrowedFd::borrow_raw(number) })
}

/// Asks something of a socket that stays whose it is.
///
/// # Safety
/// The number is an open descriptor of the library's, until this returns.
pub(crate) unsafe fn ask<T>(socket: abi::Socket, question: impl FnOnce(&SockRef<'_>) -> T) -> T {
    // SAFETY: the caller's promise; an open descriptor is not -1.
    question(&SockRef::from(&unsafe { BorrowedFd::borrow_raw(socket) }))
}

/// The number of a driven port's descriptor.
pub(crate) fn pollable(port: &PortHandle<CHandler>) -> Result<c_int, Error> {
    Ok(port.pollable()?.as_raw_fd())
}

/// The library is linked so that it stays where it is; see `build.rs`.
pub(crate) fn stay_loaded() -> Result<(), Error> {
    Ok(())
}

//! What differs by system: `errno`, and sockets on their way in and out.

use crate::abi;
use engine::{Error, ErrorCode, Socket};
use std::ffi::c_int;
use std::os::fd::{FromRawFd, IntoRawFd};

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

/// Leaves a socket to C, open.
pub(crate) fn disown(socket: Socket) {
    if let Ok(owned) = socket.into_fd() {
        let _ = owned.into_raw_fd();
    }
}

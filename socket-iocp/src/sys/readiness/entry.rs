//! What a socket needs when it enters the backend, and what must be undone when it leaves open; and what a short read
//! says of it.

use super::flags;
use crate::RawSocket;
use crate::sys::{Failure, SocketIo};

/// Prepares a socket for its first operation: from here on it is believed readable and writable.
pub(super) fn enter(io: &mut SocketIo, socket: RawSocket) -> Result<(), Failure> {
    io.flags = flags::ENTERED | flags::READABLE | flags::WRITABLE | prepare(socket)?;
    Ok(())
}

/// MSG_DONTWAIT and MSG_NOSIGNAL do it with each call: the socket stays as the program made it, and an accepted one
/// costs no call.
#[cfg(not(target_vendor = "apple"))]
fn prepare(_: RawSocket) -> Result<u8, Failure> {
    Ok(0)
}

/// XNU's send heeds O_NONBLOCK only, not MSG_DONTWAIT, and older versions know no MSG_NOSIGNAL. Accepted sockets come
/// with both options from their listener.
#[cfg(target_vendor = "apple")]
fn prepare(socket: RawSocket) -> Result<u8, Failure> {
    let failure = |error: std::io::Error| Failure::Os(error.raw_os_error().unwrap_or(libc::EIO));
    let borrowed = crate::sys::unix::borrow(socket).map_err(|_| Failure::Os(libc::EBADF))?;
    let socket = socket2::SockRef::from(&borrowed);
    socket.set_nosigpipe(true).map_err(failure)?;
    if socket.nonblocking().map_err(failure)? {
        return Ok(0);
    }
    socket.set_nonblocking(true).map_err(failure)?;
    Ok(flags::WAS_BLOCKING)
}

/// Undoes what [`enter`] did, for a socket that is handed back.
pub(super) fn leave(io: &mut SocketIo, socket: RawSocket) {
    if io.flags & flags::WAS_BLOCKING != 0 {
        crate::sys::unix::restore_blocking(socket);
    }
    io.flags = 0;
}

/// Whether a read that brought less than was asked for has emptied the socket, as epoll(7) has it, so that the next
/// bytes bring a new event. It is so for an internet socket; a Unix socket also ends a read where descriptors or
/// credentials were sent along, with more bytes behind. Urgent data ends a read too: see [`flags::IN_DOUBT`].
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn short_read_empties(socket: RawSocket) -> bool {
    use socket2::{Domain, SockRef};
    let domain = crate::sys::unix::borrow(socket).map(|socket| SockRef::from(&socket).domain());
    matches!(domain, Ok(Ok(Domain::IPV4 | Domain::IPV6)))
}

/// Here no event tells of urgent data, so that a short read never counts, and one more recv finds the socket empty.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn short_read_empties(_: RawSocket) -> bool {
    false
}

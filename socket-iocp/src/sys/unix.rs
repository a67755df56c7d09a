//! The calls on a socket of the operating system outside the data path. The rules are at [`Net`](super::net::Net).

use super::net::{CloseHow, DuplicateListener, Identity, unnamed};
use crate::{Error, ErrorCode, RawSocket};
use socket2::{SockAddr, SockRef, Socket, Type};
use std::io;
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd};
use std::time::Duration;

mod datagram;
mod error;
pub(crate) mod passing;
pub(crate) mod process;
mod segments;
mod thread;

pub(crate) use datagram::Envelope;
pub(super) use datagram::address;
#[cfg(feature = "sim")]
pub(crate) use error::UNKNOWN_HOST;
pub(super) use error::resolver_error;
pub(crate) use error::{portable_code, resolver_text, sort_accept_error};
/// The codes of errors by their names.
pub(crate) use libc as errno;
pub(crate) use segments::{Coalesced, Segments};

/// A number that is no socket's.
pub(crate) const INVALID_SOCKET: RawSocket = -1;

/// A socket's place in a table of the process's sockets; `None` for a number that is no socket's.
pub(crate) fn place_of(socket: RawSocket) -> Option<usize> {
    usize::try_from(socket).ok()
}

/// The number of a place.
#[cfg(feature = "sim")]
pub(crate) fn number_at(place: usize) -> RawSocket {
    RawSocket::try_from(place).unwrap_or(INVALID_SOCKET)
}

/// Whether an operation's error may mean that its socket was closed behind the library's back.
pub(crate) fn hints_at_close(os: i32) -> bool {
    matches!(os, libc::EBADF | libc::ENOTSOCK)
}

/// Whether an operation's error says that the connection is over on both sides.
pub(crate) fn says_over(os: i32) -> bool {
    os == libc::ECONNRESET
}

/// Whether the system has given an operation up that nobody here has cancelled, the socket being as it was.
pub(crate) fn was_given_up(_: i32) -> bool {
    false
}

#[cfg(test)]
mod tests;

pub(super) fn check_connected(socket: RawSocket) -> Result<(), Error> {
    if is_listening_stream(socket)? {
        return Err(ErrorCode::Listening.into());
    }
    match on_socket(socket, Socket::peer_addr) {
        // An unnamed peer, as a socketpair's, is a peer.
        Ok(_) => Ok(()),
        Err(error) if was_connected(socket, &error) => Ok(()),
        Err(error) => Err(error),
    }
}

pub(super) fn check_connectable(socket: RawSocket, address: &SockAddr) -> Result<(), Error> {
    if is_listening_stream(socket)? {
        return Err(ErrorCode::Listening.into());
    }
    if on_socket(socket, Socket::local_addr)?.family() != address.family() {
        return Err(ErrorCode::InvalidArgument.into());
    }
    match on_socket(socket, Socket::peer_addr) {
        Ok(_) => Err(ErrorCode::AlreadyConnected.into()),
        Err(_) => Ok(()),
    }
}

pub(super) fn check_datagram(socket: RawSocket) -> Result<(), Error> {
    if on_socket(socket, Socket::r#type)? != Type::DGRAM {
        return Err(ErrorCode::NotDatagram.into());
    }
    let is_internet = on_socket(socket, Socket::local_addr)?.as_socket().is_some();
    if is_internet { Ok(()) } else { Err(ErrorCode::Unsupported.into()) }
}

/// It is one already.
pub(super) fn connected(_: RawSocket) {}

pub(super) fn check_listening(socket: RawSocket) -> Result<(), Error> {
    if is_listening_stream(socket)? { Ok(()) } else { Err(ErrorCode::NotListening.into()) }
}

pub(super) fn identity(socket: RawSocket) -> Result<Identity, Error> {
    let mut status = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: fstat writes one `stat` to the address given, which has room for one.
    check(unsafe { libc::fstat(socket, status.as_mut_ptr()) })?;
    // SAFETY: fstat succeeded, so it has written the whole value.
    let status = unsafe { status.assume_init() };
    // All sockets of Linux are of one device, told apart by their inode. macOS and the BSDs number Unix sockets only:
    // there a TCP socket is told from every other kind of file, but not from a TCP socket.
    #[allow(clippy::unnecessary_cast, reason = "the types of these fields differ from system to system")]
    let (device, inode) = (status.st_dev as u64, status.st_ino as u64);
    // Multiplied by an odd constant, small device numbers spread over bits that small inode numbers leave alone. Linux
    // numbers sockets in 32 bits, so two of them never fold to one.
    let spread = device.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ inode;
    Ok(Identity((spread ^ spread >> 32) as u32))
}

pub(super) fn is_still(socket: RawSocket, expected: Identity) -> bool {
    identity(socket) == Ok(expected)
}

/// Whether a TCP connection is over although nobody here has ended it: see `tcpi_state` in tcp(7).
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn was_reset(socket: RawSocket) -> bool {
    /// `TCP_CLOSE` of linux/tcp_states.h.
    const CLOSED: u8 = 7;
    let mut state = 0u8;
    let mut len = 1;
    // SAFETY: the kernel writes at most `len` bytes, the first of its `tcp_info`, which is the state.
    let answer =
        unsafe { libc::getsockopt(socket, libc::IPPROTO_TCP, libc::TCP_INFO, (&raw mut state).cast(), &raw mut len) };
    answer == 0 && len == 1 && state == CLOSED
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn was_reset(_: RawSocket) -> bool {
    false
}

pub(super) fn local_address(socket: RawSocket) -> SockAddr {
    on_socket(socket, Socket::local_addr).unwrap_or_else(|_| unnamed())
}

pub(super) fn remote_address(socket: RawSocket) -> SockAddr {
    on_socket(socket, Socket::peer_addr).unwrap_or_else(|_| unnamed())
}

pub(super) fn duplicate_listener(socket: RawSocket, nonblocking: bool) -> Result<DuplicateListener, Error> {
    let duplicate = borrow(socket)?.try_clone_to_owned().map_err(|error| from_io(&error))?;
    let mut made_nonblocking = false;
    if nonblocking && !on_socket(socket, Socket::nonblocking)? {
        on_socket(socket, |socket| socket.set_nonblocking(true))?;
        made_nonblocking = true;
    }
    Ok(DuplicateListener { socket: duplicate.into_raw_fd(), made_nonblocking })
}

pub(super) fn restore_blocking(socket: RawSocket) {
    // It fails only for a number that is no longer open, and then nobody is left to mind.
    let _ = on_socket(socket, |socket| socket.set_nonblocking(false));
}

pub(super) fn shutdown_send(socket: RawSocket) {
    // ENOTCONN: the peer has reset the connection, or it never was. Both come out at the next recv or send.
    let _ = on_socket(socket, |socket| socket.shutdown(Shutdown::Write));
}

pub(super) fn close(socket: RawSocket, how: CloseHow, expected: Option<Identity>) -> bool {
    if expected.is_some_and(|expected| !is_still(socket, expected)) {
        return false;
    }
    // A kind of socket without the option closes as it always does.
    let _ = match how {
        CloseHow::Background => on_socket(socket, |socket| socket.set_linger(None)),
        CloseHow::Reset => on_socket(socket, |socket| socket.set_linger(Some(Duration::ZERO))),
        CloseHow::Over => Ok(()),
    };
    close_descriptor(socket);
    true
}

pub(super) fn close_listener(socket: RawSocket) {
    close_descriptor(socket);
}

pub(super) fn adopt(socket: RawSocket) -> crate::Socket {
    // SAFETY: the port owned the open descriptor, has taken it out of its table, and does not use it again.
    unsafe { crate::Socket::from_raw_fd(socket) }
}

fn close_descriptor(socket: RawSocket) {
    // Never again after EINTR: Linux, macOS and the BSDs have given the number up by then, and another thread may have
    // got it for a descriptor of its own. EBADF is a caller's close behind our back, and then there is nothing to do.
    // SAFETY: the number is the library's: `Socket::into_raw` or an accept gave it up to the engine, which closes it
    // once, when the socket has left its tables.
    unsafe { libc::close(socket) };
}

/// Tells a listening stream socket from any other stream socket; an error for what is no stream socket.
fn is_listening_stream(socket: RawSocket) -> Result<bool, Error> {
    if on_socket(socket, Socket::r#type)? != Type::STREAM {
        return Err(ErrorCode::NotStream.into());
    }
    // By libc: socket2 asks SO_ACCEPTCONN on some systems only.
    let mut listening: libc::c_int = 0;
    let mut length = size_of_val(&listening) as libc::socklen_t;
    let value = (&raw mut listening).cast();
    // SAFETY: `value` is an int, of the length given; the call writes no more than that.
    check(unsafe { libc::getsockopt(socket, libc::SOL_SOCKET, libc::SO_ACCEPTCONN, value, &mut length) })?;
    Ok(listening != 0)
}

/// After a reset, or a FIN both ways, the system no longer names the peer, although the connection's data and its error
/// are still to be received. Such a socket differs from one that was never connected in that its receiving side has
/// ended: poll(2) calls it readable. (Asking for SO_ERROR would tell too, but would take the error from the next recv.)
fn was_connected(socket: RawSocket, error: &Error) -> bool {
    match error.os_error() {
        // macOS has no peer name for a socket shut down both ways, and says so with EINVAL.
        Some(libc::EINVAL) => cfg!(target_vendor = "apple"),
        Some(libc::ENOTCONN) => {
            let mut query = libc::pollfd { fd: socket, events: libc::POLLIN, revents: 0 };
            // SAFETY: one `pollfd`, borrowed for the call. A timeout of zero does not wait, hence no EINTR.
            let found = unsafe { libc::poll(&mut query, 1, 0) };
            found == 1 && query.revents & libc::POLLIN != 0
        }
        _ => false,
    }
}

/// The descriptor as std's and socket2's calls take it.
pub(super) fn borrow<'number>(socket: RawSocket) -> Result<BorrowedFd<'number>, Error> {
    if socket < 0 {
        return Err(Error::with_os(ErrorCode::BadSocket, libc::EBADF));
    }
    // SAFETY: it is not -1. That it is open is the caller's promise, by owned `Socket` in Rust and by the header in C;
    // a number closed behind our back makes a system call fail or meet another socket, and breaks nothing in memory.
    Ok(unsafe { BorrowedFd::borrow_raw(socket) })
}

fn on_socket<T>(socket: RawSocket, call: impl FnOnce(&Socket) -> io::Result<T>) -> Result<T, Error> {
    let socket = borrow(socket)?;
    call(&SockRef::from(&socket)).map_err(|error| from_io(&error))
}

/// An error of a system call.
pub(crate) fn from_io(error: &io::Error) -> Error {
    error.raw_os_error().map_or_else(|| ErrorCode::Os.into(), Error::from_os)
}

/// The result of a system call that answers -1 for an error.
pub(super) fn check(result: libc::c_int) -> Result<libc::c_int, Error> {
    if result == -1 { Err(from_io(&io::Error::last_os_error())) } else { Ok(result) }
}

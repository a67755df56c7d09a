//! The calls on a socket of Windows outside the data path. The rules are at [`Net`](super::net::Net).

use super::net::{CloseHow, DuplicateListener, Identity, unnamed};
use crate::{Error, ErrorCode, RawSocket};
use socket2::{SockAddr, SockRef, Socket};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use std::os::windows::io::{BorrowedSocket, FromRawSocket, IntoRawSocket, OwnedSocket};
use std::time::Duration;
use windows_sys::Win32::Foundation::{GetHandleInformation, HANDLE};
use windows_sys::Win32::Networking::WinSock;

mod datagram;
pub(crate) mod errno;
mod error;
pub(crate) mod passing;
pub(crate) mod process;

pub(crate) use datagram::{Envelope, Segments};
#[cfg(feature = "sim")]
pub(crate) use error::UNKNOWN_HOST;
pub(crate) use error::{hints_at_close, portable_code, resolver_text, says_over, sort_accept_error, was_given_up};
pub(super) use error::{is_shortage, resolver_error};

#[cfg(test)]
mod tests;

/// A number that is no socket's.
pub(crate) const INVALID_SOCKET: RawSocket = WinSock::INVALID_SOCKET as RawSocket;

/// A socket's place in a table of the process's sockets; `None` for a number that is no socket's.
///
/// Handles are multiples of four, small ones first. The system heeds the two lowest bits of none, so that a number with
/// one of them set would be a second name of the same socket: it is refused.
pub(crate) fn place_of(socket: RawSocket) -> Option<usize> {
    let fits = socket % 4 == 0 && socket != INVALID_SOCKET;
    fits.then(|| usize::try_from(socket / 4).ok())?
}

/// The number of a place.
#[cfg(feature = "sim")]
pub(crate) fn number_at(place: usize) -> RawSocket {
    (place * 4) as RawSocket
}

pub(super) fn check_connected(socket: RawSocket) -> Result<(), Error> {
    if is_listening_stream(socket)? {
        return Err(ErrorCode::Listening.into());
    }
    on_socket(socket, Socket::peer_addr).map(drop)
}

/// ConnectEx takes a socket that is bound, if only to a number that the system chooses.
pub(super) fn check_connectable(socket: RawSocket, address: &SockAddr) -> Result<(), Error> {
    if is_listening_stream(socket)? {
        return Err(ErrorCode::Listening.into());
    }
    if on_socket(socket, Socket::peer_addr).is_ok() {
        return Err(ErrorCode::AlreadyConnected.into());
    }
    // Before it is bound, which cannot be undone.
    if family_of(socket)? != address.family() {
        return Err(ErrorCode::InvalidArgument.into());
    }
    bind_if_unbound(socket, address.family())
}

fn bind_if_unbound(socket: RawSocket, family: WinSock::ADDRESS_FAMILY) -> Result<(), Error> {
    match on_socket(socket, Socket::local_addr) {
        Err(error) if error.os_error() == Some(WinSock::WSAEINVAL) => {
            let any = any_address(family).ok_or(ErrorCode::Unsupported)?;
            on_socket(socket, |socket| socket.bind(&any))
        }
        other => other.map(drop),
    }
}

/// A recv wants a socket that is bound, as does what tells it from others.
pub(super) fn check_datagram(socket: RawSocket) -> Result<(), Error> {
    let info = provider_of(socket)?;
    if info.iSocketType != WinSock::SOCK_DGRAM {
        return Err(ErrorCode::NotDatagram.into());
    }
    let family = info.iAddressFamily as WinSock::ADDRESS_FAMILY;
    if any_address(family).is_none() || info.dwServiceFlags1 & WinSock::XP1_IFS_HANDLES == 0 {
        return Err(ErrorCode::Unsupported.into());
    }
    bind_if_unbound(socket, family)?;
    datagram::turn_off_resets(socket);
    Ok(())
}

/// The family that it was made with. One that is not bound has no address to tell it by.
fn family_of(socket: RawSocket) -> Result<WinSock::ADDRESS_FAMILY, Error> {
    let mut info = WinSock::WSAPROTOCOL_INFOW::default();
    // SAFETY: the option is a WSAPROTOCOL_INFOW, which is made of numbers.
    unsafe { get_option(socket, WinSock::SO_PROTOCOL_INFOW, &mut info) }?;
    Ok(info.iAddressFamily as WinSock::ADDRESS_FAMILY)
}

/// Every address of this family, and no port; `None` for a family that is not the internet's.
fn any_address(family: WinSock::ADDRESS_FAMILY) -> Option<SockAddr> {
    match family {
        WinSock::AF_INET => Some(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into()),
        WinSock::AF_INET6 => Some(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into()),
        _ => None,
    }
}

/// Without this the socket has no peer's name and cannot be shut down.
pub(super) fn connected(socket: RawSocket) {
    // It fails for a number that is no socket any more, or of which the connection has gone: the next operation says so.
    // SAFETY: the option has no value.
    unsafe {
        WinSock::setsockopt(
            socket as WinSock::SOCKET,
            WinSock::SOL_SOCKET,
            WinSock::SO_UPDATE_CONNECT_CONTEXT,
            std::ptr::null(),
            0,
        )
    };
}

pub(super) fn check_listening(socket: RawSocket) -> Result<(), Error> {
    if is_listening_stream(socket)? { Ok(()) } else { Err(ErrorCode::NotListening.into()) }
}

/// A socket has no number of its own that outlives its handle. So it is told from others by its local port, which stays when
/// the connection is gone (the rest of its address changes when it is connected). Two connections that one listener took have
/// the same: which of two is in a port already is told by the completion port (`Waker::associate`), and the table of sockets
/// knows those of this library.
pub(super) fn identity(socket: RawSocket) -> Result<Identity, Error> {
    let address = on_socket(socket, Socket::local_addr)?;
    let port = address.as_socket().map_or(0, |internet| internet.port());
    Ok(Identity(u32::from(address.family()) << 16 | u32::from(port)))
}

/// A system that does not tell the address of a socket that is open says nothing of whose it is: it is still ours.
pub(super) fn is_still(socket: RawSocket, expected: Identity) -> bool {
    match identity(socket) {
        Ok(found) => found == expected,
        // No socket; or one without an address, which ours has.
        Err(error) => !matches!(error.os_error(), Some(WinSock::WSAENOTSOCK | WinSock::WSAEINVAL)),
    }
}

/// Windows tells a reset to the operation that meets it. Wine answers a recv that comes after it like a FIN, and then knows
/// no peer any more; as long as our own FIN has not gone, nothing else makes it forget one.
pub(super) fn was_reset(socket: RawSocket) -> bool {
    on_socket(socket, Socket::peer_addr).is_err_and(|error| error.code() == ErrorCode::NotConnected)
}

pub(super) fn local_address(socket: RawSocket) -> SockAddr {
    on_socket(socket, Socket::local_addr).unwrap_or_else(|_| unnamed())
}

pub(super) fn remote_address(socket: RawSocket) -> SockAddr {
    on_socket(socket, Socket::peer_addr).unwrap_or_else(|_| unnamed())
}

/// The second handle is of the same socket. Accepts do not wait, whatever mode the socket is in: nothing is changed.
pub(super) fn duplicate_listener(socket: RawSocket, _nonblocking: bool) -> Result<DuplicateListener, Error> {
    let duplicate = on_socket(socket, Socket::try_clone)?;
    Ok(DuplicateListener { socket: duplicate.into_raw_socket(), made_nonblocking: false })
}

pub(super) fn restore_blocking(_: RawSocket) {}

pub(super) fn shutdown_send(socket: RawSocket) {
    // WSAENOTCONN: the peer has reset the connection, or it never was. Both come out at the next recv or send.
    let _ = on_socket(socket, |socket| socket.shutdown(Shutdown::Write));
}

pub(super) fn close(socket: RawSocket, how: CloseHow, expected: Option<Identity>) -> bool {
    if expected.is_some_and(|expected| !is_still(socket, expected)) {
        return false;
    }
    let linger = match how {
        CloseHow::Background | CloseHow::Over => None,
        CloseHow::Reset => Some(Duration::ZERO),
    };
    // It fails for a number that is no longer open; then there is nothing to close.
    let _ = on_socket(socket, |socket| socket.set_linger(linger));
    close_socket(socket);
    true
}

pub(super) fn close_listener(socket: RawSocket) {
    close_socket(socket);
}

fn close_socket(socket: RawSocket) {
    // SAFETY: the number is the library's: `Socket::into_raw` or an accept gave it up to the engine, which closes it
    // once, when the socket has left its tables. One closed behind our back is an error of the call, and nothing more.
    unsafe { WinSock::closesocket(socket as WinSock::SOCKET) };
}

pub(super) fn adopt(socket: RawSocket) -> crate::Socket {
    // SAFETY: the port owned the open socket, has taken it out of its table, and does not use it again.
    crate::Socket::from(unsafe { OwnedSocket::from_raw_socket(socket) })
}

/// Tells a listening stream socket from any other stream socket; an error for what is no stream socket, and for one whose
/// provider makes no handles of the file system's: its operations could not be cancelled.
fn is_listening_stream(socket: RawSocket) -> Result<bool, Error> {
    let info = provider_of(socket)?;
    if info.iSocketType != WinSock::SOCK_STREAM {
        return Err(ErrorCode::NotStream.into());
    }
    if info.dwServiceFlags1 & WinSock::XP1_IFS_HANDLES == 0 {
        return Err(ErrorCode::Unsupported.into());
    }
    let mut listening = 0i32;
    // SAFETY: the option is a BOOL.
    unsafe { get_option(socket, WinSock::SO_ACCEPTCONN, &mut listening) }?;
    Ok(listening != 0)
}

/// What a socket's provider makes.
fn provider_of(socket: RawSocket) -> Result<WinSock::WSAPROTOCOL_INFOW, Error> {
    if place_of(socket).is_none() {
        return Err(Error::with_os(ErrorCode::BadSocket, WinSock::WSAENOTSOCK));
    }
    let mut info = WinSock::WSAPROTOCOL_INFOW::default();
    // SAFETY: the option is a WSAPROTOCOL_INFOW, which is made of numbers.
    let asked = unsafe { get_option(socket, WinSock::SO_PROTOCOL_INFOW, &mut info) };
    asked.map_err(|error| match error.code() {
        ErrorCode::NotSocket if !is_open(socket) => Error::with_os(ErrorCode::BadSocket, WinSock::WSAENOTSOCK),
        _ => error,
    })?;
    Ok(info)
}

/// Whether a number is an open handle of anything.
fn is_open(socket: RawSocket) -> bool {
    let mut flags = 0;
    // SAFETY: the call writes one u32, and fails for what is no handle.
    unsafe { GetHandleInformation(socket as HANDLE, &mut flags) != 0 }
}

/// Reads an option of the level `SOL_SOCKET`.
///
/// # Safety
/// The option's value is a `T`, for which every pattern of bits is valid.
pub(super) unsafe fn get_option<T>(socket: RawSocket, option: i32, value: &mut T) -> Result<(), Error> {
    let mut length = size_of::<T>() as i32;
    let place = std::ptr::from_mut(value).cast();
    let number = socket as WinSock::SOCKET;
    // SAFETY: the call writes at most `length` bytes, which `value` has.
    check(unsafe { WinSock::getsockopt(number, WinSock::SOL_SOCKET, option, place, &mut length) })
}

fn on_socket<T>(socket: RawSocket, call: impl FnOnce(&Socket) -> io::Result<T>) -> Result<T, Error> {
    if place_of(socket).is_none() {
        return Err(Error::with_os(ErrorCode::BadSocket, WinSock::WSAENOTSOCK));
    }
    // SAFETY: it is not INVALID_SOCKET. That it is open is the caller's promise, by owned `Socket` in Rust and by the
    // header in C; a number closed behind our back makes a call fail or meet another socket, and breaks nothing in
    // memory.
    let socket = unsafe { BorrowedSocket::borrow_raw(socket) };
    call(&SockRef::from(&socket)).map_err(|error| from_io(&error))
}

/// An error of a system call.
pub(crate) fn from_io(error: &io::Error) -> Error {
    error.raw_os_error().map_or_else(|| ErrorCode::Os.into(), Error::from_os)
}

/// The result of a call of Winsock's that answers -1 for an error.
pub(super) fn check(result: i32) -> Result<(), Error> {
    if result == WinSock::SOCKET_ERROR { Err(last_error()) } else { Ok(()) }
}

/// The calling thread's last error, of Winsock or of Windows: they share one place.
pub(super) fn last_error() -> Error {
    from_io(&io::Error::last_os_error())
}

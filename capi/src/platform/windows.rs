//! Windows: the last error, handles of sockets.

use crate::abi;
use crate::handler::CHandler;
use engine::{Error, ErrorCode, PortHandle, SendFile, Socket};
use socket2::{SockAddr, SockRef};
use std::ffi::c_int;
use std::os::windows::io::{BorrowedSocket, FromRawSocket, IntoRawSocket};
use std::ptr;
use windows_sys::Win32::Foundation::{ERROR_INVALID_HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Networking::WinSock::{INVALID_SOCKET, SOCKADDR, WSAGetLastError, WSASetLastError};
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
};

/// `struct sockaddr`.
pub(crate) type SocketAddress = SOCKADDR;

/// The bytes of an address.
pub(crate) fn length_of(address: &SockAddr) -> u32 {
    address.len().cast_unsigned()
}

/// What `WSAGetLastError` tells on the calling thread, and `GetLastError`: they share one place.
pub(crate) fn os_error() -> c_int {
    // SAFETY: the function has no precondition.
    unsafe { WSAGetLastError() }
}

pub(crate) fn set_os_error(os: c_int) {
    // SAFETY: the function has no precondition.
    unsafe { WSASetLastError(os) }
}

/// A number from C as the engine takes it. A number that is no open handle passes too, if it could be one: the engine
/// looks before it owns. Whatever it refuses goes to [`disown`], never to a drop.
pub(crate) fn socket_of(number: abi::Socket) -> Result<Socket, Error> {
    if number == INVALID_SOCKET as abi::Socket {
        return Err(ErrorCode::BadSocket.into());
    }
    // SAFETY: the number is not INVALID_SOCKET. By the header the caller gives the socket away when the call succeeds;
    // until then nothing is done with the value that the caller could not do itself, and on a refusal it is disowned.
    Ok(unsafe { Socket::from_raw_socket(number) })
}

/// A file of C's as the engine takes it, not to be closed.
///
/// # Safety
/// It stays open until the value is dropped.
pub(crate) unsafe fn file_of(file: abi::File) -> Result<SendFile, Error> {
    if file.is_null() || file == INVALID_HANDLE_VALUE {
        return Err(Error::with_os(ErrorCode::BadSocket, ERROR_INVALID_HANDLE as c_int));
    }
    // SAFETY: the caller's promise; it is not INVALID_HANDLE_VALUE.
    Ok(unsafe { SendFile::from_raw(file) })
}

/// Leaves a socket to C, open.
pub(crate) fn disown(socket: Socket) {
    into_number(socket);
}

/// Leaves a socket to C, open, which has its number from here.
pub(crate) fn into_number(socket: Socket) -> abi::Socket {
    socket.into_socket().map_or(INVALID_SOCKET as abi::Socket, IntoRawSocket::into_raw_socket)
}

/// A number from C for the time of a call. One that is no open handle passes too, if it could be one: the system refuses it.
pub(crate) fn borrow<'call>(number: abi::Socket) -> Result<BorrowedSocket<'call>, Error> {
    if number == INVALID_SOCKET as abi::Socket {
        return Err(ErrorCode::BadSocket.into());
    }
    // SAFETY: the number is not INVALID_SOCKET. That it stays open until the call returns is the caller's promise, by the header.
    Ok(unsafe { BorrowedSocket::borrow_raw(number) })
}

/// Asks something of a socket that stays whose it is.
///
/// # Safety
/// The number is an open socket of the library's, until this returns.
pub(crate) unsafe fn ask<T>(socket: abi::Socket, question: impl FnOnce(&SockRef<'_>) -> T) -> T {
    // SAFETY: the caller's promise; an open socket is not INVALID_SOCKET.
    question(&SockRef::from(&unsafe { BorrowedSocket::borrow_raw(socket) }))
}

/// A completion port cannot be polled.
pub(crate) fn pollable(port: &PortHandle<CHandler>) -> Result<c_int, Error> {
    Err(if port.threads() == 0 { ErrorCode::Unsupported.into() } else { ErrorCode::WrongContext.into() })
}

/// Keeps this code where it is for as long as the process lives, whatever is unloaded. See
/// [GetModuleHandleExW](https://learn.microsoft.com/windows/win32/api/libloaderapi/nf-libloaderapi-getmodulehandleexw).
pub(crate) fn stay_loaded() -> Result<(), Error> {
    static IN_THIS_MODULE: u8 = 0;
    let flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN;
    let mut module = ptr::null_mut();
    // SAFETY: with the first flag the name is an address, which is not followed; the call writes one handle.
    let found = unsafe { GetModuleHandleExW(flags, (&raw const IN_THIS_MODULE).cast(), &mut module) };
    if found == 0 { Err(Error::from_os(os_error())) } else { Ok(()) }
}

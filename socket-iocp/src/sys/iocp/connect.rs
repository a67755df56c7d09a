//! Connecting, by [ConnectEx](https://learn.microsoft.com/windows/win32/api/mswsock/nc-mswsock-lpfn_connectex).

use super::extension::extension;
use super::memory::SocketMemory;
use super::{Started, outcome_of_extension};
use crate::RawSocket;
use crate::sys::{Direction, Failure, SocketIo};
use socket2::SockAddr;
use std::ptr;
use windows_sys::Win32::Networking::WinSock::{LPFN_CONNECTEX, SOCKET, WSAEOPNOTSUPP, WSAID_CONNECTEX};

/// Starts a connect.
pub(super) fn start(io: SocketIo, memory: &'static SocketMemory, socket: RawSocket, address: &SockAddr) -> Started {
    // SAFETY: the type is that which the documentation gives to this one.
    let connect_ex: LPFN_CONNECTEX = match unsafe { extension(socket, WSAID_CONNECTEX) } {
        Ok(function) => function,
        Err(error) => return Started::Failed(Failure::Os(error.os_error().unwrap_or(WSAEOPNOTSUPP))),
    };
    let Some(connect_ex) = connect_ex else { return Started::Failed(Failure::Os(WSAEOPNOTSUPP)) };
    let overlapped = memory.begin(Direction::Connect);
    // SAFETY: the address is read before the call returns; nothing is sent with the connect. The OVERLAPPED is in a slot,
    // which stays.
    let done = unsafe {
        connect_ex(
            socket as SOCKET,
            address.as_ptr().cast(),
            address.len(),
            ptr::null(),
            0,
            ptr::null_mut(),
            overlapped,
        )
    };
    outcome_of_extension(done, io)
}

//! Datagram sockets. What each call promises is said in `include/socket_iocp.h`.

use crate::abi::{Dword, Socket};
use crate::boundary::status;
use crate::calls::{on_socket, refusal, send_buffer, taken_over};
use crate::connecting::copied;
use crate::handler::UserPointer;
use crate::platform::{self, SocketAddress};
use crate::ports;
use engine::{Error, ErrorCode, SendBuffer};
use socket2::SockAddr;
use std::ffi::{c_int, c_void};
use std::net::SocketAddr;

/// Where a datagram goes.
///
/// # Safety
/// As [`copied`].
unsafe fn destination(address: *const SocketAddress, size: Dword) -> Result<SocketAddr, Error> {
    // SAFETY: the caller's promise.
    let address = unsafe { copied(address, size)? };
    let found = address.as_socket().ok_or(ErrorCode::InvalidArgument)?;
    let is_whole = address.len() >= SockAddr::from(found).len();
    if is_whole { Ok(found) } else { Err(ErrorCode::InvalidArgument.into()) }
}

/// The bytes of a datagram, and where it goes.
///
/// # Safety
/// As [`send_buffer`] and [`copied`].
unsafe fn outgoing(
    (data, length): (*mut c_void, Dword),
    (address, size): (*const SocketAddress, Dword),
) -> Result<(SendBuffer, SocketAddr), Error> {
    // SAFETY: the caller's promise.
    unsafe { Ok((send_buffer(data, length)?, destination(address, size)?)) }
}

/// See `socket_iocp.h`.
#[unsafe(no_mangle)]
pub extern "C" fn socket_iocp_add_datagram_socket(
    socket_iocp_state: *mut c_void,
    socket: Socket,
    per_socket_user_state: *mut c_void,
) -> c_int {
    status(|| {
        ports::with_port(socket_iocp_state.addr(), |port| {
            if port.handler().callbacks.datagram.is_none() {
                return Err(ErrorCode::Unsupported.into());
            }
            let added = port.add_datagram(platform::socket_of(socket)?, UserPointer(per_socket_user_state));
            taken_over(added).map(drop)
        })
    })
}

/// See `socket_iocp.h`.
///
/// # Safety
/// If the call succeeds, the bytes at `write_buffer` stay valid and unchanged until the send's callback; `address` is NULL or points
/// to `address_size` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn socket_iocp_issue_sync_send_to(
    socket_iocp_state: *mut c_void,
    socket_iocp_socket_state: *mut c_void,
    write_buffer: *mut c_void,
    number_bytes_to_write: Dword,
    address: *const SocketAddress,
    address_size: Dword,
    per_write_user_state: *mut c_void,
) -> c_int {
    on_socket(socket_iocp_state, socket_iocp_socket_state, |port, socket| {
        // SAFETY: the caller's promise.
        let (buffer, to) = unsafe { outgoing((write_buffer, number_bytes_to_write), (address, address_size))? };
        port.sync_send_to(socket, to, buffer, UserPointer(per_write_user_state)).map_err(refusal)
    })
}

/// See `socket_iocp.h`.
///
/// # Safety
/// As [`socket_iocp_issue_sync_send_to`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn socket_iocp_issue_async_send_to(
    socket_iocp_state: *mut c_void,
    socket_iocp_socket_state: *mut c_void,
    write_buffer: *mut c_void,
    number_bytes_to_write: Dword,
    address: *const SocketAddress,
    address_size: Dword,
    per_write_user_state: *mut c_void,
) -> c_int {
    on_socket(socket_iocp_state, socket_iocp_socket_state, |port, socket| {
        // SAFETY: the caller's promise.
        let (buffer, to) = unsafe { outgoing((write_buffer, number_bytes_to_write), (address, address_size))? };
        port.send_to(socket, to, buffer, UserPointer(per_write_user_state)).map_err(refusal)
    })
}

/// See `socket_iocp.h`.
///
/// # Safety
/// As [`socket_iocp_issue_sync_send_to`].
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "they are the header's")]
pub unsafe extern "C" fn socket_iocp_issue_segmented_send_to(
    socket_iocp_state: *mut c_void,
    socket_iocp_socket_state: *mut c_void,
    write_buffer: *mut c_void,
    number_bytes_to_write: Dword,
    segment_size: Dword,
    address: *const SocketAddress,
    address_size: Dword,
    per_write_user_state: *mut c_void,
) -> c_int {
    on_socket(socket_iocp_state, socket_iocp_socket_state, |port, socket| {
        // SAFETY: the caller's promise.
        let (buffer, to) = unsafe { outgoing((write_buffer, number_bytes_to_write), (address, address_size))? };
        let segment_size = u16::try_from(segment_size).map_err(|_| ErrorCode::InvalidArgument)?;
        let write = UserPointer(per_write_user_state);
        port.send_segments_to(socket, to, segment_size, buffer, write).map_err(refusal)
    })
}

//! Connecting. What each call promises is said in `include/socket_iocp.h`.

use crate::abi::{Dword, Socket};
use crate::boundary::{required, status};
use crate::calls::taken_over;
use crate::handler::UserPointer;
use crate::platform::{self, SocketAddress};
use crate::ports;
use engine::{Error, ErrorCode, SocketHandle};
use socket2::{SockAddr, SockAddrStorage};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::time::Duration;

/// The least of an address: its family.
const MIN_ADDRESS_SIZE: usize = 2;

/// A copy of an address of the caller's.
///
/// # Safety
/// `address` is NULL or points to `size` readable bytes.
pub(crate) unsafe fn copied(address: *const SocketAddress, size: Dword) -> Result<SockAddr, Error> {
    let address = required(address.cast_mut())?;
    let mut storage = SockAddrStorage::zeroed();
    let size_of_address = size as usize;
    if !(MIN_ADDRESS_SIZE..=size_of::<SockAddrStorage>()).contains(&size_of_address) {
        return Err(ErrorCode::InvalidArgument.into());
    }
    // SAFETY: the caller's promise; the storage has room for so many bytes.
    unsafe { ptr::copy_nonoverlapping(address.cast::<u8>().as_ptr(), (&raw mut storage).cast(), size_of_address) };
    // SAFETY: the storage has an address of that length, and zeros behind it.
    Ok(unsafe { SockAddr::new(storage, size as _) })
}

/// Tells the handle of a socket that is being connected.
///
/// # Safety
/// `place` is NULL or can be written.
unsafe fn tell(handle: SocketHandle, place: *mut *mut c_void) {
    if !place.is_null() {
        // SAFETY: the caller's promise.
        unsafe { place.write(ptr::without_provenance_mut(handle.into_raw())) };
    }
}

/// See `socket_iocp.h`.
///
/// # Safety
/// `address` is NULL or points to `address_size` readable bytes; `socket_iocp_socket_state` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn socket_iocp_issue_connect(
    socket_iocp_state: *mut c_void,
    socket: Socket,
    address: *const SocketAddress,
    address_size: Dword,
    timeout_ms: Dword,
    per_socket_user_state: *mut c_void,
    socket_iocp_socket_state: *mut *mut c_void,
) -> c_int {
    status(|| {
        ports::with_port(socket_iocp_state.addr(), |port| {
            // SAFETY: the caller's promise.
            let address = unsafe { copied(address, address_size)? };
            let (socket, user) = (platform::socket_of(socket)?, UserPointer(per_socket_user_state));
            let issued = match timeout_ms {
                0 => port.connect(socket, &address, user),
                _ => port.connect_within(socket, &address, Duration::from_millis(timeout_ms.into()), user),
            };
            let handle = taken_over(issued)?;
            // SAFETY: the caller's promise.
            unsafe { tell(handle, socket_iocp_socket_state) };
            Ok(())
        })
    })
}

/// See `socket_iocp.h`.
///
/// # Safety
/// `host` is NULL or a text that ends with a zero byte; `socket_iocp_socket_state` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn socket_iocp_issue_connect_host(
    socket_iocp_state: *mut c_void,
    host: *const c_char,
    tcp_port: Dword,
    timeout_ms: Dword,
    per_socket_user_state: *mut c_void,
    socket_iocp_socket_state: *mut *mut c_void,
) -> c_int {
    status(|| {
        ports::with_port(socket_iocp_state.addr(), |port| {
            let host = required(host.cast_mut())?;
            // SAFETY: the caller's promise.
            let host = unsafe { CStr::from_ptr(host.as_ptr()) }.to_str().map_err(|_| ErrorCode::InvalidArgument)?;
            let tcp_port = u16::try_from(tcp_port).map_err(|_| ErrorCode::InvalidArgument)?;
            let user = UserPointer(per_socket_user_state);
            let issued = match timeout_ms {
                0 => port.connect_host(host, tcp_port, user),
                _ => port.connect_host_within(host, tcp_port, Duration::from_millis(timeout_ms.into()), user),
            };
            let handle = issued.map_err(|refused| refused.error)?;
            // SAFETY: the caller's promise.
            unsafe { tell(handle, socket_iocp_socket_state) };
            Ok(())
        })
    })
}

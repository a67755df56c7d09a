//! The calls that pass a socket to another process. What each promises is said in `include/socket_iocp.h`.

use crate::abi::{Dword, Socket};
use crate::boundary::{required, status};
use crate::platform;
use engine::{ErrorCode, MAX_PASSED_DATA};
use std::ffi::{c_int, c_void};
use std::{ptr, slice};

/// See `socket_iocp.h`.
///
/// # Safety
/// The `length` bytes at `data` can be read and stay unchanged until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn socket_iocp_pass_socket(
    channel: Socket,
    process_id: Dword,
    socket: Socket,
    data: *const c_void,
    length: usize,
) -> c_int {
    status(|| {
        if length > MAX_PASSED_DATA {
            return Err(ErrorCode::InvalidArgument.into());
        }
        let data = match length {
            0 => &[],
            // SAFETY: the caller's promise.
            _ => unsafe { slice::from_raw_parts(required(data.cast_mut())?.cast().as_ptr(), length) },
        };
        engine::pass_socket(&platform::borrow(channel)?, process_id, &platform::borrow(socket)?, data)
    })
}

/// See `socket_iocp.h`.
///
/// # Safety
/// `socket` and `length` are NULL or can be written; so are as many bytes at `data` as `*length` says, unless it is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn socket_iocp_take_passed_socket(
    channel: Socket,
    socket: *mut Socket,
    data: *mut c_void,
    length: *mut usize,
) -> c_int {
    status(|| {
        let (place, data, length) = (required(socket)?, required(data)?, required(length)?);
        // SAFETY: the caller's promise.
        if unsafe { length.read() } < MAX_PASSED_DATA {
            return Err(ErrorCode::InvalidArgument.into());
        }
        let passed = engine::take_passed_socket(&platform::borrow(channel)?)?;
        // SAFETY: the caller's promise; there is room for as much as can come.
        unsafe {
            ptr::copy_nonoverlapping(passed.data.as_ptr(), data.cast().as_ptr(), passed.data.len());
            length.write(passed.data.len());
            place.write(platform::into_number(passed.socket.into()));
        }
        Ok(())
    })
}

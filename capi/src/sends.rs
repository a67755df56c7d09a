//! The async sends beside that of the seven calls. What each promises is said in `include/socket_iocp.h`.

use crate::abi::Dword;
use crate::boundary::required;
use crate::calls::{on_socket, refusal};
use crate::handler::UserPointer;
use engine::Error;
use std::ffi::{c_int, c_void};
use std::slice;

/// Bytes of the caller's, for the time of a call.
///
/// # Safety
/// `data` is NULL or points to `length` readable bytes, unchanged until the call returns.
unsafe fn bytes<'a>(data: *const c_void, length: Dword) -> Result<&'a [u8], Error> {
    if length == 0 {
        return Ok(&[]);
    }
    let data = required(data.cast_mut())?;
    // SAFETY: the caller's promise.
    Ok(unsafe { slice::from_raw_parts(data.cast().as_ptr(), length as usize) })
}

/// See `socket_iocp.h`.
///
/// # Safety
/// The bytes at `data` can be read and stay unchanged until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn socket_iocp_issue_copied_send(
    socket_iocp_state: *mut c_void,
    socket_iocp_socket_state: *mut c_void,
    data: *const c_void,
    number_bytes_to_write: Dword,
    per_write_user_state: *mut c_void,
) -> c_int {
    on_socket(socket_iocp_state, socket_iocp_socket_state, |port, socket| {
        // SAFETY: the caller's promise.
        let bytes = unsafe { bytes(data, number_bytes_to_write)? };
        port.send_copy(socket, bytes, UserPointer(per_write_user_state)).map_err(refusal)
    })
}

//! The async sends beside that of the seven calls. What each promises is said in `include/socket_iocp.h`.

use crate::abi::{Buffer, Dword, File, ReleaseCallback, TO_THE_END};
use crate::boundary::{required, status};
use crate::calls::{on_socket, refusal};
use crate::handler::UserPointer;
use crate::{platform, shared};
use engine::{Error, ErrorCode, SendBuffer};
use std::ffi::{c_int, c_void};
use std::ops::Bound;
use std::{array, ptr, slice};

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

/// The descriptions of the caller's buffers, for the time of a call.
///
/// # Safety
/// `buffers` is NULL or points to `count` of them, unchanged until the call returns.
unsafe fn descriptions<'a>(buffers: *const Buffer, count: Dword) -> Result<&'a [Buffer], Error> {
    if count as usize > SendBuffer::MAX_PARTS {
        return Err(ErrorCode::InvalidArgument.into());
    }
    if count == 0 {
        return Ok(&[]);
    }
    let buffers = required(buffers.cast_mut())?;
    // SAFETY: the caller's promise.
    let buffers = unsafe { slice::from_raw_parts(buffers.as_ptr(), count as usize) };
    let total = buffers.iter().try_fold(0_usize, |sum, buffer| sum.checked_add(buffer.length));
    // What is longer is no memory.
    total.filter(|total| isize::try_from(*total).is_ok()).ok_or(ErrorCode::InvalidArgument)?;
    Ok(buffers)
}

/// See `socket_iocp.h`.
///
/// # Safety
/// The descriptions at `buffers` can be read and stay unchanged until the call returns. If it succeeds, the bytes that they
/// describe stay valid and unchanged until the send's callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn socket_iocp_issue_vectored_send(
    socket_iocp_state: *mut c_void,
    socket_iocp_socket_state: *mut c_void,
    buffers: *const Buffer,
    number_buffers: Dword,
    per_write_user_state: *mut c_void,
) -> c_int {
    on_socket(socket_iocp_state, socket_iocp_socket_state, |port, socket| {
        // SAFETY: the caller's promise.
        let buffers = unsafe { descriptions(buffers, number_buffers)? };
        let mut parts: [SendBuffer; SendBuffer::MAX_PARTS] = array::from_fn(|_| SendBuffer::default());
        let parts = &mut parts[..buffers.len()];
        for (part, buffer) in parts.iter_mut().zip(buffers) {
            if buffer.length > 0 {
                required(buffer.data.cast_mut())?;
            }
            // SAFETY: the caller's promise; without bytes nothing is read.
            *part = unsafe { SendBuffer::from_raw(buffer.data.cast(), buffer.length) };
        }
        port.send_vectored(socket, parts, UserPointer(per_write_user_state)).map_err(refusal)
    })
}

/// See `socket_iocp.h`.
///
/// # Safety
/// `shared` is NULL or can be written. If the call succeeds, the bytes at `data` stay valid and unchanged until `release` is
/// called, which is sound and may be called from any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn socket_iocp_share_buffer(
    data: *const c_void,
    length: usize,
    release: Option<ReleaseCallback>,
    state: *mut c_void,
    shared: *mut *mut c_void,
) -> c_int {
    status(|| {
        let place = required(shared)?;
        if length > 0 {
            required(data.cast_mut())?;
        }
        isize::try_from(length).map_err(|_| ErrorCode::InvalidArgument)?;
        // SAFETY: the caller's promise.
        let handle = unsafe { shared::share(data, length, release, state)? };
        // SAFETY: the caller's promise.
        unsafe { place.write(ptr::without_provenance_mut(handle)) };
        Ok(())
    })
}

/// See `socket_iocp.h`.
#[unsafe(no_mangle)]
pub extern "C" fn socket_iocp_issue_shared_send(
    socket_iocp_state: *mut c_void,
    socket_iocp_socket_state: *mut c_void,
    shared: *mut c_void,
    offset: usize,
    length: usize,
    per_write_user_state: *mut c_void,
) -> c_int {
    on_socket(socket_iocp_state, socket_iocp_socket_state, |port, socket| {
        required(shared)?;
        let buffer = shared::send_buffer(shared.addr(), offset, length)?;
        port.send(socket, buffer, UserPointer(per_write_user_state)).map_err(refusal)
    })
}

/// See `socket_iocp.h`.
#[unsafe(no_mangle)]
pub extern "C" fn socket_iocp_release_shared(shared: *mut c_void) -> c_int {
    status(|| {
        required(shared)?;
        shared::release(shared.addr())
    })
}

/// A part of a file, to be sent.
///
/// # Safety
/// If it is sent, `file` stays open until the send's callback. (Of one that is not open, the system is asked what it is, and says so.)
pub(crate) unsafe fn file_buffer(file: File, offset: u64, length: u64) -> Result<SendBuffer, Error> {
    let end = match length {
        TO_THE_END => Bound::Unbounded,
        _ => Bound::Excluded(offset.checked_add(length).ok_or(ErrorCode::InvalidArgument)?),
    };
    // SAFETY: the caller's promise.
    let file = unsafe { platform::file_of(file)? };
    SendBuffer::from_file(file, (Bound::Included(offset), end)).map_err(|(error, _)| error)
}

/// See `socket_iocp.h`.
///
/// # Safety
/// If the call succeeds, `file` stays open until the send's callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn socket_iocp_issue_file_send(
    socket_iocp_state: *mut c_void,
    socket_iocp_socket_state: *mut c_void,
    file: File,
    offset: u64,
    length: u64,
    per_write_user_state: *mut c_void,
) -> c_int {
    on_socket(socket_iocp_state, socket_iocp_socket_state, |port, socket| {
        // SAFETY: the caller's promise.
        let buffer = unsafe { file_buffer(file, offset, length)? };
        port.send(socket, buffer, UserPointer(per_write_user_state)).map_err(refusal)
    })
}

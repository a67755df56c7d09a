//! Calls with a time limit, timers, and cancels. What each promises is said in `include/socket_iocp.h`.

use crate::abi::{Dword, File};
use crate::calls::{on_socket, refusal, send_buffer};
use crate::handler::UserPointer;
use crate::sends::file_buffer;
use engine::ErrorCode;
use std::ffi::{c_int, c_void};
use std::time::Duration;

fn time(time_ms: Dword) -> Duration {
    Duration::from_millis(time_ms.into())
}

/// See `socket_iocp.h`.
#[unsafe(no_mangle)]
pub extern "C" fn socket_iocp_issue_recv_with_timeout(
    socket_iocp_state: *mut c_void,
    socket_iocp_socket_state: *mut c_void,
    timeout_ms: Dword,
) -> c_int {
    on_socket(socket_iocp_state, socket_iocp_socket_state, |port, socket| port.recv_within(socket, time(timeout_ms)))
}

/// See `socket_iocp.h`.
///
/// # Safety
/// As [`socket_iocp_issue_sync_send`](crate::calls::socket_iocp_issue_sync_send).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn socket_iocp_issue_sync_send_with_timeout(
    socket_iocp_state: *mut c_void,
    socket_iocp_socket_state: *mut c_void,
    write_buffer: *mut c_void,
    number_bytes_to_write: Dword,
    per_write_user_state: *mut c_void,
    timeout_ms: Dword,
) -> c_int {
    on_socket(socket_iocp_state, socket_iocp_socket_state, |port, socket| {
        // SAFETY: the caller's promise.
        let buffer = unsafe { send_buffer(write_buffer, number_bytes_to_write)? };
        let write = UserPointer(per_write_user_state);
        port.sync_send_within(socket, buffer, write, time(timeout_ms)).map_err(refusal)
    })
}

/// See `socket_iocp.h`.
///
/// # Safety
/// As [`socket_iocp_issue_sync_send`](crate::calls::socket_iocp_issue_sync_send).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn socket_iocp_issue_async_send_with_timeout(
    socket_iocp_state: *mut c_void,
    socket_iocp_socket_state: *mut c_void,
    write_buffer: *mut c_void,
    number_bytes_to_write: Dword,
    per_write_user_state: *mut c_void,
    timeout_ms: Dword,
) -> c_int {
    on_socket(socket_iocp_state, socket_iocp_socket_state, |port, socket| {
        // SAFETY: the caller's promise.
        let buffer = unsafe { send_buffer(write_buffer, number_bytes_to_write)? };
        let write = UserPointer(per_write_user_state);
        port.send_within(socket, buffer, write, time(timeout_ms)).map_err(refusal)
    })
}

/// See `socket_iocp.h`.
///
/// # Safety
/// As [`socket_iocp_issue_file_send`](crate::sends::socket_iocp_issue_file_send).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn socket_iocp_issue_file_send_with_timeout(
    socket_iocp_state: *mut c_void,
    socket_iocp_socket_state: *mut c_void,
    file: File,
    offset: u64,
    length: u64,
    per_write_user_state: *mut c_void,
    timeout_ms: Dword,
) -> c_int {
    on_socket(socket_iocp_state, socket_iocp_socket_state, |port, socket| {
        // SAFETY: the caller's promise.
        let buffer = unsafe { file_buffer(file, offset, length)? };
        let write = UserPointer(per_write_user_state);
        port.send_within(socket, buffer, write, time(timeout_ms)).map_err(refusal)
    })
}

/// See `socket_iocp.h`.
#[unsafe(no_mangle)]
pub extern "C" fn socket_iocp_cancel_recv(
    socket_iocp_state: *mut c_void,
    socket_iocp_socket_state: *mut c_void,
) -> c_int {
    on_socket(socket_iocp_state, socket_iocp_socket_state, |port, socket| port.cancel_recv(socket))
}

/// See `socket_iocp.h`.
#[unsafe(no_mangle)]
pub extern "C" fn socket_iocp_cancel_connect(
    socket_iocp_state: *mut c_void,
    socket_iocp_socket_state: *mut c_void,
) -> c_int {
    on_socket(socket_iocp_state, socket_iocp_socket_state, |port, socket| port.cancel_connect(socket))
}

/// See `socket_iocp.h`.
#[unsafe(no_mangle)]
pub extern "C" fn socket_iocp_cancel_send(
    socket_iocp_state: *mut c_void,
    socket_iocp_socket_state: *mut c_void,
    per_write_user_state: *mut c_void,
) -> c_int {
    on_socket(socket_iocp_state, socket_iocp_socket_state, |port, socket| {
        let meant = per_write_user_state.addr();
        port.cancel_sends(socket, move |write| write.0.addr() == meant)
    })
}

/// See `socket_iocp.h`.
#[unsafe(no_mangle)]
pub extern "C" fn socket_iocp_issue_timer(
    socket_iocp_state: *mut c_void,
    socket_iocp_socket_state: *mut c_void,
    delay_ms: Dword,
    per_timer_user_state: *mut c_void,
) -> c_int {
    on_socket(socket_iocp_state, socket_iocp_socket_state, |port, socket| {
        if port.handler().callbacks.timer.is_none() {
            return Err(ErrorCode::Unsupported.into());
        }
        port.timer_with(socket, time(delay_ms), per_timer_user_state.expose_provenance())
    })
}

/// See `socket_iocp.h`.
#[unsafe(no_mangle)]
pub extern "C" fn socket_iocp_cancel_timer(
    socket_iocp_state: *mut c_void,
    socket_iocp_socket_state: *mut c_void,
) -> c_int {
    on_socket(socket_iocp_state, socket_iocp_socket_state, |port, socket| port.cancel_timer(socket))
}

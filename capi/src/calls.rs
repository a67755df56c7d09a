//! The calls that make, feed and end ports and sockets. What each promises is said in `include/socket_iocp.h`.
//!
//! All are `unsafe` for one reason: the header's rules on pointers to memory of the caller's are the caller's to keep.

use crate::abi::{self, Dword, Socket};
use crate::boundary::{copy_in, copy_out, guarded, required, status};
use crate::handler::{CHandler, ListenState, UserPointer};
use crate::{platform, ports, taken};
use engine::{Error, ErrorCode, NotAdded, PortHandle, Rejected, SendBuffer, SocketHandle};
use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};
use std::time::Duration;

/// Every option at its default.
const DEFAULT_OPTIONS: abi::Options = abi::Options {
    size: size_of::<abi::Options>(),
    threads: 0,
    backend: 0,
    linger_ms: 0,
    max_queued_sends: 0,
    max_queued_bytes: 0,
    idle_timeout_ms: 0,
    max_sockets: 0,
    max_taken_buffers: 0,
    listen_error_callback_function: None,
    idle_reads: 0,
    skip_on_success: 0,
    pin_workers: 0,
    busy_poll_us: 0,
    zero_copy_from: 0,
    sqpoll_idle_ms: 0,
    high_watermark: 0,
    low_watermark: 0,
    max_port_queued_bytes: 0,
    watermark_callback_function: None,
    shutdown_closes_idle: 0,
    multishot_recv: 0,
    timer_callback_function: None,
    connect_callback_function: None,
    datagram_callback_function: None,
};

/// The handle in a `socket_iocp_socket_state`.
fn socket_handle(state: *mut c_void) -> Result<SocketHandle, Error> {
    required(state)?;
    SocketHandle::from_raw(state.addr()).ok_or(ErrorCode::BadHandle.into())
}

/// A call on a socket: finds the port, then reads the socket's handle.
pub(crate) fn on_socket(
    port: *mut c_void,
    socket: *mut c_void,
    call: impl FnOnce(&PortHandle<CHandler>, SocketHandle) -> Result<(), Error>,
) -> c_int {
    status(|| ports::with_port(port.addr(), |port| call(port, socket_handle(socket)?)))
}

/// What came of giving a socket to a port: one that was refused is the caller's still, and stays open.
pub(crate) fn taken_over<T, S>(added: Result<T, NotAdded<S>>) -> Result<T, Error> {
    added.map_err(|refused| {
        platform::disown(refused.socket);
        refused.error
    })
}

/// See `socket_iocp.h`.
///
/// # Safety
/// `socket_iocp_state` is NULL or can be written; the callbacks are sound.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn socket_iocp_new(
    socket_iocp_state: *mut *mut c_void,
    read_buffer_size: usize,
    accept_callback_function: Option<abi::AcceptCallback>,
    recv_callback_function: Option<abi::RecvCallback>,
    send_callback_function: Option<abi::SendCallback>,
    error_callback_function: Option<abi::ErrorCallback>,
) -> c_int {
    status(|| {
        let place = required(socket_iocp_state)?;
        let callbacks = ports::callbacks(
            accept_callback_function,
            recv_callback_function,
            send_callback_function,
            error_callback_function,
            &DEFAULT_OPTIONS,
        )?;
        let handle = ports::create(read_buffer_size, callbacks, &DEFAULT_OPTIONS)?;
        // SAFETY: the caller's promise.
        unsafe { place.write(ptr::without_provenance_mut(handle)) };
        Ok(())
    })
}

/// See `socket_iocp.h`.
///
/// # Safety
/// As [`socket_iocp_new`]; `options` is NULL or points to as many readable bytes as its first member says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn socket_iocp_new_with_options(
    socket_iocp_state: *mut *mut c_void,
    read_buffer_size: usize,
    accept_callback_function: Option<abi::AcceptCallback>,
    recv_callback_function: Option<abi::RecvCallback>,
    send_callback_function: Option<abi::SendCallback>,
    error_callback_function: Option<abi::ErrorCallback>,
    options: *const abi::Options,
) -> c_int {
    status(|| {
        let place = required(socket_iocp_state)?;
        let options = match NonNull::new(options.cast_mut()) {
            None => DEFAULT_OPTIONS,
            // SAFETY: the caller's promise; zero is valid for each member.
            Some(options) => unsafe { copy_in(options)? },
        };
        let callbacks = ports::callbacks(
            accept_callback_function,
            recv_callback_function,
            send_callback_function,
            error_callback_function,
            &options,
        )?;
        let handle = ports::create(read_buffer_size, callbacks, &options)?;
        // SAFETY: the caller's promise.
        unsafe { place.write(ptr::without_provenance_mut(handle)) };
        Ok(())
    })
}

/// See `socket_iocp.h`.
#[unsafe(no_mangle)]
pub extern "C" fn socket_iocp_delete(socket_iocp_state: *mut c_void) {
    // The prototype has no place for an error.
    let _ = guarded(|| ports::delete(socket_iocp_state.addr()));
}

/// See `socket_iocp.h`.
///
/// # Safety
/// `ended` is NULL or points to as many writable bytes as its first member says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn socket_iocp_shutdown(
    socket_iocp_state: *mut c_void,
    deadline_ms: Dword,
    ended: *mut abi::Ended,
) -> c_int {
    status(|| {
        let place = NonNull::new(ended);
        // SAFETY: the caller's promise.
        let tell = |ended: abi::Ended| place.map_or(Ok(()), |place| unsafe { copy_out(&ended, place) });
        // A wrong size is to change nothing.
        tell(abi::Ended::default())?;
        let ended = ports::shut_down(socket_iocp_state.addr(), Duration::from_millis(deadline_ms.into()))?;
        tell(abi::Ended { size: 0, finished: ended.finished, aborted: ended.aborted, pending: ended.pending })
    })
}

/// See `socket_iocp.h`.
#[unsafe(no_mangle)]
pub extern "C" fn socket_iocp_add_listen_socket(
    socket_iocp_state: *mut c_void,
    socket: Socket,
    accept_socket_backlog: usize,
    listen_user_state: *mut c_void,
) -> c_int {
    status(|| {
        ports::with_port(socket_iocp_state.addr(), |port| {
            let state = ListenState { socket, user: UserPointer(listen_user_state) };
            let added = port.add_listener(platform::socket_of(socket)?, accept_socket_backlog, state);
            taken_over(added).map(drop)
        })
    })
}

/// See `socket_iocp.h`.
#[unsafe(no_mangle)]
pub extern "C" fn socket_iocp_add_connected_socket(
    socket_iocp_state: *mut c_void,
    socket: Socket,
    per_socket_user_state: *mut c_void,
) -> c_int {
    status(|| {
        ports::with_port(socket_iocp_state.addr(), |port| {
            let added = port.add_connected(platform::socket_of(socket)?, UserPointer(per_socket_user_state));
            taken_over(added).map(drop)
        })
    })
}

/// See `socket_iocp.h`.
#[unsafe(no_mangle)]
pub extern "C" fn socket_iocp_issue_recv(
    socket_iocp_state: *mut c_void,
    socket_iocp_socket_state: *mut c_void,
) -> c_int {
    on_socket(socket_iocp_state, socket_iocp_socket_state, |port, socket| port.recv(socket))
}

/// The bytes of a send, as the engine takes them.
///
/// # Safety
/// `data` is NULL or points to `length` bytes that stay valid and unchanged until the send's callback.
pub(crate) unsafe fn send_buffer(data: *mut c_void, length: Dword) -> Result<SendBuffer, Error> {
    if length > 0 {
        required(data)?;
    }
    // SAFETY: the caller's promise; without bytes nothing is read.
    Ok(unsafe { SendBuffer::from_raw(data.cast_const().cast(), length as usize) })
}

pub(crate) fn refusal<B>(rejected: Rejected<UserPointer, B>) -> Error {
    rejected.error
}

/// See `socket_iocp.h`.
///
/// # Safety
/// If the call succeeds, the bytes at `write_buffer` stay valid and unchanged until the send's callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn socket_iocp_issue_sync_send(
    socket_iocp_state: *mut c_void,
    socket_iocp_socket_state: *mut c_void,
    write_buffer: *mut c_void,
    number_bytes_to_write: Dword,
    per_write_user_state: *mut c_void,
) -> c_int {
    on_socket(socket_iocp_state, socket_iocp_socket_state, |port, socket| {
        // SAFETY: the caller's promise.
        let buffer = unsafe { send_buffer(write_buffer, number_bytes_to_write)? };
        port.sync_send(socket, buffer, UserPointer(per_write_user_state)).map_err(refusal)
    })
}

/// See `socket_iocp.h`.
///
/// # Safety
/// As [`socket_iocp_issue_sync_send`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn socket_iocp_issue_async_send(
    socket_iocp_state: *mut c_void,
    socket_iocp_socket_state: *mut c_void,
    write_buffer: *mut c_void,
    number_bytes_to_write: Dword,
    per_write_user_state: *mut c_void,
) -> c_int {
    on_socket(socket_iocp_state, socket_iocp_socket_state, |port, socket| {
        // SAFETY: the caller's promise.
        let buffer = unsafe { send_buffer(write_buffer, number_bytes_to_write)? };
        port.send(socket, buffer, UserPointer(per_write_user_state)).map_err(refusal)
    })
}

/// See `socket_iocp.h`.
#[unsafe(no_mangle)]
pub extern "C" fn socket_iocp_shutdown_send(
    socket_iocp_state: *mut c_void,
    socket_iocp_socket_state: *mut c_void,
) -> c_int {
    on_socket(socket_iocp_state, socket_iocp_socket_state, |port, socket| port.shutdown_send(socket))
}

/// See `socket_iocp.h`.
///
/// # Safety
/// `bytes` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn socket_iocp_queued_bytes(
    socket_iocp_state: *mut c_void,
    socket_iocp_socket_state: *mut c_void,
    bytes: *mut usize,
) -> c_int {
    on_socket(socket_iocp_state, socket_iocp_socket_state, |port, socket| {
        let place = required(bytes)?;
        let queued = port.queued_bytes(socket)?;
        // SAFETY: the caller's promise.
        unsafe { place.write(queued) };
        Ok(())
    })
}

/// See `socket_iocp.h`.
#[unsafe(no_mangle)]
pub extern "C" fn socket_iocp_close_socket(
    socket_iocp_state: *mut c_void,
    socket_iocp_socket_state: *mut c_void,
) -> c_int {
    on_socket(socket_iocp_state, socket_iocp_socket_state, |port, socket| port.close(socket))
}

/// See `socket_iocp.h`.
#[unsafe(no_mangle)]
pub extern "C" fn socket_iocp_abort_socket(
    socket_iocp_state: *mut c_void,
    socket_iocp_socket_state: *mut c_void,
) -> c_int {
    on_socket(socket_iocp_state, socket_iocp_socket_state, |port, socket| port.abort(socket))
}

/// See `socket_iocp.h`.
#[unsafe(no_mangle)]
pub extern "C" fn socket_iocp_remove_socket(
    socket_iocp_state: *mut c_void,
    socket_iocp_socket_state: *mut c_void,
) -> c_int {
    on_socket(socket_iocp_state, socket_iocp_socket_state, |port, socket| port.remove(socket))
}

/// See `socket_iocp.h`.
#[unsafe(no_mangle)]
pub extern "C" fn socket_iocp_remove_listen_socket(socket_iocp_state: *mut c_void, socket: Socket) -> c_int {
    status(|| {
        ports::with_port(socket_iocp_state.addr(), |port| {
            let listener = port.find_listener(socket).ok_or(ErrorCode::NotAdded)?;
            platform::disown(port.remove_listener(listener)?);
            Ok(())
        })
    })
}

/// See `socket_iocp.h`.
#[unsafe(no_mangle)]
pub extern "C" fn socket_iocp_set_accept_backlog(
    socket_iocp_state: *mut c_void,
    socket: Socket,
    accept_socket_backlog: usize,
) -> c_int {
    status(|| {
        ports::with_port(socket_iocp_state.addr(), |port| {
            let listener = port.find_listener(socket).ok_or(ErrorCode::NotAdded)?;
            port.set_accept_backlog(listener, accept_socket_backlog)
        })
    })
}

/// See `socket_iocp.h`.
///
/// # Safety
/// `read_buffer` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn socket_iocp_take_buffer(
    socket_iocp_state: *mut c_void,
    socket_iocp_socket_state: *mut c_void,
    read_buffer: *mut *mut c_void,
) -> c_int {
    on_socket(socket_iocp_state, socket_iocp_socket_state, |port, socket| {
        let place = required(read_buffer)?;
        let buffer = taken::take(port, socket)?;
        // SAFETY: the caller's promise.
        unsafe { place.write(buffer) };
        Ok(())
    })
}

/// See `socket_iocp.h`.
#[unsafe(no_mangle)]
pub extern "C" fn socket_iocp_release_buffer(read_buffer: *mut c_void) -> c_int {
    status(|| {
        required(read_buffer)?;
        taken::release(read_buffer)
    })
}

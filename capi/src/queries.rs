//! The calls that ask, and those that drive a port. What each promises is said in `include/socket_iocp.h`.

use crate::abi::{Completion, Counters, Socket};
use crate::boundary::{copy_out, guarded, required, status};
use crate::{current, platform, ports, strings};
use engine::{ErrorCode, Statistics};
use std::ffi::{c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// See `socket_iocp.h`.
#[unsafe(no_mangle)]
pub extern "C" fn socket_iocp_find_socket(socket_iocp_state: *mut c_void, socket: Socket) -> *mut c_void {
    let found = guarded(|| ports::with_port(socket_iocp_state.addr(), |port| Ok(port.find(socket))));
    let handle = found.ok().flatten().map_or(0, |handle| handle.into_raw());
    ptr::without_provenance_mut(handle)
}

/// See `socket_iocp.h`.
///
/// # Safety
/// `completion` is NULL or points to as many writable bytes as its first member says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn socket_iocp_result(socket_iocp_state: *mut c_void, completion: *mut Completion) -> c_int {
    status(|| {
        let place = required(completion)?;
        let handle = socket_iocp_state.addr();
        match current::completion(handle) {
            // SAFETY: the caller's promise.
            Some(completion) => unsafe { copy_out(&completion, place) },
            None => ports::with_port(handle, |_| Err(ErrorCode::WrongContext.into())),
        }
    })
}

/// See `socket_iocp.h`.
#[unsafe(no_mangle)]
pub extern "C" fn socket_iocp_run(socket_iocp_state: *mut c_void, timeout_ms: c_int) -> c_int {
    status(|| {
        let timeout = match timeout_ms {
            -1 => None,
            _ => Some(Duration::from_millis(u64::try_from(timeout_ms).map_err(|_| ErrorCode::InvalidArgument)?)),
        };
        ports::with_port(socket_iocp_state.addr(), |port| port.run(timeout))
    })
}

/// See `socket_iocp.h`.
///
/// # Safety
/// `descriptor` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn socket_iocp_pollable(socket_iocp_state: *mut c_void, descriptor: *mut c_int) -> c_int {
    status(|| {
        let place = required(descriptor)?;
        ports::with_port(socket_iocp_state.addr(), |port| {
            // SAFETY: the caller's promise.
            unsafe { place.write(platform::pollable(port)?) };
            Ok(())
        })
    })
}

/// See `socket_iocp.h`.
///
/// # Safety
/// `backend` is NULL or can be written; so are `reason_size` bytes at `reason`, unless it is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn socket_iocp_backend(
    socket_iocp_state: *mut c_void,
    backend: *mut u32,
    reason: *mut c_char,
    reason_size: usize,
) -> c_int {
    status(|| {
        let place = required(backend)?;
        ports::with_port(socket_iocp_state.addr(), |port| {
            // SAFETY: the caller's promise.
            unsafe {
                place.write(port.backend() as u32);
                strings::copy_text(port.backend_reason(), reason, reason_size);
            }
            Ok(())
        })
    })
}

/// See `socket_iocp.h`.
///
/// # Safety
/// `counters` is NULL or points to as many writable bytes as its first member says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn socket_iocp_statistics(socket_iocp_state: *mut c_void, counters: *mut Counters) -> c_int {
    status(|| {
        let place = required(counters)?;
        ports::with_port(socket_iocp_state.addr(), |port| {
            let taken_buffers = port.handler().taken_buffers.load(Ordering::Relaxed);
            let counters = counters_of(&port.statistics(), taken_buffers);
            // SAFETY: the caller's promise.
            unsafe { copy_out(&counters, place) }
        })
    })
}

/// See `socket_iocp.h`.
///
/// # Safety
/// As [`socket_iocp_statistics`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn socket_iocp_worker_statistics(
    socket_iocp_state: *mut c_void,
    worker: u32,
    counters: *mut Counters,
) -> c_int {
    status(|| {
        let place = required(counters)?;
        ports::with_port(socket_iocp_state.addr(), |port| {
            let statistics = port.worker_statistics(worker as usize).ok_or(ErrorCode::InvalidArgument)?;
            // SAFETY: the caller's promise.
            unsafe { copy_out(&counters_of(&statistics, 0), place) }
        })
    })
}

fn counters_of(statistics: &Statistics, taken_buffers: usize) -> Counters {
    Counters {
        size: 0,
        sockets_now: statistics.sockets_now,
        listeners_now: statistics.listeners_now,
        taken_buffers_now: taken_buffers as u64,
        accepts: statistics.accepts,
        recvs: statistics.recvs,
        sends: statistics.sends,
        received_bytes: statistics.received_bytes,
        sent_bytes: statistics.sent_bytes,
        farewells: statistics.farewells,
        panics: statistics.panics,
        accept_errors: statistics.accept_errors,
        accept_backoffs: statistics.accept_backoffs,
        buffer_shortages: statistics.buffer_shortages,
        waits: statistics.waits,
        completions: statistics.completions,
        wakeups: statistics.wakeups,
        workers_now: statistics.workers_now,
        queued_sends_now: statistics.queued_sends_now,
        queued_bytes_now: statistics.queued_bytes_now,
        empty_rings: statistics.empty_rings,
        shortage_pauses: statistics.shortage_pauses,
        linger_timeouts: statistics.linger_timeouts,
        idle_timeouts: statistics.idle_timeouts,
        high_watermarks: statistics.high_watermarks,
        connects: statistics.connects,
        timers: statistics.timers,
        operation_timeouts: statistics.operation_timeouts,
    }
}

/// See `socket_iocp.h`.
#[unsafe(no_mangle)]
pub extern "C" fn socket_iocp_backend_name(backend: u32) -> *const c_char {
    strings::backend_name(backend).as_ptr()
}

/// See `socket_iocp.h`.
#[unsafe(no_mangle)]
pub extern "C" fn socket_iocp_strerror(code: c_int) -> *const c_char {
    strings::error_text(code).as_ptr()
}

/// See `socket_iocp.h`.
#[unsafe(no_mangle)]
pub extern "C" fn socket_iocp_version() -> *const c_char {
    strings::VERSION.as_ptr()
}

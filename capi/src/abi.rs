//! The types of the header, in the same order and with the same members.

use crate::platform::SocketAddress;
use engine::{RawFile, RawSocket};
use std::ffi::{c_int, c_void};

/// `SOCKET`.
pub(crate) type Socket = RawSocket;
/// `DWORD`.
pub(crate) type Dword = u32;
/// `socket_iocp_file`.
pub(crate) type File = RawFile;

/// `SOCKET_IOCP_TO_THE_END`.
pub(crate) const TO_THE_END: u64 = u64::MAX;

pub(crate) type AcceptCallback = unsafe extern "C" fn(
    socket: Socket,
    local_address: *mut SocketAddress,
    remote_address: *mut SocketAddress,
    listen_socket_user_state: *mut c_void,
    per_socket_user_state: *mut *mut c_void,
);
pub(crate) type RecvCallback = unsafe extern "C" fn(
    socket: Socket,
    read_buffer: *mut c_void,
    byte_count: Dword,
    per_socket_user_state: *mut c_void,
);
pub(crate) type SendCallback =
    unsafe extern "C" fn(socket: Socket, per_socket_user_state: *mut c_void, per_write_user_state: *mut c_void);
pub(crate) type ErrorCallback = unsafe extern "C" fn(socket: Socket, per_socket_user_state: *mut c_void);
pub(crate) type ConnectCallback = unsafe extern "C" fn(
    socket: Socket,
    local_address: *mut SocketAddress,
    remote_address: *mut SocketAddress,
    per_socket_user_state: *mut c_void,
);
pub(crate) type DatagramCallback = unsafe extern "C" fn(
    socket: Socket,
    read_buffer: *mut c_void,
    byte_count: Dword,
    sender_address: *mut SocketAddress,
    truncated: c_int,
    per_socket_user_state: *mut c_void,
);
pub(crate) type TimerCallback =
    unsafe extern "C" fn(socket: Socket, per_socket_user_state: *mut c_void, per_timer_user_state: *mut c_void);
pub(crate) type ListenErrorCallback = unsafe extern "C" fn(socket: Socket, listen_socket_user_state: *mut c_void);
pub(crate) type ReleaseCallback = unsafe extern "C" fn(state: *mut c_void);

pub(crate) type WatermarkCallback =
    unsafe extern "C" fn(socket: Socket, per_socket_user_state: *mut c_void, above: c_int);

/// `SOCKET_IOCP_THREADS_NONE`.
pub(crate) const THREADS_NONE: i32 = -1;
/// `SOCKET_IOCP_SWITCH_ON`.
pub(crate) const SWITCH_ON: u32 = 1;
/// `SOCKET_IOCP_SWITCH_OFF`.
pub(crate) const SWITCH_OFF: u32 = 2;

/// `enum socket_iocp_operation`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum Operation {
    Accept = 1,
    Recv = 2,
    Send = 3,
    Farewell = 4,
    ListenFarewell = 5,
    Watermark = 6,
    Timer = 7,
    Connect = 8,
}

/// `struct socket_iocp_options`. All bytes zero is a valid value: every default.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Options {
    pub(crate) size: usize,
    pub(crate) threads: i32,
    pub(crate) backend: u32,
    pub(crate) linger_ms: u32,
    pub(crate) max_queued_sends: u32,
    pub(crate) max_queued_bytes: u32,
    pub(crate) idle_timeout_ms: u32,
    pub(crate) max_sockets: usize,
    pub(crate) max_taken_buffers: usize,
    pub(crate) listen_error_callback_function: Option<ListenErrorCallback>,
    pub(crate) idle_reads: u32,
    pub(crate) skip_on_success: u32,
    pub(crate) pin_workers: u32,
    pub(crate) busy_poll_us: u32,
    pub(crate) zero_copy_from: u32,
    pub(crate) sqpoll_idle_ms: u32,
    pub(crate) high_watermark: u32,
    pub(crate) low_watermark: u32,
    pub(crate) max_port_queued_bytes: usize,
    pub(crate) watermark_callback_function: Option<WatermarkCallback>,
    pub(crate) shutdown_closes_idle: u32,
    pub(crate) multishot_recv: u32,
    pub(crate) timer_callback_function: Option<TimerCallback>,
    pub(crate) connect_callback_function: Option<ConnectCallback>,
    pub(crate) datagram_callback_function: Option<DatagramCallback>,
}

/// `struct socket_iocp_completion`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Completion {
    pub(crate) size: usize,
    pub(crate) operation: u32,
    pub(crate) status: i32,
    pub(crate) os_error: i32,
    pub(crate) local_address_size: u32,
    pub(crate) remote_address_size: u32,
    pub(crate) socket: Socket,
    pub(crate) socket_iocp_socket_state: *mut c_void,
    pub(crate) local_address: *const SocketAddress,
    pub(crate) remote_address: *const SocketAddress,
    pub(crate) byte_count: u64,
    pub(crate) segment_size: u32,
}

/// `struct socket_iocp_ended`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct Ended {
    pub(crate) size: usize,
    pub(crate) finished: u64,
    pub(crate) aborted: u64,
    pub(crate) pending: u64,
}

/// `struct socket_iocp_counters`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Counters {
    pub(crate) size: usize,
    pub(crate) sockets_now: u64,
    pub(crate) listeners_now: u64,
    pub(crate) taken_buffers_now: u64,
    pub(crate) accepts: u64,
    pub(crate) recvs: u64,
    pub(crate) sends: u64,
    pub(crate) received_bytes: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) farewells: u64,
    pub(crate) panics: u64,
    pub(crate) accept_errors: u64,
    pub(crate) accept_backoffs: u64,
    pub(crate) buffer_shortages: u64,
    pub(crate) waits: u64,
    pub(crate) completions: u64,
    pub(crate) wakeups: u64,
    pub(crate) workers_now: u64,
    pub(crate) queued_sends_now: u64,
    pub(crate) queued_bytes_now: u64,
    pub(crate) empty_rings: u64,
    pub(crate) shortage_pauses: u64,
    pub(crate) linger_timeouts: u64,
    pub(crate) idle_timeouts: u64,
    pub(crate) high_watermarks: u64,
    pub(crate) connects: u64,
    pub(crate) timers: u64,
    pub(crate) operation_timeouts: u64,
}

/// `struct socket_iocp_buffer`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Buffer {
    pub(crate) data: *const c_void,
    pub(crate) length: usize,
}

// The ABI on 64-bit systems; tests/c/abi.c holds the compiler of C to the same numbers.
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<Options>() == 136);
    assert!(size_of::<Completion>() == if cfg!(windows) { 80 } else { 72 });
    assert!(size_of::<Ended>() == 32);
    assert!(size_of::<Counters>() == 224);
    assert!(size_of::<Buffer>() == 16);
    assert!(size_of::<c_int>() == size_of::<i32>());
};

//! The C interface as a C program has it: `include/socket_iocp.h`, declared once more.

use std::ffi::{c_char, c_int, c_void};
use std::os::fd::RawFd;

// What is called below is linked from here.
use socket_iocp_capi_fuzzed as _;

pub(crate) type Handle = *mut c_void;

pub(crate) type Accept = unsafe extern "C" fn(RawFd, *mut c_void, *mut c_void, Handle, *mut Handle);
pub(crate) type Recv = unsafe extern "C" fn(RawFd, *mut c_void, u32, Handle);
pub(crate) type Send = unsafe extern "C" fn(RawFd, Handle, Handle);
pub(crate) type Connect = unsafe extern "C" fn(RawFd, *mut c_void, *mut c_void, Handle);
pub(crate) type Datagram = unsafe extern "C" fn(RawFd, *mut c_void, u32, *mut c_void, c_int, Handle);
pub(crate) type Timer = unsafe extern "C" fn(RawFd, Handle, Handle);
pub(crate) type Release = unsafe extern "C" fn(*mut c_void);
pub(crate) type Ended = unsafe extern "C" fn(RawFd, Handle);

pub(crate) type Watermark = unsafe extern "C" fn(RawFd, Handle, c_int);

/// `struct socket_iocp_options`.
#[derive(Clone, Copy, Default, Debug)]
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
    pub(crate) listen_error_callback_function: Option<Ended>,
    pub(crate) idle_reads: u32,
    pub(crate) skip_on_success: u32,
    pub(crate) pin_workers: u32,
    pub(crate) busy_poll_us: u32,
    pub(crate) zero_copy_from: u32,
    pub(crate) sqpoll_idle_ms: u32,
    pub(crate) high_watermark: u32,
    pub(crate) low_watermark: u32,
    pub(crate) max_port_queued_bytes: usize,
    pub(crate) watermark_callback_function: Option<Watermark>,
    pub(crate) shutdown_closes_idle: u32,
    pub(crate) multishot_recv: u32,
    pub(crate) timer_callback_function: Option<Timer>,
    pub(crate) connect_callback_function: Option<Connect>,
    pub(crate) datagram_callback_function: Option<Datagram>,
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
    pub(crate) socket: RawFd,
    pub(crate) socket_iocp_socket_state: Handle,
    pub(crate) local_address: *const c_void,
    pub(crate) remote_address: *const c_void,
    pub(crate) byte_count: u64,
    pub(crate) segment_size: u32,
}

/// `struct socket_iocp_buffer`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Buffer {
    pub(crate) data: *const c_void,
    pub(crate) length: usize,
}

/// `struct socket_iocp_ended`.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub(crate) struct ShutDown {
    pub(crate) size: usize,
    pub(crate) finished: u64,
    pub(crate) aborted: u64,
    pub(crate) pending: u64,
}

pub(crate) const THREADS_NONE: i32 = -1;
pub(crate) const TO_THE_END: u64 = u64::MAX;
pub(crate) const IO_URING: u32 = 1;
pub(crate) const READINESS: u32 = 2;

pub(crate) const NULL_POINTER: c_int = -1;
pub(crate) const INVALID_ARGUMENT: c_int = -2;
pub(crate) const BUFFER_SIZE: c_int = -3;
pub(crate) const BAD_HANDLE: c_int = -4;
pub(crate) const CLOSED: c_int = -5;
pub(crate) const WRONG_PORT: c_int = -6;
pub(crate) const BAD_SOCKET: c_int = -7;
pub(crate) const NOT_SOCKET: c_int = -8;
pub(crate) const NOT_STREAM: c_int = -9;
pub(crate) const LISTENING: c_int = -10;
pub(crate) const NOT_LISTENING: c_int = -11;
pub(crate) const NOT_CONNECTED: c_int = -12;
pub(crate) const ALREADY_ADDED: c_int = -13;
pub(crate) const NOT_ADDED: c_int = -14;
pub(crate) const BUSY: c_int = -15;
pub(crate) const EOF: c_int = -16;
pub(crate) const SHUTDOWN: c_int = -17;
pub(crate) const QUEUE_FULL: c_int = -18;
pub(crate) const LIMIT: c_int = -20;
pub(crate) const UNSUPPORTED: c_int = -21;
pub(crate) const BACKEND_UNAVAILABLE: c_int = -22;
pub(crate) const WRONG_CONTEXT: c_int = -23;
pub(crate) const CANCELLED: c_int = -24;
pub(crate) const TIMED_OUT: c_int = -25;
pub(crate) const RESET: c_int = -26;
pub(crate) const BROKEN_PIPE: c_int = -28;
pub(crate) const REFUSED: c_int = -30;
pub(crate) const NOT_OUTSTANDING: c_int = -35;
pub(crate) const ALREADY_CONNECTED: c_int = -36;
pub(crate) const NOT_DATAGRAM: c_int = -37;
pub(crate) const MESSAGE_SIZE: c_int = -38;
pub(crate) const FILE_TOO_SHORT: c_int = -40;

unsafe extern "C" {
    pub(crate) fn socket_iocp_new(
        port: *mut Handle,
        read_buffer_size: usize,
        accept: Option<Accept>,
        recv: Option<Recv>,
        send: Option<Send>,
        error: Option<Ended>,
    ) -> c_int;
    pub(crate) fn socket_iocp_new_with_options(
        port: *mut Handle,
        read_buffer_size: usize,
        accept: Option<Accept>,
        recv: Option<Recv>,
        send: Option<Send>,
        error: Option<Ended>,
        options: *const Options,
    ) -> c_int;
    pub(crate) safe fn socket_iocp_delete(port: Handle);
    pub(crate) safe fn socket_iocp_add_listen_socket(
        port: Handle,
        socket: RawFd,
        backlog: usize,
        user: Handle,
    ) -> c_int;
    pub(crate) safe fn socket_iocp_add_connected_socket(port: Handle, socket: RawFd, user: Handle) -> c_int;
    pub(crate) safe fn socket_iocp_issue_recv(port: Handle, socket: Handle) -> c_int;
    pub(crate) fn socket_iocp_issue_sync_send(
        port: Handle,
        socket: Handle,
        data: *mut c_void,
        length: u32,
        write: Handle,
    ) -> c_int;
    pub(crate) fn socket_iocp_issue_async_send(
        port: Handle,
        socket: Handle,
        data: *mut c_void,
        length: u32,
        write: Handle,
    ) -> c_int;
    pub(crate) fn socket_iocp_issue_copied_send(
        port: Handle,
        socket: Handle,
        data: *const c_void,
        length: u32,
        write: Handle,
    ) -> c_int;
    pub(crate) fn socket_iocp_issue_vectored_send(
        port: Handle,
        socket: Handle,
        buffers: *const Buffer,
        count: u32,
        write: Handle,
    ) -> c_int;
    pub(crate) fn socket_iocp_share_buffer(
        data: *const c_void,
        length: usize,
        release: Release,
        state: *mut c_void,
        shared: *mut Handle,
    ) -> c_int;
    pub(crate) safe fn socket_iocp_issue_shared_send(
        port: Handle,
        socket: Handle,
        shared: Handle,
        offset: usize,
        length: usize,
        write: Handle,
    ) -> c_int;
    pub(crate) safe fn socket_iocp_release_shared(shared: Handle) -> c_int;
    pub(crate) safe fn socket_iocp_issue_file_send(
        port: Handle,
        socket: Handle,
        file: RawFd,
        offset: u64,
        length: u64,
        write: Handle,
    ) -> c_int;
    pub(crate) fn socket_iocp_issue_connect(
        port: Handle,
        socket: RawFd,
        address: *const c_void,
        address_size: u32,
        timeout_ms: u32,
        user: Handle,
        handle: *mut Handle,
    ) -> c_int;
    pub(crate) safe fn socket_iocp_add_datagram_socket(port: Handle, socket: RawFd, user: Handle) -> c_int;
    pub(crate) fn socket_iocp_issue_sync_send_to(
        port: Handle,
        socket: Handle,
        data: *mut c_void,
        length: u32,
        address: *const c_void,
        address_size: u32,
        write: Handle,
    ) -> c_int;
    pub(crate) fn socket_iocp_issue_async_send_to(
        port: Handle,
        socket: Handle,
        data: *mut c_void,
        length: u32,
        address: *const c_void,
        address_size: u32,
        write: Handle,
    ) -> c_int;
    pub(crate) fn socket_iocp_issue_segmented_send_to(
        port: Handle,
        socket: Handle,
        data: *mut c_void,
        length: u32,
        segment_size: u32,
        address: *const c_void,
        address_size: u32,
        write: Handle,
    ) -> c_int;
    pub(crate) fn socket_iocp_issue_connect_host(
        port: Handle,
        host: *const c_char,
        tcp_port: u32,
        timeout_ms: u32,
        user: Handle,
        handle: *mut Handle,
    ) -> c_int;
    pub(crate) safe fn socket_iocp_issue_recv_with_timeout(port: Handle, socket: Handle, timeout_ms: u32) -> c_int;
    pub(crate) fn socket_iocp_issue_sync_send_with_timeout(
        port: Handle,
        socket: Handle,
        data: *mut c_void,
        length: u32,
        write: Handle,
        timeout_ms: u32,
    ) -> c_int;
    pub(crate) fn socket_iocp_issue_async_send_with_timeout(
        port: Handle,
        socket: Handle,
        data: *mut c_void,
        length: u32,
        write: Handle,
        timeout_ms: u32,
    ) -> c_int;
    pub(crate) safe fn socket_iocp_issue_file_send_with_timeout(
        port: Handle,
        socket: Handle,
        file: RawFd,
        offset: u64,
        length: u64,
        write: Handle,
        timeout_ms: u32,
    ) -> c_int;
    pub(crate) safe fn socket_iocp_cancel_recv(port: Handle, socket: Handle) -> c_int;
    pub(crate) safe fn socket_iocp_cancel_connect(port: Handle, socket: Handle) -> c_int;
    pub(crate) safe fn socket_iocp_cancel_send(port: Handle, socket: Handle, write: Handle) -> c_int;
    pub(crate) safe fn socket_iocp_issue_timer(port: Handle, socket: Handle, delay_ms: u32, timer: Handle) -> c_int;
    pub(crate) safe fn socket_iocp_cancel_timer(port: Handle, socket: Handle) -> c_int;
    pub(crate) safe fn socket_iocp_find_socket(port: Handle, socket: RawFd) -> Handle;
    pub(crate) safe fn socket_iocp_close_socket(port: Handle, socket: Handle) -> c_int;
    pub(crate) safe fn socket_iocp_abort_socket(port: Handle, socket: Handle) -> c_int;
    pub(crate) safe fn socket_iocp_remove_socket(port: Handle, socket: Handle) -> c_int;
    pub(crate) safe fn socket_iocp_shutdown_send(port: Handle, socket: Handle) -> c_int;
    pub(crate) fn socket_iocp_queued_bytes(port: Handle, socket: Handle, bytes: *mut usize) -> c_int;
    pub(crate) fn socket_iocp_shutdown(port: Handle, deadline_ms: u32, ended: *mut ShutDown) -> c_int;
    pub(crate) fn socket_iocp_pass_socket(
        channel: RawFd,
        process: u32,
        socket: RawFd,
        data: *const c_void,
        length: usize,
    ) -> c_int;
    pub(crate) fn socket_iocp_take_passed_socket(
        channel: RawFd,
        socket: *mut RawFd,
        data: *mut c_void,
        length: *mut usize,
    ) -> c_int;
    pub(crate) safe fn socket_iocp_remove_listen_socket(port: Handle, socket: RawFd) -> c_int;
    pub(crate) safe fn socket_iocp_set_accept_backlog(port: Handle, socket: RawFd, backlog: usize) -> c_int;
    pub(crate) fn socket_iocp_result(port: Handle, completion: *mut Completion) -> c_int;
    pub(crate) fn socket_iocp_take_buffer(port: Handle, socket: Handle, buffer: *mut *mut c_void) -> c_int;
    pub(crate) safe fn socket_iocp_release_buffer(buffer: *mut c_void) -> c_int;
    pub(crate) safe fn socket_iocp_run(port: Handle, timeout_ms: c_int) -> c_int;
    pub(crate) fn socket_iocp_pollable(port: Handle, descriptor: *mut c_int) -> c_int;
    pub(crate) fn socket_iocp_backend(port: Handle, backend: *mut u32, reason: *mut c_char, size: usize) -> c_int;
    pub(crate) safe fn socket_iocp_backend_name(backend: u32) -> *const c_char;
    pub(crate) fn socket_iocp_statistics(port: Handle, counters: *mut c_void) -> c_int;
    pub(crate) fn socket_iocp_worker_statistics(port: Handle, worker: u32, counters: *mut c_void) -> c_int;
    pub(crate) safe fn socket_iocp_strerror(code: c_int) -> *const c_char;
    pub(crate) safe fn socket_iocp_version() -> *const c_char;
}

//! The contract, one behaviour a module, in one process: each test has a port of its own.
//!
//! What needs the process to itself (its allocator, environment, signals, descriptors, panic hook) is a test binary of its own,
//! beside this folder. What a platform leaves out is listed in the testkit's `left_out.rs`.

mod a_blocked_worker;
mod abort;
mod accept_addresses;
mod accept_backlog;
mod accept_goes_on;
mod accept_runs_on_the_sockets_worker;
mod accept_spread;
mod added_twice;
mod bad_sockets;
mod busy_poll;
mod callbacks_of_a_socket_are_serial;
mod calls_from_any_thread;
mod cancel_connect;
mod cancel_recv;
mod cancel_sends;
mod cancelled_send;
mod close;
mod closed_after_delete;
mod connect;
mod connect_host;
mod connect_host_hanging;
mod connect_ipv6;
#[cfg(unix)]
mod connect_unix;
mod copied_sends;
mod datagram_endings;
mod datagram_errors;
mod datagram_ipv6;
mod datagram_recvs;
mod datagram_segments;
mod datagram_sends;
mod dead_handle;
mod delete;
#[cfg(unix)]
mod driven_pollable;
mod driven_run;
mod echo;
mod ending_in_callbacks;
mod endless_empty_sends;
mod everything_pending;
mod failures;
mod file_sends;
mod file_sends_ended;
mod half_close;
mod idle_sockets_are_not_watched;
mod idle_timeout;
mod linger;
mod listener_comes_back;
mod listener_farewell;
mod max_port_queued_bytes;
mod max_sockets;
mod multishot_recv;
mod no_callback_inside_a_call;
mod no_lock_in_a_callback;
mod one_socket_leaves_room;
mod options_are_checked;
mod pin_workers;
mod read_buffer;
mod readme;
mod recv_brings_everything;
mod recv_ended_by_the_end;
mod recv_fin;
mod recv_pushes_back;
mod recv_within;
mod refusing;
mod remove;
mod remove_listener;
mod send_limits;
mod send_within;
mod sends_are_never_overtaken;
mod sends_in_order;
mod sends_of_any_length;
mod sends_of_nothing;
mod shared_sends;
mod shutdown;
mod simulation;
mod stack_does_not_grow;
mod statistics;
mod timer;
#[cfg(unix)]
mod unix_sockets;
mod user_linger;
mod vectored_sends;
mod watermarks;
#[cfg(windows)]
mod windows;
mod workers_serve_unasked;
mod zero_copy;

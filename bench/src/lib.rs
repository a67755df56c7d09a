//! socket-iocp measured against hand-written loops.
//!
//! The **yardstick** is the least code that can echo over a fixed table of connections: an io_uring loop and an epoll
//! loop without state machines, callbacks or ways to go on after an error. The **subject** is the same echo on the
//! public API of socket-iocp with one worker. Each serves from a process of its own, pinned to one CPU, loaded by the
//! same client, which checks every echo. What is compared is the CPU time that the kernel accounts to the server's
//! process for each message: it depends far less on the load and on the neighbours than a rate does.
//!
//! With the load on another CPU (`Placement::Apart`) about half of that time is cache lines on their way between the
//! two. With both on one ([`Placement::Together`]) it is not, and what the server's own code takes stands out.
//!
//! A **round** is yardstick, subject, yardstick again: the subject is compared with the mean of the two around it,
//! which takes out slow drifts of the machine, and the two with each other, which shows the noise that is left.
//!
//! A bench reports, it does not judge: the one thing that it fails for is a wrong or missing echo.
//!
//! `measure_hostile` has hostile peers attack the subject, and compares it with itself when nobody does.
//!
//! A program that calls `run` must call `serve_child` when it is started with `CHILD_COMMAND` as its first argument.
//!
//! On Windows it is not time that is measured: `count_calls` counts the calls of Winsock and of the completion port
//! that each server makes for a message, beside those of a hand-written IOCP loop. A count is the same on every
//! machine, and under Wine, where most of any time is that of Wine's own server.

#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks, missing_docs)]

mod error;

#[cfg(windows)]
mod calls;
#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
mod cpus;
#[cfg(all(test, target_os = "linux"))]
mod echo_tests;
#[cfg(not(windows))]
mod hostile;
#[cfg(target_os = "linux")]
mod idle;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(not(windows))]
mod report;
#[cfg(target_os = "linux")]
mod rounds;
#[cfg(any(target_os = "linux", windows))]
mod subject;
#[cfg(not(windows))]
mod timed;
#[cfg(any(target_os = "linux", windows))]
mod yardstick;

#[cfg(windows)]
pub use calls::{CallOptions, CallReport, Calls, Mode, Server, count_calls};
pub use error::Error;
#[cfg(not(windows))]
pub use hostile::{
    Attack, Comparison, Cost, HostileOptions, HostileReport, Limits, Release, Strength, Usage, measure_hostile,
};
#[cfg(not(windows))]
pub use report::{Idle, Machine, Placement, Report, Round, Sample};
#[cfg(not(windows))]
pub use timed::{CHILD_COMMAND, Options, run, serve_child};

/// The most connections of the load.
pub const MAX_CONNECTIONS: usize = 10_000;
/// The longest message in bytes: it fits a read buffer of the servers.
pub const MAX_MESSAGE_BYTES: usize = READ_BUFFER_SIZE;
/// The size of the servers' read buffers.
const READ_BUFFER_SIZE: usize = 4096;

//! socket-iocp measured against hand-written loops and other libraries.
//!
//! [`compare`](run) puts socket-iocp beside hand-written loops and beside other libraries, at works of every kind. It
//! reports, it does not judge: the one thing that it fails for is a wrong or missing answer.
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
#[cfg(not(windows))]
mod compare;
#[cfg(target_os = "linux")]
mod cpus;
#[cfg(any(target_os = "linux", windows))]
mod echo;
#[cfg(not(windows))]
mod hostile;
#[cfg(not(windows))]
mod interval;
#[cfg(target_os = "linux")]
mod listener;
#[cfg(not(windows))]
mod machine;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod messages;
#[cfg(target_os = "linux")]
mod own;
#[cfg(all(test, target_os = "linux"))]
mod server_tests;
#[cfg(not(windows))]
mod works;
#[cfg(any(target_os = "linux", windows))]
mod yardstick;

#[cfg(windows)]
pub use calls::{CallOptions, CallReport, Calls, Mode, Server, count_calls};
pub use error::Error;
#[cfg(not(windows))]
pub use {
    compare::{Latency, Memory, Options, Report, Sample, SystemCalls, Verdict, Work, Workload, draw, run},
    hostile::{
        Attack, Comparison, Cost, HostileOptions, HostileReport, Limits, Release, Strength, Usage, measure_hostile,
    },
    interval::Interval,
    machine::Machine,
};

/// The most connections of a load of one size.
pub const MAX_CONNECTIONS: usize = 10_000;
/// The longest message in bytes: it fits a read buffer of the servers.
pub const MAX_MESSAGE_BYTES: usize = READ_BUFFER_SIZE;
/// The size of the servers' read buffers.
const READ_BUFFER_SIZE: usize = 4096;

/// The first argument of a process that the bench starts from its own program. The second is for [`serve_child`].
#[cfg(not(windows))]
pub const CHILD_COMMAND: &str = "bench-child";

/// Serves as the child of a bench until the bench is done with it. `task` is the argument behind [`CHILD_COMMAND`].
#[cfg(target_os = "linux")]
pub fn serve_child(task: &str) -> Result<(), Error> {
    child::serve(task)
}

/// Serves as the child of a bench; on this system there is none.
#[cfg(not(any(target_os = "linux", windows)))]
pub fn serve_child(_task: &str) -> Result<(), Error> {
    Err(Error::cannot_start("the bench measures on Linux only"))
}

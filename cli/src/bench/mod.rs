//! `socket-iocp bench`: beside hand-written loops, the CPU time of a message; on Windows, its calls of the system.
//! With `--hostile`, what attackers make of it.

#[cfg(windows)]
mod calls;
#[cfg(not(windows))]
mod hostile;
#[cfg(not(windows))]
mod timed;

#[cfg(windows)]
pub use calls::{BenchArgs, command};
#[cfg(not(windows))]
pub use timed::{BenchArgs, BenchChildArgs, child, command};

use crate::failure::Failure;

fn failure(error: socket_iocp_bench::Error) -> Failure {
    let text = error.to_string();
    if error.had_started() { Failure::failed(text) } else { Failure::cannot_start(text) }
}

//! `socket-iocp bench`: beside hand-written loops and other libraries; on Windows, calls of the system a message.
//! With `--hostile`, what attackers make of it.

#[cfg(windows)]
mod calls;
#[cfg(not(windows))]
mod compare;
#[cfg(not(windows))]
mod hostile;

#[cfg(windows)]
pub use calls::{BenchArgs, command};
#[cfg(not(windows))]
pub use compare::{BenchArgs, BenchChildArgs, child, command};

use crate::failure::Failure;

fn failure(error: socket_iocp_bench::Error) -> Failure {
    let text = error.to_string();
    if error.had_started() { Failure::failed(text) } else { Failure::cannot_start(text) }
}

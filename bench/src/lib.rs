//! socket-iocp measured against hand-written loops.
//!
//! The **yardstick** is the least code that can echo over a fixed table of connections: an io_uring loop and an epoll
//! loop without state machines, callbacks or ways to go on after an error. The **subject** is the same echo on the
//! public API of socket-iocp with one worker. Each serves from a process of its own, pinned to one CPU, loaded by the
//! same client, which checks every echo. What is compared is the CPU time that the kernel accounts to the server's
//! process for each message: it depends far less on the load and on the neighbours than a rate does.
//!
//! With the load on another CPU ([`Placement::Apart`]) about half of that time is cache lines on their way between the
//! two. With both on one ([`Placement::Together`]) it is not, and what the server's own code takes stands out.
//!
//! A **round** is yardstick, subject, yardstick again: the subject is compared with the mean of the two around it,
//! which takes out slow drifts of the machine, and the two with each other, which shows the noise that is left.
//!
//! A bench reports, it does not judge: the one thing that it fails for is a wrong or missing echo.
//!
//! A program that calls [`run`] must call [`serve_child`] when it is started with [`CHILD_COMMAND`] as its first
//! argument.

#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks, missing_docs)]

mod error;
mod report;

#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
mod cpus;
#[cfg(all(test, target_os = "linux"))]
mod echo_tests;
#[cfg(target_os = "linux")]
mod idle;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod rounds;
#[cfg(target_os = "linux")]
mod subject;
#[cfg(target_os = "linux")]
mod yardstick;

pub use error::Error;
pub use report::{Idle, Machine, Placement, Report, Round, Sample};

use serde::{Deserialize, Serialize};
use socket_iocp::BackendKind;
use std::time::Duration;

/// The first argument of a process that [`run`] starts from its own program. The second is for [`serve_child`].
pub const CHILD_COMMAND: &str = "bench-child";

/// The most connections of the load.
pub const MAX_CONNECTIONS: usize = 10_000;
/// The longest message in bytes: it fits a read buffer of the servers.
pub const MAX_MESSAGE_BYTES: usize = READ_BUFFER_SIZE;
/// The size of the servers' read buffers.
const READ_BUFFER_SIZE: usize = 4096;

/// What to measure.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Options {
    /// How often each comparison is made.
    pub rounds: usize,
    /// The time for which each server is measured in a round.
    pub window: Duration,
    /// Connections of the load, 1 to [`MAX_CONNECTIONS`], each with one message under way.
    pub connections: usize,
    /// Bytes of each message, 1 to [`MAX_MESSAGE_BYTES`].
    pub message_bytes: usize,
    /// `BackendKind::name`s: `io_uring`, `readiness`.
    pub backends: Vec<String>,
    /// Connections for the measurement of idle memory; 0 for none.
    pub idle_connections: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            rounds: 5,
            window: Duration::from_millis(500),
            connections: 100,
            message_bytes: 64,
            backends: [BackendKind::IoUring, BackendKind::Readiness].map(|kind| kind.name().to_owned()).to_vec(),
            idle_connections: 10_000,
        }
    }
}

impl Options {
    fn backend_kinds(&self) -> Result<Vec<BackendKind>, Error> {
        let kind_of = |name: &String| match BackendKind::from_name(name) {
            Some(kind @ (BackendKind::IoUring | BackendKind::Readiness)) => Ok(kind),
            _ => Err(Error::cannot_start(format!("no yardstick for a backend named {name}"))),
        };
        self.backends.iter().map(kind_of).collect()
    }

    fn check(&self) -> Result<(), Error> {
        let connections_fit = (1..=MAX_CONNECTIONS).contains(&self.connections);
        let message_fits = (1..=MAX_MESSAGE_BYTES).contains(&self.message_bytes);
        if self.rounds == 0 || self.window.is_zero() || !connections_fit || !message_fits {
            return Err(Error::cannot_start(format!("out of range: {self:?}")));
        }
        Ok(())
    }
}

/// Measures. `progress` is told what is being measured.
///
/// Errors: what keeps the bench from starting (an option out of range, a system without io_uring, a want of
/// descriptors), and a wrong or missing echo.
#[cfg(target_os = "linux")]
pub fn run(options: &Options, progress: &mut dyn FnMut(&str)) -> Result<Report, Error> {
    options.check()?;
    let kinds = options.backend_kinds()?;
    load::check()?;
    let cpus = cpus::Cpus::choose()?;
    let rounds = rounds::measure(options, &kinds, &cpus, progress)?;
    let idle = if options.idle_connections > 0 { idle::measure(options, &kinds, &cpus, progress)? } else { Vec::new() };
    Ok(Report { machine: cpus::machine(&cpus), options: options.clone(), rounds, idle })
}

/// Serves as the child of a bench until the bench is done with it. `task` is the argument behind [`CHILD_COMMAND`].
#[cfg(target_os = "linux")]
pub fn serve_child(task: &str) -> Result<(), Error> {
    child::serve(task)
}

/// Measures; on this system there is nothing to measure with.
#[cfg(not(target_os = "linux"))]
pub fn run(options: &Options, _progress: &mut dyn FnMut(&str)) -> Result<Report, Error> {
    options.check()?;
    options.backend_kinds()?;
    Err(Error::cannot_start("the bench measures on Linux only"))
}

/// Serves as the child of a bench; on this system there is none.
#[cfg(not(target_os = "linux"))]
pub fn serve_child(_task: &str) -> Result<(), Error> {
    Err(Error::cannot_start("the bench measures on Linux only"))
}

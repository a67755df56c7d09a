//! What is measured in time, where there is a clock of a process's CPU time to measure with: on Linux.

use crate::{Error, MAX_CONNECTIONS, MAX_MESSAGE_BYTES, Report};
use serde::{Deserialize, Serialize};
use socket_iocp::BackendKind;
use std::time::Duration;

/// The first argument of a process that [`run`] starts from its own program. The second is for [`serve_child`].
pub const CHILD_COMMAND: &str = "bench-child";

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
    crate::load::check()?;
    let cpus = crate::cpus::Cpus::choose()?;
    let rounds = crate::rounds::measure(options, &kinds, &cpus, progress)?;
    let idle =
        if options.idle_connections > 0 { crate::idle::measure(options, &kinds, &cpus, progress)? } else { Vec::new() };
    Ok(Report { machine: crate::cpus::machine(&cpus), options: options.clone(), rounds, idle })
}

/// Serves as the child of a bench until the bench is done with it. `task` is the argument behind [`CHILD_COMMAND`].
#[cfg(target_os = "linux")]
pub fn serve_child(task: &str) -> Result<(), Error> {
    crate::child::serve(task)
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

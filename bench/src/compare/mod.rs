//! socket-iocp, hand-written loops and other libraries side by side.
//!
//! Every server is a process of its own that speaks the protocol of `bench/peers/README.md`: socket-iocp on each backend
//! (`own`), the **yardsticks** (`yardstick`: the least code that does the same), and the **peers**, programs in a folder. One
//! load, the same for all, checks every byte that comes back. What is compared is the CPU time that the kernel accounts to
//! the server's process for each message: it depends far less on the load and on the neighbours than a rate does.
//!
//! In a **round** every server has its turn, the yardsticks two of them, first and last: their ratio to themselves shows
//! the noise. Ratios are paired by rounds, which takes out slow drifts of the machine.
//!
//! With the load on another CPU some of a server's time is cache lines on their way between the two. With both on one
//! ([`Options::together`]) it is not, and what the server's own code takes stands out.

#[cfg(target_os = "linux")]
pub(crate) mod contestants;
mod goals;
#[cfg(target_os = "linux")]
mod load;
mod plots;
mod report;
#[cfg(target_os = "linux")]
mod rounds;
#[cfg(target_os = "linux")]
mod server;
#[cfg(target_os = "linux")]
mod strace;
mod table;
mod workload;

pub use goals::Verdict;
pub use plots::draw;
pub use report::{Latency, Memory, Report, Sample, SystemCalls, Work};
pub use workload::Workload;

use crate::Error;
use serde::{Deserialize, Serialize};
use socket_iocp::BackendKind;
use std::path::PathBuf;
use std::time::Duration;

/// What to measure.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Options {
    /// How often each server is measured at each work.
    pub rounds: usize,
    /// The time for which it is measured each time.
    pub window: Duration,
    /// In this order.
    pub works: Vec<Workload>,
    /// `BackendKind::name`s: `io_uring`, `readiness`.
    pub backends: Vec<String>,
    /// The folder of the peers' programs; without one there are none.
    #[serde(skip)]
    pub peers: Option<PathBuf>,
    /// Servers to measure, by their names in the tables; none for all.
    pub only: Vec<String>,
    /// Whether the load is on the server's CPU.
    pub together: bool,
    /// Whether system calls are counted, by strace.
    pub system_calls: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            rounds: 5,
            window: Duration::from_millis(500),
            works: Workload::standard(),
            backends: [BackendKind::IoUring, BackendKind::Readiness].map(|kind| kind.name().to_owned()).to_vec(),
            peers: None,
            only: Vec::new(),
            together: false,
            system_calls: false,
        }
    }
}

/// What tables call socket-iocp on a backend.
fn subject_name(kind: BackendKind) -> String {
    format!("socket-iocp ({})", kind.name())
}

/// On each backend.
fn subject_names() -> [String; 2] {
    [BackendKind::IoUring, BackendKind::Readiness].map(subject_name)
}

/// What tables call the hand-written loop that a backend is compared with.
fn yardstick_name(kind: BackendKind) -> String {
    let system = if kind == BackendKind::IoUring { "io_uring" } else { "epoll" };
    format!("hand-written {system}")
}

impl Options {
    /// The works that a run measures need this many descriptors in one process.
    pub fn connections(&self) -> usize {
        self.works.iter().map(|workload| workload.shape().connections).max().unwrap_or(0)
    }

    fn backend_kinds(&self) -> Result<Vec<BackendKind>, Error> {
        let kind_of = |name: &String| match BackendKind::from_name(name) {
            Some(kind @ (BackendKind::IoUring | BackendKind::Readiness)) => Ok(kind),
            _ => Err(Error::cannot_start(format!("no yardstick for a backend named {name}"))),
        };
        self.backends.iter().map(kind_of).collect()
    }

    fn check(&self) -> Result<(), Error> {
        if self.rounds == 0 || self.window.is_zero() || self.works.is_empty() {
            return Err(Error::cannot_start("there is nothing to measure"));
        }
        Ok(())
    }
}

/// Measures. `progress` is told what is being measured.
///
/// Errors: what keeps the bench from starting (a system without io_uring, a want of descriptors, a peer that does not run),
/// and a wrong or missing answer.
#[cfg(target_os = "linux")]
pub fn run(options: &Options, progress: &mut dyn FnMut(&str)) -> Result<Report, Error> {
    options.check()?;
    let kinds = options.backend_kinds()?;
    load::check()?;
    if options.system_calls && !strace::is_there() {
        return Err(Error::cannot_start("system calls are counted by strace, which is not there or may not trace"));
    }
    let mut contestants = contestants::Contestant::all(&kinds, options.peers.as_deref())?;
    if let Some(unknown) = options.only.iter().find(|name| contestants.iter().all(|one| one.name != **name)) {
        return Err(Error::cannot_start(format!("no server named {unknown}")));
    }
    contestants.retain(|one| options.only.is_empty() || options.only.contains(&one.name));
    let cpus = crate::cpus::Cpus::choose()?;
    let _pinned = cpus.pin_load(options.together)?;
    let mut measuring = rounds::Measuring { options, contestants: &contestants, cpus: &cpus, progress };
    let works = measuring.works()?;
    Ok(Report { machine: crate::cpus::machine(&cpus), options: options.clone(), works })
}

/// Measures; on this system there is nothing to measure with.
#[cfg(not(target_os = "linux"))]
pub fn run(options: &Options, _progress: &mut dyn FnMut(&str)) -> Result<Report, Error> {
    options.check()?;
    options.backend_kinds()?;
    Err(Error::cannot_start("the bench measures on Linux only"))
}

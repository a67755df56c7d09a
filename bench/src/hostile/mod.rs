//! Hostile peers: what they make a good message cost, and what memory they get.
//!
//! A good load sends at a fixed rate over a fixed set of connections, alone and beside attackers that keep a fixed rate of
//! their own; each in turn, so that every measurement under attack has one without on either side of it. Compared is the
//! CPU time of the server's process for each good message, the cost of the hostile events included: a server has to look
//! at what it is sent, so the rate of hostile events is a share of the good messages' rate, which every figure depends
//! on. Nothing a server does can make a hostile byte free; what is to be seen is that an event costs no more than a
//! good message would, and that connections which do nothing cost nothing.
//!
//! Server, attackers and good load are processes of their own; the last two share a CPU, if there are two.
//!
//! Two servers are attacked: one without limits, and one with those that `docs/threat-model.md` recommends. Memory is
//! compared with the bound computed from them, and a server above it is an error. CPU time is reported, not judged.

mod attack;
#[cfg(target_os = "linux")]
mod attackers;
#[cfg(target_os = "linux")]
mod bound;
#[cfg(target_os = "linux")]
mod good;
mod options;
#[cfg(target_os = "linux")]
mod pace;
#[cfg(target_os = "linux")]
mod release;
mod report;
#[cfg(target_os = "linux")]
mod rounds;
#[cfg(target_os = "linux")]
mod server;

pub use attack::Attack;
#[cfg(target_os = "linux")]
pub(crate) use attackers::{AttackTask, attack};
pub use options::{HostileOptions, Limits, Strength};
pub use report::{Comparison, Cost, HostileReport, Release, Usage};
#[cfg(target_os = "linux")]
pub(crate) use server::{ServerTask, serve};

use crate::Error;

/// The send buffer that the servers ask the kernel for, as a program should whose peers may not read: what is in it, the
/// kernel keeps for each of them. The kernel doubles it.
#[cfg(target_os = "linux")]
const SEND_BUFFER_BYTES: usize = 16 << 10;

/// Measures. `progress` is told what is being measured.
///
/// Errors: what keeps it from starting (an option out of range, a want of descriptors), a wrong or missing echo, a good
/// connection that the server ends, an idle one that it does not end. Memory above its bound is in the report:
/// [`HostileReport::over_bound`].
#[cfg(target_os = "linux")]
pub fn measure_hostile(options: &HostileOptions, progress: &mut dyn FnMut(&str)) -> Result<HostileReport, Error> {
    options.check()?;
    let kinds = options.backend_kinds()?;
    let cpus = crate::cpus::Cpus::choose()?;
    // The attackers' process inherits it.
    let _pinned = cpus.pin_load(false)?;
    let comparisons = rounds::measure(options, &kinds, &cpus, progress)?;
    let releases = release::measure(options, &kinds, &cpus, progress)?;
    Ok(HostileReport { machine: crate::cpus::machine(&cpus), options: options.clone(), comparisons, releases })
}

/// Measures; on this system there is nothing to measure with.
#[cfg(not(target_os = "linux"))]
pub fn measure_hostile(options: &HostileOptions, _progress: &mut dyn FnMut(&str)) -> Result<HostileReport, Error> {
    options.check()?;
    Err(Error::cannot_start("the bench measures on Linux only"))
}

//! Which CPUs the bench uses, and what machine it is.

use crate::error::{Doing, Error};
use crate::machine::Machine;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::fs;

/// One CPU for the servers and another for the load, if there is another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpus {
    pub(crate) server: usize,
    load: usize,
    allowed: CpuSet,
}

impl Cpus {
    /// The last of the CPUs allowed to this thread serves (the first is where most systems have their own work), the
    /// first loads.
    pub(crate) fn choose() -> Result<Cpus, Error> {
        let allowed = sched_getaffinity(None).needed("the CPUs of this process")?;
        let numbers: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect();
        match (numbers.first(), numbers.last()) {
            (Some(load), Some(server)) => Ok(Cpus { server: *server, load: *load, allowed }),
            _ => Err(Error::cannot_start("no CPU is allowed to this process")),
        }
    }

    /// Keeps the calling thread, and the processes that it starts, where the load is to be, until the guard goes.
    pub(crate) fn pin_load(&self, together: bool) -> Result<Pinned, Error> {
        stay_on(&one(if together { self.server } else { self.load }))
    }

    /// Keeps them where a server of one worker is to be.
    pub(crate) fn pin_server(&self) -> Result<Pinned, Error> {
        stay_on(&one(self.server))
    }

    /// Lets them go to any CPU, as a server of several workers may.
    pub(crate) fn unpin(&self) -> Result<Pinned, Error> {
        stay_on(&self.allowed)
    }
}

fn one(cpu: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(cpu);
    set
}

fn stay_on(cpus: &CpuSet) -> Result<Pinned, Error> {
    let before = sched_getaffinity(None).needed("the CPUs of this thread")?;
    sched_setaffinity(None, cpus).needed("choosing the CPUs of a thread")?;
    Ok(Pinned { before })
}

/// Keeps the calling thread, and those that it starts, on one CPU.
pub(crate) fn pin(cpu: usize) -> Result<(), Error> {
    sched_setaffinity(None, &one(cpu)).needed("pinning a thread to a CPU")
}

/// The calling thread is pinned; it gets its CPUs back when this is dropped.
#[derive(Debug)]
pub(crate) struct Pinned {
    before: CpuSet,
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // They were this thread's before, so the kernel has no reason to refuse them.
        let _ = sched_setaffinity(None, &self.before);
    }
}

pub(crate) fn machine(cpus: &Cpus) -> Machine {
    let uname = rustix::system::uname();
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    Machine {
        kernel: format!("{} {}", uname.sysname().to_string_lossy(), uname.release().to_string_lossy()),
        architecture: uname.machine().to_string_lossy().into_owned(),
        cpu: model.map_or("CPU of unknown model", |(_, name)| name.trim()).to_owned(),
        cpus_allowed: cpus.allowed.count() as usize,
        server_cpu: cpus.server,
        load_cpu: cpus.load,
    }
}

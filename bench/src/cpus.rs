//! Which CPUs the bench uses, and what machine it is.

use crate::error::{Doing, Error};
use crate::report::{Machine, Placement};
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

    /// Where the load can be.
    pub(crate) fn placements(&self) -> &'static [Placement] {
        if self.load == self.server { &[Placement::Together] } else { &[Placement::Apart, Placement::Together] }
    }

    /// Keeps the calling thread where the load is to be, until the guard goes.
    pub(crate) fn pin_load(&self, placement: Placement) -> Result<Pinned, Error> {
        pin(match placement {
            Placement::Apart => self.load,
            Placement::Together => self.server,
        })?;
        Ok(Pinned { before: self.allowed })
    }
}

/// Keeps the calling thread, and those that it starts, on one CPU.
pub(crate) fn pin(cpu: usize) -> Result<(), Error> {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).needed("pinning a thread to a CPU")
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

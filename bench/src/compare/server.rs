//! A server under measurement: a process of its own that speaks the protocol of `bench/peers/README.md`.

use super::contestants::{Contestant, Kind};
use crate::child::{self, Process, Task};
use crate::error::{Doing, Error};
use crate::memory;
use crate::works::{Outcome, Serving};
use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

/// A server that serves. Dropping it ends the process.
#[derive(Debug)]
pub(super) struct Server {
    process: Process,
    addresses: Vec<SocketAddr>,
}

/// A process's memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weight {
    /// Pages that are its own and written to: what it takes from the machine.
    pub(super) private_dirty: u64,
    /// Pages in memory, shared ones included.
    pub(super) resident: u64,
}

impl Server {
    /// When this returns, its listener is there. It runs on the calling thread's CPUs.
    pub(super) fn start(contestant: &Contestant, serving: Serving) -> Result<Server, Error> {
        let mut process = match &contestant.kind {
            Kind::Own(whose, backend) => {
                let task = child::OwnTask { whose: *whose, backend: backend.name().to_owned(), serving };
                Process::start(&Task::Serve(task))?
            }
            Kind::Peer(path) => {
                let numbers = [serving.read_buffer, serving.threads].map(|number| number.to_string());
                Process::spawn(Command::new(path).arg(serving.service.name()).args(numbers))?
            }
        };
        let line = process.line()?;
        let addresses = line.split_whitespace().map(str::parse).collect::<Result<Vec<SocketAddr>, _>>();
        match addresses {
            Ok(addresses) if !addresses.is_empty() => Ok(Server { process, addresses }),
            _ => Err(Error::failed(format!("{} gave no address: {line:?}", contestant.name))),
        }
    }

    pub(super) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// The CPU time of all its threads so far, as the scheduler counts it.
    pub(super) fn cpu_time(&self) -> Result<Duration, Error> {
        self.process.cpu_time()
    }

    /// See [`proc_pid_smaps(5)`](https://man7.org/linux/man-pages/man5/proc_pid_smaps.5.html).
    pub(super) fn weight(&self) -> Result<Weight, Error> {
        let path = format!("/proc/{}/smaps_rollup", self.id());
        let smaps = fs::read_to_string(&path).doing(&path)?;
        Ok(Weight { private_dirty: memory::field(&smaps, "Private_Dirty:")?, resident: memory::field(&smaps, "Rss:")? })
    }

    /// Ends the server, and tells what it counted, if it counts.
    pub(super) fn stop(mut self) -> Result<Option<Outcome>, Error> {
        let line = self.process.end()?;
        if line.is_empty() { Ok(None) } else { serde_json::from_str(&line).doing("a server's outcome").map(Some) }
    }
}

//! POSIX.

use crate::system;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use socket_iocp::{BackendKind, Error, Handler, PortHandle};
use std::time::Duration;

/// A lane's way to wait.
#[derive(Debug)]
pub enum Wait {
    /// In the port. The right way whenever a time need not be kept to the microsecond, and on io_uring always.
    InPort,
    /// In poll(2), on the port's descriptor. The readiness backend's own wait counts in milliseconds,
    /// which is too coarse for a schedule; poll's limit is in nanoseconds.
    InPoll,
}

impl Wait {
    /// The way for this port; `on_schedule` if the times matter.
    pub fn new<H: Handler>(port: &PortHandle<H>, on_schedule: bool) -> Wait {
        if !on_schedule {
            return Wait::InPort;
        }
        system::sharpen_waits();
        if port.backend() != BackendKind::Readiness {
            return Wait::InPort;
        }
        if port.pollable().is_ok() { Wait::InPoll } else { Wait::InPort }
    }

    /// Waits for something to do, at most for `limit`, and runs the callbacks that are due.
    pub fn run<H: Handler>(&self, port: &PortHandle<H>, limit: Duration) -> Result<(), Error> {
        if matches!(self, Wait::InPort) {
            return port.run(Some(limit));
        }
        let limit = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: limit.subsec_nanos().into() };
        match poll(&mut [PollFd::from_borrowed_fd(port.pollable()?, PollFlags::IN)], Some(&limit)) {
            Ok(_) | Err(Errno::INTR) => port.run(Some(Duration::ZERO)),
            Err(error) => Err(Error::from_os(error.raw_os_error())),
        }
    }
}

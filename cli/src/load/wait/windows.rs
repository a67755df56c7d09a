//! Windows.

use crate::system;
use socket_iocp::{Error, Handler, PortHandle};
use std::thread;
use std::time::Duration;

/// A lane's way to wait.
#[derive(Debug)]
pub enum Wait {
    /// In the port. The right way whenever a time need not be kept to the microsecond.
    InPort,
    /// In the port until the last moment, and then turning. A completion port waits in milliseconds, and no other wait
    /// of the system's ends by completions too: so the last one or two of them before a message is due cost CPU time.
    ToTheMoment,
}

impl Wait {
    /// The way for this port; `on_schedule` if the times matter.
    pub fn new<H: Handler>(_: &PortHandle<H>, on_schedule: bool) -> Wait {
        if !on_schedule {
            return Wait::InPort;
        }
        system::sharpen_waits();
        Wait::ToTheMoment
    }

    /// Waits for something to do, at most for `limit`, and runs the callbacks that are due.
    pub fn run<H: Handler>(&self, port: &PortHandle<H>, limit: Duration) -> Result<(), Error> {
        if matches!(self, Wait::InPort) {
            return port.run(Some(limit));
        }
        let coarse = in_whole_milliseconds(limit);
        if coarse.is_zero() {
            thread::yield_now();
        }
        port.run(Some(coarse))
    }
}

/// How long the port may wait without being late: the wait may last a millisecond longer than asked.
fn in_whole_milliseconds(limit: Duration) -> Duration {
    let whole = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(whole.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_wait_in_the_port_is_late() {
        for (limit_us, coarse_ms) in [(0, 0), (999, 0), (1_999, 0), (2_000, 1), (100_000, 99)] {
            assert_eq!(in_whole_milliseconds(Duration::from_micros(limit_us)), Duration::from_millis(coarse_ms));
        }
    }
}

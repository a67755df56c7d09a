//! The graceful end of a port: it accepts no more, its connections finish by themselves, and what is left at the deadline is
//! aborted.
//!
//! The deadline stands here for all to see. The workers do the rest (`worker/shutdown.rs`): each closes its idle connections,
//! and whichever sees first that nothing is left, or that the time is over, begins the deletion.

use crate::handle::is_inside;
use crate::handler::Handler;
use crate::listener::ListenerEnd;
use crate::lock::lock;
use crate::shared::Shared;
use crate::sys::process::Thread;
use crate::trace::traced;
use crate::{Error, ErrorCode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What the graceful end of a port has come to.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct Ended {
    /// Connections that have bidden farewell since the shutdown began, in whatever way, but for those aborted at its end.
    pub finished: u64,
    /// Connections that were still there at the deadline, or when the port was deleted before: their farewell says
    /// [`ErrorCode::Cancelled`].
    pub aborted: u64,
    /// Connections that are still there: the shutdown goes on. 0 when it is over.
    pub pending: u64,
}

/// No shutdown has begun.
pub(crate) const NO_DEADLINE: u64 = u64::MAX;

/// A port's part in its shutdown.
#[derive(Debug)]
pub(crate) struct Shutdown {
    /// By the workers' clock, in nanoseconds.
    deadline: AtomicU64,
    /// Farewells before it began.
    farewells_before: AtomicU64,
}

impl Shutdown {
    pub(crate) fn new() -> Shutdown {
        Shutdown { deadline: AtomicU64::new(NO_DEADLINE), farewells_before: AtomicU64::new(0) }
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.deadline() != NO_DEADLINE
    }

    /// By the workers' clock, in nanoseconds.
    pub(crate) fn deadline(&self) -> u64 {
        self.deadline.load(Ordering::SeqCst)
    }
}

impl<H: Handler> Shared<H> {
    /// See `PortHandle::begin_shutdown`.
    pub(crate) fn begin_shutdown(&self, within: Duration) -> Result<(), Error> {
        let deadline = self.net.now().saturating_add(within).as_nanos();
        let deadline = u64::try_from(deadline).unwrap_or(u64::MAX).min(NO_DEADLINE - 1);
        {
            let listeners = lock(&self.listeners);
            if self.is_closing() {
                return Err(ErrorCode::Closed.into());
            }
            if !self.shutdown.has_begun() {
                self.shutdown.farewells_before.store(self.farewells(), Ordering::SeqCst);
            }
            // From here on no listener is enlisted; those that are end now. The earlier deadline counts.
            self.shutdown.deadline.fetch_min(deadline, Ordering::SeqCst);
            for listener in listeners.iter() {
                listener.core.begin_end(ListenerEnd::Deleted, || {});
            }
        }
        traced!(INFO, "port shuts down", port = self.number.get(), within_ms = within.as_millis() as u64);
        self.look();
        Ok(())
    }

    /// The whole of it; see `Port::shutdown`. Inside a callback it goes on by itself.
    pub(crate) fn shut_down(&self, within: Duration) {
        // An error says that the end has come already.
        let _ = self.begin_shutdown(within);
        let threads = std::mem::take(&mut *lock(&self.threads));
        if is_inside() {
            return;
        }
        if self.options.threads == Some(0) {
            self.drive_to_the_end();
        }
        threads.into_iter().for_each(Thread::join);
    }

    /// Whether nothing is left that could bring a connection, and no connection.
    pub(crate) fn has_drained(&self) -> bool {
        // The second count is the one that tells: when there is no listener, every connection that one has brought is counted.
        // The first spares the lock while there is no need for it. A socket that is being added meanwhile is reported by the
        // deletion.
        self.live_sockets() == 0 && self.has_no_listener() && self.live_sockets() == 0
    }

    pub(crate) fn has_no_listener(&self) -> bool {
        lock(&self.listeners).is_empty()
    }

    pub(crate) fn live_sockets(&self) -> usize {
        self.workers.iter().map(|worker| worker.slots.live()).sum()
    }

    fn farewells(&self) -> u64 {
        self.workers.iter().map(|worker| worker.counters.farewells.get()).sum()
    }

    pub(crate) fn ended(&self) -> Ended {
        let aborted: u64 = self.workers.iter().map(|worker| worker.aborted.get()).sum();
        let farewells = self.farewells() - self.shutdown.farewells_before.load(Ordering::SeqCst);
        Ended { finished: farewells.saturating_sub(aborted), aborted, pending: self.live_sockets() as u64 }
    }
}

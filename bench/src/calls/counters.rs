//! Counters of calls: how often the threads that serve have called each function, and when they are at rest.

use crate::error::Error;
use std::array;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Sub;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a server may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(10);

thread_local! {
    static SERVES: Cell<bool> = const { Cell::new(false) };
}

/// From now on the calling thread's calls are counted.
pub(crate) fn count_this_thread() {
    SERVES.set(true);
}

/// Whether the calling thread's calls are counted; not any more when the thread is being taken down.
pub(super) fn are_counted() -> bool {
    SERVES.try_with(Cell::get).unwrap_or(false)
}

/// Calls of each of `N` functions, and the completions that they brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Counts<const N: usize> {
    pub(super) calls: [u64; N],
    pub(super) completions: u64,
}

impl<const N: usize> Sub for Counts<N> {
    type Output = Counts<N>;

    fn sub(self, before: Counts<N>) -> Counts<N> {
        Counts {
            calls: array::from_fn(|function| self.calls[function] - before.calls[function]),
            completions: self.completions - before.completions,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operation {
    Recv,
    Send,
}

#[derive(Debug)]
pub(super) struct Counters<const N: usize> {
    calls: [AtomicU64; N],
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// The server is in its wait.
    waits: bool,
    /// The operations whose completions will come, by the addresses of their OVERLAPPEDs.
    under_way: BTreeMap<usize, Operation>,
    /// Completions that its waits have brought, of operations that were seen to start.
    completions: u64,
}

impl State {
    fn is_at_rest(&self, connections: usize) -> bool {
        let only_recvs = self.under_way.values().all(|operation| *operation == Operation::Recv);
        self.waits && only_recvs && self.under_way.len() == connections
    }
}

impl<const N: usize> Counters<N> {
    pub(super) const fn new() -> Counters<N> {
        Counters {
            calls: [const { AtomicU64::new(0) }; N],
            state: Mutex::new(State { waits: false, under_way: BTreeMap::new(), completions: 0 }),
            changed: Condvar::new(),
        }
    }

    /// Forgets the operations of the server before.
    pub(super) fn begin(&self) {
        let mut state = self.lock();
        state.waits = false;
        state.under_way.clear();
    }

    pub(super) fn add(&self, function: usize) {
        self.calls[function].fetch_add(1, Ordering::Relaxed);
    }

    /// The server has started an operation whose completion will come.
    pub(super) fn operation_begins(&self, operation: Operation, overlapped: usize) {
        self.lock().under_way.insert(overlapped, operation);
    }

    /// The server goes to wait.
    pub(super) fn wait_begins(&self) {
        self.lock().waits = true;
        self.changed.notify_all();
    }

    /// The server's wait has brought the completions of these.
    pub(super) fn wait_ends(&self, completed: impl Iterator<Item = usize>) {
        let mut state = self.lock();
        state.waits = false;
        state.completions += completed.filter(|overlapped| state.under_way.remove(overlapped).is_some()).count() as u64;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counts at a moment at which the server is at rest: it waits, and has a recv under way on each of so many
    /// connections, and nothing else.
    pub(super) fn at_rest(&self, connections: usize) -> Result<Counts<N>, Error> {
        let is_busy = |state: &mut State| !state.is_at_rest(connections);
        let waited = self.changed.wait_timeout_while(self.lock(), PATIENCE, is_busy);
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            return Err(Error::failed(format!(
                "a server did not come to rest in {} seconds: {} operations are under way on {connections} connections",
                PATIENCE.as_secs(),
                state.under_way.len()
            )));
        }
        Ok(Counts {
            calls: array::from_fn(|function| self.calls[function].load(Ordering::Relaxed)),
            completions: state.completions,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn counts_are_taken_at_rest() {
        static COUNTERS: Counters<2> = Counters::new();
        COUNTERS.add(1);
        COUNTERS.operation_begins(Operation::Send, 16);
        COUNTERS.operation_begins(Operation::Recv, 32);
        COUNTERS.wait_begins();
        let server = thread::spawn(|| {
            COUNTERS.add(1);
            // Of the two one is known: the other may be a wake-up.
            COUNTERS.wait_ends([16, 0].into_iter());
            COUNTERS.wait_begins();
        });
        let before = COUNTERS.at_rest(1).expect("it comes to rest");
        server.join().expect("no panic");
        assert_eq!(before, Counts { calls: [0, 2], completions: 1 });
        COUNTERS.wait_ends([32].into_iter());
        COUNTERS.add(0);
        COUNTERS.wait_begins();
        let counted = COUNTERS.at_rest(0).expect("it is at rest") - before;
        assert_eq!(counted, Counts { calls: [1, 0], completions: 1 });
        COUNTERS.operation_begins(Operation::Recv, 48);
        COUNTERS.begin();
        COUNTERS.wait_begins();
        COUNTERS.at_rest(0).expect("a new server has nothing under way");
    }

    #[test]
    fn a_thread_is_counted_from_when_it_says_so() {
        assert!(!are_counted());
        let other = || {
            count_this_thread();
            are_counted()
        };
        assert!(thread::spawn(other).join().expect("no panic"));
        assert!(!are_counted());
    }
}

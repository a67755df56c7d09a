//! A table of host names in the place of the system's resolver, on every backend.

use crate::sys::UNKNOWN_HOST;
use crate::{Error, ErrorCode};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Host names that a test knows, with their addresses and ports.
#[derive(Default, Debug)]
pub struct Names {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default, Debug)]
struct State {
    /// `None`: whoever asks for it waits.
    known: HashMap<String, Option<Vec<SocketAddr>>>,
    asked: HashMap<String, usize>,
    /// Nobody waits any more.
    released: bool,
}

impl Names {
    /// A table with no name in it.
    pub fn new() -> Arc<Names> {
        Arc::default()
    }

    /// A name is that of these addresses; the port that is asked for does not matter.
    pub fn add(&self, name: &str, addresses: &[SocketAddr]) {
        self.lock().known.insert(name.into(), Some(addresses.to_vec()));
    }

    /// A resolver that is asked for this name says nothing, until [`release`](Names::release) is called.
    pub fn add_hanging(&self, name: &str) {
        self.lock().known.insert(name.into(), None);
    }

    /// A name is nobody's again.
    pub fn forget(&self, name: &str) {
        self.lock().known.remove(name);
    }

    /// Those who wait for a name that hangs are told that it is not known. (On the simulated network they wait for ever.)
    pub fn release(&self) {
        self.lock().released = true;
        self.changed.notify_all();
    }

    /// Waits until a resolver has been asked for this name so many times.
    pub fn wait_until_asked(&self, name: &str, times: usize) {
        let mut state = self.lock();
        while state.asked.get(name).copied().unwrap_or(0) < times {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(crate) fn unknown() -> Error {
        Error::with_os(ErrorCode::Unresolved, UNKNOWN_HOST)
    }

    /// What is known of a name now; `None` if that hangs.
    pub(crate) fn look_up(&self, name: &str) -> Option<Result<Vec<SocketAddr>, Error>> {
        let mut state = self.lock();
        *state.asked.entry(name.into()).or_default() += 1;
        self.changed.notify_all();
        state.answer(name)
    }

    /// The same for a thread that can wait.
    pub(crate) fn wait_for(&self, name: &str) -> Result<Vec<SocketAddr>, Error> {
        if let Some(known) = self.look_up(name) {
            return known;
        }
        let mut state = self.lock();
        while !state.released {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Err(Names::unknown())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn answer(&self, name: &str) -> Option<Result<Vec<SocketAddr>, Error>> {
        match self.known.get(name) {
            None => Some(Err(Names::unknown())),
            Some(None) => None,
            Some(Some(addresses)) => Some(Ok(addresses.clone())),
        }
    }
}

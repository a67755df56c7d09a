//! What the threads that serve a port's connects by host name share: who waits for what.

use super::dialler::{self, Reach};
use super::{Caller, HostName};
use crate::handle::SocketHandle;
use crate::lock::lock;
use crate::sys::net::Net;
use crate::sys::process;
use crate::{Error, ErrorCode, Socket};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Threads of one port that look names up, at most.
const MAX_LOOKUPS: usize = 8;
/// Names that wait for one of them, at most.
const MAX_WAITING: usize = 4096;

/// How a name is looked up.
pub(super) type Resolve = dyn Fn(&HostName, u16) -> Result<Vec<SocketAddr>, Error> + Send + Sync;

pub(super) struct Desk {
    state: Mutex<State>,
    /// Rung when there is a name to be looked up, and at the end.
    work: Condvar,
    resolve: Box<Resolve>,
}

#[derive(Default)]
struct State {
    /// The port is being deleted.
    closed: bool,
    /// Those who wait for a connection. Nothing else here is of the port.
    callers: HashMap<SocketHandle, Caller>,
    waiting: VecDeque<Lookup>,
    found: Vec<Found>,
    /// Threads that look names up, and those of them that do so now.
    threads: usize,
    busy: usize,
    dialler: Option<Reach>,
}

/// A name to be looked up.
struct Lookup {
    handle: SocketHandle,
    host: HostName,
    port: u16,
}

/// A name that has been looked up.
pub(super) struct Found {
    pub(super) handle: SocketHandle,
    pub(super) addresses: Result<Vec<SocketAddr>, Error>,
}

impl Desk {
    pub(super) fn new(resolve: Box<Resolve>) -> Desk {
        Desk { state: Mutex::default(), work: Condvar::new(), resolve }
    }

    /// Takes a connect on. Errors: `Closed`, `NoMemory`, `NoDescriptors`, `Limit` (too many names wait), `Os` (threads refused).
    pub(super) fn begin(
        self: &Arc<Self>,
        handle: SocketHandle,
        host: &HostName,
        port: u16,
        caller: Caller,
    ) -> Result<(), Error> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err(ErrorCode::Closed.into());
        }
        state.reserve()?;
        if state.dialler.is_none() {
            state.dialler = Some(dialler::start(self).map_err(|error| refusal(&error))?);
        }
        if let Some(address) = host.literal(port) {
            let mut addresses = Vec::new();
            addresses.try_reserve_exact(1).map_err(|_| ErrorCode::NoMemory)?;
            addresses.push(address);
            state.callers.insert(handle, caller);
            state.put_found(Found { handle, addresses: Ok(addresses) });
            return Ok(());
        }
        if state.waiting.len() == MAX_WAITING {
            return Err(ErrorCode::Limit.into());
        }
        self.start_thread(&mut state)?;
        state.callers.insert(handle, caller);
        state.waiting.push_back(Lookup { handle, host: *host, port });
        self.work.notify_one();
        Ok(())
    }

    /// Starts one more thread to look names up, if all are taken and there may be more. A refusal matters only if there is none.
    fn start_thread(self: &Arc<Self>, state: &mut State) -> Result<(), Error> {
        if state.waiting.len() < state.threads - state.busy || state.threads == MAX_LOOKUPS {
            return Ok(());
        }
        let desk = self.clone();
        match process::spawn_worker(format_args!("iocp-lookup-{}", state.threads), move || desk.look_up()) {
            // It goes by itself: nobody can wait for one whose resolver hangs.
            Ok(thread) => drop(thread),
            Err(error) if state.threads == 0 => return Err(refusal(&error)),
            Err(_) => return Ok(()),
        }
        state.threads += 1;
        Ok(())
    }

    /// Looks names up until the port is deleted. What is found for nobody is dropped.
    fn look_up(&self) {
        let mut state = lock(&self.state);
        while !state.closed {
            let Some(Lookup { handle, host, port }) = state.waiting.pop_front() else {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.busy += 1;
            drop(state);
            let addresses = (self.resolve)(&host, port);
            state = lock(&self.state);
            state.busy -= 1;
            if state.callers.contains_key(&handle) {
                state.put_found(Found { handle, addresses });
            }
        }
    }

    /// For the dialler: the next name that was looked up; `Some(None)` if there is none, after `forget` has been given who still
    /// waits, and `None` at the end.
    pub(super) fn next_found(&self, forget: impl FnOnce(&dyn Fn(SocketHandle) -> bool)) -> Option<Option<Found>> {
        let mut state = lock(&self.state);
        if state.closed {
            return None;
        }
        let found = state.found.pop();
        if found.is_none() {
            forget(&|handle| state.callers.contains_key(&handle));
        }
        Some(found)
    }

    /// For the dialler: tells who waits for this connection.
    pub(super) fn tell(&self, handle: SocketHandle, result: Result<Socket, Error>) {
        let caller = lock(&self.state).callers.remove(&handle);
        match caller {
            Some(caller) => caller.tell(handle, &Net::Os, result),
            None => result.into_iter().for_each(|socket| super::give_up(&Net::Os, socket)),
        }
    }

    /// Nobody waits for this connection any more.
    pub(super) fn cancel(&self, handle: SocketHandle) {
        let mut state = lock(&self.state);
        if state.callers.remove(&handle).is_some() {
            state.waiting.retain(|lookup| lookup.handle != handle);
            state.found.retain(|found| found.handle != handle);
            state.wake_dialler();
        }
    }

    /// The port is being deleted: nothing is taken on any more, and what is under way is given up when this returns, but for
    /// names: their resolver may hang.
    pub(super) fn close(&self) {
        let (callers, dialler) = {
            let mut state = lock(&self.state);
            state.closed = true;
            state.waiting.clear();
            state.found.clear();
            state.wake_dialler();
            (std::mem::take(&mut state.callers), state.dialler.take())
        };
        self.work.notify_all();
        drop(callers);
        if let Some(dialler) = dialler {
            dialler.join();
        }
    }
}

impl State {
    /// Room for one more of everything.
    fn reserve(&mut self) -> Result<(), Error> {
        self.callers.try_reserve(1).map_err(|_| ErrorCode::NoMemory)?;
        self.waiting.try_reserve(1).map_err(|_| ErrorCode::NoMemory)?;
        // Each who waits may have been found.
        let more = (self.callers.len() + 1).saturating_sub(self.found.len());
        self.found.try_reserve(more).map_err(|_| ErrorCode::NoMemory.into())
    }

    fn put_found(&mut self, found: Found) {
        self.found.push(found);
        self.wake_dialler();
    }

    fn wake_dialler(&self) {
        self.dialler.iter().for_each(Reach::wake);
    }
}

/// Why a thread was not started.
fn refusal(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::OutOfMemory => ErrorCode::NoMemory.into(),
        _ => error.raw_os_error().map_or_else(|| ErrorCode::Os.into(), Error::from_os),
    }
}

//! Listen sockets: what a port keeps of one, and how its accepts are rationed.
//!
//! The library accepts on a descriptor of its own, a duplicate: so the caller's number is free for the caller again at
//! the moment it is handed back, whatever the kernel still has pending.
//!
//! # Ends
//! A listener lives until `refs` is zero: one for each worker that still works on it, one for each connection taken
//! from the kernel whose accept callback has not returned. Whoever takes the last one away delivers the listener's
//! farewell; so it follows the return of the last accept callback.

use crate::handle::{Entry, Mailbox, SocketTable};
use crate::handler::Handler;
use crate::lock::lock;
use crate::planted::planted;
use crate::sys::net::{DuplicateListener, Identity};
use crate::sys::{Failure, ListenerKey, sort_accept_error};
use crate::{Error, ErrorCode, RawSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

/// The most accepts that one worker keeps pending for one listener, whatever its backlog.
const MAX_PENDING_ACCEPTS: u32 = 1024;
/// Accepts that fail in a row, each for the sake of its own connection, before a listener pauses: one that can take none
/// at all must not spin.
const MAX_PASSING_FAILURES: u32 = 64;
/// The first and the longest pause after an accept for which descriptors or memory were short.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

static NEXT_ID: AtomicU64 = AtomicU64::new(1);
/// Every listener of the process, to be found by its id: for a number that comes back as another socket's.
static LISTENERS: Mutex<Vec<Weak<ListenerCore>>> = Mutex::new(Vec::new());

/// Why a listener ends, and what becomes of the caller's descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ListenerEnd {
    /// Handed back.
    Removed,
    /// The port is deleted: closed.
    Deleted,
    /// The number is another socket's: left alone.
    Foreign,
    /// Accepting failed for good: closed.
    Failed(Error),
}

impl ListenerEnd {
    pub(crate) fn reason(self) -> Result<(), Error> {
        match self {
            ListenerEnd::Removed => Ok(()),
            ListenerEnd::Deleted => Err(ErrorCode::Cancelled.into()),
            ListenerEnd::Foreign => Err(ErrorCode::ForeignClose.into()),
            ListenerEnd::Failed(error) => Err(error),
        }
    }
}

/// The part of a listener that is the same whatever the handler's types are.
#[derive(Debug)]
pub(crate) struct ListenerCore {
    pub(crate) id: u64,
    /// The caller's descriptor.
    pub(crate) socket: RawSocket,
    /// The library's own, for accepts.
    pub(crate) own: RawSocket,
    pub(crate) identity: Identity,
    /// Accepts are made on readiness: the open file has to be nonblocking.
    nonblocking: bool,
    /// This one makes the open file blocking again when it is handed back.
    restores_blocking: AtomicBool,
    backlog: AtomicUsize,
    end: Mutex<Option<ListenerEnd>>,
    /// Set after `end`, for a look without the lock.
    ended: AtomicBool,
    mailboxes: Vec<Arc<Mailbox>>,
}

impl ListenerCore {
    /// Enters a listener of these workers into the process's list.
    pub(crate) fn register(
        socket: RawSocket,
        own: DuplicateListener,
        nonblocking: bool,
        identity: Identity,
        backlog: usize,
        mailboxes: Vec<Arc<Mailbox>>,
    ) -> Result<Arc<ListenerCore>, Error> {
        let mut listeners = lock(&LISTENERS);
        listeners.retain(|listener| listener.strong_count() != 0);
        listeners.try_reserve(1).map_err(|_| ErrorCode::NoMemory)?;
        let core = Arc::new(ListenerCore {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            socket,
            own: own.socket,
            identity,
            nonblocking,
            restores_blocking: AtomicBool::new(own.made_nonblocking),
            backlog: AtomicUsize::new(backlog),
            end: Mutex::new(None),
            ended: AtomicBool::new(false),
            mailboxes,
        });
        listeners.push(Arc::downgrade(&core));
        Ok(core)
    }

    /// The listener of this id, of whatever port.
    pub(crate) fn find(id: u64) -> Option<Arc<ListenerCore>> {
        lock(&LISTENERS).iter().filter_map(Weak::upgrade).find(|listener| listener.id == id)
    }

    /// Whether the open file has to be made blocking again now that this listener leaves it. If another one of this
    /// library accepts on the same open file, the duty goes over to that one.
    pub(crate) fn must_restore_blocking(&self) -> bool {
        let listeners = lock(&LISTENERS);
        if !self.restores_blocking.swap(false, Ordering::Relaxed) {
            return false;
        }
        let shares = |other: &Arc<ListenerCore>| {
            other.id != self.id && other.identity == self.identity && other.nonblocking && !other.has_ended()
        };
        let heir = listeners.iter().filter_map(Weak::upgrade).find(shares);
        heir.as_ref().is_none_or(|heir| {
            heir.restores_blocking.store(true, Ordering::Relaxed);
            false
        })
    }

    /// Begins the end; false if it has begun already. `then` runs when it is certain that no accept will be started any
    /// more.
    pub(crate) fn begin_end(&self, how: ListenerEnd, then: impl FnOnce()) -> bool {
        {
            let mut end = lock(&self.end);
            if end.is_some() {
                return false;
            }
            *end = Some(how);
            self.ended.store(true, Ordering::Release);
            then();
        }
        if how == ListenerEnd::Removed {
            SocketTable::leave(self.socket, Entry::Listener(self.id));
        }
        self.notify();
        true
    }

    /// Starts an accept, unless the end has begun: then `None`.
    pub(crate) fn unless_ended<R>(&self, start: impl FnOnce() -> R) -> Option<R> {
        let end = lock(&self.end);
        end.is_none().then(start)
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub(crate) fn end(&self) -> Option<ListenerEnd> {
        *lock(&self.end)
    }

    pub(crate) fn set_backlog(&self, backlog: usize) {
        self.backlog.store(backlog, Ordering::Relaxed);
        self.notify();
    }

    fn notify(&self) {
        for mailbox in &self.mailboxes {
            mailbox.listeners_changed();
        }
    }
}

/// A port's listener.
pub(crate) struct Listener<H: Handler> {
    pub(crate) core: Arc<ListenerCore>,
    pub(crate) state: H::Listener,
    /// See the head of this file.
    refs: AtomicUsize,
    /// For each worker: connections that it has taken and that no accept callback has been given yet.
    untold: Box<[AtomicU32]>,
    /// For each worker: whether it has met the listener. It gives its reference up once, though it may leave long
    /// before the listener is forgotten.
    met: Box<[AtomicBool]>,
    /// Whether one worker accepts for all; else each takes its share of the backlog.
    pinned_to: Option<usize>,
}

impl<H: Handler> Listener<H> {
    pub(crate) fn new(
        core: Arc<ListenerCore>,
        state: H::Listener,
        workers: usize,
        pinned_to: Option<usize>,
    ) -> Listener<H> {
        let untold = (0..workers).map(|_| AtomicU32::new(0)).collect();
        let met = (0..workers).map(|_| AtomicBool::new(false)).collect();
        Listener { core, state, refs: AtomicUsize::new(workers), untold, met, pinned_to }
    }

    /// Whether this worker accepts for the listener at all.
    pub(crate) fn is_served_by(&self, worker: usize) -> bool {
        self.pinned_to.is_none_or(|pinned| pinned == worker)
    }

    /// How many more accepts this worker may have pending, beside those it has.
    fn allowance(&self, worker: usize, pending: u32) -> u32 {
        let backlog = self.core.backlog.load(Ordering::Relaxed);
        let workers = self.untold.len();
        let share = match self.pinned_to {
            None => backlog / workers + usize::from(worker < backlog % workers),
            Some(_) if self.is_served_by(worker) => backlog,
            Some(_) => 0,
        };
        let share = u32::try_from(share).unwrap_or(u32::MAX).min(MAX_PENDING_ACCEPTS);
        share.saturating_sub(pending).saturating_sub(self.untold[worker].load(Ordering::Acquire))
    }

    /// A worker meets the listener; false if it has before.
    pub(crate) fn meet(&self, worker: usize) -> bool {
        !self.met[worker].swap(true, Ordering::Relaxed)
    }

    /// A worker has taken a connection.
    pub(crate) fn taken(&self, worker: usize) {
        self.untold[worker].fetch_add(1, Ordering::AcqRel);
        self.refs.fetch_add(1, Ordering::AcqRel);
    }

    /// A connection that `origin` took is given to its accept callback; `origin` may take another.
    pub(crate) fn told(&self, origin: usize, teller: usize) {
        if planted!(ToldForgotten) {
            return;
        }
        let before = self.untold[origin].fetch_sub(1, Ordering::AcqRel);
        debug_assert!(before != 0, "more connections told than taken");
        if origin != teller {
            self.core.mailboxes[origin].listeners_changed();
        }
    }

    /// Gives up one ref; true for the last.
    pub(crate) fn unref(&self) -> bool {
        self.refs.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

/// What an accept's failure means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AcceptFailure {
    /// The connection, if any, went away again: accept the next one.
    Passing,
    /// Something is short: pause.
    Shortage,
    /// The listener cannot be used any more.
    Fatal(Error),
}

/// Sorts the failures of accepts.
pub(crate) fn sort_failure(failure: Failure) -> AcceptFailure {
    match failure {
        Failure::Again | Failure::Cancelled => AcceptFailure::Passing,
        Failure::NoBuffer | Failure::Shortage => AcceptFailure::Shortage,
        Failure::Os(os) => sort_accept_error(os),
        Failure::File(_) | Failure::FileEnded => unreachable!("an accept reads no file"),
    }
}

/// One worker's work on one listener.
pub(crate) struct Accepting<H: Handler> {
    pub(crate) listener: Arc<Listener<H>>,
    pub(crate) key: ListenerKey,
    /// Accepts with the kernel.
    pending: u32,
    /// The end has begun here: the kernel has been asked to give the pending ones up.
    cancelled: bool,
    /// By the worker's clock.
    paused_until: Option<Duration>,
    pause: Duration,
    /// Accepts that have failed since the last connection or pause.
    failures: u32,
}

impl<H: Handler> Accepting<H> {
    pub(crate) fn new(listener: Arc<Listener<H>>, key: ListenerKey) -> Accepting<H> {
        Accepting { listener, key, pending: 0, cancelled: false, paused_until: None, pause: FIRST_PAUSE, failures: 0 }
    }

    /// Whether another accept is to be started now. `one_is_enough`: the backend tells of a connection, it does not
    /// take it.
    pub(crate) fn wants_accept(&self, worker: usize, one_is_enough: bool) -> bool {
        let ended = self.cancelled || self.listener.core.has_ended();
        let enough = one_is_enough && self.pending != 0;
        !ended && !enough && self.paused_until.is_none() && self.listener.allowance(worker, self.pending) != 0
    }

    pub(crate) fn is_pending(&self) -> bool {
        self.pending != 0
    }

    pub(crate) fn started(&mut self) {
        self.pending += 1;
    }

    pub(crate) fn ended(&mut self) {
        assert!(self.pending != 0, "a completion of no accept");
        self.pending -= 1;
    }

    /// A connection was taken: shortages are over.
    pub(crate) fn succeeded(&mut self) {
        self.pause = FIRST_PAUSE;
        self.failures = 0;
    }

    /// An accept failed with its connection; true if so many have that a pause is due.
    pub(crate) fn failed_again(&mut self) -> bool {
        self.failures += 1;
        self.failures >= MAX_PASSING_FAILURES
    }

    /// Pauses, longer each time; true if it was not paused already.
    pub(crate) fn pause(&mut self, now: Duration) -> bool {
        if self.paused_until.is_some() {
            return false;
        }
        self.failures = 0;
        self.paused_until = Some(now + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        true
    }

    /// Goes on: the pause is over, or a descriptor was freed.
    pub(crate) fn resume(&mut self) {
        self.paused_until = None;
    }

    pub(crate) fn paused_until(&self) -> Option<Duration> {
        self.paused_until
    }

    /// Whether the pending accepts are to be cancelled now.
    pub(crate) fn start_cancel(&mut self) -> bool {
        let now = self.listener.core.has_ended() && !self.cancelled;
        self.cancelled |= now;
        now && self.pending != 0
    }

    /// The pending accepts are over at once.
    pub(crate) fn give_up(&mut self) {
        self.pending = 0;
    }

    /// Whether this worker has done with the listener.
    pub(crate) fn is_over(&self) -> bool {
        self.cancelled && self.pending == 0
    }
}

//! What a port's workers and callers share.

use crate::connects::Connects;
use crate::handle::{Mailbox, PortNumber, Queue, Slots, is_inside};
use crate::handler::Handler;
use crate::hosts::Hosts;
use crate::listener::{Listener, ListenerEnd};
use crate::lock::lock;
use crate::options::Options;
use crate::planted::planted;
use crate::shutdown::Shutdown;
use crate::statistics::{Counter, Counters, Statistics};
use crate::sys::net::Net;
use crate::sys::process::{self, Thread};
use crate::trace::traced;
use crate::worker::{Turn, Unplaced, Worker, guarded};
use crate::{BackendKind, Error, ErrorCode};
use std::collections::VecDeque;
use std::fmt;
#[cfg(unix)]
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;

/// What others need of a worker.
pub(crate) struct WorkerShared<H: Handler> {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) slots: Slots<H>,
    pub(crate) counters: Counters,
    pub(crate) connects: Arc<Connects>,
    /// Sockets that the port's end has aborted.
    pub(crate) aborted: Counter,
    /// Sockets given to this worker so far.
    assigned: AtomicUsize,
}

impl<H: Handler> WorkerShared<H> {
    pub(crate) fn new(mailbox: Arc<Mailbox>, slots: Slots<H>) -> WorkerShared<H> {
        WorkerShared {
            mailbox,
            slots,
            counters: Counters::default(),
            connects: Arc::default(),
            aborted: Counter::default(),
            assigned: AtomicUsize::new(0),
        }
    }

    fn add_to(&self, statistics: &mut Statistics) {
        statistics.workers_now += 1;
        statistics.sockets_now += self.slots.live() as u64;
        statistics.wakeups += self.mailbox.wakeups();
        self.counters.add_to(statistics);
    }
}

/// The port behind its handles.
pub(crate) struct Shared<H: Handler> {
    pub(crate) number: PortNumber<Worker<H>>,
    /// Taken only when this is dropped, so that a panic in its drop can be caught.
    handler: Option<H>,
    pub(crate) options: Options,
    /// What is counted of the async sends outstanding.
    pub(crate) queue: Queue,
    pub(crate) net: Net,
    /// Connects by host name.
    pub(crate) hosts: Hosts,
    pub(crate) kind: BackendKind,
    /// Why a better backend was passed over.
    pub(crate) reason: String,
    pub(crate) workers: Box<[WorkerShared<H>]>,
    /// The pollable descriptor of a driven port, open for as long as anybody can ask for it.
    #[cfg(unix)]
    pub(crate) pollable: Option<OwnedFd>,
    closing: AtomicBool,
    pub(crate) shutdown: Shutdown,
    pub(crate) listeners: Mutex<Vec<Arc<Listener<H>>>>,
    /// Connected sockets; counted only if they are limited.
    admitted: AtomicUsize,
    /// Connections taken from the kernel that wait for the number of sockets to fall below its limit, the first taken first.
    waiting: Mutex<VecDeque<Unplaced<H>>>,
    /// How many they are.
    waiting_count: AtomicUsize,
    /// A listener waits for the number of sockets to fall below its limit.
    waits_for_room: AtomicBool,
    /// A listener waits for a descriptor or for memory.
    waits_for_descriptor: AtomicBool,
    /// How often listeners that waited for a descriptor were told of one.
    descriptors_freed: AtomicUsize,
    pub(crate) threads: Mutex<Vec<Thread>>,
    /// The workers of a port that its caller drives, one but for tests; `None` for each that is over.
    driven: Mutex<Vec<Option<Box<Worker<H>>>>>,
}

impl<H: Handler> fmt::Debug for Shared<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shared(port {})", self.number.get())
    }
}

impl<H: Handler> Drop for Shared<H> {
    fn drop(&mut self) {
        // Nobody is left to count a panic for.
        let _ = guarded(|| drop(self.handler.take()));
    }
}

/// The parts of a new port.
pub(crate) struct Parts<H: Handler> {
    pub(crate) number: PortNumber<Worker<H>>,
    pub(crate) handler: H,
    pub(crate) options: Options,
    pub(crate) net: Net,
    pub(crate) kind: BackendKind,
    pub(crate) reason: String,
    pub(crate) workers: Box<[WorkerShared<H>]>,
    #[cfg(unix)]
    pub(crate) pollable: Option<OwnedFd>,
}

impl<H: Handler> Shared<H> {
    pub(crate) fn new(parts: Parts<H>) -> Shared<H> {
        Shared {
            number: parts.number,
            handler: Some(parts.handler),
            queue: Queue::new(&parts.options),
            hosts: Hosts::new(&parts.options, &parts.net),
            options: parts.options,
            net: parts.net,
            kind: parts.kind,
            reason: parts.reason,
            workers: parts.workers,
            #[cfg(unix)]
            pollable: parts.pollable,
            closing: AtomicBool::new(false),
            shutdown: Shutdown::new(),
            listeners: Mutex::new(Vec::new()),
            admitted: AtomicUsize::new(0),
            waiting: Mutex::new(VecDeque::new()),
            waiting_count: AtomicUsize::new(0),
            waits_for_room: AtomicBool::new(false),
            waits_for_descriptor: AtomicBool::new(false),
            descriptors_freed: AtomicUsize::new(0),
            threads: Mutex::new(Vec::new()),
            driven: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn handler(&self) -> &H {
        self.handler.as_ref().expect("it stays until the drop")
    }

    // ---- workers and sockets ----

    /// The worker for a new socket: the one that was given the fewest so far, `preferred` among equals.
    pub(crate) fn choose_worker(&self, preferred: usize) -> usize {
        let assigned = |worker: usize| self.workers[worker].assigned.load(Ordering::Relaxed);
        let fewest =
            (0..self.workers.len()).min_by_key(|worker| (assigned(*worker), *worker != preferred)).unwrap_or(0);
        self.workers[fewest].assigned.fetch_add(1, Ordering::Relaxed);
        fewest
    }

    /// Counts one more socket that may come, unless the limit is reached.
    pub(crate) fn admit(&self) -> bool {
        let limit = self.options.max_sockets;
        if !self.is_limited() {
            return true;
        }
        let more = |admitted| (admitted < limit).then_some(admitted + 1);
        if self.admitted.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok() {
            return true;
        }
        self.waits_for_room.store(true, Ordering::SeqCst);
        // One may have gone between the count and the note.
        self.admitted.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok()
    }

    pub(crate) fn is_limited(&self) -> bool {
        self.options.max_sockets != usize::MAX
    }

    /// Keeps a connection until there is room; it comes back if memory is refused. The backlog bounds their number.
    pub(crate) fn wait_for_room(&self, unplaced: Unplaced<H>) -> Option<Unplaced<H>> {
        let mut waiting = lock(&self.waiting);
        if waiting.try_reserve(1).is_err() {
            return Some(unplaced);
        }
        waiting.push_back(unplaced);
        self.waiting_count.store(waiting.len(), Ordering::SeqCst);
        None
    }

    pub(crate) fn somebody_waits_for_room(&self) -> bool {
        self.waiting_count.load(Ordering::SeqCst) != 0
    }

    pub(crate) fn next_for_room(&self) -> Option<Unplaced<H>> {
        let mut waiting = lock(&self.waiting);
        let next = waiting.pop_front();
        self.waiting_count.store(waiting.len(), Ordering::SeqCst);
        next
    }

    /// Whether another accept may be started. One that is refused here is told when there is room.
    pub(crate) fn has_room(&self) -> bool {
        let fits = || self.admitted.load(Ordering::SeqCst) < self.options.max_sockets;
        let below = || fits() && !self.somebody_waits_for_room();
        if below() {
            return true;
        }
        self.waits_for_room.store(true, Ordering::SeqCst);
        below()
    }

    /// One admitted has gone, or did not come.
    pub(crate) fn discharge(&self) {
        if self.is_limited() && !planted!(RoomForgotten) {
            self.admitted.fetch_sub(1, Ordering::SeqCst);
            if self.waits_for_room.load(Ordering::SeqCst) && self.waits_for_room.swap(false, Ordering::SeqCst) {
                self.notify_listeners();
            }
        }
    }

    /// A socket has gone, its descriptor with it.
    pub(crate) fn socket_gone(&self) {
        self.discharge();
        let waits = &self.waits_for_descriptor;
        if waits.load(Ordering::SeqCst) && waits.swap(false, Ordering::SeqCst) {
            self.descriptors_freed.fetch_add(1, Ordering::SeqCst);
            self.notify_listeners();
        }
    }

    pub(crate) fn listener_paused(&self) {
        self.waits_for_descriptor.store(true, Ordering::SeqCst);
    }

    pub(crate) fn descriptors_freed(&self) -> usize {
        self.descriptors_freed.load(Ordering::SeqCst)
    }

    // ---- listeners ----

    /// On readiness an accept takes nothing by waiting: one at a time is enough.
    pub(crate) fn one_accept_is_enough(&self) -> bool {
        self.kind == BackendKind::Readiness
    }

    /// The one worker that accepts for a listener, where one has to do it for all: on readiness there is no need for more,
    /// and a completion port takes a socket once.
    pub(crate) fn worker_of_listener(&self, id: u64) -> Option<usize> {
        matches!(self.kind, BackendKind::Readiness | BackendKind::Iocp).then(|| id as usize % self.workers.len())
    }

    /// Whether tying a socket to its worker's backend shows that it was in no port before.
    pub(crate) fn association_tells_newcomers(&self) -> bool {
        self.kind == BackendKind::Iocp
    }

    /// Lists a listener; `Closed` if the port is ending.
    pub(crate) fn enlist(&self, listener: Arc<Listener<H>>) -> Result<(), Error> {
        {
            let mut listeners = lock(&self.listeners);
            if self.is_closing() || self.shutdown.has_begun() {
                return Err(ErrorCode::Closed.into());
            }
            listeners.try_reserve(1).map_err(|_| ErrorCode::NoMemory)?;
            listeners.push(listener);
        }
        self.notify_listeners();
        Ok(())
    }

    pub(crate) fn listener(&self, id: u64) -> Option<Arc<Listener<H>>> {
        lock(&self.listeners).iter().find(|listener| listener.core.id == id).cloned()
    }

    /// A listener that a worker has not met yet; it has now.
    pub(crate) fn meet_listener(&self, worker: usize) -> Option<Arc<Listener<H>>> {
        lock(&self.listeners).iter().find(|listener| listener.meet(worker)).cloned()
    }

    pub(crate) fn forget_listener(&self, id: u64) {
        lock(&self.listeners).retain(|listener| listener.core.id != id);
        if self.shutdown.has_begun() {
            // What comes after the last of them is for every worker.
            self.notify_listeners();
        }
    }

    fn notify_listeners(&self) {
        for worker in &self.workers {
            worker.mailbox.listeners_changed();
        }
    }

    // ---- the end ----

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Refuses new work and tells the workers to end everything.
    pub(crate) fn begin_deletion(&self) {
        let begins = {
            let listeners = lock(&self.listeners);
            // Before the flag: a worker that sees the flag has heard of every listener's end.
            for listener in listeners.iter() {
                listener.core.begin_end(ListenerEnd::Deleted, || {});
            }
            !self.closing.swap(true, Ordering::SeqCst)
        };
        if begins {
            traced!(INFO, "port deleted", port = self.number.get());
        }
        self.hosts.close();
        self.look();
    }

    /// Makes every worker look at the flags.
    pub(crate) fn look(&self) {
        for worker in &self.workers {
            worker.mailbox.look();
        }
    }

    pub(crate) fn keep_thread(&self, thread: Thread) {
        lock(&self.threads).push(thread);
    }

    pub(crate) fn keep_driven(&self, worker: Box<Worker<H>>) {
        lock(&self.driven).push(Some(worker));
    }

    /// The whole of deletion; see `Port::delete`.
    pub(crate) fn delete(self: &Arc<Self>) {
        self.begin_deletion();
        if self.options.threads == Some(0) {
            return self.delete_driven();
        }
        let threads = std::mem::take(&mut *lock(&self.threads));
        if is_inside() {
            // The threads go on by themselves; each holds the port until it ends.
            return;
        }
        threads.into_iter().for_each(Thread::join);
    }

    fn delete_driven(self: &Arc<Self>) {
        if !is_inside() {
            return self.drive_to_the_end();
        }
        if matches!(self.driven.try_lock(), Err(TryLockError::WouldBlock)) {
            // A run is in progress, perhaps around this very callback: it goes on to the end.
            return;
        }
        let port = self.clone();
        let finish = move || port.drive_to_the_end();
        if process::spawn_worker(format_args!("iocp-delete"), finish).is_err() {
            // No thread for it: then here, within the callback of the other port.
            self.drive_to_the_end();
        }
    }

    pub(crate) fn drive_to_the_end(&self) {
        let mut driven = lock(&self.driven);
        // Several on one thread take turns, since one may wait for another.
        let patience = (driven.len() > 1).then_some(Duration::ZERO);
        while driven.iter().any(Option::is_some) {
            for place in driven.iter_mut() {
                match place.as_ref().map(|worker| worker.run_driven(patience)) {
                    None | Some(Turn::GoOn) => {}
                    Some(Turn::Over) => *place = None,
                    Some(Turn::Forked) => return,
                }
            }
        }
    }

    /// One run of one of the workers of a port that its caller drives.
    #[cfg(feature = "sim")]
    pub(crate) fn step(&self, worker: usize, timeout: Option<Duration>) -> Result<(), Error> {
        self.run_once(worker, timeout)
    }

    /// One run of a driven port. If the port is deleted meanwhile, the run goes on to the end: whoever called delete
    /// may have left it to this run.
    pub(crate) fn run(&self, timeout: Option<Duration>) -> Result<(), Error> {
        if self.options.threads != Some(0) {
            let code = if self.is_closing() { ErrorCode::Closed } else { ErrorCode::WrongContext };
            return Err(code.into());
        }
        self.run_once(0, timeout)?;
        // Looked at when the lock is free again: a delete that found it taken has set the flag before.
        while self.is_closing() {
            if let Err(error) = self.run_once(0, None) {
                let over = matches!(error.code(), ErrorCode::Closed | ErrorCode::Busy);
                return if over { Ok(()) } else { Err(error) };
            }
        }
        Ok(())
    }

    /// Errors: `Busy` (a run is in progress), `Closed` (the port is over).
    fn run_once(&self, at: usize, timeout: Option<Duration>) -> Result<(), Error> {
        let mut driven = match self.driven.try_lock() {
            Ok(driven) => driven,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(ErrorCode::Busy.into()),
        };
        let place = driven.get_mut(at).ok_or(ErrorCode::Closed)?;
        let worker = place.as_ref().ok_or(ErrorCode::Closed)?;
        match worker.run_driven(timeout) {
            Turn::GoOn => Ok(()),
            Turn::Over => {
                *place = None;
                Ok(())
            }
            Turn::Forked => Err(ErrorCode::Closed.into()),
        }
    }

    pub(crate) fn statistics(&self) -> Statistics {
        let mut statistics = Statistics { listeners_now: lock(&self.listeners).len() as u64, ..Statistics::default() };
        self.workers.iter().for_each(|worker| worker.add_to(&mut statistics));
        statistics
    }

    /// Those of one worker; `None` for a number that none has.
    pub(crate) fn worker_statistics(&self, index: usize) -> Option<Statistics> {
        let mut statistics = Statistics::default();
        self.workers.get(index)?.add_to(&mut statistics);
        let served = lock(&self.listeners).iter().filter(|listener| listener.is_served_by(index)).count();
        statistics.listeners_now = served as u64;
        Some(statistics)
    }
}

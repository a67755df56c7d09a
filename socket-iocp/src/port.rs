//! The port: what a program holds and calls.

use crate::datagrams::Kind;
use crate::handle::{Control, Entry, Slot, SocketHandle, SocketTable, resolve};
use crate::handler::Handler;
use crate::listener::{ListenerCore, ListenerEnd};
use crate::shared::Shared;
use crate::time::Limit;
use crate::trace::traced;
use crate::worker::Worker;
use crate::{
    BackendKind, Ended, Error, ErrorCode, Options, RawSocket, ReadBuffer, SendBuffer, Socket, Statistics, sys,
};
use std::fmt;
use std::ops::Deref;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

/// A send that was not accepted: nothing was queued, everything comes back.
#[derive(Debug)]
pub struct Rejected<W, B = SendBuffer> {
    /// Why.
    pub error: Error,
    /// The buffer given; `()` where the bytes stay with the caller.
    pub buffer: B,
    /// The state given.
    pub write: W,
}

/// A socket that was not added: it is as it was, and comes back with its state.
#[derive(Debug)]
pub struct NotAdded<S> {
    /// Why.
    pub error: Error,
    /// The socket given, still open.
    pub socket: Socket,
    /// The state given.
    pub state: S,
}

/// Names a listen socket of a port. It stays safe to use when the listener is gone: then it is `Closed`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ListenerHandle(pub(crate) u64);

/// A port and its worker threads. Dropping it deletes the port as [`Port::delete`] does.
///
/// It dereferences to [`PortHandle`], which has the calls and can be cloned.
pub struct Port<H: Handler> {
    handle: PortHandle<H>,
    /// Its end has been seen to: dropping it does nothing more.
    ends_by_itself: bool,
}

/// A reference to a port, to be cloned and sent to any thread. It keeps nothing running: after the port's deletion
/// every call is [`ErrorCode::Closed`](crate::ErrorCode::Closed).
pub struct PortHandle<H: Handler> {
    shared: Arc<Shared<H>>,
}

impl<H: Handler> Port<H> {
    /// Makes a port; its workers are running when this returns.
    ///
    /// Errors: `BufferSize`, `InvalidArgument` (an option or an environment variable out of its range),
    /// `BackendUnavailable` (the backend forced by an option or the environment is not to be had), `NoMemory`,
    /// `NoDescriptors`, `Os` (threads refused), `Closed` (in a forked child of a process that used the library).
    pub fn new(handler: H, options: Options) -> Result<Port<H>, Error> {
        let handle = PortHandle { shared: crate::open::open(handler, options)? };
        Ok(Port { handle, ends_by_itself: false })
    }

    /// Refuses new work, aborts every socket, delivers every completion and every farewell, joins the workers, frees
    /// everything, returns. From inside a callback, of any port, it returns at once and the last worker finishes. What
    /// a [`PortHandle`] kept elsewhere refers to is freed with it.
    pub fn delete(self) {}

    /// Ends the port gracefully: begins as [`PortHandle::begin_shutdown`] does, waits until every connection has finished or the
    /// deadline, `within` from now, has come, aborts those that are left, and then is as [`delete`](Port::delete). Says how many
    /// of each there were.
    ///
    /// A connection has finished when it has bidden farewell, for whatever reason: it was closed or removed by the program or
    /// as idle, aborted by the program, reset by its peer. With a `within` of zero it is a delete that counts. Another thread
    /// can bring the deadline nearer by [`PortHandle::begin_shutdown`]: of several the earliest counts.
    ///
    /// A port made with [`Options::threads`]`(0)` is driven by this call, on this thread, when a run in progress has returned.
    ///
    /// From inside a callback, of any port, it begins and returns at once, with those still there as
    /// [`pending`](Ended::pending); the workers finish. A port made with `threads(0)` goes on being driven by its caller's runs
    /// then, until [`run`](PortHandle::run) is `Closed`.
    pub fn shutdown(mut self, within: Duration) -> Ended {
        if sys::process::is_forked_child() {
            return Ended::default();
        }
        self.handle.shared.shut_down(within);
        self.ends_by_itself = true;
        self.handle.shared.ended()
    }
}

impl<H: Handler> Drop for Port<H> {
    fn drop(&mut self) {
        // In a forked child there are no workers to join, and locks may be held for ever.
        if !self.ends_by_itself && !sys::process::is_forked_child() {
            self.handle.shared.delete();
        }
    }
}

impl<H: Handler> fmt::Debug for Port<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Port({})", self.handle.shared.number.get())
    }
}

impl<H: Handler> Deref for Port<H> {
    type Target = PortHandle<H>;
    fn deref(&self) -> &PortHandle<H> {
        &self.handle
    }
}

impl<H: Handler> Clone for PortHandle<H> {
    fn clone(&self) -> Self {
        PortHandle { shared: self.shared.clone() }
    }
}

impl<H: Handler> fmt::Debug for PortHandle<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PortHandle({})", self.shared.number.get())
    }
}

impl<H: Handler> PortHandle<H> {
    pub(crate) fn new(shared: Arc<Shared<H>>) -> PortHandle<H> {
        PortHandle { shared }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<H>> {
        &self.shared
    }

    /// Every call starts here.
    pub(crate) fn enter(&self) -> Result<&Shared<H>, Error> {
        if sys::process::is_forked_child() { Err(ErrorCode::Closed.into()) } else { Ok(&self.shared) }
    }

    /// The slot of a handle; and its worker, if the current thread is that worker.
    pub(crate) fn with_slot<R>(
        &self,
        socket: SocketHandle,
        body: impl FnOnce(&Shared<H>, &'static Slot<H>, Place<'_, H>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let shared = self.enter()?;
        let (slot, worker) = resolve::<H>(shared.number.get(), socket)?;
        let done = shared.number.worker(|here| match here {
            Some(here) if here.index() == worker && !here.is_looking() => body(shared, slot, Place::Here(here)),
            _ => body(shared, slot, Place::Elsewhere(worker)),
        });
        // A generation that has not been yet: nobody was ever given this handle.
        done.map_err(|error| match error.code() {
            ErrorCode::Closed if socket.generation() > slot.head.word.generation() => ErrorCode::BadHandle.into(),
            _ => error,
        })
    }

    pub(crate) fn control(&self, socket: SocketHandle, control: Control) -> Result<(), Error> {
        let generation = socket.generation();
        self.with_slot(socket, |shared, slot, place| match place {
            Place::Here(worker) => worker.control(slot, generation, control),
            Place::Elsewhere(worker) => slot.head.post_control(generation, control, &shared.workers[worker].mailbox),
        })
    }

    /// The handle of a socket in this port, by its number. From the accept callback to the end of the farewell.
    pub fn find(&self, socket: RawSocket) -> Option<SocketHandle> {
        let shared = self.enter().ok()?;
        match SocketTable::get(socket)? {
            Entry::Socket(handle) => resolve::<H>(shared.number.get(), handle).ok().map(|_| handle),
            Entry::Listener(_) => None,
        }
    }

    /// The handle of a listen socket in this port, by its number.
    pub fn find_listener(&self, socket: RawSocket) -> Option<ListenerHandle> {
        let shared = self.enter().ok()?;
        match SocketTable::get(socket)? {
            Entry::Socket(_) => None,
            Entry::Listener(id) => shared.listener(id).map(|_| ListenerHandle(id)),
        }
    }

    /// Issues a recv: one recv callback comes of it. Errors: `Busy` (one is outstanding), `Eof`, `Closed`,
    /// `WrongPort`, `BadHandle`.
    pub fn recv(&self, socket: SocketHandle) -> Result<(), Error> {
        self.issue_recv(socket, Limit::NONE)
    }

    /// As [`recv`](PortHandle::recv), for so long at most: if nothing has come by then, the recv callback says
    /// [`ErrorCode::TimedOut`], and the socket goes on. Bytes that came before it was cancelled are reported as bytes. It is
    /// never over early, and mostly some milliseconds late; more if callbacks hold the worker up.
    ///
    /// Errors: as [`recv`](PortHandle::recv); `InvalidArgument` (longer than [`MAX_TIME_LIMIT`](crate::MAX_TIME_LIMIT)).
    pub fn recv_within(&self, socket: SocketHandle, time: Duration) -> Result<(), Error> {
        self.issue_recv(socket, Limit::after(time)?)
    }

    fn issue_recv(&self, socket: SocketHandle, limit: Limit) -> Result<(), Error> {
        let generation = socket.generation();
        self.with_slot(socket, |shared, slot, place| match place {
            Place::Here(worker) => worker.issue_recv(slot, generation, limit),
            Place::Elsewhere(worker) => slot.post_recv(generation, limit, &shared.workers[worker].mailbox),
        })?;
        traced!(TRACE, "recv issued", port = self.shared.number.get(), handle = socket.into_raw());
        Ok(())
    }

    /// Half-close: sends FIN after what is queued. A later send is `Shutdown`.
    ///
    /// Errors: `Shutdown` (done already), `NotStream` (a datagram socket has no FIN), `Closed`, `WrongPort`, `BadHandle`.
    pub fn shutdown_send(&self, socket: SocketHandle) -> Result<(), Error> {
        self.require(socket, Kind::Stream)?;
        self.control(socket, Control::ShutdownSend)
    }

    /// Graceful close: refuses new operations, cancels the recv, sends what is queued, then FIN, then reads and
    /// discards until the peer's FIN or the linger limit; then the farewell.
    ///
    /// Errors: `Closed` (ending already), `WrongPort`, `BadHandle`.
    pub fn close(&self, socket: SocketHandle) -> Result<(), Error> {
        self.control(socket, Control::Close)
    }

    /// Abortive close: the peer sees a reset. Overrides a close under way.
    ///
    /// Errors: `Closed`, `WrongPort`, `BadHandle`.
    pub fn abort(&self, socket: SocketHandle) -> Result<(), Error> {
        self.control(socket, Control::Abort)
    }

    /// Takes a socket out of the port: cancels all; the farewell hands the socket back, open. A recv that got its bytes
    /// before the cancel took effect is still reported.
    ///
    /// Errors: `Closed`, `WrongPort`, `BadHandle`.
    pub fn remove(&self, socket: SocketHandle) -> Result<(), Error> {
        self.control(socket, Control::Remove)
    }

    fn find_core(&self, listener: ListenerHandle) -> Result<Arc<ListenerCore>, Error> {
        let core = match self.enter()?.listener(listener.0) {
            Some(own) => own.core.clone(),
            None if ListenerCore::find(listener.0).is_some() => return Err(ErrorCode::WrongPort.into()),
            None => return Err(ErrorCode::Closed.into()),
        };
        if core.has_ended() { Err(ErrorCode::Closed.into()) } else { Ok(core) }
    }

    /// Takes a listen socket out of the port and hands it back, open, at once. Connections taken from the kernel before
    /// are still given to the accept callback; the listen socket's farewell follows the last of them.
    ///
    /// Who goes on accepting on it elsewhere, in another port or process, should begin after the farewell: until then
    /// accepts of this port are being cancelled in the kernel, and one of them may be told of a connection that it no longer
    /// takes, which then stays in the queue until another comes.
    ///
    /// Errors: `Closed` (it has ended or is ending), `WrongPort`, `ForeignClose` (the number is another file's by now;
    /// the listener ends, and nothing is handed back).
    pub fn remove_listener(&self, listener: ListenerHandle) -> Result<Socket, Error> {
        let core = self.find_core(listener)?;
        let net = &self.shared.net;
        if !net.is_still(core.socket, core.identity) {
            core.begin_end(ListenerEnd::Foreign, || {});
            return Err(ErrorCode::ForeignClose.into());
        }
        if !core.begin_end(ListenerEnd::Removed, || self.restore_blocking(&core)) {
            return Err(ErrorCode::Closed.into());
        }
        Ok(net.adopt(core.socket))
    }

    /// Changes a listen socket's backlog (at least 1) while it runs.
    ///
    /// Errors: `InvalidArgument` (zero), `Closed`, `WrongPort`.
    pub fn set_accept_backlog(&self, listener: ListenerHandle, backlog: usize) -> Result<(), Error> {
        if backlog == 0 {
            return Err(ErrorCode::InvalidArgument.into());
        }
        self.find_core(listener)?.set_backlog(backlog);
        Ok(())
    }

    /// Begins the graceful end of the port and returns; from any thread and from inside any callback. Called again it brings the
    /// deadline nearer, or does nothing: of several the earliest counts.
    ///
    /// - Nothing is accepted any more: listeners end as with a delete, their sockets closed, with farewells of `Cancelled`. What
    ///   the kernel has in their queues is lost; connections taken from it before are still given to their accept callbacks.
    ///   Another listener is `Closed`.
    /// - The connections go on. Every call still works, `add_connected` included: a proxy may need another connection to finish
    ///   what it has begun. Connections that are idle are closed gracefully when the listeners have gone, and whenever one becomes
    ///   so later, unless [`Options::shutdown_closes_idle`] says otherwise.
    /// - When none is left, or when the deadline, `within` from now, has come, the port is deleted as by [`Port::delete`]:
    ///   what is left is aborted, closes under way included. Its calls are `Closed` from then on. The [`Port`] is still to be
    ///   dropped, which waits for the workers; dropped before that, it aborts what is left at once.
    ///
    /// Errors: `Closed`.
    pub fn begin_shutdown(&self, within: Duration) -> Result<(), Error> {
        self.enter()?.begin_shutdown(within)
    }

    /// What a shutdown has come to so far.
    #[doc(hidden)]
    pub fn ended(&self) -> Ended {
        self.enter().map(Shared::ended).unwrap_or_default()
    }

    /// Drives a port made with [`Options::threads`]`(0)`: runs the callbacks that are due; if there are none, waits up
    /// to `timeout` (`None`: for ever) for something to do, and runs the callbacks of that. `Ok` also when the time
    /// passed with nothing to do.
    ///
    /// Errors: `Busy` (a run is in progress, perhaps around the calling callback), `WrongContext` (the port has threads
    /// of its own), `Closed`.
    pub fn run(&self, timeout: Option<Duration>) -> Result<(), Error> {
        self.enter()?.run(timeout)
    }

    /// One run of one worker of a port made with `Options::stepped`, as [`run`](PortHandle::run) is one of its only worker.
    #[cfg(feature = "sim")]
    #[doc(hidden)]
    pub fn step(&self, worker: usize, timeout: Option<Duration>) -> Result<(), Error> {
        self.enter()?.step(worker, timeout)
    }

    /// The one descriptor of a port made with `threads(0)`: readable when [`run`](PortHandle::run) has something to do.
    /// For a foreign event loop; poll it for reading, never read it. After the port's deletion it stays open for as
    /// long as the handle, and is readable no more. On io_uring a poll may return `EINTR` when there is something to
    /// do: poll again, as poll(2) asks of every caller.
    ///
    /// Errors: `WrongContext` (the port has threads of its own), `Unsupported` (the backend has none), `Closed`.
    #[cfg(unix)]
    pub fn pollable(&self) -> Result<BorrowedFd<'_>, Error> {
        let shared = self.enter()?;
        match &shared.pollable {
            _ if shared.options.threads != Some(0) => Err(ErrorCode::WrongContext.into()),
            _ if shared.is_closing() => Err(ErrorCode::Closed.into()),
            None => Err(ErrorCode::Unsupported.into()),
            Some(pollable) => Ok(pollable.as_fd()),
        }
    }

    /// The backend in use.
    pub fn backend(&self) -> BackendKind {
        self.shared.kind
    }

    /// Why a better backend was passed over; empty if none was.
    pub fn backend_reason(&self) -> &str {
        &self.shared.reason
    }

    /// The number of worker threads; 0 if the caller drives the port.
    pub fn threads(&self) -> usize {
        if self.shared.options.threads == Some(0) { 0 } else { self.shared.workers.len() }
    }

    /// The size of a read buffer in bytes.
    pub fn read_buffer_size(&self) -> usize {
        self.shared.options.read_buffer_size
    }

    /// Counters since the port was made; may be called at any time, and stops nobody.
    pub fn statistics(&self) -> Statistics {
        self.enter().map(Shared::statistics).unwrap_or_default()
    }

    /// The same for one worker, counted from 0; `None` for a number that none has, and in a forked child.
    pub fn worker_statistics(&self, worker: usize) -> Option<Statistics> {
        self.enter().ok()?.worker_statistics(worker)
    }

    /// The handler.
    pub fn handler(&self) -> &H {
        self.shared.handler()
    }

    /// Keeps a read buffer with a socket; only from its own callbacks, otherwise the buffer is dropped.
    #[doc(hidden)]
    pub fn lend(&self, socket: SocketHandle, buffer: ReadBuffer) {
        // An error only means that the socket is gone: then nobody can want the buffer.
        let _ = self.with_slot(socket, |_, slot, place| {
            if let Place::Here(worker) = place {
                worker.lend(slot, socket.generation(), buffer);
            }
            Ok(())
        });
    }

    /// Takes back the buffer kept with a socket. Errors: `WrongContext` (not on the socket's worker), `NullPointer`
    /// (there is none), `Closed`, `WrongPort`, `BadHandle`.
    #[doc(hidden)]
    pub fn take_lent(&self, socket: SocketHandle) -> Result<ReadBuffer, Error> {
        self.with_slot(socket, |_, slot, place| match place {
            Place::Here(worker) => worker.take_lent(slot, socket.generation()),
            Place::Elsewhere(_) => Err(ErrorCode::WrongContext.into()),
        })
    }
}

/// Where a call is made, seen from a socket.
pub(crate) enum Place<'a, H: Handler> {
    /// On the socket's own worker, inside a callback.
    Here(&'a Worker<H>),
    /// Anywhere else; the number is that of the socket's worker.
    Elsewhere(usize),
}

//! The port: what a program holds and calls.

use crate::datagrams::Kind;
use crate::handle::{Claimer, Control, Entry, NodeRef, Refused, Slot, SocketHandle, SocketTable, resolve};
use crate::handler::Handler;
use crate::listener::{ListenerCore, ListenerEnd};
use crate::shared::Shared;
use crate::time::Limit;
use crate::trace::traced;
use crate::worker::Worker;
use crate::{
    BackendKind, Ended, Error, ErrorCode, Options, RawSocket, ReadBuffer, SendBuffer, Socket, Statistics, sys,
};
use socket2::SockAddr;
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

    fn control(&self, socket: SocketHandle, control: Control) -> Result<(), Error> {
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

    /// Cancels the recv that is outstanding: its recv callback says [`ErrorCode::Cancelled`], unless bytes or the FIN came
    /// before the cancel reached it, and the socket goes on. That callback may still be to come when this returns. A recv
    /// issued after it is not meant.
    ///
    /// Errors: `NotOutstanding`, `QueueFull` (see [`send`](PortHandle::send)), `Closed`, `WrongPort`, `BadHandle`.
    ///
    /// See [`io_uring_prep_cancel(3)`](https://man7.org/linux/man-pages/man3/io_uring_prep_cancel.3.html),
    /// [CancelIoEx](https://learn.microsoft.com/windows/win32/fileio/cancelioex-func).
    pub fn cancel_recv(&self, socket: SocketHandle) -> Result<(), Error> {
        self.control(socket, Control::CancelRecv)
    }

    /// Issues an async send: at most one heap allocation, any number outstanding. Sends of a socket leave and are
    /// reported in the order in which their issue calls returned; one that is cancelled or times out, when that happens.
    ///
    /// Errors: `QueueFull` and `Limit` (the limits of bytes and sends queued, on this socket and in the port; or 131,071 calls from other
    /// threads are on their way to the socket's worker), `Shutdown`, `Closed`, `WrongPort`, `BadHandle`, `NoMemory`.
    pub fn send(
        &self,
        socket: SocketHandle,
        buffer: impl Into<SendBuffer>,
        write: H::Write,
    ) -> Result<(), Rejected<H::Write>> {
        self.issue_async_send(socket, buffer.into(), write, Limit::NONE)
    }

    /// As [`send`](PortHandle::send), for so long at most: if not all of it is with the system by then, its callback says
    /// [`ErrorCode::TimedOut`], with the bytes that had gone, and the socket goes on with the sends behind it. Where some had
    /// gone, what the peer reads is the beginning of this send and then the next; most programs close the socket then.
    ///
    /// It is reported before sends that were issued earlier and still wait. It is never over early, and mostly some
    /// milliseconds late; more if callbacks hold the worker up.
    ///
    /// Errors: as [`send`](PortHandle::send); `InvalidArgument` (longer than [`MAX_TIME_LIMIT`](crate::MAX_TIME_LIMIT)).
    pub fn send_within(
        &self,
        socket: SocketHandle,
        buffer: impl Into<SendBuffer>,
        write: H::Write,
        time: Duration,
    ) -> Result<(), Rejected<H::Write>> {
        let buffer = buffer.into();
        match Limit::after(time) {
            Ok(limit) => self.issue_async_send(socket, buffer, write, limit),
            Err(error) => Err(Rejected { error, buffer, write }),
        }
    }

    pub(crate) fn issue_async_send(
        &self,
        socket: SocketHandle,
        buffer: SendBuffer,
        write: H::Write,
        limit: Limit,
    ) -> Result<(), Rejected<H::Write>> {
        let generation = socket.generation();
        self.issue_send(socket, buffer, write, |shared, slot, place, buffer, write| match place {
            Place::Here(worker) => worker.issue_async_send(slot, generation, buffer, write, limit),
            Place::Elsewhere(worker) => {
                let mailbox = &shared.workers[worker].mailbox;
                slot.issue_async_send(generation, buffer, write, limit, &shared.queue, Some(mailbox)).map(drop)
            }
        })
    }

    /// Issues an async send of a copy of these bytes: for what is small and made on the spot. The copy lies in the send's own
    /// block, so that one heap allocation is all. (A [`Handler::Write`] aligned to more than 8 bytes has a block of its own.)
    /// Otherwise as [`send`](PortHandle::send), with the same errors. [`Sent::buffer`](crate::Sent::buffer) is the copy: sent
    /// again, on any socket of a port with this handler, it needs no allocation at all.
    pub fn send_copy(&self, socket: SocketHandle, bytes: &[u8], write: H::Write) -> Result<(), Rejected<H::Write, ()>> {
        let Some(copy) = SendBuffer::copied(bytes, NodeRef::<H::Write>::LAYOUT) else {
            return Err(Rejected { error: ErrorCode::NoMemory.into(), buffer: (), write });
        };
        let sent = self.send(socket, copy, write);
        sent.map_err(|rejected| Rejected { error: rejected.error, buffer: (), write: rejected.write })
    }

    /// Issues an async send of several buffers as one, a header and a body say: their bytes leave one after the other with
    /// nothing in between, and are one completion. At most [`SendBuffer::MAX_PARTS`] buffers, any of which may be empty. They
    /// lie in the send's own block, so that one heap allocation is all, as with [`send_copy`](PortHandle::send_copy).
    /// Otherwise as [`send`](PortHandle::send).
    ///
    /// `parts` is an array, a vector or the like of buffers, which are taken out of it if the send is accepted, and are as they
    /// were if not. [`SendBuffer::take_parts`] gives them back in the send's callback.
    ///
    /// ```no_run
    /// # use socket_iocp::{Context, Handler, SendBuffer};
    /// # use std::sync::Arc;
    /// fn answer<H: Handler<Write = ()>>(context: &Context<'_, H>, body: &Arc<[u8]>) {
    ///     let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    ///     if context.send_vectored([SendBuffer::from(head), body.clone().into()], ()).is_err() {
    ///         // The socket is ending; its farewell is on the way.
    ///     }
    /// }
    /// ```
    ///
    /// Errors: as [`send`](PortHandle::send); `InvalidArgument` (too many buffers, more bytes than a `usize` counts, or a buffer
    /// that came back from a vectored send, or is a file).
    ///
    /// See [`sendmsg(2)`](https://man7.org/linux/man-pages/man2/sendmsg.2.html).
    pub fn send_vectored<P: AsMut<[SendBuffer]>>(
        &self,
        socket: SocketHandle,
        mut parts: P,
        write: H::Write,
    ) -> Result<(), Rejected<H::Write, P>> {
        let gathered = match SendBuffer::gathered(parts.as_mut(), NodeRef::<H::Write>::LAYOUT) {
            Ok(gathered) => gathered,
            Err(error) => return Err(Rejected { error, buffer: parts, write }),
        };
        self.send(socket, gathered, write).map_err(|rejected| {
            let Rejected { error, mut buffer, write } = rejected;
            parts.as_mut().iter_mut().zip(buffer.take_parts()).for_each(|(place, part)| *place = part);
            Rejected { error, buffer: parts, write }
        })
    }

    /// Issues a sync send: no heap allocation, one outstanding at a time.
    ///
    /// Errors: `Busy` (one is outstanding), `Shutdown`, `Closed`, `WrongPort`, `BadHandle`.
    pub fn sync_send(
        &self,
        socket: SocketHandle,
        buffer: impl Into<SendBuffer>,
        write: H::Write,
    ) -> Result<(), Rejected<H::Write>> {
        self.issue_sync_send(socket, None, buffer.into(), write, Limit::NONE)
    }

    /// As [`sync_send`](PortHandle::sync_send), for so long at most: see [`send_within`](PortHandle::send_within).
    ///
    /// Errors: as [`sync_send`](PortHandle::sync_send); `InvalidArgument`.
    pub fn sync_send_within(
        &self,
        socket: SocketHandle,
        buffer: impl Into<SendBuffer>,
        write: H::Write,
        time: Duration,
    ) -> Result<(), Rejected<H::Write>> {
        let buffer = buffer.into();
        match Limit::after(time) {
            Ok(limit) => self.issue_sync_send(socket, None, buffer, write, limit),
            Err(error) => Err(Rejected { error, buffer, write }),
        }
    }

    pub(crate) fn issue_sync_send(
        &self,
        socket: SocketHandle,
        address: Option<&SockAddr>,
        buffer: SendBuffer,
        write: H::Write,
        limit: Limit,
    ) -> Result<(), Rejected<H::Write>> {
        let generation = socket.generation();
        self.issue_send(socket, buffer, write, |shared, slot, place, buffer, write| match place {
            Place::Here(worker) => worker.issue_sync_send(slot, generation, address, buffer, write, limit),
            Place::Elsewhere(worker) => {
                let mailbox = &shared.workers[worker].mailbox;
                slot.issue_sync_send(generation, address, buffer, write, limit, Some(mailbox)).map(drop)
            }
        })
    }

    /// Cancels the outstanding sends whose state `which` picks: the callback of each says [`ErrorCode::Cancelled`], with the
    /// bytes that had gone, unless it was done before the cancel reached it, and the socket goes on with the others. Where
    /// some of a send had gone, what the peer reads is its beginning and then the next send. Those cancelled are reported
    /// before sends that were issued earlier and still wait; that may still be to come when this returns. On Windows the system
    /// may reset the connection when a send that it has begun is cancelled: the socket then ends.
    ///
    /// Called in a callback of the socket's worker, `which` runs at once, and `NotOutstanding` says that it has picked none. Called
    /// elsewhere, it runs on the worker a little later, and `Ok` says that it will; that takes up to two blocks of memory. It
    /// should do no more than look. If it panics, the socket ends.
    ///
    /// Errors: `NotOutstanding`, `NoMemory`, `QueueFull` (see [`send`](PortHandle::send)), `Closed` (also while the socket closes
    /// gracefully), `WrongPort`, `BadHandle`.
    pub fn cancel_sends(
        &self,
        socket: SocketHandle,
        mut which: impl FnMut(&H::Write) -> bool + Send + 'static,
    ) -> Result<(), Error> {
        let generation = socket.generation();
        self.with_slot(socket, |shared, slot, place| match place {
            Place::Here(worker) => worker.cancel_sends(slot, generation, &mut which),
            Place::Elsewhere(worker) => slot.post_cancel(generation, which, &shared.workers[worker].mailbox),
        })
    }

    /// Issues the socket's timer: [`Handler::timer`] is called once, when `delay` has passed, on the socket's worker like
    /// every callback of the socket. It is never early, and mostly some milliseconds late; more if callbacks hold the worker
    /// up. If it is cancelled, or the socket ends before, the callback says [`ErrorCode::Cancelled`]. A socket has one timer: issue
    /// it again in its callback.
    ///
    /// Errors: `Busy` (it is outstanding), `InvalidArgument` (longer than [`MAX_TIME_LIMIT`](crate::MAX_TIME_LIMIT)), `QueueFull`
    /// (see [`send`](PortHandle::send)), `Closed`, `WrongPort`, `BadHandle`.
    pub fn timer(&self, socket: SocketHandle, delay: Duration) -> Result<(), Error> {
        self.timer_with(socket, delay, 0)
    }

    /// As [`timer`](PortHandle::timer); [`Context::timer_state`](crate::Context::timer_state) gives `state` back.
    #[doc(hidden)]
    pub fn timer_with(&self, socket: SocketHandle, delay: Duration, state: usize) -> Result<(), Error> {
        let delay = Limit::after(delay)?;
        let generation = socket.generation();
        self.with_slot(socket, |shared, slot, place| match place {
            Place::Here(worker) => worker.issue_timer(slot, generation, delay, state),
            Place::Elsewhere(worker) => slot.head.post_timer(generation, delay, state, &shared.workers[worker].mailbox),
        })
    }

    /// Cancels the socket's timer: its callback says [`ErrorCode::Cancelled`], unless its time had passed before the cancel
    /// reached it. That callback may still be to come when this returns.
    ///
    /// Errors: `NotOutstanding`, `QueueFull` (see [`send`](PortHandle::send)), `Closed`, `WrongPort`, `BadHandle`.
    pub fn cancel_timer(&self, socket: SocketHandle) -> Result<(), Error> {
        self.control(socket, Control::CancelTimer)
    }

    /// Cancels a connect that is outstanding: the farewell says [`ErrorCode::Cancelled`] and nothing else has been told of it, unless
    /// it succeeded before the cancel reached it: then [`Handler::connected`] comes, and the socket goes on. Or it failed before:
    /// then the farewell says how. It is what to call when somebody else has answered meanwhile;
    /// [`abort`](PortHandle::abort) ends the socket in any case. Sends that were issued on it are reported as cancelled.
    ///
    /// Errors: `NotOutstanding` (it has been told of, or the socket came connected), `Closed` (the socket is ending already),
    /// `WrongPort`, `BadHandle`.
    ///
    /// See [`io_uring_prep_cancel(3)`](https://man7.org/linux/man-pages/man3/io_uring_prep_cancel.3.html),
    /// [CancelIoEx](https://learn.microsoft.com/windows/win32/fileio/cancelioex-func).
    pub fn cancel_connect(&self, socket: SocketHandle) -> Result<(), Error> {
        self.with_slot(socket, |shared, slot, place| {
            slot.head.word.claim_look(socket.generation(), Claimer::Local)?;
            let worker = match place {
                Place::Here(worker) => worker.index(),
                Place::Elsewhere(worker) => worker,
            };
            let worker = &shared.workers[worker];
            worker.connects.cancel(socket)?;
            worker.mailbox.listeners_changed();
            Ok(())
        })
    }

    fn issue_send(
        &self,
        socket: SocketHandle,
        buffer: SendBuffer,
        write: H::Write,
        issue: impl FnOnce(
            &Shared<H>,
            &'static Slot<H>,
            Place<'_, H>,
            SendBuffer,
            H::Write,
        ) -> Result<(), Refused<H::Write>>,
    ) -> Result<(), Rejected<H::Write>> {
        if buffer.is_file()
            && let Err(error) = self.require(socket, Kind::Stream)
        {
            return Err(Rejected { error, buffer, write });
        }
        #[cfg(feature = "tracing")]
        let bytes = buffer.len();
        let mut given = Some((buffer, write));
        let issued = self.with_slot(socket, |shared, slot, place| {
            let Some((buffer, write)) = given.take() else { return Ok(()) };
            issue(shared, slot, place, buffer, write).map_err(|(error, buffer, write)| {
                given = Some((buffer, write));
                error
            })
        });
        match (issued, given) {
            (Err(error), Some((buffer, write))) => Err(Rejected { error, buffer, write }),
            _ => {
                traced!(TRACE, "send issued", port = self.shared.number.get(), handle = socket.into_raw(), bytes);
                Ok(())
            }
        }
    }

    /// The bytes in the async sends outstanding on this socket, each counted whole from its issue to its callback, one from a file
    /// with 65,536 at most. From any thread, at once: others may be sending and completing meanwhile. It says how far behind the
    /// peer is.
    ///
    /// Errors: `Unsupported` (the port does not count them: it has neither [`Options::max_queued_bytes`] nor
    /// [`Options::high_watermark`]), `Closed`, `WrongPort`, `BadHandle`.
    pub fn queued_bytes(&self, socket: SocketHandle) -> Result<usize, Error> {
        self.with_slot(socket, |shared, slot, _| {
            let queued = slot.queued_bytes(socket.generation()).ok_or(ErrorCode::Closed)?;
            if shared.queue.counts_bytes { Ok(queued as usize) } else { Err(ErrorCode::Unsupported.into()) }
        })
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

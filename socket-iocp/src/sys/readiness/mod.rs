//! The backend on readiness: epoll on Linux, kqueue on macOS and the BSDs, by `mio`.
//!
//! An operation is tried first, and waits for an event only when it would block. What is believed of a socket, that it
//! is readable or writable, is kept in its [`SocketIo`], so that a try known to be in vain is not made.
//!
//! # System calls
//! A socket is registered when an operation has to wait for the first time, for reading; for writing too when a send
//! has to wait. Hence a connection whose request is there when it is accepted costs accept, recv, send, close and
//! nothing else; one that waits costs one registration in its life. Interest in writing from the start would cost
//! more: a new socket is writable, so each registration would bring an event at once, and kqueue and Unix sockets
//! bring one for whatever the peer takes. Closing deregisters, in the kernel.
//!
//! # No event is lost
//! Events are edge-triggered: they tell of changes, once. What is believed is dropped in two cases only.
//! - The call said EAGAIN. Every change from then on is an event, if the socket is registered. If it is not, it is
//!   registered after: epoll (EPOLL_CTL_ADD and _MOD) and kqueue (EV_ADD) look at the present state when they take a
//!   socket in and bring an event if it is ready already, so there is no gap between the try and the registration.
//! - A recv brought less than asked, or a send took less: what the next try would say is known. For a send, the
//!   kernel has noted that its buffer was full. For a recv it holds only while nothing that ends a read stands behind
//!   the bytes, whose event may have been taken already: a FIN, an error, urgent data. An event that tells of one
//!   leaves the mark [`flags::IN_DOUBT`] until a recv says EAGAIN, and with it, or on a socket whose reads end short
//!   for other reasons ([`entry::short_read_empties`]), only EAGAIN counts. So the FIN that came with the last bytes
//!   is found by the next recv, and so is a reset.
//!
//! Events taken from the kernel wait in `found` until [`Backend::next`] takes them; [`Backend::wait`] asks the kernel
//! for more only when there are none. An event that comes late, when its operation has ended or its slot is another
//! socket's, does no harm: it is a reason to try.

use super::net::MAX_WAIT;
use super::unix::{borrow, from_io};
use super::{Accepted, CancelOutcome, Completion, Config, Direction, Failure, Key, ListenerKey, SocketIo, Submitted};
use crate::buffer::{BufferPool, ReadBuffer};
use crate::{Error, ErrorCode, RawSocket};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use socket2::{SockAddr, SockRef};
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::sync::Arc;
use std::time::Duration;

mod connect;
mod datagrams;
mod deadline;
mod entry;
mod file;
#[cfg(test)]
mod tests;
mod token;
mod transfer;

use connect::Progress;
use deadline::Deadline;
use token::{Source, Tokens};
use transfer::{Gather, Moved};

/// Events taken by one system call.
const MAX_EVENTS: usize = 1024;

/// What is kept of a socket in [`SocketIo`].
mod flags {
    /// The socket has been prepared.
    pub(super) const ENTERED: u8 = 1;
    /// Registered for reading.
    pub(super) const READ_WATCHED: u8 = 1 << 1;
    /// Registered for writing.
    pub(super) const WRITE_WATCHED: u8 = 1 << 2;
    /// A recv is worth trying.
    pub(super) const READABLE: u8 = 1 << 3;
    /// A send is worth trying.
    pub(super) const WRITABLE: u8 = 1 << 4;
    /// An event told of an end, an error or urgent data: a short read says nothing.
    pub(super) const IN_DOUBT: u8 = 1 << 5;
    /// A short read has emptied the socket, unless in doubt.
    pub(super) const SHORT_READ_EMPTIES: u8 = 1 << 6;
    /// O_NONBLOCK was set on entry, and is taken off when the socket is handed back (Apple only).
    pub(super) const WAS_BLOCKING: u8 = 1 << 7;
}

/// What an event adds to what is believed. Both at once is how [`Backend::next`] tells of an end, an error or urgent
/// data; whatever else makes a socket readable and writable comes as two completions. A mistake here costs a system
/// call and loses nothing.
pub(crate) fn ready_flags(readable: bool, writable: bool) -> u8 {
    let mut ready = 0;
    if readable {
        ready |= flags::READABLE;
    }
    if writable {
        ready |= flags::WRITABLE;
    }
    if readable && writable {
        ready |= flags::IN_DOUBT;
    }
    ready
}

/// An event taken from the kernel.
#[derive(Clone, Copy, Debug)]
struct Found {
    token: Token,
    readable: bool,
    writable: bool,
    /// The connection has ended in some way, or urgent data is there: both directions are to be tried.
    ended: bool,
}

impl Found {
    fn new(event: &mio::event::Event) -> Found {
        let ended = event.is_read_closed() || event.is_write_closed() || event.is_error() || event.is_priority();
        let (readable, writable) = (event.is_readable() || ended, event.is_writable() || ended);
        Found { token: event.token(), readable, writable, ended }
    }
}

#[derive(Debug)]
struct Listener {
    key: ListenerKey,
    /// An accept is worth trying: none has said EAGAIN since the last event.
    ready: bool,
}

/// One worker's poll.
#[derive(Debug)]
pub(crate) struct Backend {
    poll: Poll,
    events: Events,
    /// What the last poll brought; those before `taken` have been given out.
    found: Vec<Found>,
    taken: usize,
    listeners: Vec<Listener>,
    tokens: Tokens,
    waker: Waker,
    /// Only when driven.
    deadline: Option<Deadline>,
    /// What is read of a file, for the time of the send that follows at once. No bytes before the first.
    chunk: Vec<u8>,
}

/// Wakes the worker.
#[derive(Clone, Debug)]
pub(crate) struct Waker(Arc<mio::Waker>);

impl Waker {
    pub(crate) fn wake(&self) {
        // It cannot fail on Linux. A kqueue may refuse for want of memory, and a wake-up must not be lost.
        while let Err(error) = self.0.wake() {
            if error.raw_os_error() == Some(libc::EBADF) {
                return;
            }
            std::thread::yield_now();
        }
    }
}

impl Backend {
    pub(crate) fn new(config: &Config) -> Result<Backend, Error> {
        let mut found = Vec::new();
        found.try_reserve_exact(MAX_EVENTS).map_err(|_| ErrorCode::NoMemory)?;
        let poll = Poll::new().map_err(|error| from_io(&error))?;
        let waker = mio::Waker::new(poll.registry(), token::WAKER).map_err(|error| from_io(&error))?;
        let deadline = if config.driven { Some(Deadline::new(&poll)?) } else { None };
        Ok(Backend {
            poll,
            events: Events::with_capacity(MAX_EVENTS),
            found,
            taken: 0,
            listeners: Vec::new(),
            tokens: Tokens::new(),
            waker: Waker(Arc::new(waker)),
            deadline,
            chunk: Vec::new(),
        })
    }

    pub(crate) fn start(&mut self) -> Result<(), Error> {
        Ok(())
    }

    pub(crate) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    pub(crate) fn recv(
        &mut self,
        io: &mut SocketIo,
        key: Key,
        socket: RawSocket,
        pool: &mut BufferPool,
    ) -> Submitted<ReadBuffer> {
        if let Err(failure) = enter(io, socket) {
            return Submitted::Done(Err(failure));
        }
        if io.flags & flags::READABLE != 0
            && let Some(result) = try_recv(io, socket, pool)
        {
            return Submitted::Done(result);
        }
        pending(self.watch(io, key, socket, flags::READ_WATCHED))
    }

    pub(crate) fn send<'q>(
        &mut self,
        io: &mut SocketIo,
        key: Key,
        socket: RawSocket,
        slices: impl Iterator<Item = &'q [u8]>,
    ) -> Submitted<usize> {
        if let Err(failure) = enter(io, socket) {
            return Submitted::Done(Err(failure));
        }
        if io.flags & flags::WRITABLE != 0
            && let Some(result) = try_send(io, socket, &Gather::new(slices))
        {
            return Submitted::Done(result);
        }
        pending(self.watch(io, key, socket, flags::READ_WATCHED | flags::WRITE_WATCHED))
    }

    /// One connect. It is under way in the kernel from the first call on, which registers the socket for writing; the calls
    /// after it ask what has become of it.
    pub(crate) fn connect(
        &mut self,
        io: &mut SocketIo,
        key: Key,
        socket: RawSocket,
        address: &SockAddr,
    ) -> Submitted<()> {
        let begun = io.flags & flags::WRITE_WATCHED != 0;
        let progress = if begun {
            connect::look(socket)
        } else {
            enter(io, socket).and_then(|()| connect::begin(socket, address))
        };
        match progress {
            Ok(Progress::Connected) => {
                io.flags |= flags::READABLE | flags::WRITABLE;
                Submitted::Done(Ok(()))
            }
            Ok(Progress::Connecting) => {
                io.flags &= !(flags::READABLE | flags::WRITABLE);
                pending(self.watch(io, key, socket, flags::READ_WATCHED | flags::WRITE_WATCHED))
            }
            Err(failure) => Submitted::Done(Err(failure)),
        }
    }

    /// Nothing is in the kernel, but for a connect, which goes on until its socket is closed.
    pub(crate) fn cancel(&mut self, _: &mut SocketIo, _: Key, _: RawSocket, _: Direction) -> CancelOutcome {
        CancelOutcome::Done
    }

    pub(crate) fn forget(&mut self, io: &mut SocketIo, socket: RawSocket) {
        if io.flags & flags::READ_WATCHED != 0 {
            self.deregister(socket);
        }
        entry::leave(io, socket);
    }

    pub(crate) fn add_listener(&mut self, listener: ListenerKey, socket: RawSocket) -> Result<(), Error> {
        self.listeners.try_reserve(1).map_err(|_| ErrorCode::NoMemory)?;
        let token = token::of_listener(listener).ok_or(ErrorCode::Limit)?;
        let registered = self.poll.registry().register(&mut SourceFd(&socket), token, Interest::READABLE);
        registered.map_err(|error| from_io(&error))?;
        self.listeners.push(Listener { key: listener, ready: true });
        Ok(())
    }

    /// The listener is nonblocking: [`Net::duplicate_listener`](super::net::Net::duplicate_listener) made it so.
    pub(crate) fn accept(&mut self, listener: ListenerKey, socket: RawSocket) -> Submitted<Accepted> {
        let Some(listener) = self.listener(listener) else {
            return Submitted::Done(Err(Failure::Cancelled));
        };
        if !listener.ready {
            return Submitted::Pending;
        }
        match accept(socket) {
            Ok(accepted) => Submitted::Done(Ok(accepted)),
            Err(libc::EAGAIN) => {
                listener.ready = false;
                Submitted::Pending
            }
            Err(error) => Submitted::Done(Err(Failure::Os(error))),
        }
    }

    /// Nothing is in the kernel.
    pub(crate) fn cancel_accepts(&mut self, _: ListenerKey, _: RawSocket) -> CancelOutcome {
        CancelOutcome::Done
    }

    pub(crate) fn remove_listener(&mut self, listener: ListenerKey, socket: RawSocket) {
        self.deregister(socket);
        self.listeners.retain(|entry| entry.key != listener);
    }

    pub(crate) fn wait(&mut self, timeout: Option<Duration>, _: &mut BufferPool) -> Result<(), Error> {
        if self.taken < self.found.len() {
            return Ok(());
        }
        self.found.clear();
        self.taken = 0;
        match self.poll.poll(&mut self.events, timeout.map(|timeout| timeout.min(MAX_WAIT))) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(from_io(&error)),
        }
        // No allocation: `found` has room for all that `events` can hold.
        self.found.extend(self.events.iter().map(Found::new));
        Ok(())
    }

    pub(crate) fn next(&mut self, _: &mut BufferPool) -> Option<Completion> {
        loop {
            let found = self.found.get_mut(self.taken)?;
            let (readable, mut writable) = (found.readable, found.writable);
            let source = self.tokens.source(found.token);
            if matches!(source, Source::Socket(_)) && readable && writable && !found.ended {
                // The writable half next time: both at once would say that the connection has ended.
                found.readable = false;
                writable = false;
            } else {
                self.taken += 1;
            }
            match source {
                Source::Socket(key) => return Some(Completion::Ready { key, readable, writable }),
                Source::Waker => return Some(Completion::Woken),
                Source::Listener(key) => {
                    if let Some(listener) = self.listener(key) {
                        listener.ready = true;
                        return Some(Completion::AcceptReady { listener: key });
                    }
                }
                // It has ended a wait, and that is all it is for.
                Source::Deadline => {}
            }
        }
    }

    pub(crate) fn pollable(&self) -> Option<RawSocket> {
        self.deadline.as_ref().map(|_| self.poll.as_raw_fd())
    }

    pub(crate) fn set_deadline(&mut self, after: Option<Duration>) {
        // Events taken from the kernel and not given out no longer show in its descriptor: a time that has passed does.
        let after = if self.taken < self.found.len() { Some(Duration::ZERO) } else { after };
        if let Some(deadline) = &mut self.deadline
            && deadline.set(&self.poll, after).is_err()
        {
            // A kqueue may refuse for want of memory. The caller then runs the port again, and this tries again.
            self.waker.wake();
        }
    }

    /// Registers the socket for what is wanted, if it is not yet.
    fn watch(&mut self, io: &mut SocketIo, key: Key, socket: RawSocket, wanted: u8) -> Result<(), Failure> {
        if io.flags & wanted == wanted {
            return Ok(());
        }
        let token = self.tokens.of_socket(key).map_err(|_| Failure::Os(libc::ENOMEM))?;
        let interest = if wanted & flags::WRITE_WATCHED != 0 { READING.add(Interest::WRITABLE) } else { READING };
        let (registry, mut source) = (self.poll.registry(), SourceFd(&socket));
        let first = io.flags & flags::READ_WATCHED == 0;
        let registered = match first {
            true => registry.register(&mut source, token, interest),
            false => registry.reregister(&mut source, token, interest),
        };
        match registered.map_err(|error| error.raw_os_error().unwrap_or(libc::EIO)) {
            Ok(()) => {}
            // Registered under this number before, closed behind our back, kept open by a duplicate, and here again.
            Err(libc::EEXIST) => registry.reregister(&mut source, token, interest).map_err(|_| STRANGER)?,
            // Registered by us and not there: closed behind our back, and the number is another file's now.
            Err(libc::ENOENT) => return Err(STRANGER),
            Err(error) => return Err(Failure::Os(error)),
        }
        if first && entry::short_read_empties(socket) {
            io.flags |= flags::SHORT_READ_EMPTIES;
        }
        io.flags |= wanted;
        Ok(())
    }

    fn deregister(&self, socket: RawSocket) {
        // It fails only for a number closed behind our back, which the kernel has deregistered.
        let _ = self.poll.registry().deregister(&mut SourceFd(&socket));
    }

    fn listener(&mut self, key: ListenerKey) -> Option<&mut Listener> {
        self.listeners.iter_mut().find(|listener| listener.key == key)
    }
}

/// The connect of a socket that is connected at once or not at all, as a Unix socket is: io_uring makes it so too.
#[cfg(target_os = "linux")]
pub(super) fn connect_at_once(socket: RawSocket, address: &SockAddr) -> Result<(), Failure> {
    connect::begin(socket, address).map(drop)
}

/// The socket is no longer open under its number.
const STRANGER: Failure = Failure::Os(libc::EBADF);

/// Interest in reading. Where there is an event for urgent data it is wanted: see [`flags::IN_DOUBT`].
#[cfg(any(target_os = "linux", target_os = "android"))]
const READING: Interest = Interest::READABLE.add(Interest::PRIORITY);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const READING: Interest = Interest::READABLE;

fn enter(io: &mut SocketIo, socket: RawSocket) -> Result<(), Failure> {
    if io.flags & flags::ENTERED == 0 { entry::enter(io, socket) } else { Ok(()) }
}

fn pending<T>(watched: Result<(), Failure>) -> Submitted<T> {
    match watched {
        Ok(()) => Submitted::Pending,
        Err(failure) => Submitted::Done(Err(failure)),
    }
}

/// One recv. `None` when there is nothing to read.
fn try_recv(io: &mut SocketIo, socket: RawSocket, pool: &mut BufferPool) -> Option<Result<ReadBuffer, Failure>> {
    let capacity = pool.buffer_size();
    let Some(block) = pool.take() else {
        return Some(Err(Failure::NoBuffer));
    };
    // SAFETY: the block is this function's until it gives it back, and has the pool's size.
    match unsafe { transfer::receive(socket, block.data().as_ptr(), capacity) } {
        // FIN: the socket stays readable, as a recv after it says the same again.
        Moved::Bytes(0) => {
            pool.put(block);
            Some(Ok(ReadBuffer::empty()))
        }
        Moved::Bytes(bytes) => {
            let emptied = match io.flags & flags::READ_WATCHED {
                // The registration will look.
                0 => true,
                _ => io.flags & (flags::SHORT_READ_EMPTIES | flags::IN_DOUBT) == flags::SHORT_READ_EMPTIES,
            };
            if bytes < capacity && emptied {
                io.flags &= !flags::READABLE;
            }
            Some(Ok(pool.filled(block, bytes)))
        }
        Moved::WouldBlock => {
            pool.put(block);
            io.flags &= !(flags::READABLE | flags::IN_DOUBT);
            None
        }
        Moved::Failed(error) => {
            pool.put(block);
            Some(Err(Failure::Os(error)))
        }
    }
}

/// One send. `None` when the socket takes nothing.
fn try_send(io: &mut SocketIo, socket: RawSocket, gather: &Gather<'_>) -> Option<Result<usize, Failure>> {
    match gather.send(socket) {
        Moved::Bytes(bytes) => {
            if bytes < gather.bytes() {
                io.flags &= !flags::WRITABLE;
            }
            Some(Ok(bytes))
        }
        Moved::WouldBlock => {
            io.flags &= !flags::WRITABLE;
            None
        }
        Moved::Failed(error) => Some(Err(Failure::Os(error))),
    }
}

/// One accept, close-on-exec: accept4(2), or accept(2) and fcntl(2) where there is none.
fn accept(socket: RawSocket) -> Result<Accepted, i32> {
    let listener = borrow(socket).map_err(|_| libc::EBADF)?;
    loop {
        match SockRef::from(&listener).accept() {
            // macOS names no peer for a connection that was reset before it was accepted.
            Ok((accepted, peer)) => {
                let remote = (peer.len() > 0).then_some(peer);
                return Ok(Accepted { socket: accepted.into_raw_fd(), remote });
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.raw_os_error().unwrap_or(libc::EIO)),
        }
    }
}

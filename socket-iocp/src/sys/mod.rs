//! What a backend must provide, and the selection among them.
//!
//! A backend submits operations to the operating system and reaps their completions; it knows nothing of the contract.
//! Every rule about what may be issued when, what is reported and in which order lives in the portable state machines
//! (`socket.rs`, `send_queue.rs`, `listener.rs`) and in the worker. Each worker owns one backend value and calls it
//! from one thread at a time. The modules have the same shape, with no trait above them: [`Backend`] is a plain enum.
//!
//! # Operations
//! - [`recv`](Backend::recv) and [`send`](Backend::send) start one operation of a socket. The state machine has at most
//!   one recv and one send of a socket under way. [`Submitted::Done`] is a result at once; [`Submitted::Pending`] means
//!   that one [`Completion`] of the same kind and key will come from [`next`](Backend::next), exactly one, whatever
//!   happens. A backend may instead answer a pending operation with [`Completion::Ready`]: then the
//!   operation has ended without effect and the worker submits it again, with the bytes as they are then.
//! - [`send_file`](Backend::send_file) is a send whose bytes are in a file, and its completion a send's. It may move any beginning
//!   of what is asked for, and reads at most [`FILE_CHUNK`] bytes into memory at a time. The file stays open until the completion,
//!   as the bytes of a send stay.
//! - [`cancel`](Backend::cancel) asks for an early end. `Done`: the operation is over and no completion will come.
//!   `Requested`: the operation's own completion will come, as `Cancelled` or as whatever it became.
//! - Memory: the bytes of a send and the buffer of a recv belong to the kernel from submission to completion. The state
//!   machine keeps the send's buffers in its queue until then (`SendQueue` pops only what is done); the backend keeps
//!   the recv's. What else the kernel writes to while a socket's operations are under way (an OVERLAPPED) is in its
//!   [`SocketMemory`], in the socket's slot, which is never unmapped and is not another socket's before they have ended.
//! - [`recv_from`](Backend::recv_from) and [`send_to`](Backend::send_to) are the recv and the send of a datagram socket, and complete
//!   as these do, with the difference that no bytes are a datagram of none, and that a send is all or nothing. What the kernel tells
//!   of a datagram received, and reads and writes meanwhile, is in the socket's [`DatagramMemory`], until the next recv is started.
//! - [`connect`](Backend::connect) starts the connect of a socket that has no other operation yet; it ends as the others do.
//! - Recvs that stand (`Options::multishot_recv`): a backend may leave a recv with the system when it has ended as far as the
//!   state machine is concerned, so that the next one need not be submitted. Its [`Completion::Arrived`] come whether a recv is
//!   pending or not, and [`arrived`](Backend::arrived) answers the pending one with it, or keeps it for the next, which is then
//!   `Done`. A cancel is `Done` too, and leaves it standing. A socket takes its leave only when
//!   [`end_standing`](Backend::end_standing) says that nothing stands any more.
//! - [`accept`](Backend::accept) starts one accept on a listener's own descriptor; several may be pending.
//! - [`wait`](Backend::wait) submits what has been queued and blocks until there is a completion, a wake-up or the
//!   timeout, in one system call where the system allows; [`next`](Backend::next) then takes the completions one by one.
//!
//! # Errors
//! A result carries the system's code in [`Failure::Os`]: `errno`, or an error of Winsock or Windows. EINTR and spurious
//! EAGAIN never leave a backend as errors: the backend answers [`Failure::Again`], and the worker submits the operation
//! again. No read buffer: [`Failure::NoBuffer`]. No memory in the kernel for an operation that may well succeed later:
//! [`Failure::Shortage`]. A file that cannot be read is no failure of the socket's: [`Failure::File`], [`Failure::FileEnded`].
//!
//! # Threads
//! A backend is made on the thread that calls `new`, so that errors reach it, and then moves to its worker, which calls
//! [`start`](Backend::start) once before anything else. With `driven` (the caller drives the port) any thread may call
//! it, one at a time, and the descriptor of [`pollable`](Backend::pollable) is readable whenever a completion or a
//! wake-up is there to be taken, or the deadline given to [`set_deadline`](Backend::set_deadline) has passed.

use crate::buffer::{BufferPool, Destination, FilePart, ReadBuffer};
use crate::{BackendKind, Error, ErrorCode, Options, RawSocket};
use socket2::SockAddr;
#[cfg(unix)]
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

mod config;
mod datagram;
#[cfg(target_os = "linux")]
mod io_uring;
#[cfg(windows)]
mod iocp;
pub(crate) mod net;
mod operation;
pub(crate) mod processors;
#[cfg(unix)]
mod readiness;
pub(crate) mod resolve;
#[cfg(feature = "sim")]
pub(crate) mod sim;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

pub(crate) use config::Config;
pub(crate) use datagram::{DatagramBlock, DatagramMemory};
#[cfg(all(feature = "faults", target_os = "linux"))]
pub(crate) use io_uring::faults;
#[cfg(windows)]
pub(crate) use iocp::SocketMemory;
#[cfg(not(windows))]
pub(crate) use operation::SocketMemory;
pub(crate) use operation::{
    Accepted, CancelOutcome, Completion, Direction, Failure, Key, ListenerKey, SocketIo, Submitted,
};
pub(crate) use platform::{
    INVALID_SOCKET, Segments, errno, from_io, hints_at_close, passing, place_of, portable_code, process, resolver_text,
    says_over, sort_accept_error, was_given_up,
};
#[cfg(feature = "sim")]
pub(crate) use platform::{UNKNOWN_HOST, number_at};
#[cfg(unix)]
use unix as platform;
#[cfg(windows)]
use windows as platform;

/// A worker's backend as other threads reach it.
///
/// [`wake`](Waker::wake) makes its `wait` return with [`Completion::Woken`] among the completions; several wakes may be
/// answered by one.
#[derive(Clone, Debug)]
pub(crate) enum Waker {
    #[cfg(target_os = "linux")]
    IoUring(io_uring::Waker),
    #[cfg(windows)]
    Iocp(iocp::Waker),
    #[cfg(unix)]
    Readiness(readiness::Waker),
    #[cfg(feature = "sim")]
    Sim(sim::Waker),
}

impl Waker {
    pub(crate) fn wake(&self) {
        match self {
            #[cfg(target_os = "linux")]
            Waker::IoUring(waker) => waker.wake(),
            #[cfg(windows)]
            Waker::Iocp(waker) => waker.wake(),
            #[cfg(unix)]
            Waker::Readiness(waker) => waker.wake(),
            #[cfg(feature = "sim")]
            Waker::Sim(waker) => waker.wake(),
        }
    }

    /// Ties a socket to the worker's backend, before its first operation. A completion port takes a socket once: one that
    /// has a port, this library's or another's, is `Unsupported`.
    #[cfg_attr(not(windows), allow(unused_variables, reason = "a completion port alone has to be told"))]
    pub(crate) fn associate(&self, socket: RawSocket, key: Key, is_datagram: bool) -> Result<SocketIo, Error> {
        match self {
            #[cfg(windows)]
            Waker::Iocp(waker) => waker.associate(socket, key, is_datagram),
            #[cfg(any(unix, feature = "sim"))]
            _ => Ok(SocketIo::default()),
        }
    }

    /// Unties a socket again that was not added after all, where the system can.
    #[cfg_attr(not(windows), allow(unused_variables, reason = "a completion port alone has to be told"))]
    pub(crate) fn dissociate(&self, socket: RawSocket) {
        match self {
            #[cfg(windows)]
            Waker::Iocp(_) => iocp::dissociate(socket),
            #[cfg(any(unix, feature = "sim"))]
            _ => {}
        }
    }

    /// Ties a listener's own socket to the worker's backend; as [`associate`](Waker::associate).
    #[cfg_attr(not(windows), allow(unused_variables, reason = "a completion port alone has to be told"))]
    pub(crate) fn associate_listener(&self, socket: RawSocket) -> Result<(), Error> {
        match self {
            #[cfg(windows)]
            Waker::Iocp(waker) => waker.associate_listener(socket),
            #[cfg(any(unix, feature = "sim"))]
            _ => Ok(()),
        }
    }
}

/// One worker's backend.
#[derive(Debug)]
pub(crate) enum Backend {
    #[cfg(target_os = "linux")]
    IoUring(Box<io_uring::Backend>),
    #[cfg(windows)]
    Iocp(Box<iocp::Backend>),
    #[cfg(unix)]
    Readiness(Box<readiness::Backend>),
    #[cfg(feature = "sim")]
    Sim(Box<sim::Backend>),
}

/// Calls the same method of whichever backend it is; that of completion ports may want more.
macro_rules! each {
    ($self:expr, $backend:ident => $call:expr) => {
        each!($self, $backend => $call, iocp => $call)
    };
    ($self:expr, $backend:ident => $call:expr, iocp => $iocp_call:expr) => {
        match $self {
            #[cfg(target_os = "linux")]
            Backend::IoUring($backend) => $call,
            #[cfg(windows)]
            Backend::Iocp($backend) => $iocp_call,
            #[cfg(unix)]
            Backend::Readiness($backend) => $call,
            #[cfg(feature = "sim")]
            Backend::Sim($backend) => $call,
        }
    };
}

impl Backend {
    /// Makes a backend of this kind, with every resource that can be refused.
    #[cfg_attr(not(target_os = "linux"), allow(unused_variables, reason = "io_uring alone begins with buffers"))]
    pub(crate) fn new(kind: BackendKind, config: &Config, pool: &mut BufferPool) -> Result<Backend, Error> {
        match kind {
            #[cfg(target_os = "linux")]
            BackendKind::IoUring => Ok(Backend::IoUring(Box::new(io_uring::Backend::new(config, pool)?))),
            #[cfg(windows)]
            BackendKind::Iocp => Ok(Backend::Iocp(Box::new(iocp::Backend::new(config)?))),
            #[cfg(unix)]
            BackendKind::Readiness => Ok(Backend::Readiness(Box::new(readiness::Backend::new(config)?))),
            #[cfg(feature = "sim")]
            BackendKind::Sim => Ok(Backend::Sim(Box::new(sim::Backend::new(config)?))),
            _ => Err(ErrorCode::BackendUnavailable.into()),
        }
    }

    /// Called once on the worker's thread before anything else.
    pub(crate) fn start(&mut self) -> Result<(), Error> {
        each!(self, backend => backend.start())
    }

    /// Whether an operation is tried when it is submitted, by a system call of its own, and not with all others in the wait.
    pub(crate) fn tries_at_once(&self) -> bool {
        match self {
            #[cfg(target_os = "linux")]
            Backend::IoUring(_) => false,
            #[cfg(windows)]
            Backend::Iocp(_) => true,
            #[cfg(unix)]
            Backend::Readiness(_) => true,
            #[cfg(feature = "sim")]
            Backend::Sim(backend) => backend.tries_at_once(),
        }
    }

    pub(crate) fn waker(&self) -> Waker {
        match self {
            #[cfg(target_os = "linux")]
            Backend::IoUring(backend) => Waker::IoUring(backend.waker()),
            #[cfg(windows)]
            Backend::Iocp(backend) => Waker::Iocp(backend.waker()),
            #[cfg(unix)]
            Backend::Readiness(backend) => Waker::Readiness(backend.waker()),
            #[cfg(feature = "sim")]
            Backend::Sim(backend) => Waker::Sim(backend.waker()),
        }
    }

    /// Starts the recv of one buffer's worth of bytes. The buffer comes from the pool when the bytes are there.
    pub(crate) fn recv(
        &mut self,
        io: &mut SocketIo,
        #[cfg_attr(unix, allow(unused_variables, reason = "there is nothing in it"))] memory: &'static SocketMemory,
        key: Key,
        socket: RawSocket,
        pool: &mut BufferPool,
    ) -> Submitted<ReadBuffer> {
        each!(self, backend => backend.recv(io, key, socket, pool), iocp => backend.recv(io, memory, key, socket, pool))
    }

    /// Starts the send of these slices, in order, at most [`MAX_GATHER`] of them and none empty. They stay where they
    /// are until the completion; the iterator itself may die before. A completion with fewer bytes than asked is no
    /// error: the state machine goes on with the rest.
    pub(crate) fn send<'q>(
        &mut self,
        io: &mut SocketIo,
        #[cfg_attr(unix, allow(unused_variables, reason = "there is nothing in it"))] memory: &'static SocketMemory,
        key: Key,
        socket: RawSocket,
        slices: impl Iterator<Item = &'q [u8]>,
    ) -> Submitted<usize> {
        each!(self, backend => backend.send(io, key, socket, slices), iocp => backend.send(io, memory, key, socket, slices))
    }

    /// Starts the send of this part of a file, or of its beginning. The file is where it is, and open, until the completion; that
    /// with fewer bytes than asked is no error.
    pub(crate) fn send_file(
        &mut self,
        io: &mut SocketIo,
        #[cfg_attr(unix, allow(unused_variables, reason = "there is nothing in it"))] memory: &'static SocketMemory,
        key: Key,
        socket: RawSocket,
        part: FilePart<'_>,
    ) -> Submitted<usize> {
        each!(
            self,
            backend => backend.send_file(io, key, socket, part),
            iocp => backend.send_file(io, memory, key, socket, part)
        )
    }

    /// Starts the recv of one datagram, of as many of its bytes as a buffer holds.
    pub(crate) fn recv_from(
        &mut self,
        io: &mut SocketIo,
        #[cfg_attr(unix, allow(unused_variables, reason = "there is nothing in it"))] memory: &'static SocketMemory,
        key: Key,
        socket: RawSocket,
        pool: &mut BufferPool,
        datagram: &DatagramMemory,
    ) -> Submitted<ReadBuffer> {
        each!(
            self,
            backend => backend.recv_from(io, key, socket, pool, datagram),
            iocp => backend.recv_from(io, memory, key, socket, pool, datagram)
        )
    }

    /// Starts the send of one datagram of these slices, at most [`MAX_GATHER`] of them and none empty; there may be none. It goes to
    /// this destination. That and they stay where they are until the completion.
    pub(crate) fn send_to<'q>(
        &mut self,
        io: &mut SocketIo,
        #[cfg_attr(unix, allow(unused_variables, reason = "there is nothing in it"))] memory: &'static SocketMemory,
        key: Key,
        socket: RawSocket,
        to: Destination<'_>,
        slices: impl Iterator<Item = &'q [u8]>,
    ) -> Submitted<usize> {
        each!(
            self,
            backend => backend.send_to(io, key, socket, to, slices),
            iocp => backend.send_to(io, memory, key, socket, to, slices)
        )
    }

    /// Starts the connect of a stream socket; none of its other operations is under way. The address is not needed after the
    /// call. A connect that was answered by [`Completion::Ready`] is submitted again with the same one.
    pub(crate) fn connect(
        &mut self,
        io: &mut SocketIo,
        #[cfg_attr(unix, allow(unused_variables, reason = "there is nothing in it"))] memory: &'static SocketMemory,
        key: Key,
        socket: RawSocket,
        address: &SockAddr,
    ) -> Submitted<()> {
        each!(
            self,
            backend => backend.connect(io, key, socket, address),
            iocp => backend.connect(io, memory, key, socket, address)
        )
    }

    /// Asks for the early end of a pending operation.
    pub(crate) fn cancel(
        &mut self,
        io: &mut SocketIo,
        #[cfg_attr(unix, allow(unused_variables, reason = "there is nothing in it"))] memory: &'static SocketMemory,
        key: Key,
        socket: RawSocket,
        direction: Direction,
    ) -> CancelOutcome {
        each!(
            self,
            backend => backend.cancel(io, key, socket, direction),
            iocp => backend.cancel(io, memory, key, socket, direction)
        )
    }

    /// The socket is to be reset, whatever becomes of its pending send: that must not wait for the peer. Its completion
    /// comes as ever.
    #[cfg_attr(
        not(target_os = "linux"),
        allow(unused_variables, reason = "io_uring alone has sends that wait for the peer")
    )]
    pub(crate) fn abandon_send(&mut self, key: Key, socket: RawSocket) {
        #[cfg(target_os = "linux")]
        if let Backend::IoUring(backend) = self {
            backend.abandon_send(key, socket);
        }
    }

    /// What has come of a recv that stands: the result of the socket's pending recv, if there is one. Else it is kept for the
    /// next one.
    #[cfg(target_os = "linux")]
    pub(crate) fn arrived(
        &mut self,
        io: &mut SocketIo,
        key: Key,
        result: Result<ReadBuffer, Failure>,
        stands: bool,
    ) -> Option<Result<ReadBuffer, Failure>> {
        match self {
            Backend::IoUring(backend) => backend.arrived(io, key, result, stands),
            _ => unreachable!("io_uring alone has recvs that stand"),
        }
    }

    /// The socket has ended and none of its operations is pending: whether a recv of it stands still. Then it is asked to end,
    /// and a [`Completion::Arrived`] that stands no more will come.
    #[cfg_attr(not(target_os = "linux"), allow(unused_variables, reason = "io_uring alone has recvs that stand"))]
    pub(crate) fn end_standing(&mut self, io: &mut SocketIo, key: Key) -> bool {
        match self {
            #[cfg(target_os = "linux")]
            Backend::IoUring(backend) => backend.end_standing(io, key),
            _ => false,
        }
    }

    /// The socket has ended and nothing of it stands: takes the first of what is kept for recvs that were never issued.
    /// `NoMemory`: there was more, which could not be kept.
    #[cfg_attr(not(target_os = "linux"), allow(unused_variables, reason = "io_uring alone has recvs that stand"))]
    pub(crate) fn take_kept(&mut self, io: &mut SocketIo, key: Key) -> Result<Option<ReadBuffer>, Error> {
        match self {
            #[cfg(target_os = "linux")]
            Backend::IoUring(backend) => backend.take_kept(io, key),
            _ => Ok(None),
        }
    }

    /// The socket is about to be handed back, open: forget it. None of its operations is pending.
    pub(crate) fn forget(&mut self, io: &mut SocketIo, socket: RawSocket) {
        each!(self, backend => backend.forget(io, socket))
    }

    /// A listener's own descriptor is about to be used for accepts.
    pub(crate) fn add_listener(&mut self, listener: ListenerKey, socket: RawSocket) -> Result<(), Error> {
        each!(self, backend => backend.add_listener(listener, socket))
    }

    /// Starts one accept. The new socket is close-on-exec.
    pub(crate) fn accept(&mut self, listener: ListenerKey, socket: RawSocket) -> Submitted<Accepted> {
        each!(self, backend => backend.accept(listener, socket))
    }

    /// Asks for the early end of every pending accept of the listener.
    pub(crate) fn cancel_accepts(&mut self, listener: ListenerKey, socket: RawSocket) -> CancelOutcome {
        each!(self, backend => backend.cancel_accepts(listener, socket))
    }

    /// A listener's own descriptor is about to be closed; none of its accepts is pending.
    pub(crate) fn remove_listener(&mut self, listener: ListenerKey, socket: RawSocket) {
        each!(self, backend => backend.remove_listener(listener, socket))
    }

    /// Submits what is queued and waits until there is a completion, a wake-up or the timeout (`None`: for ever).
    /// `Some(ZERO)` submits and looks.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>, pool: &mut BufferPool) -> Result<(), Error> {
        each!(self, backend => backend.wait(timeout, pool))
    }

    /// Takes the next completion that the last `wait` found. `find` gives the memory of the socket of a key,
    /// unless it is gone.
    pub(crate) fn next(
        &mut self,
        pool: &mut BufferPool,
        #[cfg_attr(unix, allow(unused_variables, reason = "there is nothing in it"))] find: impl Fn(
            Key,
        ) -> Option<
            &'static SocketMemory,
        >,
    ) -> Option<Completion> {
        each!(self, backend => backend.next(pool), iocp => backend.next(pool, find))
    }

    /// The worker's clock: the time since some moment in the past, that of the system or of the simulation.
    pub(crate) fn now(&self) -> Duration {
        #[cfg(feature = "sim")]
        if let Backend::Sim(backend) = self {
            return backend.now();
        }
        clock()
    }

    /// The descriptor for a foreign event loop, a duplicate; only of a backend made with `driven` that has one.
    #[cfg(unix)]
    pub(crate) fn pollable(&self) -> Result<Option<OwnedFd>, Error> {
        let Some(pollable) = each!(self, backend => backend.pollable()) else { return Ok(None) };
        // SAFETY: the descriptor is the backend's, which is borrowed here.
        let duplicate = unsafe { BorrowedFd::borrow_raw(pollable) }.try_clone_to_owned();
        duplicate.map(Some).map_err(|error| Error::from_os(error.raw_os_error().unwrap_or(0)))
    }

    /// With `driven`: makes the pollable descriptor readable after this time, `None` for never. Replaces the deadline
    /// given before. Called at the end of each run of the loop, before the caller goes back to its own poll.
    pub(crate) fn set_deadline(&mut self, after: Option<Duration>) {
        each!(self, backend => backend.set_deadline(after))
    }
}

/// The clock of the workers on real backends: the time since some moment in the past, the same for all.
pub(crate) fn clock() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// The most slices in one send.
pub(crate) const MAX_GATHER: usize = 64;

/// The most bytes of a file that are read into memory for one send.
pub(crate) const FILE_CHUNK: usize = 64 << 10;

/// Tells whether a backend can be had on this machine, by making one and dropping it.
pub(crate) fn probe(kind: BackendKind) -> Result<(), Error> {
    process::prepare()?;
    let config = Config::new(&Options::new(4096), &net::Net::Os);
    let mut pool = BufferPool::new(4096);
    Backend::new(kind, &config, &mut pool).map(drop)
}

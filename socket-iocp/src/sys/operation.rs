//! The words in which a worker and its backend speak of operations: whose they are, what came of starting and cancelling
//! them, and how they end.

use crate::RawSocket;
use crate::buffer::ReadBuffer;
use socket2::SockAddr;

/// Names a socket to a backend: its slot's index and generation. A stale one is recognised by the generation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Key {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// Names a listener to a backend; a worker never uses a number twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct ListenerKey(pub(crate) u32);

/// What the kernel writes to while a socket's operations are under way, in the socket's slot. Here, nothing.
#[cfg(not(windows))]
#[derive(Debug)]
pub(crate) struct SocketMemory;

#[cfg(not(windows))]
impl SocketMemory {
    pub(crate) fn new() -> SocketMemory {
        SocketMemory
    }
}

/// A backend's few bits about a socket, kept by its state machine: readiness keeps what epoll said here.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct SocketIo {
    pub(crate) flags: u8,
}

impl SocketIo {
    /// What epoll or kqueue said: kept for the operations that come.
    #[cfg(unix)]
    pub(crate) fn note_ready(&mut self, readable: bool, writable: bool) {
        self.flags |= super::readiness::ready_flags(readable, writable);
    }

    /// What a recv without a buffer has found: kept for the recv that comes.
    #[cfg(windows)]
    pub(crate) fn note_ready(&mut self, readable: bool, _writable: bool) {
        self.flags |= super::iocp::ready_flags(readable);
    }
}

/// What came of starting an operation.
#[derive(Debug)]
pub(crate) enum Submitted<T> {
    Done(Result<T, Failure>),
    Pending,
}

/// What came of a cancel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CancelOutcome {
    /// It is over; no completion comes.
    Done,
    /// Its completion will come.
    #[cfg_attr(not(any(target_os = "linux", windows)), allow(dead_code, reason = "readiness has nothing to cancel"))]
    Requested,
}

/// Which operation of a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    Recv,
    Send,
    /// Before the other two.
    Connect,
}

/// Why an operation did nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// The system's code: an `errno`, or an error of Winsock or Windows.
    Os(i32),
    /// Nothing happened (EINTR, EAGAIN): submit it again.
    Again,
    /// No read buffer was to be had; nothing was read.
    NoBuffer,
    /// The kernel had no memory for it, or gave it up by itself; nothing was moved. Submit it again after a pause.
    Shortage,
    /// Cancelled as asked; nothing was moved.
    Cancelled,
    /// Of a send from a file: the file could not be read, by the system's code; nothing was moved.
    File(i32),
    /// Of a send from a file: the file ends where the send was to begin.
    FileEnded,
}

/// A connection taken from a listener.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) socket: RawSocket,
    /// The peer's address, if the accept brought it.
    pub(crate) remote: Option<SockAddr>,
}

/// What [`Backend::next`](super::Backend::next) takes.
#[cfg_attr(not(any(target_os = "linux", windows)), allow(dead_code, reason = "readiness only tells of readiness"))]
#[derive(Debug)]
pub(crate) enum Completion {
    /// A recv has ended; no bytes are the peer's FIN.
    Recv { key: Key, result: Result<ReadBuffer, Failure> },
    /// A send has ended; at least one byte.
    Send { key: Key, result: Result<usize, Failure> },
    /// A connect has ended. The socket is a connection's like any other when [`Net::connected`](super::net::Net::connected) has
    /// been called.
    Connect { key: Key, result: Result<(), Failure> },
    /// A pending recv (`readable`), send or connect (`writable`) is to be submitted again. `io` is to be marked by
    /// [`SocketIo::note_ready`] whether one is pending or not.
    Ready { key: Key, readable: bool, writable: bool },
    /// An accept has ended.
    Accept { listener: ListenerKey, result: Result<Accepted, Failure> },
    /// Readiness: a pending accept is to be submitted again.
    #[cfg_attr(windows, allow(dead_code, reason = "no backend on readiness, but the simulation is"))]
    AcceptReady { listener: ListenerKey },
    /// Another thread has called the waker.
    Woken,
    /// A recv that stands has brought something, or has ended (`stands` is false then): to be given to
    /// [`Backend::arrived`](super::Backend::arrived), which tells what comes of it for the socket's recv.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "io_uring alone has recvs that stand"))]
    Arrived { key: Key, result: Result<ReadBuffer, Failure>, stands: bool },
}

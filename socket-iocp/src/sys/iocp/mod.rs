//! Windows I/O completion ports: one port a worker.
//!
//! - `port.rs` is the port and what other threads do with it: wake-ups, tying sockets to it. `memory.rs` is what the
//!   kernel writes to for a connected socket; it lives in the socket's slot. `accepts.rs` and `listener.rs` are the pool
//!   of accepts and a listener's provider, `connect.rs` is ConnectEx, `file.rs` TransmitFile, `lost.rs` is about cancels of it,
//!   `datagrams.rs` WSARecvFrom and WSASendTo. This file submits and reads completions.
//!
//! # Invariants
//! - An OVERLAPPED, and the bytes of its operation, are the kernel's from the call that started it until its completion
//!   has been taken from the port; [`SocketMemory`] and `Accepts` know which ones are.
//! - Where success at once sends no completion ([`flags::SKIPS`]) the call's answer is the result; everywhere else a
//!   completion comes, also of what succeeded at once. A call that failed at once never sends one.
//! - A completion is believed only if its key is that of a live socket and its OVERLAPPED is one of that socket's that is
//!   under way. Any other is dropped, and its OVERLAPPED not touched: a socket that was handed back stays tied to the port
//!   where the system cannot untie it, and what its owner does with it completes here.
//! - An operation is cancelled by its OVERLAPPED. Without one, `CancelIoEx` would cancel whatever this process does on the
//!   handle, and the handle may have become a stranger's.
//!
//! # Threads
//! A driven port may be run by changing threads. Should the system cancel what a thread had started when that thread ends,
//! the worker finds the socket as it was and starts it again.

use super::{Accepted, CancelOutcome, Completion, Config, Direction, Failure, Key, ListenerKey, SocketIo, Submitted};
use crate::buffer::{BufferPool, FilePart, ReadBuffer};
use crate::{Error, ErrorCode, RawSocket};
use socket2::SockAddr;
use std::fmt;
use std::time::Duration;
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Networking::WinSock::{
    SOCKET, SOCKET_ERROR, WSA_IO_PENDING, WSABUF, WSAEWOULDBLOCK, WSAGetLastError, WSARecv, WSASend,
};
use windows_sys::Win32::System::IO::{CancelIoEx, OVERLAPPED, OVERLAPPED_ENTRY};
use windows_sys::core::BOOL;

mod accepts;
mod connect;
mod datagrams;
mod extension;
mod file;
mod gather;
mod listener;
mod lost;
mod memory;
mod port;
#[cfg(test)]
mod tests;

use accepts::Accepts;
use gather::Gather;
use listener::Listener;
use lost::LostCancels;
pub(crate) use memory::SocketMemory;
pub(crate) use port::Waker;
pub(super) use port::dissociate;
use port::{Source, flags};

/// Completions taken by one call: many enough that the call is cheap, few enough that new work from other threads is
/// looked at soon.
const MAX_ENTRIES: usize = 128;

/// One worker's port.
pub(crate) struct Backend {
    port: Waker,
    /// What the last wait brought; those before `taken` have been given out.
    entries: Vec<OVERLAPPED_ENTRY>,
    taken: usize,
    found: usize,
    listeners: Vec<Listener>,
    accepts: Accepts,
    idle_reads: bool,
    /// The most bytes of one send.
    max_send_bytes: usize,
    lost: LostCancels,
}

// SAFETY: the pointers in the entries are addresses of OVERLAPPEDs, which are no thread's.
unsafe impl Send for Backend {}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend")
            .field("port", &self.port)
            .field("accepts", &self.accepts.pending())
            .finish_non_exhaustive()
    }
}

/// The most bytes in one send. The system may lock their pages until the peer has acknowledged them: this bounds what one
/// socket locks.
const MAX_SEND_BYTES: usize = 4 << 20;
/// The same where progress is to be seen: a send is reported when all of it has gone.
const PROGRESS_BYTES: usize = 64 << 10;

/// What a call that starts an operation came to.
enum Started {
    /// It is done, and no completion comes.
    Done(usize),
    /// Its completion will come.
    Pending,
    /// It was not started.
    Failed(Failure),
}

impl Backend {
    pub(crate) fn new(config: &Config) -> Result<Backend, Error> {
        let mut entries = Vec::new();
        entries.try_reserve_exact(MAX_ENTRIES).map_err(|_| ErrorCode::NoMemory)?;
        entries.resize(MAX_ENTRIES, OVERLAPPED_ENTRY::default());
        Ok(Backend {
            port: Waker::new(config.skip_on_success)?,
            entries,
            taken: 0,
            found: 0,
            listeners: Vec::new(),
            accepts: Accepts::default(),
            idle_reads: config.idle_reads,
            max_send_bytes: if config.show_progress { PROGRESS_BYTES } else { MAX_SEND_BYTES },
            lost: LostCancels::default(),
        })
    }

    pub(crate) fn start(&mut self) -> Result<(), Error> {
        Ok(())
    }

    pub(crate) fn waker(&self) -> Waker {
        self.port.clone()
    }

    /// One recv. With idle reads it first waits for data without a buffer: what the kernel holds then is the OVERLAPPED
    /// alone, and no page of memory is locked.
    pub(crate) fn recv(
        &mut self,
        io: &mut SocketIo,
        memory: &'static SocketMemory,
        _: Key,
        socket: RawSocket,
        pool: &mut BufferPool,
    ) -> Submitted<ReadBuffer> {
        let readable = io.flags & flags::READABLE != 0;
        io.flags &= !flags::READABLE;
        if self.idle_reads && !readable {
            // An address all the same: not every provider takes none.
            static NOTHING: u8 = 0;
            // SAFETY: a buffer of no bytes, which is never written to.
            match unsafe { start_recv(*io, memory, socket, (&raw const NOTHING).cast_mut(), 0) } {
                Started::Done(_) => {}
                Started::Pending => {
                    memory.started(Direction::Recv, None);
                    return Submitted::Pending;
                }
                Started::Failed(failure) => return Submitted::Done(Err(failure)),
            }
        }
        let Some(block) = pool.take() else { return Submitted::Done(Err(Failure::NoBuffer)) };
        // SAFETY: the block is this recv's until its completion: it is put away with the OVERLAPPED.
        match unsafe { start_recv(*io, memory, socket, block.data().as_ptr(), pool.buffer_size()) } {
            Started::Done(0) => {
                pool.put(block);
                Submitted::Done(Ok(ReadBuffer::empty()))
            }
            Started::Done(bytes) => Submitted::Done(Ok(pool.filled(block, bytes))),
            Started::Pending => {
                memory.started(Direction::Recv, Some(block));
                Submitted::Pending
            }
            Started::Failed(failure) => {
                pool.put(block);
                Submitted::Done(Err(failure))
            }
        }
    }

    /// One send of all the slices, as far as they go into one call.
    pub(crate) fn send<'q>(
        &mut self,
        io: &mut SocketIo,
        memory: &'static SocketMemory,
        _: Key,
        socket: RawSocket,
        slices: impl Iterator<Item = &'q [u8]>,
    ) -> Submitted<usize> {
        let gather = Gather::new(slices, self.max_send_bytes);
        let buffers = gather.buffers();
        if buffers.is_empty() {
            return Submitted::Done(Ok(0));
        }
        let mut sent = 0;
        let overlapped = memory.begin(Direction::Send);
        // SAFETY: the bytes are the kernel's until the completion: the send queue keeps them. The array of buffers is read
        // before the call returns, as its documentation promises. The OVERLAPPED is in a slot, which stays.
        let answer = unsafe {
            WSASend(socket as SOCKET, buffers.as_ptr(), buffers.len() as u32, &mut sent, 0, overlapped, None)
        };
        match outcome(answer, *io, sent) {
            Started::Done(bytes) => Submitted::Done(Ok(bytes)),
            Started::Pending => {
                memory.started(Direction::Send, None);
                Submitted::Pending
            }
            Started::Failed(failure) => Submitted::Done(Err(failure)),
        }
    }

    /// One send from a file, by TransmitFile, of as much as goes into one call.
    pub(crate) fn send_file(
        &mut self,
        io: &mut SocketIo,
        memory: &'static SocketMemory,
        _: Key,
        socket: RawSocket,
        part: FilePart<'_>,
    ) -> Submitted<usize> {
        let result = match file::start(*io, memory, socket, part, self.max_send_bytes) {
            Started::Done(bytes) => Ok(bytes),
            Started::Pending => {
                memory.started_file();
                return Submitted::Pending;
            }
            Started::Failed(failure) => Err(failure),
        };
        Submitted::Done(file::judged(result))
    }

    /// One connect, by ConnectEx. The socket is bound: `Net::check_connectable` has seen to that.
    pub(crate) fn connect(
        &mut self,
        io: &mut SocketIo,
        memory: &'static SocketMemory,
        _: Key,
        socket: RawSocket,
        address: &SockAddr,
    ) -> Submitted<()> {
        match connect::start(*io, memory, socket, address) {
            Started::Done(_) => Submitted::Done(Ok(())),
            Started::Pending => {
                memory.started(Direction::Connect, None);
                Submitted::Pending
            }
            Started::Failed(failure) => Submitted::Done(Err(failure)),
        }
    }

    pub(crate) fn cancel(
        &mut self,
        _: &mut SocketIo,
        memory: &'static SocketMemory,
        _: Key,
        socket: RawSocket,
        direction: Direction,
    ) -> CancelOutcome {
        memory.cancel(direction);
        // An error means that it has ended already: its completion is on its way.
        // SAFETY: the OVERLAPPED only names the operation; a number that is no socket any more makes the call fail.
        let found = unsafe { CancelIoEx(socket as HANDLE, memory.overlapped(direction)) != 0 };
        if !found && direction == Direction::Send {
            self.lost.note(socket, memory);
        }
        CancelOutcome::Requested
    }

    /// Takes the socket off the port, where the system can.
    pub(crate) fn forget(&mut self, _: &mut SocketIo, socket: RawSocket) {
        port::dissociate(socket);
    }

    pub(crate) fn add_listener(&mut self, listener: ListenerKey, socket: RawSocket) -> Result<(), Error> {
        self.listeners.try_reserve(1).map_err(|_| ErrorCode::NoMemory)?;
        self.listeners.push(Listener::new(listener, socket)?);
        Ok(())
    }

    pub(crate) fn accept(&mut self, listener: ListenerKey, _: RawSocket) -> Submitted<Accepted> {
        let Some(listener) = self.listeners.iter().find(|entry| entry.key == listener) else {
            return Submitted::Done(Err(Failure::Cancelled));
        };
        self.accepts.start(listener)
    }

    pub(crate) fn cancel_accepts(&mut self, listener: ListenerKey, _: RawSocket) -> CancelOutcome {
        match self.listeners.iter().find(|entry| entry.key == listener) {
            Some(listener) => {
                self.accepts.cancel(listener);
                CancelOutcome::Requested
            }
            None => CancelOutcome::Done,
        }
    }

    pub(crate) fn remove_listener(&mut self, listener: ListenerKey, socket: RawSocket) {
        port::dissociate(socket);
        self.listeners.retain(|entry| entry.key != listener);
    }

    pub(crate) fn wait(&mut self, timeout: Option<Duration>, _: &mut BufferPool) -> Result<(), Error> {
        if self.taken < self.found {
            return Ok(());
        }
        (self.taken, self.found) = (0, 0);
        let timeout = self.lost.repeat(timeout).map(|timeout| timeout.min(super::net::MAX_WAIT));
        self.found = self.port.wait(&mut self.entries, timeout)?;
        Ok(())
    }

    pub(crate) fn next(
        &mut self,
        pool: &mut BufferPool,
        find: impl Fn(Key) -> Option<&'static SocketMemory>,
    ) -> Option<Completion> {
        while self.taken < self.found {
            let entry = self.entries[self.taken];
            self.taken += 1;
            let (overlapped, bytes) = (entry.lpOverlapped, entry.dwNumberOfBytesTransferred);
            let completion = match Source::of(&entry) {
                Some(Source::Waker) => Some(Completion::Woken),
                Some(Source::Listener) => self
                    .accepts
                    .end(overlapped, bytes, &self.listeners)
                    .map(|(listener, result)| Completion::Accept { listener, result }),
                Some(Source::Socket(key)) => {
                    find(key).and_then(|memory| completion_of(memory, key, overlapped, bytes, pool))
                }
                None => None,
            };
            if completion.is_some() {
                return completion;
            }
        }
        None
    }

    /// Is for a pollable descriptor, which there is none of.
    pub(crate) fn set_deadline(&mut self, _: Option<Duration>) {}
}

/// Starts a recv into `capacity` bytes at `data`.
///
/// # Safety
/// `data` is valid for writes of so many bytes until the completion, if the answer is `Pending`.
unsafe fn start_recv(
    io: SocketIo,
    memory: &'static SocketMemory,
    socket: RawSocket,
    data: *mut u8,
    capacity: usize,
) -> Started {
    let buffer = WSABUF { len: capacity as u32, buf: data };
    let (mut received, mut flags) = (0, 0);
    let overlapped = memory.begin(Direction::Recv);
    // SAFETY: the caller's promise for the bytes; the description of the buffer is read before the call returns, as its
    // documentation promises. The OVERLAPPED is in a slot, which stays.
    let answer = unsafe { WSARecv(socket as SOCKET, &buffer, 1, &mut received, &mut flags, overlapped, None) };
    outcome(answer, io, received)
}

/// What the answer of a call that starts an operation means.
fn outcome(answer: i32, io: SocketIo, bytes: u32) -> Started {
    if answer != SOCKET_ERROR {
        return if io.flags & flags::SKIPS != 0 { Started::Done(bytes as usize) } else { Started::Pending };
    }
    // SAFETY: the call has no precondition.
    match unsafe { WSAGetLastError() } {
        WSA_IO_PENDING => Started::Pending,
        error => Started::Failed(failure_of(error)),
    }
}

/// As [`outcome`], of a function that is no part of Winsock's interface. It does not say how many bytes were moved.
fn outcome_of_extension(done: BOOL, io: SocketIo) -> Started {
    outcome(if done == 0 { SOCKET_ERROR } else { 0 }, io, 0)
}

/// What a completion of a socket's is; `None` if it is of no operation of ours.
fn completion_of(
    memory: &'static SocketMemory,
    key: Key,
    overlapped: *mut OVERLAPPED,
    bytes: u32,
    pool: &mut BufferPool,
) -> Option<Completion> {
    let direction = memory.direction_of(overlapped)?;
    let result = memory.end(direction, bytes);
    match direction {
        Direction::Recv => {}
        Direction::Send => {
            let result = if memory.is_from_file() { file::judged(result) } else { result };
            return Some(Completion::Send { key, result });
        }
        Direction::Connect => return Some(Completion::Connect { key, result: result.map(drop) }),
    }
    Some(match (result, memory.take_block()) {
        (Ok(0), Some(block)) => {
            pool.put(block);
            Completion::Recv { key, result: Ok(ReadBuffer::empty()) }
        }
        (Ok(bytes), Some(block)) => Completion::Recv { key, result: Ok(pool.filled(block, bytes)) },
        // It had no buffer: there is something now, be it the end.
        (Ok(_), None) => Completion::Ready { key, readable: true, writable: false },
        (Err(failure), block) => {
            block.into_iter().for_each(|block| pool.put(block));
            Completion::Recv { key, result: Err(failure) }
        }
    })
}

/// What a recv without a buffer has found: kept for the recv that comes.
pub(super) fn ready_flags(readable: bool) -> u8 {
    if readable { flags::READABLE } else { 0 }
}

/// How an error is told to the worker.
fn failure_of(error: i32) -> Failure {
    match error {
        // Too many operations under way, as the documentation of WSARecv and WSASend has it.
        WSAEWOULDBLOCK => Failure::Shortage,
        error if super::windows::is_shortage(error) => Failure::Shortage,
        error => Failure::Os(error),
    }
}

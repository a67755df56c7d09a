//! Sending from files: a part of the file is read into a chunk of memory, which is then sent.
//!
//! ```text
//! Waiting ──a chunk is free──> Reading ──bytes are there──> Sending ──> over
//! ```
//! To the worker it is one send, whose completion says how many bytes went. The send does not wait for the peer (MSG_DONTWAIT): what
//! found no room is read again when there is some, which a poll tells, so that a peer that does not read holds no chunk. A worker
//! has at most [`MAX_CHUNKS`] of them; who finds none waits for the next, in order.
//!
//! Not by splice(2): it needs a pipe for each socket, two descriptors more, and takes as many steps. Not as two linked
//! submissions: a read that brings less than asked breaks the link, and a cancel would have to find the one that is under way.
//!
//! The chunks are in [`Memory`](super::Memory): the kernel writes to them.

use super::tag::{Kind, Tag};
use super::{Backend, failure_of};
use crate::RawSocket;
use crate::buffer::{FilePart, RawFile};
use crate::sys::{FILE_CHUNK, Failure, Key, SocketIo, Submitted};
use io_uring::opcode;
use io_uring::types::Fd;
use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;

/// Chunks of a worker: 4 MiB.
pub(super) const MAX_CHUNKS: usize = 64;
/// So many of them are kept when nobody needs them.
const MAX_FREE: usize = 8;

/// Bytes on their way: room for [`FILE_CHUNK`], of which nothing is kept initialised.
struct Chunk(Vec<u8>);

impl Chunk {
    /// `None` when memory is refused.
    fn allocate() -> Option<Chunk> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(FILE_CHUNK).ok()?;
        Some(Chunk(bytes))
    }

    fn data(&mut self) -> *mut u8 {
        self.0.as_mut_ptr()
    }
}

/// What is to be done for one send, by whose tag it goes.
#[derive(Clone, Copy)]
struct Job {
    send: Tag,
    socket: RawSocket,
    file: RawFile,
    offset: u64,
    /// At most [`FILE_CHUNK`].
    len: u32,
}

/// A job that has a chunk.
struct Transfer {
    job: Job,
    chunk: Chunk,
    /// The bytes that are being sent; `None` while they are read.
    sending: Option<u32>,
    /// Its end was asked for while it was being read.
    stopped: bool,
}

/// Where the stop of a send has met it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stopped {
    /// Among those that wait: it is over.
    Waiting,
    /// Reading: nothing will be sent.
    Reading,
    /// With a socket, or not here.
    Elsewhere,
}

/// A worker's sends from files.
pub(super) struct Files {
    /// At most [`MAX_CHUNKS`]; there is room for all of them from the first on.
    transfers: Vec<Transfer>,
    /// Nobody waits while there is a chunk: each that becomes free is handed on.
    waiting: VecDeque<Job>,
    free: Vec<Chunk>,
}

impl Files {
    pub(super) fn new() -> Files {
        Files { transfers: Vec::new(), waiting: VecDeque::new(), free: Vec::new() }
    }

    fn has_chunk(&self) -> bool {
        self.waiting.is_empty() && self.transfers.len() < MAX_CHUNKS
    }

    /// A chunk for a transfer, with the transfer's own place. `None` when memory is refused.
    fn take_chunk(&mut self) -> Option<Chunk> {
        if self.transfers.capacity() < MAX_CHUNKS {
            self.transfers.try_reserve_exact(MAX_CHUNKS).ok()?;
        }
        self.free.pop().or_else(Chunk::allocate)
    }

    fn keep_chunk(&mut self, chunk: Chunk) {
        if self.free.len() < MAX_FREE && self.free.try_reserve(1).is_ok() {
            self.free.push(chunk);
        }
    }

    /// Begins a transfer: where its job is to be read to.
    fn begin(&mut self, job: Job, mut chunk: Chunk) -> *mut u8 {
        assert!(self.transfers.len() < self.transfers.capacity(), "whoever has a chunk has a place");
        assert!(self.find(job.send).is_none(), "one send of a socket is under way at a time");
        let place = chunk.data();
        self.transfers.push(Transfer { job, chunk, sending: None, stopped: false });
        place
    }

    fn find(&mut self, send: Tag) -> Option<&mut Transfer> {
        self.transfers.iter_mut().find(|transfer| transfer.job.send == send)
    }

    fn end(&mut self, send: Tag) -> Option<Transfer> {
        let at = self.transfers.iter().position(|transfer| transfer.job.send == send)?;
        Some(self.transfers.swap_remove(at))
    }

    /// Puts a job behind those that wait. False when memory is refused.
    fn wait(&mut self, job: Job) -> bool {
        let has_memory = self.waiting.try_reserve(1).is_ok();
        if has_memory {
            self.waiting.push_back(job);
        }
        has_memory
    }

    /// The end of a send is asked for.
    pub(super) fn stop(&mut self, send: Tag) -> Stopped {
        if let Some(transfer) = self.find(send) {
            transfer.stopped = true;
            return if transfer.sending.is_none() { Stopped::Reading } else { Stopped::Elsewhere };
        }
        match self.waiting.iter().position(|job| job.send == send) {
            Some(at) => {
                self.waiting.remove(at);
                Stopped::Waiting
            }
            None => Stopped::Elsewhere,
        }
    }
}

impl Backend {
    pub(crate) fn send_file(
        &mut self,
        _io: &mut SocketIo,
        key: Key,
        socket: RawSocket,
        part: FilePart<'_>,
    ) -> Submitted<usize> {
        let Some(file) = part.file.os() else { return Submitted::Done(Err(Failure::File(libc::EBADF))) };
        if let Err(error) = self.make_room() {
            return Submitted::Done(Err(failure_of(error)));
        }
        let send = Tag::of_socket(Kind::Send, key);
        if self.refused.take(send) {
            self.push_poll(send.with_kind(Kind::SendPoll), socket, libc::POLLOUT);
            return Submitted::Pending;
        }
        let len = part.len.min(FILE_CHUNK) as u32;
        let job = Job { send, socket, file: file.as_raw_fd(), offset: part.offset, len };
        let goes_on = if self.memory.files.has_chunk() {
            self.memory.files.take_chunk().map(|chunk| self.push_read(job, chunk)).is_some()
        } else {
            self.memory.files.wait(job)
        };
        if goes_on { Submitted::Pending } else { Submitted::Done(Err(Failure::Shortage)) }
    }

    /// Queues the read of a job; there is room for it.
    fn push_read(&mut self, job: Job, chunk: Chunk) {
        let place = self.memory.files.begin(job, chunk);
        let entry = opcode::Read::new(Fd(job.file), place, job.len).offset(job.offset).build();
        // SAFETY: the chunk has room for so many bytes and is in `Memory`, with this transfer until its completion. The send queue
        // keeps the file open.
        unsafe { self.push(entry, job.send.with_kind(Kind::FileRead)) };
    }

    /// A read has ended. If it has brought something, that is on its way; else this is the end of the send.
    pub(super) fn file_read(&mut self, read: Tag, answer: i32) -> Result<(), Failure> {
        let send = read.with_kind(Kind::Send);
        let sent = match answer {
            0 => Err(Failure::FileEnded),
            1.. => self.send_chunk(read, answer as u32),
            _ => match -answer {
                libc::EAGAIN => self.read_now(read),
                errno @ (libc::ECANCELED | libc::EINTR) => Err(self.failure(read, errno)),
                errno => Err(Failure::File(errno)),
            },
        };
        self.cancels.take(read);
        if sent.is_err() {
            self.end_transfer(send);
        }
        sent
    }

    /// Sends what a job has read.
    fn send_chunk(&mut self, read: Tag, bytes: u32) -> Result<(), Failure> {
        let send = read.with_kind(Kind::Send);
        self.make_room().map_err(failure_of)?;
        let transfer = self.memory.files.find(send).expect("a read is a transfer's");
        if transfer.stopped {
            return Err(Failure::Cancelled);
        }
        transfer.sending = Some(bytes);
        let entry = opcode::Send::new(Fd(transfer.job.socket), transfer.chunk.data(), bytes)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT)
            .build();
        // SAFETY: the read has written so many bytes of the chunk, which stays until the completion.
        unsafe { self.push(entry, send) };
        Ok(())
    }

    /// The ring does not wait for a file with O_NONBLOCK set whose file system cannot say that it would have to: then it is read
    /// here.
    fn read_now(&mut self, read: Tag) -> Result<(), Failure> {
        let transfer = self.memory.files.find(read.with_kind(Kind::Send)).expect("a read is a transfer's");
        let Job { file, offset, len, .. } = transfer.job;
        loop {
            // SAFETY: the chunk has room for so many bytes, and nobody else has it: the ring's read has ended.
            let got = unsafe { libc::pread64(file, transfer.chunk.data().cast(), len as usize, offset as i64) };
            match got {
                0 => return Err(Failure::FileEnded),
                1.. => return self.send_chunk(read, got as u32),
                _ => match io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO) {
                    libc::EINTR => {}
                    errno => return Err(Failure::File(errno)),
                },
            }
        }
    }

    /// A send's own transfer, if it has one, is over, and its chunk another's: how many bytes it was sending.
    pub(super) fn end_transfer(&mut self, send: Tag) -> Option<u32> {
        let Transfer { chunk, sending, .. } = self.memory.files.end(send)?;
        // A ring that fails altogether says so in the next wait.
        let next = if self.make_room().is_ok() { self.memory.files.waiting.pop_front() } else { None };
        match next {
            Some(job) => self.push_read(job, chunk),
            None => self.memory.files.keep_chunk(chunk),
        }
        Some(sending.unwrap_or(0))
    }

    /// What a send has said that was to send so many bytes.
    pub(super) fn sent_from_file(&mut self, send: Tag, asked: u32, answer: i32) -> Result<usize, Failure> {
        let sent = usize::try_from(answer).map_err(|_| self.failure(send, -answer))?;
        if sent < asked as usize {
            // The socket is full: the next one waits until it has room.
            self.refused.note(send);
        }
        Ok(sent)
    }
}

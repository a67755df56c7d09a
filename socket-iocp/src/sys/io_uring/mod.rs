//! Linux io_uring: one ring a worker.
//!
//! - `setup.rs` makes the ring and probes what the kernel can do; `ring.rs` is the ring in use: push, the one system
//!   call, take; `tag.rs` is what an operation carries through the kernel.
//! - Memory that the kernel uses: `buffers.rs` (the provided-buffer ring of recvs), `messages.rs` (headers and vectors of
//!   sends), `accepts.rs` (peer addresses), `files.rs` (what is on its way from a file to a socket).
//! - `zero_copy.rs` keeps the results of sends that are answered twice, `standing.rs` what recvs that stand bring unasked.
//! - This file submits, `datagrams.rs` those of datagram sockets, `complete.rs` reads completions, `wake.rs` and
//!   `deadline.rs` are what they say, `cancels.rs` and `refused.rs` keep the few notes about operations that one in a
//!   million needs, `end.rs` is the drop, `faults.rs` is for tests alone.
//!
//! # Invariants
//! - `pending` counts every submission pushed whose completion has not been taken, of two the second ([`Kind::Update`], which
//!   completes in silence, until the kernel has it). What is counted and not in the submission queue any more is the kernel's;
//!   with `Options::sqpoll`, all of it is, since a thread of the kernel takes entries when it likes.
//! - Everything that the kernel writes to is in [`Memory`], which neither moves nor goes away before the kernel is done.
//! - An operation ends with its own completion, never with its cancel's: nothing is retired early, nothing is lost.
//!   A full submission queue is submitted and the push done then.

mod accepts;
mod buffers;
mod cancels;
mod complete;
mod datagrams;
mod deadline;
mod end;
pub(crate) mod faults;
mod files;
mod messages;
mod refused;
mod ring;
mod setup;
mod standing;
mod tag;
mod wake;
mod zero_copy;

#[cfg(test)]
mod tests;

pub(crate) use wake::Waker;

use self::accepts::Accepts;
use self::buffers::BufferRing;
use self::cancels::Cancels;
use self::deadline::Deadline;
use self::files::{Files, Stopped};
use self::messages::{Message, Messages};
use self::refused::Refused;
use self::ring::{Entered, Ring};
use self::standing::Standing;
use self::tag::{Kind, Tag};
use self::zero_copy::ZeroCopy;
use super::readiness;
use super::{Accepted, CancelOutcome, Completion, Config, Direction, Failure, Key, ListenerKey, SocketIo, Submitted};
use crate::buffer::{BufferPool, ReadBuffer};
use crate::{Error, RawSocket};
use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use socket2::SockAddr;
use std::fmt;
use std::mem::ManuallyDrop;
use std::time::Duration;

/// How long to wait for completions when the kernel has no memory or no room for submissions.
const BREATH: Duration = Duration::from_millis(1);

/// One worker's ring.
pub(crate) struct Backend {
    /// Closed before `memory` goes (`end.rs`).
    ring: ManuallyDrop<Ring>,
    memory: ManuallyDrop<Memory>,
    messages: Messages,
    waker: Waker,
    wake_armed: bool,
    /// Submissions pushed and not yet completed.
    pending: usize,
    /// Polls among them.
    polls: usize,
    refused: Refused,
    cancels: Cancels,
    deadline: Deadline,
    driven: bool,
    send_flags: i32,
    /// The most bytes of a send.
    max_send: usize,
    zero_copy: ZeroCopy,
    standing: Standing,
}

/// What the kernel writes to while operations are under way.
struct Memory {
    buffers: BufferRing,
    accepts: Accepts,
    files: Files,
    /// The wake-up counter: one place, on the heap so that it stays where it is.
    wake_count: Vec<u64>,
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend")
            .field("ring", &self.ring.as_raw_fd())
            .field("pending", &self.pending)
            .field("buffers", &self.memory.buffers.provided())
            .finish_non_exhaustive()
    }
}

impl Backend {
    /// Makes the ring on the caller's thread, so that every refusal reaches the caller.
    pub(crate) fn new(config: &Config, pool: &mut BufferPool) -> Result<Backend, Error> {
        let ring = Ring::new(config.driven, config.sqpoll)?;
        let memory = Memory::new(pool)?;
        let messages = Messages::new()?;
        let refused = Refused::new()?;
        let waker = Waker::new()?;
        let has_zero_copy = config.zero_copy_from != 0 && setup::has_zero_copy(&ring.submitter());
        let zero_copy_from = if has_zero_copy { config.zero_copy_from } else { 0 };
        let parts = config.show_progress && zero_copy_from != 0;
        let backend = Backend {
            ring: ManuallyDrop::new(ring),
            memory: ManuallyDrop::new(memory),
            messages,
            waker,
            wake_armed: false,
            pending: 0,
            polls: 0,
            refused,
            cancels: Cancels::new(config.driven),
            deadline: Deadline::new(),
            driven: config.driven,
            send_flags: libc::MSG_NOSIGNAL | if config.show_progress { 0 } else { libc::MSG_WAITALL },
            max_send: if parts { zero_copy::MAX_PART.max(zero_copy_from as usize) } else { usize::MAX },
            zero_copy: ZeroCopy::new(zero_copy_from)?,
            standing: Standing::new(config.multishot_recv),
        };
        // SAFETY: `memory` lives until the kernel is done with it: `end.rs` sees to that, on every way out of here.
        unsafe { backend.memory.buffers.register(&backend.ring.submitter())? };
        Ok(backend)
    }

    /// Makes this thread the ring's; for a driven port, makes the descriptor show wake-ups from now on.
    pub(crate) fn start(&mut self) -> Result<(), Error> {
        if self.driven {
            self.arm_wake()?;
            return self.submit_all();
        }
        self.ring.enable()
    }

    pub(crate) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// One recv, whose buffer the kernel takes from the ring when there is data.
    pub(crate) fn recv(
        &mut self,
        io: &mut SocketIo,
        key: Key,
        socket: RawSocket,
        pool: &mut BufferPool,
    ) -> Submitted<ReadBuffer> {
        if self.standing.concerns(io) {
            return self.recv_standing(io, key, socket, pool);
        }
        self.recv_once(key, socket, pool)
    }

    fn recv_once(&mut self, key: Key, socket: RawSocket, pool: &mut BufferPool) -> Submitted<ReadBuffer> {
        if let Err(error) = self.make_room() {
            return Submitted::Done(Err(failure_of(error)));
        }
        let tag = Tag::of_socket(Kind::Recv, key);
        if self.refused.take(tag) {
            self.push_poll(tag.with_kind(Kind::RecvPoll), socket, libc::POLLIN);
            return Submitted::Pending;
        }
        let len = pool.buffer_size() as u32;
        let entry = opcode::Recv::new(Fd(socket), std::ptr::null_mut(), len).buf_group(buffers::GROUP).build();
        // SAFETY: the entry has no pointer; the buffers are the ring's, which holds them until it is gone.
        unsafe { self.push(entry.flags(squeue::Flags::BUFFER_SELECT), tag) };
        Submitted::Pending
    }

    /// One send of all the slices. The kernel waits for room until every byte is taken (`MSG_WAITALL`), as long as
    /// nothing interrupts it; or only until one is, where progress is to be seen.
    pub(crate) fn send<'q>(
        &mut self,
        io: &mut SocketIo,
        key: Key,
        socket: RawSocket,
        slices: impl Iterator<Item = &'q [u8]>,
    ) -> Submitted<usize> {
        // Both before the arena is written: a submission clears it.
        if let Err(error) = self.make_room().and_then(|()| self.make_message_room()) {
            return Submitted::Done(Err(failure_of(error)));
        }
        let tag = Tag::of_socket(Kind::Send, key);
        if self.refused.take(tag) {
            self.push_poll(tag.with_kind(Kind::SendPoll), socket, libc::POLLOUT);
            return Submitted::Pending;
        }
        let (to, flags) = (Fd(socket), self.send_flags);
        let entry = match self.messages.describe(slices, self.max_send) {
            Message::Nothing => return Submitted::Done(Ok(0)),
            Message::One { data, len } if self.zero_copy.begin(io, tag, socket, len as usize) => {
                opcode::SendZc::new(to, data, len).flags(flags).build()
            }
            Message::One { data, len } => opcode::Send::new(to, data, len).flags(flags).build(),
            Message::Many { header, bytes } if self.zero_copy.begin(io, tag, socket, bytes) => {
                opcode::SendMsgZc::new(to, header).flags(flags as u32).build()
            }
            Message::Many { header, .. } => opcode::SendMsg::new(to, header).flags(flags as u32).build(),
        };
        // SAFETY: the state machine keeps the bytes until the completion, which is that of the notification where there is one;
        // the header and its vectors stay in the arena until the submission, when the kernel has copied them.
        unsafe { self.push(entry, tag) };
        Submitted::Pending
    }

    /// One connect. The kernel waits for its end whatever `O_NONBLOCK` says; a kernel that does not is polled for. That of a Unix
    /// socket is made at once.
    pub(crate) fn connect(
        &mut self,
        _io: &mut SocketIo,
        key: Key,
        socket: RawSocket,
        address: &SockAddr,
    ) -> Submitted<()> {
        if address.is_unix() {
            // It waits for nothing but room in the listener's queue, and the ring would have a thread of the kernel blocked
            // there, which cancels were seen to miss.
            return Submitted::Done(readiness::connect_at_once(socket, address));
        }
        if let Err(error) = self.make_room().and_then(|()| self.make_message_room()) {
            return Submitted::Done(Err(failure_of(error)));
        }
        let tag = Tag::of_socket(Kind::Connect, key);
        if self.refused.take(tag) {
            self.push_poll(tag.with_kind(Kind::ConnectPoll), socket, libc::POLLOUT);
            return Submitted::Pending;
        }
        let entry = opcode::Connect::new(Fd(socket), self.messages.address(address), address.len()).build();
        // SAFETY: the address stays in the arena until the submission, when the kernel has copied it.
        unsafe { self.push(entry, tag) };
        Submitted::Pending
    }

    /// Cancels by the operation's own tag. The descriptor's number may have become a stranger's.
    pub(crate) fn cancel(&mut self, io: &mut SocketIo, key: Key, _: RawSocket, direction: Direction) -> CancelOutcome {
        if direction == Direction::Recv && standing::gives_up_recv(io) {
            return CancelOutcome::Done;
        }
        let kind = match direction {
            Direction::Recv => Kind::Recv,
            Direction::Send => Kind::Send,
            Direction::Connect => Kind::Connect,
        };
        let tag = Tag::of_socket(kind, key);
        let stopped = if direction == Direction::Send { self.memory.files.stop(tag) } else { Stopped::Elsewhere };
        match stopped {
            Stopped::Waiting => return CancelOutcome::Done,
            Stopped::Reading => self.push_cancel(tag.with_kind(Kind::FileRead)),
            Stopped::Elsewhere => self.push_cancel(tag),
        }
        if self.polls > 0 {
            self.push_cancel(tag.with_kind(kind.poll()));
        }
        CancelOutcome::Requested
    }

    /// Dissolves the connection, if its send would else wait for the peer (see `zero_copy.rs`).
    pub(crate) fn abandon_send(&mut self, key: Key, socket: RawSocket) {
        if self.zero_copy.is_under_way(Tag::of_socket(Kind::Send, key)) {
            zero_copy::dissolve(socket);
        }
    }

    /// Nothing of a socket is kept here between its operations.
    pub(crate) fn forget(&mut self, _io: &mut SocketIo, _socket: RawSocket) {}

    /// Nothing of a listener is kept here between its accepts.
    pub(crate) fn add_listener(&mut self, _listener: ListenerKey, _socket: RawSocket) -> Result<(), Error> {
        Ok(())
    }

    pub(crate) fn accept(&mut self, listener: ListenerKey, socket: RawSocket) -> Submitted<Accepted> {
        if let Err(error) = self.make_room() {
            return Submitted::Done(Err(failure_of(error)));
        }
        let kind = if self.refused.take(Refused::accept(listener)) { Kind::AcceptPoll } else { Kind::Accept };
        let Some(tag) = self.memory.accepts.begin(kind, listener) else {
            return Submitted::Done(Err(Failure::Os(libc::ENOMEM)));
        };
        if kind == Kind::AcceptPoll {
            self.push_poll(tag, socket, libc::POLLIN);
            return Submitted::Pending;
        }
        let (address, len) = self.memory.accepts.address(tag);
        let entry = opcode::Accept::new(Fd(socket), address, len).flags(libc::SOCK_CLOEXEC).build();
        // SAFETY: address and length stay where they are until the completion: they are in `Memory`, and the entry is
        // not used again before.
        unsafe { self.push(entry, tag) };
        Submitted::Pending
    }

    /// Cancels each pending accept of the listener by its own tag.
    pub(crate) fn cancel_accepts(&mut self, listener: ListenerKey, _socket: RawSocket) -> CancelOutcome {
        for index in 0..self.memory.accepts.len() {
            if let Some(tag) = self.memory.accepts.pending(index, listener) {
                self.push_cancel(tag);
            }
        }
        CancelOutcome::Requested
    }

    /// Nothing of a listener is kept here between its accepts.
    pub(crate) fn remove_listener(&mut self, _listener: ListenerKey, _socket: RawSocket) {}

    /// Gives the kernel buffers, then in one system call submits what is queued and waits.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>, pool: &mut BufferPool) -> Result<(), Error> {
        self.memory.buffers.refill(pool);
        self.arm_wake()?;
        let wait = timeout != Some(Duration::ZERO) && !self.ring.has_completions();
        let queued = self.ring.queued();
        match self.ring.enter(queued, wait, timeout)? {
            // What was not taken stays queued for the next wait, which may be at once.
            Entered::NoMemory => {
                self.ring.enter(0, true, Some(BREATH))?;
            }
            // There are completions to be taken, or there is nothing, as the caller has agreed to.
            Entered::Submitted(_) | Entered::Overflowing | Entered::TimedOut | Entered::Interrupted => {}
        }
        if self.ring.queued() == 0 {
            self.messages.clear();
        }
        Ok(())
    }

    pub(crate) fn next(&mut self, pool: &mut BufferPool) -> Option<Completion> {
        while let Some(entry) = self.ring.take_completion() {
            if let Some(completion) = self.complete(&entry, pool) {
                return Some(completion);
            }
        }
        if self.driven {
            // `set_deadline` submits the recvs that come of these completions, and has no pool at hand.
            self.memory.buffers.refill(pool);
        }
        None
    }

    /// The ring's descriptor is readable while its completion queue holds anything.
    pub(crate) fn pollable(&self) -> Option<RawSocket> {
        self.driven.then(|| self.ring.as_raw_fd())
    }
}

impl Memory {
    fn new(pool: &mut BufferPool) -> Result<Memory, Error> {
        let mut wake_count = Vec::new();
        wake_count.try_reserve_exact(1).map_err(|_| crate::ErrorCode::NoMemory)?;
        wake_count.push(0);
        Ok(Memory { buffers: BufferRing::new(pool)?, accepts: Accepts::new(), files: Files::new(), wake_count })
    }
}

/// Submitting.
impl Backend {
    /// Queues an entry; [`make_room`](Backend::make_room) has made room for it.
    ///
    /// # Safety
    /// As for [`Ring::push`].
    unsafe fn push(&mut self, entry: squeue::Entry, tag: Tag) {
        // SAFETY: the caller's promise.
        unsafe { self.ring.push(&faults::submitted(entry, tag.kind()).user_data(tag.user_data())) };
        self.pending += 1;
    }

    fn push_poll(&mut self, tag: Tag, socket: RawSocket, events: libc::c_short) {
        // SAFETY: the entry has no pointer.
        unsafe { self.push(opcode::PollAdd::new(Fd(socket), events as u32).build(), tag) };
        self.polls += 1;
    }

    /// A cancel is never dropped for want of room. A ring that fails altogether says so in the next wait.
    fn push_cancel(&mut self, tag: Tag) {
        self.cancels.note(tag);
        if self.make_room().is_ok() {
            let entry = opcode::AsyncCancel::new(tag.user_data()).build();
            // SAFETY: the entry has no pointer.
            unsafe { self.push(entry, Tag::of_cancel(tag)) };
        }
    }

    fn arm_wake(&mut self) -> Result<(), Error> {
        if self.wake_armed {
            return Ok(());
        }
        self.make_room()?;
        let count = self.memory.wake_count.as_mut_ptr().cast();
        let entry = opcode::Read::new(Fd(self.waker.as_raw_fd()), count, size_of::<u64>() as u32).build();
        // SAFETY: the counter is in `Memory`, and one read at a time is armed.
        unsafe { self.push(entry, Tag::new(Kind::Wake, 0, 0)) };
        self.wake_armed = true;
        Ok(())
    }

    /// Makes room for one submission.
    fn make_room(&mut self) -> Result<(), Error> {
        if self.ring.is_full() { self.submit_all() } else { Ok(()) }
    }

    /// Makes room for one message.
    fn make_message_room(&mut self) -> Result<(), Error> {
        if self.messages.is_full() { self.submit_all() } else { Ok(()) }
    }

    /// Submits everything queued, waiting for completions only if the kernel cannot go on without.
    fn submit_all(&mut self) -> Result<(), Error> {
        loop {
            if self.ring.queued() == 0 {
                self.messages.clear();
                return Ok(());
            }
            match self.ring.submit()? {
                Entered::Submitted(1..) | Entered::Interrupted => {}
                // Completions are put aside for `next`, so that those that had no room get it and the kernel its
                // memory back. The pause is cut short by any completion.
                Entered::Submitted(0) | Entered::NoMemory | Entered::Overflowing | Entered::TimedOut => {
                    self.ring.spill_completions();
                    self.ring.enter(0, true, Some(BREATH))?;
                    self.ring.spill_completions();
                }
            }
        }
    }
}

fn failure_of(error: Error) -> Failure {
    Failure::Os(error.os_error().unwrap_or(libc::EIO))
}

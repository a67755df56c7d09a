//! Operations between submission and completion.

use super::random::Random;
use super::state::{Operation, SocketId, State};
use crate::buffer::{Destination, FilePart};
use crate::sys::{DatagramMemory, Direction, FILE_CHUNK, Failure, Key, ListenerKey, MAX_GATHER, Segments, errno};
use crate::{RawSocket, SendFile};
use socket2::SockAddr;
use std::net::SocketAddr;
use std::ptr::NonNull;
use std::slice;

/// Names a pending operation of one backend. The order is that of the table only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum OperationId {
    Recv { index: u32, generation: u32 },
    Send { index: u32, generation: u32 },
    Accept { listener: u32, serial: u64 },
    Connect { index: u32, generation: u32 },
}

impl OperationId {
    pub(super) fn of(key: Key, direction: Direction) -> OperationId {
        let Key { index, generation } = key;
        match direction {
            Direction::Recv => OperationId::Recv { index, generation },
            Direction::Send => OperationId::Send { index, generation },
            Direction::Connect => OperationId::Connect { index, generation },
        }
    }

    /// Every accept of a listener, for a look into the table.
    pub(super) fn accepts(listener: ListenerKey) -> std::ops::RangeInclusive<OperationId> {
        let ListenerKey(listener) = listener;
        OperationId::Accept { listener, serial: 0 }..=OperationId::Accept { listener, serial: u64::MAX }
    }

    pub(super) fn operation(self) -> Operation {
        match self {
            OperationId::Recv { .. } => Operation::Recv,
            OperationId::Send { .. } => Operation::Send,
            OperationId::Accept { .. } => Operation::Accept,
            OperationId::Connect { .. } => Operation::Connect,
        }
    }
}

/// The socket that an operation works on: found once, at submission, as a kernel does. It goes on working on that
/// socket when the number is closed behind its back and used for another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) number: RawSocket,
    /// Of the descriptor that was submitted on.
    serial: u64,
    pub(super) socket: SocketId,
}

impl Target {
    /// Looks the number up, and asserts that it has no such operation pending; `None` is EBADF.
    pub(super) fn find(state: &mut State, number: RawSocket, operation: Operation) -> Option<Target> {
        let descriptor = state.descriptors.named(number, "an operation")?;
        match operation {
            Operation::Recv => assert!(!descriptor.recv_pending, "sim: a second recv on one socket, {number}"),
            Operation::Send => assert!(!descriptor.send_pending, "sim: a second send on one socket, {number}"),
            Operation::Connect => descriptor.assert_idle(number, "a connect"),
            _ => {}
        }
        Some(Target { number, serial: descriptor.serial, socket: descriptor.socket })
    }

    /// The operation is pending: it keeps the socket open.
    pub(super) fn hold(self, state: &mut State, operation: Operation) {
        self.mark(state, operation, true);
        state.refer(self.socket);
    }

    /// The operation is over.
    pub(super) fn let_go(self, state: &mut State, operation: Operation) {
        self.mark(state, operation, false);
        state.release(self.socket);
    }

    fn mark(self, state: &mut State, operation: Operation, pending: bool) {
        let Some(descriptor) = state.descriptors.same(self.number, self.serial) else {
            return;
        };
        match operation {
            Operation::Recv => descriptor.recv_pending = pending,
            // A send beside a connect would be as wrong as one beside a send.
            Operation::Send | Operation::Connect => descriptor.send_pending = pending,
            _ if pending => descriptor.accepts_pending += 1,
            _ => descriptor.accepts_pending -= 1,
        }
    }
}

/// What some operations have more.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Extra {
    /// Where a connect or a datagram goes.
    pub(super) address: Option<SocketAddr>,
    /// How long each datagram is that a send is cut into.
    pub(super) segment_size: Option<u16>,
    /// Where a datagram's recv writes what it tells.
    datagram: Option<NonNull<DatagramMemory>>,
}

// SAFETY: the memory is of no thread, and written to as by a kernel.
unsafe impl Send for Extra {}

impl Extra {
    pub(super) fn to(address: Option<SocketAddr>) -> Extra {
        Extra { address, ..Extra::default() }
    }

    pub(super) fn of_send(to: Destination<'_>) -> Extra {
        let address = to.address.and_then(SockAddr::as_socket);
        Extra { address, segment_size: to.segments.map(Segments::size), ..Extra::default() }
    }

    pub(super) fn of_recv(datagram: &DatagramMemory) -> Extra {
        Extra { datagram: Some(NonNull::from(datagram)), ..Extra::default() }
    }

    /// Tells of a datagram that is received.
    pub(super) fn tell(self, sender: SocketAddr, truncated: bool) {
        let datagram = self.datagram.expect("a recv on a datagram socket is one of datagrams");
        // SAFETY: the socket's memory stays until its recv has ended (`sys/mod.rs`, "Operations").
        unsafe { datagram.as_ref() }.envelope.tell(sender, truncated);
    }
}

/// An operation under way.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) target: Target,
    /// A send's bytes, or its file.
    pub(super) sending: Option<Sending>,
    pub(super) extra: Extra,
    /// The error that was settled at submission.
    pub(super) doomed: Option<i32>,
    /// The step in which it ends, drawn when it could first do so.
    pub(super) due: Option<u64>,
    pub(super) cancelled: bool,
    pub(super) stage: Stage,
}

/// How far an operation is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    Waiting,
    /// It has ended without effect; the readiness that tells it is there to be taken.
    Ready,
    /// Its completion is there to be taken.
    Completed,
}

impl Pending {
    /// Where a connect goes.
    pub(super) fn connects_to(&self) -> SocketAddr {
        self.extra.address.expect("a connect has its address")
    }

    /// A readiness may end it: nobody has been told that its completion will come.
    pub(super) fn may_be_ready(&self) -> bool {
        self.stage == Stage::Waiting && !self.cancelled
    }

    /// Its completion is there or was promised by a cancel.
    pub(super) fn will_be_told(&self) -> bool {
        self.cancelled || self.stage == Stage::Completed
    }

    /// The readiness that would have ended it is not told.
    pub(super) fn wait_again(&mut self) {
        if self.stage == Stage::Ready {
            self.stage = Stage::Waiting;
        }
    }

    /// A cancel was asked for; when it ends is drawn anew.
    pub(super) fn ask_to_end(&mut self) {
        self.wait_again();
        self.cancelled = true;
        self.due = None;
    }
}

/// What a send sends.
#[derive(Debug)]
pub(super) enum Sending {
    Bytes(SendMemory),
    File(FileSource),
}

impl Sending {
    /// Panics if the bytes are not those that were submitted.
    pub(super) fn assert_unchanged(&self, number: RawSocket) {
        match self {
            Sending::Bytes(memory) => memory.assert_unchanged(number),
            // What is in a file is not the library's affair.
            Sending::File(_) => {}
        }
    }
}

/// A part of a file, read when the send ends and not before: a file that its owner lets go too early shows.
#[derive(Debug)]
pub(super) struct FileSource {
    file: *const SendFile,
    offset: u64,
    len: usize,
}

// SAFETY: as for `SendMemory`, of the file.
unsafe impl Send for FileSource {}

impl FileSource {
    pub(super) fn new(part: FilePart<'_>) -> FileSource {
        assert!(part.len > 0, "sim: a send of nothing of a file");
        FileSource { file: part.file, offset: part.offset, len: part.len }
    }

    /// Reads the beginning, as much as the network's chances let it.
    pub(super) fn read(&self, state: &mut State, random: &mut Random) -> Result<Vec<u8>, Failure> {
        let short = random.chance(state.behaviour.short_read_probability);
        if let Some(errno) = state.take_fault(Operation::ReadFile) {
            return Err(Failure::File(errno));
        }
        let asked = self.len.min(FILE_CHUNK);
        let mut bytes = vec![0_u8; if short { random.up_to(asked) } else { asked }];
        // SAFETY: the file stays where it is, and open, until the completion is taken (`sys/mod.rs`, "Operations"), when this
        // value goes.
        let read = unsafe { (*self.file).read_at(self.offset, &mut bytes) };
        match read {
            Ok(0) => Err(Failure::FileEnded),
            Ok(len) => {
                bytes.truncate(len);
                Ok(bytes)
            }
            Err(error) => Err(Failure::File(error.raw_os_error().unwrap_or(errno::EBADF))),
        }
    }
}

/// A send's bytes where they lie, moved when the send ends and not before: memory that its owner lets go or changes too
/// early shows, if not by the checksum then to a memory checker.
#[derive(Debug)]
pub(super) struct SendMemory {
    slices: Vec<(*const u8, usize)>,
    total: usize,
    /// The checksum is of this many bytes: what one send can move, so that a long send done in parts costs its length.
    checked: usize,
    checksum: u64,
}

// SAFETY: the pointers are only read, and only while the bytes are the backend's: from submission to completion they
// stay where they are, unchanged (`sys/mod.rs`, "Memory"; `SendQueue` pops in `complete` only), whatever the thread.
unsafe impl Send for SendMemory {}

impl SendMemory {
    pub(super) fn new<'q>(slices: impl Iterator<Item = &'q [u8]>, window: usize) -> SendMemory {
        let memory = SendMemory::gather(slices, window);
        assert!(!memory.slices.is_empty(), "sim: a send of no slices");
        memory
    }

    /// As [`new`](SendMemory::new); a datagram may have no bytes, and goes whole.
    pub(super) fn of_datagram<'q>(slices: impl Iterator<Item = &'q [u8]>) -> SendMemory {
        SendMemory::gather(slices, usize::MAX)
    }

    fn gather<'q>(slices: impl Iterator<Item = &'q [u8]>, window: usize) -> SendMemory {
        let slices: Vec<(*const u8, usize)> = slices.map(|bytes| (bytes.as_ptr(), bytes.len())).collect();
        assert!(slices.len() <= MAX_GATHER, "sim: a send of {} slices", slices.len());
        assert!(slices.iter().all(|(_, len)| *len > 0), "sim: a send with an empty slice");
        let total = slices.iter().map(|(_, len)| len).sum();
        let mut memory = SendMemory { slices, total, checked: window.min(total), checksum: 0 };
        memory.checksum = memory.sum();
        memory
    }

    /// The bytes asked for.
    pub(super) fn total(&self) -> usize {
        self.total
    }

    pub(super) fn slices(&self) -> impl Iterator<Item = &[u8]> {
        // SAFETY: made from slices that stay valid and unchanged until the completion is taken (`sys/mod.rs`,
        // "Memory"), when this value goes.
        self.slices.iter().map(|(data, len)| unsafe { slice::from_raw_parts(*data, *len) })
    }

    /// Panics if the bytes are not those that were submitted.
    pub(super) fn assert_unchanged(&self, number: RawSocket) {
        assert!(self.sum() == self.checksum, "sim: a send's bytes were changed while it was pending, socket {number}");
    }

    /// FNV-1a.
    fn sum(&self) -> u64 {
        let bytes = self.slices().flatten().take(self.checked);
        bytes.fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
    }
}

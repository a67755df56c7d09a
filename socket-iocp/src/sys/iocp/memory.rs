//! What the kernel writes to while a socket's operations are under way.

use crate::buffer::Block;
use crate::sys::{Direction, Failure};
use std::cell::{Cell, UnsafeCell};
use std::fmt;
use windows_sys::Win32::Foundation::{NTSTATUS, RtlNtStatusToDosError, STATUS_BUFFER_OVERFLOW};
use windows_sys::Win32::System::IO::OVERLAPPED;

/// How far an operation is.
///
/// ```text
/// Idle ──start──> Pending ──cancel──> Cancelling
///   ^                └──── completion ────┴──> Idle
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// The OVERLAPPED is ours.
    Idle,
    /// The OVERLAPPED is the kernel's, and so are the bytes of the operation, until its completion has been taken.
    Pending,
    /// As `Pending`; we have asked for its end.
    Cancelling,
}

/// What the OVERLAPPED of the way out is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outward {
    Send,
    /// A send from a file.
    File,
    /// It comes before the first send.
    Connect,
}

/// Part of a socket's slot: the OVERLAPPED of its one recv and of its one kernel send.
pub(crate) struct SocketMemory {
    recv: UnsafeCell<OVERLAPPED>,
    send: UnsafeCell<OVERLAPPED>,
    /// The buffer of a recv that is under way; a recv without one only waits for data.
    block: Cell<Option<Block>>,
    recv_state: Cell<State>,
    send_state: Cell<State>,
    outward: Cell<Outward>,
}

// SAFETY: an OVERLAPPED is no thread's: its completion may be taken by any. The block is `Send`.
unsafe impl Send for SocketMemory {}

impl fmt::Debug for SocketMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketMemory")
            .field("recv", &self.recv_state)
            .field("send", &self.send_state)
            .finish_non_exhaustive()
    }
}

impl SocketMemory {
    pub(crate) fn new() -> SocketMemory {
        SocketMemory {
            recv: UnsafeCell::new(OVERLAPPED::default()),
            send: UnsafeCell::new(OVERLAPPED::default()),
            block: Cell::new(None),
            recv_state: Cell::new(State::Idle),
            send_state: Cell::new(State::Idle),
            outward: Cell::new(Outward::Send),
        }
    }

    fn parts(&self, direction: Direction) -> (&UnsafeCell<OVERLAPPED>, &Cell<State>) {
        match direction {
            Direction::Recv => (&self.recv, &self.recv_state),
            Direction::Send | Direction::Connect => (&self.send, &self.send_state),
        }
    }

    /// The OVERLAPPED of an operation, to name it to the kernel.
    pub(super) fn overlapped(&self, direction: Direction) -> *mut OVERLAPPED {
        self.parts(direction).0.get()
    }

    /// Clears the OVERLAPPED for an operation that is about to start.
    pub(super) fn begin(&'static self, direction: Direction) -> *mut OVERLAPPED {
        let (overlapped, state) = self.parts(direction);
        assert!(state.get() == State::Idle, "a second operation in one direction");
        // SAFETY: no operation is under way, so the OVERLAPPED is ours.
        unsafe { *overlapped.get() = OVERLAPPED::default() };
        overlapped.get()
    }

    /// The kernel has taken the operation; the OVERLAPPED is the kernel's until [`end`](SocketMemory::end).
    pub(super) fn started(&self, direction: Direction, block: Option<Block>) {
        self.parts(direction).1.set(State::Pending);
        match direction {
            Direction::Recv => self.block.set(block),
            Direction::Send => self.outward.set(Outward::Send),
            Direction::Connect => self.outward.set(Outward::Connect),
        }
    }

    /// As [`started`](SocketMemory::started), of a send from a file.
    pub(super) fn started_file(&self) {
        self.started(Direction::Send, None);
        self.outward.set(Outward::File);
    }

    /// Whether the send that was started last is from a file.
    pub(super) fn is_from_file(&self) -> bool {
        self.outward.get() == Outward::File
    }

    /// Whether a send from a file is under way whose end was asked for.
    pub(super) fn is_file_cancelling(&self) -> bool {
        self.is_from_file() && self.send_state.get() == State::Cancelling
    }

    /// How many bytes an operation has moved that was done at once, and whose call does not say it.
    pub(super) fn moved(&self, direction: Direction) -> usize {
        let (overlapped, state) = self.parts(direction);
        assert!(state.get() == State::Idle, "an operation under way");
        // SAFETY: the operation is over, and the OVERLAPPED is ours again.
        unsafe { (*overlapped.get()).InternalHigh }
    }

    /// Notes that the operation's end is asked for.
    pub(super) fn cancel(&self, direction: Direction) {
        let state = self.parts(direction).1;
        assert!(state.get() == State::Pending, "a cancel of nothing");
        state.set(State::Cancelling);
    }

    /// Which operation has this OVERLAPPED: `None` if it is none of ours, or none that is under way.
    pub(super) fn direction_of(&self, overlapped: *mut OVERLAPPED) -> Option<Direction> {
        let outward = if self.outward.get() == Outward::Connect { Direction::Connect } else { Direction::Send };
        [Direction::Recv, outward].into_iter().find(|direction| {
            let (own, state) = self.parts(*direction);
            own.get() == overlapped && state.get() != State::Idle
        })
    }

    /// Takes the result of an operation whose completion has been taken from the port: the bytes moved, or why none were.
    pub(super) fn end(&self, direction: Direction, bytes: u32) -> Result<usize, Failure> {
        let (overlapped, state) = self.parts(direction);
        let before = state.replace(State::Idle);
        assert!(before != State::Idle, "a completion of no operation");
        // SAFETY: the kernel has done with the OVERLAPPED: its completion is here, and was not taken before.
        let status = unsafe { (*overlapped.get()).Internal } as NTSTATUS;
        result_of(status, bytes, before)
    }

    /// Whether the operation that has ended, or has been refused, has told the kernel's one warning: of a datagram that is longer
    /// than its place.
    pub(in crate::sys) fn has_overflowed(&self, direction: Direction) -> bool {
        // SAFETY: it is not under way, so the OVERLAPPED is ours, but for what the kernel may have written to it before.
        let status = unsafe { (&raw const (*self.overlapped(direction)).Internal).read_volatile() } as NTSTATUS;
        status == STATUS_BUFFER_OVERFLOW
    }

    /// The buffer of the recv that has ended.
    pub(super) fn take_block(&self) -> Option<Block> {
        self.block.take()
    }
}

/// What a completion says. Bytes that were moved count, whatever became of the rest: the next operation meets the error
/// again. Of the errors, our own cancel explains every one; which of several codes it gets depends on the moment.
pub(super) fn result_of(status: NTSTATUS, bytes: u32, state: State) -> Result<usize, Failure> {
    if status >= 0 || bytes != 0 {
        return Ok(bytes as usize);
    }
    if state == State::Cancelling {
        return Err(Failure::Cancelled);
    }
    // SAFETY: the function takes any number.
    Err(super::failure_of(unsafe { RtlNtStatusToDosError(status) } as i32))
}

//! How an operation ends: one try at it, with the chances of the network's behaviour.

use super::pending::{OperationId, Pending, Sending};
use super::random::Random;
use super::state::State;
use super::stream::Room;
use crate::buffer::{BufferPool, ReadBuffer};
use crate::sys::{Accepted, Failure, errno};
use socket2::SockAddr;
use std::{iter, slice};

/// Connection errors that end a recv, and those that end a send.
const RECV_ERRORS: [i32; 4] = [errno::ECONNRESET, errno::ETIMEDOUT, errno::EHOSTUNREACH, errno::ENETDOWN];
const SEND_ERRORS: [i32; 4] = [errno::ECONNRESET, errno::ETIMEDOUT, errno::EPIPE, errno::EHOSTUNREACH];
/// What operations on datagrams fail with, the socket going on.
const DATAGRAM_ERRORS: [i32; 3] = [errno::ECONNREFUSED, errno::EHOSTUNREACH, errno::ENETDOWN];
/// What a connect fails with.
pub(super) const CONNECT_ERRORS: [i32; 4] =
    [errno::ECONNREFUSED, errno::ETIMEDOUT, errno::EHOSTUNREACH, errno::ENETDOWN];
/// Shortages and accidents that an accept meets and that pass.
const ACCEPT_ERRORS: [i32; 5] = [errno::ECONNABORTED, errno::ENFILE, errno::EMFILE, errno::ENOBUFS, errno::ENOMEM];

/// An operation that is tried.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    pub(super) state: &'a mut State,
    pub(super) random: &'a mut Random,
    pub(super) id: OperationId,
    pub(super) pending: &'a Pending,
}

/// What comes before an operation's own work.
enum Verdict {
    /// It has to wait.
    Wait,
    /// It ends without having done its work.
    Fail(Failure),
    /// It can do its work.
    Work,
}

impl Attempt<'_> {
    /// Tells whether the operation could end now, in whatever way.
    pub(super) fn can_end(&mut self) -> bool {
        self.pending.cancelled || self.pending.doomed.is_some() || self.can_end_by_itself()
    }

    fn can_end_by_itself(&mut self) -> bool {
        let socket = self.pending.target.socket;
        self.state.has_fault(self.id.operation())
            || match self.id {
                OperationId::Recv { .. } if self.is_of_datagrams() => self.state.has_datagram(socket),
                OperationId::Recv { .. } => self.state.receivable(socket),
                OperationId::Send { .. } => self.state.room(socket) != Room::Full,
                OperationId::Accept { .. } => self.state.queue(socket).is_none_or(|queue| !queue.is_empty()),
                OperationId::Connect { .. } => !self.state.silent.contains(&self.pending.connects_to()),
            }
    }

    fn is_of_datagrams(&self) -> bool {
        self.state.datagrams(self.pending.target.socket).is_some()
    }

    /// Draws the same chances in the same order for every operation, so that a trace depends on the seed alone.
    fn verdict(&mut self) -> Verdict {
        let cancel_wins = self.random.chance(self.state.behaviour.cancel_beats_success_probability);
        let again = self.random.chance(self.state.behaviour.again_probability);
        let short = self.random.chance(self.state.behaviour.shortage_probability);
        if let Some(errno) = self.pending.doomed {
            return Verdict::Fail(Failure::Os(errno));
        }
        let can_end = self.can_end_by_itself();
        if self.pending.cancelled && (cancel_wins || !can_end) {
            return Verdict::Fail(Failure::Cancelled);
        }
        if let Some(errno) = self.state.take_fault(self.id.operation()) {
            return Verdict::Fail(Failure::Os(errno));
        }
        match can_end {
            false => Verdict::Wait,
            true if again => Verdict::Fail(Failure::Again),
            true if short => Verdict::Fail(Failure::Shortage),
            true => Verdict::Work,
        }
    }

    /// Tries a recv; `None` when it has to wait.
    pub(super) fn recv(mut self, pool: &mut BufferPool) -> Option<Result<ReadBuffer, Failure>> {
        match self.verdict() {
            Verdict::Wait => None,
            Verdict::Fail(failure) => Some(Err(failure)),
            Verdict::Work if self.is_of_datagrams() => self.receive_datagram(pool),
            Verdict::Work => self.receive(pool),
        }
    }

    fn receive(self, pool: &mut BufferPool) -> Option<Result<ReadBuffer, Failure>> {
        let Attempt { state, random, pending, .. } = self;
        let (behaviour, socket) = (state.behaviour, pending.target.socket);
        if random.chance(behaviour.recv_error_probability) {
            state.break_connection(socket);
            return Some(Err(Failure::Os(random.pick(&RECV_ERRORS))));
        }
        let available = state.readable_bytes(socket).min(pool.buffer_size());
        if available == 0 {
            return state.receive(socket, &mut []).map(|end| end.map(|_| ReadBuffer::empty()).map_err(Failure::Os));
        }
        let len = if random.chance(behaviour.recv_fragment_probability) { random.up_to(available) } else { available };
        let no_buffer = random.chance(behaviour.no_buffer_probability);
        let Some(block) = (if no_buffer { None } else { pool.take() }) else {
            return Some(Err(Failure::NoBuffer));
        };
        // SAFETY: a block has `buffer_size` bytes, zeroed when it was made, and nobody else has this one; `len` is not
        // more. (`buffer.rs`, `BufferPool::take`.)
        let bytes = unsafe { slice::from_raw_parts_mut(block.data().as_ptr(), len) };
        match state.receive(socket, bytes) {
            Some(Ok(received)) => Some(Ok(pool.filled(block, received))),
            end => {
                pool.put(block);
                end.map(|end| end.map(|_| ReadBuffer::empty()).map_err(Failure::Os))
            }
        }
    }

    fn receive_datagram(self, pool: &mut BufferPool) -> Option<Result<ReadBuffer, Failure>> {
        let Attempt { state, random, pending, .. } = self;
        let (behaviour, socket) = (state.behaviour, pending.target.socket);
        if random.chance(behaviour.recv_error_probability) {
            return Some(Err(Failure::Os(random.pick(&DATAGRAM_ERRORS))));
        }
        let no_buffer = random.chance(behaviour.no_buffer_probability);
        let Some(block) = (if no_buffer { None } else { pool.take() }) else {
            return Some(Err(Failure::NoBuffer));
        };
        match state.receive_datagram(socket) {
            Some(Ok((sender, bytes))) => {
                let len = bytes.len().min(pool.buffer_size());
                pending.extra.tell(sender, len < bytes.len());
                // SAFETY: as in `receive`.
                unsafe { slice::from_raw_parts_mut(block.data().as_ptr(), len) }.copy_from_slice(&bytes[..len]);
                Some(Ok(pool.filled(block, len)))
            }
            end => {
                pool.put(block);
                end.map(|end| end.map(|_| ReadBuffer::empty()).map_err(Failure::Os))
            }
        }
    }

    /// Tries a send; `None` when it has to wait.
    pub(super) fn send(mut self) -> Option<Result<usize, Failure>> {
        let sending = self.pending.sending.as_ref().expect("a send has something to send");
        sending.assert_unchanged(self.pending.target.number);
        match self.verdict() {
            Verdict::Wait => return None,
            Verdict::Fail(failure) => return Some(Err(failure)),
            Verdict::Work if self.is_of_datagrams() => return Some(self.send_datagram()),
            Verdict::Work => {}
        }
        match sending {
            Sending::Bytes(memory) => self.transmit(memory.total(), || memory.slices()),
            Sending::File(source) => match source.read(self.state, self.random) {
                Ok(bytes) => self.transmit(bytes.len(), || iter::once(&bytes[..])),
                Err(failure) => Some(Err(failure)),
            },
        }
    }

    /// Moves bytes, as many as the network's chances let it; `None` when the window is full.
    fn transmit<'b, I: Iterator<Item = &'b [u8]>>(
        self,
        total: usize,
        slices: impl Fn() -> I,
    ) -> Option<Result<usize, Failure>> {
        let Attempt { state, random, pending, .. } = self;
        let (behaviour, socket) = (state.behaviour, pending.target.socket);
        let partial = random.chance(behaviour.partial_send_probability);
        let broken = random.chance(behaviour.send_error_probability);
        let asked = match state.room(socket) {
            Room::Bytes(room) if broken => {
                // Some of the bytes may have left before: no send that fails can tell.
                let lost = random.below(room.min(total) + 1);
                if lost > 0 {
                    state.transmit(socket, slices(), lost);
                }
                state.break_connection(socket);
                return Some(Err(Failure::Os(random.pick(&SEND_ERRORS))));
            }
            Room::Bytes(room) if partial => random.up_to(room.min(total)),
            _ => total,
        };
        state.transmit(socket, slices(), asked).map(|sent| sent.map_err(Failure::Os))
    }

    fn send_datagram(self) -> Result<usize, Failure> {
        let Attempt { state, random, pending, .. } = self;
        if random.chance(state.behaviour.send_error_probability) {
            return Err(Failure::Os(random.pick(&DATAGRAM_ERRORS)));
        }
        let Some(Sending::Bytes(memory)) = &pending.sending else { unreachable!("a datagram is in memory") };
        let bytes = memory.slices().flatten().copied().collect();
        let (socket, extra) = (pending.target.socket, pending.extra);
        state.send_segments(socket, extra.address, bytes, extra.segment_size).map_err(Failure::Os)
    }

    /// Tries an accept; `None` when it has to wait.
    pub(super) fn accept(mut self) -> Option<Result<Accepted, Failure>> {
        match self.verdict() {
            Verdict::Wait => return None,
            Verdict::Fail(failure) => return Some(Err(failure)),
            Verdict::Work => {}
        }
        let Attempt { state, random, pending, .. } = self;
        if state.exhausted {
            return Some(Err(Failure::Os(errno::EMFILE)));
        }
        if random.chance(state.behaviour.accept_error_probability) {
            return Some(Err(Failure::Os(random.pick(&ACCEPT_ERRORS))));
        }
        let Some(queue) = state.queue(pending.target.socket) else {
            return Some(Err(Failure::Os(errno::EINVAL)));
        };
        let accepted = queue.pop_front()?;
        // Not every system brings the address with the accept.
        let named = random.chance(0.5);
        let remote = state.stream(accepted).filter(|_| named).map(|stream| SockAddr::from(stream.remote));
        Some(Ok(Accepted { socket: state.descriptors.open(accepted), remote }))
    }

    /// Tries a connect; `None` when nobody has answered.
    pub(super) fn connect(mut self) -> Option<Result<(), Failure>> {
        match self.verdict() {
            Verdict::Wait => return None,
            Verdict::Fail(failure) => return Some(Err(failure)),
            Verdict::Work => {}
        }
        let Attempt { state, random, pending, .. } = self;
        if random.chance(state.behaviour.connect_error_probability) {
            return Some(Err(Failure::Os(random.pick(&CONNECT_ERRORS))));
        }
        Some(state.connect(pending.target.socket, pending.connects_to()).map_err(Failure::Os))
    }
}

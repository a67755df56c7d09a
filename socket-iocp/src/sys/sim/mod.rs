//! The deterministic backend: a network inside the process, with no call to the operating system but the reads of real files
//! that are sent, on which the real engine runs. Seeded chance decides when and how every operation ends; the same seed replays
//! the same run.
//!
//! # Steps
//! Time is counted in steps, one for each look that a [`wait`](Backend::wait) takes at the pending operations. An
//! operation that could end (bytes are there, a cancel was asked for) is given a step in which it does, by chance; the
//! operations of one step end in a shuffled order. A wait that may block goes straight to the next such step; only when
//! nothing can happen does it block, or, with virtual time, pass its timeout at once.
//!
//! # What it asserts
//! It panics on what a kernel would answer by corrupting something later: two recvs or two sends pending on one socket
//! or key, an operation on a number that is not open, a cancel of nothing, a socket closed or handed back with an
//! operation pending, a send's bytes changed before its completion, a backend dropped with an operation pending.
//!
//! `state.rs`, `descriptors.rs`, `stream.rs` and `datagrams.rs` are the network; `pending.rs`, `attempt.rs` and `reap.rs` the
//! operations on it; `dial.rs` connects to hosts; `names.rs` is their table; `network.rs`, `socket.rs` and `peer.rs` what a test holds.

mod attempt;
mod behaviour;
mod datagrams;
mod descriptors;
mod dial;
mod names;
mod network;
mod peer;
mod pending;
mod random;
mod reap;
mod socket;
mod state;
mod stream;
#[cfg(test)]
mod tests;

pub use behaviour::Behaviour;
pub use names::Names;
pub use network::Network;
pub use peer::Peer;
pub use socket::SimSocket;
pub use state::Operation;

use super::net::Net;
use super::{
    Accepted, CancelOutcome, Config, DatagramMemory, Direction, Failure, Key, ListenerKey, SocketIo, Submitted, errno,
};
use crate::buffer::{BufferPool, Destination, FilePart, ReadBuffer};
use crate::{Error, ErrorCode, RawSocket};
use pending::{Extra, FileSource, OperationId, Pending, SendMemory, Sending};
use random::Random;
use reap::Reaped;
use socket2::SockAddr;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Wakes a simulated backend.
#[derive(Clone, Debug)]
pub(crate) struct Waker {
    network: Arc<Network>,
    backend: usize,
}

impl Waker {
    pub(crate) fn wake(&self) {
        self.network.wake(self.backend);
    }
}

/// One worker's simulated backend.
#[derive(Debug)]
pub(crate) struct Backend {
    network: Arc<Network>,
    /// Its number in the network.
    number: usize,
    /// Its own decisions: other workers do not shift them.
    random: Random,
    step: u64,
    operations: BTreeMap<OperationId, Pending>,
    /// What `next` gives.
    reaped: VecDeque<Reaped>,
    listeners: BTreeSet<u32>,
    next_accept: u64,
}

impl Backend {
    pub(crate) fn new(config: &Config) -> Result<Backend, Error> {
        let Net::Sim(network) = &config.net else {
            return Err(ErrorCode::BackendUnavailable.into());
        };
        let number = network.register_backend();
        Ok(Backend {
            network: network.clone(),
            number,
            random: Random::new(network.seed(), number as u64 + 1),
            step: 0,
            operations: BTreeMap::new(),
            reaped: VecDeque::new(),
            listeners: BTreeSet::new(),
            next_accept: 0,
        })
    }

    /// Both are simulated, by the network's seed and the worker.
    pub(crate) fn tries_at_once(&self) -> bool {
        (self.network.seed() ^ self.number as u64) & 1 == 0
    }

    pub(crate) fn start(&mut self) -> Result<(), Error> {
        Ok(())
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker { network: self.network.clone(), backend: self.number }
    }

    pub(crate) fn recv(
        &mut self,
        _io: &mut SocketIo,
        key: Key,
        socket: RawSocket,
        pool: &mut BufferPool,
    ) -> Submitted<ReadBuffer> {
        let id = OperationId::of(key, Direction::Recv);
        self.submit(id, socket, |_| None, |attempt| attempt.recv(pool))
    }

    pub(crate) fn send<'q>(
        &mut self,
        _io: &mut SocketIo,
        key: Key,
        socket: RawSocket,
        slices: impl Iterator<Item = &'q [u8]>,
    ) -> Submitted<usize> {
        let id = OperationId::of(key, Direction::Send);
        let bytes = |window| Some(Sending::Bytes(SendMemory::new(slices, window)));
        self.submit(id, socket, bytes, |attempt| attempt.send())
    }

    pub(crate) fn send_file(
        &mut self,
        _io: &mut SocketIo,
        key: Key,
        socket: RawSocket,
        part: FilePart<'_>,
    ) -> Submitted<usize> {
        let id = OperationId::of(key, Direction::Send);
        self.submit(id, socket, |_| Some(Sending::File(FileSource::new(part))), |attempt| attempt.send())
    }

    pub(crate) fn recv_from(
        &mut self,
        _io: &mut SocketIo,
        key: Key,
        socket: RawSocket,
        pool: &mut BufferPool,
        datagram: &DatagramMemory,
    ) -> Submitted<ReadBuffer> {
        let id = OperationId::of(key, Direction::Recv);
        self.submit_with(id, socket, Extra::of_recv(datagram), |_| None, |attempt| attempt.recv(pool))
    }

    pub(crate) fn send_to<'q>(
        &mut self,
        _io: &mut SocketIo,
        key: Key,
        socket: RawSocket,
        to: Destination<'_>,
        slices: impl Iterator<Item = &'q [u8]>,
    ) -> Submitted<usize> {
        let id = OperationId::of(key, Direction::Send);
        let extra = Extra::of_send(to);
        self.submit_with(
            id,
            socket,
            extra,
            |_| Some(Sending::Bytes(SendMemory::of_datagram(slices))),
            |attempt| attempt.send(),
        )
    }

    pub(crate) fn connect(
        &mut self,
        _io: &mut SocketIo,
        key: Key,
        socket: RawSocket,
        address: &SockAddr,
    ) -> Submitted<()> {
        let id = OperationId::of(key, Direction::Connect);
        let Some(address) = address.as_socket() else {
            return Submitted::Done(Err(Failure::Os(errno::EINVAL)));
        };
        self.submit_with(id, socket, Extra::to(Some(address)), |_| None, |attempt| attempt.connect())
    }

    pub(crate) fn cancel(
        &mut self,
        _io: &mut SocketIo,
        key: Key,
        socket: RawSocket,
        direction: Direction,
    ) -> CancelOutcome {
        let id = OperationId::of(key, direction);
        assert!(self.operations.contains_key(&id), "sim: a cancel of {id:?}, which is not pending, socket {socket}");
        self.cancel_all(&[id])
    }

    pub(crate) fn forget(&mut self, _io: &mut SocketIo, socket: RawSocket) {
        let mut state = self.network.lock();
        if let Some(descriptor) = state.descriptors.named(socket, "forget") {
            descriptor.assert_idle(socket, "forget");
        }
    }

    pub(crate) fn add_listener(&mut self, listener: ListenerKey, socket: RawSocket) -> Result<(), Error> {
        let mut state = self.network.lock();
        state.descriptors.named(socket, "add_listener");
        if let Some(errno) = state.take_fault(Operation::AddListener) {
            return Err(Error::from_os(errno));
        }
        assert!(self.listeners.insert(listener.0), "sim: {listener:?} is added twice");
        Ok(())
    }

    pub(crate) fn accept(&mut self, listener: ListenerKey, socket: RawSocket) -> Submitted<Accepted> {
        assert!(self.listeners.contains(&listener.0), "sim: an accept on {listener:?}, which was not added");
        let id = OperationId::Accept { listener: listener.0, serial: self.next_accept };
        self.next_accept += 1;
        self.submit(id, socket, |_| None, |attempt| attempt.accept())
    }

    pub(crate) fn cancel_accepts(&mut self, listener: ListenerKey, _socket: RawSocket) -> CancelOutcome {
        let accepts = self.operations.range(OperationId::accepts(listener));
        let ids: Vec<OperationId> = accepts.map(|(id, _)| *id).collect();
        self.cancel_all(&ids)
    }

    pub(crate) fn remove_listener(&mut self, listener: ListenerKey, socket: RawSocket) {
        let pending = self.operations.range(OperationId::accepts(listener)).count();
        assert!(pending == 0, "sim: {listener:?} is removed with {pending} accepts pending, socket {socket}");
        assert!(self.listeners.remove(&listener.0), "sim: {listener:?} is removed but was not added");
    }

    /// The network's clock.
    pub(crate) fn now(&self) -> Duration {
        self.network.now()
    }

    /// No descriptor: the network has no call into a kernel that could make one readable.
    #[cfg(unix)]
    pub(crate) fn pollable(&self) -> Option<RawSocket> {
        None
    }

    /// Is for the pollable descriptor only.
    pub(crate) fn set_deadline(&mut self, _after: Option<Duration>) {}
}

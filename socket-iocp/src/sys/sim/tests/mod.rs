//! The backend driven by hand: operations submitted, completions taken, no engine.

mod accepting;
mod assertions;
mod cancelling;
mod clock;
mod ending;
mod integrity;
mod memory;
mod readiness;
mod waking;

use super::super::{
    Backend, CancelOutcome, Completion, Config, Direction, Failure, Key, SocketIo, SocketMemory, Submitted,
};
use super::{Behaviour, Network, Operation, Peer, SimSocket};
use crate::buffer::{BufferPool, ReadBuffer};
use crate::sys::net::{CloseHow, Net};
use crate::{BackendKind, Options, RawSocket};
use std::sync::Arc;
use std::time::Duration;

const READ_BUFFER_SIZE: usize = 1000;

/// One backend on a network, and what a worker has beside it.
struct Rig {
    network: Arc<Network>,
    backend: Backend,
    pool: BufferPool,
    io: SocketIo,
}

/// What the simulation does not use.
fn memory() -> &'static SocketMemory {
    thread_local!(static UNUSED: &'static SocketMemory = Box::leak(Box::new(SocketMemory::new())));
    UNUSED.with(|memory| *memory)
}

impl Rig {
    fn new(seed: u64, behaviour: Behaviour) -> Rig {
        Rig::on(&Network::with_behaviour(seed, behaviour))
    }

    fn on(network: &Arc<Network>) -> Rig {
        let config = Config::new(&Options::new(READ_BUFFER_SIZE).threads(0), &Net::Sim(network.clone()));
        let mut pool = BufferPool::new(READ_BUFFER_SIZE);
        let mut backend = Backend::new(BackendKind::Sim, &config, &mut pool).expect("a simulated backend");
        backend.start().expect("nothing is refused");
        Rig { network: network.clone(), backend, pool, io: SocketIo::default() }
    }

    fn net(&self) -> Net {
        Net::Sim(self.network.clone())
    }

    fn recv(&mut self, key: Key, socket: RawSocket) -> Submitted<ReadBuffer> {
        self.backend.recv(&mut self.io, memory(), key, socket, &mut self.pool)
    }

    fn send(&mut self, key: Key, socket: RawSocket, bytes: &[u8]) -> Submitted<usize> {
        self.backend.send(&mut self.io, memory(), key, socket, std::iter::once(bytes))
    }

    fn cancel(&mut self, key: Key, socket: RawSocket, direction: Direction) -> CancelOutcome {
        self.backend.cancel(&mut self.io, memory(), key, socket, direction)
    }

    /// Looks once, without blocking, and takes what is there.
    fn poll(&mut self) -> Vec<Completion> {
        self.backend.wait(Some(Duration::ZERO), &mut self.pool).expect("no fault was injected");
        self.drain()
    }

    /// Waits for completions; for tests in which some must come.
    fn wait(&mut self) -> Vec<Completion> {
        self.backend.wait(None, &mut self.pool).expect("no fault was injected");
        self.drain()
    }

    fn drain(&mut self) -> Vec<Completion> {
        std::iter::from_fn(|| self.backend.next(&mut self.pool, |_| None)).collect()
    }

    /// The one completion that a wait brings.
    fn wait_for_one(&mut self) -> Completion {
        let mut completions = self.wait();
        let first = completions.pop().expect("a completion");
        assert!(completions.is_empty(), "more than one: {completions:?} and {first:?}");
        first
    }

    /// A recv, by whatever way it ends.
    fn recv_to_end(&mut self, key: Key, socket: RawSocket) -> Result<Vec<u8>, Failure> {
        let result = match self.recv(key, socket) {
            Submitted::Done(result) => result,
            Submitted::Pending => match self.wait_for_one() {
                Completion::Recv { key: ended, result } if ended == key => result,
                other => panic!("{other:?}"),
            },
        };
        result.map(|buffer| buffer.to_vec())
    }

    /// A send, by whatever way it ends.
    fn send_to_end(&mut self, key: Key, socket: RawSocket, bytes: &[u8]) -> Result<usize, Failure> {
        match self.send(key, socket, bytes) {
            Submitted::Done(result) => result,
            Submitted::Pending => match self.wait_for_one() {
                Completion::Send { key: ended, result } if ended == key => result,
                other => panic!("{other:?}"),
            },
        }
    }

    /// A socket for the backend, its number given up as to a port, and the test's end.
    fn pair(&self) -> (RawSocket, Peer) {
        let (socket, peer) = self.network.pair();
        (socket.into_raw(), peer)
    }

    fn close(&self, socket: RawSocket) {
        assert!(self.net().close(socket, CloseHow::Background, None));
    }
}

fn key(index: u32) -> Key {
    Key { index, generation: 1 }
}

/// Bytes in which a hole, a repetition or a swap shows.
fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut random = super::random::Random::new(seed, u64::MAX);
    (0..len).map(|_| random.below(256) as u8).collect()
}

//! The backend driven directly, over real sockets.

mod driven;
mod ending;
mod files;
mod limits;
mod sqpoll;
mod standing;
mod transfer;
mod zero_copy;

use super::Backend;
use crate::Options;
use crate::buffer::{BufferPool, ReadBuffer};
use crate::sys::net::Net;
use crate::sys::{
    Accepted, CancelOutcome, Completion, Config, Direction, Failure, Key, ListenerKey, SocketIo, Submitted,
};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Far more than any step takes; a test that reaches it has failed.
const LONG: Duration = Duration::from_secs(20);
const BUFFER_SIZE: usize = 4096;
const LISTENER: ListenerKey = ListenerKey(5);

/// A backend with its pool, as a worker has them.
struct Rig {
    backend: Backend,
    pool: BufferPool,
}

impl Rig {
    fn new() -> Rig {
        Rig::with(BUFFER_SIZE, false)
    }

    fn with(buffer_size: usize, driven: bool) -> Rig {
        let mut rig = Rig::unstarted(buffer_size, driven);
        rig.backend.start().expect("the ring is enabled");
        rig
    }

    fn unstarted(buffer_size: usize, driven: bool) -> Rig {
        Rig::of(&Options::new(buffer_size).threads(usize::from(!driven)))
    }

    /// With these options, not started.
    fn of(options: &Options) -> Rig {
        let mut pool = BufferPool::new(options.read_buffer_size);
        let config = Config::new(options, &Net::Os);
        let backend = Backend::new(&config, &mut pool).expect("io_uring is to be had");
        Rig { backend, pool }
    }

    fn recv(&mut self, key: Key, socket: &impl AsRawFd) {
        let submitted = self.backend.recv(&mut SocketIo::default(), key, socket.as_raw_fd(), &mut self.pool);
        assert!(matches!(submitted, Submitted::Pending), "{submitted:?}");
    }

    fn send(&mut self, key: Key, socket: &impl AsRawFd, slices: &[&[u8]]) {
        let slices = slices.iter().copied();
        let submitted = self.backend.send(&mut SocketIo::default(), key, socket.as_raw_fd(), slices);
        assert!(matches!(submitted, Submitted::Pending), "{submitted:?}");
    }

    fn accept(&mut self, listener: ListenerKey, socket: &impl AsRawFd) {
        let submitted = self.backend.accept(listener, socket.as_raw_fd());
        assert!(matches!(submitted, Submitted::Pending), "{submitted:?}");
    }

    fn cancel(&mut self, key: Key, socket: &impl AsRawFd, direction: Direction) {
        let outcome = self.backend.cancel(&mut SocketIo::default(), key, socket.as_raw_fd(), direction);
        assert_eq!(outcome, CancelOutcome::Requested);
    }

    fn wait(&mut self, timeout: Duration) {
        self.backend.wait(Some(timeout), &mut self.pool).expect("the ring is sound");
    }

    fn poll(&mut self) -> Option<Completion> {
        self.backend.next(&mut self.pool)
    }

    /// The next completion, waited for.
    fn next(&mut self) -> Completion {
        let start = std::time::Instant::now();
        loop {
            if let Some(completion) = self.poll() {
                return completion;
            }
            assert!(start.elapsed() < LONG, "no completion came");
            self.wait(LONG);
        }
    }

    fn received(&mut self, expected: Key) -> Result<ReadBuffer, Failure> {
        match self.next() {
            Completion::Recv { key, result } if key == expected => result,
            other => panic!("a recv of {expected:?} was to come, not {other:?}"),
        }
    }

    fn sent(&mut self, expected: Key) -> Result<usize, Failure> {
        match self.next() {
            Completion::Send { key, result } if key == expected => result,
            other => panic!("a send of {expected:?} was to come, not {other:?}"),
        }
    }

    fn accepted(&mut self, expected: ListenerKey) -> Result<(OwnedFd, Accepted), Failure> {
        match self.next() {
            Completion::Accept { listener, result } if listener == expected => result.map(own),
            other => panic!("an accept of {expected:?} was to come, not {other:?}"),
        }
    }

    /// Nothing more comes, however often one looks.
    fn assert_quiet(&mut self) {
        self.wait(Duration::ZERO);
        if let Some(completion) = self.poll() {
            panic!("nothing was to come, not {completion:?}");
        }
    }
}

fn own(accepted: Accepted) -> (OwnedFd, Accepted) {
    // SAFETY: an accept hands over a new descriptor.
    (unsafe { OwnedFd::from_raw_fd(accepted.socket) }, accepted)
}

fn key(index: u32) -> Key {
    Key { index, generation: index.wrapping_mul(0x9e37_79b9) | 1 }
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("loopback")
}

/// A connected pair of TCP sockets.
fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = listener();
    let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
    (client, listener.accept().expect("accepted").0)
}

/// Makes the drop of the socket a reset.
fn reset(socket: TcpStream) {
    let socket = socket2::Socket::from(socket);
    socket.set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
    drop(socket);
}

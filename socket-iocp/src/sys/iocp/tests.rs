//! The backend alone, over loopback TCP. What a worker does between the calls is in [`Rig`].

use super::super::net::{CloseHow, Net};
use super::*;
use crate::Options;
use socket2::SockRef;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::windows::io::{AsRawSocket, IntoRawSocket, OwnedSocket};

mod accept;
mod completions;
mod file;
mod transfer;

/// No test waits that long for anything that comes.
const LONG: Duration = Duration::from_secs(20);

struct Connection {
    io: SocketIo,
    key: Key,
    memory: &'static SocketMemory,
    socket: OwnedSocket,
}

impl Connection {
    fn raw(&self) -> RawSocket {
        self.socket.as_raw_socket()
    }
}

/// A backend and its pool, used as a worker uses them.
struct Rig {
    backend: Backend,
    pool: BufferPool,
    /// Of the sockets that live.
    memories: HashMap<Key, &'static SocketMemory>,
    next_index: u32,
}

fn options() -> Options {
    Options::new(4096)
}

impl Rig {
    fn new(options: Options) -> Rig {
        let config = Config::new(&options, &Net::Os);
        crate::sys::process::prepare().expect("Winsock");
        let mut backend = Backend::new(&config).expect("a backend");
        backend.start().expect("a start");
        let pool = BufferPool::new(options.read_buffer_size);
        Rig { backend, pool, memories: HashMap::new(), next_index: 0 }
    }

    fn add(&mut self, socket: impl Into<OwnedSocket>) -> Connection {
        self.next_index += 1;
        let key = Key { index: self.next_index, generation: 0x8000_0000 + self.next_index };
        let memory: &'static SocketMemory = Box::leak(Box::new(SocketMemory::new()));
        self.memories.insert(key, memory);
        let socket = socket.into();
        let io = self.backend.waker().associate(socket.as_raw_socket(), key, false).expect("a socket without a port");
        Connection { io, key, memory, socket }
    }

    /// A connection in the port, and its client.
    fn pair(&mut self) -> (Connection, TcpStream) {
        let (server, client) = tcp();
        (self.add(server), client)
    }

    fn recv(&mut self, connection: &mut Connection) -> Submitted<ReadBuffer> {
        let (key, raw) = (connection.key, connection.raw());
        self.backend.recv(&mut connection.io, connection.memory, key, raw, &mut self.pool)
    }

    fn send(&mut self, connection: &mut Connection, slices: &[&[u8]]) -> Submitted<usize> {
        let (key, raw) = (connection.key, connection.raw());
        self.backend.send(&mut connection.io, connection.memory, key, raw, slices.iter().copied())
    }

    fn cancel(&mut self, connection: &mut Connection, direction: Direction) {
        let (key, raw) = (connection.key, connection.raw());
        let outcome = self.backend.cancel(&mut connection.io, connection.memory, key, raw, direction);
        assert_eq!(outcome, CancelOutcome::Requested);
    }

    /// What is there to be taken without waiting.
    fn poll(&mut self) -> Vec<Completion> {
        self.backend.wait(Some(Duration::ZERO), &mut self.pool).expect("a wait");
        std::iter::from_fn(|| self.next()).collect()
    }

    fn next(&mut self) -> Option<Completion> {
        self.backend.next(&mut self.pool, |key| self.memories.get(&key).copied())
    }

    /// Waits for the next completion.
    #[track_caller]
    fn wait(&mut self) -> Completion {
        self.backend.wait(Some(LONG), &mut self.pool).expect("a wait");
        self.next().expect("a completion")
    }

    /// Receives until something came, submitting again what is to be submitted again, as a worker does.
    #[track_caller]
    fn recv_now(&mut self, connection: &mut Connection) -> Result<Vec<u8>, Failure> {
        loop {
            match self.recv(connection) {
                Submitted::Done(result) => return result.map(|buffer| buffer.to_vec()),
                Submitted::Pending => match self.wait() {
                    Completion::Recv { key, result } => {
                        assert_eq!(key, connection.key);
                        return result.map(|buffer| buffer.to_vec());
                    }
                    Completion::Ready { key, readable, writable } => {
                        assert_eq!(key, connection.key);
                        connection.io.note_ready(readable, writable);
                    }
                    other => panic!("unexpected {other:?}"),
                },
            }
        }
    }

    /// Sends all, in as many sends as it takes.
    #[track_caller]
    fn send_now(&mut self, connection: &mut Connection, slices: &[&[u8]]) -> Result<usize, Failure> {
        match self.send(connection, slices) {
            Submitted::Done(result) => result,
            Submitted::Pending => match self.wait() {
                Completion::Send { key, result } => {
                    assert_eq!(key, connection.key);
                    result
                }
                other => panic!("unexpected {other:?}"),
            },
        }
    }
}

#[track_caller]
fn assert_pending<T: std::fmt::Debug>(submitted: Submitted<T>) {
    assert!(matches!(submitted, Submitted::Pending), "{submitted:?} is not pending");
}

/// Both ends of a connection over loopback TCP.
fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let client = TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
    let (server, _) = listener.accept().expect("a connection");
    (server, client)
}

/// Ends a connection by reset.
fn reset(stream: TcpStream) {
    assert!(Net::Os.close(stream.into_raw_socket(), CloseHow::Reset, None));
}

/// Runs a test with success at once reported at once, and through the port.
fn both_ways(test: impl Fn(Options)) {
    test(options().skip_on_success(true));
    test(options().skip_on_success(false));
}

#[test]
fn a_backend_moves_to_its_worker() {
    fn moves<T: Send>() {}
    fn is_shared<T: Clone + Send + Sync + std::fmt::Debug>() {}
    moves::<Backend>();
    is_shared::<Waker>();
}

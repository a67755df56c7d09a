//! The backend alone, over loopback TCP and socketpairs. What a worker does between the calls is in [`Rig`].

use super::super::net::Net;
use super::*;
use crate::Options;
use crate::sys::MAX_GATHER;
use std::collections::HashMap;
use std::env;
use std::ffi::OsString;
use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Command;

mod accept;
mod driven;
mod file;
mod recv;
mod send;
mod wait;

/// No test waits that long for anything that comes.
const LONG: Duration = Duration::from_secs(20);

struct Connection {
    io: SocketIo,
    key: Key,
    socket: OwnedFd,
}

/// A backend and its pool, used as a worker uses them.
struct Rig {
    backend: Backend,
    pool: BufferPool,
    next_index: u32,
    /// What events told of sockets other than the one waited for.
    told: HashMap<Key, (bool, bool)>,
}

impl Rig {
    fn new(buffer_size: usize) -> Rig {
        Rig::with(buffer_size, false)
    }

    fn with(buffer_size: usize, driven: bool) -> Rig {
        let config = Config::new(&Options::new(4096).threads(usize::from(!driven)), &Net::Os);
        let mut backend = Backend::new(&config).expect("a backend");
        backend.start().expect("a start");
        Rig { backend, pool: BufferPool::new(buffer_size), next_index: 0, told: HashMap::new() }
    }

    fn add(&mut self, socket: impl Into<OwnedFd>) -> Connection {
        self.next_index += 1;
        let key = Key { index: self.next_index, generation: 0x8000_0000 + self.next_index };
        Connection { io: SocketIo::default(), key, socket: socket.into() }
    }

    fn recv(&mut self, connection: &mut Connection) -> Submitted<ReadBuffer> {
        self.backend.recv(&mut connection.io, connection.key, connection.socket.as_raw_fd(), &mut self.pool)
    }

    fn send(&mut self, connection: &mut Connection, slices: &[&[u8]]) -> Submitted<usize> {
        self.backend.send(&mut connection.io, connection.key, connection.socket.as_raw_fd(), slices.iter().copied())
    }

    fn next(&mut self) -> Option<Completion> {
        self.backend.next(&mut self.pool)
    }

    fn wait(&mut self, timeout: Duration) {
        self.backend.wait(Some(timeout), &mut self.pool).expect("a wait");
    }

    /// What is there to be taken without waiting.
    fn poll(&mut self) -> Vec<Completion> {
        self.wait(Duration::ZERO);
        std::iter::from_fn(|| self.next()).collect()
    }

    /// Waits for an event of the socket; what it told is noted in the socket, as a worker does.
    fn wait_ready(&mut self, connection: &mut Connection) -> (bool, bool) {
        loop {
            if let Some((readable, writable)) = self.told.remove(&connection.key) {
                connection.io.note_ready(readable, writable);
                return (readable, writable);
            }
            while let Some(completion) = self.next() {
                let Completion::Ready { key, readable, writable } = completion else {
                    panic!("unexpected {completion:?}");
                };
                if key == connection.key {
                    connection.io.note_ready(readable, writable);
                    return (readable, writable);
                }
                self.told.insert(key, (readable, writable));
            }
            self.wait(LONG);
            assert!(self.backend.taken < self.backend.found.len(), "no event in {LONG:?}");
        }
    }

    /// Receives, waiting for events as often as it takes.
    fn recv_now(&mut self, connection: &mut Connection) -> Result<Vec<u8>, Failure> {
        loop {
            match self.recv(connection) {
                Submitted::Done(result) => return result.map(|buffer| buffer.to_vec()),
                Submitted::Pending => while !self.wait_ready(connection).0 {},
            }
        }
    }
}

/// The result of an operation that was done at once.
#[track_caller]
fn done<T: std::fmt::Debug>(submitted: Submitted<T>) -> Result<T, Failure> {
    match submitted {
        Submitted::Done(result) => result,
        Submitted::Pending => panic!("pending, not done"),
    }
}

#[track_caller]
fn assert_pending<T: std::fmt::Debug>(submitted: Submitted<T>) {
    assert!(matches!(submitted, Submitted::Pending), "{submitted:?} is not pending");
}

/// The bytes that a recv brought at once.
#[track_caller]
fn bytes(submitted: Submitted<ReadBuffer>) -> Vec<u8> {
    done(submitted).expect("bytes").to_vec()
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
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("the option");
}

/// Runs a test alone in a process of its own: one that changes the process's limits or signals.
fn in_child(module: &str, test: &str, body: fn()) {
    const CHILD: &str = "SOCKET_IOCP_TEST_CHILD";
    if env::var_os(CHILD).is_some() {
        return body();
    }
    let (_, module) = module.split_once("::").expect("a module of this crate");
    // Where the system cannot run this program, the variable names what can: an emulator with its arguments.
    let program = env::current_exe().expect("this program").into_os_string();
    let runner = env::var("SOCKET_IOCP_TEST_RUNNER").unwrap_or_default();
    let mut words = runner.split_whitespace().map(OsString::from).chain([program]);
    let output = Command::new(words.next().expect("at least the program"))
        .args(words)
        .args(["--exact", "--nocapture", &format!("{module}::{test}")])
        .env(CHILD, "1")
        .output()
        .expect("a child");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}\n{printed}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains("1 passed"), "the child ran no test:\n{printed}");
}

fn set_limit(resource: impl TryInto<i32>, limit: libc::rlim_t) {
    // Its type is not the same in every C library.
    let resource = resource.try_into().unwrap_or(i32::MAX) as _;
    let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: one `rlimit`, borrowed for each call.
    unsafe {
        assert_eq!(libc::getrlimit(resource, &mut limits), 0);
        limits.rlim_cur = limit.min(limits.rlim_max);
        assert_eq!(libc::setrlimit(resource, &limits), 0);
    }
}

#[test]
fn a_backend_moves_to_its_worker() {
    fn moves<T: Send>() {}
    fn is_shared<T: Clone + Send + Sync + std::fmt::Debug>() {}
    moves::<Backend>();
    is_shared::<Waker>();
}

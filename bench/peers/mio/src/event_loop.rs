//! The loop: accepts connections, gives each its turn when it is ready, and takes what other threads have queued.

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use peer_common::{ACCEPT_PAUSE, listen};
use slab::Slab;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LISTENER: Token = Token(usize::MAX - 1);
const WAKER: Token = Token(usize::MAX);
/// Events taken from the system at once.
const EVENTS: usize = 1024;

/// How often a connection may read or write in one turn, while others wait for theirs.
pub const STEPS_PER_TURN: usize = 16;

/// What becomes of a connection after its turn.
pub enum After {
    /// Nothing, before its next event.
    Wait,
    /// Another turn, after those of the others: there is more to do than it may do at once.
    Again,
    /// It is closed.
    Gone,
}

/// A connection, with what its work keeps of it.
pub struct Connection<S> {
    pub stream: TcpStream,
    pub state: S,
    /// Whether it is among those that have another turn.
    again: bool,
}

pub type Connections<S> = Slab<Connection<S>>;

/// What a server does.
pub trait Work {
    type State;

    /// A connection has come, and will be under this key.
    fn open(&mut self, key: usize) -> Self::State;

    /// A connection may be ready. All is to be done that can be done without blocking, since no second event tells of it; if
    /// `read_closed`, up to the read that finds the FIN. An error closes the connection.
    fn turn(&mut self, connections: &mut Connections<Self::State>, key: usize, read_closed: bool) -> io::Result<After>;

    /// Another thread has queued something.
    fn woken(&mut self, _connections: &mut Connections<Self::State>) {}
}

pub struct EventLoop {
    poll: Poll,
    listener: TcpListener,
    /// Connections may be waiting that no event will tell of.
    accept_later: bool,
}

impl EventLoop {
    pub fn new() -> io::Result<EventLoop> {
        let listener = listen()?;
        listener.set_nonblocking(true)?;
        let mut listener = TcpListener::from_std(listener);
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(EventLoop { poll, listener, accept_later: false })
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// A way for other threads into the loop: at most one a loop.
    pub fn queue<T>(&self) -> io::Result<Arc<Queue<T>>> {
        let waker = Waker::new(self.poll.registry(), WAKER)?;
        Ok(Arc::new(Queue { entries: Mutex::default(), waker }))
    }

    /// Serves for ever.
    pub fn run<W: Work>(mut self, mut work: W) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        let mut connections = Slab::new();
        let mut again = Vec::new();
        loop {
            let timeout = match (again.is_empty(), self.accept_later) {
                (false, _) => Some(Duration::ZERO),
                (true, true) => Some(ACCEPT_PAUSE),
                (true, false) => None,
            };
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            if self.accept_later {
                self.accept(&mut work, &mut connections);
            }
            let earlier = mem::take(&mut again);
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(&mut work, &mut connections),
                    WAKER => work.woken(&mut connections),
                    Token(key) => turn(&mut work, &mut connections, key, event.is_read_closed(), &mut again),
                }
            }
            for key in earlier {
                if let Some(connection) = connections.get_mut(key) {
                    connection.again = false;
                }
                // What the event said is forgotten; it may have told of a FIN.
                turn(&mut work, &mut connections, key, true, &mut again);
            }
        }
    }

    fn accept<W: Work>(&mut self, work: &mut W, connections: &mut Connections<W::State>) {
        self.accept_later = false;
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    let entry = connections.vacant_entry();
                    // An error ends this connection and nothing else.
                    if let Ok(stream) = self.prepare(stream, entry.key()) {
                        let state = work.open(entry.key());
                        entry.insert(Connection { stream, state, again: false });
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.accept_later = true;
                    return;
                }
            }
        }
    }

    fn prepare(&self, mut stream: TcpStream, key: usize) -> io::Result<TcpStream> {
        stream.set_nodelay(true)?;
        self.poll.registry().register(&mut stream, Token(key), Interest::READABLE | Interest::WRITABLE)?;
        Ok(stream)
    }
}

/// Gives a connection its turn. Its event may have come late, when it has gone or another has its key: then it finds nothing
/// to do.
fn turn<W: Work>(
    work: &mut W,
    connections: &mut Connections<W::State>,
    key: usize,
    read_closed: bool,
    again: &mut Vec<usize>,
) {
    if !connections.contains(key) {
        return;
    }
    match work.turn(connections, key, read_closed) {
        Ok(After::Wait) => {}
        Ok(After::Again) => {
            if !mem::replace(&mut connections[key].again, true) {
                again.push(key);
            }
        }
        Ok(After::Gone) | Err(_) => drop(connections.remove(key)),
    }
}

/// What other threads have for the loop.
pub struct Queue<T> {
    entries: Mutex<Vec<T>>,
    waker: Waker,
}

impl<T> Queue<T> {
    /// Called by other threads. One wake-up is enough for all that is queued when the loop looks.
    pub fn push(&self, entry: T) -> io::Result<()> {
        let mut entries = self.entries.lock().expect("nothing panics with the queue");
        entries.push(entry);
        if entries.len() > 1 {
            return Ok(());
        }
        drop(entries);
        self.waker.wake()
    }

    /// Called by the loop.
    pub fn take(&self) -> Vec<T> {
        mem::take(&mut *self.entries.lock().expect("nothing panics with the queue"))
    }
}

/// What a connection does that has nothing to do with the others.
pub trait Alone {
    /// As [`Work::turn`].
    fn turn(&mut self, stream: &mut TcpStream, read_closed: bool) -> io::Result<After>;
}

/// Such connections, each made by the function.
pub struct Each<F>(pub F);

impl<S: Alone, F: FnMut() -> S> Work for Each<F> {
    type State = S;

    fn open(&mut self, _key: usize) -> S {
        (self.0)()
    }

    fn turn(&mut self, connections: &mut Connections<S>, key: usize, read_closed: bool) -> io::Result<After> {
        let Connection { stream, state, .. } = &mut connections[key];
        state.turn(stream, read_closed)
    }
}

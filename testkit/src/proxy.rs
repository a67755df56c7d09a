//! A hostile network: a TCP proxy that holds bytes back, passes them one by one, and cuts connections off, all by a seed.
//! It reorders nothing and loses nothing of a connection that it does not cut.
//!
//! One thread serves all connections. Delays are not of time: bytes are held until a number of others have passed through the
//! proxy, or until nothing else moves in it.

mod connection;
mod pipe;
mod plan;

pub use connection::{Outcome, Passage};
pub use plan::Direction;

use connection::Connection;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use pipe::Moved;
use plan::Plan;
use socket2::{Domain, SockRef, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);
/// The first of a connection's two tokens, towards the client and towards the server, is twice its number more.
const FIRST: usize = 2;
/// With nothing moving for so long, the oldest hold ends.
const QUIET: Duration = Duration::from_millis(1);
/// The buffer of a socket that takes little at once.
const SMALL_BUFFER: usize = 16 * 1024;

/// A proxy at work.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    finishing: Arc<AtomicBool>,
    waker: Arc<Waker>,
    thread: JoinHandle<io::Result<Vec<Passage>>>,
}

impl Proxy {
    /// A proxy in front of `server`. What it does to its connections follows from the seed and the order in which they
    /// come; its cuts lie within the first `longest` bytes.
    pub fn new(server: SocketAddr, seed: u64, longest: u64) -> Proxy {
        let make = || -> io::Result<(Works, Arc<Waker>, SocketAddr)> {
            let poll = Poll::new()?;
            let mut listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into())?;
            let address = listener.local_addr()?;
            poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
            let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
            let works =
                Works { poll, listener, server, seed, longest, connections: Vec::new(), over: Vec::new(), through: 0 };
            Ok((works, waker, address))
        };
        let (works, waker, address) = make().expect("a proxy");
        let finishing = Arc::new(AtomicBool::new(false));
        let told = finishing.clone();
        let thread = thread::spawn(move || works.run(&told));
        Proxy { address, finishing, waker, thread }
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until every connection is over, and gives their records in the order in which they came.
    pub fn finish(self) -> Vec<Passage> {
        self.finishing.store(true, Ordering::SeqCst);
        self.waker.wake().expect("a waker");
        self.thread.join().expect("the proxy's thread does not panic").expect("a proxy that works")
    }
}

/// What the proxy's thread has.
struct Works {
    poll: Poll,
    listener: TcpListener,
    server: SocketAddr,
    seed: u64,
    longest: u64,
    /// By number; `None` is one that is over.
    connections: Vec<Option<Connection>>,
    over: Vec<(usize, Passage)>,
    /// Bytes that have passed, of all connections.
    through: u64,
}

impl Works {
    fn run(mut self, finishing: &AtomicBool) -> io::Result<Vec<Passage>> {
        let mut events = Events::with_capacity(256);
        loop {
            let moved = self.advance_all();
            // Clients that have connected before are in the queue when the end is told.
            let is_last = finishing.load(Ordering::SeqCst);
            self.accept_all()?;
            if is_last && self.connections.iter().all(Option::is_none) {
                self.over.sort_by_key(|(number, _)| *number);
                return Ok(self.over.into_iter().map(|(_, passage)| passage).collect());
            }
            let timeout = match moved {
                Moved::Some => Some(Duration::ZERO),
                Moved::Held => Some(QUIET),
                Moved::None => None,
            };
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            if events.is_empty() && moved == Moved::Held {
                self.release_first();
            }
            for event in &events {
                self.note(event.token(), event.is_readable(), event.is_writable());
            }
        }
    }

    /// Moves every connection on by a step.
    fn advance_all(&mut self) -> Moved {
        let mut all = Moved::None;
        for number in 0..self.connections.len() {
            let Some(connection) = &mut self.connections[number] else { continue };
            match connection.advance(&mut self.through) {
                Ok(Moved::None) => {}
                Ok(Moved::Held) if all == Moved::Some => {}
                Ok(moved) => all = moved,
                Err(outcome) => {
                    let connection = self.connections[number].take().expect("it was there");
                    self.over.push((number, connection.end(outcome)));
                    all = Moved::Some;
                }
            }
        }
        all
    }

    /// Ends the hold that would end first.
    fn release_first(&mut self) {
        let held = self.connections.iter_mut().flatten().filter(|connection| connection.held_until().is_some());
        if let Some(first) = held.min_by_key(|connection| connection.held_until()) {
            first.release();
        }
    }

    fn note(&mut self, token: Token, readable: bool, writable: bool) {
        let Some(place) = token.0.checked_sub(FIRST) else { return };
        if let Some(connection) = &mut self.connections[place / 2] {
            let end = &mut connection.ends[place % 2];
            end.may_read |= readable;
            end.may_write |= writable;
        }
    }

    fn accept_all(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((client, _)) => self.begin(client)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn begin(&mut self, mut client: TcpStream) -> io::Result<()> {
        let number = self.connections.len();
        let plan = Plan::new(self.seed, number as u64, self.longest);
        let mut server = self.connect(plan.small_buffer)?;
        for (way, stream) in [&mut client, &mut server].into_iter().enumerate() {
            // A byte that passes by itself is to arrive by itself.
            stream.set_nodelay(true)?;
            let token = Token(FIRST + 2 * number + way);
            self.poll.registry().register(stream, token, Interest::READABLE | Interest::WRITABLE)?;
        }
        self.connections.push(Some(Connection::new(client, server, plan)?));
        Ok(())
    }

    /// Connects to the server: on loopback that takes no waiting, but for one that does not listen in time.
    fn connect(&self, small_buffer: bool) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(self.server), Type::STREAM, None)?;
        if small_buffer {
            SockRef::from(&socket).set_recv_buffer_size(SMALL_BUFFER)?;
        }
        socket.connect(&self.server.into())?;
        socket.set_nonblocking(true)?;
        Ok(TcpStream::from_std(socket.into()))
    }
}

//! Everything that the simulated network holds, under its one lock: the open sockets, the ports, the clock and the
//! injected faults. What happens on a connection is in `stream.rs`, and to datagrams in `datagrams.rs`.

use super::behaviour::Behaviour;
use super::datagrams::Datagrams;
use super::descriptors::Descriptors;
use super::dial::Dial;
use super::random::Random;
use super::stream::Stream;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

const FIRST_LISTEN_PORT: u16 = 10_000;
const FIRST_CLIENT_PORT: u16 = 32_768;

/// An open socket, as an inode number tells it. Never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct SocketId(pub(super) u64);

/// A call in which a fault can be injected.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Operation {
    /// A recv, pending or yet to be submitted.
    Recv,
    /// A send, pending or yet to be submitted.
    Send,
    /// An accept, pending or yet to be submitted.
    Accept,
    /// A connect, pending or yet to be submitted.
    Connect,
    /// A worker's preparation for the accepts of a listener.
    AddListener,
    /// The making of a listener's second descriptor.
    DuplicateListener,
    /// A worker's wait for completions.
    Wait,
    /// The read of a part of a file that is sent.
    ReadFile,
}

/// An open socket: it lives while a number, a pending operation, a listener's queue or a test's end refers to it.
#[derive(Debug)]
pub(super) struct Socket {
    references: usize,
    /// The last reference to go resets the connection (`SO_LINGER` {1, 0}).
    pub(super) reset_on_release: bool,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// Not connected yet.
    Fresh {
        local: SocketAddr,
    },
    Stream(Stream),
    Datagram(Datagrams),
    Listener {
        local: SocketAddr,
        queue: VecDeque<SocketId>,
    },
}

#[derive(Debug)]
pub(super) enum Clock {
    Real(Instant),
    Virtual(Duration),
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) behaviour: Behaviour,
    pub(super) random: Random,
    pub(super) clock: Clock,
    /// Backends by number: somebody has called its waker.
    pub(super) wakes: Vec<bool>,
    /// Threads blocked until something changes.
    pub(super) blocked: usize,
    pub(super) exhausted: bool,
    pub(super) descriptors: Descriptors,
    pub(super) sockets: BTreeMap<SocketId, Socket>,
    faults: BTreeMap<Operation, VecDeque<i32>>,
    listeners: BTreeMap<u16, SocketId>,
    /// Datagram sockets by their addresses.
    pub(super) datagrams: BTreeMap<SocketAddr, SocketId>,
    /// Nobody answers a connect to these.
    pub(super) silent: BTreeSet<SocketAddr>,
    /// Connects to hosts that go on.
    pub(super) dials: Vec<Dial>,
    next_socket: u64,
    next_listen_port: u16,
    next_client_port: u16,
}

impl State {
    pub(super) fn new(seed: u64) -> State {
        State {
            behaviour: Behaviour::default(),
            random: Random::new(seed, 0),
            clock: Clock::Real(Instant::now()),
            wakes: Vec::new(),
            blocked: 0,
            exhausted: false,
            descriptors: Descriptors::new(),
            sockets: BTreeMap::new(),
            faults: BTreeMap::new(),
            listeners: BTreeMap::new(),
            datagrams: BTreeMap::new(),
            silent: BTreeSet::new(),
            dials: Vec::new(),
            next_socket: 1,
            next_listen_port: FIRST_LISTEN_PORT,
            next_client_port: FIRST_CLIENT_PORT,
        }
    }

    /// The time since the network was made, or since its time became virtual.
    pub(super) fn now(&self) -> Duration {
        match &self.clock {
            Clock::Real(start) => start.elapsed(),
            Clock::Virtual(now) => *now,
        }
    }

    pub(super) fn add_fault(&mut self, operation: Operation, errno: i32) {
        self.faults.entry(operation).or_default().push_back(errno);
    }

    pub(super) fn take_fault(&mut self, operation: Operation) -> Option<i32> {
        self.faults.get_mut(&operation)?.pop_front()
    }

    pub(super) fn has_fault(&self, operation: Operation) -> bool {
        self.faults.get(&operation).is_some_and(|errors| !errors.is_empty())
    }

    /// A new socket with one reference, the caller's.
    pub(super) fn create(&mut self, kind: Kind) -> SocketId {
        let id = SocketId(self.next_socket);
        self.next_socket += 1;
        self.sockets.insert(id, Socket { references: 1, reset_on_release: false, kind });
        id
    }

    /// A listening socket on a port of its own.
    pub(super) fn create_listener(&mut self) -> SocketId {
        let port = self.next_listen_port;
        assert!(port < FIRST_CLIENT_PORT, "sim: out of listening ports");
        self.next_listen_port += 1;
        let id = self.create(Kind::Listener { local: loopback(port), queue: VecDeque::new() });
        self.listeners.insert(port, id);
        id
    }

    /// The listener on a port.
    pub(super) fn listener_at(&self, address: SocketAddr) -> Option<SocketId> {
        if address.ip() != Ipv4Addr::LOCALHOST {
            return None;
        }
        self.listeners.get(&address.port()).copied()
    }

    /// A client's address. They come round after 32,768 connections, as real ones do.
    pub(super) fn client_address(&mut self) -> SocketAddr {
        let port = self.next_client_port;
        self.next_client_port = port.checked_add(1).unwrap_or(FIRST_CLIENT_PORT);
        loopback(port)
    }

    pub(super) fn socket(&self, id: SocketId) -> &Socket {
        self.sockets.get(&id).expect("sim: a socket is referred to after its end")
    }

    /// The connections waiting in a listener's queue; `None` for a connected socket.
    pub(super) fn queue(&mut self, id: SocketId) -> Option<&mut VecDeque<SocketId>> {
        match self.sockets.get_mut(&id).map(|socket| &mut socket.kind) {
            Some(Kind::Listener { queue, .. }) => Some(queue),
            _ => None,
        }
    }

    pub(super) fn refer(&mut self, id: SocketId) {
        self.sockets.get_mut(&id).expect("sim: a reference to a socket that has ended").references += 1;
    }

    /// Lets one reference go; the last one ends the socket.
    pub(super) fn release(&mut self, id: SocketId) {
        let socket = self.sockets.get_mut(&id).expect("sim: a socket is released twice");
        socket.references -= 1;
        if socket.references > 0 {
            return;
        }
        let socket = self.sockets.remove(&id).expect("it was there a moment ago");
        match socket.kind {
            Kind::Fresh { .. } => {}
            Kind::Datagram(datagrams) => drop(self.datagrams.remove(&datagrams.local)),
            Kind::Stream(stream) => self.end_stream(stream, socket.reset_on_release),
            Kind::Listener { local, queue } => {
                self.listeners.remove(&local.port());
                for waiting in queue {
                    self.release_by_reset(waiting);
                }
            }
        }
    }

    /// Lets a reference go whose end is a reset.
    pub(super) fn release_by_reset(&mut self, id: SocketId) {
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.reset_on_release = true;
        }
        self.release(id);
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

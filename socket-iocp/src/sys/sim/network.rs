//! The simulated network as a test holds it, and as `sys/net.rs` calls it.

use super::behaviour::Behaviour;
use super::descriptors::Descriptor;
use super::peer::Peer;
use super::socket::SimSocket;
use super::state::{Clock, Kind, Operation, State};
use crate::sys::errno;
use crate::sys::net::{CloseHow, Identity, unnamed};
use crate::{Error, ErrorCode, RawSocket};
use socket2::SockAddr;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, io};

/// What one step costs in virtual time.
pub(super) const STEP: Duration = Duration::from_micros(1);

/// An in-process network of stream and datagram sockets. No call reaches the operating system, but reads of real files that are
/// sent; how every operation ends, and when, is drawn from the seed.
///
/// One port driven by the caller (`threads(0)`), with peers that do not block, on one thread: then everything is
/// replayed by the seed. With more threads each worker's decisions are still its own sequence, but which call comes
/// first is the scheduler's.
pub struct Network {
    seed: u64,
    state: Mutex<State>,
    changed: Condvar,
}

impl Network {
    /// A network with the default [`Behaviour`].
    pub fn new(seed: u64) -> Arc<Network> {
        Network::with_behaviour(seed, Behaviour::default())
    }

    /// A network that behaves like this.
    pub fn with_behaviour(seed: u64, behaviour: Behaviour) -> Arc<Network> {
        let network = Network { seed, state: Mutex::new(State::new(seed)), changed: Condvar::new() };
        network.set_behaviour(behaviour);
        Arc::new(network)
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The behaviour now.
    pub fn behaviour(&self) -> Behaviour {
        self.lock().behaviour
    }

    /// Changes the behaviour of what happens from now on.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        self.lock().behaviour = behaviour;
    }

    /// A listening socket on a port of its own.
    pub fn listen(self: &Arc<Self>) -> SimSocket {
        let mut state = self.lock();
        let socket = state.create_listener();
        let number = state.descriptors.open(socket);
        SimSocket::new(self.clone(), number)
    }

    /// Connects to a listener: the connection is in its queue when this returns.
    ///
    /// Errors: `ConnectionRefused`.
    pub fn connect(self: &Arc<Self>, address: SocketAddr) -> io::Result<Peer> {
        let mut state = self.lock();
        let refused = || io::Error::from_raw_os_error(errno::ECONNREFUSED);
        let listener = state.listener_at(address).ok_or_else(refused)?;
        let client = state.client_address();
        let (near, far) = state.create_pair(client, address);
        state.queue(listener).ok_or_else(refused)?.push_back(far);
        self.notify(&state);
        Ok(Peer::new(self.clone(), &state, near))
    }

    /// A socket that is not connected yet.
    pub fn socket(self: &Arc<Self>) -> SimSocket {
        let mut state = self.lock();
        let local = state.client_address();
        let socket = state.create(Kind::Fresh { local });
        let number = state.descriptors.open(socket);
        SimSocket::new(self.clone(), number)
    }

    /// A datagram socket with an address of its own, connected to this one if there is any.
    pub fn datagram_socket(self: &Arc<Self>, remote: Option<SocketAddr>) -> SimSocket {
        let mut state = self.lock();
        let socket = state.create_datagram(remote);
        let number = state.descriptors.open(socket);
        SimSocket::new(self.clone(), number)
    }

    /// See [`SimSocket::send_to`].
    pub(super) fn send_to(&self, number: RawSocket, bytes: &[u8], address: Option<SocketAddr>) -> io::Result<usize> {
        let mut state = self.lock();
        let id = open(&state, number).expect("an open socket").socket;
        let sent = state.send_datagram(id, address, bytes.to_vec());
        self.notify(&state);
        sent.map_err(io::Error::from_raw_os_error)
    }

    /// See [`SimSocket::recv_from`].
    pub(super) fn recv_from(&self, number: RawSocket) -> io::Result<(Vec<u8>, SocketAddr)> {
        let mut state = self.lock();
        let id = open(&state, number).expect("an open socket").socket;
        loop {
            if let Some(received) = state.receive_datagram(id) {
                let received = received.map(|(sender, bytes)| (bytes, sender));
                return received.map_err(io::Error::from_raw_os_error);
            }
            state = self.block(state, None);
        }
    }

    /// See [`SimSocket::try_recv_from`].
    pub(super) fn try_recv_from(&self, number: RawSocket) -> Option<io::Result<(Vec<u8>, SocketAddr)>> {
        let mut state = self.lock();
        let id = open(&state, number).expect("an open socket").socket;
        let received = state.receive_datagram(id)?.map(|(sender, bytes)| (bytes, sender));
        Some(received.map_err(io::Error::from_raw_os_error))
    }

    /// See [`SimSocket::accept`].
    pub(super) fn accept(self: &Arc<Self>, listener: RawSocket) -> Peer {
        let mut state = self.lock();
        let id = open(&state, listener).expect("an open socket").socket;
        loop {
            match state.queue(id).expect("a listener").pop_front() {
                Some(connection) => return Peer::new(self.clone(), &state, connection),
                None => state = self.block(state, None),
            }
        }
    }

    /// See [`SimSocket::try_accept`].
    pub(super) fn try_accept(self: &Arc<Self>, listener: RawSocket) -> Option<Peer> {
        let mut state = self.lock();
        let id = open(&state, listener).expect("an open socket").socket;
        let connection = state.queue(id).expect("a listener").pop_front()?;
        Some(Peer::new(self.clone(), &state, connection))
    }

    /// An address at which nobody answers: a connect to it takes until it is cancelled.
    pub fn silent_address(&self) -> SocketAddr {
        let mut state = self.lock();
        let address = state.client_address();
        state.silent.insert(address);
        address
    }

    /// A connection with one end for a port and one for the test.
    pub fn pair(self: &Arc<Self>) -> (SimSocket, Peer) {
        let mut state = self.lock();
        let (client, server) = (state.client_address(), state.client_address());
        let (near, far) = state.create_pair(client, server);
        let number = state.descriptors.open(far);
        (SimSocket::new(self.clone(), number), Peer::new(self.clone(), &state, near))
    }

    /// Makes the next such operation to end, pending or yet to come, fail with `errno`. Faults of one operation form
    /// a queue.
    pub fn fail_next(&self, operation: Operation, errno: i32) {
        let mut state = self.lock();
        state.add_fault(operation, errno);
        self.notify(&state);
    }

    /// With `true`, accepts fail with EMFILE and leave the connections in the queue, and no listener can be
    /// duplicated, until it is `false` again. Sockets that a test makes are not touched.
    pub fn exhaust_descriptors(&self, exhausted: bool) {
        let mut state = self.lock();
        state.exhausted = exhausted;
        self.notify(&state);
    }

    /// Closes a number that a port owns, behind its back. The number is free: the next socket made gets the lowest
    /// one. Operations that are pending keep the old socket open until they end.
    ///
    /// # Panics
    /// When the number is not open.
    pub fn close_behind(&self, number: RawSocket) {
        let mut state = self.lock();
        let descriptor = state.descriptors.take_behind(number);
        let descriptor =
            descriptor.unwrap_or_else(|| panic!("sim: close_behind on a number that is not open: {number}"));
        state.release(descriptor.socket);
        self.notify(&state);
    }

    /// Numbers in use: 0 when everything has been closed.
    pub fn open_sockets(&self) -> usize {
        self.lock().descriptors.len()
    }

    /// Connections' ends and listeners that live, whether they have a number or not: peers, queued connections and
    /// those with an operation under way too.
    pub fn live_sockets(&self) -> usize {
        self.lock().sockets.len()
    }

    /// With `true`, time starts at 0 and passes only by a microsecond for each step and by waits in which nothing can
    /// happen: those return at once with their timeout passed. For one port, driven by the caller.
    pub fn set_virtual_time(&self, on: bool) {
        let mut state = self.lock();
        state.clock = if on { Clock::Virtual(Duration::ZERO) } else { Clock::Real(Instant::now()) };
        self.notify(&state);
    }

    /// The time since the network was made, or since [`set_virtual_time`](Network::set_virtual_time).
    pub fn now(&self) -> Duration {
        self.lock().now()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A failed assertion poisons the lock; the sockets dropped while it unwinds are closed all the same.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the blocked threads look again. Called with the lock held, so that none misses it.
    pub(super) fn notify(&self, state: &State) {
        if state.blocked > 0 {
            self.changed.notify_all();
        }
    }

    /// Blocks until something changes, or until the deadline.
    pub(super) fn block<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
        deadline: Option<Instant>,
    ) -> MutexGuard<'s, State> {
        state.blocked += 1;
        let mut state = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(rest) => self.changed.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0,
        };
        state.blocked -= 1;
        state
    }

    /// A number for a backend: its place among the wakes, and its stream of random decisions.
    pub(super) fn register_backend(&self) -> usize {
        let mut state = self.lock();
        state.wakes.push(false);
        state.wakes.len() - 1
    }

    pub(super) fn wake(&self, backend: usize) {
        let mut state = self.lock();
        state.wakes[backend] = true;
        self.notify(&state);
    }
}

/// What `sys/net.rs` asks of a network.
impl Network {
    pub(crate) fn check_connected(&self, number: RawSocket) -> Result<(), Error> {
        let state = self.lock();
        match state.socket(open(&state, number)?.socket).kind {
            Kind::Fresh { .. } => Err(ErrorCode::NotConnected.into()),
            Kind::Datagram(_) => Err(ErrorCode::NotStream.into()),
            Kind::Listener { .. } => Err(ErrorCode::Listening.into()),
            // Also when the connection is over: what it brought, or its error, is still to be received.
            Kind::Stream(_) => Ok(()),
        }
    }

    pub(crate) fn check_connectable(&self, number: RawSocket, address: &SockAddr) -> Result<(), Error> {
        let state = self.lock();
        match state.socket(open(&state, number)?.socket).kind {
            Kind::Fresh { .. } if address.is_ipv4() => Ok(()),
            Kind::Fresh { .. } => Err(ErrorCode::InvalidArgument.into()),
            Kind::Listener { .. } => Err(ErrorCode::Listening.into()),
            Kind::Stream(_) => Err(ErrorCode::AlreadyConnected.into()),
            Kind::Datagram(_) => Err(ErrorCode::NotStream.into()),
        }
    }

    pub(crate) fn check_datagram(&self, number: RawSocket) -> Result<(), Error> {
        let state = self.lock();
        let socket = open(&state, number)?.socket;
        state.datagrams(socket).map(drop).ok_or(ErrorCode::NotDatagram.into())
    }

    pub(crate) fn check_listening(&self, number: RawSocket) -> Result<(), Error> {
        let state = self.lock();
        match state.socket(open(&state, number)?.socket).kind {
            Kind::Listener { .. } => Ok(()),
            Kind::Fresh { .. } | Kind::Stream(_) => Err(ErrorCode::NotListening.into()),
            Kind::Datagram(_) => Err(ErrorCode::NotStream.into()),
        }
    }

    pub(crate) fn identity(&self, number: RawSocket) -> Result<Identity, Error> {
        open(&self.lock(), number).map(|descriptor| Identity(descriptor.socket.0 as u32))
    }

    pub(crate) fn local_address(&self, number: RawSocket) -> SockAddr {
        let state = self.lock();
        let socket = state.descriptors.get(number).map(|descriptor| &state.socket(descriptor.socket).kind);
        match socket {
            Some(Kind::Stream(stream)) => stream.local.into(),
            Some(Kind::Datagram(datagrams)) => datagrams.local.into(),
            Some(Kind::Fresh { local } | Kind::Listener { local, .. }) => (*local).into(),
            None => unnamed(),
        }
    }

    pub(crate) fn remote_address(&self, number: RawSocket) -> SockAddr {
        let state = self.lock();
        let socket = state.descriptors.get(number).map(|descriptor| &state.socket(descriptor.socket).kind);
        let remote = match socket {
            Some(Kind::Stream(stream)) => stream.connected().then_some(stream.remote),
            Some(Kind::Datagram(datagrams)) => datagrams.remote,
            _ => None,
        };
        remote.map_or_else(unnamed, SockAddr::from)
    }

    /// `nonblocking` is for real descriptors: no accept on a simulated one blocks.
    pub(crate) fn duplicate_listener(&self, number: RawSocket, _nonblocking: bool) -> Result<RawSocket, Error> {
        let mut state = self.lock();
        let socket = open(&state, number)?.socket;
        if let Some(errno) = state.take_fault(Operation::DuplicateListener) {
            return Err(Error::from_os(errno));
        }
        if state.exhausted {
            return Err(Error::from_os(errno::EMFILE));
        }
        state.refer(socket);
        Ok(state.descriptors.open(socket))
    }

    /// A simulated socket has no flag to restore.
    pub(crate) fn restore_blocking(&self, number: RawSocket) {
        let state = self.lock();
        assert!(
            state.descriptors.get(number).is_some(),
            "sim: restore_blocking on a number that is not open: {number}"
        );
    }

    pub(crate) fn shutdown_send(&self, number: RawSocket) {
        let mut state = self.lock();
        let descriptor = state.descriptors.named(number, "shutdown_send");
        if let Some(socket) = descriptor.map(|descriptor| descriptor.socket) {
            state.shut_down(socket);
            self.notify(&state);
        }
    }

    pub(crate) fn close(&self, number: RawSocket, how: CloseHow, expected: Option<Identity>) -> bool {
        let mut state = self.lock();
        let Some(descriptor) = state.descriptors.named(number, "close") else {
            return false;
        };
        if expected.is_some_and(|Identity(expected)| expected != descriptor.socket.0 as u32) {
            return false;
        }
        descriptor.assert_idle(number, "close");
        let socket = descriptor.socket;
        state.descriptors.take(number);
        match how {
            CloseHow::Background | CloseHow::Over => state.release(socket),
            CloseHow::Reset => state.release_by_reset(socket),
        }
        self.notify(&state);
        true
    }
}

fn open(state: &State, number: RawSocket) -> Result<&Descriptor, Error> {
    state.descriptors.get(number).ok_or(Error::with_os(ErrorCode::BadSocket, errno::EBADF))
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Network(seed {})", self.seed)
    }
}

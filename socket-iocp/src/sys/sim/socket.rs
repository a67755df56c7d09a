//! An owned simulated socket.

use super::network::Network;
use super::peer::Peer;
use crate::RawSocket;
use crate::sys::net::CloseHow;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// A simulated socket under a number, as an `OwnedFd` is a real one. Dropping it closes it. Give it to a port by
/// `Socket::from`.
#[derive(Debug)]
pub struct SimSocket {
    network: Arc<Network>,
    number: RawSocket,
    /// It closes the number when it is dropped.
    owns: bool,
}

impl SimSocket {
    pub(super) fn new(network: Arc<Network>, number: RawSocket) -> SimSocket {
        SimSocket { network, number, owns: true }
    }

    /// Takes over a number that [`into_raw`](SimSocket::into_raw) gave up.
    pub fn from_raw(network: Arc<Network>, number: RawSocket) -> SimSocket {
        SimSocket::new(network, number)
    }

    /// The number, which is never that of a real descriptor. The socket stays owned by this value.
    pub fn as_raw(&self) -> RawSocket {
        self.number
    }

    /// Gives the number up to somebody who closes it.
    pub fn into_raw(mut self) -> RawSocket {
        self.owns = false;
        self.number
    }

    /// Takes a connection from a listener's queue, for the test to drive; blocks until there is one.
    ///
    /// # Panics
    /// When the socket does not listen.
    pub fn accept(&self) -> Peer {
        self.network.accept(self.number)
    }

    /// As [`accept`](SimSocket::accept), of a connection that is in the queue already; `None` if there is none.
    ///
    /// # Panics
    /// When the socket does not listen.
    pub fn try_accept(&self) -> Option<Peer> {
        self.network.try_accept(self.number)
    }

    /// Sends a datagram to this address, or to where the socket is connected to.
    ///
    /// # Panics
    /// When the socket is not open.
    pub fn send_to(&self, bytes: &[u8], address: Option<SocketAddr>) -> io::Result<usize> {
        self.network.send_to(self.number, bytes, address)
    }

    /// Receives a datagram, whole, and where it came from; blocks until there is one.
    ///
    /// # Panics
    /// When the socket is not open.
    pub fn recv_from(&self) -> io::Result<(Vec<u8>, SocketAddr)> {
        self.network.recv_from(self.number)
    }

    /// As [`recv_from`](SimSocket::recv_from), of a datagram that is there already; `None` if there is none.
    ///
    /// # Panics
    /// When the socket is not open.
    pub fn try_recv_from(&self) -> Option<io::Result<(Vec<u8>, SocketAddr)>> {
        self.network.try_recv_from(self.number)
    }

    /// The local address.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.network.local_address(self.number).as_socket()
    }

    /// The peer's address; `None` of a listening socket and when the connection is over.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.network.remote_address(self.number).as_socket()
    }
}

impl Drop for SimSocket {
    fn drop(&mut self) {
        // While a failed assertion unwinds, a second panic (operations may be pending) would hide the first.
        if self.owns && !std::thread::panicking() {
            self.network.close(self.number, CloseHow::Background, None);
        }
    }
}

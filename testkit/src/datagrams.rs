//! Datagram sockets: those for a port, and the other side.

use crate::Lab;
use socket_iocp::Socket;
use socket_iocp::sim::SimSocket;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// No wait of a test takes this long unless something is lost.
const BOUND: Duration = Duration::from_secs(30);
/// Room for the greatest datagram.
const ROOM: usize = 1 << 16;

/// A datagram socket that a test drives itself.
#[derive(Debug)]
pub struct Correspondent(Repr);

#[derive(Debug)]
enum Repr {
    Udp(UdpSocket),
    Sim(SimSocket),
}

impl Correspondent {
    /// Its own address.
    pub fn address(&self) -> SocketAddr {
        match &self.0 {
            Repr::Udp(socket) => socket.local_addr().expect("a bound address"),
            Repr::Sim(socket) => socket.local_addr().expect("it has one"),
        }
    }

    /// Sends a datagram.
    pub fn send_to(&self, bytes: &[u8], address: SocketAddr) {
        let sent = match &self.0 {
            Repr::Udp(socket) => socket.send_to(bytes, address),
            Repr::Sim(socket) => socket.send_to(bytes, Some(address)),
        };
        assert_eq!(sent.expect("a live network"), bytes.len());
    }

    /// Waits for the next datagram, and tells where it came from.
    pub fn receive(&self) -> (Vec<u8>, SocketAddr) {
        match &self.0 {
            Repr::Udp(socket) => loop {
                let mut bytes = vec![0; ROOM];
                match socket.recv_from(&mut bytes) {
                    Ok((len, sender)) => {
                        bytes.truncate(len);
                        return (bytes, sender);
                    }
                    // A call with a time limit is not restarted after a signal.
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => panic!("waited in vain for a datagram: {error}"),
                }
            },
            Repr::Sim(socket) => socket.recv_from().expect("a live network"),
        }
    }
}

fn bound(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).expect("a loopback port");
    socket.set_read_timeout(Some(BOUND)).expect("a time-out");
    socket
}

impl Lab {
    /// A datagram socket that the test drives itself.
    pub fn correspondent(&self) -> Correspondent {
        match self.network() {
            Some(network) => Correspondent(Repr::Sim(network.datagram_socket(None))),
            None => Correspondent(Repr::Udp(bound("127.0.0.1:0"))),
        }
    }

    /// A datagram socket for a port, connected to this address if there is any, and its own address.
    pub fn datagram_socket(&self, remote: Option<SocketAddr>) -> (Socket, SocketAddr) {
        match self.network() {
            Some(network) => {
                let socket = network.datagram_socket(remote);
                let address = socket.local_addr().expect("it has one");
                (socket.into(), address)
            }
            None => {
                let socket = UdpSocket::bind("127.0.0.1:0").expect("a loopback port");
                remote.map_or(Ok(()), |remote| socket.connect(remote)).expect("an address");
                let address = socket.local_addr().expect("a bound address");
                (socket.into(), address)
            }
        }
    }
}

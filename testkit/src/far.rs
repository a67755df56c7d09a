//! The far side of the connections that a port makes.

use crate::{Client, Lab};
use socket_iocp::Socket;
use socket_iocp::sim::SimSocket;
use socket2::{Domain, SockAddr, Type};
use std::net::{SocketAddr, TcpListener};

/// A listener that a test serves itself.
#[derive(Debug)]
pub struct Far(Repr);

#[derive(Debug)]
enum Repr {
    Tcp(TcpListener),
    Sim(SimSocket),
}

impl Far {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        match &self.0 {
            Repr::Tcp(listener) => listener.local_addr().expect("a bound address"),
            Repr::Sim(listener) => listener.local_addr().expect("a listener has an address"),
        }
    }

    /// Waits for the next connection.
    pub fn accept(&self) -> Client {
        match &self.0 {
            Repr::Tcp(listener) => Client::from(listener.accept().expect("a connection").0),
            Repr::Sim(listener) => Client::from(listener.accept()),
        }
    }
}

/// An address at which nobody answers a connect, as long as this lives: a listener whose queue is full.
#[derive(Debug)]
pub struct Silent {
    address: SocketAddr,
    /// The listener, and those that fill its queue.
    _sockets: Vec<socket2::Socket>,
}

impl Silent {
    /// Where nobody answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn real() -> Silent {
        let listener = tcp_socket();
        listener.bind(&SockAddr::from(SocketAddr::from(([127, 0, 0, 1], 0)))).expect("a loopback port");
        listener.listen(0).expect("a queue of one or two");
        let bound = listener.local_addr().expect("a bound address");
        let address = bound.as_socket().expect("of the internet");
        let mut sockets = vec![listener];
        for _ in 0..8 {
            let filler = tcp_socket();
            filler.set_nonblocking(true).expect("a mode");
            // That it goes on in the background is an error to the call.
            let _ = filler.connect(&bound);
            sockets.push(filler);
        }
        Silent { address, _sockets: sockets }
    }
}

fn tcp_socket() -> socket2::Socket {
    socket2::Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket")
}

impl Lab {
    /// A listener that the test serves itself.
    pub fn far(&self) -> Far {
        match self.network() {
            Some(network) => Far(Repr::Sim(network.listen())),
            None => Far(Repr::Tcp(TcpListener::bind("127.0.0.1:0").expect("a loopback port"))),
        }
    }

    /// A stream socket that is not connected yet.
    pub fn unconnected(&self) -> Socket {
        match self.network() {
            Some(network) => network.socket().into(),
            None => tcp_socket().into(),
        }
    }

    /// Where nobody listens.
    pub fn refusing_address(&self) -> SocketAddr {
        // The system gives a number out again late.
        self.far().address()
    }

    /// Where a connect takes until it is cancelled.
    pub fn silent(&self) -> Silent {
        match self.network() {
            Some(network) => Silent { address: network.silent_address(), _sockets: Vec::new() },
            None => Silent::real(),
        }
    }
}

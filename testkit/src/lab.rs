//! A backend with the means to test it: real sockets on loopback, or the simulated network.

use crate::Client;
use socket_iocp::sim::Network;
use socket_iocp::{BackendKind, Options, RawSocket, Socket};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// One backend to test.
#[derive(Debug)]
pub struct Lab {
    kind: BackendKind,
    network: Option<Arc<Network>>,
}

impl Lab {
    /// Linux io_uring.
    pub fn io_uring() -> Lab {
        Lab { kind: BackendKind::IoUring, network: None }
    }

    /// epoll or kqueue.
    pub fn readiness() -> Lab {
        Lab { kind: BackendKind::Readiness, network: None }
    }

    /// The simulated network, with a seed from the environment (`SOCKET_IOCP_TEST_SEED`) or a fixed one.
    pub fn sim() -> Lab {
        let seed = std::env::var("SOCKET_IOCP_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
        Lab { kind: BackendKind::Sim, network: Some(Network::new(seed)) }
    }

    /// Which backend it is.
    pub fn kind(&self) -> BackendKind {
        self.kind
    }

    /// The simulated network, if it is that.
    pub fn network(&self) -> Option<&Arc<Network>> {
        self.network.as_ref()
    }

    /// Options of a port for this lab: read buffers of 4,096 bytes, two workers.
    pub fn options(&self) -> Options {
        let options = Options::new(4096).threads(2);
        match &self.network {
            Some(network) => options.sim(network.clone()),
            None => options.backend(self.kind),
        }
    }

    /// Closes a number that a port owns, behind its back. The number is free then: the next socket or file may get it.
    pub fn close_behind(&self, number: RawSocket) {
        match &self.network {
            Some(network) => network.close_behind(number),
            None => {
                // SAFETY: the number was the port's; that its owner does not notice is what such a test is about.
                assert_eq!(unsafe { libc::close(number) }, 0, "{number} was not open");
            }
        }
    }

    /// A listening socket and where to connect to it.
    pub fn listen(&self) -> (Socket, SocketAddr) {
        match &self.network {
            Some(network) => {
                let listener = network.listen();
                let address = listener.local_addr().expect("a listener has an address");
                (listener.into(), address)
            }
            None => {
                let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
                let address = listener.local_addr().expect("a bound address");
                (listener.into(), address)
            }
        }
    }

    /// Connects a client.
    pub fn connect(&self, address: SocketAddr) -> Client {
        match &self.network {
            Some(network) => Client::from(network.connect(address).expect("a listener in the network")),
            None => Client::from(TcpStream::connect(address).expect("a listener on loopback")),
        }
    }

    /// A connected socket for a port, and its client.
    pub fn pair(&self) -> (Socket, Client) {
        match &self.network {
            Some(network) => {
                let (socket, peer) = network.pair();
                (socket.into(), peer.into())
            }
            None => {
                let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
                let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("a listener");
                let (socket, _) = listener.accept().expect("the client");
                (socket.into(), client.into())
            }
        }
    }
}

//! A backend with the means to test it: real sockets on loopback, or the simulated network.

use crate::{Client, platform};
use socket_iocp::sim::Network;
use socket_iocp::{BackendKind, Options, RawSocket, Socket};
use std::env;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// One backend to test.
#[derive(Debug)]
pub struct Lab {
    kind: BackendKind,
    mode: Mode,
    network: Option<Arc<Network>>,
}

/// Which of its ways a backend is to go. Only completion ports have several.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    Default,
    /// Every operation completes through the port, also one that succeeds at once.
    Pending,
    /// A recv waits without a buffer.
    IdleReads,
}

impl Lab {
    fn real(kind: BackendKind, mode: Mode) -> Lab {
        Lab { kind, mode, network: None }
    }

    /// Linux io_uring.
    pub fn io_uring() -> Lab {
        Lab::real(BackendKind::IoUring, Mode::Default)
    }

    /// epoll or kqueue.
    pub fn readiness() -> Lab {
        Lab::real(BackendKind::Readiness, Mode::Default)
    }

    /// Windows completion ports; what succeeds at once is not sent through the port, where the system allows.
    pub fn iocp() -> Lab {
        Lab::real(BackendKind::Iocp, Mode::Default)
    }

    /// As [`iocp`](Lab::iocp), but everything goes through the port.
    pub fn iocp_pending() -> Lab {
        Lab::real(BackendKind::Iocp, Mode::Pending)
    }

    /// As [`iocp`](Lab::iocp), with `Options::idle_reads`.
    pub fn iocp_idle_reads() -> Lab {
        Lab::real(BackendKind::Iocp, Mode::IdleReads)
    }

    /// A backend of this platform on real sockets, for a test that needs sockets and does not mind which backend has them.
    pub fn any_real() -> Lab {
        if cfg!(windows) { Lab::iocp() } else { Lab::readiness() }
    }

    /// The simulated network, with a seed from the environment (`SOCKET_IOCP_TEST_SEED`) or a fixed one.
    pub fn sim() -> Lab {
        let seed = env::var("SOCKET_IOCP_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
        Lab { kind: BackendKind::Sim, mode: Mode::Default, network: Some(Network::new(seed)) }
    }

    /// Which backend it is.
    pub fn kind(&self) -> BackendKind {
        self.kind
    }

    /// The name of its tests: that of its function here.
    pub fn name(&self) -> &'static str {
        match self.mode {
            Mode::Default => self.kind.name(),
            Mode::Pending => "iocp_pending",
            Mode::IdleReads => "iocp_idle_reads",
        }
    }

    /// The simulated network, if it is that.
    pub fn network(&self) -> Option<&Arc<Network>> {
        self.network.as_ref()
    }

    /// Options of a port for this lab: read buffers of 4,096 bytes, two workers.
    pub fn options(&self) -> Options {
        self.options_with(4096).threads(2)
    }

    /// Options of a port for this lab with read buffers of this size, and nothing else set.
    pub fn options_with(&self, read_buffer_size: usize) -> Options {
        let options = forced(Options::new(read_buffer_size));
        match (&self.network, self.mode) {
            (Some(network), _) => options.sim(network.clone()),
            (None, Mode::Default) => options.backend(self.kind),
            (None, Mode::Pending) => options.backend(self.kind).skip_on_success(false),
            (None, Mode::IdleReads) => options.backend(self.kind).idle_reads(true),
        }
    }

    /// Closes a number that a port owns, behind its back. The number is free then: the next socket or file may get it.
    pub fn close_behind(&self, number: RawSocket) {
        match &self.network {
            Some(network) => network.close_behind(number),
            None => assert!(platform::close(number), "{number} was not open"),
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

    /// Whether nobody listens there.
    pub fn refuses(&self, address: SocketAddr) -> bool {
        match &self.network {
            Some(network) => network.connect(address).is_err(),
            None => TcpStream::connect(address).is_err(),
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
                let (socket, client) = tcp_pair();
                (socket.into(), client.into())
            }
        }
    }
}

/// Turns options on that the environment asks for in the ports of all tests (`SOCKET_IOCP_TEST_OPTIONS`, their names):
/// those that change how a port works and not what it does.
fn forced(options: Options) -> Options {
    let names = env::var("SOCKET_IOCP_TEST_OPTIONS").unwrap_or_default();
    names.split_whitespace().fold(options, |options, name| match name {
        "pin_workers" => options.pin_workers(true),
        "busy_poll" => options.busy_poll(Duration::from_micros(200)),
        "zero_copy" => options.zero_copy_from(1),
        "multishot_recv" => options.multishot_recv(true),
        "sqpoll" => options.sqpoll(Duration::from_millis(1)),
        _ => panic!("SOCKET_IOCP_TEST_OPTIONS: {name:?}"),
    })
}

/// Both ends of a connection over loopback.
pub fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("a listener");
    (listener.accept().expect("the client").0, client)
}

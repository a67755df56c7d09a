//! A port on a calm network in virtual time, where it can be said to the millisecond when something comes.

use crate::{Client, Event, Probe};
use socket_iocp::sim::{Behaviour, Network};
use socket_iocp::{Options, Port, SocketHandle};
use std::sync::Arc;
use std::time::Duration;

/// A driven port with one socket, and its peer.
#[derive(Debug)]
pub struct Calm {
    network: Arc<Network>,
    /// The port.
    pub port: Port<Probe>,
    /// The socket.
    pub socket: SocketHandle,
    /// Its peer.
    pub peer: Client,
}

impl Calm {
    /// With read buffers of 256 bytes; `set` sets other options.
    pub fn new(probe: Probe, set: impl FnOnce(Options) -> Options) -> Calm {
        let network = Network::with_behaviour(1, Behaviour::calm());
        network.set_virtual_time(true);
        let options = set(Options::new(256).threads(0).sim(network.clone()));
        let port = Port::new(probe, options).expect("a port");
        let (socket, peer) = network.pair();
        let socket = port.add_connected(socket, 1).expect("a connected socket");
        Calm { network, port, socket, peer: peer.into() }
    }

    /// The time.
    pub fn now(&self) -> Duration {
        self.network.now()
    }

    /// Runs the port until so much virtual time has passed.
    pub fn pass(&self, time: Duration) {
        let end = self.now() + time;
        while self.now() < end {
            self.port.run(Some(end - self.now())).expect("driven");
        }
    }

    /// The socket's callbacks so far.
    pub fn history(&self) -> Vec<Event> {
        self.port.handler().history(self.socket)
    }

    /// Runs the port until the socket has had so many callbacks.
    pub fn run_until(&self, callbacks: usize) {
        while self.history().len() < callbacks {
            self.port.run(None).expect("driven");
        }
    }
}

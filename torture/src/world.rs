//! The world of one program: the network, its clients, and what the model knows of the port.

mod callbacks;
mod calls;
mod clients;
mod mailing;
mod rest;
mod sockets;

use crate::model::{Broken, Circumstances, Socket};
use crate::program::Setup;
use clients::Client;
use fastrand::Rng;
use socket_iocp::sim::{Network, Peer};
use socket_iocp::{ListenerHandle, RawSocket, ReadBuffer};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// What the callbacks and the program share. All of it runs on one thread; the lock is there for `Sync` alone.
pub(crate) struct World {
    state: Mutex<State>,
    /// A callback was run inside a call.
    nested: AtomicBool,
}

impl World {
    pub(crate) fn new(setup: Setup, network: Arc<Network>) -> Arc<World> {
        Arc::new(World { state: Mutex::new(State::new(setup, network)), nested: AtomicBool::new(false) })
    }

    pub(crate) fn enter(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it is held but what ends the program")
    }

    pub(crate) fn try_enter(&self) -> Option<MutexGuard<'_, State>> {
        self.state.try_lock().ok()
    }

    pub(crate) fn note_nested(&self) {
        self.nested.store(true, Ordering::Relaxed);
    }

    /// The first rule that was broken, if one was.
    pub(crate) fn broken(&self) -> Option<Broken> {
        if self.nested.load(Ordering::Relaxed) {
            return Some("a callback was run inside a call".into());
        }
        self.enter().broken.clone()
    }
}

/// A listener of the port.
pub(crate) struct Listening {
    pub(crate) handle: ListenerHandle,
    pub(crate) address: SocketAddr,
    pub(crate) removed: bool,
    pub(crate) ended: bool,
}

pub(crate) struct State {
    pub(crate) setup: Setup,
    pub(crate) network: Arc<Network>,
    pub(crate) sockets: Vec<Socket>,
    /// For each socket: its client, and whether its number was closed behind the library's back.
    of_sockets: Vec<(usize, bool)>,
    pub(crate) raws: Vec<RawSocket>,
    pub(crate) clients: Vec<Client>,
    by_address: BTreeMap<SocketAddr, usize>,
    /// The places of sockets that the port connects, by their own addresses, until the other end has been taken.
    connecting: BTreeMap<SocketAddr, usize>,
    /// The other ends of attempts to connect to hosts, by the attempts' addresses, until one is told of as a socket's.
    attempts: BTreeMap<SocketAddr, Peer>,
    /// The port has connected to hosts.
    dials: bool,
    pub(crate) listeners: Vec<Listening>,
    /// A fault was injected into the operations of whichever socket comes first.
    pub(crate) faulty: bool,
    pub(crate) deleted: bool,
    /// When the port's shutdown aborts what is left, once it has begun.
    pub(crate) shutdown: Option<Duration>,
    /// Bytes of async sends on sockets that were refused: they may still count in the port.
    unsettled: usize,
    /// The program is over: ends of one connection that are both the port's leave each other alone.
    pub(crate) resting: bool,
    pub(crate) reactions: Rng,
    pub(crate) callbacks: u64,
    /// Calls made, clients' actions, turns.
    pub(crate) operations: u64,
    /// What was handed back, and whose it was.
    returned: Vec<(usize, socket_iocp::Socket)>,
    kept: Vec<(ReadBuffer, Vec<u8>)>,
    pub(crate) held: Arc<AtomicI64>,
    broken: Option<Broken>,
}

impl State {
    fn new(setup: Setup, network: Arc<Network>) -> State {
        State {
            setup,
            network,
            sockets: Vec::new(),
            of_sockets: Vec::new(),
            raws: Vec::new(),
            clients: Vec::new(),
            by_address: BTreeMap::new(),
            connecting: BTreeMap::new(),
            attempts: BTreeMap::new(),
            dials: false,
            listeners: Vec::new(),
            faulty: false,
            deleted: false,
            shutdown: None,
            unsettled: 0,
            resting: false,
            reactions: Rng::with_seed(setup.seed),
            callbacks: 0,
            operations: 0,
            returned: Vec::new(),
            kept: Vec::new(),
            held: Arc::new(AtomicI64::new(0)),
            broken: None,
        }
    }

    pub(crate) fn note(&mut self, broken: Broken) {
        self.broken.get_or_insert(broken);
    }

    fn around(&self, place: usize) -> Circumstances {
        let (client, closed_behind) = self.of_sockets[place];
        let may_fail = self.faulty || self.clients[client].disturbed;
        let idle = match self.setup.idle_timeout_ms {
            0 => None,
            timeout_ms => Some(Duration::from_millis(timeout_ms.into())),
        };
        let now = self.network.now();
        let deleted = self.deleted || self.shutdown.is_some_and(|deadline| now >= deadline);
        let peer_cut = self.clients[client].partner.is_some_and(|partner| self.sockets[partner].is_cut());
        Circumstances { may_fail, closed_behind, deleted, shut_down: self.shutdown.is_some(), peer_cut, idle, now }
    }

    /// The port is shut down; of several deadlines the earliest counts.
    pub(crate) fn shuts_down_at(&mut self, deadline: Duration) {
        self.shutdown = Some(self.shutdown.map_or(deadline, |before| before.min(deadline)));
    }

    pub(crate) fn client_of(&self, place: usize) -> usize {
        self.of_sockets[place].0
    }

    fn client_sent(&self, place: usize) -> (u64, bool) {
        let client = &self.clients[self.of_sockets[place].0];
        let partner = client.partner.map(|partner| &self.sockets[partner]);
        // Of one that is ours, when its FIN goes and after what is not followed.
        (partner.map_or(client.written, Socket::issued), client.fin || client.ours)
    }
}

//! Running a program.

mod mailing;
mod outward;

use crate::handler::Tortured;
use crate::model::{Broken, LINGER};
use crate::panics;
use crate::program::{Faulty, Op, Program, Setup};
use crate::world::{Listening, World};
use fastrand::Rng;
use socket_iocp::sim::{Behaviour, Names, Network, Operation, SimSocket};
use socket_iocp::{ErrorCode, Options, Port, PortHandle};
use std::sync::Arc;
use std::time::Duration;

/// The time without any callback after which nothing is expected to move any more: more than a linger and the rounds in which
/// three workers meet its end, cancel, and see what came of that.
const QUIET: Duration = Duration::from_secs(12);
/// The same where idle sockets end: more than the rounds in which three workers have looked nine times.
const IDLE_QUIET: Duration = Duration::from_secs(24);
/// Rounds after which a program that still moves is taken for one that never ends.
const MAX_ROUNDS: u32 = 200_000;
/// Turns that each worker has in a round before time passes, so that what is pending for some steps ends.
const TURNS: usize = 10;
/// The time that passes in a round in which nothing happens.
const ROUND: Duration = Duration::from_millis(500);

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// Operations done: calls, clients' actions, turns of workers, but for the turns that let it come to rest.
    pub operations: u64,
    /// Callbacks checked.
    pub callbacks: u64,
    /// The first rule that was broken.
    pub broken: Option<Broken>,
}

/// Runs a program to its end, or to the first rule broken. A panic of the engine is one.
pub fn run(program: &Program) -> Outcome {
    let network = Network::with_behaviour(program.setup.seed, Behaviour::mild());
    network.set_virtual_time(true);
    let world = World::new(program.setup, network);
    let stage = Stage::new(program.setup, &world);
    let stage = match stage {
        Ok(stage) => stage,
        Err(broken) => return Outcome { operations: 0, callbacks: 0, broken: Some(broken) },
    };
    let mut stage = Some(stage);
    let panic = panics::caught(|| {
        if let Some(stage) = &mut stage {
            stage.play(&program.ops);
        }
        stage = None;
    });
    // What a panic has left behind must not be touched again.
    std::mem::forget(stage);
    match panic {
        Some(panic) => Outcome { operations: 0, callbacks: 0, broken: Some(panic) },
        None => {
            let broken = world.broken();
            let state = world.enter();
            Outcome { operations: state.operations, callbacks: state.callbacks, broken }
        }
    }
}

/// A port on its network.
struct Stage {
    world: Arc<World>,
    network: Arc<Network>,
    /// `None` when it has been deleted.
    port: Option<Port<Tortured>>,
    handle: PortHandle<Tortured>,
    /// The network's own listener, to which the port connects.
    far: Option<SimSocket>,
    /// The port's resolver.
    names: Arc<Names>,
    workers: usize,
}

impl Stage {
    fn new(setup: Setup, world: &Arc<World>) -> Result<Stage, Broken> {
        let network = world.enter().network.clone();
        let names = Names::new();
        let mut options = Options::new(setup.read_buffer_size)
            .linger(LINGER)
            .sim(network.clone())
            .stepped(setup.workers)
            .names(names.clone());
        if setup.max_sockets != 0 {
            options = options.max_sockets(setup.max_sockets);
        }
        if setup.max_queued_sends != 0 {
            options = options.max_queued_sends(setup.max_queued_sends);
        }
        if setup.max_queued_bytes != 0 {
            options = options.max_queued_bytes(setup.max_queued_bytes);
        }
        if setup.idle_timeout_ms != 0 {
            options = options.idle_timeout(Duration::from_millis(setup.idle_timeout_ms.into()));
        }
        if setup.high_watermark != 0 {
            options = options.high_watermark(setup.high_watermark).low_watermark(setup.low_watermark);
        }
        if setup.max_port_queued_bytes != 0 {
            options = options.max_port_queued_bytes(setup.max_port_queued_bytes);
        }
        let port = Port::new(Tortured(world.clone()), options).map_err(|error| format!("no port: {error}"))?;
        let handle = PortHandle::clone(&port);
        let far = Some(network.listen());
        Ok(Stage { world: world.clone(), network, port: Some(port), handle, far, names, workers: setup.workers })
    }

    fn is_broken(&self) -> bool {
        self.world.broken().is_some()
    }

    fn play(&mut self, ops: &[Op]) {
        for op in ops {
            self.perform(*op);
            if self.is_broken() {
                break;
            }
        }
        if !self.is_broken() && self.port.is_some() {
            self.settle();
        }
        if self.is_broken() {
            // What a broken engine does with its end is of no interest, and may never end.
            std::mem::forget(self.port.take());
            return;
        }
        self.delete();
        self.far = None;
        self.world.enter().check_gone();
    }

    fn perform(&mut self, op: Op) {
        match op {
            Op::Connect(at) => self.connect(at),
            Op::Add => self.add(),
            Op::ConnectOut(whither, limit_ms) => self.connect_out(whither, limit_ms),
            Op::ConnectHost(host, limit_ms) => self.connect_host(host, limit_ms),
            Op::Answer => {
                self.answer();
            }
            Op::AddDatagram(how) => self.add_datagram(how),
            Op::Mail(at, len) => self.write_mail(at, len.into()),
            Op::AddBack(at) => self.add_back(at),
            Op::PeerWrite(at, len) => self.with_client(at, |state, client| state.client_writes(client, len.into())),
            Op::PeerRead(at, len) => {
                self.with_client(at, |state, client| {
                    state.client_reads(client, len.into());
                });
            }
            Op::PeerShutdown(at) => self.with_client(at, |state, client| state.client_ends(client)),
            Op::PeerReset(at) => self.with_client(at, |state, client| state.client_goes(client, true)),
            Op::PeerClose(at) => self.with_client(at, |state, client| state.client_goes(client, false)),
            Op::Call(at, call) => self.with_socket(at, true, |state, port, place| state.call(port, place, call)),
            Op::CallDead(at, call) => self.with_socket(at, false, |state, port, place| state.call(port, place, call)),
            Op::Run(worker, turns) => (0..turns).for_each(|_| self.step(worker.into(), Duration::ZERO)),
            Op::Wait(worker, time_ms) => self.step(worker.into(), Duration::from_millis(time_ms.into())),
            Op::Backlog(at, backlog) => {
                let listener = self.pick_listener(at).map(|(_, handle)| handle);
                if let Some(listener) = listener {
                    let _ = self.handle.set_accept_backlog(listener, backlog.into());
                }
            }
            Op::RemoveListener(at) => self.remove_listener(at),
            Op::AddListener(backlog) => self.add_listener(usize::from(backlog % 8) + 1),
            Op::Fail(where_, which) => self.fail(where_, which),
            Op::Exhaust(exhausted) => self.network.exhaust_descriptors(exhausted),
            Op::CloseBehind(at) => self.with_socket(at, true, |state, _, place| state.close_behind(place)),
            Op::Behave(how) => self.network.set_behaviour(behaviour(how)),
            Op::React(seed) => self.world.enter().reactions = Rng::with_seed(seed.into()),
            Op::Delete => self.delete(),
            Op::Shutdown(within_ms) => self.shut_down(Duration::from_millis(within_ms.into())),
        }
    }

    fn with_client(&self, at: u8, act: impl FnOnce(&mut crate::world::State, usize)) {
        let mut state = self.world.enter();
        state.operations += 1;
        let with_peer: Vec<usize> =
            (0..state.clients.len()).filter(|place| state.clients[*place].peer.is_some()).collect();
        if !with_peer.is_empty() {
            act(&mut state, with_peer[usize::from(at) % with_peer.len()]);
        }
    }

    fn with_socket(
        &self,
        at: u8,
        alive: bool,
        act: impl FnOnce(&mut crate::world::State, &PortHandle<Tortured>, usize),
    ) {
        let mut state = self.world.enter();
        if let Some(place) = state.pick(at, alive) {
            act(&mut state, &self.handle, place);
        }
    }

    fn connect(&self, at: u8) {
        let Some((place, _)) = self.pick_listener(at) else { return };
        let address = self.world.enter().listeners[place].address;
        if let Ok(peer) = self.network.connect(address) {
            let mut state = self.world.enter();
            state.operations += 1;
            state.add_client(peer);
        }
    }

    fn add(&self) {
        if self.port.is_none() {
            return;
        }
        let (socket, peer) = self.network.pair();
        let raw = socket.as_raw();
        let mut state = self.world.enter();
        state.operations += 1;
        let client = state.add_client(peer);
        let place = state.sockets.len();
        let token = crate::handler::SocketToken::new(place, &state.held);
        let limited = state.setup.max_sockets != 0;
        match self.handle.add_connected(socket, token) {
            Ok(handle) => {
                state.add_socket(handle, client, raw);
            }
            Err(refused) if state.shutdown.is_some() && refused.error.code() == ErrorCode::Closed => {
                state.client_goes(client, false);
            }
            Err(refused) if limited && refused.error.code() == ErrorCode::Limit => state.client_goes(client, false),
            Err(refused) => state.note(format!("a socket was not added: {}", refused.error)),
        }
    }

    fn add_back(&self, at: u8) {
        if self.port.is_none() {
            return;
        }
        let mut state = self.world.enter();
        let Some((before, socket)) = state.take_returned(at) else { return };
        let raw = socket.as_raw();
        let token = crate::handler::SocketToken::new(state.sockets.len(), &state.held);
        state.operations += 1;
        match self.handle.add_connected(socket, token) {
            Ok(handle) => state.add_again(handle, before, raw),
            // Closed when it is dropped here: or its connection, which a reset may have ended, is none any more.
            Err(_) => {
                let client = state.client_of(before);
                state.client_goes(client, false);
            }
        }
    }

    fn pick_listener(&self, at: u8) -> Option<(usize, socket_iocp::ListenerHandle)> {
        let state = self.world.enter();
        let is_open = |place: &usize| !state.listeners[*place].removed && state.shutdown.is_none();
        let all: Vec<usize> = (0..state.listeners.len()).filter(is_open).collect();
        let place = *all.get(usize::from(at) % all.len().max(1))?;
        Some((place, state.listeners[place].handle))
    }

    fn add_listener(&self, backlog: usize) {
        if self.port.is_none() {
            return;
        }
        let listener = self.network.listen();
        let address = listener.local_addr().expect("a listener has an address");
        let mut state = self.world.enter();
        state.operations += 1;
        let token = state.listener_token(state.listeners.len());
        match self.handle.add_listener(listener, backlog, token) {
            Ok(handle) => state.listeners.push(Listening { handle, address, removed: false, ended: false }),
            Err(refused) if refused.error.code() == ErrorCode::NoDescriptors => {}
            Err(refused) if state.shutdown.is_some() && refused.error.code() == ErrorCode::Closed => {}
            Err(refused) => state.note(format!("a listener was not added: {}", refused.error)),
        }
    }

    fn remove_listener(&self, at: u8) {
        let Some((place, handle)) = self.pick_listener(at).filter(|_| self.port.is_some()) else { return };
        self.world.enter().listeners[place].removed = true;
        if let Err(error) = self.handle.remove_listener(handle) {
            self.world.enter().note(format!("a listener was not removed: {error}"));
        }
    }

    fn fail(&self, faulty: Faulty, which: u8) {
        let (operation, codes) = match faulty {
            Faulty::Recv => (Operation::Recv, crate::faults::RECV),
            Faulty::Send => (Operation::Send, crate::faults::SEND),
            Faulty::Accept => (Operation::Accept, crate::faults::ACCEPT),
            Faulty::Connect => (Operation::Connect, crate::faults::CONNECT),
            Faulty::Wait => (Operation::Wait, crate::faults::WAIT),
            Faulty::ReadFile => (Operation::ReadFile, crate::faults::READ_FILE),
        };
        self.world.enter().faulty |= !matches!(faulty, Faulty::Accept | Faulty::Wait);
        self.network.fail_next(operation, codes[usize::from(which) % codes.len()]);
    }

    fn step(&self, worker: usize, timeout: Duration) {
        if self.port.is_some() {
            self.world.enter().operations += 1;
            self.turn(worker, timeout);
        }
    }

    /// False when this worker is over, in a port that has been shut down.
    fn turn(&self, worker: usize, timeout: Duration) -> bool {
        self.handle.step(worker % self.workers, Some(timeout)).is_ok()
    }

    /// Lets everything come to rest: the clients read, time passes. Then the clients send FIN, and the same again.
    fn settle(&self) {
        self.network.exhaust_descriptors(false);
        self.network.set_behaviour(Behaviour::mild());
        self.world.enter().resting = true;
        for ends in [false, true] {
            if ends {
                let clients = self.world.enter().clients.len();
                (0..clients).for_each(|client| self.world.enter().client_ends(client));
            }
            self.rest();
            if self.is_broken() {
                return;
            }
            self.world.enter().check_at_rest();
        }
    }

    fn rest(&self) {
        let quiet = if self.world.enter().setup.idle_timeout_ms == 0 { QUIET } else { IDLE_QUIET };
        let mut moved_at = self.network.now();
        for _ in 0..MAX_ROUNDS {
            let before = self.world.enter().callbacks;
            let mut moved = self.answer();
            let clients = self.world.enter().clients.len();
            for client in 0..clients {
                while self.world.enter().client_reads(client, 4096) {
                    moved = true;
                }
            }
            let mut is_over = true;
            for worker in 0..self.workers {
                for _ in 0..TURNS {
                    self.turn(worker, Duration::ZERO);
                }
                is_over &= !self.turn(worker, ROUND);
            }
            moved |= self.world.enter().callbacks != before;
            if moved {
                moved_at = self.network.now();
            }
            // No time passes any more in which something could move once the port is over.
            if is_over && !moved || self.network.now() > moved_at + quiet || self.is_broken() {
                return;
            }
        }
        self.world.enter().note("it never comes to rest".into());
    }

    fn shut_down(&self, within: Duration) {
        if self.port.is_none() {
            return;
        }
        let mut state = self.world.enter();
        state.operations += 1;
        let began = self.handle.begin_shutdown(within);
        // One of before may have come to its end.
        if began.is_ok() {
            state.shuts_down_at(self.network.now() + within);
        } else if state.shutdown.is_none() {
            state.note(format!("the shutdown of a live port: {began:?}"));
        }
    }

    fn delete(&mut self) {
        if let Some(port) = self.port.take() {
            self.world.enter().deleted = true;
            port.delete();
        }
    }
}

fn behaviour(how: u8) -> Behaviour {
    let base = match how % 4 {
        0 => Behaviour::calm(),
        1 => Behaviour::mild(),
        _ => Behaviour::harsh(),
    };
    let rarely = |bit: u8| if how & bit != 0 { 0.05 } else { 0.0 };
    Behaviour {
        no_buffer_probability: rarely(4),
        shortage_probability: rarely(8),
        accept_error_probability: rarely(16),
        window_bytes: if how & 32 != 0 { 100 } else { base.window_bytes },
        ..base
    }
}

//! The engine on the simulated network: mostly one driven port, one thread, virtual time; replayed by the seed.

use socket_iocp::sim::{Behaviour, Network, Operation, Peer};
use socket_iocp::{Context, Error, ErrorCode, Farewell, Handler, Options, Port, ReadBuffer, Sent};
use std::sync::Mutex;
use std::time::Duration;

#[derive(Default)]
struct Echo {
    trace: Mutex<Vec<String>>,
}

impl Echo {
    fn note(&self, line: String) {
        self.trace.lock().expect("no panic").push(line);
    }
}

impl Handler for Echo {
    type Listener = ();
    type Socket = u16;
    type Write = usize;

    fn accept(&self, context: &Context<'_, Self>, (): &()) -> Option<u16> {
        context.recv().expect("a new socket takes a recv");
        let port = context.remote_addr().map_or(0, |address| address.port());
        self.note(format!("accept {port}"));
        Some(port)
    }

    fn recv(&self, context: &Context<'_, Self>, port: &mut u16, received: Result<ReadBuffer, Error>) {
        match received {
            Ok(bytes) if bytes.is_empty() => {
                self.note(format!("eof {port}"));
                let _ = context.close();
            }
            Ok(bytes) => {
                let len = bytes.len();
                self.note(format!("recv {port} {len}"));
                // Refused when the socket is ending: the farewell tells.
                let _ = context.send(bytes, len);
            }
            Err(error) => self.note(format!("recv {port} {error:?}")),
        }
    }

    fn send(&self, context: &Context<'_, Self>, port: &mut u16, sent: Sent<usize>) {
        self.note(format!("sent {port} {} {:?}", sent.bytes, sent.result.map_err(|error| error.code())));
        if sent.result.is_ok() {
            assert_eq!(sent.bytes, sent.write);
            // Refused when the socket is ending, and busy where a test keeps a recv of its own.
            let _ = context.recv();
        }
    }

    fn error(&self, _context: &Context<'_, Self>, port: u16, farewell: Farewell) {
        self.note(format!("farewell {port} {:?}", farewell.reason.map_err(|error| error.code())));
    }
}

struct Client {
    peer: Option<Peer>,
    out: Vec<u8>,
    written: usize,
    read: Vec<u8>,
    failed: bool,
}

impl Client {
    fn turn(&mut self) -> bool {
        let Some(peer) = &self.peer else { return false };
        if self.written < self.out.len() {
            match peer.write(&self.out[self.written..]) {
                Ok(bytes) => self.written += bytes,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => self.failed = true,
            }
            if self.written == self.out.len() {
                peer.shutdown_write();
            }
        }
        let mut part = [0; 333];
        match peer.read(&mut part) {
            Ok(0) => self.peer = None,
            Ok(bytes) => self.read.extend_from_slice(&part[..bytes]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => {
                self.failed = true;
                self.peer = None;
            }
        }
        self.peer.is_some()
    }
}

fn run(seed: u64, behaviour: Behaviour, errors: bool) -> Vec<String> {
    let network = Network::with_behaviour(seed, behaviour);
    network.set_virtual_time(true);
    let port = Port::new(Echo::default(), Options::new(256).threads(0).sim(network.clone())).expect("a port");
    let listener = network.listen();
    let address = listener.local_addr().expect("an address");
    port.add_listener(listener, 1 + seed as usize % 4, ()).expect("added");
    let mut clients: Vec<Client> = (0..5)
        .map(|index| {
            let peer = network.connect(address).expect("listening");
            peer.set_nonblocking(true);
            let out = (0..3000 + index * 7).map(|at| (at * 31 + index) as u8).collect();
            Client { peer: Some(peer), out, written: 0, read: Vec::new(), failed: false }
        })
        .collect();
    let mut turns = 0;
    while clients.iter_mut().fold(false, |busy, client| client.turn() | busy) {
        port.run(Some(Duration::from_millis(1))).expect("driven");
        turns += 1;
        assert!(turns < 20_000, "seed {seed}: the clients do not finish");
    }
    for client in &clients {
        if client.failed {
            assert!(errors, "seed {seed}: a client failed");
            assert!(client.out.starts_with(&client.read), "seed {seed}");
        } else if !errors {
            assert!(client.read == client.out, "seed {seed}: {} of {}", client.read.len(), client.out.len());
        }
    }
    // The farewells follow.
    let mut turns = 0;
    while port.statistics().sockets_now > 0 {
        port.run(Some(Duration::from_secs(1))).expect("driven");
        turns += 1;
        assert!(turns < 1000, "seed {seed}: farewells are missing");
    }
    assert_eq!(port.statistics().panics, 0, "seed {seed}");
    let trace = std::mem::take(&mut *port.handler().trace.lock().expect("no panic"));
    port.delete();
    assert_eq!((network.open_sockets(), network.live_sockets()), (0, 0), "seed {seed}");
    let accepted = trace.iter().filter(|line| line.starts_with("accept")).count();
    let gone = trace.iter().filter(|line| line.starts_with("farewell")).count();
    assert_eq!(accepted, gone, "seed {seed}");
    trace
}

#[test]
fn echo_survives_harsh_seeds() {
    for seed in 0..300 {
        run(seed, Behaviour::harsh(), false);
        run(seed, Behaviour::mild(), false);
    }
}

#[test]
fn shortages_pass() {
    for seed in 0..100 {
        run(
            seed,
            Behaviour {
                no_buffer_probability: 0.2,
                shortage_probability: 0.2,
                accept_error_probability: 0.5,
                ..Behaviour::harsh()
            },
            false,
        );
    }
}

#[test]
fn errors_end_one_socket_each() {
    for seed in 0..300 {
        let behaviour = Behaviour {
            recv_error_probability: 0.02,
            send_error_probability: 0.02,
            reset_loss_probability: 0.5,
            ..Behaviour::harsh()
        };
        run(seed, behaviour, true);
    }
}

#[test]
fn a_seed_replays() {
    assert_eq!(run(3, Behaviour::harsh(), false), run(3, Behaviour::harsh(), false));
    assert_ne!(run(3, Behaviour::harsh(), false), run(4, Behaviour::harsh(), false));
}

#[test]
fn delete_in_the_middle_reports_everything() {
    for seed in 0..300 {
        let network = Network::with_behaviour(seed, Behaviour { window_bytes: 512, ..Behaviour::harsh() });
        network.set_virtual_time(true);
        let port = Port::new(Echo::default(), Options::new(256).threads(0).sim(network.clone())).expect("a port");
        let handle = (*port).clone();
        let mut peers = Vec::new();
        for at in 0..4 {
            let (socket, peer) = network.pair();
            peer.set_nonblocking(true);
            let handle = port.add_connected(socket, at).expect("added");
            peer.write_all(&[1; 300]).expect("room");
            port.recv(handle).expect("recv");
            for _ in 0..3 {
                port.send(handle, vec![at as u8; 400], 400).expect("open");
            }
            peers.push(peer);
        }
        for _ in 0..seed % 20 {
            port.run(Some(Duration::ZERO)).expect("driven");
        }
        port.delete();
        let trace = std::mem::take(&mut *handle.handler().trace.lock().expect("no panic"));
        assert_eq!(trace.iter().filter(|line| line.starts_with("farewell")).count(), 4, "seed {seed}");
        for at in 0..4 {
            let sent = trace.iter().filter(|line| line.starts_with(&format!("sent {at} "))).count();
            assert!(sent >= 3, "seed {seed}: {trace:?}");
        }
        assert_eq!(network.open_sockets(), 0, "seed {seed}");
        assert_eq!(handle.run(None).expect_err("deleted").code(), ErrorCode::Closed);
    }
}

#[test]
fn a_linger_limit_passes_in_virtual_time() {
    let network = Network::with_behaviour(1, Behaviour::calm());
    network.set_virtual_time(true);
    let options = Options::new(256).threads(0).linger(Duration::from_secs(3600)).sim(network.clone());
    let port = Port::new(Echo::default(), options).expect("a port");
    let (socket, peer) = network.pair();
    let handle = port.add_connected(socket, 9).expect("added");
    port.close(handle).expect("open");
    while port.statistics().sockets_now > 0 {
        port.run(None).expect("driven");
    }
    assert!(network.now() >= Duration::from_secs(3600));
    assert_eq!(*port.handler().trace.lock().expect("no panic"), ["farewell 9 Err(TimedOut)"]);
    drop(peer);
}

/// An accept that fails for its connection's sake is started again at once: but not for ever.
#[test]
fn a_listener_that_can_take_none_pauses() {
    #[cfg(windows)]
    const ABORTED: i32 = 10053;
    #[cfg(unix)]
    const ABORTED: i32 = libc::ECONNABORTED;
    let network = Network::with_behaviour(1, Behaviour::calm());
    network.set_virtual_time(true);
    let port = Port::new(Echo::default(), Options::new(256).threads(0).sim(network.clone())).expect("a port");
    let listener = network.listen();
    let address = listener.local_addr().expect("an address");
    let listening = port.add_listener(listener, 1, ()).expect("added");
    (0..200).for_each(|_| network.fail_next(Operation::Accept, ABORTED));
    let peer = network.connect(address).expect("listening");
    while port.statistics().accepts == 0 {
        port.run(None).expect("driven");
    }
    let statistics = port.statistics();
    assert_eq!((statistics.accept_errors, statistics.accept_backoffs), (200, 3));
    // The accepts that a removal cancels are no failures.
    drop(port.remove_listener(listening).expect("it listens"));
    while port.statistics().listeners_now > 0 {
        port.run(None).expect("driven");
    }
    assert_eq!(port.statistics().accept_backoffs, 3);
    drop(peer);
}

/// One worker takes it, for another; before that one hears of it the port is deleted.
#[test]
fn a_connection_taken_while_the_port_is_deleted_is_closed() {
    let network = Network::with_behaviour(1, Behaviour::calm());
    network.set_virtual_time(true);
    let options = Options::new(256).sim(network.clone()).stepped(2);
    let port = Port::new(Echo::default(), options).expect("a port");
    let listener = network.listen();
    let address = listener.local_addr().expect("an address");
    port.add_listener(listener, 8, ()).expect("added");
    let soon = Some(Duration::from_millis(1));
    (0..2).for_each(|worker| port.step(worker, soon).expect("driven"));
    let peers = [(); 4].map(|()| network.connect(address).expect("listening"));
    port.step(0, soon).expect("driven");
    port.delete();
    assert_eq!(network.open_sockets(), 0);
    drop(peers);
    assert_eq!(network.live_sockets(), 0);
}

#[test]
fn threads_serve_blocking_peers() {
    for seed in 0..20 {
        let behaviour = Behaviour {
            no_buffer_probability: 0.02,
            shortage_probability: 0.02,
            accept_error_probability: 0.1,
            ..Behaviour::harsh()
        };
        let network = Network::with_behaviour(seed, behaviour);
        let port = Port::new(Echo::default(), Options::new(256).threads(3).sim(network.clone())).expect("a port");
        let listener = network.listen();
        let address = listener.local_addr().expect("an address");
        port.add_listener(listener, 1 + seed as usize % 7, ()).expect("added");
        std::thread::scope(|scope| {
            for at in 0..8_usize {
                let network = &network;
                scope.spawn(move || {
                    let peer = network.connect(address).expect("listening");
                    let out: Vec<u8> = (0..20_000).map(|byte| (byte * 31 + at) as u8).collect();
                    let mut back = Vec::new();
                    std::thread::scope(|both| {
                        both.spawn(|| {
                            peer.write_all(&out).expect("served");
                            peer.shutdown_write();
                        });
                        peer.read_to_end(&mut back).expect("served");
                    });
                    assert!(back == out, "seed {seed} client {at}");
                });
            }
        });
        port.delete();
        assert_eq!((network.open_sockets(), network.live_sockets()), (0, 0), "seed {seed}");
    }
}

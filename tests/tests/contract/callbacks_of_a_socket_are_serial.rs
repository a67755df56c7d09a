//! Callbacks of one socket never overlap; those of sockets on different workers run in parallel, and one that blocks
//! delays the sockets of its own worker only.

use socket_iocp::{Context, Error, Farewell, Handler, Port, ReadBuffer, Sent};
use socket_iocp_testkit::{Event, Gate, Lab, Probe, on_every_backend};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

on_every_backend!(one_socket_never_overlaps, two_workers_run_in_parallel, one_that_blocks_delays_no_other_worker);

/// A socket's state: set while one of its callbacks runs, and without any lock of the test's.
#[derive(Debug, Default)]
struct Own {
    busy: Arc<AtomicBool>,
    callbacks: u64,
}

struct Strict {
    overlaps: AtomicU64,
    farewells: Gate,
    sends: Gate,
    callbacks: AtomicU64,
}

impl Strict {
    fn enter<R>(&self, own: &mut Own, body: impl FnOnce() -> R) -> R {
        self.overlaps.fetch_add(u64::from(own.busy.swap(true, Ordering::Relaxed)), Ordering::Relaxed);
        // A window for another worker, if it could be there.
        thread::yield_now();
        own.callbacks += 1;
        let answer = body();
        own.busy.store(false, Ordering::Relaxed);
        answer
    }
}

impl Handler for Strict {
    type Listener = ();
    type Socket = Own;
    type Write = ();

    fn accept(&self, context: &Context<'_, Self>, _: &()) -> Option<Own> {
        let mut own = Own::default();
        self.enter(&mut own, || context.recv().expect("a new socket"));
        Some(own)
    }

    fn recv(&self, context: &Context<'_, Self>, own: &mut Own, received: Result<ReadBuffer, Error>) {
        self.enter(own, || {
            let bytes = received.expect("no recv is cancelled by itself");
            // An error is the socket's end, which the other threads may have begun.
            let _ = if bytes.is_empty() { context.close() } else { context.recv() };
        });
    }

    fn send(&self, _: &Context<'_, Self>, own: &mut Own, _: Sent<()>) {
        self.enter(own, || self.sends.pass());
    }

    fn error(&self, _: &Context<'_, Self>, mut own: Own, _: Farewell) {
        self.enter(&mut own, || {});
        self.callbacks.fetch_add(own.callbacks, Ordering::Relaxed);
        self.farewells.pass();
    }
}

fn one_socket_never_overlaps(lab: &Lab) {
    const SOCKETS: u64 = 8;
    const SENDS: u64 = 100;
    let strict = Strict {
        overlaps: AtomicU64::new(0),
        farewells: Gate::new(),
        sends: Gate::new(),
        callbacks: AtomicU64::new(0),
    };
    let port = Port::new(strict, lab.options().threads(4)).expect("a port");
    let mut clients = Vec::new();
    let mut handles = Vec::new();
    for _ in 0..SOCKETS {
        let (socket, client) = lab.pair();
        handles.push(port.add_connected(socket, Own::default()).expect("a connected socket"));
        clients.push(client);
    }
    thread::scope(|scope| {
        for handle in &handles {
            // Two foreign threads for each socket, while its client keeps its recv callbacks coming.
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..SENDS {
                        port.send(*handle, b"x", ()).expect("a live socket");
                        let _ = port.recv(*handle);
                    }
                });
            }
        }
        for client in &mut clients {
            scope.spawn(|| {
                for _ in 0..SENDS {
                    client.write_all(b"y").expect("a live connection");
                }
                client.read_exact(2 * SENDS as usize).expect("the sends");
                client.shutdown_write();
            });
        }
    });
    port.handler().sends.wait_for("sends", 2 * SENDS * SOCKETS);
    port.handler().farewells.wait_for("farewells", SOCKETS);
    assert_eq!(port.handler().overlaps.load(Ordering::Relaxed), 0);
    assert!(port.handler().callbacks.load(Ordering::Relaxed) > 2 * SENDS * SOCKETS);
}

fn two_workers_run_in_parallel(lab: &Lab) {
    let together = Gate::new();
    let probe = Probe::reacting(move |_, _, event| {
        if matches!(event, Event::Sent { .. }) {
            together.pass();
            assert!(together.reaches(2), "the other worker's callback did not run meanwhile");
        }
        None
    });
    let port = Port::new(probe, lab.options()).expect("a port");
    let mut clients = Vec::new();
    // Sockets are spread evenly: two of them, on two workers.
    for _ in 0..2 {
        let (socket, client) = lab.pair();
        let socket = port.add_connected(socket, 1).expect("a connected socket");
        port.send(socket, b"x", 0).expect("a live socket");
        clients.push(client);
    }
    port.handler().wait_for_count("two sends", 2, |event| matches!(event, Event::Sent { .. }));
    port.delete();
}

fn one_that_blocks_delays_no_other_worker(lab: &Lab) {
    let (entered, leave) = (Arc::new(Gate::new()), Arc::new(Gate::new()));
    let (told, waited) = (entered.clone(), leave.clone());
    let probe = Probe::reacting(move |_, context: Option<&Context<'_, Probe>>, event| {
        match event {
            Event::Sent { write: 7, .. } => {
                told.pass();
                assert!(waited.reaches(1), "the test never let the callback go");
            }
            // Not for the end of input, when the client has gone: a recv after it is refused.
            Event::Received { result: Ok(bytes), .. } if !bytes.is_empty() => {
                let context = context.expect("a socket's callback");
                context.send(bytes.clone(), 0).expect("a live socket");
                context.recv().expect("a live socket");
            }
            _ => {}
        }
        None
    });
    let port = Port::new(probe, lab.options()).expect("a port");
    let (blocked, _blocked_client) = lab.pair();
    let blocked = port.add_connected(blocked, 1).expect("a connected socket");
    let (served, mut client) = lab.pair();
    let served = port.add_connected(served, 2).expect("a connected socket");
    port.send(blocked, Vec::new(), 7).expect("a live socket");
    entered.wait_for("the callback that blocks", 1);
    port.recv(served).expect("a first recv");
    for round in 0..100 {
        client.write_all(&[round]).expect("a live connection");
        assert_eq!(client.read_exact(1).expect("the echo"), [round]);
    }
    leave.pass();
}

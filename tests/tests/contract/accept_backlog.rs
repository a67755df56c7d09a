//! The backlog bounds the connections taken from the kernel and not yet given to an accept callback. ("Accepting".)

use socket_iocp::{ListenerHandle, Port, PortHandle, Socket};
use socket_iocp_testkit::{Event, Gate, Lab, Probe, on_every_backend, platform};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

on_every_backend!(it_bounds_what_is_taken, it_bounds_what_several_workers_take, it_is_raised_and_lowered_while_running);
// Real only: what is left is counted by std.
on_every_backend!(real: what_it_leaves_is_taken_by_whoever_accepts_next);

const CLIENTS: usize = 100;

/// Counts the connections that the kernel, or the network, still has.
enum Census {
    Real(platform::OwnedSocket),
    Sim(Arc<socket_iocp::sim::Network>),
}

impl Census {
    fn new(lab: &Lab, listener: Socket) -> (Census, Socket) {
        match lab.network() {
            Some(network) => (Census::Sim(network.clone()), listener),
            None => {
                let owned = platform::owned(listener).expect("a real one");
                (Census::Real(owned.try_clone().expect("a descriptor")), owned.into())
            }
        }
    }

    /// Connections taken so far, of [`CLIENTS`] that have all been made before.
    fn taken(&self) -> usize {
        match self {
            Census::Real(listener) => CLIENTS - platform::queued_connections(listener),
            // The listener has two numbers, each connection taken has one.
            Census::Sim(network) => network.open_sockets() - 2,
        }
    }
}

/// Accepts [`CLIENTS`] connections that were there before, and answers for each accept callback how many connections
/// had been taken and not been given to one. `at` is called with the number of each.
fn untold(
    lab: &Lab,
    threads: usize,
    backlog: usize,
    at: impl Fn(&PortHandle<Probe>, ListenerHandle, usize) + Send + Sync + 'static,
) -> Vec<usize> {
    let (listener, address) = lab.listen();
    let clients: Vec<_> = (0..CLIENTS).map(|_| lab.connect(address)).collect();
    let (census, listener) = Census::new(lab, listener);
    let (counts, given) = (Arc::new(Mutex::new(Vec::new())), AtomicUsize::new(0));
    let noted = counts.clone();
    let made: Arc<OnceLock<ListenerHandle>> = Arc::default();
    let inner = made.clone();
    let probe = Probe::reacting(move |_, context, event| {
        if matches!(event, Event::Accepted { .. }) {
            let number = given.fetch_add(1, Ordering::SeqCst);
            let taken = census.taken();
            noted.lock().expect("no panic").push(taken.saturating_sub(given.load(Ordering::SeqCst)));
            at(context?.port(), *inner.wait(), number);
        }
        Some(0)
    });
    let port = Port::new(probe, lab.options().threads(threads)).expect("a port");
    let listener = port.add_listener(listener, backlog, 0).expect("a listener");
    made.set(listener).expect("set once");
    port.handler().wait_for_count("accepts", CLIENTS, |event| matches!(event, Event::Accepted { .. }));
    port.delete();
    drop(clients);
    counts.lock().expect("no panic").clone()
}

fn it_bounds_what_is_taken(lab: &Lab) {
    for backlog in [1, 5] {
        let untold = untold(lab, 1, backlog, |_, _, _| {});
        assert!(untold.iter().all(|count| *count <= backlog), "backlog {backlog}: {untold:?}");
    }
}

fn it_bounds_what_several_workers_take(lab: &Lab) {
    let untold = untold(lab, 3, 5, |_, _, _| {});
    // Two other workers may each be on the way into a callback.
    assert!(untold.iter().all(|count| *count <= 5 + 2), "{untold:?}");
}

fn it_is_raised_and_lowered_while_running(lab: &Lab) {
    let untold = untold(lab, 1, 2, |port, listener, number| match number {
        10 => port.set_accept_backlog(listener, 16).expect("a listener"),
        50 => port.set_accept_backlog(listener, 1).expect("a listener"),
        _ => {}
    });
    assert!(untold[..=10].iter().all(|count| *count <= 2), "{untold:?}");
    assert!(untold[11..].iter().all(|count| *count <= 16), "{untold:?}");
    assert!(untold[11..].iter().any(|count| *count > 2), "never raised: {untold:?}");
    // What was under way when it was lowered has been used up.
    assert!(untold[70..].iter().all(|count| *count <= 1), "never lowered: {untold:?}");
}

/// How many connections are there for std to take. Each client has been connected before.
fn take_all(listener: &TcpListener) -> usize {
    listener.set_nonblocking(true).expect("a flag");
    let count = std::iter::from_fn(|| listener.accept().ok()).count();
    listener.set_nonblocking(false).expect("a flag");
    count
}

fn what_it_leaves_is_taken_by_whoever_accepts_next(lab: &Lab) {
    const BACKLOG: usize = 7;
    let go_on = Arc::new(Gate::new());
    let gate = go_on.clone();
    let probe = Probe::reacting(move |_, _, event| {
        if matches!(event, Event::Accepted { .. }) {
            gate.wait_for("the test", 1);
        }
        Some(0)
    });
    let port = Port::new(probe, lab.options().threads(1)).expect("a port");
    let (listener, address) = lab.listen();
    let clients: Vec<_> = (0..CLIENTS).map(|_| lab.connect(address)).collect();
    let handle = port.add_listener(listener, BACKLOG, 0).expect("a listener");
    port.handler().wait_for_accept(0);
    // The worker is in its first accept callback: no connection is given to another one meanwhile.
    let listener = port.remove_listener(handle).expect("a listener");
    let listener = TcpListener::from(platform::owned(listener).expect("a real one"));
    let left = take_all(&listener);
    assert!(CLIENTS - left <= 1 + BACKLOG, "{} were taken, and one was given to a callback", CLIENTS - left);
    // What was taken is given to callbacks, and nothing is lost.
    go_on.pass();
    port.handler().wait_for_count("the farewell", 1, |event| matches!(event, Event::ListenerFarewell { .. }));
    let told = port.handler().count(|event| matches!(event, Event::Accepted { .. }));
    assert_eq!((told + left, clients.len()), (CLIENTS, CLIENTS));
}

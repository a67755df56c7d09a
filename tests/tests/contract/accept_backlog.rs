//! The backlog bounds the connections taken from the kernel and not yet given to an accept callback. ("Accepting".)

use socket_iocp::{ListenerHandle, Port, PortHandle, Socket};
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

on_every_backend!(it_bounds_what_is_taken, it_bounds_what_several_workers_take, it_is_raised_and_lowered_while_running);

const CLIENTS: usize = 100;

/// Counts the connections that the kernel, or the network, still has.
enum Census {
    Real(OwnedFd),
    Sim(Arc<socket_iocp::sim::Network>),
}

impl Census {
    fn new(lab: &Lab, listener: Socket) -> (Census, Socket) {
        match lab.network() {
            Some(network) => (Census::Sim(network.clone()), listener),
            None => {
                let fd = listener.into_fd().expect("a real one");
                (Census::Real(fd.try_clone().expect("a descriptor")), fd.into())
            }
        }
    }

    /// Connections taken so far, of [`CLIENTS`] that have all been made before.
    fn taken(&self) -> usize {
        match self {
            Census::Real(listener) => CLIENTS - queued(listener),
            // The listener has two numbers, each connection taken has one.
            Census::Sim(network) => network.open_sockets() - 2,
        }
    }
}

/// The length of a listen socket's queue: what TCP_INFO calls unacked for one that listens, see tcp(7).
fn queued(listener: &OwnedFd) -> usize {
    const UNACKED: usize = 6;
    let mut info = [0u32; 64];
    let mut len = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the call writes at most `len` bytes to `info`, which has as many.
    let asked = unsafe {
        libc::getsockopt(listener.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, info.as_mut_ptr().cast(), &mut len)
    };
    assert_eq!(asked, 0, "TCP_INFO");
    info[UNACKED] as usize
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

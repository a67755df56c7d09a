//! The end of a port: everything reported, everything freed, from wherever it is deleted. ("Threads" 5; "Ending" 1.)

use socket_iocp::{ErrorCode, Port, PortHandle, SocketHandle};
use socket_iocp_testkit::{Event, Gate, Lab, Probe, on_every_backend};
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

on_every_backend!(
    everything_is_reported_while_other_threads_still_issue,
    dropping_a_port_deletes_it,
    sockets_are_aborted_and_listeners_closed,
    from_inside_a_callback_of_another_port_it_returns_at_once,
    a_handle_left_behind_says_closed,
);

const SOCKETS: usize = 1000;
/// Sends that keep a socket busy: no peer reads.
static LARGE: [u8; 8 << 20] = [1; 8 << 20];
static SMALL: [u8; 512] = [2; 512];

/// Issues sends and recvs on all sockets until each is refused; answers the sends that were accepted.
fn issue(port: &PortHandle<Probe>, sockets: &[SocketHandle], next: &AtomicU64) -> Vec<u64> {
    let mut accepted = Vec::new();
    let mut open: Vec<_> = sockets.to_vec();
    while !open.is_empty() {
        open.retain(|socket| {
            let write = next.fetch_add(1, Ordering::Relaxed);
            let issued = match write % 3 {
                0 => port.sync_send(*socket, &SMALL[..], write),
                _ => port.send(*socket, &SMALL[..], write),
            };
            let recv = port.recv(*socket).map_err(|error| error.code());
            assert!(matches!(recv, Ok(()) | Err(ErrorCode::Busy | ErrorCode::Closed)), "{recv:?}");
            match issued.map_err(|rejected| rejected.error.code()) {
                Ok(()) => accepted.push(write),
                Err(ErrorCode::Busy | ErrorCode::QueueFull) => {}
                Err(ErrorCode::Closed) => return false,
                Err(code) => panic!("{code:?}"),
            }
            true
        });
        thread::yield_now();
    }
    accepted
}

fn everything_is_reported_while_other_threads_still_issue(lab: &Lab) {
    let reported = Arc::new(Gate::new());
    let reports = reported.clone();
    let probe = Probe::reacting(move |_, _, event| {
        if matches!(event, Event::Sent { .. }) {
            reports.pass();
        }
        None
    });
    // The limit keeps the issuers from filling the memory with what nobody reads.
    let port = Port::new(probe, lab.options().max_queued_sends(32)).expect("a port");
    let pairs: Vec<_> = (0..SOCKETS).map(|_| lab.pair()).collect();
    let (sockets, clients): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let add = |socket| port.add_connected(socket, 0).expect("a connected socket");
    let handles: Vec<_> = sockets.into_iter().map(add).collect();
    let next = AtomicU64::new(0);
    let mut accepted = HashSet::new();
    // Some are stuck in a send that no peer lets go on.
    for handle in &handles[..20] {
        let write = next.fetch_add(1, Ordering::Relaxed);
        port.send(*handle, &LARGE[..], write).expect("an open socket");
        accepted.insert(write);
    }

    let left = (*port).clone();
    thread::scope(|scope| {
        let issuers: Vec<_> = (0..2).map(|_| scope.spawn(|| issue(&left, &handles, &next))).collect();
        // In the midst of it.
        reported.wait_for("sends", 3000);
        port.delete();
        let farewells = left.handler().count(|event| matches!(event, Event::Farewell { .. }));
        assert_eq!(farewells, SOCKETS, "delete has returned before the last farewell");
        for issuer in issuers {
            accepted.extend(issuer.join().expect("an issuer"));
        }
    });

    let log = left.handler().log();
    let reported: Vec<_> = log.iter().filter_map(Event::sent).map(|(write, _)| write).collect();
    assert_eq!(reported.len(), accepted.len());
    assert!(reported.into_iter().collect::<HashSet<_>>() == accepted, "accepted and reported sends differ");
    let mut ended = HashSet::new();
    for event in &log {
        let handle = event.handle().expect("there is no listener");
        assert!(!ended.contains(&handle), "{event:?} after the farewell");
        if let Event::Farewell { reason, .. } = event {
            assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::Cancelled));
            ended.insert(handle);
        }
    }
    assert_eq!(ended, handles.into_iter().collect());
    drop(clients);
}

fn dropping_a_port_deletes_it(lab: &Lab) {
    let port = Port::new(Probe::reader(), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    port.recv(handle).expect("an open socket");
    port.send(handle, &LARGE[..], 9).expect("an open socket");
    client.read_exact(1).expect("the first byte");
    let left = (*port).clone();
    drop(port);
    let events = left.handler().history(handle);
    let [Event::Sent { write: 9, result: Err(sent), .. }, Event::Farewell { reason: Err(reason), .. }] = events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!((sent.code(), reason.code()), (ErrorCode::Cancelled, ErrorCode::Cancelled));
    client.read_to_reset().expect("a reset");
}

fn sockets_are_aborted_and_listeners_closed(lab: &Lab) {
    let port = Port::new(Probe::reader(), lab.options()).expect("a port");
    let (listener, address) = lab.listen();
    port.add_listener(listener, 4, 3).expect("a listener");
    let mut client = lab.connect(address);
    let handle = port.handler().wait_for_accept(0);
    let left = (*port).clone();
    port.delete();
    client.read_to_reset().expect("a reset");
    let reason = left.handler().wait_for_farewell(handle);
    assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::Cancelled));
    let farewells: Vec<_> =
        left.handler().log().into_iter().filter(|event| matches!(event, Event::ListenerFarewell { .. })).collect();
    let [Event::ListenerFarewell { listener: 3, reason: Err(reason) }] = farewells[..] else {
        panic!("{farewells:?}");
    };
    assert_eq!(reason.code(), ErrorCode::Cancelled);
    assert!(lab.refuses(address), "somebody still listens");
}

/// Tells that the handler that holds it has been freed.
struct Freed(mpsc::Sender<()>);

impl Drop for Freed {
    fn drop(&mut self) {
        // The test may have gone, having failed.
        let _ = self.0.send(());
    }
}

fn from_inside_a_callback_of_another_port_it_returns_at_once(lab: &Lab) {
    let (freed, is_freed) = mpsc::channel();
    let (farewells, bidden) = mpsc::channel();
    let freed = Freed(freed);
    let victim = Probe::reacting(move |_, _, event| {
        let _held = &freed;
        if let Event::Farewell { reason, .. } = event {
            farewells.send(*reason).expect("the test waits");
        }
        Some(0)
    });
    let victim = Port::new(victim, lab.options()).expect("a port");
    let pairs: Vec<_> = (0..50).map(|_| lab.pair()).collect();
    let mut clients = Vec::new();
    for (socket, client) in pairs {
        let handle = victim.add_connected(socket, 0).expect("a connected socket");
        victim.recv(handle).expect("an open socket");
        victim.send(handle, &LARGE[..], 0).expect("an open socket");
        clients.push(client);
    }

    let victim = Arc::new(Mutex::new(Some(victim)));
    let stash = victim.clone();
    let killer = Probe::reacting(move |_, context, event| {
        if matches!(event, Event::Received { .. }) {
            let port = stash.lock().expect("no panic").take().expect("deleted once");
            port.delete();
            context?.send(&b"returned"[..], 0).expect("an open socket");
        }
        Some(0)
    });
    let killer = Port::new(killer, lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = killer.add_connected(socket, 0).expect("a connected socket");
    killer.recv(handle).expect("an open socket");
    client.write_all(b"kill").expect("a live connection");
    assert_eq!(client.read_exact(8).expect("the callback's answer"), b"returned");
    for _ in 0..50 {
        let reason = bidden.recv_timeout(Duration::from_secs(30)).expect("a farewell");
        assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::Cancelled));
    }
    is_freed.recv_timeout(Duration::from_secs(30)).expect("the port is freed");
    assert!(bidden.recv().is_err(), "a farewell too many");
}

fn a_handle_left_behind_says_closed(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, _client) = lab.pair();
    let (listener, _) = lab.listen();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    let listener = port.add_listener(listener, 1, 0).expect("a listener");
    let left = (*port).clone();
    port.delete();
    let closed = Err(ErrorCode::Closed);
    assert_eq!(left.recv(handle).map_err(|error| error.code()), closed);
    assert_eq!(left.send(handle, &b"x"[..], 0).map_err(|rejected| rejected.error.code()), closed);
    assert_eq!(left.abort(handle).map_err(|error| error.code()), closed);
    assert_eq!(left.set_accept_backlog(listener, 2).map_err(|error| error.code()), closed);
    assert_eq!(left.remove_listener(listener).map(drop).map_err(|error| error.code()), closed);
    let (socket, mut client) = lab.pair();
    let refused = left.add_connected(socket, 4).expect_err("a deleted port");
    assert_eq!((refused.error.code(), refused.state), (ErrorCode::Closed, 4));
    let (listener, _) = lab.listen();
    let refused_listener = left.add_listener(listener, 1, 5).expect_err("a deleted port");
    assert_eq!((refused_listener.error.code(), refused_listener.state), (ErrorCode::Closed, 5));
    // What was refused is the caller's, open.
    drop(refused.socket);
    assert_eq!(client.read_to_end().expect("a clean end"), b"");
}

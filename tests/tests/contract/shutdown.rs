//! The graceful end of a port: nothing is accepted any more, connections finish by themselves or as idle, and what is left
//! at the deadline is aborted. (`Port::shutdown`, `PortHandle::begin_shutdown`.)

use socket_iocp::{Ended, ErrorCode, Port, PortHandle, SocketHandle};
use socket_iocp_testkit::{Client, Event, Lab, Probe, on_every_backend};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

on_every_backend!(
    idle_connections_are_closed,
    a_connection_finishes_and_is_closed_when_it_is_idle,
    what_is_left_at_the_deadline_is_aborted,
    without_time_it_is_a_delete_that_counts,
    nothing_is_accepted_any_more,
    connections_may_be_added_until_none_is_left,
    a_program_closes_its_connections_itself,
    a_nearer_deadline_counts,
    inside_a_callback_it_begins,
    a_driven_port_is_driven_to_its_end,
    a_driven_port_is_shut_down_by_its_runs,
    an_empty_port_ends_at_once,
    the_last_connection_to_go_ends_it_at_once,
);

/// It is never reached.
const LONG: Duration = Duration::from_secs(3600);
/// More than the kernel takes when nobody reads.
const LARGE_BYTES: usize = 32 << 20;

fn added(lab: &Lab, port: &PortHandle<Probe>) -> (SocketHandle, Client) {
    let (socket, client) = lab.pair();
    (port.add_connected(socket, 1).expect("a connected socket"), client)
}

fn idle(lab: &Lab, port: &PortHandle<Probe>) -> (SocketHandle, Client) {
    let (socket, client) = added(lab, port);
    port.recv(socket).expect("a first recv");
    (socket, client)
}

fn counts(ended: Ended) -> (u64, u64, u64) {
    (ended.finished, ended.aborted, ended.pending)
}

fn farewell_of(port: &PortHandle<Probe>, socket: SocketHandle) -> Result<(), ErrorCode> {
    port.handler().wait_for_farewell(socket).map_err(|error| error.code())
}

fn idle_connections_are_closed(lab: &Lab) {
    let port = Port::new(Probe::reader(), lab.options()).expect("a port");
    let handle = PortHandle::clone(&port);
    let (sockets, mut clients): (Vec<_>, Vec<_>) = (0..5).map(|_| idle(lab, &port)).unzip();
    // One that bids farewell before the shutdown does not count.
    port.abort(sockets[4]).expect("an open socket");
    assert_eq!(farewell_of(&port, sockets[4]), Err(ErrorCode::Cancelled));
    clients.truncate(4);
    let ended = thread::scope(|scope| {
        let ending = scope.spawn(|| port.shutdown(LONG));
        for client in &mut clients {
            assert_eq!(client.read_to_end().expect("a clean end"), b"");
        }
        clients.clear();
        ending.join().expect("no panic")
    });
    assert_eq!(counts(ended), (4, 0, 0));
    for socket in &sockets[..4] {
        assert_eq!(farewell_of(&handle, *socket), Ok(()));
    }
    let closed = handle.begin_shutdown(LONG).map_err(|error| error.code());
    assert_eq!(closed, Err(ErrorCode::Closed));
}

fn a_connection_finishes_and_is_closed_when_it_is_idle(lab: &Lab) {
    let port = Port::new(Probe::reader(), lab.options()).expect("a port");
    let (sending, mut client) = idle(lab, &port);
    port.send(sending, vec![7; LARGE_BYTES], 1).expect("an open socket");
    let (working, mut other) = added(lab, &port);
    port.begin_shutdown(LONG).expect("a live port");
    // An answer that is under way goes out whole.
    assert_eq!(client.read_to_end().expect("a clean end").len(), LARGE_BYTES);
    drop(client);
    assert_eq!(farewell_of(&port, sending), Ok(()));
    // One on which nothing is outstanding has a program that is at work: it goes on.
    port.send(working, b"answer", 2).expect("an open socket");
    assert_eq!(other.read_exact(6).expect("the answer"), b"answer");
    port.handler().wait_for_count("the sends", 2, |event| matches!(event, Event::Sent { result: Ok(()), .. }));
    port.recv(working).expect("an open socket");
    assert_eq!(other.read_to_end().expect("a clean end"), b"");
    drop(other);
    assert_eq!(farewell_of(&port, working), Ok(()));
    assert_eq!(counts(port.shutdown(LONG)), (2, 0, 0));
}

fn what_is_left_at_the_deadline_is_aborted(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let handle = PortHandle::clone(&port);
    let (working, _client) = added(lab, &port);
    let (sending, _reads_nothing) = added(lab, &port);
    port.send(sending, vec![7; LARGE_BYTES], 1).expect("an open socket");
    // Closing, but its peer does not: the linger limit is later than the deadline.
    let (closing, _stays) = idle(lab, &port);
    let (closed, client) = added(lab, &port);
    port.close(closed).expect("an open socket");
    drop(client);
    assert_eq!(farewell_of(&port, closed), Ok(()));
    assert_eq!(counts(port.shutdown(Duration::from_millis(50))), (0, 3, 0));
    for socket in [working, sending, closing] {
        assert_eq!(farewell_of(&handle, socket), Err(ErrorCode::Cancelled));
    }
    let sent = handle.handler().log().iter().filter_map(Event::sent).collect::<Vec<_>>();
    assert_eq!(sent.len(), 1, "what is outstanding is reported");
}

fn without_time_it_is_a_delete_that_counts(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let handle = PortHandle::clone(&port);
    let clients: Vec<_> = (0..10).map(|_| added(lab, &port)).collect();
    assert_eq!(counts(port.shutdown(Duration::ZERO)), (0, 10, 0));
    assert_eq!(handle.handler().count(|event| matches!(event, Event::Farewell { .. })), clients.len());
    assert_eq!(handle.recv(clients[0].0).map_err(|error| error.code()), Err(ErrorCode::Closed));
}

fn nothing_is_accepted_any_more(lab: &Lab) {
    let port = Port::new(Probe::echo(), lab.options()).expect("a port");
    let (listener, address) = lab.listen();
    port.add_listener(listener, 4, 7).expect("a listener");
    let mut client = lab.connect(address);
    let socket = port.handler().wait_for_accept(0);
    port.send(socket, vec![7; LARGE_BYTES], 0).expect("what keeps the connection");
    port.begin_shutdown(LONG).expect("a live port");
    let reason = port.handler().wait_for("the listener's farewell", |log| {
        log.iter().find_map(|event| match event {
            Event::ListenerFarewell { listener: 7, reason } => Some(reason.map_err(|error| error.code())),
            _ => None,
        })
    });
    assert_eq!(reason, Err(ErrorCode::Cancelled));
    // Its socket is closed when the farewell has returned.
    while !lab.refuses(address) {
        thread::yield_now();
    }
    let refused = port.add_listener(lab.listen().0, 4, 8).expect_err("a port that ends");
    assert_eq!((refused.error.code(), refused.state), (ErrorCode::Closed, 8));
    client.read_exact(LARGE_BYTES).expect("the connection goes on");
    assert_eq!(client.read_to_end().expect("a clean end"), b"");
    drop(client);
    assert_eq!(counts(port.shutdown(LONG)), (1, 0, 0));
}

fn connections_may_be_added_until_none_is_left(lab: &Lab) {
    let port = Port::new(Probe::reader(), lab.options()).expect("a port");
    let (first, first_client) = added(lab, &port);
    port.begin_shutdown(LONG).expect("a live port");
    let (second, mut second_client) = idle(lab, &port);
    assert_eq!(second_client.read_to_end().expect("idle from the start"), b"");
    drop(second_client);
    assert_eq!(farewell_of(&port, second), Ok(()));
    port.close(first).expect("an open socket");
    drop(first_client);
    assert_eq!(farewell_of(&port, first), Ok(()));
    let handle = PortHandle::clone(&port);
    assert_eq!(counts(port.shutdown(LONG)), (2, 0, 0));
    let refused = handle.add_connected(lab.pair().0, 9).expect_err("a port that has ended");
    assert_eq!((refused.error.code(), refused.state), (ErrorCode::Closed, 9));
}

fn a_program_closes_its_connections_itself(lab: &Lab) {
    let port = Port::new(Probe::echo(), lab.options().shutdown_closes_idle(false)).expect("a port");
    let (socket, mut client) = idle(lab, &port);
    port.begin_shutdown(LONG).expect("a live port");
    for round in 0..10 {
        client.write_all(b"more").expect("an open connection");
        assert_eq!(client.read_exact(4).expect("an open connection"), b"more", "round {round}");
    }
    // The echo closes after its peer's FIN.
    client.shutdown_write();
    assert_eq!(client.read_to_end().expect("a clean end"), b"");
    assert_eq!(farewell_of(&port, socket), Ok(()));
    assert_eq!(counts(port.shutdown(LONG)), (1, 0, 0));
}

fn a_nearer_deadline_counts(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let handle = PortHandle::clone(&port);
    let (socket, _client) = added(lab, &port);
    let ended = thread::scope(|scope| {
        let ending = scope.spawn(|| port.shutdown(LONG));
        handle.begin_shutdown(LONG * 2).expect("a live port");
        handle.begin_shutdown(Duration::ZERO).expect("a live port");
        ending.join().expect("no panic")
    });
    assert_eq!(counts(ended), (0, 1, 0));
    assert_eq!(farewell_of(&handle, socket), Err(ErrorCode::Cancelled));
}

fn inside_a_callback_it_begins(lab: &Lab) {
    let owner: Arc<Mutex<Option<Port<Probe>>>> = Arc::default();
    let kept = owner.clone();
    let told: Arc<Mutex<Option<Ended>>> = Arc::default();
    let tell = told.clone();
    let probe = Probe::reacting(move |_, _, event| {
        if matches!(event, Event::Sent { .. }) {
            let port = kept.lock().expect("no panic").take().expect("the port");
            *tell.lock().expect("no panic") = Some(port.shutdown(LONG));
        }
        Some(0)
    });
    let port = Port::new(probe, lab.options()).expect("a port");
    let handle = PortHandle::clone(&port);
    let (asking, mut client) = added(lab, &port);
    let (other, mut other_client) = idle(lab, &port);
    *owner.lock().expect("no panic") = Some(port);
    handle.send(asking, b"x", 1).expect("an open socket");
    client.read_exact(1).expect("the byte");
    assert_eq!(other_client.read_to_end().expect("it was idle"), b"");
    drop(other_client);
    assert_eq!(farewell_of(&handle, other), Ok(()));
    // The idle one may have gone before the call returned.
    let so_far = told.lock().expect("no panic").expect("an answer");
    assert!(so_far.pending >= 1 && so_far.finished + so_far.pending == 2, "{so_far:?}");
    // The workers finish by themselves.
    handle.close(asking).expect("an open socket");
    drop(client);
    assert_eq!(farewell_of(&handle, asking), Ok(()));
    while handle.begin_shutdown(LONG).is_ok() {
        thread::yield_now();
    }
}

fn a_driven_port_is_driven_to_its_end(lab: &Lab) {
    for within in [LONG, Duration::from_millis(50)] {
        let port = Port::new(Probe::reader(), lab.options().threads(0)).expect("a port");
        let handle = PortHandle::clone(&port);
        let (closed, client) = idle(lab, &port);
        let (working, working_client) = added(lab, &port);
        let stays = within != LONG;
        if !stays {
            port.close(working).expect("an open socket");
        }
        let ended = thread::scope(|scope| {
            // The first goes when its end comes; the second goes now, or stays.
            scope.spawn(move || {
                let mut client = client;
                let _ = client.read_to_end();
            });
            let _kept = stays.then_some(working_client);
            port.shutdown(within)
        });
        assert_eq!((ended.finished + ended.aborted, ended.pending), (2, 0));
        assert_eq!(farewell_of(&handle, working).is_err(), stays);
        assert!(stays || counts(ended) == (2, 0, 0), "{ended:?}");
        assert!(stays || farewell_of(&handle, closed).is_ok());
        assert_eq!(handle.run(None).map_err(|error| error.code()), Err(ErrorCode::Closed));
    }
}

fn a_driven_port_is_shut_down_by_its_runs(lab: &Lab) {
    let port = Port::new(Probe::reader(), lab.options().threads(0)).expect("a port");
    let (closed, mut client) = idle(lab, &port);
    port.begin_shutdown(LONG).expect("a live port");
    thread::scope(|scope| {
        scope.spawn(move || client.read_to_end().expect("a clean end"));
        while port.run(None).is_ok() {}
    });
    assert_eq!(farewell_of(&port, closed), Ok(()));
    assert_eq!(counts(port.shutdown(LONG)), (1, 0, 0));
}

fn an_empty_port_ends_at_once(lab: &Lab) {
    for threads in 0..3 {
        let port = Port::new(Probe::silent(), lab.options().threads(threads)).expect("a port");
        port.add_listener(lab.listen().0, 4, 7).expect("a listener");
        let handle = PortHandle::clone(&port);
        assert_eq!(counts(port.shutdown(LONG)), (0, 0, 0));
        assert_eq!(handle.handler().count(|event| matches!(event, Event::ListenerFarewell { .. })), 1);
    }
}

fn the_last_connection_to_go_ends_it_at_once(lab: &Lab) {
    // One worker, so that nobody else sees to it.
    let port = Port::new(Probe::silent(), lab.options().threads(1)).expect("a port");
    let (socket, mut client) = added(lab, &port);
    client.shutdown_write();
    port.begin_shutdown(LONG).expect("a live port");
    // It may begin to close, and be gone, in one turn of its worker.
    port.close(socket).expect("an open socket");
    assert_eq!(counts(port.shutdown(LONG)), (1, 0, 0));
}

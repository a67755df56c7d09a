//! The limit of sockets: an add above it is refused, an accept above it waits. (`Options::max_sockets`.)

use socket_iocp::{ErrorCode, Port};
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend};
use std::thread;

on_every_backend!(
    an_add_above_it_is_refused_until_one_ends,
    an_accept_above_it_waits_until_one_ends,
    a_listener_with_no_clients_takes_nothing_of_it,
    two_listeners_share_it,
);

fn an_add_above_it_is_refused_until_one_ends(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().max_sockets(3)).expect("a port");
    let mut handles = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..3 {
        let (socket, client) = lab.pair();
        handles.push(port.add_connected(socket, 0).expect("room"));
        clients.push(client);
    }
    let (socket, mut client) = lab.pair();
    let refused = port.add_connected(socket, 44).expect_err("no room");
    assert_eq!((refused.error.code(), refused.state), (ErrorCode::Limit, 44));
    port.abort(handles[0]).expect("an open socket");
    port.handler().wait_for_farewell(handles[0]).expect_err("aborted");
    // The farewell is bidden before the place is given back.
    let mut socket = refused.socket;
    let added = loop {
        match port.add_connected(socket, 45) {
            Ok(handle) => break handle,
            Err(again) => socket = again.socket,
        }
        thread::yield_now();
    };
    port.send(added, &b"x"[..], 0).expect("an open socket");
    client.read_exact(1).expect("a byte");
}

fn an_accept_above_it_waits_until_one_ends(lab: &Lab) {
    const CLIENTS: usize = 20;
    let port = Port::new(Probe::echo(), lab.options().max_sockets(2)).expect("a port");
    let (listener, address) = lab.listen();
    port.add_listener(listener, 8, 0).expect("a listener");
    // All at once: in which order they are served is nobody's promise.
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = lab.connect(address);
                client.write_all(b"hello").expect("a live connection");
                assert_eq!(client.read_exact(5).expect("the echo"), b"hello");
                client.shutdown_write();
                assert_eq!(client.read_to_end().expect("a clean end"), b"");
            });
        }
    });
    let mut sockets = 0;
    for event in port.handler().log() {
        match event {
            Event::Accepted { .. } => sockets += 1,
            Event::Farewell { .. } => sockets -= 1,
            _ => {}
        }
        assert!(sockets <= 2, "{sockets} sockets at once");
    }
    assert_eq!(port.statistics().accepts, CLIENTS as u64);
}

fn a_listener_with_no_clients_takes_nothing_of_it(lab: &Lab) {
    let port = Port::new(Probe::echo(), lab.options().max_sockets(4)).expect("a port");
    let (listener, address) = lab.listen();
    port.add_listener(listener, 64, 0).expect("a listener");
    // Once a client has come and gone, the accepts that are kept ready are out.
    let mut client = lab.connect(address);
    client.shutdown_write();
    assert_eq!(client.read_to_end().expect("a clean end"), b"");
    port.handler().wait_for_count("a farewell", 1, |event| matches!(event, Event::Farewell { .. }));
    let mut clients = Vec::new();
    for number in 0..3 {
        let (socket, client) = lab.pair();
        let added = port.add_connected(socket, 0).map(drop).map_err(|refused| refused.error.code());
        assert_eq!(added, Ok(()), "socket {number} of 4");
        clients.push(client);
    }
}

fn two_listeners_share_it(lab: &Lab) {
    let port = Port::new(Probe::echo(), lab.options().max_sockets(2)).expect("a port");
    let (first, first_address) = lab.listen();
    let (second, second_address) = lab.listen();
    port.add_listener(first, 64, 0).expect("a listener");
    port.add_listener(second, 64, 0).expect("a listener");
    for round in 0..10 {
        for address in [second_address, first_address] {
            let mut client = lab.connect(address);
            client.write_all(b"hello").expect("a live connection");
            assert_eq!(client.read_exact(5).expect("the echo"), b"hello", "round {round}");
            client.shutdown_write();
            assert_eq!(client.read_to_end().expect("a clean end"), b"");
        }
    }
}

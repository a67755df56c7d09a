//! A listen socket comes back from its port at once, working; its farewell follows its last accept callback.
//! ("Accepting".)

use socket_iocp::{ErrorCode, Port};
use socket_iocp_testkit::{Event, Gate, Lab, Probe, on_every_backend, platform};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

on_every_backend!(a_second_port_serves_on, the_farewell_follows_the_last_accept_callback, its_sockets_live_on);
// Real only: it is about std.
on_every_backend!(real: std_serves_on);

fn a_second_port_serves_on(lab: &Lab) {
    let first = Port::new(Probe::echo(), lab.options()).expect("a port");
    let second = Port::new(Probe::echo(), lab.options()).expect("a port");
    let (listener, address) = lab.listen();
    let number = listener.as_raw();
    let mut handle = first.add_listener(listener, 8, 1).expect("a listener");
    // Back and forth: a client that connects in between is served by one of the two.
    for round in 0..50 {
        let (from, to) = if round % 2 == 0 { (&first, &second) } else { (&second, &first) };
        let mut early = lab.connect(address);
        let back = from.remove_listener(handle).expect("a listener");
        assert_eq!(back.as_raw(), number);
        assert_eq!(from.remove_listener(handle).map(drop).map_err(|error| error.code()), Err(ErrorCode::Closed));
        let mut between = lab.connect(address);
        handle = to.add_listener(back, 8, 1).expect("the listener again");
        for client in [&mut early, &mut between] {
            client.write_all(b"hello").expect("a live connection");
            assert_eq!(client.read_exact(5).expect("the echo"), b"hello");
        }
    }
    let farewells = |port: &Port<Probe>| {
        let is_one = |event: &Event| matches!(event, Event::ListenerFarewell { listener: 1, reason: Ok(()) });
        port.handler().wait_for_count("listener farewells", 25, is_one).len()
    };
    assert_eq!((farewells(&first), farewells(&second)), (25, 25));
}

fn the_farewell_follows_the_last_accept_callback(lab: &Lab) {
    let go_on = Arc::new(Gate::new());
    let (gate, returned) = (go_on.clone(), AtomicBool::new(false));
    let probe = Probe::reacting(move |_, _, event| {
        match event {
            Event::Accepted { .. } => {
                gate.wait_for("the test", 1);
                returned.store(true, Ordering::SeqCst);
            }
            Event::ListenerFarewell { .. } => {
                // The panic shows in the statistics.
                assert!(returned.load(Ordering::SeqCst), "a farewell before the accept callback has returned");
            }
            _ => {}
        }
        Some(0)
    });
    let port = Port::new(probe, lab.options()).expect("a port");
    let (listener, address) = lab.listen();
    let handle = port.add_listener(listener, 1, 0).expect("a listener");
    let _client = lab.connect(address);
    port.handler().wait_for_accept(0);
    let _back = port.remove_listener(handle).expect("a listener");
    // The other worker, and whatever else could deliver it too soon, gets a round of its own.
    let (socket, mut client) = lab.pair();
    let other = port.add_connected(socket, 0).expect("a connected socket");
    port.send(other, &b"x"[..], 0).expect("an open socket");
    let (socket, mut third) = lab.pair();
    let another = port.add_connected(socket, 0).expect("a connected socket");
    port.send(another, &b"x"[..], 0).expect("an open socket");
    go_on.pass();
    client.read_exact(1).expect("a byte");
    third.read_exact(1).expect("a byte");
    port.handler().wait_for_count("the farewell", 1, |event| matches!(event, Event::ListenerFarewell { .. }));
    assert_eq!(port.statistics().panics, 0);
}

fn its_sockets_live_on(lab: &Lab) {
    let port = Port::new(Probe::echo(), lab.options()).expect("a port");
    let (listener, address) = lab.listen();
    let handle = port.add_listener(listener, 8, 0).expect("a listener");
    let mut client = lab.connect(address);
    port.handler().wait_for_accept(0);
    drop(port.remove_listener(handle).expect("a listener"));
    port.handler().wait_for_count("the farewell", 1, |event| matches!(event, Event::ListenerFarewell { .. }));
    client.write_all(b"hello").expect("a live connection");
    assert_eq!(client.read_exact(5).expect("the echo"), b"hello");
    assert!(lab.refuses(address), "somebody still listens");
}

fn std_serves_on(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (listener, address) = lab.listen();
    let handle = port.add_listener(listener, 8, 0).expect("a listener");
    let owned = platform::owned(port.remove_listener(handle).expect("a listener")).expect("a real one");
    // After the farewell no accept of the port is under way.
    port.handler().wait_for_count("the farewell", 1, |event| matches!(event, Event::ListenerFarewell { .. }));
    let listener = TcpListener::from(owned);
    let client = lab.connect(address);
    let (_, peer) = listener.accept().expect("a blocking listener, as it was");
    assert_eq!(peer, client.local_addr());
    assert_eq!(port.statistics().accepts, 0);
}

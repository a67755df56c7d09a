//! Clients that say nothing, or vanish before they are accepted, hold up no other. ("Accepting".)

use socket_iocp::{ErrorCode, Port, PortHandle};
use socket_iocp_testkit::{Event, Gate, Lab, Probe, on_every_backend};
use std::sync::Arc;

on_every_backend!(
    a_silent_client_holds_up_no_other,
    clients_that_vanish_before_the_accept_end_nothing,
    clients_that_vanish_between_their_accept_and_the_first_call_end_nothing,
);

fn a_silent_client_holds_up_no_other(lab: &Lab) {
    for threads in [1, 2] {
        let port = Port::new(Probe::echo(), lab.options().threads(threads)).expect("a port");
        let (listener, address) = lab.listen();
        port.add_listener(listener, 1, 0).expect("a listener");
        // More than the backlog, and none ever sends.
        let silent: Vec<_> = (0..20).map(|_| lab.connect(address)).collect();
        let mut client = lab.connect(address);
        client.write_all(b"hello").expect("a live connection");
        assert_eq!(client.read_exact(5).expect("the echo"), b"hello");
        port.handler().wait_for_count("accepts", 21, |event| matches!(event, Event::Accepted { .. }));
        drop(silent);
    }
}

fn clients_that_vanish_before_the_accept_end_nothing(lab: &Lab) {
    let port = Port::new(Probe::echo(), lab.options()).expect("a port");
    let (listener, address) = lab.listen();
    for number in 0..20 {
        let mut client = lab.connect(address);
        if number % 2 == 0 {
            client.write_all(b"lost").expect("a live connection");
        }
        client.reset();
    }
    port.add_listener(listener, 4, 0).expect("a listener");
    let mut client = lab.connect(address);
    client.write_all(b"hello").expect("a live connection");
    assert_eq!(client.read_exact(5).expect("the echo"), b"hello");
    check_those_that_vanished(&port);
}

fn is_reset(event: &Event) -> bool {
    match event {
        Event::Farewell { reason: Err(reason), .. } => {
            matches!(reason.code(), ErrorCode::Reset | ErrorCode::BrokenPipe)
        }
        _ => false,
    }
}

/// The one that lives came last, and has been served: each of the others has been accepted, or left out by the system, by
/// now.
fn check_those_that_vanished(port: &PortHandle<Probe>) {
    let accepted = port.handler().count(|event| matches!(event, Event::Accepted { .. }));
    port.handler().wait_for_count("farewells of those that vanished", accepted - 1, is_reset);
}

fn clients_that_vanish_between_their_accept_and_the_first_call_end_nothing(lab: &Lab) {
    let go_on = Arc::new(Gate::new());
    let gate = go_on.clone();
    let echo = Probe::echo();
    let probe = Probe::reacting(move |_, context, event| {
        if matches!(event, Event::Accepted { .. }) {
            gate.wait_for("the test", 1);
        }
        echo.react(context, event)
    });
    let port = Port::new(probe, lab.options().threads(1)).expect("a port");
    let (listener, address) = lab.listen();
    port.add_listener(listener, 8, 0).expect("a listener");
    // The worker is in this one's accept callback, while the system takes the others for the accepts under way.
    let mut first = lab.connect(address);
    port.handler().wait_for_accept(0);
    for number in 0..20 {
        let mut client = lab.connect(address);
        if number % 2 == 0 {
            client.write_all(b"lost").expect("a live connection");
        }
        client.reset();
    }
    let mut last = lab.connect(address);
    go_on.pass();
    for client in [&mut last, &mut first] {
        client.write_all(b"hello").expect("a live connection");
        assert_eq!(client.read_exact(5).expect("the echo"), b"hello");
    }
    let accepted = port.handler().count(|event| matches!(event, Event::Accepted { .. }));
    port.handler().wait_for_count("farewells of those that vanished", accepted - 2, is_reset);
    assert_eq!(port.handler().count(|event| matches!(event, Event::ListenerFarewell { .. })), 0);
}

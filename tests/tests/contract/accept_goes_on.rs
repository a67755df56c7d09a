//! Clients that say nothing, or vanish before they are accepted, hold up no other. ("Accepting".)

use socket_iocp::{ErrorCode, Port};
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend};

on_every_backend!(a_silent_client_holds_up_no_other, clients_that_vanish_before_the_accept_end_nothing);

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
    // The one that lives comes last: each of the others has been accepted, or left out by the system, by now.
    let accepted = port.handler().count(|event| matches!(event, Event::Accepted { .. }));
    let is_reset = |event: &Event| match event {
        Event::Farewell { reason: Err(reason), .. } => {
            matches!(reason.code(), ErrorCode::Reset | ErrorCode::BrokenPipe)
        }
        _ => false,
    };
    port.handler().wait_for_count("farewells of those that vanished", accepted - 1, is_reset);
}

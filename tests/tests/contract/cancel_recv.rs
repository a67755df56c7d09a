//! The cancel of a recv: it ends by its callback, its socket goes on, and nothing is lost.

use socket_iocp::{Context, ErrorCode, Port};
use socket_iocp_testkit::{BOUND, Event, Lab, Probe, on_every_backend, tries};
use std::sync::mpsc;
use std::thread;

on_every_backend!(
    it_ends_alone,
    one_issued_in_its_callback_is_the_next,
    it_is_cancelled_in_a_callback,
    none_outstanding_is_an_error,
    no_byte_is_lost_between_a_cancel_and_its_recv,
);

fn is_cancelled(event: &Event) -> bool {
    matches!(event, Event::Received { result: Err(error), .. } if error.code() == ErrorCode::Cancelled)
}

fn it_ends_alone(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    port.recv(handle).expect("a live socket");
    port.cancel_recv(handle).expect("it is outstanding");
    port.handler().wait_for_count("its end", 1, is_cancelled);
    port.recv(handle).expect("none is outstanding");
    client.write_all(b"x").expect("a live connection");
    assert_eq!(port.handler().wait_for_bytes(handle, 1), b"x");
    assert_eq!(port.handler().history(handle).len(), 2);
}

fn one_issued_in_its_callback_is_the_next(lab: &Lab) {
    let (sender, issued) = mpsc::channel();
    let reaction = move |_: &Probe, context: Option<&Context<'_, Probe>>, event: &Event| {
        if let (Some(context), true) = (context, is_cancelled(event)) {
            context.recv().expect("none is outstanding");
            sender.send(()).expect("the test waits");
        }
        None
    };
    let port = Port::new(Probe::reacting(reaction), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    port.recv(handle).expect("a live socket");
    for _ in 0..20 {
        port.cancel_recv(handle).expect("it is outstanding");
        issued.recv_timeout(BOUND).expect("its end");
    }
    client.write_all(b"x").expect("a live connection");
    assert_eq!(port.handler().wait_for_bytes(handle, 1), b"x");
    assert_eq!(port.handler().history(handle).len(), 21);
}

fn it_is_cancelled_in_a_callback(lab: &Lab) {
    let reaction = |_: &Probe, context: Option<&Context<'_, Probe>>, event: &Event| {
        if let (Some(context), Event::Sent { handle, .. }) = (context, event) {
            // Twice is as good as once.
            context.port().cancel_recv(*handle).expect("it is outstanding");
            context.port().cancel_recv(*handle).expect("it is outstanding");
        }
        None
    };
    let port = Port::new(Probe::reacting(reaction), lab.options()).expect("a port");
    let (socket, _client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    port.recv(handle).expect("a live socket");
    port.send(handle, b"x", 1).expect("a live socket");
    port.handler().wait_for_count("its end", 1, is_cancelled);
    assert_eq!(port.handler().history(handle).len(), 2);
}

fn none_outstanding_is_an_error(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    let cancel = || port.cancel_recv(handle).map_err(|error| error.code());
    assert_eq!(cancel(), Err(ErrorCode::NotOutstanding));
    port.recv(handle).expect("a live socket");
    client.write_all(b"x").expect("a live connection");
    port.handler().wait_for_bytes(handle, 1);
    assert_eq!(cancel(), Err(ErrorCode::NotOutstanding));
    port.abort(handle).expect("a live socket");
    assert_eq!(cancel(), Err(ErrorCode::Closed));
    port.handler().wait_for_end(handle).0.expect_err("aborted");
    assert_eq!(cancel(), Err(ErrorCode::Closed));
}

fn no_byte_is_lost_between_a_cancel_and_its_recv(lab: &Lab) {
    let rounds = tries(100, 3_000) as usize;
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    let writer = thread::spawn(move || {
        for round in 0..rounds {
            client.write_all(&[round as u8]).expect("a live connection");
            thread::yield_now();
        }
        client
    });
    let (mut issued, mut seen) = (0, Vec::new());
    while seen.len() < rounds {
        port.recv(handle).expect("none is outstanding");
        issued += 1;
        // An error: it has ended already.
        let _ = port.cancel_recv(handle);
        let is_end = |event: &Event| matches!(event, Event::Received { .. });
        let ended = port.handler().wait_for_count("the recv's end", issued, is_end);
        assert_eq!(ended.len(), issued, "one recv, one callback");
        match &ended[issued - 1] {
            Event::Received { result: Ok(bytes), .. } => seen.extend_from_slice(bytes),
            event => assert!(is_cancelled(event), "{event:?}"),
        }
    }
    assert!(seen.iter().enumerate().all(|(at, byte)| *byte == at as u8));
    writer.join().expect("all is written");
}

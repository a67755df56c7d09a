//! A listen socket that was handed back can be added again before its first farewell, and works.

use socket_iocp::Port;
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend};
use std::sync::{Mutex, mpsc};

on_every_backend!(added_again_while_the_old_one_ends);

fn added_again_while_the_old_one_ends(lab: &Lab) {
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let probe = Probe::reacting(move |_, context, event| {
        match (event, context) {
            (Event::Accepted { listener: 1, .. }, _) => {
                wait.lock().expect("no panic").recv().expect("the test goes on")
            }
            (Event::Accepted { listener: 2, .. }, Some(context)) => context.recv().expect("a recv"),
            _ => {}
        }
        Some(0)
    });
    let port = Port::new(probe, lab.options().threads(1)).expect("a port");
    let (listener, address) = lab.listen();
    let handle = port.add_listener(listener, 8, 1).expect("a listener");
    let _first = lab.connect(address);
    port.handler().wait_for_accept(0);
    let back = port.remove_listener(handle).expect("it lives");
    port.add_listener(back, 8, 2).expect("it is free to be added");
    go_on.send(()).expect("the accept callback waits");
    let old = |event: &Event| matches!(event, Event::ListenerFarewell { listener: 1, .. });
    port.handler().wait_for_count("the old listener's farewell", 1, old);
    // Two connections one after the other: the second accept finds nothing waiting, and must not block the worker.
    for seen in 1..3 {
        let mut client = lab.connect(address);
        let socket = port.handler().wait_for_accept(seen);
        client.write_all(b"x").expect("a live connection");
        assert_eq!(port.handler().wait_for_bytes(socket, 1), b"x");
    }
}

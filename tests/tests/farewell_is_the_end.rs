//! From the start of its farewell a socket takes no request any more, whoever makes it; and the port serves on.

use socket_iocp::{ErrorCode, Port};
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend, platform};
use std::sync::{Arc, Mutex, mpsc};

on_every_backend!(abort_inside_the_farewell_of_a_close, abort_from_another_thread_during_the_farewell);
// Real: the descriptor's number is given to another socket during the farewell.
on_every_backend!(real: the_number_reused_during_the_farewell);

/// One more socket is served, on the same worker.
fn serves_on(lab: &Lab, port: &Port<Probe>) {
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 5).expect("added");
    port.recv(handle).expect("a recv");
    client.write_all(b"x").expect("a live connection");
    assert_eq!(port.handler().wait_for_bytes(handle, 1), b"x");
}

fn abort_inside_the_farewell_of_a_close(lab: &Lab) {
    let answer = Arc::new(Mutex::new(None));
    let noted = answer.clone();
    let probe = Probe::reacting(move |_, context, event| {
        if let (Event::Farewell { state: 1, .. }, Some(context)) = (event, context) {
            *noted.lock().expect("no panic") = Some(context.abort());
        }
        None
    });
    let port = Port::new(probe, lab.options().threads(1)).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("added");
    port.close(handle).expect("closed");
    assert_eq!(client.read_to_end().expect("a clean end"), b"");
    client.shutdown_write();
    assert_eq!(port.handler().wait_for_farewell(handle), Ok(()));
    serves_on(lab, &port);
    let answer = answer.lock().expect("no panic").expect("the farewell came");
    assert_eq!(answer, Err(ErrorCode::Closed.into()));
}

fn abort_from_another_thread_during_the_farewell(lab: &Lab) {
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let probe = Probe::reacting(move |_, _, event| {
        if let Event::Farewell { state: 1, .. } = event {
            wait.lock().expect("no panic").recv().expect("the test goes on");
        }
        None
    });
    let port = Port::new(probe, lab.options().threads(1)).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("added");
    port.close(handle).expect("closed");
    assert_eq!(client.read_to_end().expect("a clean end"), b"");
    client.shutdown_write();
    assert_eq!(port.handler().wait_for_farewell(handle), Ok(()));
    assert_eq!(port.abort(handle), Err(ErrorCode::Closed.into()));
    go_on.send(()).expect("the farewell waits");
    serves_on(lab, &port);
}

fn the_number_reused_during_the_farewell(lab: &Lab) {
    let probe = Probe::reacting(move |_, context, event| {
        let (Event::Farewell { state: 1, .. }, Some(context)) = (event, context) else { return None };
        let (socket, client) = platform::stream_under(context.raw_socket());
        context.port().add_connected(socket, 3).expect("the new socket enters");
        drop(client);
        None
    });
    let port = Port::new(probe, lab.options().threads(1)).expect("a port");
    let (socket, _client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("added");
    port.abort(handle).expect("aborted");
    assert_eq!(port.handler().wait_for_farewell(handle), Err(ErrorCode::Cancelled.into()));
    serves_on(lab, &port);
}

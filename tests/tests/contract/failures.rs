//! A failed recv or send ends the socket: every send is reported, then comes the farewell with the cause. ("Ending" 1,
//! 5.)

use socket_iocp::{ErrorCode, Port};
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend, platform};

on_every_backend!(
    a_reset_ends_a_socket_that_receives,
    a_reset_ends_a_socket_that_sends_and_each_send_is_reported,
    a_reset_while_nothing_is_outstanding_comes_with_the_next_operation,
    a_socket_that_failed_refuses_every_call,
);

fn a_reset_ends_a_socket_that_receives(lab: &Lab) {
    let port = Port::new(Probe::reader(), lab.options()).expect("a port");
    let (socket, client) = lab.pair();
    let handle = port.add_connected(socket, 7).expect("a connected socket");
    port.recv(handle).expect("an open socket");
    client.reset();
    let (reason, before) = port.handler().wait_for_end(handle);
    let reason = reason.expect_err("a reset");
    assert_eq!(reason.code(), ErrorCode::Reset);
    let os = reason.os_error().expect("the system's code");
    assert!(platform::RESET_CODES.contains(&os), "{reason:?}");
    assert_eq!(before, [], "a recv ended by the end of its socket is reported by the farewell alone");
}

fn a_reset_ends_a_socket_that_sends_and_each_send_is_reported(lab: &Lab) {
    let port = Port::new(Probe::reader(), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    port.recv(handle).expect("an open socket");
    for write in 0..19 {
        port.send(handle, vec![1; 1 << 20], write).expect("an open socket");
    }
    port.sync_send(handle, vec![1; 1 << 20], 19).expect("the one sync send");
    client.read_exact(1).expect("the first byte");
    client.reset();
    let (reason, before) = port.handler().wait_for_end(handle);
    assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::Reset));
    let sent: Vec<_> = before.iter().filter_map(Event::sent).collect();
    assert_eq!(sent.iter().map(|(write, _)| *write).collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
    let whole = sent.iter().take_while(|(_, result)| result.is_ok()).count();
    assert!(whole < 20, "20 MiB went to a peer that does not read");
    assert!(sent[whole..].iter().all(|(_, result)| result.is_err()), "{sent:?}");
    assert_eq!(before.len(), 20, "the recv has no callback of its own");
}

fn a_reset_while_nothing_is_outstanding_comes_with_the_next_operation(lab: &Lab) {
    type Issue = fn(&Port<Probe>, socket_iocp::SocketHandle);
    const OPERATIONS: [Issue; 2] = [
        |port, handle| port.recv(handle).expect("a socket that nobody has watched"),
        |port, handle| port.send(handle, vec![1; 10], 0).expect("a socket that nobody has watched"),
    ];
    let port = Port::new(Probe::reader(), lab.options()).expect("a port");
    for issue in OPERATIONS {
        let (socket, client) = lab.pair();
        let handle = port.add_connected(socket, 0).expect("a connected socket");
        client.reset();
        issue(&port, handle);
        let (reason, before) = port.handler().wait_for_end(handle);
        assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::Reset));
        assert!(before.iter().filter_map(Event::sent).all(|(_, result)| result.is_err()), "{before:?}");
    }
}

fn a_socket_that_failed_refuses_every_call(lab: &Lab) {
    let port = Port::new(Probe::reader(), lab.options()).expect("a port");
    let (socket, client) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    port.recv(handle).expect("an open socket");
    client.reset();
    port.handler().wait_for_farewell(handle).expect_err("a reset");
    let closed = Err(ErrorCode::Closed);
    assert_eq!(port.recv(handle).map_err(|error| error.code()), closed);
    assert_eq!(port.send(handle, &b"x"[..], 0).map_err(|rejected| rejected.error.code()), closed);
    assert_eq!(port.sync_send(handle, &b"x"[..], 0).map_err(|rejected| rejected.error.code()), closed);
    assert_eq!(port.shutdown_send(handle).map_err(|error| error.code()), closed);
    assert_eq!(port.close(handle).map_err(|error| error.code()), closed);
    assert_eq!(port.abort(handle).map_err(|error| error.code()), closed);
    assert_eq!(port.remove(handle).map_err(|error| error.code()), closed);
}

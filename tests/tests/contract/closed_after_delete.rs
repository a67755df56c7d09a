//! Port handles that were kept answer `Closed` after the port's deletion; a handle used with another port is `WrongPort`.

use socket_iocp::{Error, ErrorCode, Port, PortHandle, SocketHandle};
use socket_iocp_testkit::{Lab, Probe, on_every_backend};

on_every_backend!(
    every_call_is_closed_after_delete,
    a_handle_of_another_port_is_wrong,
    a_dead_handle_is_closed_everywhere
);

/// What every call on a socket answers.
fn answers(port: &PortHandle<Probe>, socket: SocketHandle) -> Vec<Option<ErrorCode>> {
    let code = |result: Result<(), Error>| result.err().map(|error| error.code());
    let sent = |result: Result<(), socket_iocp::Rejected<u64>>| {
        result.err().map(|rejected| {
            assert_eq!((rejected.write, rejected.buffer.as_slice()), (5, Some(&b"bytes"[..])), "given back as it was");
            rejected.error.code()
        })
    };
    vec![
        code(port.recv(socket)),
        sent(port.send(socket, b"bytes", 5)),
        sent(port.sync_send(socket, b"bytes", 5)),
        code(port.shutdown_send(socket)),
        code(port.close(socket)),
        code(port.remove(socket)),
        code(port.abort(socket)),
    ]
}

fn every_call_is_closed_after_delete(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let kept = PortHandle::clone(&port);
    let (socket, _client) = lab.pair();
    let raw = socket.as_raw();
    let socket = port.add_connected(socket, 1).expect("a connected socket");
    let (listen_socket, _) = lab.listen();
    let raw_listener = listen_socket.as_raw();
    let listener = port.add_listener(listen_socket, 4, 7).expect("a listener");
    port.delete();

    assert_eq!(answers(&kept, socket), [Some(ErrorCode::Closed); 7]);
    assert_eq!(kept.find(raw), None);
    assert_eq!(kept.find_listener(raw_listener), None);
    assert_eq!(kept.set_accept_backlog(listener, 3), Err(ErrorCode::Closed.into()));
    assert_eq!(kept.remove_listener(listener).err(), Some(ErrorCode::Closed.into()));
    // What is not added comes back, open.
    let (socket, mut client) = lab.pair();
    let refused = kept.add_connected(socket, 9).expect_err("the port is gone");
    assert_eq!((refused.error.code(), refused.state), (ErrorCode::Closed, 9));
    let (listen_socket, address) = lab.listen();
    let refused_listener = kept.add_listener(listen_socket, 4, 8).expect_err("the port is gone");
    assert_eq!((refused_listener.error.code(), refused_listener.state), (ErrorCode::Closed, 8));
    let second = Port::new(Probe::echo(), lab.options()).expect("a second port");
    let socket = second.add_connected(refused.socket, 9).expect("the socket is as it was");
    second.recv(socket).expect("a first recv");
    client.write_all(b"x").expect("a live connection");
    assert_eq!(client.read_exact(1).expect("the echo"), b"x");
    second.add_listener(refused_listener.socket, 4, 8).expect("the listen socket is as it was");
    let mut client = lab.connect(address);
    client.write_all(b"y").expect("a live connection");
    assert_eq!(client.read_exact(1).expect("the echo"), b"y");
}

fn a_handle_of_another_port_is_wrong(lab: &Lab) {
    let first = Port::new(Probe::echo(), lab.options()).expect("a port");
    let second = Port::new(Probe::echo(), lab.options()).expect("another port");
    let (socket, mut client) = lab.pair();
    let raw = socket.as_raw();
    let socket = first.add_connected(socket, 1).expect("a connected socket");
    assert_eq!(answers(&second, socket), [Some(ErrorCode::WrongPort); 7]);
    assert_eq!(second.find(raw), None);
    assert_eq!(first.find(raw), Some(socket));
    // None of it has touched the socket.
    first.recv(socket).expect("a first recv");
    client.write_all(b"x").expect("a live connection");
    assert_eq!(client.read_exact(1).expect("the echo"), b"x");
}

fn a_dead_handle_is_closed_everywhere(lab: &Lab) {
    let first = Port::new(Probe::silent(), lab.options().threads(1)).expect("a port");
    let second = Port::new(Probe::silent(), lab.options()).expect("another port");
    let (socket, _client) = lab.pair();
    let dead = first.add_connected(socket, 1).expect("a connected socket");
    first.abort(dead).expect("a live socket");
    first.handler().wait_for_farewell(dead).expect_err("an abort");
    // The farewell has returned when its worker has run another callback.
    let (other, _other_client) = lab.pair();
    let other = first.add_connected(other, 1).expect("a connected socket");
    first.send(other, b"", 3).expect("a live socket");
    first.handler().wait_for_count("a send", 1, |event| event.sent().is_some());
    assert_eq!(answers(&first, dead), [Some(ErrorCode::Closed); 7]);
    assert_eq!(answers(&second, dead), [Some(ErrorCode::Closed); 7]);
    // Also when its slot is used again: the newcomers are not touched.
    let mut clients = Vec::new();
    for _ in 0..10 {
        let (socket, client) = lab.pair();
        first.add_connected(socket, 2).expect("a connected socket");
        clients.push(client);
        assert_eq!(answers(&first, dead), [Some(ErrorCode::Closed); 7]);
    }
    let farewells = first.statistics().farewells;
    assert_eq!(farewells, 1);
    assert_eq!(first.statistics().sockets_now, 11);
}

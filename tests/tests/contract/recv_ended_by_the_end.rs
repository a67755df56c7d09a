//! A recv ended by the end of its socket is reported by the farewell alone.

use socket_iocp::{Error, ErrorCode, Port, PortHandle, SocketHandle};
use socket_iocp_testkit::{Client, Event, Lab, Probe, on_every_backend};

on_every_backend!(by_abort, by_close, by_remove, by_delete, by_a_reset);

fn receiving(lab: &Lab) -> (Port<Probe>, SocketHandle, Client) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, client) = lab.pair();
    let socket = port.add_connected(socket, 1).expect("a connected socket");
    port.recv(socket).expect("a first recv");
    (port, socket, client)
}

/// The farewell is the only callback.
fn check(port: &PortHandle<Probe>, socket: SocketHandle, reason: Result<(), ErrorCode>) {
    let (told, before) = port.handler().wait_for_end(socket);
    assert_eq!(told.map_err(|error| error.code()), reason);
    assert_eq!(before, []);
    assert_eq!(port.recv(socket), Err(Error::new(ErrorCode::Closed)));
}

fn by_abort(lab: &Lab) {
    let (port, socket, _client) = receiving(lab);
    port.abort(socket).expect("a live socket");
    check(&port, socket, Err(ErrorCode::Cancelled));
}

fn by_close(lab: &Lab) {
    let (port, socket, mut client) = receiving(lab);
    port.close(socket).expect("a live socket");
    assert_eq!(client.read_to_end().expect("a clean end"), b"");
    // What comes after the close is for nobody.
    client.write_all(b"late").expect("a connection that is half open");
    client.shutdown_write();
    check(&port, socket, Ok(()));
}

fn by_remove(lab: &Lab) {
    let (port, socket, _client) = receiving(lab);
    port.remove(socket).expect("a live socket");
    check(&port, socket, Ok(()));
    assert_eq!(port.handler().take_returned().len(), 1);
}

fn by_delete(lab: &Lab) {
    let (port, socket, _client) = receiving(lab);
    let kept = PortHandle::clone(&port);
    port.delete();
    check(&kept, socket, Err(ErrorCode::Cancelled));
}

fn by_a_reset(lab: &Lab) {
    let (port, socket, client) = receiving(lab);
    client.reset();
    check(&port, socket, Err(ErrorCode::Reset));
    assert_eq!(port.handler().count(|event| matches!(event, Event::Received { .. })), 0);
}

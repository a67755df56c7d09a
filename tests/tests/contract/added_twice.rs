//! A socket that is in a port already is refused, whichever port that is. ("The seven calls"; "Bad input" of the
//! issue.)

use socket_iocp::sim::SimSocket;
use socket_iocp::{ErrorCode, Port, RawSocket, Socket};
use socket_iocp_testkit::{Lab, Probe, on_every_backend, platform};

on_every_backend!(a_connected_socket_is_in_one_port_once, a_listen_socket_is_in_one_port_once);

/// A second owner of a number. It must not be dropped.
fn second_owner(lab: &Lab, number: RawSocket) -> Socket {
    match lab.network() {
        Some(network) => SimSocket::from_raw(network.clone(), number).into(),
        None => platform::second_owner(number),
    }
}

fn a_connected_socket_is_in_one_port_once(lab: &Lab) {
    let first = Port::new(Probe::echo(), lab.options()).expect("a port");
    let second = Port::new(Probe::echo(), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let number = socket.as_raw();
    let handle = first.add_connected(socket, 0).expect("a connected socket");
    for port in [&first, &second] {
        let refused = port.add_connected(second_owner(lab, number), 77).expect_err("a socket in a port");
        assert_eq!((refused.error.code(), refused.state), (ErrorCode::AlreadyAdded, 77));
        assert_eq!(refused.socket.as_raw(), number);
        platform::forget(refused.socket);
    }
    assert_eq!((first.find(number), second.find(number)), (Some(handle), None));
    // Nothing has changed for the one that is there.
    first.recv(handle).expect("an open socket");
    client.write_all(b"hello").expect("a live connection");
    assert_eq!(client.read_exact(5).expect("the echo"), b"hello");
    second.delete();
    client.write_all(b"again").expect("a live connection");
    assert_eq!(client.read_exact(5).expect("the echo"), b"again");
}

fn a_listen_socket_is_in_one_port_once(lab: &Lab) {
    let first = Port::new(Probe::echo(), lab.options()).expect("a port");
    let second = Port::new(Probe::echo(), lab.options()).expect("a port");
    let (socket, address) = lab.listen();
    let number = socket.as_raw();
    let handle = first.add_listener(socket, 4, 0).expect("a listener");
    for port in [&first, &second] {
        let refused = port.add_listener(second_owner(lab, number), 4, 88).expect_err("a listener in a port");
        assert_eq!((refused.error.code(), refused.state), (ErrorCode::AlreadyAdded, 88));
        platform::forget(refused.socket);
    }
    assert_eq!((first.find_listener(number), second.find_listener(number)), (Some(handle), None));
    second.delete();
    let mut client = lab.connect(address);
    client.write_all(b"hello").expect("a live connection");
    assert_eq!(client.read_exact(5).expect("the echo"), b"hello");
}

//! A socket that a port cannot serve is refused with an error of its own, and comes back with its state. (A number that is
//! no open descriptor cannot be given from safe Rust: `tests/c/misuse_add.c` gives one.)

use socket_iocp::{ErrorCode, Port, Socket};
use socket_iocp_testkit::{Lab, Probe, on_every_backend, platform};
use std::net::{TcpListener, UdpSocket};

// Real only: the simulated network has no sockets of other kinds.
on_every_backend!(real: each_has_its_error, a_file_is_no_socket);

fn each_has_its_error(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let datagram = || Socket::from(socket2::Socket::from(UdpSocket::bind("127.0.0.1:0").expect("a port")));
    let listening = || Socket::from(TcpListener::bind("127.0.0.1:0").expect("a port"));
    let unconnected = || {
        let kind = (socket2::Domain::IPV4, socket2::Type::STREAM);
        Socket::from(socket2::Socket::new(kind.0, kind.1, None).expect("a socket"))
    };
    let connected: [(Socket, ErrorCode); 3] = [
        (datagram(), ErrorCode::NotStream),
        (listening(), ErrorCode::Listening),
        (unconnected(), ErrorCode::NotConnected),
    ];
    for (socket, code) in connected {
        let number = socket.as_raw();
        let refused = port.add_connected(socket, 7).expect_err("not a connected stream socket");
        assert_eq!((refused.error.code(), refused.socket.as_raw(), refused.state), (code, number, 7));
    }
    let (pair, _client) = lab.pair();
    let listeners: [(Socket, ErrorCode); 3] =
        [(datagram(), ErrorCode::NotStream), (unconnected(), ErrorCode::NotListening), (pair, ErrorCode::NotListening)];
    for (socket, code) in listeners {
        let number = socket.as_raw();
        let refused = port.add_listener(socket, 4, 9).expect_err("not a listening stream socket");
        assert_eq!((refused.error.code(), refused.socket.as_raw(), refused.state), (code, number, 9));
    }
    assert_eq!((port.statistics().sockets_now, port.statistics().listeners_now), (0, 0));
}

fn a_file_is_no_socket(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let file = platform::null_device();
    let number = platform::number_of(&file);
    let refused = port.add_connected(platform::second_owner(number), 7).expect_err("a file");
    assert_eq!((refused.error.code(), refused.socket.as_raw(), refused.state), (ErrorCode::NotSocket, number, 7));
    platform::forget(refused.socket);
    let refused = port.add_listener(platform::second_owner(number), 4, 9).expect_err("a file");
    assert_eq!((refused.error.code(), refused.socket.as_raw(), refused.state), (ErrorCode::NotSocket, number, 9));
    platform::forget(refused.socket);
}

//! A socket that a port cannot serve is refused with an error of its own, and comes back with its state. (A number that is
//! no open descriptor cannot be given from safe Rust: `tests/c/misuse_add.c` gives one.)

use socket_iocp::{ErrorCode, Port, Socket};
use socket_iocp_testkit::{Lab, Probe, on_every_backend};
use std::fs::File;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

// Real only: the simulated network has no sockets of other kinds.
on_every_backend!(real: each_has_its_error);

fn each_has_its_error(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let datagram = || Socket::from(OwnedFd::from(UdpSocket::bind("127.0.0.1:0").expect("a port")));
    let file = || Socket::from(OwnedFd::from(File::open("/dev/null").expect("a file")));
    let listening = || Socket::from(TcpListener::bind("127.0.0.1:0").expect("a port"));
    let unconnected = || {
        let kind = (socket2::Domain::IPV4, socket2::Type::STREAM);
        Socket::from(socket2::Socket::new(kind.0, kind.1, None).expect("a socket"))
    };
    let connected: [(Socket, ErrorCode); 4] = [
        (datagram(), ErrorCode::NotStream),
        (file(), ErrorCode::NotSocket),
        (listening(), ErrorCode::Listening),
        (unconnected(), ErrorCode::NotConnected),
    ];
    for (socket, code) in connected {
        let number = socket.as_raw();
        let refused = port.add_connected(socket, 7).expect_err("not a connected stream socket");
        assert_eq!((refused.error.code(), refused.socket.as_raw(), refused.state), (code, number, 7));
    }
    let (pair, _client) = lab.pair();
    let listeners: [(Socket, ErrorCode); 4] = [
        (datagram(), ErrorCode::NotStream),
        (file(), ErrorCode::NotSocket),
        (unconnected(), ErrorCode::NotListening),
        (pair, ErrorCode::NotListening),
    ];
    for (socket, code) in listeners {
        let number = socket.as_raw();
        let refused = port.add_listener(socket, 4, 9).expect_err("not a listening stream socket");
        assert_eq!((refused.error.code(), refused.socket.as_raw(), refused.state), (code, number, 9));
    }
    assert_eq!((port.statistics().sockets_now, port.statistics().listeners_now), (0, 0));
}

//! Sockets go in and come out as owned types of std's, of both internet families; a program needs no `unsafe` for it. (The
//! Unix family: `contract/unix_sockets.rs`.)

#![forbid(unsafe_code)]

use socket_iocp::{Port, PortHandle, Socket};
use socket_iocp_testkit::{Lab, Probe, on_every_backend, platform};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

// The simulated network has sockets of its own.
on_every_backend!(real: every_owned_type_goes_in, what_is_removed_comes_out, what_came_out_goes_in_again, listeners_of_both_families, listeners_come_out);

/// A connected pair over TCP at this address.
fn tcp_pair(address: &str) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(address).expect("a loopback port");
    let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("a listener");
    (listener.accept().expect("the client").0, client)
}

fn check_echo(mut client: impl Read + Write) {
    client.write_all(b"hello").expect("a live connection");
    let mut bytes = [0; 5];
    client.read_exact(&mut bytes).expect("the echo");
    assert_eq!(bytes, *b"hello");
}

fn serve(port: &PortHandle<Probe>, socket: impl Into<Socket>, client: impl Read + Write) {
    let socket = port.add_connected(socket, 1).expect("a connected socket");
    port.recv(socket).expect("a first recv");
    check_echo(client);
}

fn every_owned_type_goes_in(lab: &Lab) {
    let port = Port::new(Probe::echo(), lab.options()).expect("a port");
    let (socket, client) = tcp_pair("127.0.0.1:0");
    serve(&port, socket, client);
    let (socket, client) = tcp_pair("[::1]:0");
    serve(&port, socket, client);
    let (socket, client) = tcp_pair("127.0.0.1:0");
    serve(&port, platform::OwnedSocket::from(socket), client);
    let (socket, client) = tcp_pair("127.0.0.1:0");
    serve(&port, socket2::Socket::from(socket), client);
    // Blocking or not.
    let (socket, client) = tcp_pair("127.0.0.1:0");
    socket.set_nonblocking(true).expect("a flag");
    serve(&port, socket, client);
}

fn what_is_removed_comes_out(lab: &Lab) {
    let port = Port::new(Probe::echo(), lab.options()).expect("a port");
    let (socket, mut client) = tcp_pair("127.0.0.1:0");
    let address = socket.local_addr().expect("an address");
    let socket = port.add_connected(socket, 1).expect("a connected socket");
    port.recv(socket).expect("a first recv");
    check_echo(&client);
    port.remove(socket).expect("a live socket");
    assert_eq!(port.handler().wait_for_farewell(socket), Ok(()));
    let socket = port.handler().take_returned().pop().expect("the socket");
    let mut stream = TcpStream::from(platform::owned(socket).expect("a real socket"));
    // It is the same connection, open and blocking as it was.
    assert_eq!(stream.local_addr().expect("an address"), address);
    client.write_all(b"direct").expect("a live connection");
    let mut bytes = [0; 6];
    stream.read_exact(&mut bytes).expect("the bytes");
    stream.write_all(&bytes).expect("a live connection");
    client.read_exact(&mut bytes).expect("the bytes");
    assert_eq!(bytes, *b"direct");
}

fn what_came_out_goes_in_again(lab: &Lab) {
    let port = Port::new(Probe::echo(), lab.options()).expect("a port");
    let (socket, client) = tcp_pair("127.0.0.1:0");
    let socket = port.add_connected(socket, 1).expect("a connected socket");
    port.remove(socket).expect("a live socket");
    assert_eq!(port.handler().wait_for_farewell(socket), Ok(()));
    let socket = port.handler().take_returned().pop().expect("the socket");
    let stream = TcpStream::from(platform::owned(socket).expect("a real socket"));
    serve(&port, stream, client);
}

fn listeners_of_both_families(lab: &Lab) {
    let port = Port::new(Probe::echo(), lab.options()).expect("a port");
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let listener = TcpListener::bind(address).expect("a loopback port");
        let address = listener.local_addr().expect("an address");
        port.add_listener(listener, 4, 7).expect("a listener");
        check_echo(TcpStream::connect(address).expect("a listener"));
    }
}

fn listeners_come_out(lab: &Lab) {
    let port = Port::new(Probe::echo(), lab.options()).expect("a port");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let address = listener.local_addr().expect("an address");
    let listener = port.add_listener(listener, 4, 7).expect("a listener");
    check_echo(TcpStream::connect(address).expect("a listener"));
    let socket = port.remove_listener(listener).expect("a live listener");
    let listener = TcpListener::from(platform::owned(socket).expect("a real socket"));
    assert_eq!(listener.local_addr().expect("an address"), address);
    // Its farewell is told, and from then on its connections are the program's.
    port.handler().wait_for("the farewell", |log| {
        log.iter().any(|event| matches!(event, socket_iocp_testkit::Event::ListenerFarewell { .. })).then_some(())
    });
    let client = TcpStream::connect(address).expect("it still listens");
    let (socket, _) = listener.accept().expect("the client");
    serve(&port, socket, client);
}

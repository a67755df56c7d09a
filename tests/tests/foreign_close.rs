//! A caller that closes a SOCKET behind the library's back: the socket bids farewell, and whatever has its number then
//! is left alone. ("Ending" 7.)

use socket_iocp::{Error, ErrorCode, Port, PortHandle, RawSocket, Socket, SocketHandle};
use socket_iocp_testkit::{Client, Event, Lab, Probe, in_own_process, on_every_backend, platform};
use std::io::{Read, Write};
use std::mem::ManuallyDrop;
use std::net::{SocketAddr, TcpStream};

on_every_backend!(
    the_number_comes_back_with_an_accepted_socket,
    the_number_comes_back_with_an_added_socket,
    the_number_comes_back_with_a_socket_of_another_port,
    the_number_of_a_listener_comes_back_with_an_added_socket,
);
// Real only: simulated numbers have no files, and no sockets but the network's.
on_every_backend!(real: a_file_under_the_number_is_found_out_by_use, a_file_is_never_closed, a_stranger_keeps_its_connection);

/// A connected socket under this number, which has been closed behind the library's back just before, and its client.
fn pair_under(lab: &Lab, number: RawSocket) -> (Socket, Client) {
    let (socket, client) = match lab.network() {
        Some(_) => {
            lab.close_behind(number);
            lab.pair()
        }
        None => {
            let (near, far) = platform::stream_under(number);
            (near.into(), far.into())
        }
    };
    assert_eq!(socket.as_raw(), number);
    (socket, client)
}

/// Clients whose descriptors are open before they connect, so that they take no number that has become free.
struct Clients(Vec<socket2::Socket>);

impl Clients {
    fn new(lab: &Lab, count: usize) -> Clients {
        let count = if lab.network().is_some() { 0 } else { count };
        let socket = |_| socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        Clients((0..count).map(socket).collect())
    }

    fn connect(&mut self, lab: &Lab, address: SocketAddr) -> Client {
        if lab.network().is_some() {
            return lab.connect(address);
        }
        let socket = self.0.pop().expect("enough sockets");
        socket.connect(&address.into()).expect("a listener");
        TcpStream::from(socket).into()
    }
}

/// Returns when every worker has seen what was issued before, and the system has it: an operation, or an accept, might be
/// started on whatever has the number by then, or take the number for a socket of its own. The sends of helpers, of which
/// each worker has some, are started after it.
fn settle(lab: &Lab, port: &PortHandle<Probe>) {
    for _ in 0..4 {
        let (socket, mut client) = lab.pair();
        let helper = port.add_connected(socket, 9).expect("a connected socket");
        port.send(helper, &b"x"[..], 0).expect("an open socket");
        client.read_exact(1).expect("a byte");
        port.abort(helper).expect("an open socket");
        port.handler().wait_for_farewell(helper).expect_err("aborted");
    }
}

fn recv_and_settle(lab: &Lab, port: &PortHandle<Probe>, handle: SocketHandle) {
    port.recv(handle).expect("an open socket");
    settle(lab, port);
}

fn echoes(client: &mut Client) {
    client.write_all(b"hello").expect("a live connection");
    assert_eq!(client.read_exact(5).expect("the echo"), b"hello");
}

fn foreign(port: &PortHandle<Probe>, handle: SocketHandle) {
    let (reason, _) = port.handler().wait_for_end(handle);
    assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::ForeignClose));
    assert_eq!(port.recv(handle).map_err(|error| error.code()), Err(ErrorCode::Closed));
}

fn the_number_comes_back_with_an_accepted_socket(lab: &Lab) {
    in_own_process(
        "the_number_comes_back_with_an_accepted_socket",
        lab,
        the_number_comes_back_with_an_accepted_socket_here,
    );
}

fn the_number_comes_back_with_an_accepted_socket_here(lab: &Lab) {
    for recv_outstanding in [false, true] {
        let port = Port::new(Probe::echo(), lab.options()).expect("a port");
        let (listener, address) = lab.listen();
        port.add_listener(listener, 4, 0).expect("a listener");
        let (socket, _old_client) = lab.pair();
        let number = socket.as_raw();
        let mut clients = Clients::new(lab, 64);
        let old = port.add_connected(socket, 1).expect("a connected socket");
        if recv_outstanding {
            port.recv(old).expect("an open socket");
        }
        settle(lab, &port);
        lab.close_behind(number);
        // The kernel gives out the lowest number that is free: after a few it is this one.
        let mut served = Vec::new();
        let new = loop {
            let mut client = clients.connect(lab, address);
            echoes(&mut client);
            let handle = port.handler().wait_for_accept(served.len());
            served.push(client);
            if port.find(number) == Some(handle) {
                break handle;
            }
        };
        foreign(&port, old);
        // The farewell has not hurt the new one.
        served.iter_mut().for_each(echoes);
        assert_eq!(port.find(number), Some(new));
    }
}

fn the_number_comes_back_with_an_added_socket(lab: &Lab) {
    in_own_process("the_number_comes_back_with_an_added_socket", lab, the_number_comes_back_with_an_added_socket_here);
}

fn the_number_comes_back_with_an_added_socket_here(lab: &Lab) {
    for recv_outstanding in [false, true] {
        let port = Port::new(Probe::echo(), lab.options()).expect("a port");
        let (socket, _old_client) = lab.pair();
        let number = socket.as_raw();
        let old = port.add_connected(socket, 1).expect("a connected socket");
        if recv_outstanding {
            recv_and_settle(lab, &port, old);
        }
        let (socket, mut client) = pair_under(lab, number);
        let new = port.add_connected(socket, 2).expect("another socket under the number");
        foreign(&port, old);
        port.recv(new).expect("an open socket");
        echoes(&mut client);
        assert_eq!(port.find(number), Some(new));
    }
}

fn the_number_comes_back_with_a_socket_of_another_port(lab: &Lab) {
    in_own_process(
        "the_number_comes_back_with_a_socket_of_another_port",
        lab,
        the_number_comes_back_with_a_socket_of_another_port_here,
    );
}

fn the_number_comes_back_with_a_socket_of_another_port_here(lab: &Lab) {
    let first = Port::new(Probe::echo(), lab.options()).expect("a port");
    let second = Port::new(Probe::echo(), lab.options()).expect("a port");
    let (socket, _old_client) = lab.pair();
    let number = socket.as_raw();
    let old = first.add_connected(socket, 1).expect("a connected socket");
    recv_and_settle(lab, &first, old);
    let (socket, mut client) = pair_under(lab, number);
    let new = second.add_connected(socket, 2).expect("another socket under the number");
    foreign(&first, old);
    second.recv(new).expect("an open socket");
    echoes(&mut client);
    first.delete();
    echoes(&mut client);
    assert_eq!(second.find(number), Some(new));
}

fn the_number_of_a_listener_comes_back_with_an_added_socket(lab: &Lab) {
    in_own_process(
        "the_number_of_a_listener_comes_back_with_an_added_socket",
        lab,
        the_number_of_a_listener_comes_back_with_an_added_socket_here,
    );
}

fn the_number_of_a_listener_comes_back_with_an_added_socket_here(lab: &Lab) {
    let port = Port::new(Probe::echo(), lab.options()).expect("a port");
    let (listener, _) = lab.listen();
    let number = listener.as_raw();
    let old = port.add_listener(listener, 4, 5).expect("a listener");
    settle(lab, &port);
    let (socket, mut client) = pair_under(lab, number);
    let new = port.add_connected(socket, 2).expect("another socket under the number");
    let farewells = port.handler().wait_for_count("the listener's farewell", 1, |event| event.handle().is_none());
    let [Event::ListenerFarewell { listener: 5, reason: Err(reason) }] = farewells[..] else {
        panic!("{farewells:?}");
    };
    assert_eq!(reason.code(), ErrorCode::ForeignClose);
    assert_eq!(port.remove_listener(old).map(drop).map_err(|error| error.code()), Err(ErrorCode::Closed));
    port.recv(new).expect("an open socket");
    echoes(&mut client);
}

fn a_file_under_the_number_is_found_out_by_use(lab: &Lab) {
    in_own_process(
        "a_file_under_the_number_is_found_out_by_use",
        lab,
        a_file_under_the_number_is_found_out_by_use_here,
    );
}

fn a_file_under_the_number_is_found_out_by_use_here(lab: &Lab) {
    type Use = fn(&PortHandle<Probe>, SocketHandle);
    const USES: [(&str, Use); 4] = [
        ("recv", |port, handle| port.recv(handle).expect("nobody has noticed")),
        ("send", |port, handle| port.send(handle, &b"x"[..], 7).expect("nobody has noticed")),
        ("sync send", |port, handle| port.sync_send(handle, &b"x"[..], 7).expect("nobody has noticed")),
        ("close", |port, handle| port.close(handle).expect("nobody has noticed")),
    ];
    for (name, use_it) in USES {
        let port = Port::new(Probe::silent(), lab.options()).expect("a port");
        let (socket, _client) = lab.pair();
        let number = socket.as_raw();
        let handle = port.add_connected(socket, 1).expect("a connected socket");
        let mut file = platform::file_under(number);
        use_it(&port, handle);
        let (reason, before) = port.handler().wait_for_end(handle);
        assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::ForeignClose), "{name}");
        assert!(before.iter().filter_map(Event::sent).all(|(_, result)| result.is_err()), "{name}: {before:?}");
        port.delete();
        file.write_all(b"still open").unwrap_or_else(|error| panic!("{name}: the file was closed: {error}"));
    }
}

/// Ends a socket, or its port.
type End = fn(Port<Probe>, SocketHandle);

/// Waits for the socket's farewell; a socket that it hands back is dropped, as a program may do.
fn wait_and_drop(port: Port<Probe>, handle: SocketHandle) {
    let _ = port.handler().wait_for_farewell(handle);
    drop(port.handler().take_returned());
}

/// A close with a recv outstanding may have been noticed already: Windows ends the recv then.
fn may_be_noticed(ended: Result<(), Error>) {
    assert!(matches!(ended.map_err(|error| error.code()), Ok(()) | Err(ErrorCode::Closed)), "{ended:?}");
}

const ENDS: [(&str, End); 4] = [
    ("close", |port, handle| {
        may_be_noticed(port.close(handle));
        wait_and_drop(port, handle);
    }),
    ("abort", |port, handle| {
        may_be_noticed(port.abort(handle));
        wait_and_drop(port, handle);
    }),
    ("remove", |port, handle| {
        may_be_noticed(port.remove(handle));
        wait_and_drop(port, handle);
    }),
    ("delete", |port, _| port.delete()),
];

fn a_file_is_never_closed(lab: &Lab) {
    in_own_process("a_file_is_never_closed", lab, a_file_is_never_closed_here);
}

fn a_file_is_never_closed_here(lab: &Lab) {
    for (name, end) in ENDS {
        for recv_outstanding in [false, true] {
            let port = Port::new(Probe::silent(), lab.options()).expect("a port");
            let (socket, _client) = lab.pair();
            let number = socket.as_raw();
            let handle = port.add_connected(socket, 1).expect("a connected socket");
            if recv_outstanding {
                recv_and_settle(lab, &port, handle);
            }
            let file = platform::file_under(number);
            // An owner whose file somebody has closed must not be dropped.
            let file = ManuallyDrop::new(file);
            end(port, handle);
            assert!(platform::close_file(ManuallyDrop::into_inner(file)), "{name}: the file was closed");
        }
    }
}

fn a_stranger_keeps_its_connection(lab: &Lab) {
    in_own_process("a_stranger_keeps_its_connection", lab, a_stranger_keeps_its_connection_here);
}

fn a_stranger_keeps_its_connection_here(lab: &Lab) {
    for (name, end) in ENDS {
        let port = Port::new(Probe::silent(), lab.options().linger(std::time::Duration::from_millis(100)));
        let port = port.expect("a port");
        let (socket, _client) = lab.pair();
        let number = socket.as_raw();
        let handle = port.add_connected(socket, 1).expect("a connected socket");
        let (near, mut far) = platform::stream_under(number);
        // An owner whose socket somebody has closed must not be dropped.
        let near = ManuallyDrop::new(near);
        end(port, handle);

        assert!(platform::is_open(number), "{name}: the stranger was closed");
        let mut near = ManuallyDrop::into_inner(near);
        far.write_all(b"ping").expect("a live connection");
        let mut bytes = [0; 4];
        near.read_exact(&mut bytes).unwrap_or_else(|error| panic!("{name}: the stranger's input: {error}"));
        near.write_all(b"pong").unwrap_or_else(|error| panic!("{name}: the stranger was shut down: {error}"));
        far.read_exact(&mut bytes).unwrap_or_else(|error| panic!("{name}: the stranger was shut down: {error}"));
    }
}
